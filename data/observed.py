"""What goes to PostgreSQL, as others are told of it: counted and timed for the operation at hand, and a span where it is traced.

Of a statement its text is told, which has numbers or names where its values go, and never the values.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from domain import tracing
from domain.tracing import Span, SpanKind

LONGEST_TEXT = 4_000


class Tally:
    """How many statements an operation has run, and for how many seconds it waited for them."""

    __slots__ = ("seconds", "statements")

    def __init__(self) -> None:
        self.statements = 0
        self.seconds = 0.0


TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


async def fetch(connection: asyncpg.Connection, statement: str, arguments: Sequence[Any]) -> list[Any]:
    """Run a statement on the driver and give its rows."""
    begun = perf_counter()
    try:
        if tracing.tracer() is None:
            rows: list[Any] = await connection.fetch(statement, *arguments)
        else:
            with traced(statement) as span:
                rows = await connection.fetch(statement, *arguments)
                span.note({"db.response.returned_rows": len(rows)})
    finally:
        count(perf_counter() - begun)
    return rows


def count(seconds: float) -> None:
    """Add a statement to what the operation at hand has run."""
    if (tally := TALLY.get()) is not None:
        tally.statements += 1
        tally.seconds += seconds


def traced(statement: str) -> AbstractContextManager[Span]:
    """Open the span of a statement."""
    return tracing.span(*_described(statement), SpanKind.CLIENT)


@lru_cache(512)
def _described(statement: str) -> tuple[str, dict[str, str]]:
    verb = statement.split(None, 1)[0].rstrip(";").upper() if statement.strip() else "SQL"
    text = " ".join(statement.split())
    return verb, {"db.system.name": "postgresql", "db.operation.name": verb, "db.query.text": text[:LONGEST_TEXT]}


def watch_engine(engine: AsyncEngine) -> None:
    """Have SQLAlchemy's own statements told of in the same way."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def before(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Statements that pass by SQLAlchemy come without a connection, and were told of already.
        if connection is not None:
            opened = None if tracing.tracer() is None else traced(statement)
            span = None if opened is None else opened.__enter__()
            connection.info["observed"] = (perf_counter(), opened, span)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def after(connection: Any, cursor: Any, *_: Any) -> None:
        begun, opened, span = connection.info.pop("observed", (perf_counter(), None, None))
        count(perf_counter() - begun)
        if opened is not None and span is not None:
            span.note({"db.response.returned_rows": max(cursor.rowcount, 0)})
            opened.__exit__(None, None, None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def failed(context: Any) -> None:
        known = context.connection.info.pop("observed", None) if context.connection is not None else None
        if known is not None and known[1] is not None:
            error = context.original_exception
            known[1].__exit__(type(error), error, None)
