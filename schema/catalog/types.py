"""The types of the catalogue."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import catalog as domain
from resolvers import catalog as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import PUBLIC, Money, Node, attribute, bulk, computed, connection, money, owner_or
from schema.scalars import JSON

HERE = strawberry.lazy("schema.catalog.types")

for _choices in (
    domain.AttributeType,
    domain.CategoryKind,
    domain.ProductSort,
    domain.ProductState,
    domain.ProductType,
):
    enum_of(_choices)


LANGUAGE = "In a language (BCP 47), else in the request's; the default text where there is no translation."


Amount = tuple[int | None, str | None]


def _amounts(_context: Context, amounts: Sequence[Amount]) -> list[Money | None]:
    return [None if minor is None or currency is None else money(minor, currency) for minor, currency in amounts]


def _price(column: str, **options: Any) -> Any:
    return computed(_amounts, Money | None, key=(column, "currency"), **options)


async def _unit_costs(context: Context, amounts: Sequence[Amount]) -> list[Money | None]:
    return _amounts(context, amounts)


def _text(name: str) -> Any:
    def texts(context: Context, rows: Sequence[tuple[Any, Any]], language: str | None = None) -> list[Any]:
        wanted = language or context.locale
        return [
            (translations and domain.translated(translations, wanted, name)) or default
            for translations, default in rows
        ]

    return computed(texts, str, key=("translations", name), description=LANGUAGE)


@strawberry.type(description="An attribute that a category's products have.")
class AttributeDefinition:
    name: str
    type: domain.AttributeType
    unit: str | None
    required: bool
    allowed_values: list[str]
    facetable: bool


@strawberry.type(description="An attribute of a product.")
class AttributeValue:
    name: str
    value: JSON = strawberry.field(description="A text, a number, a boolean, or a list of texts.")


@strawberry.type(description="What sets a variant apart from its siblings.")
class OptionValue:
    name: str
    value: str


@strawberry.type(description="An image in another size.")
class Rendition:
    size: str
    url: str


@strawberry.federation.type(keys=["id"], description="A place that sells; tenancy says which.")
class Store:
    id: UUID


@strawberry.type(description="A picture of a product.")
class ProductImage:
    id: UUID
    url: str | None
    object_key: str | None
    alt_text: str
    position: int
    renditions = computed(
        lambda row, _context: [{"size": size, "url": url} for size, url in row.renditions.items()], list[Rendition]
    )


@strawberry.type(
    description="What the law asks of a regulated product; an amount is in the unit that `unitOfMeasure` names."
)
class RegulatedDetails:
    subcategory: str | None
    sub_subcategory: str | None
    plant_type: str | None
    product_form: str | None
    total_mg: Decimal | None
    cbd_min: Decimal | None
    cbd_max: Decimal | None
    thc_min: Decimal | None
    thc_max: Decimal | None
    terpene_profile: str | None
    volume_ml: Decimal | None
    pieces: int | None
    price_per_unit = _price("price_per_unit_minor")
    msrp = _price("msrp_minor")
    unit_of_measure: str | None
    allergens: str | None
    ingredients: str | None


def _named_values(column: str) -> Any:
    return lambda row, _context: [
        {"name": name, "value": value} for name, value in sorted(getattr(row, column).items())
    ]


@strawberry.federation.type(keys=["id", "sku"], description="One way to buy a product.")
class ProductVariant(Node):
    __references__ = {"id": resolvers.variants_by_id, "sku": resolvers.variants_by_sku}

    id: UUID
    sku: str
    name: str
    price = _price("price_minor", description="Its own price, else the product's.")
    options = computed(_named_values("options"), list[OptionValue])
    barcode: str | None
    position: int
    product_id: UUID
    product: Annotated["Product", HERE] = bulk(resolvers.products_by_id, key="product_id", who=PUBLIC)


@strawberry.federation.type(keys=["id", "sku"], description="Goods as their seller describes them.")
class Product(Node):
    __references__ = {"id": resolvers.products_by_id, "sku": resolvers.products_by_sku}

    id: UUID
    version: int
    sku: str
    slug: str
    name = _text("name")
    description = _text("description")
    brand: str
    gtin: str | None
    product_type: domain.ProductType
    state: domain.ProductState
    state_reason: str | None = attribute(who=owner_or("catalog.moderate", "seller_id"))
    price = _price("price_minor")
    compare_at_price = _price("compare_at_minor", description="The price before a discount.")
    unit_cost: Money | None = bulk(
        _unit_costs, key=("unit_cost_minor", "currency"), who=owner_or("catalog.write.any", "seller_id")
    )
    attributes = computed(_named_values("attributes"), list[AttributeValue])
    weight_grams: int | None
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None
    seller_id: UUID
    store = computed(lambda row, _context: Store(id=row.store_id) if row.store_id else None, Store | None)
    category_id: UUID | None
    category: Annotated["Category", HERE] | None = bulk(resolvers.categories_by_id, key="category_id", who=PUBLIC)
    breadcrumbs: list[Annotated["Category", HERE]] | None = bulk(
        resolvers.lines_of_categories, key="category_id", who=PUBLIC, description="The categories from the root down."
    )
    variants: list[ProductVariant] = bulk(resolvers.variants_of_products, key="id", who=PUBLIC)
    images: list[ProductImage] = bulk(resolvers.images_of_products, key="id", who=PUBLIC)
    regulated: RegulatedDetails | None = bulk(resolvers.regulated_details_of_products, key="id", who=PUBLIC)
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime


@strawberry.federation.type(keys=["id"], description="A branch of the tree that goods are found in.")
class Category(Node):
    __references__ = {"id": resolvers.categories_by_id}

    id: UUID
    version: int
    name = _text("name")
    description = _text("description")
    slug: str
    kind: domain.CategoryKind
    parent_id: UUID | None
    depth: int = strawberry.federation.field(description="1 at the top.")
    sort_order: int
    is_active: bool
    image_url: str | None
    attributes: list[AttributeDefinition] = strawberry.federation.field(
        description="The category's own part of the schema."
    )
    parent: Annotated["Category", HERE] | None = bulk(resolvers.categories_by_id, key="parent_id", who=PUBLIC)
    children: list[Annotated["Category", HERE]] = bulk(resolvers.children_of_categories, key="id", who=PUBLIC)
    path: list[Annotated["Category", HERE]] = bulk(
        resolvers.lines_of_categories, key="id", who=PUBLIC, description="From the root down to the category itself."
    )
    schema: list[AttributeDefinition] = bulk(
        resolvers.schemas_of_categories,
        key="id",
        who=PUBLIC,
        description="The attributes of its products, inherited ones included.",
    )
    product_count: int = bulk(
        resolvers.product_counts_of_categories,
        key="id",
        who=PUBLIC,
        description="Active products in and below the category.",
    )
    products: connection(Product) = bulk(  # type: ignore[valid-type]
        resolvers.products_of_categories, key="id", who=PUBLIC, description="In and below the category."
    )


@strawberry.type(description="What one change did to one field.")
class FieldChange:
    field: str
    old: JSON | None
    new: JSON | None


@strawberry.type(description="What a product was after one change.")
class ProductVersion:
    id: UUID
    product_id: UUID
    version: int
    changes = computed(
        lambda row, _context: [
            {"field": name, "old": old, "new": new} for name, (old, new) in sorted(row.changes.items())
        ],
        list[FieldChange],
    )
    content: JSON
    author_id: UUID | None
    recorded_at: datetime


@strawberry.type(description="What is left of a deleted product: its names, free to be used again.")
class DeletedProduct:
    __reads__ = (domain.Product,)

    id: UUID
    sku: str
    slug: str


@strawberry.type(description="What is left of a deleted category.")
class DeletedCategory:
    __reads__ = (domain.Category,)

    id: UUID
    slug: str


@strawberry.type(description="What the tenant has decided about its catalogue.")
class CatalogPolicy:
    __reads__ = (domain.CatalogPolicy,)

    moderation_required: bool = strawberry.field(description="Moderators see a product before the public does.")
