"""Statements of a session's transaction that go to asyncpg directly: what every purchase runs is worth passing by SQLAlchemy."""

from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from data.statements import Statement

DRIVER = "driver_connection"
_CUT = (asyncpg.InternalClientError, OSError)


class Origin(Exception):
    """What an error of SQLAlchemy's says it comes from, as its own driver would say it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.sqlstate = getattr(cause, "sqlstate", None)
        self.__cause__ = cause


async def bind_driver(session: AsyncSession) -> None:
    """Find the connection under a session once, when its transaction has begun."""
    raw = await (await session.connection()).get_raw_connection()
    session.info[DRIVER] = raw.driver_connection


async def direct(session: AsyncSession, statement: str, *arguments: Any) -> list[Any]:
    """Run SQL with numbered parameters in the session's transaction; what the session holds back is not flushed for it.

    JSONB is read as JSON values and given as a text.
    Raises: IntegrityError, DBAPIError.
    """
    driver: asyncpg.Connection = session.info[DRIVER]
    for hears in session.sync_session.get_bind().dispatch.before_cursor_execute:
        # Whoever counts or logs the statements of an engine hears of these too.
        hears(None, None, statement, arguments, None, False)
    try:
        rows: list[Any] = await driver.fetch(statement, *arguments)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, *_CUT) as error:
        # The driver notices a moment later than the server says so.
        ended = str(getattr(error, "sqlstate", None) or "").startswith(("57P", "08"))
        lost = driver.is_closed() or ended or isinstance(error, _CUT)
        if lost:
            await (await session.connection()).invalidate()
        kind = IntegrityError if isinstance(error, asyncpg.IntegrityConstraintViolationError) else DBAPIError
        raise kind(statement, None, Origin(error), connection_invalidated=lost) from error
    return rows


async def selected(session: AsyncSession, statement: Statement, **parameters: Any) -> list[Any]:
    """Run a statement that was compiled once, as `direct` does; its rows read by item."""
    text, arguments = statement.bind(parameters)
    return await direct(session, text, *arguments)
