"""Statements past SQLAlchemy fail as its own do, and are heard by whoever listens to its engine."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from data.database import Database
from data.direct import direct
from domain.kernel import uuid7

MARK = "INSERT INTO platform.inbox (handler, event_id, tenant_id) VALUES ('test', $1, $2)"
MARKED = "SELECT count(*) FROM platform.inbox WHERE event_id = $1"


class TestDirect:
    async def test_works_in_the_transaction_of_the_session(self, database: Database, tenant_id: UUID) -> None:
        event_id = uuid7()
        async with database.session(tenant_id) as session:
            await direct(session, MARK, event_id, tenant_id)
            await session.rollback()
        async with database.session(tenant_id) as session:
            assert (await direct(session, MARKED, event_id))[0]["count"] == 0

    async def test_names_the_constraint_that_refuses(self, database: Database, tenant_id: UUID) -> None:
        event_id = uuid7()
        async with database.session(tenant_id) as session:
            await direct(session, MARK, event_id, tenant_id)
            with pytest.raises(IntegrityError) as caught:
                await direct(session, MARK, event_id, tenant_id)
            await session.rollback()
        assert getattr(caught.value.orig, "sqlstate", None) == "23505"
        assert caught.value.orig is not None
        assert getattr(caught.value.orig.__cause__, "constraint_name", None) == "pk_inbox"

    async def test_tells_what_may_be_tried_again(self, database: Database, tenant_id: UUID) -> None:
        with pytest.raises(DBAPIError) as caught:
            async with database.session(tenant_id) as session:
                await direct(session, "DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = '40P01'; END $$")
        assert isinstance(caught.value.__cause__, asyncpg.PostgresError)
        assert getattr(caught.value.orig, "sqlstate", None) == "40P01"

    async def test_gives_a_lost_connection_up(self, database: Database, tenant_id: UUID) -> None:
        async with database.session(tenant_id) as session:
            (own,) = await direct(session, "SELECT pg_backend_pid() AS pid")
            async with database.session(None) as other:
                await other.execute(text("RESET ROLE"))
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own["pid"]})
            with pytest.raises(DBAPIError) as caught:
                await direct(session, "SELECT 1")
            await session.rollback()
        assert caught.value.connection_invalidated
        async with database.session(tenant_id) as session:
            assert (await direct(session, "SELECT 1 AS one"))[0]["one"] == 1

    async def test_is_heard_by_listeners_of_the_engine(self, database: Database, tenant_id: UUID) -> None:
        heard: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            heard.append(statement)

        engine = database.engine.sync_engine
        async with database.session(tenant_id) as session:
            event.listen(engine, "before_cursor_execute", note)
            await direct(session, "SELECT 1")
            event.remove(engine, "before_cursor_execute", note)
        assert heard == ["SELECT 1"]
