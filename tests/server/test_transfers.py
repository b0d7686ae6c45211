"""Bank transfers: awaited for so many days, noted by hand, and sent back by hand; and what banks say against our books."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from data.database import Database
from domain.kernel import AlreadyExists, Envelope, InvalidInput, InvalidStateTransition, NotFound, uuid7
from domain.money import Money
from domain.payments import (
    CloseDispute,
    CompleteRefundInput,
    MethodKind,
    RefundSentByProvider,
    RunReconciliation,
    UpdatePayoutPolicy,
    run_reconciliation,
    update_payout_policy,
)
from domain.payments.providers import ProviderEvent, ProviderFact
from domain.processes import paying
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.settling import CapturePayment, RefundPaymentInput, capture_payment, complete_refund
from domain.processes.settling import refund_payment as give_back
from domain.processes.transfers import GIVE_UP, await_transfer, give_up_transfer
from server.payments.webhooks import HandledOnce
from tests.buying import Market, market

ORDER = 'SELECT id, state, payment_status, cancel_reason FROM orders."order" WHERE tenant_id = :tenant'
PAYMENT = (
    "SELECT id, state, refunding_minor, refunded_minor, authorized_at FROM payments.payment WHERE tenant_id = :tenant"
)
REFUND = "SELECT id, state, reference, amount_minor FROM payments.refund WHERE tenant_id = :tenant"
STOCK = "SELECT on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant"
TOLD = "SELECT data FROM platform.event_log WHERE tenant_id = :tenant AND name = :name ORDER BY sequence"
TIMERS = """
SELECT scheduled_at FROM jobs.procrastinate_jobs
WHERE task_name = :name AND status = 'todo' AND (args ->> 'tenant_id')::uuid = :tenant
"""
BOOKS = """
SELECT account, sum(amount_minor) AS minor FROM payments.entry
WHERE tenant_id = :tenant GROUP BY account HAVING sum(amount_minor) <> 0
"""


@pytest.fixture
async def shop(database: Database, tenant_id: UUID) -> AsyncIterator[Market]:
    async with market(database, tenant_id) as opened:
        await opened.put_on_sale("mug", 1250, 10)
        yield opened


async def ordered(shop: Market, kind: MethodKind = MethodKind.BANK_TRANSFER) -> Any:
    """Order a mug for 14.13, to be paid by transfer; gives the payment."""
    buyer = shop.work()
    await shop.filled(buyer, ("mug", 1))
    await shop.buy(buyer, payment_method=kind, payment_token="sbx_card_ok" if kind is MethodKind.CARD else "")
    return await shop.one(PAYMENT)


async def give_up(shop: Market, payment_id: UUID) -> None:
    await shop.transactions.run(give_up_transfer, {"payment_id": str(payment_id)}, shop.staff())


async def capture(shop: Market, payment_id: UUID) -> Any:
    return await shop.transactions.run(capture_payment, CapturePayment(payment_id=payment_id), shop.staff())


async def told(shop: Market, name: str) -> list[Any]:
    return [row.data for row in await shop.all(TOLD, name=name)]


async def books(shop: Market) -> dict[str, int]:
    return {row.account.partition(":")[0]: int(row.minor) for row in await shop.all(BOOKS)}


def authorized(shop: Market, payment_id: UUID, at: datetime) -> Envelope:
    return Envelope(
        event_id=uuid7(), name="payment.authorized", tenant_id=shop.tenant_id, aggregate_id=payment_id,
        aggregate_type="Payment", version=1, data={}, occurred_at=at, correlation_id="test",
    )  # fmt: skip


class TestAnAwaitedTransfer:
    @pytest.mark.parametrize("days", [7, 3])
    async def test_has_as_many_days_as_the_tenant_has_settled(self, shop: Market, days: int) -> None:
        if days != 7:
            await shop.transactions.run(update_payout_policy, UpdatePayoutPolicy(transfer_days=days), shop.staff())
        payment = await ordered(shop)
        assert payment.state == "authorized"
        at = datetime(2026, 1, 5, tzinfo=UTC)
        for _ in range(2):
            await shop.transactions.run(await_transfer, authorized(shop, payment.id, at), shop.staff())
        assert [row.scheduled_at for row in await shop.all(TIMERS, name=GIVE_UP)] == [at + timedelta(days=days)]

    async def test_is_of_transfers_alone(self, shop: Market) -> None:
        payment = await ordered(shop, MethodKind.CASH)
        await shop.transactions.run(await_transfer, authorized(shop, payment.id, datetime.now(UTC)), shop.staff())
        assert await shop.all(TIMERS, name=GIVE_UP) == []

    @pytest.mark.parametrize("days", [0, 61])
    async def test_is_not_awaited_for_ever(self, shop: Market, days: int) -> None:
        with pytest.raises(InvalidInput):
            await shop.transactions.run(update_payout_policy, UpdatePayoutPolicy(transfer_days=days), shop.staff())

    async def test_that_does_not_come_ends_the_order_once(self, shop: Market) -> None:
        payment = await ordered(shop)
        assert tuple(await shop.one(STOCK)) == (10, 1)
        await asyncio.gather(*(give_up(shop, payment.id) for _ in range(4)))
        order = await shop.one(ORDER)
        assert (order.state, order.cancel_reason) == ("cancelled", "transfer_not_received")
        assert (await shop.one(PAYMENT)).state == "voided"
        assert tuple(await shop.one(STOCK)) == (10, 0)
        assert [each["reason"] for each in await told(shop, "order.cancelled")] == ["transfer_not_received"]
        await shop.do_jobs()
        assert await shop.broken() == []

    async def test_that_came_ends_nothing(self, shop: Market) -> None:
        payment = await ordered(shop)
        await capture(shop, payment.id)
        await give_up(shop, payment.id)
        assert (await shop.one(ORDER)).state == "paid"
        assert tuple(await shop.one(STOCK)) == (10, 1)

    async def test_of_an_order_that_was_called_off_ends_nothing_more(self, shop: Market) -> None:
        payment = await ordered(shop)
        await shop.transactions.run(cancel_order, CancelOrder(id=(await shop.one(ORDER)).id), shop.staff())
        await give_up(shop, payment.id)
        assert (await shop.one(ORDER)).cancel_reason != "transfer_not_received"
        assert len(await told(shop, "order.cancelled")) == 1

    async def test_that_comes_too_late_is_booked_and_goes_back(self, shop: Market) -> None:
        payment = await ordered(shop)
        await give_up(shop, payment.id)
        for _ in range(2):
            assert (await capture(shop, payment.id)).state == "captured"
        order, refund = await shop.one(ORDER), await shop.one(REFUND)
        assert (order.state, order.payment_status) == ("cancelled", "paid")
        assert (refund.state, refund.amount_minor) == ("pending", 1413)
        (asked,) = await told(shop, "payment.refund_requested")
        assert asked["reason"] == "the transfer arrived after the order was cancelled"
        assert await books(shop) == {"buyer_clearing": 1413, "refunds": -1413}

    async def test_that_comes_in_the_same_instant_is_kept_or_goes_back(self, shop: Market) -> None:
        payment = await ordered(shop)
        await asyncio.gather(*(act(shop, payment.id) for act in (give_up, capture, give_up, capture)))
        order, now = await shop.one(ORDER), await shop.one(PAYMENT)
        kept = (order.state, now.state, now.refunding_minor) == ("paid", "captured", 0)
        assert kept or (order.state, now.state, now.refunding_minor) == ("cancelled", "captured", 1413)
        assert tuple(await shop.one(STOCK)) == (10, 1 if kept else 0)


async def owed(shop: Market) -> Any:
    """Have a paid transfer given back; gives the refund, which nobody has sent yet."""
    payment = await ordered(shop)
    await capture(shop, payment.id)
    await shop.transactions.run(give_back, RefundPaymentInput(payment_id=payment.id), shop.staff())
    await shop.do_jobs()
    refund = await shop.one(REFUND)
    assert refund.state == "pending"
    return refund


async def complete(shop: Market, refund_id: UUID, reference: str = "LINE-7") -> Any:
    return await shop.transactions.run(
        complete_refund, CompleteRefundInput(refund_id=refund_id, reference=reference), shop.staff()
    )


class TestARefundByTransfer:
    async def test_is_completed_by_whoever_has_sent_it(self, shop: Market) -> None:
        refund = await owed(shop)
        await complete(shop, refund.id, " LINE-7 ")
        now = await shop.one(REFUND)
        assert (now.state, now.reference) == ("completed", "LINE-7")
        assert (await shop.one(ORDER)).payment_status == "refunded"
        assert (await shop.one(PAYMENT)).refunded_minor == 1413
        assert await books(shop) == {}

    async def test_is_completed_once_to_racing_callers(self, shop: Market) -> None:
        refund = await owed(shop)
        made = await asyncio.gather(*(complete(shop, refund.id) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(each, InvalidStateTransition) for each in made) == 3
        assert await books(shop) == {}

    async def test_is_matched_with_its_line_on_a_statement(self, shop: Market) -> None:
        refund = await owed(shop)
        found = []
        for days in (1, 2):
            # The bank booked it days before somebody says so here.
            until = datetime.now(UTC) - timedelta(days=days)
            command = RunReconciliation(
                provider="bank_transfer", since=until - timedelta(days=1), until=until,
                statement="reference,type,amount,currency\nLINE-7,refund,-14.13,CAD\n",
            )  # fmt: skip
            run = await shop.transactions.run(run_reconciliation, command, shop.staff())
            found.append((run.matched, run.discrepancy_count))
            if days == 1:
                await complete(shop, refund.id)
        assert found == [(0, 1), (1, 0)]

    async def test_has_a_line_of_its_own(self, shop: Market) -> None:
        first = await owed(shop)
        await complete(shop, first.id)
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer, payment_method=MethodKind.BANK_TRANSFER, payment_token="")
        payment_id = UUID(saga.data["payment_id"])
        await capture(shop, payment_id)
        second = await shop.transactions.run(give_back, RefundPaymentInput(payment_id=payment_id), shop.staff())
        with pytest.raises(AlreadyExists):
            await complete(shop, second.id)
        assert [row.state for row in await shop.all(f"{REFUND} ORDER BY id")] == ["completed", "pending"]

    @pytest.mark.parametrize("reference", ["", "  ", "x" * 141])
    async def test_needs_a_reference(self, shop: Market, reference: str) -> None:
        refund = await owed(shop)
        with pytest.raises(InvalidInput):
            await complete(shop, refund.id, reference)
        assert (await shop.one(REFUND)).state == "pending"

    async def test_is_nobodys_word_where_a_provider_sends_it(self, shop: Market) -> None:
        payment = await ordered(shop, MethodKind.CARD)
        made = await shop.transactions.run(give_back, RefundPaymentInput(payment_id=payment.id), shop.staff())
        with pytest.raises(RefundSentByProvider):
            await complete(shop, made.id)
        with pytest.raises(NotFound):
            await complete(shop, uuid7())
        assert (await shop.one(REFUND)).state == "pending"


def decision(shop: Market, payment_id: UUID, fact: ProviderFact) -> ProviderEvent:
    return ProviderEvent(
        provider="sandbox", event_id=str(uuid5(payment_id, fact)), fact=fact, tenant_id=shop.tenant_id,
        occurred_at=datetime.now(UTC), reference="ch_1", amount=Money(1413, "CAD"), payment_id=payment_id,
        dispute_reference="dp_1", reason="fraudulent",
    )  # fmt: skip


DISPUTE = "SELECT id, state, contradiction FROM payments.dispute WHERE tenant_id = :tenant"


class TestADecisionThatIsContradicted:
    @pytest.mark.parametrize("won", [True, False])
    async def test_is_left_to_a_person_when_the_bank_says_otherwise(self, shop: Market, won: bool) -> None:
        payment = await ordered(shop, MethodKind.CARD)
        once = HandledOnce(shop.transactions, paying.hear_provider)
        await once(decision(shop, payment.id, ProviderFact.DISPUTE_OPENED))
        dispute = await shop.one(DISPUTE)
        command = CloseDispute(dispute_id=dispute.id, won=won)
        await shop.transactions.run(paying.close_dispute, command, shop.staff())
        before = await books(shop)
        same, other = (ProviderFact.DISPUTE_WON, ProviderFact.DISPUTE_LOST)[:: 1 if won else -1]
        assert [await once(decision(shop, payment.id, each)) for each in (same, other, other)] == [True, True, False]
        now = await shop.one(DISPUTE)
        booked, reported = ("won", "lost") if won else ("lost", "won")
        assert (now.state, now.contradiction) == (booked, reported)
        (kept,) = await told(shop, "payment.dispute_contradicted")
        assert (kept["booked"], kept["reported"], kept["amount_minor"]) == (booked, reported, 1413)
        assert await books(shop) == before

    @pytest.mark.parametrize("won", [True, False])
    async def test_cannot_be_made_by_hand_after_the_bank_has_decided(self, shop: Market, won: bool) -> None:
        payment = await ordered(shop, MethodKind.CARD)
        once = HandledOnce(shop.transactions, paying.hear_provider)
        await once(decision(shop, payment.id, ProviderFact.DISPUTE_WON if won else ProviderFact.DISPUTE_LOST))
        dispute, before = await shop.one(DISPUTE), await books(shop)
        command = CloseDispute(dispute_id=dispute.id, won=not won)
        with pytest.raises(InvalidStateTransition):
            await shop.transactions.run(paying.close_dispute, command, shop.staff())
        assert await shop.one(DISPUTE) == dispute
        assert await books(shop) == before
