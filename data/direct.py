"""Statements of a session's transaction that go to asyncpg directly: what every purchase runs is worth passing by SQLAlchemy."""

from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from data.observed import fetch
from data.outages import FAILURES, is_outage, reaching_the_database
from data.statements import Statement, of_tenant

DRIVER = "driver_connection"
TENANT = "tenant_id"
WAITING = "waiting_writes"


class Origin(Exception):
    """What an error of SQLAlchemy's says it comes from, as its own driver would say it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.sqlstate = getattr(cause, "sqlstate", None)
        self.__cause__ = cause


class NotBegun(DBAPIError):
    """The connection was lost before anything was done on it."""


class Begun:
    """A transaction that SQLAlchemy did not begin and yet commits or rolls back."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def commit(self) -> None:
        """Commit it."""
        await self._driver.execute("COMMIT")

    async def rollback(self) -> None:
        """Roll it back."""
        await self._driver.execute("ROLLBACK")


async def begin(session: AsyncSession, scope: str) -> str:
    """Begin a session's transaction and run `scope` in it, statements of SQL, in one round trip; gives the last one's tag.

    Raises: NotBegun when the connection was lost; Unavailable when there is none to be had; DBAPIError.
    """
    with reaching_the_database():
        raw = await (await session.connection()).get_raw_connection()
    driver: asyncpg.Connection = raw.driver_connection
    # SQLAlchemy would send a BEGIN of its own with the first statement; it is told that this has been done.
    raw.dbapi_connection._transaction = Begun(driver)  # type: ignore[union-attr]  # noqa: SLF001 — there is no other way to say it.
    session.info[DRIVER] = driver
    try:
        tag: str = await driver.execute(f"BEGIN;{scope}")
    except FAILURES as error:
        told = await _translated(session, driver, scope, error)
        if told.connection_invalidated:
            raise NotBegun(scope, None, Origin(error), connection_invalidated=True) from error
        raise told from error
    return tag


async def direct(session: AsyncSession, statement: str, *arguments: Any) -> list[Any]:
    """Run SQL with numbered parameters in the session's transaction, after the writes that wait to be sent.

    `= :tenant` in it means the session's tenant. What the session holds back is not flushed for it. JSONB is read as JSON values and given as a text.
    Raises: IntegrityError, DBAPIError.
    """
    driver: asyncpg.Connection = session.info[DRIVER]
    statement, arguments = of_tenant(statement, arguments, session.info.get(TENANT))  # type: ignore[assignment]
    if (waiting := session.info.get(WAITING)) is not None:
        await waiting.send()
    for hears in session.sync_session.get_bind().dispatch.before_cursor_execute:
        # Whoever counts or logs the statements of an engine hears of these too.
        hears(None, None, statement, arguments, None, False)
    try:
        rows = await fetch(driver, statement, arguments)
    except FAILURES as error:
        raise await _translated(session, driver, statement, error) from error
    return rows


async def _translated(
    session: AsyncSession, driver: asyncpg.Connection, statement: str, error: Exception
) -> DBAPIError:
    # The driver notices a moment later than the server says so.
    lost = driver.is_closed() or is_outage(error)
    if lost:
        await (await session.connection()).invalidate()
    kind = IntegrityError if isinstance(error, asyncpg.IntegrityConstraintViolationError) else DBAPIError
    return kind(statement, None, Origin(error), connection_invalidated=lost)


def violated(error: IntegrityError) -> str:
    """Give the name of the constraint that something violates; empty where it is not said."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) or ""


async def selected(session: AsyncSession, statement: Statement, **parameters: Any) -> list[Any]:
    """Run a statement that was compiled once, as `direct` does; its rows read by item."""
    text, arguments = statement.bind(parameters, session.info.get(TENANT))
    return await direct(session, text, *arguments)
