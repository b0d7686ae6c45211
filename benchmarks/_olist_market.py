"""Olist's sellers with their goods in Agora, its customers who buy the same once more, and the books that must follow.

What a seller asked for delivering is a service of that seller on sale, one unit of it in the same cart: a checkout adds no
fee for delivery of its own. It is therefore the seller's money, and commission is taken on it too.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import httpx
from sqlalchemy import insert, text

from benchmarks._buyers import TOKEN_SECONDS, Bazaar
from benchmarks._olist import CURRENCY, OLIST, Freight, Item, Purchase, goods
from benchmarks._races import contradictions
from benchmarks._shop import open_shop
from benchmarks._system import Agora, Shop
from data.catalog.tables import product
from data.database import Database
from data.inventory import stock_level
from domain.kernel import uuid7
from domain.payments.policy import PaymentPolicy
from domain.tenancy import Store, StoreStatus
from server.services import open_services

UNITS = 1_000
AT_ONCE = 8
BATCH = 500
PATIENCE_SECONDS = 120.0
COMMISSION_PERCENT = 10

ADD = """mutation Add($input: AddToCartInput!) { addToCart(input: $input) {
  __typename ... on Cart { id } ... on Error { code message } } }"""
CHECKOUT = """mutation Checkout($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
  __typename ... on Order { id state paymentStatus total { amountMinor } subOrders { sellerId total { amountMinor } } }
  ... on Error { code message } } }"""
PAYMENTS = "query Payments($order: ID!) { paymentsByOrder(orderId: $order) { id } }"
CAPTURE = """mutation Capture($input: CapturePaymentInput!, $key: String!) {
  capturePayment(input: $input, idempotencyKey: $key) {
    __typename ... on Payment { id state } ... on Error { code message } } }"""
CANCEL = """mutation Cancel($input: CancelOrderInput!, $key: String!) { cancelOrder(input: $input, idempotencyKey: $key) {
  __typename ... on Order { id } ... on Error { code message } } }"""
RELEASE = """mutation Release($input: ReleaseEscrowInput!, $key: String!) {
  releaseEscrow(input: $input, idempotencyKey: $key) {
    __typename ... on EscrowRelease { orderId } ... on Error { code message } } }"""
BALANCES = "{ ledgerBalances { account amount { amountMinor currency } } }"
WAITING = "SELECT count(*) FROM payments.refund WHERE tenant_id = :tenant AND state = 'pending'"
ORDERS = """
SELECT count(*), coalesce(sum(total_minor), 0) FROM orders."order" WHERE tenant_id = :tenant AND payment_status IN ('paid', 'refunded')
"""


@dataclass
class Replay:
    """What came of the purchases: `differing` and `refused` name orders with reasons, `wrong` is whatever must not be."""

    bought: dict[str, int] = field(default_factory=dict)
    equal: int = 0
    differing: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    sub_orders: int = 0
    seconds: float = 0.0
    balances: dict[str, int] = field(default_factory=dict)

    @property
    def total_minor(self) -> int:
        return sum(self.bought.values())

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note what differs."""
        if found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")


def seller_id(seller: str) -> UUID:
    """Give the id under which a seller of the data sells."""
    return uuid5(OLIST, seller)


def expected_balances(bought: Sequence[Purchase]) -> dict[str, int]:
    """Work out by plain arithmetic what must stand on every account, debits above zero.

    The provider keeps 2.9 % and 30 centavos of each charge by card, and does not give that back with a refund; of what was
    delivered the platform keeps 10 %, and what was cancelled goes back to its buyer.
    """
    accounts: Counter[str] = Counter()
    for each in bought:
        total = each.total_minor
        fee = 0 if each.by_transfer else min(total, (total * 29 + 500) // 1000 + 30)
        accounts["provider_fees"] += fee
        accounts["buyer_clearing"] += -fee if each.state == "canceled" else total - fee
        for seller, amount in each.by_seller.items():
            if each.state == "delivered":
                commission = (amount * COMMISSION_PERCENT + 50) // 100
                accounts["platform_fees"] -= commission
                accounts[f"seller_payable:{seller_id(seller)}"] -= amount - commission
            elif each.state != "canceled":
                accounts[f"escrow:{seller_id(seller)}"] -= amount
    return {account: amount for account, amount in accounts.items() if amount}


@dataclass
class Market:
    """The marketplace over HTTP, and its database beside it."""

    client: httpx.AsyncClient
    bazaar: Bazaar
    database: Database
    found: Replay = field(default_factory=Replay)

    async def replay(self, purchases: Sequence[Purchase]) -> Replay:
        """Buy everything that can be bought, then compare totals, accounts and everything else."""
        began, turns = time.perf_counter(), asyncio.Semaphore(AT_ONCE)
        by_customer: dict[str, list[Purchase]] = defaultdict(list)
        for each in purchases:
            by_customer[each.customer].append(each)
        await asyncio.gather(*(self._visit(each, turns) for each in by_customer.values()))
        self.found.seconds = time.perf_counter() - began
        await self._refunded()
        await self._compare([each for each in purchases if each.id in self.found.bought])
        return self.found

    async def _visit(self, purchases: Sequence[Purchase], turns: asyncio.Semaphore) -> None:
        """Buy what one customer bought, one order after the other: a customer has one cart."""
        async with turns:
            for each in purchases:
                if each.trouble:
                    self.found.refused[each.id] = each.trouble
                else:
                    await self._buy(each)

    async def _buy(self, purchase: Purchase) -> None:
        (headers,) = self.bazaar.logged_in([purchase.buyer_id])
        lines = [{"sku": sku, "quantity": units} for sku, units in purchase.lines.items()]
        address = {
            "streetLine1": f"CEP {purchase.postal_code}", "city": purchase.city, "province": purchase.region,
            "postalCode": purchase.postal_code, "country": "BR",
        }  # fmt: skip
        # The buyer agrees to the sum that was paid then; where that is no sum of the items, to what they cost.
        paying = {"paymentMethod": "BANK_TRANSFER"} if purchase.by_transfer else {"paymentToken": "sbx_card_ok"}
        agreed = {"address": address, "expectedTotalMinor": purchase.total_minor, **paying}
        order: dict[str, Any] = {}
        for document, variables in (
            (ADD, {"input": {"lines": lines}}),
            (CHECKOUT, {"input": agreed, "key": purchase.id}),
        ):
            order = await self._ask(document, variables, headers)
            if "code" in order:
                self.found.refused[purchase.id] = f"{order['code']}: {order['message']}"
                return
        self._note(purchase, order)
        await self._follow(purchase, order["id"], headers)

    def _note(self, purchase: Purchase, order: dict[str, Any]) -> None:
        found = self.found
        found.bought[purchase.id] = total = order["total"]["amountMinor"]
        found.sub_orders += len(order["subOrders"])
        parts = {each["sellerId"]: each["total"]["amountMinor"] for each in order["subOrders"]}
        wanted = {str(seller_id(seller)): amount for seller, amount in purchase.by_seller.items()}
        found.expect(f"the parts of {purchase.id}", parts, wanted)
        status = "AUTHORIZED" if purchase.by_transfer else "PAID"
        found.expect(f"the payment of {purchase.id}", (order["paymentStatus"], total), (status, purchase.total_minor))
        if purchase.difference:
            found.differing[purchase.id] = purchase.difference
        else:
            found.expect(f"the total of {purchase.id}", total, purchase.paid_minor)
            found.equal += total == purchase.paid_minor

    async def _follow(self, purchase: Purchase, order_id: str, headers: dict[str, str]) -> None:
        """A transfer is seen to arrive; what was delivered is the seller's then, and what was cancelled goes back."""
        answer: dict[str, Any] = {}
        staff = self.bazaar.shop.staff_headers
        if purchase.by_transfer:
            (payment,) = (await self._ask(PAYMENTS, {"order": order_id}, staff))["all"]
            seen = {"input": {"paymentId": payment["id"]}, "key": f"seen-{purchase.id}"}
            captured = await self._ask(CAPTURE, seen, staff)
            self.found.expect(f"the transfer for {purchase.id}", captured.get("state"), "CAPTURED")
        if purchase.state == "delivered":
            answer = await self._ask(RELEASE, {"input": {"orderId": order_id}, "key": f"release-{purchase.id}"}, staff)
        elif purchase.state == "canceled":
            answer = await self._ask(CANCEL, {"input": {"id": order_id}, "key": f"cancel-{purchase.id}"}, headers)
        if "code" in answer:
            self.found.wrong.append(f"{purchase.id}: {answer}")

    async def _ask(self, document: str, variables: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        reply = await self.client.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        body = reply.json()
        if body.get("errors"):
            raise RuntimeError(f"{reply.status_code}: {body['errors'][:2]}")
        (answer,) = body["data"].values()
        return dict(answer) if isinstance(answer, dict) else {"all": answer}

    async def _refunded(self) -> None:
        """Wait until the worker has sent what goes back."""
        until = time.perf_counter() + PATIENCE_SECONDS
        while (await self._row(WAITING))[0] and time.perf_counter() < until:  # noqa: ASYNC110 — another process does it.
            await asyncio.sleep(0.2)

    async def _compare(self, bought: Sequence[Purchase]) -> None:
        found = self.found
        balances = (await self._ask(BALANCES, {}, self.bazaar.shop.staff_headers))["all"]
        found.balances = {
            each["account"]: each["amount"]["amountMinor"] for each in balances if each["amount"]["amountMinor"]
        }
        found.expect("currencies", {each["amount"]["currency"] for each in balances} - {CURRENCY}, set())
        found.expect("the sum of all accounts", sum(found.balances.values()), 0)
        expected = expected_balances(bought)
        for account in sorted(expected.keys() | found.balances.keys()):
            found.expect(account, found.balances.get(account, 0), expected.get(account, 0))
        found.expect("orders and their sum", await self._row(ORDERS), (len(found.bought), found.total_minor))
        found.wrong += await contradictions(self.database, self.bazaar.shop.tenant_id)

    async def _row(self, statement: str) -> tuple[Any, ...]:
        async with self.database.session(None) as session:
            return tuple((await session.execute(text(statement), {"tenant": self.bazaar.shop.tenant_id})).one())


@asynccontextmanager
async def market(server: Agora, purchases: Sequence[Purchase]) -> AsyncIterator[Market]:
    """Open a store for every seller, with everything on its shelf that the purchases need."""
    settings = server.settings().model_copy(update={"access_token_seconds": TOKEN_SECONDS})
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        shop = await open_shop(settings, services, "olist", (), CURRENCY)
        await _stock(services.database, shop, purchases)
        address = f"http://127.0.0.1:{server.port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=60))
        yield Market(client, Bazaar(settings, shop, ()), services.database)


async def _stock(database: Database, shop: Shop, purchases: Sequence[Purchase]) -> None:
    items, freights = goods(purchases)
    sellers = sorted({each.seller for each in (*items.values(), *freights.values())})
    owned = {"tenant_id": shop.tenant_id, "version": 1}
    stores = {seller: uuid7() for seller in sellers}
    async with database.session(shop.tenant_id) as session:
        session.add(PaymentPolicy(**owned, review_score=100, reject_score=101))
        session.add_all(
            Store(
                id=stores[seller], **owned, code=seller, name="Loja", delivery_enabled=True, status=StoreStatus.ACTIVE
            )
            for seller in sellers
        )
    on_sale: list[Item | Freight] = [*items.values(), *freights.values()]
    for at in range(0, len(on_sale), BATCH):
        rows = [_rows(each, stores[each.seller], owned) for each in on_sale[at : at + BATCH]]
        async with database.session(shop.tenant_id) as session:
            await session.execute(insert(product), [row for row, _ in rows])
            await session.execute(insert(stock_level), [row for _, row in rows])


def _rows(each: Item | Freight, store_id: UUID, owned: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    product_id = uuid7()
    name, price = (
        (each.category or "Produto", each.price_minor) if isinstance(each, Item) else ("Frete", each.amount_minor)
    )
    return (
        owned | {"id": product_id, "sku": each.sku, "name": name, "slug": each.sku, "brand": "Olist", "state": "active",
                 "price_minor": price, "currency": CURRENCY, "seller_id": seller_id(each.seller), "store_id": store_id},
        owned | {"id": uuid7(), "store_id": store_id, "sku": each.sku, "product_id": product_id, "on_hand": UNITS,
                 "reserved": 0, "reorder_point": 0, "reorder_quantity": 0},
    )  # fmt: skip
