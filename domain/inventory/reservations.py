"""Reservations: units of a shelf that are promised to an order, a box or a display for some time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.inventory.levels import MAX_UNITS, StockLevel
from domain.kernel import Aggregate, DomainError, Event, InvalidInput, Transitions, Work, event

# Source: the policy table, reservation_ttl.
RESERVATION_LIFETIME = timedelta(hours=2)
LONGEST_LIFETIME = timedelta(days=30)
MAX_CLAIMS = 200

Shelf = tuple[UUID, str]


class ReservationState(StrEnum):
    """What became of a promise: an active one holds units, a consumed one has left the shelf."""

    ACTIVE = "active"
    RELEASED = "released"
    EXPIRED = "expired"
    CONSUMED = "consumed"


RESERVATION_STATES = Transitions(
    "Reservation",
    ReservationState.ACTIVE,
    {
        ReservationState.ACTIVE: {ReservationState.RELEASED, ReservationState.EXPIRED, ReservationState.CONSUMED},
        ReservationState.RELEASED: (),
        ReservationState.EXPIRED: (),
        ReservationState.CONSUMED: (),
    },
)


class ReservationPurpose(StrEnum):
    """What units are reserved for."""

    ORDER = "order"
    BOX = "box"
    DISPLAY = "display"


@dataclass(eq=False)
class ReservationEnded(DomainError):
    """The order's units were given back already; others may have bought them."""

    order_id: UUID
    state: ReservationState
    template = "The reservation of order {order_id} is {state}."


@event("inventory.reserved")
@dataclass(frozen=True, kw_only=True)
class StockReserved(Event):
    reservation_id: UUID
    order_id: UUID
    store_id: UUID
    sku: str
    product_id: UUID
    quantity: int
    purpose: ReservationPurpose
    expires_at: datetime | None


@event("inventory.all_reserved")
@dataclass(frozen=True, kw_only=True)
class AllProductsReserved(Event):
    order_id: UUID
    purpose: ReservationPurpose
    lines: int
    units: int


@event("inventory.released")
@dataclass(frozen=True, kw_only=True)
class StockReleased(Event):
    reservation_id: UUID
    order_id: UUID
    store_id: UUID
    sku: str
    product_id: UUID
    quantity: int


@event("inventory.reservation_expired")
@dataclass(frozen=True, kw_only=True)
class ReservationExpired(Event):
    reservation_id: UUID
    order_id: UUID
    store_id: UUID
    sku: str
    product_id: UUID
    quantity: int


@event("inventory.consumed")
@dataclass(frozen=True, kw_only=True)
class StockConsumed(Event):
    reservation_id: UUID
    order_id: UUID
    store_id: UUID
    sku: str
    product_id: UUID
    quantity: int
    remaining: int


@dataclass(frozen=True, kw_only=True)
class StockClaim:
    """Units of a SKU in one store.

    Raises: InvalidInput.
    """

    store_id: UUID
    sku: str
    quantity: int

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MAX_UNITS:
            raise InvalidInput(field="quantity", reason=f"it must lie between 1 and {MAX_UNITS:,}")

    @property
    def shelf(self) -> Shelf:
        return self.store_id, self.sku


@dataclass(frozen=True, kw_only=True)
class ReserveStock:
    """Promise units to an order, all of them or none; two hours where no end is named.

    Raises: InvalidInput.
    """

    order_id: UUID
    claims: tuple[StockClaim, ...]
    purpose: ReservationPurpose = ReservationPurpose.ORDER
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.claims) <= MAX_CLAIMS:
            raise InvalidInput(field="claims", reason=f"there must be between 1 and {MAX_CLAIMS}")
        if sum(claim.quantity for claim in self.claims) > MAX_UNITS:
            raise InvalidInput(field="claims", reason=f"they must not ask for more than {MAX_UNITS:,} units")

    @property
    def units(self) -> dict[Shelf, int]:
        """Units by shelf, in the order in which shelves are locked; claims on one shelf are added up."""
        wanted: dict[Shelf, int] = {}
        for claim in sorted(self.claims, key=lambda each: each.shelf):
            wanted[claim.shelf] = wanted.get(claim.shelf, 0) + claim.quantity
        return wanted

    def deadline(self, now: datetime) -> datetime:
        """Give the end of the promise.

        Raises: InvalidInput.
        """
        ends = self.expires_at or now + RESERVATION_LIFETIME
        if not now < ends <= now + LONGEST_LIFETIME:
            raise InvalidInput(field="expiresAt", reason="a reservation ends in the future, within thirty days")
        return ends


@dataclass(eq=False, kw_only=True)
class Reservation(Aggregate):
    """Units of one shelf that one order holds; without an end it holds them until they leave or are released."""

    order_id: UUID
    store_id: UUID
    sku: str
    product_id: UUID
    quantity: int
    consumed: int = 0
    purpose: ReservationPurpose = ReservationPurpose.ORDER
    state: ReservationState = ReservationState.ACTIVE
    reserved_at: datetime
    expires_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def make(cls, level: StockLevel, units: int, command: ReserveStock, work: Work) -> "Reservation":
        """Write down that units of the shelf are promised."""
        made = cls(
            tenant_id=work.tenant_id,
            order_id=command.order_id,
            store_id=level.store_id,
            sku=level.sku,
            product_id=level.product_id,
            quantity=units,
            purpose=command.purpose,
            reserved_at=work.now,
            expires_at=command.deadline(work.now),
        )
        made.record(
            StockReserved(
                reservation_id=made.id,
                order_id=made.order_id,
                store_id=made.store_id,
                sku=made.sku,
                product_id=made.product_id,
                quantity=units,
                purpose=made.purpose,
                expires_at=made.expires_at,
            )
        )
        return made

    @property
    def shelf(self) -> Shelf:
        return self.store_id, self.sku

    @property
    def remaining(self) -> int:
        """Units that are still held on the shelf."""
        return self.quantity - self.consumed if self.state is ReservationState.ACTIVE else 0

    @property
    def is_given_back(self) -> bool:
        return self.state in {ReservationState.RELEASED, ReservationState.EXPIRED}

    def release(self, work: Work) -> int:
        """Give back what has not left the shelf; gives how many units that are."""
        units = self._end(ReservationState.RELEASED, work)
        self.record(StockReleased(**self._facts(units)))
        return units

    def expire(self, work: Work) -> int:
        """Give back what has not left the shelf in time; gives how many units that are."""
        units = self._end(ReservationState.EXPIRED, work)
        self.record(ReservationExpired(**self._facts(units)))
        return units

    def consume(self, total: int, work: Work) -> int:
        """Let units leave until `total` have left; gives how many go now, 0 where they have left before.

        Raises: InvalidInput, ReservationEnded.
        """
        if total > self.quantity:
            raise InvalidInput(field="quantity", reason=f"only {self.quantity} of {self.sku} are reserved")
        units = total - self.consumed
        if units <= 0:
            return 0
        if self.is_given_back:
            raise ReservationEnded(order_id=self.order_id, state=self.state)
        self.consumed = total
        if total == self.quantity:
            self.state = RESERVATION_STATES.check(self.state, ReservationState.CONSUMED)
            self.ended_at = work.now
        self.record(StockConsumed(**self._facts(units), remaining=self.remaining))
        return units

    def _end(self, state: ReservationState, work: Work) -> int:
        units = self.remaining
        self.state = RESERVATION_STATES.check(self.state, state)
        self.ended_at = work.now
        return units

    def _facts(self, units: int) -> dict[str, Any]:
        return {
            "reservation_id": self.id,
            "order_id": self.order_id,
            "store_id": self.store_id,
            "sku": self.sku,
            "product_id": self.product_id,
            "quantity": units,
        }
