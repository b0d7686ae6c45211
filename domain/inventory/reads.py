"""What is read of stock: levels, their journal, reservations, lots and movements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.inventory.reservations import ReservationState
from domain.paging import Page, PageRequest


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

    async def lots(self, store_id: UUID, sku: str, page: PageRequest) -> Page[Any]: ...

    async def open_lots(self, store_id: UUID, sku: str) -> Sequence[Any]:
        """Give the lots of a shelf that hold units, oldest first."""
        ...

    async def movements(self, store_id: UUID, sku: str | None, page: PageRequest) -> Page[Any]: ...


@dataclass(frozen=True, kw_only=True)
class ReservationFilter:
    """Which reservations of a store are wanted."""

    store_id: UUID
    sku: str | None = None
    order_id: UUID | None = None
    state: ReservationState | None = None


class ReservationReads(Protocol):
    """Reservations, newest first."""

    async def listed(self, wanted: ReservationFilter, page: PageRequest) -> Page[Any]: ...
