"""The queue of durable jobs: asking for one is a call of a database function within the transaction at hand.

The application's role may do nothing else to the queue.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from domain import tracing
from domain.jobs import JobQueue
from domain.tracing import TRACEPARENT

_DEFER = text("SELECT jobs.defer(:name, CAST(:payload AS jsonb), :due, :key)")
_CANCEL = text("SELECT jobs.cancel(:name, :key)")


@implements(JobQueue)
class SqlJobQueue:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def defer(
        self, name: str, payload: Mapping[str, Any], *, at: datetime | None = None, key: str | None = None
    ) -> None:
        told = {TRACEPARENT: parent} if (parent := tracing.traceparent()) is not None else {}
        arguments = {"name": name, "payload": orjson.dumps({**payload, **told}).decode(), "due": at, "key": key}
        await self._session.execute(_DEFER, arguments)

    async def cancel(self, name: str, key: str) -> bool:
        return bool((await self._session.execute(_CANCEL, {"name": name, "key": key})).scalar_one())
