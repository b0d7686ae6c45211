"""A market whose buyers, sellers and workers may be gone at any boundary, in this process or in several at once."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.inbox import mark
from data.inventory import GroupedStockDesk
from data.sagas import SagaHolds
from data.transactions import SqlTransactions
from domain.delivery.geography import Geometry
from domain.inventory import StockDesk
from domain.inventory.holding import expire_reservations
from domain.jobs import JobQueue
from domain.kernel import SYSTEM, Principal, Work, uuid7
from domain.payments.ledger import Ledger
from domain.payments.paying_out import RequestPayout
from domain.payments.payouts import PayoutAccounts, Payouts
from domain.payments.policy import Policies
from domain.payments.providers import PaymentProvider, ProviderDirectory
from domain.processes import paying
from domain.processes.checkout import CHECKOUT
from domain.processes.payouts import request_payout
from domain.tax import Calendars
from server.delivery.geometry import ShapelyGeometry
from server.payments.offline import BankTransfer, Cash
from server.payments.routing import ProviderRouter
from server.payments.sandbox import SandboxProvider, SandboxWebhooks
from server.payments.sandbox_app import SandboxApp, SandboxConfig
from server.payments.webhooks import HandledOnce
from server.sagas import Runner
from tests.buying import KEY, Bank, Market

CrashPoint = Callable[[str], None]
SECRET = "secret"
# What a test rehearses is logged as trouble a hundred times over; the assertions say what matters.
QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)
TAKEN = "tenant_id = :tenant AND state IN ('captured', 'partially_refunded', 'refunded')"
AMISS = """
SELECT 'a saga that did not end: ' || state || ' ' || coalesce(error, '') AS what, id::text FROM platform.saga
WHERE tenant_id = :tenant AND state NOT IN ('done', 'compensated')
UNION ALL
SELECT 'a refund on its way for ever', id::text FROM payments.refund WHERE tenant_id = :tenant AND state = 'pending'
UNION ALL
SELECT 'a payout on its way for ever', id::text FROM payments.payout WHERE tenant_id = :tenant AND state = 'processing'
UNION ALL
SELECT 'money set aside for no refund', p.id::text FROM payments.payment p
WHERE p.tenant_id = :tenant AND p.refunding_minor <> (
  SELECT coalesce(sum(r.amount_minor), 0) FROM payments.refund r WHERE r.payment_id = p.id AND r.state IN ('pending', 'returned'))
UNION ALL
SELECT 'money set aside for no dispute', p.id::text FROM payments.payment p
WHERE p.tenant_id = :tenant AND p.disputed_minor <> (
  SELECT coalesce(sum(d.covered_minor), 0) FROM payments.dispute d
  WHERE d.payment_id = p.id AND d.state IN ('opened', 'evidence'))
UNION ALL
SELECT 'escrow ' || h.state || ' against its disputes', h.order_id::text FROM payments.escrow_hold h
WHERE h.tenant_id = :tenant AND h.amount_minor > h.refunded_minor + h.released_minor AND (h.state = 'frozen') <> EXISTS (
  SELECT FROM payments.dispute d WHERE d.payment_id = h.payment_id AND d.state IN ('opened', 'evidence'))
UNION ALL
SELECT 'order and payment disagree about refunds', o.order_number FROM orders."order" o
JOIN payments.payment p ON p.order_id = o.id
WHERE o.tenant_id = :tenant AND o.refunded_minor <> p.refunded_minor
UNION ALL
SELECT 'two orders of one cart', cart_id::text FROM orders."order"
WHERE tenant_id = :tenant AND state <> 'cancelled' AND cart_id IS NOT NULL GROUP BY cart_id HAVING count(*) > 1
UNION ALL
SELECT 'an order without its saga', o.order_number FROM orders."order" o
WHERE o.tenant_id = :tenant AND NOT EXISTS (SELECT FROM platform.saga s WHERE s.id = o.id)
UNION ALL
SELECT 'escrow and ledger disagree', e.seller_id::text FROM (
  SELECT seller_id, sum(amount_minor - refunded_minor - released_minor) AS held
  FROM payments.escrow_hold WHERE tenant_id = :tenant GROUP BY 1) e
WHERE e.held <> (SELECT -coalesce(sum(l.amount_minor), 0) FROM payments.entry l
  WHERE l.tenant_id = :tenant AND l.account = 'escrow:' || e.seller_id)
"""


class Fused:
    """Whatever is asked of a provider can be the last thing that a process does, before the question or after the answer."""

    def __init__(self, router: ProviderRouter, crash_point: CrashPoint) -> None:
        self._router = router
        self._crash_point = crash_point

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._router, name)
        if not inspect.iscoroutinefunction(asked):
            return asked

        async def ask(*arguments: Any, **options: Any) -> Any:
            self._crash_point(f"provider.{name}.begin")
            answer = await asked(*arguments, **options)
            self._crash_point(f"provider.{name}.answered")
            return answer

        return ask


class FusedTransactions(SqlTransactions):
    """Transactions that can be a process's last thing, just before they commit or just after."""

    def __init__(self, database: Database, crash_point: CrashPoint) -> None:
        super().__init__(database)
        self._crash_point = crash_point

    async def perform(self, session: AsyncSession, handler: Any, command: Any, work: Work) -> Any:
        done = await super().perform(session, handler, command, work)
        self._crash_point(f"{handler.__name__}.uncommitted")
        return done

    async def run(self, handler: Any, command: Any, work: Work, *, idempotency_key: str | None = None) -> Any:
        done = await super().run(handler, command, work, idempotency_key=idempotency_key)
        self._crash_point(f"{handler.__name__}.done")
        return done


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a market is, for whoever comes to it from another process."""

    database_url: str
    tenant_id: UUID
    books: str
    stores: tuple[UUID, ...]
    sellers: tuple[UUID, ...]


@dataclass
class Street(Market):
    """A market with workers."""

    crash_point: CrashPoint = field(default=lambda _point: None)
    job_sources: dict[str, Any] = field(default_factory=lambda: {each.name: each for each in paying.jobs.entries})

    @property
    def boss(self) -> Work:
        actor = Principal(user_id=uuid7(), tenant_id=self.tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions)
        return Work(tenant_id=self.tenant_id, actor=actor, now=datetime.now(UTC), correlation_id="street")

    def keeper(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Runner:
        services = {
            PaymentProvider: self.router,
            ProviderDirectory: self.router,
            StockDesk: GroupedStockDesk(self.database),
        }
        return Runner(
            self.transactions, SagaHolds(self.database), services, [CHECKOUT], now=now, crash_point=self.crash_point
        )

    async def keep(self, at: datetime | None = None) -> int:
        """Take up every saga of this tenant that is due at an instant; by itself, as if all holders were silent for long."""
        at = at or datetime.now(UTC) + timedelta(minutes=1)
        due = [each for each in await SagaHolds(self.database).take_due(at, 1_000) if each.tenant_id == self.tenant_id]
        runner = self.keeper()
        for each in due:
            await runner.take_up(each)
        return len(due)

    async def do_jobs(self) -> int:
        """Do what waits for the providers as a job runner would: with a mark, and noted as done only after the commit."""
        async with self.database.session(None) as session:
            waiting = await session.execute(
                text("SELECT id, task_name, args FROM jobs.procrastinate_jobs WHERE args ->> 'tenant_id' = :tenant "
                     "AND status = 'todo' AND task_name = ANY(:names) ORDER BY id"),
                {"tenant": str(self.tenant_id), "names": [*self.job_sources]},
            )  # fmt: skip
            rows = list(waiting)
        for row in rows:
            await self._do_job(row.id, self.job_sources[row.task_name], row.args["payload"])
        return len(rows)

    async def _do_job(self, number: int, job: Any, payload: Any) -> None:
        work, job_id = self.boss, UUID(int=number)

        async def steps(session: AsyncSession, _writable: bool) -> None:
            if await mark(session, f"job {job.name}", job_id, self.tenant_id):
                await self.transactions.perform(session, job.handler, payload, work)

        await self.transactions.transaction(steps, work)
        self.crash_point(f"{job.handler.__name__}.unnoted")
        async with self.database.session(None) as session:
            await session.execute(
                text("UPDATE jobs.procrastinate_jobs SET status = 'succeeded' WHERE id = :id"), {"id": number}
            )

    async def listen(self, body: bytes, headers: Any) -> int:
        """Take a webhook as the server does."""
        event = await SandboxWebhooks([SECRET]).read(body, headers)
        if event is not None:
            await HandledOnce(self.transactions, paying.hear_provider)(event)
            self.crash_point("hear_provider.unanswered")
        return 200

    async def hear_all(self) -> int:
        """Take every webhook that the bank still wants to send, whenever that would have been."""
        books, heard = self.bank.app._books, 0
        books._db.execute("UPDATE event SET due = 0")
        while pending := books.claim(60):
            await self.bank.app._webhooks._send(pending)
            heard += 1
        return heard

    def decide(self, payment_id: UUID, *, won: bool) -> bool:
        """Have the buyer's bank decide the dispute about a payment, if there is one to decide."""
        for each in self.bank.disputes():
            if each["metadata"]["payment_id"] == str(payment_id) and each["status"] == "opened":
                self.bank.app.bank.close_dispute(each["id"], won=won)
                self.bank.app._webhooks.wake()
                return True
        return False

    async def come_to_rest(self) -> None:
        """Bring everything to an end that somebody began; what does not end is found by who looks afterwards."""
        for minutes in range(2, 120, 2):
            # Whoever held a saga is silent for longer each time, or it would not be taken up twice.
            at = datetime.now(UTC) + timedelta(minutes=minutes)
            if not await self.keep(at) + await self.do_jobs() + await self.hear_all():
                break
            await asyncio.sleep(0.05)
        late = datetime.now(UTC) + timedelta(hours=3)
        overdue = Work(tenant_id=self.tenant_id, actor=self.boss.actor, now=late, correlation_id="street")
        await self.transactions.run(expire_reservations, {}, overdue)

    async def amiss(self) -> list[Any]:
        """Name everything that contradicts something else, or did not end."""
        return [
            *await self.broken(),
            *await self.all(AMISS),
            *await self._payouts(),
            *await self._disputes(),
            *await self._balance(),
        ]

    async def _payouts(self) -> list[str]:
        """Compare what the bank sent to sellers with what our books say was sent."""
        rows = await self.all("SELECT id, amount_minor, state FROM payments.payout WHERE tenant_id = :tenant")
        sent: dict[str, list[int]] = {}
        for each in self.bank.app._books.all():
            if each["object"] == "transfer" and each["status"] == "paid":
                sent.setdefault(each["key"].partition(":")[0], []).append(each["amount"])
        ours = {str(row.id): [row.amount_minor] for row in rows if row.state == "paid"}
        return [] if sent == ours else [f"the bank sent {sent}, our books say {ours}"]

    async def _disputes(self) -> list[str]:
        """Compare what the buyers' banks have disputed and decided with what our books say of it."""
        rows = await self.all("SELECT reference, state FROM payments.dispute WHERE tenant_id = :tenant")
        theirs, ours = (
            {each["id"]: each["status"] for each in self.bank.disputes()},
            {row.reference: row.state for row in rows},
        )
        return [] if theirs == ours else [f"the banks say {theirs} of disputes, our books {ours}"]

    async def _balance(self) -> list[str]:
        """Compare what lies at the bank with what our ledger says lies there; the fee on a mistake is the bank's affair."""
        books = [*self.bank.app._books.all()]
        paid = {str(row.id) for row in await self.all(f"SELECT id FROM payments.payment WHERE {TAKEN}")}
        charges = [each for each in books if each["object"] == "charge" and each["metadata"]["payment_id"] in paid]
        lies = sum(each["captured"] - each["fee"] - each["refunded"] for each in charges)
        lies -= sum(each["amount"] for each in books if each["object"] == "transfer" and each["status"] == "paid")
        lies -= sum(each["amount"] for each in self.bank.disputes() if each["status"] != "won")
        (ours,) = await self.one("SELECT coalesce(sum(amount_minor), 0) FROM payments.entry "
                                 "WHERE tenant_id = :tenant AND account = 'buyer_clearing'")  # fmt: skip
        return [] if lies == ours else [f"{lies} lie at the bank, {ours} according to the ledger"]


async def pay_out(
    command: RequestPayout,
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
    queue: JobQueue,
) -> None:
    """Have earnings sent at once, where the worker would wait for the morning of its event."""
    payout = await request_payout(command, work, policies, accounts, payouts, ledger, calendars)
    await queue.defer(paying.SEND_PAYOUT, {"payout_id": str(payout.id)}, key=f"payout {payout.id}")


def _hurried() -> float:
    # A provider that seemed to be down is tried again after a tenth of a second.
    return monotonic() * 100


@asynccontextmanager
async def street(
    database: Database, place: Place, crash_point: CrashPoint = lambda _point: None
) -> AsyncIterator[Street]:
    """Come to a market that somebody has opened; its bank's books are a file that all processes share."""
    made: Street

    async def post(body: bytes, headers: Any) -> int:
        return await made.listen(body, headers)

    app = SandboxApp(
        SandboxConfig(
            api_key=KEY, webhook_secret=SECRET, silence_seconds=0, late_seconds=0, path=Path(place.books),
            retry_seconds=(0.2,) * 1_000,
        ),
        post=post,
    )  # fmt: skip
    bank = Bank(app, SandboxProvider("", KEY, app=app.app))
    router: Any = Fused(ProviderRouter([bank.provider, BankTransfer(), Cash()], clock=_hurried), crash_point)
    transactions = FusedTransactions(database, crash_point)
    transactions.offer(
        {
            PaymentProvider: router,
            ProviderDirectory: router,
            StockDesk: GroupedStockDesk(database),
            Geometry: ShapelyGeometry(),
        }
    )
    made = Street(
        database, transactions, place.tenant_id, bank, router, list(place.stores), list(place.sellers),
        crash_point=crash_point,
    )  # fmt: skip
    try:
        yield made
    finally:
        await bank.close()
