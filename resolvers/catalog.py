"""Verbs of the catalogue."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any
from uuid import UUID

from domain import catalog
from domain.catalog import CategoryReads, ProductFilter, ProductReads, ProductSort, ProductType, Viewer
from domain.kernel import InvalidInput, NotFound
from domain.paging import Page, PageRequest
from domain.processes import listing
from resolvers.kernel import Context, transacts

MAX_LEVELS = catalog.MAX_DEPTH


def _viewer(context: Context) -> Viewer:
    return Viewer.of(context.principal)


async def products_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ProductReads).by_id(ids, _viewer(context))


async def products_by_sku(context: Context, skus: Sequence[str]) -> Sequence[Any]:
    return await context.read(ProductReads).by_sku(skus, _viewer(context))


async def products_by_slug(context: Context, slugs: Sequence[str]) -> Sequence[Any]:
    return await context.read(ProductReads).by_slug(slugs, _viewer(context))


async def variants_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ProductReads).variants_by_id(ids, _viewer(context))


async def variants_by_sku(context: Context, skus: Sequence[str]) -> Sequence[Any]:
    return await context.read(ProductReads).variants_by_sku(skus, _viewer(context))


async def variants_of_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ProductReads).variants_of(product_ids, _viewer(context))


async def images_of_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ProductReads).images_of(product_ids)


async def regulated_details_of_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ProductReads).regulated_details_of(product_ids)


async def categories_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(CategoryReads).by_id(ids, _viewer(context))


async def categories_by_slug(context: Context, slugs: Sequence[str]) -> Sequence[Any]:
    return await context.read(CategoryReads).by_slug(slugs, _viewer(context))


async def children_of_categories(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(CategoryReads).children(ids, _viewer(context))


async def lines_of_categories(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give each category with all above it, from the root down."""
    return await context.read(CategoryReads).lines(ids, _viewer(context))


async def schemas_of_categories(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give each category's attributes with those that it inherits."""
    return await context.read(CategoryReads).schemas(ids)


async def product_counts_of_categories(context: Context, ids: Sequence[UUID]) -> Sequence[int]:
    return await context.read(CategoryReads).product_counts(ids)


async def products_of_categories(
    context: Context,
    category_ids: Sequence[UUID],
    *,
    page: PageRequest,
    filter: ProductFilter | None = None,  # noqa: A002 — the GraphQL argument's name.
    sort: ProductSort = ProductSort.NEWEST,
) -> Sequence[Page[Any]]:
    wanted = filter or ProductFilter()
    return await context.read(ProductReads).by_category(category_ids, wanted, sort, page, _viewer(context))


async def product(context: Context, id: UUID | None = None, slug: str | None = None, sku: str | None = None) -> Any:  # noqa: A002 — the GraphQL argument's name.
    """Give the product that one of the arguments names."""
    ways: list[tuple[Any, Any]] = [(products_by_id, id), (products_by_slug, slug), (products_by_sku, sku)]
    return await _named(context, ways, "give one of id, slug and sku")


async def category(context: Context, id: UUID | None = None, slug: str | None = None) -> Any:  # noqa: A002 — see above.
    """Give the category that one of the arguments names."""
    return await _named(context, [(categories_by_id, id), (categories_by_slug, slug)], "give one of id and slug")


async def _named(context: Context, ways: list[tuple[Any, Any]], rule: str) -> Any:
    given = [(bulk, key) for bulk, key in ways if key is not None]
    if len(given) != 1:
        raise InvalidInput(field="arguments", reason=rule)
    bulk, key = given[0]
    return await context.load(bulk, key)


async def products(
    context: Context,
    page: PageRequest,
    filter: ProductFilter | None = None,  # noqa: A002 — the GraphQL argument's name.
    sort: ProductSort = ProductSort.NEWEST,
) -> Page[Any]:
    return await context.read(ProductReads).matching(filter or ProductFilter(), sort, page, _viewer(context))


async def regulated_products(
    context: Context,
    page: PageRequest,
    filter: ProductFilter | None = None,  # noqa: A002 — the GraphQL argument's name.
    sort: ProductSort = ProductSort.NEWEST,
) -> Page[Any]:
    wanted = replace(filter or ProductFilter(), product_type=ProductType.REGULATED)
    return await products(context, page, wanted, sort)


async def accessories(
    context: Context,
    page: PageRequest,
    filter: ProductFilter | None = None,  # noqa: A002 — the GraphQL argument's name.
    sort: ProductSort = ProductSort.NEWEST,
) -> Page[Any]:
    wanted = replace(filter or ProductFilter(), product_type=ProductType.ACCESSORY)
    return await products(context, page, wanted, sort)


async def regulated_product(context: Context, sku: str) -> Any:
    return _of_type(await product(context, sku=sku), ProductType.REGULATED)


async def accessory(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return _of_type(await product(context, id=id), ProductType.ACCESSORY)


def _of_type(row: Any, wanted: ProductType) -> Any:
    return row if row is not None and row.product_type == wanted else None


async def product_variants(context: Context, product_id: UUID) -> Any:
    return await context.load(variants_of_products, product_id)


async def product_versions(context: Context, page: PageRequest, product_id: UUID) -> Page[Any]:
    """Give a product's history, to whoever may change the product.

    Raises: NotFound.
    """
    row = await context.load(products_by_id, product_id)
    if row is None or not _viewer(context).sees(row.seller_id):
        raise NotFound(kind="Product", id=str(product_id))
    return await context.read(ProductReads).versions(product_id, page)


async def categories(context: Context, parent_id: UUID | None = None, depth: int = 1) -> Sequence[Any]:
    """Give what lies below a category (or the top), `depth` levels deep, each parent before its children."""
    if not 1 <= depth <= MAX_LEVELS:
        raise InvalidInput(field="depth", reason=f"it lies between 1 and {MAX_LEVELS}")
    return await context.read(CategoryReads).below(parent_id, depth, _viewer(context))


async def category_tree(context: Context) -> Sequence[Any]:
    return await categories(context, depth=MAX_LEVELS)


async def catalog_policy(context: Context) -> Any:
    required = await context.read(ProductReads).moderation_required()
    return catalog.CatalogPolicy(moderation_required=required)


def _answers_row(handler: Callable[..., Awaitable[Any]], by_id: Any) -> Callable[..., Awaitable[Any]]:
    """Make the resolver of a command whose answer is read anew, so that it looks as it does in a list."""
    change = transacts(handler)

    @wraps(change)
    async def resolve(context: Context, command: Any, idempotency_key: str | None = None) -> Any:
        changed = await change(context, command, idempotency_key)
        return await context.load(by_id, changed.id)

    return resolve


create_product = _answers_row(listing.create_product, products_by_id)
update_product = _answers_row(catalog.update_product, products_by_id)
publish_product = _answers_row(catalog.publish_product, products_by_id)
hide_product = _answers_row(catalog.hide_product, products_by_id)
archive_product = _answers_row(catalog.archive_product, products_by_id)
approve_product = _answers_row(catalog.approve_product, products_by_id)
reject_product = _answers_row(catalog.reject_product, products_by_id)
mark_product_suspicious = _answers_row(catalog.mark_product_suspicious, products_by_id)
block_product = _answers_row(catalog.block_product, products_by_id)
revert_product_version = _answers_row(catalog.revert_product_version, products_by_id)
add_variant = _answers_row(catalog.add_variant, products_by_id)
update_variant = _answers_row(catalog.update_variant, products_by_id)
remove_variant = _answers_row(catalog.remove_variant, products_by_id)
add_product_image = _answers_row(catalog.add_product_image, products_by_id)
remove_product_image = _answers_row(catalog.remove_product_image, products_by_id)
reorder_images = _answers_row(catalog.reorder_images, products_by_id)
create_accessory = _answers_row(catalog.create_accessory, products_by_id)
update_accessory = _answers_row(catalog.update_accessory, products_by_id)
categorize_accessory = _answers_row(catalog.categorize_accessory, products_by_id)
create_category = _answers_row(catalog.create_category, categories_by_id)
update_category = _answers_row(catalog.update_category, categories_by_id)
move_category = _answers_row(catalog.move_category, categories_by_id)
delete_product = transacts(catalog.delete_product)
delete_category = transacts(catalog.delete_category)
set_catalog_policy = transacts(catalog.set_catalog_policy)
