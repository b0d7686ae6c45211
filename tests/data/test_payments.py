import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select

from data.database import Database
from data.event_log import event_log
from data.payments.tables import payout, refund
from data.transactions import SqlTransactions
from domain.kernel import AlreadyExists, InvalidInput, NotFound, Principal, Work, uuid7
from domain.money import Money
from domain.payments import (
    CloseDispute,
    CompletePayout,
    CompleteRefund,
    CreateSettlement,
    DeletePaymentMethod,
    EscrowFrozen,
    EscrowHolds,
    FailPayout,
    FailRefund,
    FraudFacts,
    FraudReads,
    FraudRequest,
    Ledger,
    LedgerReads,
    Method,
    MethodKind,
    OpenDispute,
    Payment,
    PaymentPolicy,
    PaymentReads,
    Payments,
    PaymentState,
    Payouts,
    PayoutTooSmall,
    ProcessSettlement,
    ProviderReport,
    Refund,
    RefundExceedsPayment,
    RefundPayment,
    ReleaseEscrow,
    RequestPayout,
    RetryRefund,
    ReturnRefund,
    RunReconciliation,
    SavePaymentMethod,
    SchedulePayouts,
    SetPayoutAccount,
    Split,
    UpdatePayoutPolicy,
    apply_report,
    close_dispute,
    complete_payout,
    complete_refund,
    create_settlement,
    delete_payment_method,
    fail_refund,
    open_dispute,
    process_settlement,
    release_escrow,
    request_refund,
    retry_refund,
    return_refund,
    run_reconciliation,
    save_payment_method,
    set_payout_account,
    settle_capture,
    update_payout_policy,
)
from domain.processes.payouts import fail_payout, request_payout, schedule_payouts

CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok", fingerprint="card-1")


def cad(amount_minor: int) -> Money:
    return Money(amount_minor, "CAD")


@dataclass(frozen=True)
class Sale:
    """Goods of 100.00 of one seller with 13.00 of tax, and 5.00 for delivery."""

    seller_id: UUID
    order_id: UUID
    user_id: UUID
    reference: str = "ch_1"
    amount: Money = Money(118_00, "CAD")  # noqa: RUF009 — it is a value.
    fee: Money = Money(3_00, "CAD")  # noqa: RUF009 — see above.


async def open_payment(sale: Sale, work: Work, payments: Payments) -> Payment:
    splits = [
        Split(sub_order_id=uuid7(), seller_id=sale.seller_id, goods_minor=100_00, tax_minor=13_00),
        Split(goods_minor=5_00),
    ]
    payment = Payment.open(sale.order_id, sale.amount, CARD, splits, work, user_id=sale.user_id)
    payments.add(payment)
    return payment


async def buy(sale: Sale, work: Work, payments: Payments, holds: EscrowHolds, ledger: Ledger) -> Payment:
    payment = await open_payment(sale, work, payments)
    await settle_capture(payment, sale.reference, sale.amount, sale.fee, work, holds, ledger)
    return payment


def sale(**more: Any) -> Sale:
    return Sale(seller_id=uuid7(), order_id=uuid7(), user_id=uuid7(), **more)


async def books(database: Database, work: Work) -> dict[str, int]:
    reads = database.reads(work.tenant_id)
    rows = await reads.port(LedgerReads).balances()
    await reads.close()
    assert sum(row.amount_minor for row in rows) == 0
    return {row.kind: int(row.amount_minor) for row in rows if row.amount_minor}


async def current(database: Database, work: Work, payment_id: UUID) -> Any:
    reads = database.reads(work.tenant_id)
    (row,) = await reads.port(PaymentReads).by_id([payment_id])
    await reads.close()
    return row


async def events(database: Database, work: Work) -> list[str]:
    async with database.session(work.tenant_id) as session:
        return list(await session.scalars(select(event_log.c.name).order_by(event_log.c.sequence)))


PAID = {
    "buyer_clearing": 115_00,
    "provider_fees": 3_00,
    "escrow": -100_00,
    "tax_payable": -13_00,
    "platform_fees": -5_00,
}


class TestCapture:
    async def test_puts_every_cent_where_it_belongs(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        assert await books(database, work) == PAID
        assert await events(database, work) == ["payment.opened", "payment.processed", "order.paid"]
        row = await current(database, work, payment.id)
        assert (row.state, row.reference, row.fee_minor) == ("captured", "ch_1", 3_00)

    async def test_takes_a_payment_of_two_statements(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement.split(maxsplit=1)[0])

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        try:
            await transactions.run(buy, sale(), work)
        finally:
            event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        # The posting with its entries; then the payment, its hold and the events together.
        assert seen == ["WITH", "WITH"]

    async def test_happens_once_however_often_it_is_reported(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(open_payment, sale(), work)
        report = ProviderReport(
            payment_id=payment.id, state=PaymentState.CAPTURED, reference="ch_1", amount=cad(118_00), fee=cad(3_00)
        )
        failed = ProviderReport(payment_id=payment.id, state=PaymentState.FAILED, reference="ch_1")
        await asyncio.gather(*(transactions.run(apply_report, report, work) for _ in range(10)))
        await transactions.run(apply_report, failed, work)
        assert await books(database, work) == PAID
        assert (await events(database, work)).count("order.paid") == 1

    async def test_keeps_a_report_of_another_amount_for_the_audit_and_believes_nothing_of_it(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(open_payment, sale(), work)
        report = ProviderReport(payment_id=payment.id, state=PaymentState.CAPTURED, reference="ch_1", amount=cad(1_00))
        assert (await transactions.run(apply_report, report, work)).state == "pending"
        assert await books(database, work) == {}
        assert await events(database, work) == ["payment.opened", "payment.mistrusted"]

    async def test_leaves_one_open_payment_to_an_order(self, transactions: SqlTransactions, work: Work) -> None:
        wanted = sale()
        tries = [transactions.run(open_payment, wanted, work) for _ in range(5)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(result, Payment) for result in results) == 1
        assert sum(isinstance(result, AlreadyExists) for result in results) == 4


class TestReleaseEscrow:
    async def test_pays_the_seller_once_however_many_release(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = sale()
        await transactions.run(buy, wanted, work)
        command = ReleaseEscrow(order_id=wanted.order_id)
        await asyncio.gather(*(transactions.run(release_escrow, command, work) for _ in range(10)))
        assert await books(database, work) == {
            "buyer_clearing": 115_00,
            "provider_fees": 3_00,
            "seller_payable": -90_00,
            "tax_payable": -13_00,
            "platform_fees": -15_00,
        }
        assert (await events(database, work)).count("escrow.released") == 1


class TestRefund:
    async def test_never_gives_back_more_than_was_paid_however_many_ask(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        command = RefundPayment(payment_id=payment.id, amount=cad(30_00))
        tries = [transactions.run(request_refund, command, work) for _ in range(12)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        made = [result for result in results if isinstance(result, Refund)]
        assert len(made) == 3
        assert sum(isinstance(result, RefundExceedsPayment) for result in results) == 9
        assert (await books(database, work))["refunds"] == -90_00
        for each in made:
            await transactions.run(complete_refund, CompleteRefund(refund_id=each.id, reference=str(each.id)), work)
        row = await current(database, work, payment.id)
        assert (row.state, row.refunded_minor, row.refunding_minor) == ("partially_refunded", 90_00, 0)
        assert (await books(database, work))["buyer_clearing"] == 25_00

    async def test_is_asked_for_once_under_one_id(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        command = RefundPayment(payment_id=payment.id, amount=cad(30_00), refund_id=uuid7())
        await asyncio.gather(*(transactions.run(request_refund, command, work) for _ in range(6)))
        async with database.session(work.tenant_id) as session:
            assert (await session.execute(select(refund.c.id, refund.c.amount_minor))).all() == [
                (command.refund_id, 30_00)
            ]

    async def test_that_fails_leaves_the_books_as_they_were(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        made = await transactions.run(request_refund, RefundPayment(payment_id=payment.id), work)
        assert await books(database, work) == {"buyer_clearing": 115_00, "provider_fees": 3_00, "refunds": -118_00}
        await asyncio.gather(
            *(transactions.run(fail_refund, FailRefund(refund_id=made.id, failure="closed"), work) for _ in range(4))
        )
        assert await books(database, work) == PAID
        assert (await current(database, work, payment.id)).state == "captured"

    async def test_of_another_tenants_payment_finds_nothing(
        self, transactions: SqlTransactions, work: Work, make_tenant: type
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        other = replace(work, tenant_id=make_tenant())
        with pytest.raises(NotFound):
            await transactions.run(request_refund, RefundPayment(payment_id=payment.id), other)


async def dispute(transactions: SqlTransactions, payment: Payment, work: Work, amount: int = 118_00) -> Any:
    command = OpenDispute(
        payment_id=payment.id, reference="dp_1", amount=cad(amount), reason="fraudulent", fee=cad(15_00)
    )
    return await transactions.run(open_dispute, command, work)


async def hold_of(database: Database, work: Work, sold: Sale) -> Any:
    reads = database.reads(work.tenant_id)
    ((hold,),) = await reads.port(PaymentReads).escrow([sold.order_id])
    await reads.close()
    return hold


class TestDispute:
    async def test_freezes_the_escrow_and_gives_it_free_when_won(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = sale()
        payment = await transactions.run(buy, wanted, work)
        opened = await dispute(transactions, payment, work)
        assert (await dispute(transactions, payment, work)).id == opened.id
        with pytest.raises(EscrowFrozen):
            await transactions.run(release_escrow, ReleaseEscrow(order_id=wanted.order_id), work)
        with pytest.raises(RefundExceedsPayment):
            await transactions.run(request_refund, RefundPayment(payment_id=payment.id), work)
        found = await books(database, work)
        assert (found["disputes"], found["buyer_clearing"], found["provider_fees"]) == (118_00, -18_00, 18_00)
        await transactions.run(close_dispute, CloseDispute(dispute_id=opened.id, won=True), work)
        await transactions.run(release_escrow, ReleaseEscrow(order_id=wanted.order_id), work)
        found = await books(database, work)
        assert (found["seller_payable"], found["buyer_clearing"], "disputes" in found) == (-90_00, 100_00, False)

    async def test_takes_the_money_from_everybody_when_lost(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        opened = await dispute(transactions, payment, work)
        await transactions.run(close_dispute, CloseDispute(dispute_id=opened.id, won=False), work)
        assert await books(database, work) == {"buyer_clearing": -18_00, "provider_fees": 18_00}
        assert (await current(database, work, payment.id)).state == "refunded"

    async def test_freezes_what_a_refund_brings_back_that_fails_meanwhile(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = sale()
        payment = await transactions.run(buy, wanted, work)
        made = await transactions.run(request_refund, RefundPayment(payment_id=payment.id), work)
        opened = await dispute(transactions, payment, work)
        await transactions.run(fail_refund, FailRefund(refund_id=made.id, failure="closed"), work)
        assert (await hold_of(database, work, wanted)).state == "frozen"
        with pytest.raises(EscrowFrozen):
            await transactions.run(release_escrow, ReleaseEscrow(order_id=wanted.order_id), work)
        await transactions.run(close_dispute, CloseDispute(dispute_id=opened.id, won=True), work)
        assert (await hold_of(database, work, wanted)).state == "held"
        assert (await books(database, work))["escrow"] == -100_00

    async def test_costs_the_platform_what_was_refunded_before(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        made = await transactions.run(request_refund, RefundPayment(payment_id=payment.id), work)
        await transactions.run(complete_refund, CompleteRefund(refund_id=made.id, reference="re_1"), work)
        opened = await dispute(transactions, payment, work, 50_00)
        await transactions.run(close_dispute, CloseDispute(dispute_id=opened.id, won=False), work)
        found = await books(database, work)
        assert found == {"buyer_clearing": -68_00, "provider_fees": 18_00, "platform_fees": 50_00}


async def earn(transactions: SqlTransactions, work: Work) -> tuple[Sale, Work]:
    wanted = sale()
    await transactions.run(buy, wanted, work)
    await transactions.run(release_escrow, ReleaseEscrow(order_id=wanted.order_id), work)
    seller = replace(work, actor=Principal(user_id=wanted.seller_id, tenant_id=work.tenant_id))
    account = SetPayoutAccount(currency="CAD", provider="sandbox", destination="acct_1")
    await transactions.run(set_payout_account, account, seller)
    return wanted, seller


async def begin(payout_id: UUID, payouts: Payouts) -> None:
    found = await payouts.lock(payout_id)
    assert found is not None
    found.begin()


class TestPayout:
    async def test_takes_what_is_due_once_however_many_ask(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        _, seller = await earn(transactions, work)
        tries = [transactions.run(request_payout, RequestPayout(currency="CAD"), seller) for _ in range(8)]
        more = [transactions.run(schedule_payouts, SchedulePayouts(), work) for _ in range(4)]
        results = await asyncio.gather(*tries, *more, return_exceptions=True)
        assert not [each for each in results if isinstance(each, Exception) and not isinstance(each, PayoutTooSmall)]
        async with database.session(work.tenant_id) as session:
            assert (await session.execute(select(payout.c.amount_minor, payout.c.state))).all() == [
                (90_00, "scheduled")
            ]
        found = await books(database, work)
        assert (found["payout_clearing"], "seller_payable" in found) == (-90_00, False)

    async def test_is_paid_once(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        await earn(transactions, work)
        (made,) = await transactions.run(schedule_payouts, SchedulePayouts(), work)
        await transactions.run(begin, made.id, work)
        command = CompletePayout(payout_id=made.id, reference="tr_1", fee=cad(25))
        await asyncio.gather(*(transactions.run(complete_payout, command, work) for _ in range(5)))
        assert await books(database, work) == {
            "buyer_clearing": 24_75,
            "provider_fees": 3_25,
            "tax_payable": -13_00,
            "platform_fees": -15_00,
        }
        assert (await events(database, work)).count("payout.paid") == 1

    async def test_that_keeps_failing_gives_the_money_back_to_the_seller(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await earn(transactions, work)
        (made,) = await transactions.run(schedule_payouts, SchedulePayouts(), work)
        for _ in range(5):
            await transactions.run(begin, made.id, work)
            last = await transactions.run(fail_payout, FailPayout(payout_id=made.id, failure="closed"), work)
        assert last.state == "cancelled"
        assert (await books(database, work))["seller_payable"] == -90_00

    async def test_waits_for_the_minimum(self, transactions: SqlTransactions, work: Work) -> None:
        _, seller = await earn(transactions, work)
        await transactions.run(update_payout_policy, UpdatePayoutPolicy(payout_minimum_minor=90_01), work)
        assert await transactions.run(schedule_payouts, SchedulePayouts(), work) == []
        with pytest.raises(PayoutTooSmall) as refusal:
            await transactions.run(request_payout, RequestPayout(currency="CAD"), seller)
        assert (refusal.value.available_minor, refusal.value.minimum_minor) == (90_00, 90_01)


class TestReconciliation:
    async def test_lists_every_difference_and_runs_a_file_once(self, transactions: SqlTransactions, work: Work) -> None:
        await transactions.run(buy, sale(reference="ch_1"), work)
        await transactions.run(buy, sale(reference="ch_2"), work)
        command = RunReconciliation(
            provider="sandbox",
            since=work.now - timedelta(hours=1),
            until=work.now + timedelta(hours=1),
            statement="reference,type,amount,currency,fee\nch_1,charge,118.00,CAD,3.00\nch_9,charge,1.00,CAD,0\n",
        )
        run = await transactions.run(run_reconciliation, command, work)
        assert (run.lines, run.matched, run.discrepancy_count) == (2, 1, 2)
        assert (await transactions.run(run_reconciliation, command, work)).id == run.id

    async def test_knows_what_was_booked_on_another_day(self, transactions: SqlTransactions, work: Work) -> None:
        await transactions.run(buy, sale(reference="ch_1"), work)
        command = RunReconciliation(
            provider="sandbox",
            since=work.now + timedelta(hours=1),
            until=work.now + timedelta(hours=2),
            statement="reference,type,amount,currency\nch_1,charge,118.00,CAD\n",
        )
        run = await transactions.run(run_reconciliation, command, work)
        assert (run.matched, run.discrepancy_count) == (1, 0)


class TestSettlement:
    async def test_counts_a_day_once(self, transactions: SqlTransactions, work: Work) -> None:
        payment = await transactions.run(buy, sale(), work)
        made = await transactions.run(request_refund, RefundPayment(payment_id=payment.id, amount=cad(18_00)), work)
        await transactions.run(complete_refund, CompleteRefund(refund_id=made.id, reference="re_1"), work)
        later = replace(work, now=work.now + timedelta(days=2))
        command = CreateSettlement(provider="sandbox", day=work.now.date())
        with pytest.raises(InvalidInput):
            await transactions.run(create_settlement, command, work)
        (counted,) = (await transactions.run(create_settlement, command, later)).settlements
        assert (counted.gross_minor, counted.refunds_minor, counted.fees_minor) == (118_00, 18_00, 3_00)
        assert (counted.net, counted.movements) == (cad(97_00), 2)
        (again,) = (await transactions.run(create_settlement, command, later)).settlements
        assert again.id == counted.id
        processed = await transactions.run(process_settlement, ProcessSettlement(id=counted.id), later)
        assert processed.state == "processed"

    async def test_counts_a_refund_on_the_day_it_was_sent_and_on_the_day_it_came_back(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        payment = await transactions.run(buy, sale(), work)
        made = await transactions.run(request_refund, RefundPayment(payment_id=payment.id, amount=cad(18_00)), work)
        await transactions.run(complete_refund, CompleteRefund(refund_id=made.id, reference="re_1"), work)
        back, again, end = (replace(work, now=work.now + timedelta(days=days)) for days in (1, 2, 4))
        for _ in range(2):
            await transactions.run(return_refund, ReturnRefund(refund_id=made.id, failure="account_closed"), back)
        await transactions.run(retry_refund, RetryRefund(refund_id=made.id), again)
        await transactions.run(complete_refund, CompleteRefund(refund_id=made.id, reference="re_2"), again)
        days = []
        for each in (work, back, again):
            counting = CreateSettlement(provider="sandbox", day=each.now.date())
            (counted,) = (await transactions.run(create_settlement, counting, end)).settlements
            days.append((counted.gross_minor, counted.refunds_minor, counted.returned_minor, counted.net_minor))
        assert days == [(118_00, 18_00, 0, 97_00), (0, 0, 18_00, 18_00), (0, 18_00, 0, -18_00)]
        told = "reference,type,amount,currency\nch_1,charge,118.00,CAD\nre_1,refund,18.00,CAD\n"
        told += "re_1,refund_returned,18.00,CAD\nre_2,refund,18.00,CAD\n"
        command = RunReconciliation(
            provider="sandbox", since=work.now - timedelta(hours=1), until=end.now, statement=told
        )
        run = await transactions.run(run_reconciliation, command, end)
        assert (run.matched, run.discrepancy_count) == (4, 0)


class TestRaces:
    async def test_between_release_refund_and_payout_lose_no_cent(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = sale()
        payment = await transactions.run(buy, wanted, work)
        account = SetPayoutAccount(seller_id=wanted.seller_id, currency="CAD", provider="sandbox", destination="acct_1")
        await transactions.run(set_payout_account, account, work)
        refund_ = RefundPayment(payment_id=payment.id, amount=cad(11_11))
        attempts = [
            *(transactions.run(request_refund, refund_, work) for _ in range(6)),
            *(transactions.run(release_escrow, ReleaseEscrow(order_id=wanted.order_id), work) for _ in range(4)),
            *(transactions.run(schedule_payouts, SchedulePayouts(), work) for _ in range(4)),
        ]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert not [each for each in results if isinstance(each, Exception)]
        found = await books(database, work)
        assert found["refunds"] == -66_66
        reads = database.reads(work.tenant_id)
        ((hold,),) = await reads.port(PaymentReads).escrow([wanted.order_id])
        await reads.close()
        assert (hold.held_minor, found.get("escrow", 0)) == (0, 0)
        earned = hold.released_minor - hold.returned_minor - hold.commission_minor
        assert -found.get("seller_payable", 0) - found.get("payout_clearing", 0) == earned


async def gather(request: FraudRequest, reads: FraudReads) -> tuple[FraudFacts, PaymentPolicy | None]:
    return await reads.gather(request)


class TestFraudReads:
    async def test_count_what_went_before(self, transactions: SqlTransactions, work: Work) -> None:
        wanted = sale()
        payment = await transactions.run(buy, wanted, work)
        await dispute(transactions, payment, work)
        await transactions.run(update_payout_policy, UpdatePayoutPolicy(review_score=10), work)
        request = FraudRequest(user_id=wanted.user_id, method=CARD, amount=cad(5), at=work.now)
        facts, policy = await transactions.run(gather, request, work)
        assert facts == FraudFacts(
            user_payments_hour=1,
            user_payments_day=1,
            user_disputes=1,
            user_paid_count=1,
            user_average_minor=118_00,
            card_payments_hour=1,
            card_users=1,
        )
        assert policy is not None
        assert policy.review_score == 10

    async def test_know_nothing_of_guests_without_a_card(self, transactions: SqlTransactions, work: Work) -> None:
        request = FraudRequest(
            user_id=None, method=Method(kind=MethodKind.CASH, provider="cash"), amount=cad(5), at=work.now
        )
        facts, policy = await transactions.run(gather, request, work)
        assert (facts, policy) == (FraudFacts(), None)


class TestSavedMethods:
    async def test_have_one_default(self, transactions: SqlTransactions, work: Work) -> None:
        first = await transactions.run(save_payment_method, SavePaymentMethod(provider="sandbox", token="tok_1"), work)
        second = await transactions.run(
            save_payment_method, SavePaymentMethod(provider="sandbox", token="tok_2", is_default=True), work
        )
        assert (first.is_default, second.is_default) == (True, True)
        await transactions.run(delete_payment_method, DeletePaymentMethod(id=second.id), work)
        again = await transactions.run(save_payment_method, SavePaymentMethod(provider="sandbox", token="tok_1"), work)
        assert (again.id, again.is_default) == (first.id, True)
