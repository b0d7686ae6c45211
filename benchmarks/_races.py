"""Races for the last of something: buyers at several server processes of one database, and what the books must say then.

Every race begins where one more can be had: the last use of a code, the last unit of a flash sale, the last points, the one
order of a cart. Whoever loses is told why, by a refusal of the schema; whatever else contradicts the books is named.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from benchmarks._buyers import ADD, TORONTO, Bazaar, shelve
from benchmarks._system import Agora
from data.database import Database
from domain import pricing
from domain.kernel import Principal, Work, uuid7
from domain.pricing import AdjustLoyaltyPoints
from server.services import Services, open_services
from tests.buying import BROKEN, UNBALANCED
from tests.crash.street import AMISS

UNITS = 1_000
POINTS = 500
FLASH_MINOR = 700
# 13 % HST of Ontario, half a cent rounded up.
FLASH_TOTAL_MINOR = FLASH_MINOR + (FLASH_MINOR * 13 + 50) // 100
FOR_GOOD = "2099-01-01T00:00:00Z"

APPLY = """mutation Apply($input: ApplyPromoCodeInput!) { applyPromoCode(input: $input) {
  __typename ... on Cart { id } ... on Error { code message } } }"""
CHECKOUT = """mutation Checkout($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
  __typename ... on Order { id paymentStatus totalMinor: total { amountMinor } } ... on Error { code message } } }"""
REDEEM = """mutation Redeem($input: RedeemLoyaltyPointsInput!, $key: String!) {
  redeemLoyaltyPoints(input: $input, idempotencyKey: $key) {
    __typename ... on DiscountCode { id } ... on Error { code message } } }"""
CREATE_CODE = """mutation Code($input: CreateDiscountCodeInput!) { createDiscountCode(input: $input) {
  __typename ... on DiscountCode { id } ... on Error { code message } } }"""
CREATE_SALE = """mutation Sale($input: CreateFlashSaleInput!) { createFlashSale(input: $input) {
  __typename ... on FlashSale { id } ... on Error { code message } } }"""
SET_PROGRAM = """mutation Program($input: SetLoyaltyProgramInput!) { setLoyaltyProgram(input: $input) {
  __typename ... on LoyaltyProgram { id } ... on Error { code message } } }"""

CONTRADICTIONS = """
SELECT 'a counter and its uses disagree' AS what, a.label AS which FROM pricing.allowance a
WHERE a.tenant_id = :tenant AND a.usage_limit IS NOT NULL AND a.used <> (
  SELECT coalesce(sum(u.quantity), 0) FROM pricing.discount_use u WHERE u.subject_id = a.id AND u.returned_at IS NULL)
UNION ALL
SELECT 'points and their ledger disagree', l.user_id::text FROM pricing.loyalty_account l
WHERE l.tenant_id = :tenant AND l.points <> (
  SELECT coalesce(sum(e.points), 0) FROM pricing.loyalty_entry e WHERE e.tenant_id = l.tenant_id AND e.user_id = l.user_id)
UNION ALL
SELECT 'a posting does not balance', e.posting_id::text FROM payments.entry e
WHERE e.tenant_id = :tenant GROUP BY e.posting_id, e.currency HAVING sum(e.amount_minor) <> 0
UNION ALL
SELECT 'captured and booked disagree', coalesce(c.taken, 0) || ' ' || coalesce(b.booked, 0) FROM
  (SELECT sum(amount_minor) AS taken FROM payments.payment WHERE tenant_id = :tenant AND state = 'captured') c,
  (SELECT sum(amount_minor) AS booked FROM payments.entry
   WHERE tenant_id = :tenant AND account IN ('buyer_clearing', 'provider_fees')) b
WHERE coalesce(c.taken, 0) <> coalesce(b.booked, 0)
"""
ORDERS = """
SELECT count(*) AS made, count(*) FILTER (WHERE state = 'paid') AS paid FROM orders."order"
WHERE tenant_id = :tenant AND id IN (SELECT order_id FROM orders.order_line WHERE sku = :sku)
"""
SHELF = "SELECT on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant AND sku = :sku"
USED = "SELECT used, usage_limit FROM pricing.allowance WHERE tenant_id = :tenant AND label = :sku"
BALANCE = "SELECT points FROM pricing.loyalty_account WHERE tenant_id = :tenant AND user_id = CAST(:sku AS uuid)"

Asked = tuple[str, dict[str, Any], dict[str, str]]


@dataclass
class Ran:
    """One race: how long it took, who was told what, and everything that is not as it must be."""

    seconds: float
    told: Counter[str]
    wrong: list[str] = field(default_factory=list)

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note what differs."""
        if found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")

    def expect_refusals(self, *possible: str) -> None:
        """Note whatever was told to losers beside these."""
        for name in self.told.keys() - {"Order", "DiscountCode", *possible}:
            self.wrong.append(f"{self.told[name]} were told {name}")


@dataclass
class Crowd:
    """Buyers who ask several server processes at the same time."""

    servers: Sequence[httpx.AsyncClient]
    bazaar: Bazaar
    services: Services
    size: int

    def buyers(self) -> list[dict[str, str]]:
        """Give the headers of so many new buyers."""
        return self.bazaar.logged_in(uuid7() for _ in range(self.size))

    async def ask(self, place: int, asked: Asked) -> dict[str, Any]:
        """Ask one of the servers, and give the result of the only field.

        Raises: RuntimeError for what is no answer of the schema.
        """
        document, variables, headers = asked
        server = self.servers[place % len(self.servers)]
        reply = await server.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        body = reply.json()
        if reply.status_code != 200 or body.get("errors"):
            raise RuntimeError(f"{reply.status_code}: {body}")
        (answer,) = body["data"].values()
        return dict(answer)

    async def prepare(self, *asked: Asked) -> None:
        """Ask what must not be refused.

        Raises: RuntimeError.
        """
        for answer in await asyncio.gather(*(self.ask(place, each) for place, each in enumerate(asked))):
            if "code" in answer:
                raise RuntimeError(f"refused: {answer}")

    async def race(self, asked: Sequence[Asked]) -> tuple[Ran, list[dict[str, Any]]]:
        """Ask all of it at the same time; what was not refused comes with the race."""
        began = time.perf_counter()
        answers = await asyncio.gather(*(self.ask(place, each) for place, each in enumerate(asked)))
        told = Counter(each.get("code") or each["__typename"] for each in answers)
        return Ran(time.perf_counter() - began, told), [each for each in answers if "code" not in each]

    async def row(self, statement: str, name: str) -> tuple[Any, ...]:
        """Give the only row of a statement about a name of this tenant."""
        async with self.services.database.session(None) as session:
            values = {"tenant": self.bazaar.shop.tenant_id, "sku": name}
            return tuple((await session.execute(text(statement), values)).one())

    async def on_sale(self, sku: str) -> None:
        """Put goods on sale, of which there are more than anybody wants."""
        await shelve(self.services, self.bazaar.shop, (sku,), UNITS)

    async def expect_sold(self, ran: Ran, sku: str, orders: int) -> None:
        """Compare orders, shelf and all books with so many orders of one unit."""
        ran.expect("orders made and paid", await self.row(ORDERS, sku), (orders, orders))
        ran.expect("the shelf", await self.row(SHELF, sku), (UNITS, orders))
        ran.wrong += await contradictions(self.services.database, self.bazaar.shop.tenant_id)

    @property
    def staff(self) -> dict[str, str]:
        """What somebody sends who works there."""
        return self.bazaar.shop.staff_headers


async def contradictions(database: Database, tenant_id: UUID) -> list[str]:
    """Name everything in the books of a tenant that contradicts something else."""
    found: list[str] = []
    async with database.session(None) as session:
        for statement in (BROKEN, UNBALANCED, AMISS, CONTRADICTIONS):
            found += [str(row) for row in await session.execute(text(statement), {"tenant": tenant_id})]
    return found


def _add(sku: str, buyer: dict[str, str]) -> Asked:
    return ADD, {"input": {"lines": [{"sku": sku, "quantity": 1}]}}, buyer


def _checkout(buyer: dict[str, str], key: str | None = None, **how: Any) -> Asked:
    wanted = {"address": TORONTO, "paymentToken": "sbx_card_ok", **how}
    return CHECKOUT, {"input": wanted, "key": key or f"buy-{uuid7()}"}, buyer


async def last_use_of_a_code(crowd: Crowd, mark: str) -> Ran:
    """Many have applied a code that can be used once more."""
    sku, code, buyers = f"coded-{mark}", f"LAST-{mark}".upper(), crowd.buyers()
    await crowd.on_sale(sku)
    terms = {"code": code, "kind": "PERCENTAGE", "terms": {"percent": "10"}, "usageLimit": 1}
    await crowd.prepare((CREATE_CODE, {"input": terms}, crowd.staff))
    await crowd.prepare(*(_add(sku, each) for each in buyers))
    await crowd.prepare(*((APPLY, {"input": {"code": code}}, each) for each in buyers))
    ran, won = await crowd.race([_checkout(each) for each in buyers])
    ran.expect("orders with the code", len(won), 1)
    ran.expect_refusals("DISCOUNT_CODE_EXHAUSTED")
    ran.expect("uses of the code", await crowd.row(USED, code), (1, 1))
    await crowd.expect_sold(ran, sku, 1)
    return ran


async def last_unit_of_a_flash_sale(crowd: Crowd, mark: str) -> Ran:
    """Many want the one unit at a low price, and at no other."""
    sku, buyers = f"flash-{mark}", crowd.buyers()
    await crowd.on_sale(sku)
    item = {"sku": sku, "price": {"amountMinor": FLASH_MINOR, "currency": "CAD"}, "stockLimit": 1}
    await crowd.prepare((CREATE_SALE, {"input": {"name": mark, "items": [item], "endsAt": FOR_GOOD}}, crowd.staff))
    await crowd.prepare(*(_add(sku, each) for each in buyers))
    ran, won = await crowd.race([_checkout(each, expectedTotalMinor=FLASH_TOTAL_MINOR) for each in buyers])
    ran.expect("orders at the low price", len(won), 1)
    # Who asks when the sale is over already is shown the usual price.
    ran.expect_refusals("FLASH_SALE_SOLD_OUT", "PRICE_CHANGED")
    ran.expect("units of the sale", await crowd.row(USED, sku), (1, 1))
    await crowd.expect_sold(ran, sku, 1)
    return ran


async def last_points(crowd: Crowd, mark: str) -> Ran:
    """A customer spends all points at once, as codes and on orders, again and again."""
    sku, user_id = f"points-{mark}", uuid7()
    (buyer,) = crowd.bazaar.logged_in([user_id])
    await crowd.on_sale(sku)
    await crowd.prepare(
        (SET_PROGRAM, {"input": {"name": "Club", "currency": "CAD", "earnRate": "1", "pointValue": "1"}}, crowd.staff)
    )
    await _give_points(crowd, user_id)
    redeem: Asked = (REDEEM, {"input": {"points": POINTS}}, buyer)
    spent: list[Asked] = []
    for number in range(crowd.size):
        document, variables, headers = redeem
        code = (document, variables | {"key": f"{mark}-{number}"}, headers)
        spent.append(code if number % 2 else _checkout(buyer, lines=[{"sku": sku, "quantity": 1}], points=POINTS))
    ran, won = await crowd.race(spent)
    ran.expect("times that the points were spent", len(won), 1)
    ran.expect_refusals("INSUFFICIENT_POINTS")
    ran.expect("points left", await crowd.row(BALANCE, str(user_id)), (0,))
    await crowd.expect_sold(ran, sku, sum(each["__typename"] == "Order" for each in won))
    return ran


async def _give_points(crowd: Crowd, user_id: UUID) -> None:
    tenant_id = crowd.bazaar.shop.tenant_id
    staff = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"*"}))
    work = Work(tenant_id=tenant_id, actor=staff, now=datetime.now(UTC), correlation_id="race")
    given = AdjustLoyaltyPoints(user_id=user_id, points=POINTS, reason="welcome")
    await crowd.services.transactions.run(pricing.adjust_loyalty_points, given, work)


async def one_cart_with_many_keys(crowd: Crowd, mark: str) -> Ran:
    """A buyer checks one cart out again and again at once."""
    sku = f"cart-{mark}"
    (buyer,) = crowd.bazaar.logged_in([uuid7()])
    await crowd.on_sale(sku)
    cart = await crowd.ask(0, _add(sku, buyer))
    ran, won = await crowd.race([_checkout(buyer, cartId=cart["id"]) for _ in range(crowd.size)])
    ran.expect("orders of the cart", len(won), 1)
    ran.expect_refusals("CART_CLOSED")
    await crowd.expect_sold(ran, sku, 1)
    return ran


async def one_cart_with_one_key(crowd: Crowd, mark: str) -> Ran:
    """A buyer's program repeats one checkout before it has an answer."""
    sku = f"key-{mark}"
    (buyer,) = crowd.bazaar.logged_in([uuid7()])
    await crowd.on_sale(sku)
    cart = await crowd.ask(0, _add(sku, buyer))
    once = _checkout(buyer, f"once-{mark}", cartId=cart["id"])
    ran, won = await crowd.race([once] * crowd.size)
    ran.expect("answers with an order", len(won), crowd.size)
    ran.expect("orders in the answers", len({each["id"] for each in won}), 1)
    await crowd.expect_sold(ran, sku, 1)
    return ran


Race = Callable[[Crowd, str], Awaitable[Ran]]
RACES: dict[str, Race] = {
    "the last use of a discount code": last_use_of_a_code,
    "the last unit of a flash sale": last_unit_of_a_flash_sale,
    "the last loyalty points": last_points,
    "one cart, many keys": one_cart_with_many_keys,
    "one cart, one key": one_cart_with_one_key,
}


@asynccontextmanager
async def crowd(servers: Sequence[Agora], bazaar: Bazaar, size: int) -> AsyncIterator[Crowd]:
    """Gather so many buyers, spread over the servers."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{each.port}", timeout=60))
            for each in servers
        ]
        services = await stack.enter_async_context(open_services(bazaar.settings))
        yield Crowd(clients, bazaar, services, size)
