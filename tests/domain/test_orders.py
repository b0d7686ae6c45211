from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.codec import from_json, to_json
from domain.kernel import EVENTS, InvalidInput, InvalidStateTransition, NotFound, Principal, Recorded, Work, uuid7
from domain.money import CurrencyMismatch, Money
from domain.orders import (
    ORDER_STATES,
    AmountDiffers,
    CancellationWindowClosed,
    CancelReason,
    DeliveryAddress,
    DeliveryMethod,
    EmptyOrder,
    MoneyDoesNotAddUp,
    NotReturnable,
    Order,
    OrderDraft,
    OrderLine,
    OrderState,
    PaymentStatus,
    RefundExceedsPayment,
    ReturnLine,
    ReturnState,
    ReturnWindowClosed,
    order_number,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT, CUSTOMER, SELLER, OTHER_SELLER, STORE = (uuid7() for _ in range(5))
ADDRESS = DeliveryAddress(street_line1="1 King St", city="Toronto", province="ON", postal_code="M5H 1A1", country="CA")


def at(moment: datetime = NOW) -> Work:
    actor = Principal(user_id=CUSTOMER, tenant_id=TENANT)
    return Work(tenant_id=TENANT, actor=actor, now=moment, correlation_id="test")


def cad(minor: int) -> Money:
    return Money(minor, "CAD")


def line(
    sku: str = "MUG", quantity: int = 2, unit: int = 1000, discount: int = 0, tax: int = 0, **more: Any
) -> OrderLine:
    values: dict[str, Any] = {
        "product_id": uuid7(),
        "sku": sku,
        "seller_id": SELLER,
        "store_id": STORE,
        "name": sku.title(),
        "quantity": quantity,
        "unit": cad(unit),
        "discount": cad(discount),
        "tax": cad(tax),
        "total": cad(quantity * unit - discount + tax),
    }
    return OrderLine(**(values | more))


def draft(*lines: OrderLine, fee: int = 0, **more: Any) -> OrderDraft:
    lines = lines or (line(),)
    values: dict[str, Any] = {
        "number": "ORD-20260314-000001",
        "customer_id": CUSTOMER,
        "lines": lines,
        "currency": "CAD",
        "subtotal": cad(sum(each.gross_minor for each in lines)),
        "discount": cad(sum(each.discount.amount_minor for each in lines)),
        "tax": cad(sum(each.tax.amount_minor for each in lines)),
        "delivery_fee": cad(fee),
        "total": cad(sum(each.total.amount_minor for each in lines) + fee),
        "address": ADDRESS,
    }
    return OrderDraft(**(values | more))


def paid(*lines: OrderLine, **more: Any) -> Order:
    order = Order.place(draft(*lines, **more), at())
    order.confirm(at())
    order.pay(uuid7(), order.total, at())
    return order


def delivered(*lines: OrderLine, **more: Any) -> Order:
    order = paid(*lines, **more)
    for step in (order.process, order.ready, order.ship, order.deliver):
        step(at())
    return order


def names(order: Order) -> list[str]:
    return [recorded.event.name for recorded in order.release_events()]


def returning(order: Order, *quantities: int) -> list[ReturnLine]:
    return [ReturnLine(line_id=each.id, quantity=units) for each, units in zip(order.lines, quantities, strict=False)]


class TestOrderNumber:
    def test_has_a_day_and_six_digits(self) -> None:
        assert order_number(date(2026, 3, 14), 1) == "ORD-20260314-420489"

    def test_differs_for_a_million_successive_serials(self) -> None:
        day = date(2026, 3, 14)
        assert len({order_number(day, serial) for serial in range(7, 1_000_007)}) == 1_000_000


class TestPlace:
    def test_takes_over_what_was_agreed_to(self) -> None:
        order = Order.place(draft(line(discount=100, tax=247), fee=500, codes=("SPRING",)), at())
        assert (order.number, order.state, order.payment_status) == (
            "ORD-20260314-000001",
            OrderState.PENDING,
            PaymentStatus.PENDING,
        )
        assert (order.subtotal_minor, order.discount_minor, order.tax_minor) == (2000, 100, 247)
        assert (order.delivery_fee_minor, order.total, order.codes) == (500, cad(2647), ("SPRING",))
        assert (order.placed_at, order.customer_id, order.version, names(order)) == (
            NOW,
            CUSTOMER,
            1,
            ["order.created"],
        )

    def test_splits_by_seller_to_the_cent(self) -> None:
        lines = (line(unit=1000, quantity=1), line(sku="BOWL", unit=2000, quantity=1, seller_id=OTHER_SELLER))
        order = Order.place(draft(*lines, fee=100), at())
        mine, theirs = order.sub_orders
        assert (mine.number, mine.delivery_fee_minor, mine.total_minor) == ("ORD-20260314-000001-1", 33, 1033)
        assert (theirs.seller_id, theirs.delivery_fee_minor, theirs.total_minor) == (OTHER_SELLER, 67, 2067)
        assert mine.total_minor + theirs.total_minor == order.total_minor

    def test_knows_prices_that_have_tax_in_them(self) -> None:
        inclusive = line(unit=1190, quantity=1, tax=190, total=cad(1190))
        with_fee = draft(inclusive, fee=0, tax_inclusive=True, tax=cad(190), total=cad(1190))
        assert Order.place(with_fee, at()).total == cad(1190)

    def test_adds_the_tax_of_the_delivery(self) -> None:
        agreed = draft(line(tax=260), fee=500, delivery_tax=cad(65), tax=cad(325), total=cad(2825))
        order = Order.place(agreed, at())
        assert (order.total_minor, order.sub_orders[0].tax_minor, order.sub_orders[0].total_minor) == (2825, 325, 2825)

    def test_splits_a_free_order_too(self) -> None:
        free = [line(unit=0, quantity=1), line(unit=0, quantity=1, seller_id=OTHER_SELLER)]
        assert [part.delivery_fee_minor for part in draft(*free, fee=101).sub_orders] == [51, 50]

    @pytest.mark.parametrize("name", ["subtotal", "discount", "tax", "total"])
    def test_refuses_amounts_that_do_not_add_up(self, name: str) -> None:
        good = draft(line(discount=100, tax=247), fee=500)
        wrong = replace(good, **{name: getattr(good, name) + cad(1)})
        with pytest.raises(MoneyDoesNotAddUp) as refusal:
            Order.place(wrong, at())
        assert refusal.value.actual_minor == refusal.value.expected_minor + 1

    def test_refuses_a_line_that_does_not_add_up(self) -> None:
        with pytest.raises(MoneyDoesNotAddUp, match="total of MUG would have to be 2000, and is 1999"):
            Order.place(draft(line(total=cad(1999))), at())

    def test_refuses_a_discount_above_the_price(self) -> None:
        with pytest.raises(MoneyDoesNotAddUp):
            Order.place(draft(line(unit=10, quantity=1, discount=11, total=cad(-1))), at())

    def test_refuses_another_currency(self) -> None:
        with pytest.raises(CurrencyMismatch):
            Order.place(draft(line(unit=1000, quantity=1, tax=0, total=Money(1000, "EUR")), total=cad(1000)), at())

    def test_refuses_an_order_without_lines(self) -> None:
        with pytest.raises(EmptyOrder):
            Order.place(replace(draft(), lines=()), at())

    def test_refuses_what_can_reach_nobody(self) -> None:
        with pytest.raises(InvalidInput, match="guestEmail"):
            Order.place(draft(customer_id=None), at())
        with pytest.raises(InvalidInput, match="address"):
            Order.place(draft(address=None), at())
        assert Order.place(draft(address=None, delivery_method=DeliveryMethod.PICKUP), at()).version == 1

    def test_refuses_a_line_of_nothing(self) -> None:
        with pytest.raises(InvalidInput, match="at least one unit"):
            line(quantity=0)


class TestPay:
    def test_makes_a_confirmed_order_paid(self) -> None:
        order, payment = Order.place(draft(), at()), uuid7()
        order.confirm(at())
        order.authorize(payment, at())
        order.pay(payment, cad(2000), at(NOW + timedelta(seconds=5)))
        assert (order.state, order.payment_status, order.payment_id) == (OrderState.PAID, PaymentStatus.PAID, payment)
        assert (order.paid_minor, order.paid_at, order.confirmed_at) == (2000, NOW + timedelta(seconds=5), NOW)
        assert names(order)[1:] == ["order.confirmed", "order.payment_authorized", "order.payment_received"]

    def test_changes_nothing_when_it_is_told_twice(self) -> None:
        order = paid()
        before = order.version
        assert order.payment_id is not None
        order.pay(order.payment_id, cad(2000), at())
        assert order.version == before

    def test_refuses_another_amount_or_a_second_payment(self) -> None:
        order = Order.place(draft(), at())
        order.confirm(at())
        with pytest.raises(AmountDiffers):
            order.pay(uuid7(), cad(1999), at())
        with pytest.raises(CurrencyMismatch):
            order.pay(uuid7(), Money(2000, "EUR"), at())
        assert (order.payment_status, order.version) == (PaymentStatus.PENDING, 2)
        order.pay(uuid7(), cad(2000), at())
        with pytest.raises(InvalidStateTransition):
            order.pay(uuid7(), cad(2000), at())

    def test_refuses_an_order_that_has_no_goods_yet(self) -> None:
        with pytest.raises(InvalidStateTransition):
            Order.place(draft(), at()).pay(uuid7(), cad(2000), at())

    def test_may_come_after_packing_where_it_is_due_on_receipt(self) -> None:
        order = Order.place(draft(payment_method="cash"), at())
        order.confirm(at())
        order.process(at())
        order.pay(uuid7(), cad(2000), at())
        assert (order.state, order.payment_status) == (OrderState.PROCESSING, PaymentStatus.PAID)

    def test_may_succeed_after_it_failed(self) -> None:
        order = Order.place(draft(), at())
        order.confirm(at())
        order.fail_payment(uuid7(), "declined", at())
        assert (order.state, order.payment_status) == (OrderState.CONFIRMED, PaymentStatus.FAILED)
        order.pay(uuid7(), cad(2000), at())
        assert order.payment_status is PaymentStatus.PAID

    def test_is_noted_when_it_comes_after_the_cancellation(self) -> None:
        order = Order.place(draft(), at())
        order.cancel(CancelReason.EXPIRED, None, at())
        with pytest.raises(InvalidStateTransition):
            order.pay(uuid7(), cad(2000), at())
        order.pay_late(uuid7(), cad(2000), at())
        assert (order.state, order.refundable) == (OrderState.CANCELLED, cad(2000))
        order.note_refund(cad(2000), at(), refund_id=uuid7())
        assert (order.payment_status, order.refundable) == (PaymentStatus.REFUNDED, cad(0))


class TestMove:
    def test_goes_all_the_way_of_a_delivery(self) -> None:
        order = delivered()
        order.complete(at(NOW + timedelta(days=7)))
        assert (order.state, order.shipped_at, order.delivered_at) == (OrderState.COMPLETED, NOW, NOW)
        assert order.completed_at == NOW + timedelta(days=7)
        assert order.sub_orders[0].state is OrderState.COMPLETED
        assert names(order)[3:] == [
            "order.processing",
            "order.ready",
            "order.shipped",
            "order.delivered",
            "order.completed",
        ]

    def test_ends_at_the_counter_where_goods_are_picked_up(self) -> None:
        order = paid(delivery_method=DeliveryMethod.PICKUP, address=None)
        order.process(at())
        order.ready(at())
        with pytest.raises(InvalidStateTransition):
            order.ship(at())
        order.complete(at())
        assert order.state is OrderState.COMPLETED

    def test_does_not_complete_what_was_not_delivered(self) -> None:
        order = paid()
        order.process(at())
        order.ready(at())
        with pytest.raises(InvalidStateTransition):
            order.complete(at())
        assert order.state is OrderState.READY

    def test_does_not_pack_what_is_not_paid(self) -> None:
        order = Order.place(draft(), at())
        order.confirm(at())
        with pytest.raises(InvalidStateTransition):
            order.process(at())

    def test_skips_no_step_and_takes_none_twice(self) -> None:
        order = paid()
        with pytest.raises(InvalidStateTransition):
            order.ship(at())
        order.process(at())
        with pytest.raises(InvalidStateTransition):
            order.process(at())

    def test_follows_the_slowest_part(self) -> None:
        order = paid(line(), line(sku="BOWL", seller_id=OTHER_SELLER))
        mine, theirs = (part.id for part in order.sub_orders)
        order.process(at())
        order.ready(at(), parts=[mine])
        order.ship(at(), parts=[mine], tracking_number="T1")
        assert [order.state, *(part.state for part in order.sub_orders)] == ["processing", "shipped", "processing"]
        order.ready(at(), parts=[theirs])
        assert (order.state, order.sub_orders[0].state) == (OrderState.READY, OrderState.SHIPPED)
        order.ship(at(), parts=[theirs])
        assert (order.state, order.tracking_number) == (OrderState.SHIPPED, "T1")
        assert names(order)[3:] == [
            "order.processing",
            "order.part_moved",
            "order.part_moved",
            "order.ready",
            "order.shipped",
        ]


class TestCancel:
    def test_says_what_is_owed(self) -> None:
        order = paid()
        order.cancel(CancelReason.BUYER_REQUEST, "changed my mind", at(NOW + timedelta(minutes=30)))
        fact = order.release_events()[-1].event
        assert (order.state, order.cancel_reason) == (OrderState.CANCELLED, CancelReason.BUYER_REQUEST)
        assert (fact.owed_minor, fact.note) == (2000, "changed my mind")  # type: ignore[attr-defined]
        assert order.sub_orders[0].state is OrderState.CANCELLED

    def test_closes_for_buyers_half_an_hour_after_paying(self) -> None:
        order = paid()
        late = at(NOW + timedelta(minutes=30, seconds=1))
        with pytest.raises(CancellationWindowClosed):
            order.cancel(CancelReason.BUYER_REQUEST, None, late)
        assert order.state is OrderState.PAID
        order.cancel(CancelReason.SELLER_REQUEST, None, late)
        assert order.state is OrderState.CANCELLED

    def test_closes_for_buyers_when_it_is_packed(self) -> None:
        order = paid()
        order.process(at())
        with pytest.raises(CancellationWindowClosed):
            order.cancel(CancelReason.BUYER_REQUEST, None, at())
        order.cancel(CancelReason.SELLER_REQUEST, None, at())
        assert order.state is OrderState.CANCELLED

    def test_comes_too_late_when_a_part_has_left(self) -> None:
        order = paid(line(), line(sku="BOWL", seller_id=OTHER_SELLER))
        order.process(at())
        for step in (order.ready, order.ship):
            step(at(), parts=[order.sub_orders[0].id])
        with pytest.raises(InvalidStateTransition):
            order.cancel(CancelReason.SELLER_REQUEST, None, at())
        assert order.state is OrderState.PROCESSING

    def test_happens_once(self) -> None:
        order = paid()
        order.cancel(CancelReason.FRAUD, None, at())
        with pytest.raises(InvalidStateTransition):
            order.cancel(CancelReason.FRAUD, None, at())


class TestReturns:
    def test_are_worth_the_line_to_the_cent_however_they_come_back(self) -> None:
        order = delivered(line(quantity=3, unit=1000, discount=1), fee=500)
        owed = []
        for _ in range(3):
            asked = order.request_return(returning(order, 1), "too small", None, at())
            owed.append(order.accept_return(asked.id, at()).amount_minor)
        assert owed == [999, 1000, 1000]
        assert sum(owed) == 2999 == order.lines[0].total.amount_minor
        assert (order.state, order.returned_units(order.lines[0].id)) == (OrderState.RETURNED, 3)

    def test_leave_an_order_partially_returned(self) -> None:
        order = delivered()
        asked = order.request_return(returning(order, 2), "broken", "in the box", at())
        assert order.accept_return(asked.id, at(), lines=returning(order, 1)) == cad(1000)
        assert (order.state, order.returns[0].state) == (OrderState.PARTIALLY_RETURNED, ReturnState.ACCEPTED)
        assert (order.returns[0].refund_minor, order.returned_units(order.lines[0].id)) == (1000, 1)

    def test_leave_the_rest_to_be_completed(self) -> None:
        order = delivered()
        asked = order.request_return(returning(order, 1), "broken", None, at())
        assert (order.awaits_completion, order.has_open_returns) == (True, True)
        order.accept_return(asked.id, at())
        order.complete(at(NOW + timedelta(days=7)))
        fact = order.release_events()[-1].event
        assert (fact.name, fact.total_minor, fact.refunded_minor) == ("order.completed", 2000, 1000)  # type: ignore[attr-defined]
        assert (order.state, order.sub_orders[0].state) == (OrderState.PARTIALLY_RETURNED, OrderState.COMPLETED)
        assert (order.completed_at, order.awaits_completion) == (NOW + timedelta(days=7), False)
        with pytest.raises(InvalidStateTransition):
            order.complete(at())

    def test_leave_nothing_to_complete_when_all_is_back(self) -> None:
        order = delivered()
        asked = order.request_return(returning(order, 2), "broken", None, at())
        order.accept_return(asked.id, at())
        with pytest.raises(InvalidStateTransition):
            order.complete(at())
        assert (order.state, order.completed_at) == (OrderState.RETURNED, None)

    def test_may_be_rejected_and_asked_again(self) -> None:
        order = delivered()
        asked = order.request_return(returning(order, 2), "broken", None, at())
        with pytest.raises(NotReturnable):
            order.request_return(returning(order, 1), "broken", None, at())
        order.reject_return(asked.id, "it was worn", at())
        assert (order.state, order.returns[0].state) == (OrderState.DELIVERED, ReturnState.REJECTED)
        with pytest.raises(InvalidStateTransition):
            order.accept_return(asked.id, at())
        order.request_return(returning(order, 2), "still broken", None, at())

    def test_refuse_more_than_was_bought_or_asked_for(self) -> None:
        order = delivered()
        with pytest.raises(NotReturnable, match="Only 2 of MUG"):
            order.request_return(returning(order, 3), "broken", None, at())
        asked = order.request_return(returning(order, 1), "broken", None, at())
        with pytest.raises(NotReturnable, match="Only 1 of MUG"):
            order.accept_return(asked.id, at(), lines=returning(order, 2))
        assert order.state is OrderState.DELIVERED

    def test_refuse_lines_of_other_orders_and_empty_ones(self) -> None:
        order = delivered()
        with pytest.raises(NotFound):
            order.request_return([ReturnLine(line_id=uuid7(), quantity=1)], "broken", None, at())
        for lines in ([], returning(order, 0), returning(order, 1) * 2):
            with pytest.raises(InvalidInput):
                order.request_return(lines, "broken", None, at())
        with pytest.raises(NotFound):
            order.accept_return(uuid7(), at())

    def test_close_after_fourteen_days(self) -> None:
        order = delivered()
        order.complete(at(NOW + timedelta(days=7)))
        order.request_return(returning(order, 1), "broken", None, at(NOW + timedelta(days=14)))
        with pytest.raises(ReturnWindowClosed):
            order.request_return(returning(order, 1), "broken", None, at(NOW + timedelta(days=14, seconds=1)))

    def test_need_something_that_came(self) -> None:
        order = paid()
        with pytest.raises(InvalidStateTransition):
            order.request_return(returning(order, 1), "broken", None, at())


class TestRefund:
    def test_is_noted_once_and_never_exceeds_what_came(self) -> None:
        order, refund = delivered(), uuid7()
        order.note_refund(cad(500), at(), refund_id=refund)
        order.note_refund(cad(500), at(), refund_id=refund)
        assert (order.payment_status, order.refunded_minor) == (PaymentStatus.PARTIAL_REFUND, 500)
        with pytest.raises(RefundExceedsPayment):
            order.note_refund(cad(1501), at(), refund_id=uuid7())
        with pytest.raises(RefundExceedsPayment):
            order.note_refund(cad(0), at(), refund_id=uuid7())
        order.note_refund(cad(1500), at(), refund_id=uuid7())
        assert (order.payment_status, order.refunded_minor) == (PaymentStatus.REFUNDED, 2000)

    def test_that_came_back_is_owed_again_and_may_be_noted_again(self) -> None:
        order, first, second = delivered(), uuid7(), uuid7()
        order.note_refund_returned(cad(500), at(), refund_id=first)
        assert (order.payment_status, order.refunded_minor) == (PaymentStatus.PAID, 0)
        order.note_refund(cad(500), at(), refund_id=first)
        order.note_refund(cad(1500), at(), refund_id=second)
        for _ in range(2):
            order.note_refund_returned(cad(500), at(), refund_id=first)
        assert (order.payment_status, order.refunded_minor) == (PaymentStatus.PARTIAL_REFUND, 1500)
        order.note_refund_returned(cad(1500), at(), refund_id=second)
        assert (order.payment_status, order.refundable) == (PaymentStatus.PAID, cad(2000))
        order.note_refund(cad(500), at(), refund_id=first)
        assert (order.payment_status, order.refunded_minor) == (PaymentStatus.PARTIAL_REFUND, 500)


class TestReplay:
    def test_gives_the_same_order_from_its_events_as_from_a_snapshot(self) -> None:
        order = delivered(line(), line(sku="BOWL", seller_id=OTHER_SELLER, discount=3, tax=7), fee=99, codes=("A",))
        asked = order.request_return(returning(order, 1), "broken", None, at())
        order.accept_return(asked.id, at())
        order.note_refund(cad(1000), at(), refund_id=(back := uuid7()))
        order.note_refund_returned(cad(1000), at(), refund_id=back)
        stored = [(each.event.name, to_json(each.event), each.version) for each in order.release_events()]
        blank = Order(id=order.id, tenant_id=UUID(int=0))
        blank.replay(Recorded(from_json(data, EVENTS[name]), version) for name, data, version in stored)
        assert vars(blank) == {name: value for name, value in vars(order).items() if name != "_recorded"}
        assert vars(from_json(to_json(order), Order)) == vars(blank)


class TestOrderStates:
    def test_draw_themselves(self) -> None:
        assert "  shipped --> delivered" in ORDER_STATES.mermaid().splitlines()
