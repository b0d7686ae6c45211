"""Escrow: what buyers paid is held for each seller until the goods have arrived, then released less the commission."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, Transitions, Work, event
from domain.money import Money
from domain.payments.payment import Payment
from domain.payments.splits import DEFAULT_COMMISSION, RefundExceedsPayment, RefundPart


class EscrowState(StrEnum):
    """Where held money is."""

    HELD = "held"
    FROZEN = "frozen"
    RELEASED = "released"
    REFUNDED = "refunded"


_S = EscrowState
ESCROW_STATES = Transitions(
    "EscrowHold",
    _S.HELD,
    {
        _S.HELD: {_S.FROZEN, _S.RELEASED, _S.REFUNDED},
        _S.FROZEN: {_S.HELD, _S.RELEASED, _S.REFUNDED},
        # A refund that fails after all brings money back, which is held until it is released anew, or a dispute decided.
        _S.RELEASED: {_S.HELD, _S.FROZEN},
        _S.REFUNDED: {_S.HELD, _S.FROZEN},
    },
)


@dataclass(eq=False)
class EscrowFrozen(DomainError):
    """A dispute is open: the money stays where it is until it is decided."""

    order_id: str
    template = "The money of order {order_id} is frozen by a dispute."


@event("escrow.released")
@dataclass(frozen=True, kw_only=True)
class EscrowReleased(Event):
    order_id: UUID
    sub_order_id: UUID
    seller_id: UUID
    amount_minor: int
    commission_minor: int
    currency: str


@event("escrow.frozen")
@dataclass(frozen=True, kw_only=True)
class EscrowWasFrozen(Event):
    order_id: UUID
    sub_order_id: UUID
    dispute_id: UUID


@dataclass(frozen=True, kw_only=True)
class Released:
    """What one release moved, in minor units: what was held, and the platform's share of it."""

    hold_id: UUID
    turn: int
    seller_id: UUID
    amount_minor: int
    commission_minor: int


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """Where a refund's goods come from, in minor units: from escrow, or from what the seller has earned already.

    `commission_minor` is the part of the latter that the platform gives back.
    """

    sub_order_id: UUID
    seller_id: UUID
    escrow_minor: int = 0
    payable_minor: int = 0
    commission_minor: int = 0


@dataclass(eq=False, kw_only=True)
class EscrowHold(Aggregate):
    """What is held of one payment for one seller's sub-order; all amounts in minor units."""

    payment_id: UUID
    order_id: UUID
    sub_order_id: UUID
    seller_id: UUID
    currency: str
    amount_minor: int
    commission_rate: Decimal = DEFAULT_COMMISSION
    refunded_minor: int = 0
    released_minor: int = 0
    returned_minor: int = 0
    commission_minor: int = 0
    turns: int = 0
    is_due: bool = False
    state: EscrowState = EscrowState.HELD
    held_at: datetime
    released_at: datetime | None = None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def held_minor(self) -> int:
        return self.amount_minor - self.refunded_minor - self.released_minor

    @property
    def held(self) -> Money:
        return Money(self.held_minor, self.currency)

    @property
    def commission(self) -> Money:
        return Money(self.commission_minor, self.currency)

    def release(self, work: Work) -> Released | None:
        """Let the seller have what is held; None when nothing is.

        Raises: EscrowFrozen.
        """
        if self.state is _S.FROZEN:
            raise EscrowFrozen(order_id=str(self.order_id))
        if self.state is not _S.HELD or not self.held_minor:
            return None
        amount, before = self.held_minor, self.commission_minor
        self.state = ESCROW_STATES.check(self.state, _S.RELEASED)
        self.released_minor += amount
        self.commission_minor = self._commission_due()
        self.turns += 1
        self.released_at = work.now
        taken = self.commission_minor - before
        self.record(
            EscrowReleased(
                order_id=self.order_id,
                sub_order_id=self.sub_order_id,
                seller_id=self.seller_id,
                amount_minor=amount,
                commission_minor=taken,
                currency=self.currency,
            )
        )
        return Released(
            hold_id=self.id, turn=self.turns, seller_id=self.seller_id, amount_minor=amount, commission_minor=taken
        )

    def fall_due(self, work: Work) -> Released | None:
        """Release what is held, or as soon as the dispute that froze it is decided."""
        self.is_due = True
        return None if self.state is _S.FROZEN else self.release(work)

    def freeze(self, dispute_id: UUID) -> None:
        """Keep what is held from being released; what is released already cannot be frozen."""
        if self.state is _S.HELD and self.held_minor:
            self.state = ESCROW_STATES.check(self.state, _S.FROZEN)
            self.record(EscrowWasFrozen(order_id=self.order_id, sub_order_id=self.sub_order_id, dispute_id=dispute_id))

    def thaw(self, work: Work) -> Released | None:
        """Hold what was frozen as before, or release it where that fell due in the meantime."""
        if self.state is _S.FROZEN:
            self.state = ESCROW_STATES.check(self.state, _S.HELD)
        return self.release(work) if self.is_due else None

    def take_back(self, goods_minor: int) -> TakenBack:
        """Give goods' money back to the buyer: from escrow as far as it is held, else from the seller's earnings.

        Raises: RefundExceedsPayment.
        """
        earned = self.released_minor - self.returned_minor
        if goods_minor > self.held_minor + earned:
            raise RefundExceedsPayment(requested_minor=goods_minor, refundable_minor=self.held_minor + earned)
        escrow = min(goods_minor, self.held_minor)
        before = self.commission_minor
        self.refunded_minor += escrow
        self.returned_minor += goods_minor - escrow
        self.commission_minor = self._commission_due()
        if not self.held_minor and self.state in {_S.HELD, _S.FROZEN}:
            self.state = ESCROW_STATES.check(self.state, _S.RELEASED if self.released_minor else _S.REFUNDED)
        return TakenBack(
            sub_order_id=self.sub_order_id,
            seller_id=self.seller_id,
            escrow_minor=escrow,
            payable_minor=goods_minor - escrow - (before - self.commission_minor),
            commission_minor=before - self.commission_minor,
        )

    def restore(self, taken: TakenBack, *, disputed: bool = False) -> None:
        """Undo `take_back` after a refund that failed; what came from escrow is held again, or frozen by an open dispute."""
        self.refunded_minor -= taken.escrow_minor
        self.returned_minor -= taken.payable_minor + taken.commission_minor
        self.commission_minor += taken.commission_minor
        if self.held_minor and disputed and self.state is not _S.FROZEN:
            self.state = ESCROW_STATES.check(self.state, _S.FROZEN)
        elif self.held_minor and self.state in {_S.RELEASED, _S.REFUNDED}:
            self.state = ESCROW_STATES.check(self.state, _S.HELD)

    def _commission_due(self) -> int:
        # Worked out on what the seller keeps as a whole, so that no cent is left over after partial refunds.
        return (Money(self.released_minor - self.returned_minor, self.currency) * self.commission_rate).amount_minor


def holds_of(payment: Payment, now: datetime) -> list[EscrowHold]:
    """Make the holds of a captured payment: one for every seller's part."""
    return [
        EscrowHold(
            tenant_id=payment.tenant_id,
            payment_id=payment.id,
            order_id=payment.order_id,
            sub_order_id=split.sub_order_id,
            seller_id=split.seller_id,
            currency=payment.currency,
            amount_minor=split.goods_minor,
            commission_rate=split.commission_rate,
            held_at=now,
        )
        for split in payment.splits
        if split.seller_id is not None and split.sub_order_id is not None and split.goods_minor
    ]


def take_back(holds: Sequence[EscrowHold], parts: Sequence[RefundPart]) -> tuple[TakenBack, ...]:
    """Take the goods of several parts back; what the platform charged itself needs no hold."""
    by_sub_order = {hold.sub_order_id: hold for hold in holds}
    return tuple(
        by_sub_order[part.sub_order_id].take_back(part.goods_minor)
        for part in parts
        if part.sub_order_id is not None and part.goods_minor
    )


class EscrowHolds(Protocol):
    """Holds for change; all that is given is locked until the transaction ends, in the order of their ids."""

    def add(self, *holds: EscrowHold) -> None: ...

    async def of_order(self, order_id: UUID) -> Sequence[EscrowHold]: ...

    async def of_payment(self, payment_id: UUID) -> Sequence[EscrowHold]: ...
