"""Changing the number on hand, and the marks at which a reorder is due."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.inventory.levels import JournalEntry, StockChange, StockLevel
from domain.kernel import NotFound, Principal, Work


class StockLevels(Protocol):
    """Stock levels for change: what is given is locked until the transaction ends."""

    async def lock(self, store_id: UUID, sku: str) -> StockLevel | None: ...

    async def lock_or_create(self, blank: StockLevel) -> StockLevel: ...


class StockJournal(Protocol):
    """The append-only journal."""

    async def add(self, entry: JournalEntry) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AdjustStock:
    """Change the number on hand by `change` units."""

    store_id: UUID
    sku: str
    change: int
    kind: StockChange = StockChange.ADJUSTMENT
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateStockThresholds:
    """Set the reorder point and quantity of one SKU in one store."""

    store_id: UUID
    sku: str
    reorder_point: int
    reorder_quantity: int
    expected_version: int | None = None


def require_store(actor: Principal, store_id: UUID) -> None:
    """Refuse whoever does not work at the store, as though it did not exist.

    Raises: NotFound.
    """
    if not actor.works_at(store_id):
        raise NotFound(kind="Store", id=str(store_id))


async def update_stock_thresholds(command: UpdateStockThresholds, work: Work, levels: StockLevels) -> StockLevel:
    require_store(work.actor, command.store_id)
    level = await levels.lock(command.store_id, command.sku)
    if level is None:
        raise NotFound(kind="StockLevel", id=command.sku)
    level.expect_version(command.expected_version)
    level.set_thresholds(command.reorder_point, command.reorder_quantity)
    return level
