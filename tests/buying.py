"""A marketplace to buy in: goods on the shelves of two sellers, buyers, and the sandbox for a bank."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from data.catalog.tables import product
from data.database import Database
from data.inventory import GroupedStockDesk, stock_level
from data.job_runner import JobRunner
from data.sagas import SagaHolds
from data.transactions import SqlTransactions
from domain.codec import fingerprint
from domain.delivery.geography import Geometry
from domain.inventory import StockDesk
from domain.jobs import Jobs
from domain.kernel import Principal, Work, uuid7
from domain.orders import DeliveryAddress
from domain.orders.carts import Cart
from domain.payments.policy import PaymentPolicy
from domain.payments.providers import PaymentProvider, ProviderDirectory
from domain.processes import paying
from domain.processes.carting import AddToCart, NewCartLine, add_to_cart
from domain.processes.checkout import CHECKOUT, Checkout, checkout_saga
from domain.sagas import ENDED, Saga
from domain.tenancy import Store, StoreStatus
from server.delivery.geometry import ShapelyGeometry
from server.payments.offline import BankTransfer, Cash
from server.payments.routing import ProviderRouter
from server.payments.sandbox import SandboxProvider
from server.payments.sandbox_app import SandboxApp, SandboxConfig
from server.payments.webhooks import HandledOnce
from server.sagas import Runner

TORONTO = DeliveryAddress(
    street_line1="1 Front St", city="Toronto", province="CA-ON", postal_code="M5J 2N1", country="CA"
)
KEY = "sandbox key"
BROKEN = """
SELECT 'stock' AS what, s.sku AS which FROM inventory.stock_level s
WHERE s.tenant_id = :tenant AND s.reserved <> (
  SELECT coalesce(sum(r.quantity - r.consumed), 0) FROM inventory.reservation r
  WHERE r.tenant_id = s.tenant_id AND r.store_id = s.store_id AND r.sku = s.sku AND r.state = 'active')
UNION ALL
SELECT 'oversold', sku FROM inventory.stock_level WHERE tenant_id = :tenant AND (reserved > on_hand OR on_hand < 0)
UNION ALL
SELECT 'paid without being captured', o.order_number FROM orders."order" o
WHERE o.tenant_id = :tenant AND o.payment_status = 'paid' AND NOT EXISTS (
  SELECT FROM payments.payment p WHERE p.order_id = o.id AND p.state = 'captured' AND p.amount_minor = o.total_minor)
UNION ALL
SELECT 'captured without being paid', p.order_id::text FROM payments.payment p
JOIN orders."order" o ON o.id = p.order_id
WHERE p.tenant_id = :tenant AND p.state = 'captured' AND o.payment_status <> 'paid'
UNION ALL
SELECT 'unfinished', o.order_number FROM orders."order" o WHERE o.tenant_id = :tenant AND o.state = 'pending'
UNION ALL
SELECT 'confirmed without goods', o.order_number FROM orders."order" o
WHERE o.tenant_id = :tenant AND o.state IN ('confirmed', 'paid') AND NOT EXISTS (
  SELECT FROM inventory.reservation r WHERE r.order_id = o.id AND r.state = 'active')
UNION ALL
SELECT 'cancelled with goods', o.order_number FROM orders."order" o
JOIN inventory.reservation r ON r.order_id = o.id AND r.state = 'active'
WHERE o.tenant_id = :tenant AND o.state = 'cancelled'
"""
UNBALANCED = "SELECT currency, sum(amount_minor) FROM payments.entry WHERE tenant_id = :tenant GROUP BY 1 HAVING sum(amount_minor) <> 0"


@dataclass
class Bank:
    """The sandbox provider, called directly; its webhooks are kept until somebody delivers them."""

    app: SandboxApp
    provider: SandboxProvider
    sent: list[tuple[bytes, Any]] = field(default_factory=list)

    @classmethod
    def opened(cls) -> "Bank":
        sent: list[tuple[bytes, Any]] = []

        async def keep(body: bytes, headers: Any) -> int:
            sent.append((body, headers))
            return 200

        app = SandboxApp(
            SandboxConfig(api_key=KEY, webhook_secret="secret", silence_seconds=0, late_seconds=0), post=keep
        )
        provider = SandboxProvider("", KEY, app=app.app)
        return cls(app, provider, sent)

    def charges(self) -> list[dict[str, Any]]:
        return [each for each in self.app._books.all() if each["object"] == "charge"]

    def disputes(self) -> list[dict[str, Any]]:
        return [each for each in self.app._books.all() if each["object"] == "dispute"]

    def kept(self, charge: dict[str, Any]) -> int:
        """What the bank has left of a charge for us, after refunds and lost disputes."""
        lost = sum(
            each["amount"] for each in self.disputes() if (each["charge"], each["status"]) == (charge["id"], "lost")
        )
        return int(max(charge["captured"] - charge["refunded"] - lost, 0))

    async def close(self) -> None:
        await self.provider.close()
        await self.app.aclose()


@dataclass
class Market:
    """One tenant's shops, and whoever buys there."""

    database: Database
    transactions: SqlTransactions
    tenant_id: UUID
    bank: Bank
    router: ProviderRouter
    stores: list[UUID] = field(default_factory=list)
    sellers: list[UUID] = field(default_factory=list)

    def work(self, user: UUID | None = None) -> Work:
        actor = Principal(user_id=user or uuid7(), tenant_id=self.tenant_id, roles=frozenset({"buyer"}))
        return Work(tenant_id=self.tenant_id, actor=actor, now=datetime.now(UTC), correlation_id="test")

    def staff(self) -> Work:
        """Somebody who works in all stores."""
        return replace(self.work(), actor=replace(self.work().actor, permissions=frozenset({"*"})))

    def runner(self, crash_point: Callable[[str], None] | None = None, desk: Any = None) -> Runner:
        services = {
            PaymentProvider: self.router,
            ProviderDirectory: self.router,
            StockDesk: desk or GroupedStockDesk(self.database),
            Geometry: ShapelyGeometry(),
        }
        transactions = SqlTransactions(self.database)
        transactions.offer(services)
        options = {"crash_point": crash_point} if crash_point else {}
        return Runner(transactions, SagaHolds(self.database), services, [CHECKOUT], **options)

    async def put_on_sale(self, sku: str, price_minor: int, units: int, seller: int = 0) -> None:
        owned = {"tenant_id": self.tenant_id, "version": 1}
        product_id = uuid7()
        async with self.database.session(self.tenant_id) as session:
            await session.execute(
                insert(product).values(
                    id=product_id, **owned, sku=sku, name=sku.title(), slug=sku, brand="Acme", state="active",
                    price_minor=price_minor, currency="CAD", seller_id=self.sellers[seller], store_id=self.stores[seller],
                )
            )  # fmt: skip
            await session.execute(
                insert(stock_level).values(
                    id=uuid7(), **owned, store_id=self.stores[seller], sku=sku, product_id=product_id, on_hand=units,
                    reserved=0, reorder_point=0, reorder_quantity=0,
                )
            )  # fmt: skip

    async def filled(self, work: Work, *lines: tuple[str, int]) -> Cart:
        """Give the buyer a cart with goods."""
        wanted = [NewCartLine(sku=sku, quantity=quantity) for sku, quantity in lines]
        return await self.transactions.run(add_to_cart, AddToCart(lines=wanted), work)

    def saga(self, work: Work, key: str, **how: Any) -> Saga:
        command = Checkout(**({"address": TORONTO, "payment_token": "sbx_card_ok"} | how))
        return checkout_saga(command, work, key, fingerprint(command))

    async def buy(self, work: Work, key: str = "once", runner: Runner | None = None, **how: Any) -> Saga:
        """Check the buyer's cart out."""
        return await (runner or self.runner()).start(CHECKOUT, self.saga(work, key, **how))

    async def finish(self) -> None:
        """Let whoever keeps sagas and jobs bring everything to an end, as if all holders had been silent for long."""
        for _ in range(40):
            due = [
                each
                for each in await SagaHolds(self.database).take_due(_later(), 1_000)
                if each.tenant_id == self.tenant_id
            ]
            for each in due:
                await self.runner().take_up(each)
            if not due:
                break
        await self.do_jobs()

    async def do_jobs(self) -> None:
        """Do what waits for the providers, once; of this tenant alone."""
        async with self.database.session(None) as session:
            waiting = await session.execute(
                text("SELECT id, task_name, args FROM jobs.procrastinate_jobs WHERE args ->> 'tenant_id' = :tenant "
                     "AND status = 'todo' AND task_name LIKE 'payments.%' ORDER BY id"),
                {"tenant": str(self.tenant_id)},
            )  # fmt: skip
            rows = list(waiting)
        by_name = {job.name: job for job in paying.jobs.entries}
        transactions = SqlTransactions(self.database)
        transactions.offer({PaymentProvider: self.router})
        for row in rows:
            if row.task_name in by_name:
                await transactions.run(by_name[row.task_name].handler, row.args["payload"], self.work())

    async def hear(self) -> int:
        """Deliver the webhooks that the bank has sent so far."""
        from server.payments.sandbox import SandboxWebhooks

        reader, handled = SandboxWebhooks(["secret"]), 0
        once = HandledOnce(self.transactions, paying.hear_provider)
        for body, headers in self.bank.sent:
            event = await reader.read(body, headers)
            if event is not None:
                handled += await once(event)
        return handled

    async def one(self, statement: str, **values: Any) -> Any:
        async with self.database.session(None) as session:
            return (await session.execute(text(statement), {"tenant": self.tenant_id, **values})).first()

    async def all(self, statement: str, **values: Any) -> Sequence[Any]:
        async with self.database.session(None) as session:
            return (await session.execute(text(statement), {"tenant": self.tenant_id, **values})).all()

    async def broken(self) -> list[Any]:
        """Name everything that contradicts something else."""
        return [*await self.all(BROKEN), *await self.all(UNBALANCED), *await self._money()]

    async def _money(self) -> list[str]:
        """Compare the bank's books with ours: no charge twice, none unknown, none lost."""
        ours = {str(row.id): row for row in await self.all("SELECT * FROM payments.payment WHERE tenant_id = :tenant")}
        wrong = []
        for charge in self.bank.charges():
            payment = ours.get(charge["metadata"]["payment_id"])
            left = self.bank.kept(charge)
            kept = 0 if payment is None else (payment.amount_minor - payment.refunded_minor) * (payment.state in PAID)
            if left != kept:
                wrong.append(f"the bank keeps {left} for {charge['metadata']['payment_id']}, our books say {kept}")
        return wrong


PAID = ("captured", "partially_refunded", "refunded")


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


@asynccontextmanager
async def market(database: Database, tenant_id: UUID) -> AsyncIterator[Market]:
    """Open two shops, which trust everybody: all buyers share the few cards of the sandbox."""
    bank = Bank.opened()
    router = ProviderRouter([bank.provider, BankTransfer(), Cash()])
    transactions = SqlTransactions(database)
    transactions.offer(
        {
            PaymentProvider: router,
            ProviderDirectory: router,
            StockDesk: GroupedStockDesk(database),
            Geometry: ShapelyGeometry(),
        }
    )
    made = Market(database, transactions, tenant_id, bank, router, [uuid7(), uuid7()], [uuid7(), uuid7()])
    async with database.session(tenant_id) as session:
        session.add(PaymentPolicy(tenant_id=tenant_id, version=1, review_score=100, reject_score=101))
        for number, store_id in enumerate(made.stores):
            session.add(
                Store(id=store_id, tenant_id=tenant_id, version=1, code=f"s{number}", name="Shop", delivery_enabled=True, pickup_enabled=True, status=StoreStatus.ACTIVE,
                      province_code="CA-ON")
            )  # fmt: skip
    try:
        yield made
    finally:
        await bank.close()


__all__ = ["ENDED", "JobRunner", "Jobs", "Market", "market", "replace"]
