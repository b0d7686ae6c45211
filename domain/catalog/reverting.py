"""Going back to what a product was."""

from dataclasses import dataclass, fields
from typing import Any, get_type_hints
from uuid import UUID

from domain.catalog.content import ProductContent
from domain.catalog.ports import Categories, ProductHistory, Products, Skus
from domain.catalog.products import Product
from domain.catalog.revising import own_product, recorded, refuse_taken_skus, schema_of
from domain.codec import from_json
from domain.kernel import NotFound, Work


@dataclass(frozen=True, kw_only=True)
class RevertProductVersion:
    """Give a product the content of an earlier version; its state and its slug stay."""

    product_id: UUID
    version: int
    expected_version: int | None = None


def content_of(account: dict[str, Any]) -> ProductContent:
    """Read a product's content from its history."""
    kinds = get_type_hints(ProductContent)
    known = {each.name: account[each.name] for each in fields(ProductContent) if each.name in account}
    return ProductContent(**{name: from_json(value, kinds[name]) for name, value in known.items()})


async def revert_product_version(
    command: RevertProductVersion,
    work: Work,
    products: Products,
    categories: Categories,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidAttribute, InvalidInput."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    earlier = await history.get(product.id, command.version)
    if earlier is None:
        raise NotFound(kind="ProductVersion", id=str(command.version))
    async with recorded(product, work, history):
        content = content_of(earlier.content)
        product.revise(content, await schema_of(content, categories))
        await refuse_taken_skus(product, skus)
    return product
