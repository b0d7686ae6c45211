"""Lots: deliveries of one batch, of which the oldest leave first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.inventory.levels import MAX_UNITS, InsufficientStock
from domain.inventory.reservations import Shelf
from domain.kernel import Event, InvalidInput, Work, event, uuid7
from domain.money import Money

LONGEST_NAME = 80


@event("inventory.lot_received")
@dataclass(frozen=True, kw_only=True)
class LotReceived(Event):
    lot_id: UUID
    store_id: UUID
    sku: str
    batch_lot: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReceiveStock:
    """Put delivered units on a shelf; with the name of their batch, they are a lot."""

    store_id: UUID
    sku: str
    quantity: int
    batch_lot: str | None = None
    unit_cost: Money | None = None
    expires_on: date | None = None
    received_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MAX_UNITS:
            raise InvalidInput(field="quantity", reason=f"it must lie between 1 and {MAX_UNITS:,}")
        if self.batch_lot is not None and not 1 <= len(self.batch_lot.strip()) <= LONGEST_NAME:
            raise InvalidInput(field="batchLot", reason=f"it has between 1 and {LONGEST_NAME} characters")
        if self.unit_cost is not None and self.unit_cost.amount_minor < 0:
            raise InvalidInput(field="unitCost", reason="it must not be negative")


@dataclass(frozen=True, kw_only=True)
class Lot:
    """Units of one batch in one store; `quantity_remaining` of those received are still there."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    store_id: UUID
    sku: str
    batch_lot: str
    quantity_received: int
    quantity_remaining: int
    unit_cost_minor: int | None = None
    currency: str | None = None
    expires_on: date | None = None
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class LotPick:
    """Units to be taken from one lot."""

    lot_id: UUID
    batch_lot: str
    quantity: int


class Lots(Protocol):
    """Lots for change; their shelf is locked before."""

    async def receive(self, lot: Lot) -> None:
        """Add a lot, or units to the lot of the same batch."""
        ...

    async def take(self, units: dict[Shelf, int]) -> None:
        """Take units from the oldest lots of each shelf, as far as its units came in lots."""
        ...

    async def move(self, source: Shelf, target_store_id: UUID, units: int) -> None:
        """Carry the oldest units of a shelf over to another store, each with its batch."""
        ...


def lot_of(command: ReceiveStock, work: Work) -> Lot:
    """Make the lot that a delivery is."""
    received_at = command.received_at or work.now
    if received_at > work.now:
        raise InvalidInput(field="receivedAt", reason="it must not lie in the future")
    return Lot(
        tenant_id=work.tenant_id,
        store_id=command.store_id,
        sku=command.sku,
        batch_lot=(command.batch_lot or "").strip(),
        quantity_received=command.quantity,
        quantity_remaining=command.quantity,
        unit_cost_minor=command.unit_cost.amount_minor if command.unit_cost else None,
        currency=command.unit_cost.currency if command.unit_cost else None,
        expires_on=command.expires_on,
        received_at=received_at,
    )


def suggest_lots(lots: Iterable[Any], sku: str, quantity: int) -> Sequence[LotPick]:
    """Say from which lots units should be picked: first in, first out.

    Raises: InsufficientStock when the lots hold fewer units; InvalidInput.
    Source: FIFO by the date of receipt.
    """
    if quantity < 1:
        raise InvalidInput(field="quantity", reason="it must be positive")
    picks, missing = [], quantity
    for lot in sorted(lots, key=lambda each: (each.received_at, each.id)):
        units = min(lot.quantity_remaining, missing)
        if units:
            picks.append(LotPick(lot_id=lot.id, batch_lot=lot.batch_lot, quantity=units))
            missing -= units
    if missing:
        raise InsufficientStock(sku=sku, requested=quantity, available=quantity - missing)
    return picks
