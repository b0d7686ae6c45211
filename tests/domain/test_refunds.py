from datetime import UTC, datetime

import pytest

from domain.kernel import InvalidStateTransition, Principal, Work, uuid7
from domain.money import Money
from domain.payments import Method, MethodKind, Payment, Refund, RefundPart, Split
from domain.payments.postings import refund_returned_posting, refund_settled_posting
from domain.payments.refunds import MOST_ATTEMPTS

WORK = Work(
    tenant_id=uuid7(), actor=Principal(user_id=uuid7()), now=datetime(2026, 1, 5, tzinfo=UTC), correlation_id="test"
)
CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok")


def paid(*parts: RefundPart) -> Payment:
    """Pay 10.00, of which some parts are on their way back."""
    sub_order = parts[0].sub_order_id if parts else uuid7()
    splits = [Split(sub_order_id=sub_order, seller_id=uuid7(), goods_minor=10_00)]
    payment = Payment.open(uuid7(), Money(10_00, "CAD"), CARD, splits, WORK)
    payment.captured("ch_1", payment.amount, None, WORK)
    if parts:
        payment.begin_refund(parts)
    return payment


def refund() -> Refund:
    return Refund(
        tenant_id=WORK.tenant_id,
        payment_id=uuid7(),
        order_id=uuid7(),
        amount_minor=4_00,
        currency="CAD",
        parts=(),
        taken=(),
        provider="sandbox",
        requested_at=WORK.now,
    )


def names(of: Refund) -> list[str]:
    return [recorded.event.name for recorded in of.release_events()]


class TestARefundThatComesBack:
    def test_is_owed_again_and_says_so_once(self) -> None:
        sent = refund()
        assert sent.complete("re_1", WORK)
        assert [sent.come_back("account_closed"), sent.come_back("account_closed")] == [True, False]
        assert (sent.state, sent.settled_at, sent.failure) == ("returned", None, "account_closed")
        assert names(sent) == ["payment.refund_returned"]

    def test_stays_so_when_it_is_told_late_that_it_had_been_sent(self) -> None:
        back = refund()
        assert back.come_back("account_closed")
        assert not back.complete("re_1", WORK)
        assert not back.fail("refused", WORK)
        assert back.state == "returned"

    def test_is_two_movements_of_the_days_on_which_they_happened(self) -> None:
        sent = refund()
        assert sent.returned(WORK.now) is None
        sent.complete("re_1", WORK)
        later = datetime(2026, 1, 9, tzinfo=UTC)
        moved = sent.returned(later)
        assert moved is not None
        assert (moved.reference, moved.amount, moved.attempt) == ("re_1", sent.amount, 0)
        assert (moved.sent_at, moved.returned_at) == (WORK.now, later)

    def test_is_sent_again_under_another_key(self) -> None:
        again = refund()
        first = again.key
        again.come_back("account_closed")
        again.retry()
        assert (again.state, again.key) == ("pending", f"{first}:1")
        assert (again.is_about(first), again.is_about(again.key), again.is_about(None)) == (False, True, True)
        assert again.complete("re_2", WORK)
        assert again.failure is None

    def test_is_left_to_people_after_several_attempts(self) -> None:
        stubborn = refund()
        for _ in range(MOST_ATTEMPTS - 1):
            stubborn.come_back("account_closed")
            assert not stubborn.is_given_up
            stubborn.retry()
        stubborn.come_back("account_closed")
        assert stubborn.is_given_up

    def test_is_not_what_was_refused_at_once(self) -> None:
        refused = refund()
        refused.fail("no such charge", WORK)
        assert not refused.come_back("no such charge")
        with pytest.raises(InvalidStateTransition):
            refused.retry()
        assert refused.state == "failed"

    def test_is_on_its_way_again_as_far_as_its_payment_is_concerned(self) -> None:
        part = RefundPart(sub_order_id=uuid7(), goods_minor=4_00)
        payment = paid(part)
        payment.end_refund(uuid7(), [part], succeeded=True)
        payment.reopen_refund(4_00)
        assert (payment.state, payment.refunding_minor, payment.refunded_minor) == ("captured", 4_00, 0)
        assert payment.refundable.amount_minor == 6_00
        payment.end_refund(uuid7(), [part], succeeded=True)
        assert (payment.state, payment.refunding_minor, payment.refunded_minor) == ("partially_refunded", 0, 4_00)

    def test_takes_its_postings_back_entry_by_entry(self) -> None:
        payment = paid()
        settled = refund_settled_posting(payment, "key", 4_00, WORK)
        returned = refund_returned_posting(payment, "key", 4_00, WORK)
        sums: dict[str, int] = {}
        for entry in (*settled.entries, *returned.entries):
            sums[str(entry.account)] = sums.get(str(entry.account), 0) + entry.amount_minor
        assert set(sums.values()) == {0}
        assert {str(entry.account): entry.amount_minor for entry in returned.entries} == {
            "buyer_clearing": 4_00, "refunds": -4_00,
        }  # fmt: skip
