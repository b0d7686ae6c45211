"""Accessories: goods beside the regulated ones, on the same product identity."""

from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import UUID

from domain.catalog.categories import CategoryKind
from domain.catalog.changes import changes_of
from domain.catalog.content import ImageContent, ProductContent
from domain.catalog.editing import draft_product
from domain.catalog.lifecycle import ProductType
from domain.catalog.ports import Categories, ProductHistory, Products, Skus
from domain.catalog.products import Product
from domain.catalog.revising import own_product, recorded, refuse_taken_skus, schema_of
from domain.kernel import UNCHANGED, InvalidInput, NotFound, Unchanged, Work
from domain.money import Money


@dataclass(frozen=True, kw_only=True)
class CreateAccessory:
    """Make an accessory as a draft, in a category of accessories."""

    sku: str
    name: str
    category_id: UUID
    retail_price: Money
    unit_cost: Money | None = None
    brand: str = ""
    description: str = ""
    barcode: str | None = None
    image_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateAccessory:
    """Change what is given of an accessory, and leave the rest as it is."""

    id: UUID
    expected_version: int | None = None
    sku: str | Unchanged = UNCHANGED
    name: str | Unchanged = UNCHANGED
    retail_price: Money | Unchanged = UNCHANGED
    unit_cost: Money | Unchanged | None = UNCHANGED
    brand: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    barcode: str | Unchanged | None = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class CategorizeAccessory:
    """Put an accessory into another category of accessories."""

    id: UUID
    category_id: UUID
    expected_version: int | None = None


_NAMES = {"retail_price": "price", "barcode": "gtin"}
_KNOWN = frozenset(each.name for each in fields(ProductContent))


async def create_accessory(
    command: CreateAccessory,
    work: Work,
    products: Products,
    categories: Categories,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Raises: Forbidden, NotFound, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch."""
    await _require_accessories(command.category_id, categories)
    content = ProductContent(
        **_content(vars(command)), images=(ImageContent(url=command.image_url),) if command.image_url else ()
    )
    identity = {"product_type": ProductType.ACCESSORY, "seller_id": work.actor.require_user()}
    return await draft_product(content, None, identity, work, products, categories, skus, history)


async def update_accessory(
    command: UpdateAccessory,
    work: Work,
    products: Products,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidInput, CurrencyMismatch."""
    accessory = await _own_accessory(command.id, command.expected_version, work, products)
    async with recorded(accessory, work, history):
        accessory.revise(replace(accessory.content, **_content(changes_of(command))), ())
        await refuse_taken_skus(accessory, skus)
    return accessory


async def categorize_accessory(
    command: CategorizeAccessory, work: Work, products: Products, categories: Categories, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidInput, InvalidAttribute."""
    accessory = await _own_accessory(command.id, command.expected_version, work, products)
    await _require_accessories(command.category_id, categories)
    async with recorded(accessory, work, history):
        content = replace(accessory.content, category_id=command.category_id)
        accessory.revise(content, await schema_of(content, categories))
    return accessory


def _content(values: dict[str, Any]) -> dict[str, Any]:
    named = {_NAMES.get(name, name): value for name, value in values.items()}
    return {name: value for name, value in named.items() if name in _KNOWN}


async def _own_accessory(product_id: UUID, expected_version: int | None, work: Work, products: Products) -> Product:
    accessory = await own_product(product_id, expected_version, work, products)
    if accessory.product_type is not ProductType.ACCESSORY:
        raise NotFound(kind="Accessory", id=str(product_id))
    return accessory


async def _require_accessories(category_id: UUID, categories: Categories) -> None:
    category = await categories.get(category_id)
    if category is None:
        raise NotFound(kind="Category", id=str(category_id))
    if category.kind is not CategoryKind.ACCESSORY:
        raise InvalidInput(field="categoryId", reason="the category is not one of accessories")
