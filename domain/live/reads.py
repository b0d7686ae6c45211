"""What is read of live sessions, in batches and in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.live.events import LiveSessionStatus
from domain.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class LiveSessionFilter:
    """Which sessions are wanted."""

    status: LiveSessionStatus | None = None
    host_id: UUID | None = None


class LiveReads(Protocol):
    """Batch reads, each in the order of its keys, and lists."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def listed(self, wanted: LiveSessionFilter, page: PageRequest) -> Page[Any]:
        """List sessions, the one that is scheduled last first."""
        ...

    async def studios_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def studios(self, page: PageRequest) -> Page[Any]: ...

    async def bookings(self, studio_ids: Sequence[UUID], since: datetime, until: datetime) -> list[list[Any]]:
        """Give what of a span is taken in each studio, the first booking first."""
        ...

    async def all_studios(self) -> Sequence[Any]: ...

    async def chat(self, session_id: UUID, page: PageRequest) -> Page[Any]:
        """List what was written, the newest first."""
        ...

    async def is_banned(self, session_id: UUID, user_id: UUID) -> bool: ...

    async def figures(self, session_id: UUID) -> Any:
        """Give unique_viewers, peak_viewers, chat_messages, buyers and reactions of a session."""
        ...

    async def sold(self, session_id: UUID) -> Sequence[Any]:
        """Give what was sold in a session, by SKU: product_id, sku, units, revenue_minor; the most lucrative first."""
        ...

    async def stream_is_open(self, session_id: UUID, preparation_id: UUID | None) -> bool:
        """Say whether a session is ready or live, under a preparation where one is named."""
        ...
