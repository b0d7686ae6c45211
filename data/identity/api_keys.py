"""API keys in PostgreSQL: for change, in lists, at the door, and when they were used last."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy import DateTime, Text, Uuid, bindparam, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database, Reads
from data.identity.tables import api_key, role, role_assignment, user
from data.kernel import implements
from data.paging import Listing, equals
from data.statements import Statement
from domain.identity.api_keys import ApiKey, ApiKeyReads, ApiKeys
from domain.paging import Page, PageRequest

log = structlog.get_logger("agora.auth")

USED_EVERY = timedelta(minutes=1)
FLUSH_SECONDS = 2.0
WRITE_SECONDS = 2.0
MAX_NOTED = 10_000

_SHOWN = [column for column in api_key.c if column not in {api_key.c.secret_hash, api_key.c.previous_hash}]
_key = select(*_SHOWN)
_OF_USERS = Statement(
    _key.where(api_key.c.user_id == func.any(bindparam("keys", type_=ARRAY(Uuid)))).order_by(api_key.c.id.desc())
)


def _works(now: Any) -> Any:
    return api_key.c.revoked_at.is_(None) & or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now)


_LISTED = Listing(
    _key,
    [api_key.c.id.desc()],
    **equals(api_key.c.user_id),
    working_at=_works(bindparam("working_at", type_=DateTime(timezone=True))),
)
_held = role_assignment.c.user_id == user.c.id
_roles = select(func.array_agg(role_assignment.c.role)).where(_held).correlate(user).scalar_subquery()
_stores = (
    select(func.array_agg(role_assignment.c.store_id))
    .where(_held, role_assignment.c.store_id.is_not(None))
    .correlate(user)
    .scalar_subquery()
)
_defined = (
    select(func.string_agg(func.array_to_string(role.c.permissions, " "), " "))
    .where(
        role.c.tenant_id == user.c.tenant_id,
        role.c.name.in_(select(role_assignment.c.role).where(_held).correlate(user)),
    )
    .correlate(user)
    .scalar_subquery()
)
_PRESENTED = Statement(
    select(
        api_key,
        user.c.status.label("user_status"),
        func.coalesce(_roles, literal([], ARRAY(Text))).label("user_roles"),
        func.coalesce(_stores, literal([], ARRAY(Uuid))).label("user_stores"),
        func.coalesce(_defined, "").label("defined_permissions"),
    )
    .join(user, user.c.id == api_key.c.user_id)
    .where(api_key.c.id == func.any(bindparam("keys", type_=ARRAY(Uuid))))
)


@implements(ApiKeys)
class SqlApiKeys:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, key_id: UUID) -> ApiKey | None:
        wanted = select(ApiKey).where(api_key.c.id == key_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def count_working(self, user_id: UUID, now: datetime) -> int:
        wanted = select(func.count()).select_from(api_key).where(api_key.c.user_id == user_id, _works(now))
        return int(await self._session.scalar(wanted) or 0)

    def add(self, key: ApiKey) -> None:
        self._session.add(key)


@implements(ApiKeyReads)
class SqlApiKeyReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_users(self, user_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_OF_USERS, user_ids, "user_id")

    async def listed(self, user_id: UUID | None, working_at: datetime | None, page: PageRequest) -> Page[Any]:
        return await _LISTED.page(self._reads, page, user_id=user_id, working_at=working_at)

    async def presented(self, key_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_PRESENTED, key_ids)


class KeyUses:
    """Notes when keys are used, and writes that aside: at most once a minute for a key, by however many processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[UUID, datetime] = {}
        self._written: dict[UUID, datetime] = {}
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

    def note(self, key_id: UUID) -> None:
        """Remember that a key was used now, unless it was written within the last minute."""
        now = datetime.now(UTC)
        written = self._written.get(key_id)
        if (written is None or now - written >= USED_EVERY) and len(self._noted) < MAX_NOTED:
            self._noted[key_id] = now

    async def flush(self) -> None:
        """Write what was noted, within two seconds or not at all."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        now = max(noted.values())
        self._written = {each: at for each, at in self._written.items() if now - at < USED_EVERY} | noted
        try:
            async with asyncio.timeout(WRITE_SECONDS), self._database.session(None) as session:
                # The keys of all tenants go in one statement, which only the platform's role may write. The lock is
                # waited for in the order of the ids, so that two processes never wait for each other.
                due = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at <= now - USED_EVERY)
                rows = select(api_key.c.id).where(api_key.c.id.in_(sorted(noted)), due)
                locked = rows.order_by(api_key.c.id).with_for_update()
                used = update(api_key).where(api_key.c.id.in_(locked)).values(last_used_at=now)
                await session.execute(used.execution_options(synchronize_session=False))
        except Exception as error:  # noqa: BLE001 — whatever ails the database, requests go on without this note.
            log.warning("api_keys.use_unwritten", keys=len(noted), reason=repr(error)[:200])

    async def _write_until_stopped(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            await self.flush()
