"""Preparing and selling live on real engines: all or nothing whatever dies, and every order counts for what it is worth."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from data.database import Database
from data.encryption import AesCipher
from data.inventory import GroupedStockDesk
from data.sagas import SagaHolds
from data.transactions import SqlTransactions
from domain.codec import fingerprint
from domain.inventory import StockDesk
from domain.kernel import Envelope, Work, uuid7
from domain.live import (
    CreateStudio,
    LiveSession,
    Stream,
    StreamId,
    StreamingPlatform,
    StreamingRefused,
    create_studio,
)
from domain.money import Money
from domain.payments.refunds import RefundPayment, request_refund
from domain.pricing import FlashItemInput
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.carting import NewCartLine
from domain.processes.live_selling import StartLiveFlashSale, settle_live_sale, start_live_flash_sale
from domain.processes.staging import (
    PREPARATION,
    EndLiveSession,
    GoLive,
    ScheduleLiveSession,
    StartLiveSession,
    end_live_session,
    go_live,
    preparation_saga,
    schedule_live_session,
)
from domain.sagas import Saga, SagaState
from domain.tenancy import Cipher
from server.sagas import Runner
from tests.buying import Market, market

POINTS = [
    *("take.uncommitted", "take.done", "stream.begin", "stream.done"),
    *("ready.begin", "ready.uncommitted", "ready.done"),
]
HELD = """SELECT (SELECT count(*) FROM live.studio_booking WHERE tenant_id = :tenant AND ends_at > :at) AS bookings,
  (SELECT coalesce(sum(reserved), 0)::int FROM inventory.stock_level WHERE tenant_id = :tenant) AS held"""
SESSION = "SELECT status, sales_count, revenue_minor FROM live.session WHERE tenant_id = :tenant"
ORDER_EVENTS = """SELECT event_id, name, aggregate_id, aggregate_type, version, data FROM platform.event_log
  WHERE tenant_id = :tenant AND name IN ('order.paid', 'order.cancelled', 'order.refunded') ORDER BY sequence"""


class Died(BaseException):
    """The process that ran the preparation is gone."""


@dataclass
class Platform:
    """A streaming platform that remembers what is open."""

    opened: set[StreamId] = field(default_factory=set)
    refusal: str | None = None

    async def open(self, stream: StreamId) -> Stream:
        if self.refusal:
            raise StreamingRefused(reason=self.refusal)
        self.opened.add(stream)
        return Stream(ingest_url="rtmp://test/live", ingest_key="key", playback_url="http://test/1.m3u8")

    async def close(self, stream: StreamId) -> None:
        self.opened.discard(stream)


@dataclass
class Stage:
    shop: Market
    database: Database
    host: Work
    session: LiveSession
    platform: Platform = field(default_factory=Platform)

    def runner(self, crash_point: Callable[[str], None] | None = None) -> Runner:
        services = {
            StreamingPlatform: self.platform,
            Cipher: AesCipher([b"k" * 32]),
            StockDesk: GroupedStockDesk(self.database),
        }
        transactions = SqlTransactions(self.database)
        transactions.offer(services)
        more = {"crash_point": crash_point} if crash_point else {}
        return Runner(transactions, SagaHolds(self.database), services, [PREPARATION], **more)

    def saga(self, key: str = "once") -> Saga:
        command = StartLiveSession(session_id=self.session.id)
        return preparation_saga(command, self.now(), key, fingerprint(command))

    async def finish(self, saga: Saga) -> Saga:
        """Let a keeper bring a preparation to its end, as if its holder had been silent for long."""
        for _ in range(20):
            due = await SagaHolds(self.database).take_due(datetime.now(UTC) + timedelta(minutes=1), 1_000)
            for each in (each for each in due if each.tenant_id == self.shop.tenant_id):
                await self.runner().take_up(each)
            found = await self.runner()._present(saga)
            if found.state in {SagaState.DONE, SagaState.COMPENSATED}:
                return found
        raise AssertionError("it came to no end")

    async def held(self) -> tuple[int, int]:
        row = await self.shop.one(HELD, at=datetime.now(UTC) + timedelta(minutes=1))
        return row.bookings, row.held

    async def status(self) -> tuple[str, int, int]:
        return tuple(await self.shop.one(SESSION))

    async def begin(self) -> None:
        await self.runner().start(PREPARATION, self.saga())
        await self.shop.transactions.run(go_live, GoLive(session_id=self.session.id), self.now())

    def now(self) -> Work:
        return Work(tenant_id=self.shop.tenant_id, actor=self.host.actor, now=datetime.now(UTC), correlation_id="test")

    async def buy(self, sku: str = "mug", **how: Any) -> Saga:
        lines = (NewCartLine(sku=sku),)
        return await self.shop.buy(self.shop.work(), str(uuid7()), lines=lines, **how)

    async def settle(self, *, backwards: bool = False, times: int = 1) -> None:
        """Let live commerce hear of all that has happened to orders."""
        rows = list(await self.shop.all(ORDER_EVENTS)) * times
        for row in reversed(rows) if backwards else rows:
            envelope = Envelope(
                event_id=row.event_id, name=row.name, tenant_id=self.shop.tenant_id, aggregate_id=row.aggregate_id,
                aggregate_type=row.aggregate_type, version=row.version, data=row.data, occurred_at=self.host.now,
                correlation_id="test",
            )  # fmt: skip
            await self.shop.transactions.run(settle_live_sale, envelope, self.host)


@pytest.fixture
async def stage(database: Database, tenant_id: UUID) -> AsyncIterator[Stage]:
    async with market(database, tenant_id) as shop:
        await shop.put_on_sale("mug", 1000, 10)
        await shop.put_on_sale("cup", 500, 1)
        host = shop.staff()
        studio = await shop.transactions.run(create_studio, CreateStudio(name="Red room"), host)
        announced = ScheduleLiveSession(title="Mugs", studio_id=studio.id, scheduled_for=host.now, skus=["mug", "cup"])
        session = await shop.transactions.run(schedule_live_session, announced, host)
        yield Stage(shop, database, host, session)


def dying_at(wanted: str) -> Callable[[str], None]:
    def crash(point: str) -> None:
        if point == f"live_preparation.{wanted}":
            raise Died

    return crash


class TestAPreparation:
    @pytest.mark.parametrize("point", POINTS)
    async def test_is_brought_to_its_end_once_when_its_runner_dies(self, stage: Stage, point: str) -> None:
        saga = stage.saga()
        with pytest.raises(Died):
            await stage.runner(dying_at(point)).start(PREPARATION, saga)
        if point == "take.uncommitted":
            assert (await stage.held(), stage.platform.opened) == ((0, 0), set())
            saga = await stage.runner().start(PREPARATION, saga)
        else:
            saga = await stage.finish(saga)
        assert saga.state is SagaState.DONE
        assert (await stage.held(), len(stage.platform.opened)) == ((1, 2), 1)
        assert (await stage.status())[0] == "ready"

    async def test_gives_everything_back_where_the_platform_refuses(self, stage: Stage) -> None:
        stage.platform.refusal = "too many streams"
        with pytest.raises(StreamingRefused):
            await stage.runner().start(PREPARATION, stage.saga())
        assert (await stage.held(), stage.platform.opened) == ((0, 0), set())
        assert (await stage.status())[0] == "scheduled"
        stage.platform.refusal = None
        assert (await stage.runner().start(PREPARATION, stage.saga("again"))).state is SagaState.DONE

    @pytest.mark.parametrize("point", ["stream.undo", "take.undo"])
    async def test_gives_everything_back_also_when_its_runner_dies_meanwhile(self, stage: Stage, point: str) -> None:
        stage.platform.refusal = "too many streams"
        saga = stage.saga()
        with pytest.raises(Died):
            await stage.runner(dying_at(point)).start(PREPARATION, saga)
        assert (await stage.finish(saga)).state is SagaState.COMPENSATED
        assert (await stage.held(), (await stage.status())[0]) == ((0, 0), "scheduled")


class TestSales:
    async def test_are_orders_that_were_placed_in_the_session(self, stage: Stage) -> None:
        await stage.buy(live_session_id=stage.session.id)
        await stage.begin()
        await stage.buy(live_session_id=stage.session.id)
        await stage.buy(live_session_id=uuid7())
        await stage.buy()
        await stage.settle(times=2)
        # 10.00 and 13 % HST; the first was too early.
        assert await stage.status() == ("live", 1, 1130)
        assert await stage.shop.broken() == []

    @pytest.mark.parametrize("backwards", [False, True])
    async def test_are_taken_back_with_their_orders_in_whichever_order_that_is_heard(
        self, stage: Stage, backwards: bool
    ) -> None:
        await stage.begin()
        kept, off = [await stage.buy(live_session_id=stage.session.id) for _ in range(2)]
        if not backwards:
            await stage.settle()
            assert await stage.status() == ("live", 2, 2260)
        await stage.shop.transactions.run(cancel_order, CancelOrder(id=off.id), stage.now())
        payment = await stage.shop.one("SELECT id FROM payments.payment WHERE order_id = :order", order=kept.id)
        part = RefundPayment(payment_id=payment.id, amount=Money(130, "CAD"))
        await stage.shop.transactions.run(request_refund, part, stage.now())
        await stage.shop.finish()
        await stage.shop.hear()
        await stage.settle(backwards=backwards, times=2)
        expected = await stage.shop.one(
            'SELECT sum(total_minor - refunded_minor) FROM orders."order" WHERE id = :order', order=kept.id
        )
        assert await stage.status() == ("live", 1, expected[0])

    async def test_add_up_when_many_are_heard_of_at_once(self, stage: Stage) -> None:
        await stage.begin()
        await asyncio.gather(*(stage.buy(live_session_id=stage.session.id) for _ in range(5)))
        await asyncio.gather(*(stage.settle() for _ in range(3)))
        assert await stage.status() == ("live", 5, 5650)


class TestAFlashSale:
    async def test_sells_its_last_unit_once_however_many_want_it(self, stage: Stage) -> None:
        await stage.begin()
        item = FlashItemInput(sku="mug", price=Money(500, "CAD"), stock_limit=1)
        await stage.shop.transactions.run(
            start_live_flash_sale, StartLiveFlashSale(session_id=stage.session.id, items=(item,)), stage.now()
        )
        bought = await asyncio.gather(
            *(stage.buy(live_session_id=stage.session.id, expected_total_minor=565) for _ in range(6)),
            return_exceptions=True,
        )
        won = [each for each in bought if isinstance(each, Saga)]
        assert len(won) == 1, bought
        await stage.settle()
        assert await stage.status() == ("live", 1, 565)
        await stage.shop.transactions.run(end_live_session, EndLiveSession(session_id=stage.session.id), stage.now())
        assert (await stage.held()) == (0, 1)
        assert await stage.shop.broken() == []
