"""A stock level: how many units of a SKU a store has, how many of them are promised, and every change of both."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, Work, event, uuid7

MAX_UNITS = 1_000_000_000


@dataclass(eq=False)
class InsufficientStock(DomainError):
    """More units were asked for than are free."""

    sku: str
    requested: int
    available: int
    template = "Only {available} of {sku} are available; {requested} were requested."


class StockChange(StrEnum):
    """Why a stock level changed."""

    PURCHASE = "purchase"
    SALE = "sale"
    ADJUSTMENT = "adjustment"
    RETURN = "return"
    DAMAGE = "damage"
    COUNT = "count"
    IMPORT = "import"
    RESERVATION = "reservation"
    RELEASE = "release"
    TRANSFER = "transfer"


# These follow from reservations and movements; nobody books them by hand.
_BY_RULE = frozenset({StockChange.RESERVATION, StockChange.RELEASE, StockChange.TRANSFER})


@event("inventory.stock_adjusted")
@dataclass(frozen=True, kw_only=True)
class StockAdjusted(Event):
    store_id: UUID
    sku: str
    product_id: UUID
    change: int
    on_hand: int
    available: int
    reason: str | None


@event("inventory.low_stock")
@dataclass(frozen=True, kw_only=True)
class LowStockReached(Event):
    store_id: UUID
    sku: str
    product_id: UUID
    available: int
    reorder_point: int


@event("inventory.out_of_stock")
@dataclass(frozen=True, kw_only=True)
class StockExhausted(Event):
    store_id: UUID
    sku: str
    product_id: UUID


@event("inventory.back_in_stock")
@dataclass(frozen=True, kw_only=True)
class StockReturned(Event):
    store_id: UUID
    sku: str
    product_id: UUID
    available: int


@event("inventory.thresholds_changed")
@dataclass(frozen=True, kw_only=True)
class ThresholdsChanged(Event):
    store_id: UUID
    sku: str
    reorder_point: int
    reorder_quantity: int


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One line of the stock journal; `balance_after` is the number on hand that it left.

    Of one SKU in one store the quantity changes add up to what is on hand, the reserved changes to what is reserved.
    """

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    store_id: UUID
    sku: str
    quantity_change: int
    kind: StockChange
    reason: str | None
    balance_after: int
    performed_by: UUID | None
    performed_at: datetime
    reserved_change: int = 0
    reference_id: UUID | None = None


@dataclass(eq=False, kw_only=True)
class StockLevel(Aggregate):
    """The units of one SKU in one store: on hand, reserved, and what is left for sale."""

    store_id: UUID
    sku: str
    product_id: UUID
    variant_id: UUID | None = None
    on_hand: int = 0
    reserved: int = 0
    reorder_point: int = 0
    reorder_quantity: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    @property
    def is_low(self) -> bool:
        return self.available <= self.reorder_point

    def adjust(self, change: int, kind: StockChange, reason: str | None, work: Work) -> JournalEntry:
        """Add units to the number on hand, or take some away.

        Raises: InsufficientStock when fewer would be on hand than are reserved; InvalidInput.
        """
        if change == 0 or abs(change) > MAX_UNITS or self.on_hand + change > MAX_UNITS:
            raise InvalidInput(field="change", reason=f"it must not be zero, nor leave more than {MAX_UNITS:,} units")
        if kind in _BY_RULE:
            raise InvalidInput(field="kind", reason=f"{kind} is not booked by hand")
        self._require(-change)
        before = self.available
        self.on_hand += change
        self.record(
            StockAdjusted(
                store_id=self.store_id,
                sku=self.sku,
                product_id=self.product_id,
                change=change,
                on_hand=self.on_hand,
                available=self.available,
                reason=reason,
            )
        )
        self._warn(before)
        return self._line(kind, work, change=change, reason=reason)

    def reserve(self, units: int, reference_id: UUID, work: Work) -> JournalEntry:
        """Promise units to somebody: they stay on hand and are no longer available.

        Raises: InsufficientStock.
        """
        self._require(units)
        before = self.available
        self.reserved += units
        self._warn(before)
        return self._line(StockChange.RESERVATION, work, reserved=units, reference_id=reference_id)

    def release(self, units: int, reference_id: UUID, work: Work) -> JournalEntry:
        """Take a promise back."""
        before = self.available
        self.reserved -= units
        if before == 0 < self.available:
            self.record(
                StockReturned(
                    store_id=self.store_id, sku=self.sku, product_id=self.product_id, available=self.available
                )
            )
        return self._line(StockChange.RELEASE, work, reserved=-units, reference_id=reference_id)

    def consume(self, units: int, reference_id: UUID, work: Work) -> JournalEntry:
        """Let promised units leave the shelf; what is available stays the same."""
        self.on_hand -= units
        self.reserved -= units
        return self._line(StockChange.SALE, work, change=-units, reserved=-units, reference_id=reference_id)

    def move(self, change: int, reference_id: UUID, reason: str | None, work: Work) -> JournalEntry:
        """Take units from the shelf for another one, or put there what another gave.

        Raises: InsufficientStock, InvalidInput.
        """
        if self.on_hand + change > MAX_UNITS:
            raise InvalidInput(field="quantity", reason=f"a shelf holds {MAX_UNITS:,} units at most")
        self._require(-change)
        before = self.available
        self.on_hand += change
        self.record(
            StockAdjusted(
                store_id=self.store_id,
                sku=self.sku,
                product_id=self.product_id,
                change=change,
                on_hand=self.on_hand,
                available=self.available,
                reason=reason,
            )
        )
        self._warn(before)
        return self._line(StockChange.TRANSFER, work, change=change, reason=reason, reference_id=reference_id)

    def set_thresholds(self, reorder_point: int, reorder_quantity: int) -> None:
        """Say at which number a reorder is due, and how many units it is for.

        Raises: InvalidInput.
        """
        for name, value in (("reorderPoint", reorder_point), ("reorderQuantity", reorder_quantity)):
            if not 0 <= value <= MAX_UNITS:
                raise InvalidInput(field=name, reason=f"it must lie between 0 and {MAX_UNITS:,}")
        self.reorder_point = reorder_point
        self.reorder_quantity = reorder_quantity
        self.record(
            ThresholdsChanged(
                store_id=self.store_id, sku=self.sku, reorder_point=reorder_point, reorder_quantity=reorder_quantity
            )
        )

    def _warn(self, before: int) -> None:
        """Raise each alert once per crossing, however many adjustments stay below the mark."""
        if self.is_low and before > self.reorder_point:
            self.record(
                LowStockReached(
                    store_id=self.store_id,
                    sku=self.sku,
                    product_id=self.product_id,
                    available=self.available,
                    reorder_point=self.reorder_point,
                )
            )
        if self.available == 0 < before:
            self.record(StockExhausted(store_id=self.store_id, sku=self.sku, product_id=self.product_id))

    def _require(self, units: int) -> None:
        if units > self.available:
            raise InsufficientStock(sku=self.sku, requested=units, available=self.available)

    def _line(
        self,
        kind: StockChange,
        work: Work,
        *,
        change: int = 0,
        reserved: int = 0,
        reason: str | None = None,
        reference_id: UUID | None = None,
    ) -> JournalEntry:
        return JournalEntry(
            tenant_id=self.tenant_id,
            store_id=self.store_id,
            sku=self.sku,
            quantity_change=change,
            kind=kind,
            reason=reason,
            balance_after=self.on_hand,
            performed_by=work.actor.user_id,
            performed_at=work.now,
            reserved_change=reserved,
            reference_id=reference_id,
        )
