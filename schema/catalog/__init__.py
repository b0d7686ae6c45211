"""The catalogue subgraph: products, variants and categories."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import strawberry

from domain import catalog as domain
from domain.kernel import AlreadyExists, DomainError, Forbidden, InvalidStateTransition
from domain.money import CurrencyMismatch
from resolvers import catalog as resolvers
from schema.catalog.types import (
    CatalogPolicy,
    Category,
    DeletedCategory,
    DeletedProduct,
    Product,
    ProductVariant,
    ProductVersion,
)
from schema.kernel import PUBLIC, command, connection, make_subgraph, permission, query
from schema.supergraph import Typed

WRITE = permission("catalog.write")
PUBLISH = permission("catalog.publish")
MODERATE = permission("catalog.moderate")
MANAGE = permission("catalog.manage")

CONTENT_ERRORS: list[type[DomainError]] = [Forbidden, AlreadyExists, domain.InvalidAttribute, CurrencyMismatch]
STATE_ERRORS: list[type[DomainError]] = [Forbidden, InvalidStateTransition, domain.IncompleteProduct]


def _giving(typename: str, resolver: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Say of a resolver's row which type of a result union it stands for."""

    @wraps(resolver)
    async def resolve(*arguments: Any) -> Any:
        return Typed(await resolver(*arguments), typename)

    return resolve


def _product(resolver: Any, errors: list[type[DomainError]], who: Any = WRITE) -> Any:
    return command(_giving("Product", resolver), Product, errors=errors, who=who)


def _category(resolver: Any) -> Any:
    errors = [AlreadyExists, domain.CategoryCycle, domain.CategoryTooDeep]
    return command(_giving("Category", resolver), Category, errors=errors, who=MANAGE)


@strawberry.type
class Query:
    product = query(resolvers.product, Product | None, who=PUBLIC, stale_ok=True)
    products = query(resolvers.products, connection(Product), who=PUBLIC, stale_ok=True)
    product_variants = query(resolvers.product_variants, list[ProductVariant], who=PUBLIC, stale_ok=True)
    product_versions = query(resolvers.product_versions, connection(ProductVersion), who=WRITE)
    category = query(resolvers.category, Category | None, who=PUBLIC, stale_ok=True)
    categories = query(resolvers.categories, list[Category], who=PUBLIC, stale_ok=True)
    category_tree = query(
        resolvers.category_tree,
        list[Category],
        who=PUBLIC,
        stale_ok=True,
        description="All categories, each before those below it.",
    )
    regulated_products = query(resolvers.regulated_products, connection(Product), who=PUBLIC, stale_ok=True)
    regulated_product = query(resolvers.regulated_product, Product | None, who=PUBLIC, stale_ok=True)
    accessories = query(resolvers.accessories, connection(Product), who=PUBLIC, stale_ok=True)
    accessory = query(resolvers.accessory, Product | None, who=PUBLIC, stale_ok=True)
    catalog_policy = query(resolvers.catalog_policy, CatalogPolicy, who=WRITE)


@strawberry.type
class Mutation:
    create_product = _product(resolvers.create_product, CONTENT_ERRORS)
    update_product = _product(resolvers.update_product, CONTENT_ERRORS)
    delete_product = command(resolvers.delete_product, DeletedProduct, errors=[Forbidden], who=WRITE)
    publish_product = _product(resolvers.publish_product, STATE_ERRORS, PUBLISH)
    hide_product = _product(resolvers.hide_product, STATE_ERRORS)
    archive_product = _product(resolvers.archive_product, STATE_ERRORS)
    approve_product = _product(resolvers.approve_product, STATE_ERRORS, MODERATE)
    reject_product = _product(resolvers.reject_product, STATE_ERRORS, MODERATE)
    mark_product_suspicious = _product(resolvers.mark_product_suspicious, STATE_ERRORS, MODERATE)
    block_product = _product(resolvers.block_product, STATE_ERRORS, MODERATE)
    revert_product_version = _product(resolvers.revert_product_version, CONTENT_ERRORS)
    add_variant = _product(resolvers.add_variant, CONTENT_ERRORS)
    update_variant = _product(resolvers.update_variant, CONTENT_ERRORS)
    remove_variant = _product(resolvers.remove_variant, [Forbidden])
    add_product_image = _product(resolvers.add_product_image, [Forbidden])
    remove_product_image = _product(resolvers.remove_product_image, [Forbidden])
    reorder_images = _product(resolvers.reorder_images, [Forbidden])
    create_accessory = _product(resolvers.create_accessory, CONTENT_ERRORS)
    update_accessory = _product(resolvers.update_accessory, CONTENT_ERRORS)
    categorize_accessory = _product(resolvers.categorize_accessory, CONTENT_ERRORS)
    create_category = _category(resolvers.create_category)
    update_category = _category(resolvers.update_category)
    move_category = _category(resolvers.move_category)
    delete_category = command(resolvers.delete_category, DeletedCategory, errors=[domain.CategoryInUse], who=MANAGE)
    set_catalog_policy = command(resolvers.set_catalog_policy, CatalogPolicy, who=MANAGE)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product, ProductVariant, Category])
