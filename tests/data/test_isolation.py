"""Tenants are kept apart by the database itself, in every table that there is."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, Engine, Table, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

import data.tables  # noqa: F401 — maps every table.
from data.database import Database, asyncpg_url
from data.kernel import REFUSALS, TENANT_OWNED, metadata
from data.migrations import VERSION_TABLE
from domain.kernel import uuid7

APP, SYSTEM = "agora_app", "agora_system"
OWNED = sorted(table.fullname for table in metadata.tables.values() if table.info.get(TENANT_OWNED))
# What belongs to no tenant: how far the relay is, the backups that all of it came from, the law of provinces, and the queue,
# which the application cannot read.
SHARED = {"platform.relay_cursor", "platform.restoration", "tenancy.province_territory", f"public.{VERSION_TABLE}"}
QUEUE = "jobs"
# One context's index on another's table: no metadata can hold it, for contexts do not import each other.
FOREIGN_INDEXES = {"ix_product_words"}


@pytest.fixture(scope="module")
def owner(database_url: str) -> Iterator[Engine]:
    """The login that migrates: it may do everything, and `SET ROLE` turns it into the application."""
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    yield engine
    engine.dispose()


def rows(engine: Engine, statement: str, **parameters: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement), parameters))


class TestTheMigratedSchema:
    @pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
    def test_is_what_the_tables_in_code_say(self, owner: Engine) -> None:
        options = {"include_schemas": True, "version_table": VERSION_TABLE, "include_object": is_ours}
        with owner.connect() as connection:
            context = MigrationContext.configure(connection, opts={**options, "compare_server_default": True})
            assert compare_metadata(context, metadata) == []

    def test_checks_what_the_tables_in_code_check(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0 "
            "AND connamespace::regnamespace::text || '.' || (SELECT relname FROM pg_class WHERE oid = conrelid) "
            "= ANY(:tables)",
            tables=OWNED,
        )
        declared = {
            (table.fullname, str(each.name))
            for table in metadata.tables.values()
            for each in table.constraints
            if isinstance(each, CheckConstraint)
        }
        assert {(table.replace('"', ""), name) for table, name in found} == declared

    def test_has_every_constraint_that_is_turned_into_a_refusal(self, owner: Engine) -> None:
        # What spans several rows is checked by a trigger, which names its constraint itself.
        found = rows(
            owner,
            "SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid "
            r"WHERE indisunique UNION SELECT substring(prosrc FROM $$CONSTRAINT = '(\w+)'$$) FROM pg_proc "
            "WHERE oid IN (SELECT tgfoid FROM pg_trigger)",
        )
        assert REFUSALS.keys() - {name for (name,) in found} == set()

    def test_has_no_table_that_is_neither_isolated_nor_known_to_be_shared(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema', :queue)",
            queue=QUEUE,
        )
        assert {name for (name,) in found} == SHARED | set(OWNED)

    def test_has_no_view_that_would_show_rows_with_its_owners_eyes(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT viewname FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema') "
            "UNION ALL SELECT matviewname FROM pg_matviews",
        )
        assert found == []

    def test_marks_every_table_with_a_tenant_as_owned_by_tenants(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT table_schema || '.' || table_name FROM information_schema.columns WHERE column_name = 'tenant_id'",
        )
        assert sorted(name for (name,) in found) == OWNED


def is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    return not (name or "").startswith(("procrastinate_", "idx_procrastinate_")) and name not in FOREIGN_INDEXES


class TestRowLevelSecurity:
    def test_is_on_and_forced_with_one_policy_for_each_role_in_every_table(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT relnamespace::regnamespace || '.' || relname, relrowsecurity AND relforcerowsecurity, "
            "(SELECT array_agg(DISTINCT role::regrole::text ORDER BY role::regrole::text) "
            " FROM pg_policy, unnest(polroles) AS role WHERE polrelid = pg_class.oid), "
            "(SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) "
            "FROM pg_class WHERE relnamespace::regnamespace || '.' || relname = ANY(:tables)",
            tables=OWNED,
        )
        assert sorted(tuple(row) for row in found) == [(table, True, [APP, SYSTEM], 2) for table in OWNED]

    def test_shows_and_takes_only_what_belongs_to_the_tenant_of_the_transaction(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT DISTINCT pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), polcmd, polpermissive "
            "FROM pg_policy WHERE polroles = ARRAY[to_regrole(:role)::oid]",
            role=APP,
        )
        own = "(tenant_id = ( SELECT platform.tenant_id() AS tenant_id))"
        assert [tuple(row) for row in found] == [(own, own, "*", True)]


@pytest.fixture(scope="module")
async def login(owner: Engine, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that was never anything but the application, as a careful deployment would have it."""
    with owner.begin() as connection:
        connection.exec_driver_sql(f"ALTER ROLE {APP} PASSWORD 'of these tests'")
    opened = await asyncpg.connect(asyncpg_url(database_url), user=APP, password="of these tests")
    yield opened
    await opened.close()
    with owner.begin() as connection:
        connection.exec_driver_sql(f"ALTER ROLE {APP} PASSWORD NULL")


class TestTheApplicationsRole:
    def test_owns_nothing_and_passes_no_policy(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, "
            "EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid), "
            "EXISTS (SELECT FROM pg_proc WHERE proowner = pg_roles.oid), "
            "EXISTS (SELECT FROM pg_namespace WHERE nspowner = pg_roles.oid) "
            "FROM pg_roles WHERE rolname IN (:app, :system) ORDER BY rolname",
            app=APP,
            system=SYSTEM,
        )
        nothing = [False] * 8
        assert [list(row) for row in found] == [[APP, *nothing], [SYSTEM, *nothing]]

    def test_can_become_the_platforms_role_only_and_inherits_nothing(self, owner: Engine) -> None:
        found = rows(
            owner,
            "SELECT roleid::regrole::text, inherit_option, set_option, admin_option FROM pg_auth_members "
            "WHERE member IN (to_regrole(:app), to_regrole(:system))",
            app=APP,
            system=SYSTEM,
        )
        assert [tuple(row) for row in found] == [(SYSTEM, False, True, False)]

    @pytest.mark.parametrize(
        "attempt",
        [
            "SET ROLE agora",
            "SET ROLE pg_read_all_data",
            "SET SESSION AUTHORIZATION agora",
            "ALTER ROLE agora_app SUPERUSER",
            "ALTER ROLE agora_app BYPASSRLS",
            "ALTER ROLE agora_system BYPASSRLS",
            "GRANT agora TO agora_app",
            "CREATE ROLE accomplice",
            "ALTER TABLE catalog.product DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE catalog.product NO FORCE ROW LEVEL SECURITY",
            "DROP POLICY tenant ON catalog.product",
            "CREATE POLICY everything ON catalog.product USING (true)",
            "TRUNCATE catalog.product",
            "DROP TABLE catalog.product",
            "CREATE TABLE public.loot (id int)",
            "CREATE TABLE catalog.loot (id int)",
            "CREATE SCHEMA loot",
            "CREATE OR REPLACE FUNCTION platform.tenant_id() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
            "COPY catalog.product TO PROGRAM 'cat'",
            "SELECT pg_read_file('/etc/passwd')",
            "SET session_replication_role = replica",
            "SELECT * FROM jobs.procrastinate_jobs",
            "UPDATE platform.event_log SET name = 'other'",
            "DELETE FROM platform.event_log",
        ],
    )
    async def test_cannot(self, login: asyncpg.Connection, attempt: str) -> None:
        assert await login.fetchval("SELECT session_user") == APP
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await login.execute(attempt)

    async def test_is_refused_rather_than_shown_all_when_it_switches_security_off(
        self, login: asyncpg.Connection
    ) -> None:
        async with login.transaction():
            await login.execute("SET LOCAL row_security = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await login.prepare("SELECT * FROM catalog.product")

    async def test_is_what_reads_and_changes_work_as(self, database: Database) -> None:
        tenant = uuid7()
        reads = database.reads(tenant)
        try:
            (read,) = await reads.text("SELECT current_user::text AS role")
        finally:
            await reads.close()
        async with database.session(tenant) as session:
            changed = await session.scalar(text("SELECT current_user::text"))
        assert (read["role"], changed) == (APP, APP)


Row = dict[str, Any]


class Scene:
    """A table with one row of each of two tenants, in a transaction that never commits."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self.connection = connection
        self.table = table
        self.name = table.fullname.replace(".", '."') + '"'
        self.mine, self.theirs = example(table, 1), example(table, 2)

    def prepare(self) -> None:
        """Insert both rows; neither keys to other tables nor checks of values are what is tested here."""
        self.connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        checks = self.connection.execute(
            text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name) AND contype = 'c'"),
            {"name": self.name},
        )
        for (check,) in checks.all():
            self.connection.exec_driver_sql(f'ALTER TABLE {self.name} DROP CONSTRAINT "{check}"')
        for row in (self.mine, self.theirs):
            self.insert(row)
        self.connection.exec_driver_sql("SET LOCAL session_replication_role = origin")

    def enter(self, tenant: UUID | None) -> None:
        self.connection.exec_driver_sql(f"SET LOCAL ROLE {APP}")
        self.connection.execute(text("SELECT set_config('app.tenant_id', :id, true)"), {"id": str(tenant or "")})

    def insert(self, row: Row) -> None:
        self.connection.execute(self.table.insert(), row)

    def visible(self) -> list[UUID]:
        found = self.connection.exec_driver_sql(f"SELECT tenant_id FROM {self.name}")
        return [each for (each,) in found if each in {self.mine["tenant_id"], self.theirs["tenant_id"]}]

    def attempt(self, statement: str, **parameters: Any) -> int | str:
        """Give how many rows a statement changed, or the SQLSTATE that it was refused with."""
        try:
            with self.connection.begin_nested():
                return self.connection.execute(text(statement.format(self.name)), parameters).rowcount
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", ""))


def example(table: Table, number: int) -> Row:
    """Make a row with some value in every column that needs one."""
    return {
        column.name: value_of(column.type, number)
        for column in table.columns
        if column.identity is None
        and column.computed is None
        and column.name != "transaction_id"
        and (not column.nullable or column.name == "tenant_id")
    }


def value_of(type_: Any, number: int) -> Any:
    values = {
        UUID: uuid7(),
        str: f"x{number}",
        int: number,
        bool: True,
        float: 1.0,
        bytes: bytes([number]),
        datetime: datetime(2026, 1, number, tzinfo=UTC),
        date: date(2026, 1, number),
        dict: {},
        list: [],
    }
    kind = getattr(type_, "impl_instance", type_).python_type
    return values.get(kind, number)


FORBIDDEN = "42501"


@pytest.fixture(scope="module")
def connection(owner: Engine) -> Iterator[Connection]:
    with owner.connect() as opened:
        yield opened


@pytest.fixture(params=OWNED)
def scene(request: pytest.FixtureRequest, connection: Connection) -> Iterator[Scene]:
    transaction = connection.begin()
    try:
        made = Scene(connection, metadata.tables[request.param])
        made.prepare()
        yield made
    finally:
        transaction.rollback()


class TestATenantsScope:
    """Each of these runs once per table that belongs to tenants."""

    def test_shows_its_own_rows_and_no_others(self, scene: Scene) -> None:
        scene.enter(scene.mine["tenant_id"])
        assert scene.visible() == [scene.mine["tenant_id"]]

    def test_shows_nothing_without_a_tenant(self, scene: Scene) -> None:
        scene.enter(None)
        assert scene.visible() == []

    def test_takes_no_row_for_another_tenant(self, scene: Scene) -> None:
        foreign = example(scene.table, 3) | {"tenant_id": scene.theirs["tenant_id"]}
        scene.enter(scene.mine["tenant_id"])
        with pytest.raises(DBAPIError) as refusal, scene.connection.begin_nested():
            scene.insert(foreign)
        assert refusal.value.orig.sqlstate == FORBIDDEN  # type: ignore[union-attr]

    def test_changes_no_row_of_another_tenant(self, scene: Scene) -> None:
        theirs, mine = scene.theirs["tenant_id"], scene.mine["tenant_id"]
        scene.enter(mine)
        assert scene.attempt("UPDATE {} SET tenant_id = tenant_id WHERE tenant_id = :id", id=theirs) in {0, FORBIDDEN}
        assert scene.attempt("UPDATE {} SET tenant_id = :to WHERE tenant_id = :id", id=mine, to=theirs) == FORBIDDEN
        assert scene.attempt("DELETE FROM {} WHERE tenant_id = :id", id=theirs) in {0, FORBIDDEN}
        scene.connection.exec_driver_sql("RESET ROLE")
        assert sorted(scene.visible()) == sorted([mine, theirs])
