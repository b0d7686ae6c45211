"""Movements: units that are carried from one store to another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.inventory.levels import JournalEntry, StockLevel
from domain.kernel import Aggregate, Event, InvalidInput, Work, event


@event("inventory.moved")
@dataclass(frozen=True, kw_only=True)
class InventoryMoved(Event):
    movement_id: UUID
    from_store_id: UUID
    to_store_id: UUID
    sku: str
    product_id: UUID
    quantity: int
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class MoveInventory:
    """Carry available units of a SKU to another store.

    Raises: InvalidInput.
    """

    from_store_id: UUID
    to_store_id: UUID
    sku: str
    quantity: int
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidInput(field="quantity", reason="it must be positive")
        if self.from_store_id == self.to_store_id:
            raise InvalidInput(field="toStoreId", reason="units are there already")


@dataclass(eq=False, kw_only=True)
class Movement(Aggregate):
    """One carriage of units; it is written down once and never changed."""

    from_store_id: UUID
    to_store_id: UUID
    sku: str
    quantity: int
    reason: str | None
    performed_by: UUID | None
    performed_at: datetime

    @classmethod
    def make(cls, command: MoveInventory, product_id: UUID, work: Work) -> "Movement":
        """Write down that units are carried."""
        made = cls(
            tenant_id=work.tenant_id,
            from_store_id=command.from_store_id,
            to_store_id=command.to_store_id,
            sku=command.sku,
            quantity=command.quantity,
            reason=command.reason,
            performed_by=work.actor.user_id,
            performed_at=work.now,
        )
        made.record(
            InventoryMoved(
                movement_id=made.id,
                from_store_id=made.from_store_id,
                to_store_id=made.to_store_id,
                sku=made.sku,
                product_id=product_id,
                quantity=made.quantity,
                reason=made.reason,
            )
        )
        return made


class Movements(Protocol):
    """The append-only list of movements."""

    async def add(self, movement: Movement) -> None: ...


def carry(
    command: MoveInventory, source: StockLevel, target: StockLevel, work: Work
) -> tuple[Movement, JournalEntry, JournalEntry]:
    """Carry units over between locked shelves: fewer here, as many more there.

    Raises: InsufficientStock, InvalidInput.
    """
    movement = Movement.make(command, source.product_id, work)
    taken = source.move(-command.quantity, movement.id, command.reason, work)
    put = target.move(command.quantity, movement.id, command.reason, work)
    return movement, taken, put
