"""What waits for the commit: sent together, before whatever is read directly, and refused as single writes would be."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from data.database import Database
from data.direct import direct
from data.writes import later
from domain.kernel import NotFound, uuid7

MARK = "INSERT INTO platform.inbox (handler, event_id, tenant_id) VALUES ($1, $2, $3)"
RENAME = "UPDATE platform.inbox SET handler = $1 WHERE event_id = $2"
MARKED = "SELECT handler FROM platform.inbox WHERE tenant_id = $1 ORDER BY handler"


@contextmanager
def heard(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def marks(database: Database, tenant_id: UUID) -> list[str]:
    async with database.session(tenant_id) as session:
        return [row["handler"] for row in await direct(session, MARKED, tenant_id)]


async def marked(database: Database, tenant_id: UUID, event_ids: list[UUID], **how: Any) -> None:
    """Have marks written together, the last of them in a way of its own."""
    async with database.session(tenant_id) as session:
        for event_id in event_ids[:-1]:
            later(session, MARK, "one", event_id, tenant_id)
        later(session, MARK, "one", event_ids[-1], tenant_id, **how)


async def fails(database: Database, tenant_id: UUID) -> None:
    async with database.session(tenant_id) as session:
        later(session, MARK, "one", uuid7(), tenant_id)
        raise ZeroDivisionError


async def misses(database: Database, tenant_id: UUID) -> None:
    async with database.session(tenant_id) as session:
        later(session, MARK, "one", uuid7(), tenant_id)
        later(session, RENAME, "two", uuid7(), must_hit=True)


class TestWrites:
    async def test_reach_the_database_in_one_statement(self, database: Database, tenant_id: UUID) -> None:
        with heard(database) as statements:
            async with database.session(tenant_id) as session:
                for handler in ("one", "two", "three"):
                    later(session, MARK, handler, uuid7(), tenant_id)
        assert len(statements) == 1
        assert await marks(database, tenant_id) == ["one", "three", "two"]

    async def test_are_sent_before_anything_is_read_directly(self, database: Database, tenant_id: UUID) -> None:
        async with database.session(tenant_id) as session:
            later(session, MARK, "one", uuid7(), tenant_id)
            assert [row["handler"] for row in await direct(session, MARKED, tenant_id)] == ["one"]

    async def test_are_forgotten_with_their_transaction(self, database: Database, tenant_id: UUID) -> None:
        with pytest.raises(ZeroDivisionError):
            await fails(database, tenant_id)
        assert await marks(database, tenant_id) == []

    async def test_that_hit_no_row_take_the_others_with_them(self, database: Database, tenant_id: UUID) -> None:
        with pytest.raises(StaleDataError):
            await misses(database, tenant_id)
        assert await marks(database, tenant_id) == []

    async def test_that_hit_their_rows_are_kept(self, database: Database, tenant_id: UUID) -> None:
        first = uuid7()
        async with database.session(tenant_id) as session:
            await direct(session, MARK, "one", first, tenant_id)
            later(session, RENAME, "other", first, must_hit=True)
            later(session, MARK, "two", uuid7(), tenant_id)
        assert await marks(database, tenant_id) == ["other", "two"]

    async def test_are_refused_as_they_say(self, database: Database, tenant_id: UUID) -> None:
        other, twice = uuid7(), uuid7()
        refusals = {"pk_inbox": NotFound(kind="Mark", id="one")}
        with pytest.raises(NotFound):
            await marked(database, tenant_id, [other, twice, twice], refusals=refusals)
        with pytest.raises(IntegrityError):
            await marked(database, tenant_id, [other, twice, twice])
        assert await marks(database, tenant_id) == []
