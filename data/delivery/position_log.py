"""The history of where drivers were."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Self
from uuid import UUID

import structlog

from data.database import Database
from data.direct import direct
from domain.delivery.geography import Ping
from domain.delivery.positions import KeptPosition, worth_keeping

log = structlog.get_logger("agora.delivery")

FLUSH_SECONDS = 1.0
WRITE_SECONDS = 5.0
MAX_BUFFERED = 50_000
MOST_DRIVERS = 50_000
_WRITE = """
INSERT INTO delivery.position (id, tenant_id, driver_id, at, latitude, longitude, accuracy, speed)
SELECT platform.new_id(), * FROM
unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::float8[], $5::float8[], $6::float8[], $7::float8[])
"""
_FIELDS = ("tenant_id", "driver_id", "at", "latitude", "longitude", "accuracy", "speed")


class BufferedPositionLog:
    """Collects positions and writes those of all drivers once a second, in one statement; implements `PositionLog`.

    Of each driver one position in fifteen seconds is kept, or the next one fifty metres away; how far that is, is reckoned
    by each process for itself. A process that is killed loses what it collected in the last second; where drivers were last is kept elsewhere. When
    the database is away for longer than the buffer lasts, positions are dropped and the log says how many.
    """

    def __init__(self, database: Database, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._buffer: list[KeptPosition] = []
        self._last: OrderedDict[tuple[UUID, UUID], Ping] = OrderedDict()
        self._dropped = 0
        self._stopping = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_until_stopped())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        if self._writing is not None:
            await self._writing
        await self.flush()

    def note(self, position: KeptPosition) -> None:
        driver, ping = (position.tenant_id, position.driver_id), position.ping
        if not worth_keeping(self._last.get(driver), ping):
            return
        self._last[driver] = ping
        self._last.move_to_end(driver)
        if len(self._last) > MOST_DRIVERS:
            self._last.popitem(last=False)
        if len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(position)
        else:
            self._dropped += 1

    async def flush(self) -> None:
        """Write what was collected; what could not be written is tried again with the next."""
        buffer, self._buffer = self._buffer, []
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._write(buffer)
        except Exception as error:  # noqa: BLE001 — whatever ails the database, drivers drive on.
            room = MAX_BUFFERED - len(self._buffer)
            self._buffer = buffer[-room:] + self._buffer if room else self._buffer
            self._dropped += max(0, len(buffer) - room)
            log.warning("positions.unwritten", positions=len(buffer), reason=repr(error)[:200])
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("positions.dropped", positions=dropped)

    async def _write(self, positions: Sequence[KeptPosition]) -> None:
        if positions:
            columns = [[getattr(each, name) for each in positions] for name in _FIELDS]
            # The rows of all tenants go in one statement, which only the platform's role may write.
            async with self._database.session(None) as session:
                await direct(session, _WRITE, *columns)

    async def _write_until_stopped(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._flush_seconds)
            await self.flush()
