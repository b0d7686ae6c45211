"""Stock: how many units of a SKU a store has, and every change of that number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Principal, Work, event, uuid7
from domain.paging import Page, PageRequest

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


@event("inventory.thresholds_changed")
@dataclass(frozen=True, kw_only=True)
class ThresholdsChanged(Event):
    store_id: UUID
    sku: str
    reorder_point: int
    reorder_quantity: int


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One line of the stock journal; `balance_after` is the number on hand that it left."""

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
        if self.available + change < 0:
            raise InsufficientStock(sku=self.sku, requested=-change, available=self.available)
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
        )

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


class StockLevels(Protocol):
    """Stock levels for change: what is given is locked until the transaction ends."""

    async def lock(self, store_id: UUID, sku: str) -> StockLevel | None: ...

    async def lock_or_create(self, blank: StockLevel) -> StockLevel: ...


class StockJournal(Protocol):
    """The append-only journal."""

    async def add(self, entry: JournalEntry) -> None: ...


@dataclass(frozen=True, kw_only=True)
class StockFilter:
    """Which levels of a store are wanted; `sku_prefix` and `low_only` narrow them."""

    store_id: UUID
    sku_prefix: str | None = None
    low_only: bool = False


class StockReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_product(self, product_ids: Sequence[UUID]) -> list[Any]: ...

    async def by_sku(self, skus: Sequence[str], store_id: UUID | None) -> list[Any]: ...

    async def by_key(self, keys: Sequence[tuple[UUID, str]]) -> list[Any | None]: ...

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def levels(self, wanted: StockFilter, page: PageRequest) -> Page[Any]: ...

    async def journal(self, store_id: UUID, sku: str, page: PageRequest) -> Page[Any]: ...


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
