"""The book of reservations: what a transaction reads and writes when it holds shelves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.inventory.levels import JournalEntry, StockLevel
from domain.inventory.reservations import Reservation, ReserveStock, Shelf
from domain.kernel import Aggregate, Recorded, Work


@dataclass(frozen=True, kw_only=True)
class HeldStock:
    """The reservations of one order."""

    order_id: UUID
    reservations: tuple[Reservation, ...] = ()


@dataclass(eq=False)
class StockChanges:
    """What a transaction does to the shelves that it holds: every fact with the work that it came from.

    `shipped` is what left the shelves, by shelf: it is taken from the oldest lots.
    """

    levels: dict[Shelf, StockLevel]
    made: list[Reservation] = field(default_factory=list)
    changed: list[Reservation] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    facts: list[tuple[Aggregate, Recorded, Work]] = field(default_factory=list)
    shipped: dict[Shelf, int] = field(default_factory=dict)

    def note(self, work: Work, entries: Iterable[JournalEntry], aggregates: Iterable[Aggregate]) -> None:
        """Keep lines of the journal, and the events of the aggregates that they tell of."""
        self.journal += entries
        self.facts += [(each, fact, work) for each in aggregates for fact in each.release_events()]


class Reservations(Protocol):
    """Shelves and reservations for change. Shelves are locked in the order of store and SKU, before reservations."""

    async def lock_shelves(self, shelves: Iterable[Shelf]) -> dict[Shelf, StockLevel]: ...

    async def of_orders(self, order_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Reservation]]:
        """Give what stands in the book for these orders; to be asked when their shelves are locked."""
        ...

    async def lock_order(self, order_id: UUID) -> tuple[StockChanges, Sequence[Reservation]]:
        """Lock all reservations of an order and their shelves."""
        ...

    async def lock_overdue(self, now: datetime, orders: int) -> tuple[StockChanges, Sequence[Reservation]]:
        """Lock what should have ended by now, of so many orders at most."""
        ...

    async def keep(self, order_id: UUID) -> bool:
        """Take the end off an order's reservations; says whether all of them were still held."""
        ...

    async def write(self, changes: StockChanges) -> None:
        """Save everything in one statement, its events included."""
        ...


class StockDesk(Protocol):
    """Where many buyers reserve at the same time: those who wait for one shelf are served together."""

    async def reserve(self, command: ReserveStock, work: Work) -> None:
        """Reserve in a transaction of its own, durably when this returns; repeated, it changes nothing.

        Raises: InsufficientStock, ReservationEnded, InvalidInput, TenantReadOnly.
        """
        ...
