"""An order: what was bought, and everything that came of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from domain.kernel import DomainError, InvalidStateTransition, Work, uuid7
from domain.money import CurrencyMismatch, Money
from domain.orders.drafts import OrderDraft
from domain.orders.events import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderDelivered,
    OrderMoved,
    OrderPaymentAuthorized,
    OrderPaymentFact,
    OrderPaymentFailed,
    OrderPaymentReceived,
    OrderPlaced,
    OrderProcessing,
    OrderReady,
    OrderRefunded,
    OrderRefundReturned,
    OrderReturned,
    OrderShipped,
    ReturnLine,
    ReturnRejected,
    ReturnRequested,
    SubOrderMoved,
)
from domain.orders.record import RANK, OrderRecord
from domain.orders.returns import RETURN_WINDOW, Return, ReturnWindowClosed
from domain.orders.states import (
    FULFILMENT,
    ORDER_STATES,
    PAYMENT_STATUSES,
    WITH_THE_BUYER,
    CancelReason,
    DeliveryMethod,
    OrderState,
    PaymentStatus,
)

CANCEL_WINDOW = timedelta(minutes=30)
_BEFORE_PACKING = frozenset({OrderState.DRAFT, OrderState.PENDING, OrderState.CONFIRMED, OrderState.PAID})
_MOVES: dict[OrderState, type[OrderMoved]] = {
    OrderState.PROCESSING: OrderProcessing,
    OrderState.READY: OrderReady,
    OrderState.SHIPPED: OrderShipped,
    OrderState.DELIVERED: OrderDelivered,
    OrderState.COMPLETED: OrderCompleted,
}


@dataclass(eq=False)
class CancellationWindowClosed(DomainError):
    """A buyer comes too late to cancel alone; the seller still can."""

    number: str
    state: OrderState
    template = "Order {number} can no longer be cancelled without its seller."


@dataclass(eq=False)
class AmountDiffers(DomainError):
    """A payment is not of the amount that the order asks for."""

    expected_minor: int
    actual_minor: int
    currency: str
    template = "{expected_minor} were due and {actual_minor} came (in minor units of {currency})."


@dataclass(eq=False)
class RefundExceedsPayment(DomainError):
    """More was to be given back than had come."""

    refundable_minor: int
    requested_minor: int
    currency: str
    template = "{refundable_minor} can be refunded, not {requested_minor} (in minor units of {currency})."


@dataclass(eq=False, kw_only=True)
class Order(OrderRecord):
    """An order and what can be done with it; see `OrderRecord` for what it is."""

    @classmethod
    def place(cls, draft: OrderDraft, work: Work, *, order_id: UUID | None = None) -> Self:
        """Order what the draft says, under an id that whoever prepared it may have given out already.

        Raises: EmptyOrder, InvalidInput, CurrencyMismatch, MoneyDoesNotAddUp.
        """
        draft.check()
        order = cls(id=order_id or uuid7(), tenant_id=work.tenant_id)
        order.record(
            OrderPlaced(
                order_id=order.id,
                number=draft.number,
                customer_id=draft.customer_id,
                at=work.now,
                tenant_id=work.tenant_id,
                draft=draft,
                sub_orders=draft.sub_orders,
            )
        )
        return order

    def confirm(self, work: Work) -> None:
        """Say that the goods are reserved.

        Raises: InvalidStateTransition.
        """
        ORDER_STATES.check(self.state, OrderState.CONFIRMED)
        self.record(self._fact(OrderConfirmed, work))

    def authorize(self, payment_id: UUID, work: Work) -> None:
        """Say that the money is set aside.

        Raises: InvalidStateTransition.
        """
        self._payment(OrderPaymentAuthorized, payment_id, PaymentStatus.AUTHORIZED, work)

    def fail_payment(self, payment_id: UUID, note: str | None, work: Work) -> None:
        """Say that the money could not be had; another payment may still succeed.

        Raises: InvalidStateTransition.
        """
        self._payment(OrderPaymentFailed, payment_id, PaymentStatus.FAILED, work, note=note)

    def pay(self, payment_id: UUID, amount: Money, work: Work) -> None:
        """Say that the whole amount has come; to say so again of the same payment changes nothing.

        Raises: InvalidStateTransition when the order is not confirmed, was cancelled, or is paid; AmountDiffers,
            CurrencyMismatch.
        """
        if self._has_come(payment_id):
            return
        self._expect_amount(amount)
        if self.state not in FULFILMENT:
            ORDER_STATES.check(self.state, OrderState.PAID)
        self._receive(payment_id, amount, work, late=False)

    def pay_late(self, payment_id: UUID, amount: Money, work: Work) -> None:
        """Note money that came when the order had been cancelled, so that it can be given back.

        Raises: InvalidStateTransition when the order is not cancelled; CurrencyMismatch.
        """
        if self._has_come(payment_id):
            return
        if self.state is not OrderState.CANCELLED:
            raise InvalidStateTransition(kind="Order", current=self.state, requested="paid late")
        self._expect_currency(amount)
        self._receive(payment_id, amount, work, late=True)

    def process(self, work: Work, **how: Any) -> None:
        """Begin to pack; with `parts` (ids of sub-orders) only those, as in all that follows.

        Raises: InvalidStateTransition, also for what must be paid first and is not.
        """
        self.move(OrderState.PROCESSING, work, **how)

    def ready(self, work: Work, **how: Any) -> None:
        """Have it packed. Raises: InvalidStateTransition."""
        self.move(OrderState.READY, work, **how)

    def ship(self, work: Work, **how: Any) -> None:
        """Hand it to a carrier. Raises: InvalidStateTransition, also for what is to be picked up."""
        self.move(OrderState.SHIPPED, work, **how)

    def deliver(self, work: Work, **how: Any) -> None:
        """Bring it to the buyer. Raises: InvalidStateTransition."""
        self.move(OrderState.DELIVERED, work, **how)

    def complete(self, work: Work, **how: Any) -> None:
        """End it: it was picked up, or the buyer kept what was delivered. Raises: InvalidStateTransition.

        An order of which something came back stays partially returned; what was kept is completed all the same.
        """
        self.move(OrderState.COMPLETED, work, **how)

    def move(
        self,
        state: OrderState,
        work: Work,
        *,
        parts: Collection[UUID] | None = None,
        note: str | None = None,
        tracking_number: str | None = None,
    ) -> None:
        """Bring some parts, or all that are behind, one step further; the order follows its slowest part.

        Raises: InvalidStateTransition.
        """
        behind = {each.id for each in self.sub_orders if RANK[each.state] < RANK[state]}
        moving = [each for each in self.sub_orders if each.id in (behind if parts is None else parts)]
        if state not in FULFILMENT or not moving or self.state is OrderState.RETURNED:
            raise InvalidStateTransition(kind="Order", current=self.state, requested=state)
        for part in moving:
            self._check_step(part.state, state)
        details: dict[str, Any] = {"note": note, "tracking_number": tracking_number}
        if behind <= {part.id for part in moving}:
            self.record(self._fact(_MOVES[state], work, **details, **self._sums(state)))
            return
        for part in moving:
            whose = {"sub_order_id": part.id, "seller_id": part.seller_id, "store_id": part.store_id}
            self.record(self._fact(SubOrderMoved, work, **whose, **details, part_state=state))

    def cancel(self, reason: CancelReason, note: str | None, work: Work, *, window: timedelta = CANCEL_WINDOW) -> None:
        """Call it off; a buyer alone may until it is packed, and for `window` after paying.

        Raises: InvalidStateTransition, CancellationWindowClosed.
        """
        # A part that left the house cannot be called back, however slow the others are.
        furthest = max((part.state for part in self.sub_orders), key=RANK.__getitem__, default=self.state)
        for state in (self.state, furthest):
            ORDER_STATES.check(state, OrderState.CANCELLED)
        if reason is CancelReason.BUYER_REQUEST:
            late = self.paid_at is not None and work.now > self.paid_at + window
            if late or furthest not in _BEFORE_PACKING:
                raise CancellationWindowClosed(number=self.order_number, state=self.state)
        owed = self.refundable
        self.record(
            self._fact(
                OrderCancelled, work, reason=reason, note=note, owed_minor=owed.amount_minor, currency=owed.currency
            )
        )

    def request_return(
        self,
        lines: Collection[ReturnLine],
        reason: str,
        note: str | None,
        work: Work,
        *,
        window: timedelta = RETURN_WINDOW,
    ) -> Return:
        """Ask to give units back, within `window` after they came.

        Raises: InvalidStateTransition, ReturnWindowClosed, NotFound, NotReturnable, InvalidInput.
        """
        came_at = self.delivered_at or self.completed_at
        if self.state not in WITH_THE_BUYER or came_at is None:
            raise InvalidStateTransition(kind="Order", current=self.state, requested=OrderState.RETURNED)
        if work.now > came_at + window:
            raise ReturnWindowClosed(closed_at=came_at + window)
        asked = self._returns.asked(lines, reason, note, work.now)
        self.record(
            self._fact(ReturnRequested, work, return_id=asked.id, lines=asked.lines, reason=reason, note=asked.note)
        )
        return self.returns[-1]

    def accept_return(
        self, return_id: UUID, work: Work, *, lines: Collection[ReturnLine] | None = None, note: str | None = None
    ) -> Money:
        """Take units back, all that were asked for or fewer, and say what the buyer is owed for them.

        Raises: NotFound, InvalidStateTransition, NotReturnable.
        """
        accepted = self._returns.accepted(return_id, lines)
        owed = self._returns.worth(accepted)
        state = OrderState.RETURNED if self._returns.are_complete_with(accepted) else OrderState.PARTIALLY_RETURNED
        ORDER_STATES.check(self.state, state)
        details = {"return_id": return_id, "lines": accepted, "note": note, "state": state}
        self.record(self._fact(OrderReturned, work, **details, amount_minor=owed, currency=self.currency))
        return Money(owed, self.currency)

    def reject_return(self, return_id: UUID, note: str | None, work: Work) -> None:
        """Do not take it back. Raises: NotFound, InvalidStateTransition."""
        self._returns.open(return_id)
        self.record(self._fact(ReturnRejected, work, return_id=return_id, note=note))

    def note_refund(self, amount: Money, work: Work, *, refund_id: UUID, note: str | None = None) -> None:
        """Note money that went back to the buyer; to note the same refund again changes nothing.

        Raises: RefundExceedsPayment, CurrencyMismatch, InvalidStateTransition.
        """
        if refund_id in self.refund_ids:
            return
        self._expect_currency(amount)
        refunded = self.refunded_minor + amount.amount_minor
        if amount.amount_minor <= 0 or refunded > self.paid_minor:
            raise RefundExceedsPayment(
                refundable_minor=self.paid_minor - self.refunded_minor,
                requested_minor=amount.amount_minor,
                currency=self.currency,
            )
        whole = refunded == self.paid_minor
        status = PaymentStatus.REFUNDED if whole else PaymentStatus.PARTIAL_REFUND
        PAYMENT_STATUSES.check(self.payment_status, status)
        sums = {"amount_minor": amount.amount_minor, "refunded_minor": refunded, "currency": self.currency}
        self.record(self._fact(OrderRefunded, work, refund_id=refund_id, note=note, payment_status=status, **sums))

    def note_refund_returned(self, amount: Money, work: Work, *, refund_id: UUID) -> None:
        """Note that a refund that was noted came back to us; what was not noted, or came back before, changes nothing.

        Raises: CurrencyMismatch, InvalidStateTransition.
        """
        if refund_id not in self.refund_ids:
            return
        self._expect_currency(amount)
        refunded = self.refunded_minor - amount.amount_minor
        status = PaymentStatus.PARTIAL_REFUND if refunded else PaymentStatus.PAID
        PAYMENT_STATUSES.check(self.payment_status, status)
        sums = {"amount_minor": amount.amount_minor, "refunded_minor": refunded, "currency": self.currency}
        self.record(self._fact(OrderRefundReturned, work, refund_id=refund_id, payment_status=status, **sums))

    def _payment(
        self,
        kind: type[OrderPaymentFact],
        payment_id: UUID,
        status: PaymentStatus,
        work: Work,
        **details: Any,
    ) -> None:
        PAYMENT_STATUSES.check(self.payment_status, status)
        self.record(self._fact(kind, work, payment_id=payment_id, payment_status=status, **details))

    def _receive(self, payment_id: UUID, amount: Money, work: Work, *, late: bool) -> None:
        state = OrderState.PAID if self.state is OrderState.CONFIRMED else None
        money = {"amount_minor": amount.amount_minor, "currency": amount.currency}
        self._payment(OrderPaymentReceived, payment_id, PaymentStatus.PAID, work, late=late, state=state, **money)

    def _has_come(self, payment_id: UUID) -> bool:
        return self.paid_at is not None and payment_id == self.payment_id

    def _expect_amount(self, amount: Money) -> None:
        self._expect_currency(amount)
        if amount.amount_minor != self.total_minor:
            raise AmountDiffers(
                expected_minor=self.total_minor, actual_minor=amount.amount_minor, currency=self.currency
            )

    def _expect_currency(self, amount: Money) -> None:
        if amount.currency != self.currency:
            raise CurrencyMismatch(expected=self.currency, actual=amount.currency)

    def _check_step(self, current: OrderState, state: OrderState) -> None:
        ORDER_STATES.check(current, state)
        picked_up = self.delivery_method is DeliveryMethod.PICKUP
        unpaid = current is OrderState.CONFIRMED and self.must_be_paid_first
        if unpaid or (current is OrderState.READY and picked_up != (state is OrderState.COMPLETED)):
            raise InvalidStateTransition(kind="Order", current=current, requested=state)

    def _sums(self, state: OrderState) -> dict[str, Any]:
        if state is not OrderState.COMPLETED:
            return {}
        # A refund may still be on its way: what came back counts as given back.
        back = max(self.refunded_minor, sum(each.refund_minor for each in self.returns))
        sums = {"total_minor": self.total_minor, "refunded_minor": back, "currency": self.currency}
        return sums | ({"state": None} if self.state is OrderState.PARTIALLY_RETURNED else {})
