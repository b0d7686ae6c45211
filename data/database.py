"""Connections: one read-only snapshot per operation, one transaction per change, every one bound to a tenant."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import Executable, Uuid, bindparam, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from data.bounding import BOUND, bounded
from data.direct import TENANT, begin
from data.kernel import PORTS, unstorable
from data.observed import fetch, traced, watch_engine
from data.outages import DATABASE, FAILURES, is_outage, reaching_the_database
from data.snapshots import BEGIN, Snapshots
from data.statements import Row, Statement, dynamic, of_tenant
from domain.kernel import Aggregate, Unavailable

T = TypeVar("T")
APP_ROLE = "agora_app"
SYSTEM_ROLE = "agora_system"
CHANGED = "changed_aggregates"
PERSON_KEYS = "person_keys"
_ENTER = "BEGIN; SELECT WHERE platform.enter($1, $2, $3)"
READ_POOL = 8
WRITE_POOL = 16


def asyncpg_url(url: str) -> str:
    """Give the plain `postgresql://` form that asyncpg reads."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def sqlalchemy_url(url: str) -> URL:
    """Give the form that SQLAlchemy's asyncpg dialect reads; a socket folder travels as `host`."""
    return make_url(url).set(drivername="postgresql+asyncpg")


async def _initialise(connection: asyncpg.Connection) -> None:
    # Whatever login DATABASE_URL names, the session works as the application's role, which owns nothing.
    await connection.execute(f"SET ROLE {APP_ROLE}")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_dumps, decoder=orjson.loads)


async def connected(url: str, name: str = "agora reads") -> asyncpg.Connection:
    """Make a connection that reads as the application does.

    Raises: asyncpg.PostgresError, OSError.
    """
    connection = await asyncpg.connect(
        asyncpg_url(url), record_class=Row, statement_cache_size=512, server_settings={"application_name": name}
    )
    try:
        await _initialise(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


class RecordingSession(Session):
    """A session that holds on to every aggregate it writes: flushed objects are forgotten otherwise, events and all.

    What is asked for by its id is looked for in the session's tenant, which is part of every key.
    """

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        """Give the object of an id."""
        if isinstance(ident, tuple) or [column.key for column in inspect(entity).primary_key] != ["id", TENANT]:
            return super().get(entity, ident, **options)
        if (tenant_id := self.info.get(TENANT)) is not None:
            return super().get(entity, (ident, tenant_id), **options)
        locked = options.get("with_for_update")
        wanted = select(entity).filter_by(id=ident)
        return self.scalars(wanted.with_for_update() if locked else wanted).one_or_none()


@event.listens_for(RecordingSession, "do_orm_execute")
def _bind_to_tenant(execution: ORMExecuteState) -> None:
    tenant_id = execution.session.info.get(TENANT)
    if tenant_id is None or execution.is_column_load:
        return
    statement: Any = execution.statement
    if execution.all_mappers:
        for mapper in execution.all_mappers:
            kind: Any = mapper.class_
            if TENANT not in mapper.columns:
                continue
            statement = statement.options(with_loader_criteria(kind, kind.tenant_id == tenant_id, include_aliases=True))
    elif execution.is_select or execution.is_update or execution.is_delete:
        statement = bounded(statement, bindparam(BOUND, tenant_id, type_=Uuid))
    execution.statement = statement


@event.listens_for(RecordingSession, "before_flush")
def _hold_changed(session: Session, _context: Any, _instances: Any) -> None:
    written = (*session.new, *session.dirty, *session.deleted)
    session.info.setdefault(CHANGED, {}).update((id(each), each) for each in written if isinstance(each, Aggregate))


def _dumps(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> str:
    # asyncpg reads ids as a subclass of its own, which orjson takes for something strange.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _refuse_ended(connection: Any, _record: Any, _proxy: Any) -> None:
    # After the server has been away every waiting connection is dead; the pool then makes new ones.
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


class Reads:
    """The reads of one operation: a read-only snapshot in one tenant, opened by the first statement.

    Every answer is therefore consistent in itself, across all contexts.
    """

    def __init__(self, snapshots: Snapshots, tenant_id: UUID | None, *, system: bool = False) -> None:
        self._snapshots = snapshots
        self._tenant_id = tenant_id
        self._system = system
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        # Without a tenant row-level security shows nothing at all, and the platform's role sees the rows of everybody.
        self._bound_tenant = None if tenant_id is None else UUID(str(tenant_id))
        self._ports: dict[type, Any] = {}
        self._ended = False
        self.statements = 0

    def port(self, port: type[T]) -> T:
        """Give the port's implementation, bound to this snapshot."""
        found = self._ports.get(port)
        if found is None:
            found = self._ports[port] = PORTS[port](self)
        return cast("T", found)

    async def rows(self, statement: Statement | Executable, **parameters: Any) -> list[Any]:
        """Run a select and give all its rows."""
        bound = self._bound_tenant
        text, arguments = (
            statement.bind(parameters, bound) if isinstance(statement, Statement) else dynamic(statement, bound)
        )
        return await self.text(text, *arguments)

    async def text(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a constant select that is written as SQL, with PostgreSQL's own numbered parameters; `= :tenant` is the operation's.

        Raises: Unavailable when the server cannot be reached.
        """
        statement, arguments = of_tenant(statement, arguments, self._bound_tenant)  # type: ignore[assignment]
        async with self._lock:
            connection = self._connection or await self._open()
            self.statements += 1
            try:
                rows = await fetch(connection, statement, arguments)
            except FAILURES as error:
                away = is_outage(error)
                if away:
                    # The driver notices a moment later than the server says so.
                    connection.terminate()
                # A failed statement spoils its transaction; what is read after it must not fail for that.
                await self._end()
                if away:
                    raise Unavailable(part=DATABASE) from error
                if refusal := unstorable(getattr(error, "sqlstate", None)):
                    raise refusal from error
                raise
            return rows

    async def row(self, statement: Statement | Executable, **parameters: Any) -> Any | None:
        """Run a select and give its first row."""
        rows = await self.rows(statement, **parameters)
        return rows[0] if rows else None

    async def by_key(
        self, statement: Statement, keys: Sequence[Any], key: str = "id", parameter: str = "keys", **more: Any
    ) -> list[Any | None]:
        """Run a select for many keys and give one row (or None) per key, in their order."""
        found = {row[key]: row for row in await self.rows(statement, **{parameter: list(keys)}, **more)}
        return [found.get(each) for each in keys]

    async def grouped(
        self, statement: Statement, keys: Sequence[Any], key: str, parameter: str = "keys", **more: Any
    ) -> list[list[Any]]:
        """Run a select for many keys and give the list of its rows per key, in their order."""
        groups: dict[Any, list[Any]] = {}
        for row in await self.rows(statement, **{parameter: list(keys)}, **more):
            groups.setdefault(row[key], []).append(row)
        return [groups.get(each, []) for each in keys]

    async def close(self) -> None:
        """End the snapshot; the next statement opens a new one."""
        async with self._lock:
            await self._end()

    async def end(self) -> None:
        """End the snapshot for good: what outlives its operation must not open another that nobody ends."""
        self._ended = True
        self._ports.clear()
        await self.close()

    async def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._snapshots.give_back(connection)

    async def _open(self) -> asyncpg.Connection:
        if self._ended:
            raise RuntimeError("the operation has ended")
        with traced(BEGIN), reaching_the_database():
            connection = self._connection = await self._snapshots.begin(self._scope())
        return connection

    def _scope(self) -> str:
        role = f"SET LOCAL ROLE {SYSTEM_ROLE};" if self._system else ""
        # A UUID prints as hexadecimal digits and dashes only, so it cannot escape the quotes.
        return f"{role}SET LOCAL app.tenant_id = '{UUID(str(self._tenant_id)) if self._tenant_id else ''}'"


class Database:
    """The two ways to PostgreSQL: raw asyncpg for reads, SQLAlchemy sessions for changes."""

    def __init__(
        self,
        url: str,
        *,
        read_pool: int = READ_POOL,
        write_pool: int = WRITE_POOL,
        linger_seconds: float | None = None,
        person_keys: Any = None,
    ) -> None:
        self.url = url
        self.person_keys = person_keys
        self._linger_seconds = linger_seconds
        self._read_pool_size = read_pool
        self._snapshots: Snapshots | None = None
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=write_pool,
            max_overflow=0,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args={"record_class": Row, "statement_cache_size": 512},
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_ended)
        watch_engine(self.engine)
        self.sessions = async_sessionmaker(
            self.engine,
            expire_on_commit=False,
            sync_session_class=RecordingSession,
            info={PERSON_KEYS: person_keys} if person_keys else None,
        )

    async def __aenter__(self) -> Self:
        self._snapshots = await Snapshots(self._connect, self._read_pool_size, self._linger_seconds).__aenter__()
        return self

    async def _connect(self) -> asyncpg.Connection:
        return await connected(self.url)

    async def __aexit__(self, *_: object) -> None:
        if self._snapshots is not None:
            await self._snapshots.__aexit__()
        await self.engine.dispose()

    @property
    def snapshots(self) -> Snapshots:
        if self._snapshots is None:
            raise RuntimeError("the database is used before it was opened")
        return self._snapshots

    def reads(self, tenant_id: UUID | None) -> Reads:
        """Give one operation its reads; without a tenant they see nothing that belongs to one."""
        return Reads(self.snapshots, tenant_id)

    def system_reads(self) -> Reads:
        """Give reads across all tenants, for the platform's own work."""
        return Reads(self.snapshots, None, system=True)

    @asynccontextmanager
    async def session(
        self, tenant_id: UUID | None, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """Give a session in a transaction of one tenant (or of the platform: None); it commits at the end."""
        async with self.sessions() as session, session.begin():
            await enter(session, tenant_id, settings or {})
            yield session


async def enter(session: AsyncSession, tenant_id: UUID | None, settings: Mapping[str, str]) -> bool:
    """Begin the transaction and bind it to a tenant, in one round trip; says whether the tenant may be changed."""
    session.info[TENANT] = tenant_id
    role = APP_ROLE if tenant_id else SYSTEM_ROLE
    tenant = f"'{UUID(str(tenant_id))}'" if tenant_id else "NULL"
    user, correlation = (_literal(settings.get(name, "")) for name in ("user_id", "correlation_id"))
    # What was selected is not to be had of a simple query, only how many rows it was.
    bound = f"SET LOCAL ROLE {role};SELECT WHERE platform.enter({tenant}, {user}, {correlation})"
    with traced(_ENTER):
        return await begin(session, bound) == "SELECT 1"


def _literal(text: str) -> str:
    # As hexadecimal digits it cannot escape the quotes, however they are read.
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')" if text else "''"
