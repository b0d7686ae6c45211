"""A marketplace to buy in: goods of two sellers with plenty of stock, and buyers who each put in and pay once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from benchmarks._load import post
from benchmarks._shop import open_shop
from benchmarks._system import Agora, Shop
from data.catalog.tables import product
from data.database import Database
from data.inventory import stock_level
from domain.kernel import Principal, uuid7
from domain.payments.policy import PaymentPolicy
from server.services import Services, key_ring, open_services, token_service
from server.settings import Settings

GOODS = 60
PLENTY = 1_000_000
TOKEN_SECONDS = 7_200
TORONTO = {
    "streetLine1": "1 Front St", "city": "Toronto", "province": "CA-ON", "postalCode": "M5J 2N1", "country": "CA",
}  # fmt: skip

ADD = """mutation Add($input: AddToCartInput!) { addToCart(input: $input) {
  __typename ... on Cart { id units subtotal { amount currency } } ... on Error { code message } } }"""
CHECKOUT = """mutation Checkout($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
  __typename ... on Order { id orderNumber state paymentStatus total { amount currency } } ... on Error { code message } } }"""

ORDERS = """
SELECT count(*) AS made, count(*) FILTER (WHERE state = 'paid') AS paid,
       count(*) FILTER (WHERE state = 'cancelled') AS cancelled
FROM orders."order" WHERE tenant_id = :tenant AND id IN (SELECT order_id FROM orders.order_line WHERE sku LIKE :sku)
"""
SHELF = "SELECT on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant AND sku LIKE :sku"
CHARGED = """
SELECT count(*) FROM payments.payment WHERE tenant_id = :tenant AND state = 'captured' AND order_id IN (
  SELECT order_id FROM orders.order_line WHERE sku LIKE :sku)
"""


@dataclass(frozen=True)
class Buyer:
    """Somebody who is logged in, and the two requests of a purchase."""

    add: bytes
    pay: bytes


@dataclass
class Bazaar:
    """The tenant, what it sells, and where further buyers come from."""

    settings: Settings
    shop: Shop
    skus: tuple[str, ...]
    _numbers: Iterator[int] = field(default_factory=count)

    def buyers(self, number: int, lines: Sequence[str] = ()) -> list[Buyer]:
        """Make buyers of these SKUs, else each of two different ones, one from every seller."""
        return [
            self._buyer(headers, lines or self._pair()) for headers in self.logged_in(uuid7() for _ in range(number))
        ]

    def logged_in(self, users: Iterable[UUID]) -> list[dict[str, str]]:
        """Give the headers that each of these buyers sends."""
        tokens = token_service(self.settings, key_ring(self.settings))
        now, sent = datetime.now(UTC), []
        for user_id in users:
            who = Principal(
                user_id=user_id, tenant_id=self.shop.tenant_id, session_id=uuid7(), roles=frozenset({"buyer"})
            )
            sent.append({**self.shop.headers, "Authorization": f"Bearer {tokens.issue(who, now).token}"})
        return sent

    def _pair(self) -> tuple[str, str]:
        at = 2 * next(self._numbers) % len(self.skus)
        return self.skus[at], self.skus[at + 1]

    def _buyer(self, headers: dict[str, str], lines: Sequence[str]) -> Buyer:
        wanted = {"lines": [{"sku": sku, "quantity": 1 + place} for place, sku in enumerate(lines)]}
        how = {"address": TORONTO, "paymentToken": "sbx_card_ok"}
        return Buyer(
            add=post("/graphql", ADD, {"input": wanted}, headers),
            pay=post("/graphql", CHECKOUT, {"input": how, "key": f"buy-{uuid7()}"}, headers),
        )


async def open_bazaar(server: Agora) -> Bazaar:
    """Make the tenant, its two shops and their goods, and let the fraud rules trust whoever shares a card of the sandbox."""
    settings = server.settings().model_copy(update={"access_token_seconds": TOKEN_SECONDS})
    async with open_services(settings) as services:
        shop = await open_shop(settings, services, "bazaar", ("north", "south"), "CAD")
        async with services.database.session(shop.tenant_id) as session:
            session.add(PaymentPolicy(tenant_id=shop.tenant_id, version=1, review_score=100, reject_score=101))
        skus = tuple(f"good-{number:03d}" for number in range(GOODS))
        await shelve(services, shop, skus, PLENTY)
    return Bazaar(settings, shop, skus)


async def put_on_sale(bazaar: Bazaar, sku: str, units: int) -> None:
    """Put so many units of one more SKU on sale."""
    async with open_services(bazaar.settings) as services:
        await shelve(services, bazaar.shop, (sku,), units)


async def shelve(services: Services, shop: Shop, skus: Sequence[str], units: int) -> None:
    """Put so many units of each SKU on sale, in both shops in turn."""
    stores = list(shop.stores.values())
    sellers = [UUID(int=store.int ^ 1) for store in stores]
    async with services.database.session(shop.tenant_id) as session:
        goods, shelves = [], []
        for place, sku in enumerate(skus):
            at, product_id, owned = place % 2, uuid7(), {"tenant_id": shop.tenant_id, "version": 1}
            goods.append(
                owned | {"id": product_id, "sku": sku, "name": sku.title(), "slug": sku, "brand": "Acme", "state": "active",
                         "price_minor": 1_250 + 10 * place, "currency": "CAD", "seller_id": sellers[at],
                         "store_id": stores[at]}
            )  # fmt: skip
            shelves.append(
                owned | {"id": uuid7(), "store_id": stores[at], "sku": sku, "product_id": product_id, "on_hand": units,
                         "reserved": 0, "reorder_point": 0, "reorder_quantity": 0}
            )  # fmt: skip
        await session.execute(insert(product), goods)
        await session.execute(insert(stock_level), shelves)


async def ask_database(bazaar: Bazaar, statement: str, sku: str) -> Any:
    """Give the first row of a statement about the goods whose SKUs are like this."""
    async with (
        Database(bazaar.settings.database_url, read_pool=1, write_pool=1) as database,
        database.session(None) as session,
    ):
        found = await session.execute(text(statement), {"tenant": bazaar.shop.tenant_id, "sku": sku})
        return found.one()
