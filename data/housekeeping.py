"""What is thrown away when it has served its time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, CursorResult, Table, delete, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from data import search
from data.database import Database
from data.dead_letters import dead_letter
from data.idempotency import idempotency_key
from data.identity import expiry as identity
from data.inbox import inbox
from data.orders import carts

log = structlog.get_logger(__name__)

# A key is promised to be remembered for 24 hours.
IDEMPOTENCY_KEPT = timedelta(hours=48)
# Longer than any event may be on its way: the bus is filled again from the oldest unhandled event only.
INBOX_KEPT = timedelta(days=14)
REQUEUED_LETTERS_KEPT = timedelta(days=30)
AT_ONCE = 5_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Housekeeping:
    """Chores of the platform, each small and repeatable."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._now = now

    def schedule(self) -> dict[str, tuple[str, Callable[[], Awaitable[None]]]]:
        """Give the chores by name, with the cron line of when they are due."""
        return {"platform.expire": ("*/10 * * * *", self.expire)}

    async def expire(self) -> None:
        """Delete expired idempotency keys, inbox marks and requeued dead letters, a portion at a time."""
        now = self._now()
        for table, old in (
            (idempotency_key, idempotency_key.c.created_at < now - IDEMPOTENCY_KEPT),
            (inbox, inbox.c.handled_at < now - INBOX_KEPT),
            (dead_letter, dead_letter.c.requeued_at < now - REQUEUED_LETTERS_KEPT),
            *identity.expired(now),
            *carts.expired(now),
            *search.expired(now),
        ):
            gone = 0
            while True:
                async with self._database.session(None) as session:
                    portion = await _delete_some(session, table, old)
                gone += portion
                if portion < AT_ONCE:
                    break
            if gone:
                log.info("housekeeping.expired", table=table.fullname, rows=gone)


async def _delete_some(session: AsyncSession, table: Table, old: ColumnElement[bool]) -> int:
    place: Any = literal_column(f"{table.fullname}.ctid")
    chosen = select(place).select_from(table).where(old).limit(AT_ONCE)
    result = await session.execute(delete(table).where(place.in_(chosen)))
    return result.rowcount if isinstance(result, CursorResult) else 0
