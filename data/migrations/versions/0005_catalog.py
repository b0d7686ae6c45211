"""Catalogue: categories, products with variants, images and regulated details, SKUs, history, policy."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0005"
down_revision = "0004"

LIVE = sa.text("deleted_at IS NULL")
SHOWN = sa.text("deleted_at IS NULL AND state = 'active'")


def upgrade() -> None:
    create_schema("catalog")
    _create_category()
    _create_product()
    _create_variant()
    _create_image()
    _create_regulated_product()
    _create_sku()
    _create_history()
    _create_policy()


def _owned(*, root: bool) -> list[sa.Column]:
    own = [sa.Column("id", sa.Uuid, primary_key=True), sa.Column("tenant_id", sa.Uuid, nullable=False)]
    if root:
        own += [
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
            sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        ]
    return own


def _json(name: str, default: str = "{}") -> sa.Column:
    return sa.Column(name, postgresql.JSONB, nullable=False, server_default=default)


def _child_of_product(table: str, column: str = "product_id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        ["catalog.product.tenant_id", "catalog.product.id"],
        name=f"fk_{table}_tenant_id_{column}",
        ondelete="CASCADE",
    )


def _create_category() -> None:
    op.create_table(
        "category",
        *_owned(root=True),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("depth", sa.Integer, sa.Computed("length(path) / 33", persisted=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False, server_default="general"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("image_url", sa.Text),
        sa.Column("sort_order", sa.Integer, nullable=False, server_default="0"),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        _json("attributes", "[]"),
        _json("translations"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_category_tenant_id_id"),
        sa.UniqueConstraint("tenant_id", "slug", name="uq_category_tenant_id_slug"),
        sa.UniqueConstraint("tenant_id", "path", name="uq_category_tenant_id_path"),
        sa.CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        sa.CheckConstraint("depth BETWEEN 1 AND 10", name="depth"),
        sa.CheckConstraint(
            "right(path, 33) = replace(id::text, '-', '') || '/' AND (parent_id IS NULL) = (depth = 1)",
            name="path_ends_in_itself",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "parent_id"],
            ["catalog.category.tenant_id", "catalog.category.id"],
            name="fk_category_tenant_id_parent_id",
        ),
        sa.Index("ix_category_parent_id", "tenant_id", "parent_id", "sort_order", "id"),
        schema="catalog",
    )
    isolate("catalog.category")


def _create_product() -> None:
    op.create_table(
        "product",
        *_owned(root=True),
        sa.Column("seller_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid),
        sa.Column("category_id", sa.Uuid),
        sa.Column("product_type", sa.Text, nullable=False, server_default="general"),
        sa.Column("state", sa.Text, nullable=False, server_default="draft"),
        sa.Column("state_reason", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "name_key", sa.Text(collation="C"), sa.Computed("left(lower(name), 100)", persisted=True), nullable=False
        ),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("brand", sa.Text, nullable=False, server_default=""),
        sa.Column("gtin", sa.Text),
        sa.Column("price_minor", sa.BigInteger),
        sa.Column("compare_at_minor", sa.BigInteger),
        sa.Column("unit_cost_minor", sa.BigInteger),
        sa.Column("currency", sa.Text),
        # A product without a price sorts after all prices, and a keyset has no room for NULL.
        sa.Column(
            "price_key",
            sa.BigInteger,
            sa.Computed("coalesce(price_minor, 9007199254740991)", persisted=True),
            nullable=False,
        ),
        _json("attributes"),
        sa.Column("weight_grams", sa.Integer),
        sa.Column("width_mm", sa.Integer),
        sa.Column("height_mm", sa.Integer),
        sa.Column("depth_mm", sa.Integer),
        _json("translations"),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.CheckConstraint("unit_cost_minor >= 0", name="unit_cost_not_negative"),
        sa.CheckConstraint("compare_at_minor >= price_minor", name="compare_at_not_below_price"),
        sa.CheckConstraint(
            "price_minor IS NOT NULL AND currency IS NOT NULL OR coalesce(price_minor, compare_at_minor, unit_cost_minor) IS NULL",
            name="prices_have_a_currency",
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_product_tenant_id_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "category_id"],
            ["catalog.category.tenant_id", "catalog.category.id"],
            name="fk_product_tenant_id_category_id",
        ),
        sa.Index("ux_product_sku", "tenant_id", "sku", unique=True, postgresql_where=LIVE),
        sa.Index("ux_product_slug", "tenant_id", "slug", unique=True, postgresql_where=LIVE),
        sa.Index("ix_product_category_id", "tenant_id", "category_id", "id", postgresql_where=SHOWN),
        sa.Index("ix_product_seller_id", "tenant_id", "seller_id", "id"),
        sa.Index("ix_product_updated_at", "tenant_id", "updated_at"),
        sa.Index("ix_product_brand", "tenant_id", "brand", "id", postgresql_where=LIVE),
        sa.Index("ix_product_price_key", "tenant_id", "price_key", "id", postgresql_where=LIVE),
        sa.Index("ix_product_name_key", "tenant_id", "name_key", "id", postgresql_where=LIVE),
        schema="catalog",
    )
    isolate("catalog.product")


def _create_variant() -> None:
    op.create_table(
        "product_variant",
        *_owned(root=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger),
        _json("options"),
        sa.Column("barcode", sa.Text),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        _child_of_product("product_variant"),
        sa.Index("ux_product_variant_sku", "tenant_id", "sku", unique=True, postgresql_where=LIVE),
        sa.Index("ix_product_variant_product_id", "product_id", "position"),
        schema="catalog",
    )
    isolate("catalog.product_variant")


def _create_image() -> None:
    op.create_table(
        "product_image",
        *_owned(root=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("object_key", sa.Text),
        sa.Column("alt_text", sa.Text, nullable=False, server_default=""),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        _json("renditions"),
        sa.CheckConstraint("(url IS NULL) <> (object_key IS NULL)", name="url_or_object_key"),
        _child_of_product("product_image"),
        sa.Index("ix_product_image_product_id", "product_id", "position"),
        schema="catalog",
    )
    isolate("catalog.product_image")


def _create_regulated_product() -> None:
    op.create_table(
        "regulated_product",
        *_owned(root=False),
        *(sa.Column(name, sa.Text) for name in ("subcategory", "sub_subcategory", "plant_type", "product_form")),
        *(sa.Column(name, sa.Numeric) for name in ("total_mg", "cbd_min", "cbd_max", "thc_min", "thc_max")),
        sa.Column("terpene_profile", sa.Text),
        sa.Column("volume_ml", sa.Numeric),
        sa.Column("pieces", sa.Integer),
        sa.Column("price_per_unit_minor", sa.BigInteger),
        sa.Column("msrp_minor", sa.BigInteger),
        *(sa.Column(name, sa.Text) for name in ("unit_of_measure", "allergens", "ingredients")),
        sa.CheckConstraint("cbd_min <= cbd_max", name="cbd_range"),
        sa.CheckConstraint("thc_min <= thc_max", name="thc_range"),
        _child_of_product("regulated_product", "id"),
        schema="catalog",
    )
    isolate("catalog.regulated_product")


def _create_sku() -> None:
    # One register for products and variants together: its primary key is what keeps a SKU from being used twice.
    op.create_table(
        "sku",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("variant_id", sa.Uuid),
        sa.PrimaryKeyConstraint("tenant_id", "sku", name="pk_sku"),
        sa.Index("ix_sku_product_id", "product_id", "variant_id"),
        schema="catalog",
    )
    isolate("catalog.sku")
    for table, product, variant in (
        ("product", "{}.id", "NULL::uuid"),
        ("product_variant", "{}.product_id", "{}.id"),
    ):
        _keep_register(table, product, variant)


def _keep_register(table: str, product: str, variant: str) -> None:
    """Make triggers that enter a table's SKUs: a statement's inserts all at once, a change of a SKU by itself."""
    entry = f"{{0}}.tenant_id, {{0}}.sku, {product.format('{0}')}, {variant.format('{0}')}"
    own = f"product_id = {product.format('OLD')} AND variant_id IS NOT DISTINCT FROM {variant.format('OLD')}"
    op.execute(
        f"CREATE FUNCTION catalog.{table}_skus_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"INSERT INTO catalog.sku (tenant_id, sku, product_id, variant_id) "
        f"SELECT {entry.format('fresh')} FROM fresh WHERE fresh.deleted_at IS NULL; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE FUNCTION catalog.{table}_sku_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"DELETE FROM catalog.sku WHERE {own}; "
        f"IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NULL THEN "
        f"INSERT INTO catalog.sku (tenant_id, sku, product_id, variant_id) SELECT {entry.format('NEW')}; "
        f"END IF; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER skus_inserted AFTER INSERT ON catalog.{table} REFERENCING NEW TABLE AS fresh "
        f"FOR EACH STATEMENT EXECUTE FUNCTION catalog.{table}_skus_inserted()"
    )
    op.execute(
        f"CREATE TRIGGER sku_changed AFTER UPDATE ON catalog.{table} FOR EACH ROW "
        f"WHEN (OLD.sku IS DISTINCT FROM NEW.sku OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) "
        f"EXECUTE FUNCTION catalog.{table}_sku_changed()"
    )
    op.execute(
        f"CREATE TRIGGER sku_deleted AFTER DELETE ON catalog.{table} FOR EACH ROW "
        f"EXECUTE FUNCTION catalog.{table}_sku_changed()"
    )


def _create_history() -> None:
    op.create_table(
        "product_version",
        *_owned(root=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _json("changes"),
        _json("content"),
        sa.Column("author_id", sa.Uuid),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("product_id", "version", name="uq_product_version_product_id_version"),
        _child_of_product("product_version"),
        schema="catalog",
    )
    # What a product was, it was: history is appended to and never rewritten.
    op.execute("REVOKE UPDATE, DELETE ON catalog.product_version FROM agora_app, agora_system")
    isolate("catalog.product_version")


def _create_policy() -> None:
    op.create_table(
        "policy",
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("moderation_required", sa.Boolean, nullable=False, server_default=sa.false()),
        schema="catalog",
    )
    isolate("catalog.policy")
