"""One change of a product: who may make it, what it leaves in the history, and what it must not collide with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any
from uuid import UUID

from domain.catalog.attributes import AttributeDefinition
from domain.catalog.content import ProductContent
from domain.catalog.lifecycle import ProductState
from domain.catalog.ports import (
    WRITE,
    WRITE_ANY,
    Categories,
    ProductHistory,
    Products,
    ProductVersion,
    Skus,
    Viewer,
    require,
)
from domain.catalog.products import Product
from domain.codec import to_json
from domain.kernel import AlreadyExists, Forbidden, NotFound, Principal, Work


def require_owner(product: Product, actor: Principal) -> None:
    """Refuse whoever may not change the product; what is not even seen does not exist.

    Raises: NotFound, Forbidden.
    """
    if actor.may(WRITE_ANY) or (product.seller_id == actor.user_id and actor.may(WRITE)):
        return
    if product.state is not ProductState.ACTIVE and not Viewer.of(actor).sees(product.seller_id):
        raise NotFound(kind="Product", id=str(product.id))
    raise Forbidden(permission=WRITE_ANY)


async def own_product(product_id: UUID, expected_version: int | None, work: Work, products: Products) -> Product:
    """Lock a product that the caller may change.

    Raises: Unauthenticated, Forbidden, NotFound, ConcurrentModification.
    """
    require(work.actor, WRITE)
    product = await products.lock(product_id)
    if product is None:
        raise NotFound(kind="Product", id=str(product_id))
    require_owner(product, work.actor)
    product.expect_version(expected_version)
    return product


@asynccontextmanager
async def recorded(product: Product, work: Work, history: ProductHistory) -> AsyncIterator[Product]:
    """Keep in the history what the block changes; the state before it is kept too, should it be unknown yet."""
    before, version = _account(product), product.version
    yield product
    after = _account(product)
    if product.version == version:
        return
    changes = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    await history.add(
        [_entry(product, version, {}, before, None, work), _entry(product, product.version, changes, after, work, work)]
    )


def first_version(product: Product, work: Work) -> ProductVersion:
    """Give the first entry of a new product's history."""
    return _entry(product, product.version, {}, _account(product), work, work)


def _account(product: Product) -> dict[str, Any]:
    content = product.content
    account = {each.name: to_json(getattr(content, each.name)) for each in fields(content)}
    return {**account, "slug": product.slug, "state": str(product.state)}


def _entry(
    product: Product, version: int, changes: dict[str, Any], content: dict[str, Any], by: Work | None, work: Work
) -> ProductVersion:
    return ProductVersion(
        tenant_id=product.tenant_id,
        product_id=product.id,
        version=version,
        changes=changes,
        content=content,
        author_id=by.actor.user_id if by else None,
        recorded_at=work.now,
    )


async def schema_of(content: ProductContent, categories: Categories) -> tuple[AttributeDefinition, ...]:
    """Give the attributes that the content's category asks for.

    Raises: NotFound.
    """
    if content.category_id is None:
        return ()
    schema = await categories.schema(content.category_id)
    if schema is None:
        raise NotFound(kind="Category", id=str(content.category_id))
    return schema


async def refuse_taken_skus(product: Product, skus: Skus) -> None:
    """Raises: AlreadyExists when another product already uses one of the product's SKUs."""
    taken = await skus.taken([product.sku, *(variant.sku for variant in product.variants)], product.id)
    if taken is not None:
        raise AlreadyExists(kind="SKU", value=taken)
