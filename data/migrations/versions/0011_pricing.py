"""Pricing: price lists and their history, rules, promotions, codes, flash sales, what was used of them, and loyalty."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0011"
down_revision = "0010"


def _own(*, root: bool = True) -> list[sa.Column]:
    columns = [sa.Column("id", sa.Uuid, primary_key=True), sa.Column("tenant_id", sa.Uuid, nullable=False)]
    if root:
        columns += [
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
            sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        ]
    return columns


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _terms() -> sa.Column:
    return sa.Column("terms", postgresql.JSONB, nullable=False)


def _window(*, ends: bool = False) -> list[sa.Column]:
    return [_instant("starts_at"), _instant("ends_at", nullable=not ends)]


def upgrade() -> None:
    create_schema("pricing")
    _create_prices()
    _create_campaigns()
    _create_uses()
    _create_loyalty()


def _create_prices() -> None:
    op.create_table(
        "price_list",
        *_own(),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("store_id", sa.Uuid),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("tier", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        *_window(),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "seller_id",
            "name",
            name="uq_price_list_tenant_id_seller_id_name",
            postgresql_nulls_not_distinct=True,
        ),
        schema="pricing",
    )
    op.create_table(
        "list_price",
        *_own(root=False),
        sa.Column("list_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("min_quantity", sa.Integer, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.CheckConstraint("price_minor >= 0 AND min_quantity >= 1", name="price_not_negative"),
        sa.UniqueConstraint("list_id", "sku", "min_quantity", name="uq_list_price_list_id_sku_min_quantity"),
        sa.Index("ix_list_price_sku", "tenant_id", "sku"),
        schema="pricing",
    )
    op.create_table(
        "price_history",
        *_own(root=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("min_quantity", sa.Integer, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_id", sa.Uuid, nullable=False),
        sa.Column("old_minor", sa.BigInteger),
        sa.Column("new_minor", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("changed_by", sa.Uuid),
        _instant("changed_at"),
        sa.Index("ix_price_history_sku", "tenant_id", "sku", "id"),
        schema="pricing",
    )
    op.create_table(
        "exchange_rate",
        *_own(root=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("rate", sa.Numeric, nullable=False),
        _instant("valid_from"),
        sa.CheckConstraint("rate > 0", name="rate_positive"),
        sa.UniqueConstraint(
            "tenant_id", "target", "source", "valid_from", name="uq_exchange_rate_tenant_id_target_source_valid_from"
        ),
        schema="pricing",
    )
    op.execute("REVOKE UPDATE, DELETE ON pricing.price_history FROM agora_app, agora_system")
    for table in ("price_list", "list_price", "price_history", "exchange_rate"):
        isolate(f"pricing.{table}")


def _create_campaigns() -> None:
    op.create_table(
        "pricing_rule",
        *_own(),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        _terms(),
        *_window(),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Index("ix_pricing_rule_seller_id", "tenant_id", "seller_id", "id"),
        schema="pricing",
    )
    op.create_table(
        "promotion",
        *_own(),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        _terms(),
        *_window(),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("usage_limit", sa.Integer),
        sa.Column("per_customer", sa.Integer),
        sa.Index("ix_promotion_seller_id", "tenant_id", "seller_id", "id"),
        sa.Index(
            "ix_promotion_running",
            "tenant_id",
            "seller_id",
            postgresql_where=sa.text("state IN ('scheduled', 'active', 'exhausted')"),
        ),
        schema="pricing",
    )
    op.create_table(
        "discount_code",
        *_own(),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        _terms(),
        *_window(),
        sa.Column("usage_limit", sa.Integer),
        sa.Column("per_customer", sa.Integer),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.UniqueConstraint("tenant_id", "code", name="uq_discount_code_tenant_id_code"),
        schema="pricing",
    )
    op.create_table(
        "flash_sale",
        *_own(),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("name", sa.Text, nullable=False),
        *_window(ends=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("live_session_id", sa.Uuid),
        sa.Column("per_customer", sa.Integer),
        sa.Index("ix_flash_sale_seller_id", "tenant_id", "seller_id", "id"),
        schema="pricing",
    )
    op.create_table(
        "flash_item",
        *_own(root=False),
        sa.Column("sale_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.UniqueConstraint("sale_id", "sku", name="uq_flash_item_sale_id_sku"),
        sa.Index("ix_flash_item_sku", "tenant_id", "sku"),
        schema="pricing",
    )
    for table in ("pricing_rule", "promotion", "discount_code", "flash_sale", "flash_item"):
        isolate(f"pricing.{table}")


def _create_uses() -> None:
    op.create_table(
        "allowance",
        *_own(root=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("usage_limit", sa.Integer),
        sa.Column("per_customer", sa.Integer),
        sa.CheckConstraint("used >= 0 AND (usage_limit IS NULL OR used <= usage_limit)", name="used_within_limit"),
        schema="pricing",
    )
    op.create_table(
        "customer_allowance",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("customer_id", sa.Uuid, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("usage_limit", sa.Integer, nullable=False),
        sa.CheckConstraint("used BETWEEN 0 AND usage_limit", name="used_within_limit"),
        sa.PrimaryKeyConstraint("subject_id", "customer_id", name="pk_customer_allowance"),
        schema="pricing",
    )
    op.create_table(
        "discount_use",
        *_own(root=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        _instant("used_at"),
        _instant("returned_at", nullable=True),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.UniqueConstraint("tenant_id", "order_id", "subject_id", name="uq_discount_use_tenant_id_order_id_subject_id"),
        sa.Index("ix_discount_use_subject_id", "tenant_id", "subject_id"),
        schema="pricing",
    )
    for table in ("allowance", "customer_allowance", "discount_use"):
        isolate(f"pricing.{table}")


def _create_loyalty() -> None:
    op.create_table(
        "loyalty_program",
        *_own(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("earn_rate", sa.Numeric, nullable=False),
        sa.Column("point_value", sa.Numeric, nullable=False),
        sa.Column("tiers", postgresql.JSONB, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.CheckConstraint("earn_rate > 0 AND point_value > 0", name="rates_positive"),
        sa.UniqueConstraint("tenant_id", name="uq_loyalty_program_tenant_id"),
        schema="pricing",
    )
    op.create_table(
        "loyalty_account",
        *_own(),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("lifetime_points", sa.Integer, nullable=False),
        sa.Column("tier", sa.Text),
        sa.CheckConstraint("points >= 0 AND lifetime_points >= 0", name="points_not_negative"),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_loyalty_account_tenant_id_user_id"),
        schema="pricing",
    )
    op.create_table(
        "loyalty_entry",
        *_own(root=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("balance_after", sa.Integer, nullable=False),
        sa.Column("basis_minor", sa.BigInteger),
        sa.Column("order_id", sa.Uuid),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("performed_by", sa.Uuid),
        _instant("performed_at"),
        sa.CheckConstraint("balance_after >= 0", name="balance_not_negative"),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "kind", "reference", name="uq_loyalty_entry_tenant_id_user_id_kind_reference"
        ),
        sa.Index("ix_loyalty_entry_user_id", "tenant_id", "user_id", "id"),
        sa.Index("ix_loyalty_entry_order_id", "tenant_id", "order_id"),
        schema="pricing",
    )
    op.execute("REVOKE UPDATE, DELETE ON pricing.loyalty_entry FROM agora_app, agora_system")
    for table in ("loyalty_program", "loyalty_account", "loyalty_entry"):
        isolate(f"pricing.{table}")
