"""What the clock, other contexts and people at their desks do with payments."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from data.database import Database
from data.event_log import event_log
from data.payments.tables import payout, payout_account
from data.transactions import SqlTransactions
from domain.kernel import Envelope, InvalidInput, InvalidStateTransition, Work, uuid7
from domain.money import Money
from domain.payments import (
    EscrowHolds,
    Ledger,
    LedgerReads,
    Method,
    MethodKind,
    OpenDispute,
    Payment,
    Payments,
    SetPayoutAccount,
    Split,
    VoidPayment,
    open_dispute,
    set_payout_account,
    settle_capture,
)
from domain.payments.hearing import (
    on_escrow_released,
    on_order_completed,
    on_orders_created,
    watch_payments,
)
from domain.payments.providers import ChargeOutcome, ChargeRequest, ChargeStatus, PaymentProvider, ProviderRefused
from domain.processes.payouts import schedule_daily_payouts
from domain.processes.payouts import set_payout_account as place_account
from domain.processes.settling import (
    CapturePayment,
    RefundPaymentInput,
    capture_payment,
    refund_payment,
    void_payment,
)
from domain.tax import AddHoliday, add_holiday

CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok")
TOTAL = Money(50_00, "CAD")


class Desk:
    """A provider that keeps what it was asked in a dictionary."""

    def __init__(self, status: ChargeStatus = ChargeStatus.CAPTURED) -> None:
        self.status = status
        self.captures: dict[str, Money] = {}

    async def capture(self, reference: str, amount: Money, key: str, *, account: UUID | None = None) -> ChargeOutcome:
        self.captures[key] = amount
        return ChargeOutcome(
            provider="sandbox", status=self.status, reference=reference, amount=amount, fee=Money(1_00, "CAD")
        )

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        raise AssertionError(request)


async def begin(authorized: bool, work: Work, payments: Payments) -> Payment:
    splits = [Split(sub_order_id=uuid7(), seller_id=uuid7(), goods_minor=50_00)]
    payment = Payment.open(uuid7(), TOTAL, CARD, splits, work)
    if authorized:
        payment.authorized("ch_1", TOTAL, work)
    payments.add(payment)
    return payment


async def buy(_: None, work: Work, payments: Payments, holds: EscrowHolds, ledger: Ledger) -> Payment:
    payment = await begin(False, work, payments)
    await settle_capture(payment, f"ch_{payment.id}", TOTAL, None, work, holds, ledger)
    return payment


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def till(transactions: SqlTransactions, desk: Desk) -> SqlTransactions:
    transactions.offer({PaymentProvider: desk})
    return transactions


async def books(database: Database, work: Work) -> dict[str, int]:
    reads = database.reads(work.tenant_id)
    rows = await reads.port(LedgerReads).balances()
    await reads.close()
    return {row.kind: int(row.amount_minor) for row in rows if row.amount_minor}


async def events(database: Database, work: Work) -> list[str]:
    async with database.session(work.tenant_id) as session:
        return list(await session.scalars(select(event_log.c.name).order_by(event_log.c.sequence)))


async def jobs(database: Database, name: str, work: Work) -> list[dict[str, Any]]:
    async with database.session(None) as session:
        found = await session.execute(
            text("SELECT args, scheduled_at FROM jobs.procrastinate_jobs WHERE task_name = :name ORDER BY id"),
            {"name": name},
        )
        return [dict(row._mapping) for row in found if str(work.tenant_id) in str(row.args)]


def heard(name: str, work: Work, aggregate_id: UUID, at: datetime) -> Envelope:
    return Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=work.tenant_id,
        aggregate_id=aggregate_id,
        aggregate_type="Order",
        version=1,
        data={},
        occurred_at=at,
        correlation_id="test",
    )


class TestCapturePayment:
    async def test_takes_the_money_once_however_many_ask(
        self, till: SqlTransactions, desk: Desk, database: Database, work: Work
    ) -> None:
        payment = await till.run(begin, True, work)
        command = CapturePayment(payment_id=payment.id)
        await asyncio.gather(*(till.run(capture_payment, command, work) for _ in range(6)))
        assert desk.captures == {f"{payment.id}-capture": TOTAL}
        assert await books(database, work) == {"buyer_clearing": 49_00, "provider_fees": 1_00, "escrow": -50_00}

    async def test_refuses_what_is_not_set_aside(self, till: SqlTransactions, desk: Desk, work: Work) -> None:
        payment = await till.run(begin, False, work)
        with pytest.raises(InvalidStateTransition):
            await till.run(capture_payment, CapturePayment(payment_id=payment.id), work)
        assert desk.captures == {}

    async def test_changes_nothing_when_the_provider_refuses(
        self, till: SqlTransactions, desk: Desk, database: Database, work: Work
    ) -> None:
        desk.status = ChargeStatus.DECLINED
        payment = await till.run(begin, True, work)
        with pytest.raises(ProviderRefused):
            await till.run(capture_payment, CapturePayment(payment_id=payment.id), work)
        assert await books(database, work) == {}


class TestVoidPayment:
    async def test_has_the_provider_let_go(self, till: SqlTransactions, database: Database, work: Work) -> None:
        payment = await till.run(begin, True, work)
        voided = await till.run(void_payment, VoidPayment(payment_id=payment.id, reason="changed my mind"), work)
        assert voided.state == "voided"
        (job,) = await jobs(database, "payments.let_go", work)
        assert str(payment.id) in str(job["args"])

    async def test_of_money_that_is_there_is_refused(
        self, till: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await till.run(buy, None, work)
        with pytest.raises(InvalidStateTransition):
            await till.run(void_payment, VoidPayment(payment_id=payment.id, reason="x"), work)
        assert await jobs(database, "payments.let_go", work) == []


class TestRefundPayment:
    async def test_has_the_refund_sent(self, till: SqlTransactions, database: Database, work: Work) -> None:
        payment = await till.run(buy, None, work)
        refund = await till.run(refund_payment, RefundPaymentInput(payment_id=payment.id), work)
        (job,) = await jobs(database, "payments.send_refund", work)
        assert str(refund.id) in str(job["args"])


class TestOrderCompleted:
    async def test_releases_the_escrow_once(self, till: SqlTransactions, database: Database, work: Work) -> None:
        payment = await till.run(buy, None, work)
        envelope = heard("order.completed", work, payment.order_id, work.now)
        for _ in range(2):
            await till.run(on_order_completed, envelope, work)
        assert await books(database, work) == {
            "buyer_clearing": 50_00,
            "seller_payable": -45_00,
            "platform_fees": -5_00,
        }

    async def test_waits_for_the_end_of_a_dispute(self, till: SqlTransactions, database: Database, work: Work) -> None:
        payment = await till.run(buy, None, work)
        command = OpenDispute(payment_id=payment.id, reference="dp_1", amount=TOTAL, reason="fraudulent")
        await till.run(open_dispute, command, work)
        await till.run(on_order_completed, heard("order.completed", work, payment.order_id, work.now), work)
        assert (await books(database, work))["escrow"] == -50_00


class TestEscrowReleased:
    async def test_has_sellers_paid_out_on_the_next_morning(
        self, till: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await till.run(buy, None, work)
        (seller_id,) = [split.seller_id for split in payment.splits]
        assert seller_id is not None
        account = SetPayoutAccount(seller_id=seller_id, currency="CAD", provider="sandbox", destination="acct_1")
        await till.run(set_payout_account, account, work)
        await till.run(on_order_completed, heard("order.completed", work, payment.order_id, work.now), work)
        evening = datetime(2026, 1, 5, 20, tzinfo=UTC)
        for _ in range(2):
            await till.run(on_escrow_released, heard("escrow.released", work, uuid7(), evening), work)
        (job,) = await jobs(database, "payments.schedule_payouts", work)
        assert job["scheduled_at"] == datetime(2026, 1, 6, 6, tzinfo=UTC)
        monday = replace(work, now=datetime(2026, 1, 5, 6, tzinfo=UTC))
        await till.run(schedule_daily_payouts, {}, monday)
        async with database.session(work.tenant_id) as session:
            rows = (await session.execute(select(payout.c.amount_minor, payout.c.scheduled_for))).all()
        assert [(row.amount_minor, str(row.scheduled_for)) for row in rows] == [(45_00, "2026-01-06")]

    @pytest.mark.parametrize(
        ("place", "days"),
        [
            # Good Friday, which Ontario rests on and then the weekend; Easter Monday is a day like any other there.
            (None, ["2026-04-06"]),
            ("CA-ON", ["2026-04-06"]),
            # Germany rests on Monday as well.
            ("DE", ["2026-04-07"]),
            ("US", ["2026-04-03"]),
        ],
    )
    async def test_waits_for_a_business_day_of_the_seller(
        self, till: SqlTransactions, database: Database, work: Work, place: str | None, days: list[str]
    ) -> None:
        payment = await till.run(buy, None, work)
        (seller_id,) = [split.seller_id for split in payment.splits]
        account = SetPayoutAccount(
            seller_id=seller_id, currency="CAD", provider="sandbox", destination="acct_1", place=place
        )
        await till.run(place_account, account, work)
        await till.run(on_order_completed, heard("order.completed", work, payment.order_id, work.now), work)
        await till.run(schedule_daily_payouts, {}, replace(work, now=datetime(2026, 4, 2, 6, tzinfo=UTC)))
        async with database.session(work.tenant_id) as session:
            assert [str(row.scheduled_for) for row in await session.execute(select(payout.c.scheduled_for))] == days

    async def test_waits_for_the_end_of_a_holiday_of_the_tenants_own(
        self, till: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await till.run(buy, None, work)
        (seller_id,) = [split.seller_id for split in payment.splits]
        account = SetPayoutAccount(seller_id=seller_id, currency="CAD", provider="sandbox", destination="acct_1")
        await till.run(place_account, account, work)
        await till.run(add_holiday, AddHoliday(country="CA", day=date(2026, 1, 6), name="Stocktaking"), work)
        await till.run(on_order_completed, heard("order.completed", work, payment.order_id, work.now), work)
        await till.run(schedule_daily_payouts, {}, replace(work, now=datetime(2026, 1, 5, 6, tzinfo=UTC)))
        async with database.session(work.tenant_id) as session:
            assert [str(row.scheduled_for) for row in await session.execute(select(payout.c.scheduled_for))] == [
                "2026-01-07"
            ]

    async def test_knows_no_place_that_is_none(self, till: SqlTransactions, database: Database, work: Work) -> None:
        account = SetPayoutAccount(
            seller_id=uuid7(), currency="CAD", provider="sandbox", destination="acct_1", place="CA-XX"
        )
        with pytest.raises(InvalidInput):
            await till.run(place_account, account, work)
        async with database.session(work.tenant_id) as session:
            assert (await session.execute(select(payout_account.c.id))).all() == []


async def hear_all(envelopes: Sequence[Envelope], till: SqlTransactions, work: Work) -> None:
    await till.run(on_orders_created, envelopes, work)


class TestOrdersCreated:
    async def test_have_one_watchman_an_hour(self, till: SqlTransactions, database: Database, work: Work) -> None:
        noon = datetime(2026, 1, 5, 12, 10, tzinfo=UTC)
        times = (noon, noon + timedelta(minutes=40), noon + timedelta(minutes=55))
        await hear_all([heard("order.created", work, uuid7(), each) for each in times], till, work)
        found = await jobs(database, "payments.watch", work)
        assert [job["scheduled_at"].hour for job in found] == [15, 16]

    async def test_raise_an_alarm_when_nobody_knows_what_became_of_the_money(
        self, till: SqlTransactions, database: Database, work: Work
    ) -> None:
        now = replace(work, now=datetime(2026, 1, 5, 12, 10, tzinfo=UTC))
        await till.run(begin, False, now)
        await till.run(begin, True, replace(now, now=now.now + timedelta(minutes=1)))
        await till.run(begin, False, replace(now, now=now.now + timedelta(hours=1)))
        await till.run(watch_payments, {"since": "2026-01-05T12:00:00+00:00"}, work)
        assert (await events(database, work)).count("payment.overdue") == 1
