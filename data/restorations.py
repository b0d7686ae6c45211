"""The backups that a database came from; what reaches outside is held back until somebody lets it go on."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

import psycopg
import structlog
from psycopg.rows import class_row
from sqlalchemy import BigInteger, Column, Table, Uuid, func, select

from data.database import SYSTEM_ROLE, Database, asyncpg_url
from data.kernel import metadata, timestamp
from data.relay import pause

log = structlog.get_logger("agora.restorations")

POLL_SECONDS = 1.0

restoration = Table(
    "restoration",
    metadata,
    Column("id", Uuid, primary_key=True),
    timestamp("taken_at"),
    Column("position", BigInteger, nullable=False),
    timestamp("restored_at", server_default=func.now()),
    timestamp("released_at", nullable=True),
    schema="platform",
)

Part = Callable[[asyncio.Event], Awaitable[None]]

_HELD = select(restoration.c.taken_at).where(restoration.c.released_at.is_(None)).limit(1)
_HELD_SINCE = "SELECT max(taken_at) FROM platform.restoration WHERE released_at IS NULL"
_UNSENT = "due_at IS NOT NULL AND channel <> 'in_app'"
_WAITING = f"""
SELECT (SELECT count(*) FROM notifications.notification WHERE {_UNSENT}) AS messages,
       (SELECT count(*) FROM payments.refund WHERE state = 'pending') AS refunds,
       (SELECT count(*) FROM payments.payout WHERE state IN ('scheduled', 'processing')) AS payouts,
       (SELECT count(*) FROM platform.saga WHERE state IN ('running', 'waiting', 'compensating')) AS sagas,
       (SELECT count(*) FROM jobs.procrastinate_jobs WHERE status IN ('todo', 'doing')) AS jobs
"""  # noqa: S608 — made of our own text only.
_DROP = f"""
UPDATE notifications.notification SET state = 'failed', due_at = NULL, error = 'dropped after a restore' WHERE {_UNSENT}
"""  # noqa: S608 — see above.
_RELEASE = "UPDATE platform.restoration SET released_at = now() WHERE released_at IS NULL"


@dataclass(frozen=True)
class Waiting:
    """How much would reach outside, or be decided, as soon as it is let go."""

    messages: int
    refunds: int
    payouts: int
    sagas: int
    jobs: int


class Hold:
    """Lets parts of a worker begin only when nothing is held back.

    A database that was restored does not know what its installation has done since the backup. Whoever restores looks first,
    and the letters, charges, refunds and payouts that the backup thinks are due wait for that.
    """

    def __init__(self, database: Database, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._database = database
        self._poll_seconds = poll_seconds

    def before(self, part: Part) -> Part:
        """Give the part, begun when it may."""

        @wraps(part)
        async def run(stop: asyncio.Event) -> None:
            await self._released(stop)
            if not stop.is_set():
                await part(stop)

        return run

    async def _released(self, stop: asyncio.Event) -> None:
        told = False
        while not stop.is_set() and (taken_at := await self._taken_at()) is not None:
            if not told:
                log.warning("worker.held_back", backup_of=taken_at.isoformat(), until="agora release")
                told = True
            await pause(stop, self._poll_seconds)

    async def _taken_at(self) -> datetime | None:
        async with self._database.session(None) as session:
            taken_at: datetime | None = await session.scalar(_HELD)
            return taken_at


def held_since(url: str) -> datetime | None:
    """Give when the backup was taken that this database was restored from, if what reaches outside is held back."""
    with psycopg.connect(asyncpg_url(url)) as connection:
        row = connection.execute(_HELD_SINCE).fetchone()
    return row[0] if row else None


def waiting(url: str) -> Waiting:
    """Count what is held back, over all tenants."""
    with psycopg.connect(asyncpg_url(url), row_factory=class_row(Waiting)) as connection:
        connection.execute(f"SET ROLE {SYSTEM_ROLE}")
        found = connection.execute(_WAITING).fetchone()
    return found or Waiting(0, 0, 0, 0, 0)


def release(url: str, *, drop_messages: bool) -> int:
    """Let everything go on; with `drop_messages` all but the messages that wait. Gives how many were dropped."""
    with psycopg.connect(asyncpg_url(url)) as connection:
        connection.execute(f"SET ROLE {SYSTEM_ROLE}")
        dropped = connection.execute(_DROP).rowcount if drop_messages else 0
        connection.execute(_RELEASE)
    return dropped
