"""A small marketplace with something of everything, and a second one whose ids are nobody's business in the first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from data.database import asyncpg_url
from domain.discovery import IndexRebuild
from domain.identity.roles import PRESETS, Role
from domain.kernel import NOBODY, Principal
from domain.tenancy import CreateStore, CreateTenant, GeoLocation, SubscriptionTier
from resolvers.kernel import Context
from server.demo.loading import MarketLoader
from server.demo.markets import WEEK, Market
from server.services import Services

NOW = datetime(2026, 3, 14, 15, 30, tzinfo=UTC)
_store = partial(CreateStore, location=GeoLocation(43.65, -79.38), hours=WEEK, pickup_enabled=True)

FERNHILL = Market(
    tenant=CreateTenant(
        code="fernhill",
        name="Fernhill",
        currency="CAD",
        locale="en",
        timezone="America/Toronto",
        tier=SubscriptionTier.STANDARD,
        hosts=("fernhill.example",),
    ),
    stores=(
        _store(code="FH-ONE", name="Fernhill One", province_code="CA-ON", licence_number="L-1", delivery_enabled=True),
        _store(code="FH-TWO", name="Fernhill Two", province_code="CA-QC"),
    ),
    prefix="FH",
    rate=1.0,
    products=46,
    reviews=90,
    reviewers=9,
    roles=(Role.ADMIN, Role.SUPER_ADMIN),
    regulated=True,
)
QUARRYBANK = Market(
    tenant=CreateTenant(
        code="quarrybank",
        name="Quarrybank",
        currency="EUR",
        locale="en",
        timezone="Europe/Dublin",
        tier=SubscriptionTier.STANDARD,
        hosts=("quarrybank.example",),
    ),
    stores=(_store(code="QB-ONE", name="Quarrybank One", province_code="CA-BC"),),
    prefix="QB",
    rate=0.7,
    products=6,
    reviews=8,
    reviewers=4,
    roles=(Role.ADMIN,),
)


def password_of(email: str) -> str:
    return f"the password of {email}"


def email_of(name: str, market: Market = FERNHILL) -> str:
    return f"{name}@{market.code}.example"


KINDS = {
    "product": "SELECT id FROM catalog.product WHERE tenant_id = $1 ORDER BY sku",
    "variant": "SELECT id FROM catalog.product_variant WHERE tenant_id = $1 ORDER BY sku",
    "category": "SELECT id FROM catalog.category WHERE tenant_id = $1 ORDER BY path",
    "store": "SELECT id FROM tenancy.store WHERE tenant_id = $1 ORDER BY code",
    "tenant": "SELECT id FROM tenancy.tenant WHERE tenant_id = $1",
    "user": 'SELECT id FROM identity."user" WHERE tenant_id = $1 ORDER BY email',
    "session": "SELECT id FROM identity.session WHERE tenant_id = $1 ORDER BY id",
    "address": "SELECT id FROM identity.address WHERE tenant_id = $1 ORDER BY id",
    "review": "SELECT id FROM reviews.review WHERE tenant_id = $1 ORDER BY id",
    "stock": "SELECT id FROM inventory.stock_level WHERE tenant_id = $1 ORDER BY id",
    "batch": "SELECT id FROM localization.translation_batch WHERE tenant_id = $1 ORDER BY id",
    "import": "SELECT id FROM importing.import_job WHERE tenant_id = $1 ORDER BY id",
    "letter": "SELECT id FROM platform.dead_letter WHERE tenant_id = $1 ORDER BY failed_at",
    "image": "SELECT id FROM catalog.product_image WHERE tenant_id = $1 ORDER BY id",
    **{
        kind: f"SELECT id FROM {table} WHERE tenant_id = $1 ORDER BY id"
        for kind, table in {
            "cart": "orders.cart",
            "order": 'orders."order"',
            "part": "orders.sub_order",
            "line": "orders.order_line",
            "payment": "payments.payment",
            "method": "payments.saved_method",
            "payout": "payments.payout",
            "run": "payments.reconciliation_run",
            "discrepancy": "payments.discrepancy",
            "code": "pricing.discount_code",
            "promotion": "pricing.promotion",
            "flash": "pricing.flash_sale",
            "live": "live.session",
            "studio": "live.studio",
            "prices": "pricing.price_list",
            "rule": "pricing.pricing_rule",
            "rate": "tax.tax_rate",
            "holiday": "tax.holiday",
            "conversation": "messaging.conversation",
            "message": "messaging.message",
            "attachment": "messaging.attachment",
        }.items()
    },
    "cartLine": "SELECT (jsonb_array_elements(lines) ->> 'id')::uuid AS id FROM orders.cart WHERE tenant_id = $1 ORDER BY 1",
}
TEXTS = {
    "shelved": "SELECT p.sku FROM catalog.product p JOIN tenancy.store s ON s.id = p.store_id WHERE p.tenant_id = $1 "
    "AND p.state = 'active' AND p.product_type = 'general' AND s.code LIKE '%-ONE' ORDER BY p.sku",
    "number": 'SELECT order_number FROM orders."order" WHERE tenant_id = $1 ORDER BY id',
    "sku": "SELECT sku FROM catalog.sku WHERE tenant_id = $1 ORDER BY sku",
    "productSlug": "SELECT slug FROM catalog.product WHERE tenant_id = $1 ORDER BY sku",
    "categorySlug": "SELECT slug FROM catalog.category WHERE tenant_id = $1 ORDER BY path",
    "brand": "SELECT DISTINCT brand FROM catalog.product WHERE tenant_id = $1 ORDER BY brand",
    "email": 'SELECT email FROM identity."user" WHERE tenant_id = $1 ORDER BY email',
}


@dataclass(frozen=True)
class Shop:
    """What is known of one marketplace: ids by kind, texts by meaning."""

    tenant_id: UUID
    ids: dict[str, list[UUID]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    people: dict[str, Principal] = field(default_factory=dict)


async def fill(services: Services, *, index: bool = True) -> None:
    """Load both marketplaces, and index them unless a worker does."""
    for market in (FERNHILL, QUARRYBANK):
        await MarketLoader(services, market, password_of).run()
    if index:
        await services.by_port[IndexRebuild].run()


async def survey(url: str, market: Market) -> Shop:
    """Look up what there is, with the eyes of the tables' owner."""
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        tenant_id = await connection.fetchval("SELECT id FROM tenancy.tenant WHERE code = $1", market.code)
        shop = Shop(UUID(str(tenant_id)))
        for kind, statement in KINDS.items():
            shop.ids[kind] = [UUID(str(row[0])) for row in await connection.fetch(statement, tenant_id)]
        for name, statement in TEXTS.items():
            shop.texts[name] = [row[0] for row in await connection.fetch(statement, tenant_id)]
    finally:
        await connection.close()
    users = dict(zip(shop.texts["email"], shop.ids["user"], strict=True))
    shop.people.update(
        _people(
            shop, {name: users.get(email_of(name, market)) for name in ("buyer", "seller1", "admin", "super.admin")}
        )
    )
    return shop


async def all_ids(url: str) -> frozenset[str]:
    """Give every id that stands anywhere in the database."""
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        columns = await connection.fetch(
            "SELECT format('SELECT %I AS id FROM %I.%I', column_name, table_schema, table_name) FROM"
            " information_schema.columns WHERE data_type = 'uuid' AND table_schema NOT LIKE 'pg\\_%'"
        )
        rows = await connection.fetch(" UNION ".join(row[0] for row in columns))
    finally:
        await connection.close()
    return frozenset(str(row[0]) for row in rows)


def _people(shop: Shop, users: dict[str, UUID | None]) -> dict[str, Principal]:
    def principal(name: str, role: Role, stores: Sequence[UUID] = ()) -> Principal:
        return Principal(
            user_id=users.get(name),
            tenant_id=shop.tenant_id,
            roles=frozenset({str(role)}),
            permissions=PRESETS[role],
            store_ids=frozenset(stores),
        )

    return {
        "guest": NOBODY,
        "buyer": principal("buyer", Role.BUYER),
        "seller": principal("seller1", Role.SELLER, shop.ids["store"][:1]),
        "admin": principal("admin", Role.ADMIN),
        "platform": principal("super.admin", Role.SUPER_ADMIN),
    }


def context_of(
    services: Services, shop: Shop, person: str, *, reads: Any = None, locale: str = "en", now: datetime = NOW
) -> Context:
    """Give the context of one operation; its clock stands still."""
    return Context(
        reads=reads or services.database.reads(shop.tenant_id),
        transactions=services.transactions,
        services=services.by_port,
        principal=shop.people[person],
        tenant_id=shop.tenant_id,
        locale=locale,
        address="192.0.2.7",
        correlation_id="fuzz",
        now=lambda: now,
    )
