"""Tables of pricing, and the aggregates that are mapped onto them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
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
from sqlalchemy.types import TypeDecorator

from data.kernel import TENANT_OWNED, Choice, map_aggregate, metadata, money_column, refuses, tenant_table, timestamp
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists, ConcurrentModification
from domain.pricing import (
    CampaignState,
    CodeTerms,
    DiscountCode,
    DiscountKind,
    FlashSale,
    InsufficientPoints,
    LoyaltyAccount,
    LoyaltyProgram,
    LoyaltyTier,
    PointsKind,
    PriceList,
    PriceListKind,
    PricingRule,
    Promotion,
    PromotionExhausted,
    PromotionKind,
    PromotionTerms,
    RuleKind,
    RuleTerms,
    UseKind,
)

RUNNING = "state IN ('scheduled', 'active', 'exhausted')"


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


def _window(*, ends: bool = False) -> list[Column[Any]]:
    return [timestamp("starts_at"), timestamp("ends_at", nullable=not ends)]


price_list = tenant_table(
    "pricing",
    "price_list",
    Column("seller_id", Uuid),
    Column("name", Text, nullable=False),
    Column("kind", Choice(PriceListKind), nullable=False),
    Column("store_id", Uuid),
    Column("customer_id", Uuid),
    Column("tier", Text),
    Column("region", Text),
    Column("currency", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    *_window(),
    Column("is_active", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "seller_id", "name", postgresql_nulls_not_distinct=True),
)

list_price = tenant_table(
    "pricing",
    "list_price",
    Column("list_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("min_quantity", Integer, nullable=False),
    money_column("price_minor"),
    CheckConstraint("price_minor >= 0 AND min_quantity >= 1", name="price_not_negative"),
    UniqueConstraint("tenant_id", "list_id", "sku", "min_quantity"),
    Index("ix_list_price_sku", "tenant_id", "sku"),
    root=False,
)

price_history = tenant_table(
    "pricing",
    "price_history",
    Column("sku", Text, nullable=False),
    Column("min_quantity", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Uuid, nullable=False),
    money_column("old_minor", nullable=True),
    money_column("new_minor", nullable=True),
    Column("reason", Text),
    Column("changed_by", Uuid),
    timestamp("changed_at"),
    Index("ix_price_history_sku", "tenant_id", "sku", "id"),
    root=False,
)

exchange_rate = tenant_table(
    "pricing",
    "exchange_rate",
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("rate", Numeric, nullable=False),
    timestamp("valid_from"),
    CheckConstraint("rate > 0", name="rate_positive"),
    UniqueConstraint("tenant_id", "target", "source", "valid_from"),
    root=False,
)

pricing_rule = tenant_table(
    "pricing",
    "pricing_rule",
    Column("seller_id", Uuid),
    Column("name", Text, nullable=False),
    Column("kind", Choice(RuleKind), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("terms", JsonOf(RuleTerms), nullable=False),
    *_window(),
    Column("is_active", Boolean, nullable=False),
    Index("ix_pricing_rule_seller_id", "tenant_id", "seller_id", "id"),
)

promotion = tenant_table(
    "pricing",
    "promotion",
    Column("seller_id", Uuid),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("kind", Choice(PromotionKind), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("terms", JsonOf(PromotionTerms), nullable=False),
    *_window(),
    Column("state", Choice(CampaignState), nullable=False),
    Column("usage_limit", Integer),
    Column("per_customer", Integer),
    Index("ix_promotion_seller_id", "tenant_id", "seller_id", "id"),
    Index("ix_promotion_running", "tenant_id", "seller_id", postgresql_where=text(RUNNING)),
)

discount_code = tenant_table(
    "pricing",
    "discount_code",
    Column("seller_id", Uuid),
    Column("code", Text, nullable=False),
    Column("description", Text),
    Column("kind", Choice(DiscountKind), nullable=False),
    Column("terms", JsonOf(CodeTerms), nullable=False),
    *_window(),
    Column("usage_limit", Integer),
    Column("per_customer", Integer),
    Column("is_disabled", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "code"),
)

flash_sale = tenant_table(
    "pricing",
    "flash_sale",
    Column("seller_id", Uuid),
    Column("name", Text, nullable=False),
    *_window(ends=True),
    Column("state", Choice(CampaignState), nullable=False),
    Column("live_session_id", Uuid),
    Column("per_customer", Integer),
    Index("ix_flash_sale_seller_id", "tenant_id", "seller_id", "id"),
)

flash_item = tenant_table(
    "pricing",
    "flash_item",
    Column("sale_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    money_column("price_minor"),
    Column("currency", Text, nullable=False),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    UniqueConstraint("tenant_id", "sale_id", "sku"),
    Index("ix_flash_item_sku", "tenant_id", "sku"),
    root=False,
)

# The counters stand apart from what they count for: who sells does not hold up who edits, and the reverse.
allowance = tenant_table(
    "pricing",
    "allowance",
    Column("kind", Choice(UseKind), nullable=False),
    Column("label", Text, nullable=False),
    Column("used", Integer, nullable=False),
    Column("usage_limit", Integer),
    Column("per_customer", Integer),
    CheckConstraint("used >= 0 AND (usage_limit IS NULL OR used <= usage_limit)", name="used_within_limit"),
    root=False,
)

customer_allowance = Table(
    "customer_allowance",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("used", Integer, nullable=False),
    Column("usage_limit", Integer, nullable=False),
    CheckConstraint("used BETWEEN 0 AND usage_limit", name="used_within_limit"),
    PrimaryKeyConstraint("subject_id", "customer_id", "tenant_id"),
    schema="pricing",
    info={TENANT_OWNED: True},
)

discount_use = tenant_table(
    "pricing",
    "discount_use",
    Column("order_id", Uuid, nullable=False),
    Column("kind", Choice(UseKind), nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("customer_id", Uuid),
    Column("quantity", Integer, nullable=False),
    money_column("amount_minor"),
    Column("currency", Text, nullable=False),
    timestamp("used_at"),
    timestamp("returned_at", nullable=True),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    UniqueConstraint("tenant_id", "order_id", "subject_id"),
    Index("ix_discount_use_subject_id", "tenant_id", "subject_id"),
    root=False,
)

loyalty_program = tenant_table(
    "pricing",
    "loyalty_program",
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("earn_rate", Numeric, nullable=False),
    Column("point_value", Numeric, nullable=False),
    Column("tiers", JsonOf(tuple[LoyaltyTier, ...]), nullable=False),
    Column("is_active", Boolean, nullable=False),
    CheckConstraint("earn_rate > 0 AND point_value > 0", name="rates_positive"),
    UniqueConstraint("tenant_id"),
)

loyalty_account = tenant_table(
    "pricing",
    "loyalty_account",
    Column("user_id", Uuid, nullable=False),
    Column("points", Integer, nullable=False),
    Column("lifetime_points", Integer, nullable=False),
    Column("tier", Text),
    CheckConstraint("points >= 0 AND lifetime_points >= 0", name="points_not_negative"),
    UniqueConstraint("tenant_id", "user_id"),
)

loyalty_entry = tenant_table(
    "pricing",
    "loyalty_entry",
    Column("user_id", Uuid, nullable=False),
    Column("kind", Choice(PointsKind), nullable=False),
    Column("points", Integer, nullable=False),
    Column("balance_after", Integer, nullable=False),
    Column("basis_minor", BigInteger),
    Column("order_id", Uuid),
    Column("reference", Text, nullable=False),
    Column("reason", Text),
    Column("performed_by", Uuid),
    timestamp("performed_at"),
    CheckConstraint("balance_after >= 0", name="balance_not_negative"),
    UniqueConstraint("tenant_id", "user_id", "kind", "reference"),
    Index("ix_loyalty_entry_user_id", "tenant_id", "user_id", "id"),
    Index("ix_loyalty_entry_order_id", "tenant_id", "order_id"),
    root=False,
)

map_aggregate(PriceList, price_list)
map_aggregate(PricingRule, pricing_rule)
map_aggregate(Promotion, promotion)
map_aggregate(DiscountCode, discount_code)
map_aggregate(FlashSale, flash_sale)
map_aggregate(LoyaltyProgram, loyalty_program)
map_aggregate(LoyaltyAccount, loyalty_account)

# Row-level security keeps the violated key to itself; handlers ask beforehand, and can say it.
refuses("uq_discount_code_tenant_id_code", lambda _: AlreadyExists(kind="DiscountCode", value="of that name"))
refuses("uq_price_list_tenant_id_seller_id_name", lambda _: AlreadyExists(kind="PriceList", value="of that name"))
refuses("uq_loyalty_program_tenant_id", lambda _: ConcurrentModification(kind="LoyaltyProgram", id=""))
refuses("uq_discount_use_tenant_id_order_id_subject_id", lambda _: ConcurrentModification(kind="Order", id=""))
# The constraints are the last line of defence: the counting statements refuse first, and say what.
refuses("ck_allowance_used_within_limit", lambda _: PromotionExhausted(promotion_id=""))
refuses("ck_customer_allowance_used_within_limit", lambda _: PromotionExhausted(promotion_id=""))
refuses("ck_loyalty_account_points_not_negative", lambda _: InsufficientPoints(requested=0, available=0))
