from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from domain.kernel import InvalidInput, InvalidStateTransition, Principal, Work, uuid7
from domain.money import CurrencyMismatch, Money
from domain.payments import (
    CardNumberRefused,
    Decision,
    Difference,
    DiscrepancyKind,
    EscrowFrozen,
    FraudFacts,
    FraudRequest,
    Method,
    MethodKind,
    Movement,
    MovementKind,
    Payment,
    PaymentAmountDiffers,
    PaymentPolicy,
    PaymentReferenceDiffers,
    Payout,
    RefundExceedsPayment,
    Split,
    UpdatePayoutPolicy,
    assess,
    compare,
    holds_of,
    parse_statement,
)

WORK = Work(
    tenant_id=uuid7(), actor=Principal(user_id=uuid7()), now=datetime(2026, 1, 5, tzinfo=UTC), correlation_id="test"
)
CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok", brand="visa", last4="4242")
POLICY = PaymentPolicy(tenant_id=WORK.tenant_id)


def cad(amount_minor: int) -> Money:
    return Money(amount_minor, "CAD")


def opened(amount_minor: int = 10_00) -> Payment:
    splits = [Split(sub_order_id=uuid7(), seller_id=uuid7(), goods_minor=amount_minor)]
    return Payment.open(uuid7(), cad(amount_minor), CARD, splits, WORK)


def names(payment: Payment) -> list[str]:
    return [recorded.event.name for recorded in payment.release_events()]


class TestPayment:
    def test_tells_the_order_that_it_is_paid_once(self) -> None:
        payment = opened()
        assert payment.captured("ch_1", cad(10_00), cad(59), WORK) is True
        assert payment.captured("ch_1", cad(10_00), cad(59), WORK) is False
        assert names(payment) == ["payment.opened", "payment.processed", "order.paid"]
        assert (payment.state, payment.fee_minor, payment.refundable) == ("captured", 59, cad(10_00))

    def test_records_money_that_comes_after_all_without_paying_the_order(self) -> None:
        payment = opened()
        payment.failed("timed out")
        assert payment.captured("ch_1", cad(10_00), None, WORK) is True
        assert names(payment) == ["payment.opened", "payment.failed", "payment.processed"]
        assert payment.refundable == cad(10_00)

    @pytest.mark.parametrize(
        ("reference", "amount", "refusal"),
        [
            ("ch_1", Money(9_99, "CAD"), PaymentAmountDiffers),
            ("ch_1", Money(10_01, "CAD"), PaymentAmountDiffers),
            ("ch_1", Money(10_00, "EUR"), CurrencyMismatch),
            ("ch_2", Money(10_00, "CAD"), PaymentReferenceDiffers),
        ],
    )
    def test_refuses_reports_about_something_else(
        self, reference: str, amount: Money, refusal: type[Exception]
    ) -> None:
        payment = opened()
        payment.authorized("ch_1", cad(10_00), WORK)
        version = payment.version
        with pytest.raises(refusal):
            payment.captured(reference, amount, None, WORK)
        assert (payment.state, payment.version, payment.fee_minor) == ("authorized", version, 0)

    def test_cannot_be_voided_when_the_money_is_there(self) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        with pytest.raises(InvalidStateTransition):
            payment.void("changed my mind")
        assert payment.state == "captured"

    def test_forgets_an_authorisation_that_is_reported_after_the_capture(self) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        payment.authorized("ch_1", cad(10_00), WORK)
        assert payment.state == "captured"

    def test_gives_back_no_more_than_is_left(self) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        parts = payment.parts_for(cad(6_00))
        payment.begin_refund(parts)
        with pytest.raises(RefundExceedsPayment) as refusal:
            payment.parts_for(cad(4_01))
        assert (refusal.value.requested_minor, refusal.value.refundable_minor) == (4_01, 4_00)
        payment.end_refund(uuid7(), parts, succeeded=True)
        assert (payment.state, payment.refunded_amount) == ("partially_refunded", cad(6_00))
        rest = payment.parts_for(None)
        payment.begin_refund(rest)
        payment.end_refund(uuid7(), rest, succeeded=True)
        assert (payment.state, payment.refundable) == ("refunded", cad(0))

    @pytest.mark.parametrize("amount", [cad(0), cad(-5)])
    def test_gives_back_something(self, amount: Money) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        with pytest.raises(RefundExceedsPayment):
            payment.parts_for(amount)

    def test_gives_nothing_back_that_was_not_paid(self) -> None:
        with pytest.raises(RefundExceedsPayment):
            opened().parts_for(None)

    def test_is_for_more_than_nothing(self) -> None:
        with pytest.raises(InvalidInput):
            opened(0)


class TestMethod:
    @pytest.mark.parametrize("number", ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242"])
    def test_refuses_card_numbers(self, number: str) -> None:
        with pytest.raises(CardNumberRefused) as refusal:
            Method(kind=MethodKind.CARD, provider="sandbox", token=number)
        assert number not in str(refusal.value)

    def test_knows_four_digits_of_a_card(self) -> None:
        with pytest.raises(InvalidInput):
            replace(CARD, last4="424242")

    def test_needs_no_token_for_cash(self) -> None:
        assert Method(kind=MethodKind.CASH, provider="cash").token == ""


class TestEscrow:
    def test_stays_frozen_until_the_dispute_is_decided_and_follows_then(self) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        (hold,) = holds_of(payment, WORK.now)
        hold.freeze(uuid7())
        with pytest.raises(EscrowFrozen):
            hold.release(WORK)
        assert hold.fall_due(WORK) is None
        assert (hold.state, hold.held) == ("frozen", cad(10_00))
        released = hold.thaw(WORK)
        assert released is not None
        assert (released.amount_minor, released.commission_minor, hold.state) == (10_00, 1_00, "released")

    def test_is_held_again_when_nothing_was_due(self) -> None:
        payment = opened()
        payment.captured("ch_1", cad(10_00), None, WORK)
        (hold,) = holds_of(payment, WORK.now)
        hold.freeze(uuid7())
        assert hold.thaw(WORK) is None
        assert hold.state == "held"


class TestPolicy:
    @pytest.mark.parametrize(
        "change", [{"commission_rate": Decimal("0.91")}, {"payout_delay_days": 4}, {"payout_minimum_minor": 0}]
    )
    def test_keeps_within_its_bounds(self, change: dict[str, object]) -> None:
        policy = PaymentPolicy(tenant_id=WORK.tenant_id)
        with pytest.raises(InvalidInput):
            policy.change(UpdatePayoutPolicy(**change))  # type: ignore[arg-type]
        assert (policy.commission_rate, policy.payout_delay_days, policy.version) == (Decimal("0.10"), 1, 0)


class TestPayout:
    def test_keeps_its_key_until_the_provider_has_refused(self) -> None:
        payout = Payout(
            tenant_id=WORK.tenant_id,
            seller_id=uuid7(),
            amount_minor=50_00,
            currency="CAD",
            provider="sandbox",
            destination="acct_1",
            scheduled_for=date(2026, 1, 6),
            requested_at=WORK.now,
        )
        payout.begin()
        first = payout.transfer_key
        payout.begin()
        assert payout.transfer_key == first
        payout.fail("closed account")
        payout.schedule(date(2026, 1, 7))
        payout.begin()
        assert payout.transfer_key != first
        assert payout.pay("tr_1", cad(25), WORK) is True
        assert payout.pay("tr_1", cad(25), WORK) is False
        with pytest.raises(InvalidStateTransition):
            payout.cancel()


def request(amount_minor: int = 20_00, method: Method = CARD, **more: object) -> FraudRequest:
    return FraudRequest(user_id=uuid7(), method=method, amount=cad(amount_minor), at=WORK.now, **more)  # type: ignore[arg-type]


class TestAssess:
    def test_has_nothing_against_an_ordinary_payment(self) -> None:
        found = assess(request(), FraudFacts(), POLICY)
        assert (found.score, found.signals, found.decision) == (0, (), Decision.ACCEPT)

    def test_explains_every_point(self) -> None:
        facts = FraudFacts(user_payments_hour=12, card_failures_hour=3)
        found = assess(request(), facts, POLICY)
        assert [(signal.code, signal.points) for signal in found.signals] == [
            ("many_payments_in_an_hour", 30),
            ("card_failed_often", 30),
        ]
        assert (found.score, found.decision) == (60, Decision.REVIEW)

    def test_refuses_what_everything_speaks_against(self) -> None:
        facts = FraudFacts(user_payments_hour=12, card_users=4, user_disputes=1)
        found = assess(request(9_000_00, billing_country="CA", shipping_country="XX"), facts, POLICY)
        assert (found.score, found.decision) == (100, Decision.REJECT)

    def test_looks_at_new_accounts(self) -> None:
        new = request(150_00, account_created_at=WORK.now - timedelta(hours=1))
        assert assess(new, FraudFacts(), POLICY).score == 15

    def test_sets_a_suspicious_payment_aside(self) -> None:
        payment = opened()
        payment.assess(assess(request(), FraudFacts(user_payments_hour=12, card_failures_hour=3), POLICY))
        assert (payment.state, payment.fraud_score) == ("review", 60)
        payment.review(approved=True, note="called the buyer", work=WORK)
        assert (payment.state, payment.reviewed_by) == ("pending", WORK.actor.user_id)
        with pytest.raises(InvalidStateTransition):
            opened().review(approved=False, note=None, work=WORK)


STATEMENT = """reference,type,amount,currency,fee,date
ch_1,charge,10.00,CAD,0.59,2026-01-05T00:00:00Z
re_1,refund,-4.00,CAD,,2026-01-06T00:00:00Z
"""


class TestStatement:
    def test_is_read_to_the_cent(self) -> None:
        assert parse_statement("\ufeff" + STATEMENT) == [
            Movement(MovementKind.CHARGE, "ch_1", cad(10_00), cad(59), datetime(2026, 1, 5, tzinfo=UTC)),
            Movement(MovementKind.REFUND, "re_1", cad(4_00), None, datetime(2026, 1, 6, tzinfo=UTC)),
        ]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("reference,amount\n", "no column 'type'"),
            ("reference,type,amount,currency\nch_1,charge,1.005,CAD\n", "line 2"),
            ("reference,type,amount,currency\nch_1,gift,1.00,CAD\n", "line 2"),
            ("reference,type,amount,currency\nch_1,charge,1.00,ZZZ\n", "line 2"),
            ("reference,type,amount,currency\nch_1,charge\n", "line 2"),
            ("", "no column"),
        ],
    )
    def test_names_the_line_that_cannot_be_read(self, text: str, reason: str) -> None:
        with pytest.raises(InvalidInput, match=reason):
            parse_statement(text)


def charge(reference: str, amount: int, fee: int | None = 0, currency: str = "CAD") -> Movement:
    fee_ = None if fee is None else Money(fee, currency)
    return Movement(MovementKind.CHARGE, reference, Money(amount, currency), fee_)


class TestCompare:
    def test_lists_every_difference_and_counts_the_rest(self) -> None:
        ours = [charge("a", 1), charge("b", 2), charge("c", 3), charge("d", 4), charge("e", 5, 1), charge("f", 6)]
        theirs = [
            charge("g", 7),
            charge("e", 5, 2),
            charge("d", 4, currency="EUR"),
            charge("c", 33),
            charge("f", 6),
            charge("f", 6),
            charge("a", 1, None),
        ]
        matched, found = compare(ours, theirs)
        kinds, movement = DiscrepancyKind, MovementKind.CHARGE
        assert matched == 1
        assert found == [
            Difference(kinds.MISSING_AT_PROVIDER, movement, "b", cad(2), None),
            Difference(kinds.AMOUNT_DIFFERS, movement, "c", cad(3), cad(33)),
            Difference(kinds.CURRENCY_DIFFERS, movement, "d", cad(4), Money(4, "EUR")),
            Difference(kinds.FEE_DIFFERS, movement, "e", cad(1), cad(2)),
            Difference(kinds.DUPLICATE, movement, "f", None, cad(6)),
            Difference(kinds.UNKNOWN_TO_US, movement, "g", None, cad(7)),
        ]
