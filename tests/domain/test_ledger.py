from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel import InvalidInput, Principal, Work, uuid7
from domain.money import Money
from domain.payments import (
    BUYER_CLEARING,
    Account,
    AccountKind,
    Entry,
    EscrowHold,
    Method,
    MethodKind,
    Payment,
    Posting,
    PostingKind,
    RefundExceedsPayment,
    RefundPart,
    Split,
    SplitsDoNotAddUp,
    UnbalancedPosting,
    capture_posting,
    dispute_lost_posting,
    escrow_of,
    holds_of,
    payable_to,
    refund_failed_posting,
    refund_posting,
    release_posting,
)
from domain.payments.escrow import take_back

WORK = Work(
    tenant_id=uuid7(), actor=Principal(user_id=uuid7()), now=datetime(2026, 1, 5, tzinfo=UTC), correlation_id="test"
)
ANN, BOB = uuid7(), uuid7()
CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok")


def cad(amount_minor: int) -> Money:
    return Money(amount_minor, "CAD")


def split(seller: UUID, goods: int, tax: int = 0, rate: str = "0.10") -> Split:
    return Split(
        sub_order_id=uuid7(), seller_id=seller, goods_minor=goods, tax_minor=tax, commission_rate=Decimal(rate)
    )


def paid(*splits: Split, fee: int = 0) -> tuple[Payment, list[EscrowHold]]:
    amount = cad(sum(each.total_minor for each in splits))
    payment = Payment.open(uuid7(), amount, CARD, splits, WORK)
    payment.captured("ch_1", amount, cad(fee), WORK)
    return payment, holds_of(payment, WORK.now)


def lines(posting: Posting) -> dict[str, int]:
    return {str(entry.account): entry.amount_minor for entry in posting.entries}


def posting(*entries: tuple[Account, int, str]) -> Posting:
    return Posting(
        tenant_id=WORK.tenant_id,
        kind=PostingKind.CAPTURE,
        reference="r",
        entries=tuple(Entry(*each) for each in entries),
        at=WORK.now,
    )


class TestPosting:
    def test_balances_in_every_currency_by_itself(self) -> None:
        seller = escrow_of(ANN)
        posting((BUYER_CLEARING, 5, "CAD"), (seller, -5, "CAD"), (BUYER_CLEARING, 3, "EUR"), (seller, -3, "EUR"))
        with pytest.raises(UnbalancedPosting):
            posting((BUYER_CLEARING, 5, "CAD"), (seller, -5, "EUR"))

    @pytest.mark.parametrize("entries", [(), ((BUYER_CLEARING, 0, "CAD"), (escrow_of(ANN), 0, "CAD"))])
    def test_moves_something(self, entries: tuple[tuple[Account, int, str], ...]) -> None:
        with pytest.raises(UnbalancedPosting):
            posting(*entries)


class TestAccount:
    def test_has_an_owner_exactly_where_sellers_have_accounts(self) -> None:
        with pytest.raises(ValueError, match="needs an owner"):
            Account(AccountKind.ESCROW)
        with pytest.raises(ValueError, match="has no owner"):
            Account(AccountKind.REFUNDS, ANN)
        assert str(escrow_of(ANN)) == f"escrow:{ANN}"


class TestCapturePosting:
    def test_says_whose_every_cent_is(self) -> None:
        payment, _ = paid(
            split(ANN, 10_00, 1_30), split(BOB, 20_00, 2_60), Split(goods_minor=5_00, tax_minor=65), fee=1_20
        )
        assert lines(capture_posting(payment, WORK)) == {
            "buyer_clearing": 38_35,
            "provider_fees": 1_20,
            f"escrow:{ANN}": -10_00,
            f"escrow:{BOB}": -20_00,
            "platform_fees": -5_00,
            "tax_payable": -4_55,
        }


class TestReleasePosting:
    def test_takes_the_commission_half_up(self) -> None:
        _, (hold,) = paid(split(ANN, 10_05))
        released = hold.release(WORK)
        assert released is not None
        assert lines(release_posting(hold, released, WORK)) == {
            f"escrow:{ANN}": 10_05,
            f"seller_payable:{ANN}": -9_04,
            "platform_fees": -1_01,
        }
        assert hold.release(WORK) is None


class TestRefundPosting:
    def test_comes_from_escrow_before_the_release(self) -> None:
        payment, holds = paid(split(ANN, 10_00, 1_30))
        parts = payment.parts_for(None)
        assert lines(refund_posting(payment, uuid7(), parts, take_back(holds, parts), WORK)) == {
            f"escrow:{ANN}": 10_00,
            "tax_payable": 1_30,
            "refunds": -11_30,
        }
        assert holds[0].state == "refunded"

    def test_comes_from_seller_and_commission_after_it(self) -> None:
        payment, holds = paid(split(ANN, 10_00, 1_30))
        holds[0].release(WORK)
        parts = [RefundPart(sub_order_id=holds[0].sub_order_id, goods_minor=5_00, tax_minor=65)]
        taken = take_back(holds, parts)
        assert lines(refund_posting(payment, uuid7(), parts, taken, WORK)) == {
            f"seller_payable:{ANN}": 4_50,
            "platform_fees": 50,
            "tax_payable": 65,
            "refunds": -5_65,
        }

    def test_takes_the_platforms_own_charge_from_the_platform(self) -> None:
        payment, holds = paid(split(ANN, 10_00), Split(goods_minor=5_00, tax_minor=65))
        parts = [RefundPart(goods_minor=5_00, tax_minor=65)]
        assert lines(refund_posting(payment, uuid7(), parts, take_back(holds, parts), WORK)) == {
            "platform_fees": 5_00,
            "tax_payable": 65,
            "refunds": -5_65,
        }

    def test_is_undone_to_the_cent_when_it_fails(self) -> None:
        payment, holds = paid(split(ANN, 9_99, 1_30), split(BOB, 3_33))
        holds[0].release(WORK)
        before = [(hold.held_minor, hold.released_minor, hold.commission_minor) for hold in holds]
        parts = payment.parts_for(cad(7_77))
        payment.begin_refund(parts)
        taken = take_back(holds, parts)
        there = lines(refund_posting(payment, uuid7(), parts, taken, WORK))
        back = lines(refund_failed_posting(payment, uuid7(), parts, taken, WORK))
        assert back == {account: -amount for account, amount in there.items()}
        for hold in holds:
            for each in taken:
                if each.sub_order_id == hold.sub_order_id:
                    hold.restore(each)
        payment.end_refund(uuid7(), parts, succeeded=False)
        assert [(hold.held_minor, hold.released_minor, hold.commission_minor) for hold in holds] == before
        assert payment.refundable == payment.amount


class TestEscrowOfARefundThatFails:
    @pytest.mark.parametrize("disputed", [False, True])
    def test_is_held_again_or_frozen_while_a_dispute_is_open(self, disputed: bool) -> None:
        payment, (hold,) = paid(split(ANN, 10_00))
        (taken,) = take_back([hold], payment.parts_for(None))
        assert hold.state == "refunded"
        hold.freeze(uuid7())
        hold.restore(taken, disputed=disputed)
        assert (hold.state, hold.held_minor) == ("frozen" if disputed else "held", 10_00)

    def test_stays_frozen_when_only_a_part_was_on_its_way(self) -> None:
        payment, (hold,) = paid(split(ANN, 10_00))
        (taken,) = take_back([hold], payment.parts_for(cad(4_00)))
        hold.freeze(uuid7())
        hold.restore(taken, disputed=True)
        assert (hold.state, hold.held_minor) == ("frozen", 10_00)


class TestDisputeLostPosting:
    def test_leaves_the_platform_what_nothing_covers_any_more(self) -> None:
        payment, holds = paid(split(ANN, 10_00))
        parts = payment.parts_for(cad(4_00))
        found = dispute_lost_posting(payment, uuid7(), 10_00, parts, take_back(holds, parts), WORK)
        assert lines(found) == {f"escrow:{ANN}": 4_00, "platform_fees": 6_00, "disputes": -10_00}


class TestSplits:
    def test_come_to_the_amount(self) -> None:
        with pytest.raises(SplitsDoNotAddUp) as refusal:
            Payment.open(uuid7(), cad(10_00), CARD, [split(ANN, 9_99)], WORK)
        assert (refusal.value.expected_minor, refusal.value.actual_minor) == (10_00, 9_99)

    def test_are_never_negative(self) -> None:
        with pytest.raises(InvalidInput):
            Payment.open(uuid7(), cad(10_00), CARD, [split(ANN, 20_00), split(BOB, -10_00)], WORK)

    def test_refuse_more_back_than_a_part_has(self) -> None:
        one, other = split(ANN, 5_00), split(BOB, 5_00)
        payment, _ = paid(one, other)
        with pytest.raises(RefundExceedsPayment):
            payment.begin_refund([RefundPart(sub_order_id=one.sub_order_id, goods_minor=6_00)])
        assert payment.refundable == cad(10_00)


AMOUNTS = st.integers(0, 10_000)
RATES = st.sampled_from(["0", "0.0333", "0.10", "0.125", "0.9"])


class TestEverything:
    @given(
        goods=st.lists(st.tuples(AMOUNTS, AMOUNTS, RATES), min_size=1, max_size=4),
        fee=st.integers(0, 3),
        steps=st.lists(st.tuples(st.sampled_from(["release", "refund", "fail"]), st.integers(1, 9_000)), max_size=8),
    )
    def test_leaves_no_cent_behind_whatever_happens(  # noqa: C901 — a run of steps, and what must hold after it.
        self, goods: list[tuple[int, int, str]], fee: int, steps: list[tuple[str, int]]
    ) -> None:
        parts_ = [split(uuid7(), amount, tax, rate) for amount, tax, rate in goods] + [Split(goods_minor=5)]
        payment, holds = paid(*parts_, fee=fee)
        postings = [capture_posting(payment, WORK)]
        for step, amount in steps:
            if step == "release":
                for hold in holds:
                    released = hold.release(WORK)
                    if released is not None:
                        postings.append(release_posting(hold, released, WORK))
            elif payment.refundable.amount_minor:
                parts = payment.parts_for(cad(min(amount, payment.refundable.amount_minor)))
                payment.begin_refund(parts)
                taken = take_back(holds, parts)
                postings.append(refund_posting(payment, uuid7(), parts, taken, WORK))
                if step == "fail":
                    for each in taken:
                        next(hold for hold in holds if hold.sub_order_id == each.sub_order_id).restore(each)
                    postings.append(refund_failed_posting(payment, uuid7(), parts, taken, WORK))
                payment.end_refund(uuid7(), parts, succeeded=step == "refund")
        sums: dict[str, int] = {}
        for each in postings:
            for account, amount in lines(each).items():
                sums[account] = sums.get(account, 0) + amount
        for hold in holds:
            assert -sums.get(str(escrow_of(hold.seller_id)), 0) == hold.held_minor >= 0
            earned = hold.released_minor - hold.returned_minor - hold.commission_minor
            assert -sums.get(str(payable_to(hold.seller_id)), 0) == earned >= 0
        assert -sums.get("refunds", 0) == payment.refunded_minor
        assert -sums.get("tax_payable", 0) == sum(each.tax_left_minor for each in payment.splits)
        kept = sum(hold.commission_minor for hold in holds)
        own = payment.splits[-1].goods_left_minor
        assert -sums.get("platform_fees", 0) == kept + own
