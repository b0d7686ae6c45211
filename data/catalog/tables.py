"""The catalogue's tables, and the aggregates mapped onto them."""

from dataclasses import fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import composite, foreign, relationship
from sqlalchemy.types import TypeDecorator

from data.kernel import (
    TENANT_OWNED,
    Choice,
    json_column,
    map_aggregate,
    mapping,
    metadata,
    money_column,
    refuses,
    tenant_table,
    timestamp,
)
from domain.catalog.attributes import AttributeDefinition
from domain.catalog.categories import Category, CategoryInUse, CategoryKind
from domain.catalog.content import RegulatedDetails
from domain.catalog.lifecycle import ProductState, ProductType
from domain.catalog.products import Product, ProductImage, ProductVariant, RegulatedProduct
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists, DomainError, InvalidInput, NotFound

LIVE = text("deleted_at IS NULL")
SHOWN = text("deleted_at IS NULL AND state = 'active'")


class JsonOf(TypeDecorator[Any]):
    """Domain values kept as JSONB."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — see above.
        return from_json(value, self.kind)


def _part_of_product(column: str = "product_id") -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", column], ["catalog.product.tenant_id", "catalog.product.id"], ondelete="CASCADE"
    )


category = tenant_table(
    "catalog",
    "category",
    Column("parent_id", Uuid),
    Column("path", Text(collation="C"), nullable=False),
    Column("depth", Integer, Computed("length(path) / 33", persisted=True), nullable=False),
    Column("kind", Choice(CategoryKind), nullable=False, server_default="general"),
    Column("name", Text, nullable=False),
    Column("slug", Text(collation="C"), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("image_url", Text),
    Column("sort_order", Integer, nullable=False, server_default="0"),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("attributes", JsonOf(tuple[AttributeDefinition, ...]), nullable=False, server_default="[]"),
    json_column("translations"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "slug"),
    UniqueConstraint("tenant_id", "path"),
    CheckConstraint("parent_id <> id", name="not_its_own_parent"),
    CheckConstraint("depth BETWEEN 1 AND 10", name="depth"),
    CheckConstraint(
        "right(path, 33) = replace(id::text, '-', '') || '/' AND (parent_id IS NULL) = (depth = 1)",
        name="path_ends_in_itself",
    ),
    ForeignKeyConstraint(["tenant_id", "parent_id"], ["catalog.category.tenant_id", "catalog.category.id"]),
    Index("ix_category_parent_id", "tenant_id", "parent_id", "sort_order", "id"),
)

product = tenant_table(
    "catalog",
    "product",
    Column("seller_id", Uuid, nullable=False),
    Column("store_id", Uuid),
    Column("category_id", Uuid),
    Column("product_type", Choice(ProductType), nullable=False, server_default="general"),
    Column("state", Choice(ProductState), nullable=False, server_default="draft"),
    Column("state_reason", Text),
    Column("name", Text, nullable=False),
    Column("name_key", Text(collation="C"), Computed("left(lower(name), 100)", persisted=True), nullable=False),
    Column("slug", Text(collation="C"), nullable=False),
    Column("sku", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("brand", Text, nullable=False, server_default=""),
    Column("gtin", Text),
    money_column("price_minor", nullable=True),
    money_column("compare_at_minor", nullable=True),
    money_column("unit_cost_minor", nullable=True),
    Column("currency", Text),
    Column(
        "price_key", BigInteger, Computed("coalesce(price_minor, 9007199254740991)", persisted=True), nullable=False
    ),
    json_column("attributes"),
    Column("weight_grams", Integer),
    Column("width_mm", Integer),
    Column("height_mm", Integer),
    Column("depth_mm", Integer),
    json_column("translations"),
    timestamp("published_at", nullable=True),
    timestamp("deleted_at", nullable=True),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    CheckConstraint("unit_cost_minor >= 0", name="unit_cost_not_negative"),
    CheckConstraint("compare_at_minor >= price_minor", name="compare_at_not_below_price"),
    CheckConstraint(
        "price_minor IS NOT NULL AND currency IS NOT NULL "
        "OR coalesce(price_minor, compare_at_minor, unit_cost_minor) IS NULL",
        name="prices_have_a_currency",
    ),
    UniqueConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "category_id"], ["catalog.category.tenant_id", "catalog.category.id"]),
    Index("ux_product_sku", "tenant_id", "sku", unique=True, postgresql_where=LIVE),
    Index("ux_product_slug", "tenant_id", "slug", unique=True, postgresql_where=LIVE),
    Index("ix_product_category_id", "tenant_id", "category_id", "id", postgresql_where=SHOWN),
    Index("ix_product_category_id_price_key", "tenant_id", "category_id", "price_key", "id", postgresql_where=SHOWN),
    Index("ix_product_seller_id", "tenant_id", "seller_id", "id"),
    Index("ix_product_updated_at", "tenant_id", "updated_at"),
    Index("ix_product_brand", "tenant_id", "brand", "id", postgresql_where=LIVE),
    Index("ix_product_price_key", "tenant_id", "price_key", "id", postgresql_where=LIVE),
    Index("ix_product_name_key", "tenant_id", "name_key", "id", postgresql_where=LIVE),
)

product_variant = tenant_table(
    "catalog",
    "product_variant",
    Column("product_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("sku", Text, nullable=False),
    money_column("price_minor", nullable=True),
    json_column("options"),
    Column("barcode", Text),
    Column("position", Integer, nullable=False, server_default="0"),
    timestamp("deleted_at", nullable=True),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    _part_of_product(),
    Index("ux_product_variant_sku", "tenant_id", "sku", unique=True, postgresql_where=LIVE),
    Index("ix_product_variant_product_id", "product_id", "position"),
    root=False,
)

product_image = tenant_table(
    "catalog",
    "product_image",
    Column("product_id", Uuid, nullable=False),
    Column("url", Text),
    Column("object_key", Text),
    Column("alt_text", Text, nullable=False, server_default=""),
    Column("position", Integer, nullable=False, server_default="0"),
    json_column("renditions"),
    CheckConstraint("(url IS NULL) <> (object_key IS NULL)", name="url_or_object_key"),
    _part_of_product(),
    Index("ix_product_image_product_id", "product_id", "position"),
    root=False,
)

regulated_product = tenant_table(
    "catalog",
    "regulated_product",
    Column("subcategory", Text),
    Column("sub_subcategory", Text),
    Column("plant_type", Text),
    Column("product_form", Text),
    Column("total_mg", Numeric),
    Column("cbd_min", Numeric),
    Column("cbd_max", Numeric),
    Column("thc_min", Numeric),
    Column("thc_max", Numeric),
    Column("terpene_profile", Text),
    Column("volume_ml", Numeric),
    Column("pieces", Integer),
    money_column("price_per_unit_minor", nullable=True),
    money_column("msrp_minor", nullable=True),
    Column("unit_of_measure", Text),
    Column("allergens", Text),
    Column("ingredients", Text),
    CheckConstraint("cbd_min <= cbd_max", name="cbd_range"),
    CheckConstraint("thc_min <= thc_max", name="thc_range"),
    _part_of_product("id"),
    root=False,
)

# Entered by triggers on product and product_variant, whoever writes there: the primary key keeps a SKU single.
sku = Table(
    "sku",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    PrimaryKeyConstraint("tenant_id", "sku"),
    Index("ix_sku_product_id", "product_id", "variant_id"),
    schema="catalog",
    info={TENANT_OWNED: True},
)

product_version = tenant_table(
    "catalog",
    "product_version",
    Column("product_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    json_column("changes"),
    json_column("content"),
    Column("author_id", Uuid),
    timestamp("recorded_at"),
    UniqueConstraint("tenant_id", "product_id", "version"),
    _part_of_product(),
    root=False,
)

policy = Table(
    "policy",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("moderation_required", Boolean, nullable=False, server_default="false"),
    schema="catalog",
    info={TENANT_OWNED: True},
)

mapping.map_imperatively(ProductVariant, product_variant)
mapping.map_imperatively(ProductImage, product_image)
mapping.map_imperatively(
    RegulatedProduct,
    regulated_product,
    properties={
        "details": composite(RegulatedDetails, *(regulated_product.c[each.name] for each in fields(RegulatedDetails)))
    },
)


def _parts(kind: type, key: Column[Any], **options: Any) -> Any:
    return relationship(
        kind,
        primaryjoin=product.c.id == foreign(key),
        lazy="selectin",
        cascade="all, delete-orphan",
        passive_deletes=True,
        **options,
    )


map_aggregate(Category, category)
map_aggregate(
    Product,
    product,
    variants=_parts(ProductVariant, product_variant.c.product_id, order_by=product_variant.c.position),
    images=_parts(ProductImage, product_image.c.product_id, order_by=product_image.c.position),
    regulated=_parts(RegulatedProduct, regulated_product.c.id, uselist=False),
)


def _taken(kind: str) -> Any:
    # Row-level security keeps PostgreSQL from saying which value it was; handlers ask beforehand and can say it.
    return lambda _: AlreadyExists(kind=kind, value="of that name")


for _constraint in ("pk_sku", "ux_product_sku", "ux_product_variant_sku"):
    refuses(_constraint, _taken("SKU"))
for _constraint in ("ux_product_slug", "uq_category_tenant_id_slug"):
    refuses(_constraint, _taken("Slug"))


def _category_gone(detail: str) -> DomainError:
    if "still referenced" in detail:
        return CategoryInUse(category_id="")
    return NotFound(kind="Category", id="")


refuses("fk_product_tenant_id_category_id", _category_gone)
refuses("fk_category_tenant_id_parent_id", _category_gone)
refuses(
    "ck_product_compare_at_not_below_price", lambda _: InvalidInput(field="compareAtPrice", reason="below the price")
)
refuses("ck_product_price_not_negative", lambda _: InvalidInput(field="price", reason="negative"))
