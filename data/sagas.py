"""Sagas in PostgreSQL: their rows, and who runs which."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    case,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database, Reads
from data.direct import direct
from data.kernel import TENANT_OWNED, Choice, implements, metadata, timestamp
from data.paging import Listing, equals
from data.statements import Statement
from data.writes import later
from domain.paging import Page, PageRequest
from domain.sagas import HOLD, Saga, SagaReads, Sagas, SagaState

saga = Table(
    "saga",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("user_id", Uuid),
    Column("correlation_id", Text, nullable=False),
    Column("state", Choice(SagaState), nullable=False),
    Column("step", Integer, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("refusal", JSONB(none_as_null=True)),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    timestamp("due_at"),
    timestamp("deadline"),
    timestamp("started_at"),
    timestamp("updated_at", server_default=func.now(), onupdate=func.now()),
    UniqueConstraint("tenant_id", "kind", "key"),
    Index("ix_saga_due_at", "due_at", postgresql_where="state IN ('running', 'waiting', 'compensating')"),
    schema="platform",
    info={TENANT_OWNED: True},
)
_FIELDS = [column.name for column in saga.c if column.name != "updated_at"]


def _saga(row: Any) -> Saga:
    return Saga(**{name: getattr(row, name) for name in _FIELDS})


_JSON = frozenset({"data", "refusal"})
_BEGIN = f"""
INSERT INTO platform.saga ({", ".join(_FIELDS)}) VALUES ({", ".join(f"${place}" for place in range(1, len(_FIELDS) + 1))})
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 — made of our own columns only.

_NOTE = "UPDATE platform.saga SET step = $2, data = $3, updated_at = now() WHERE id = $1 AND tenant_id = :tenant"


@cache
def _moving(*names: str) -> str:
    new = ", ".join(f"{name} = ${place}" for place, name in enumerate(names, start=4))
    return f"UPDATE platform.saga SET {new}, updated_at = now() WHERE id = $1 AND tenant_id = :tenant AND step = $2 AND state = $3 RETURNING id"  # noqa: S608 — see above.


def _given(values: Mapping[str, Any]) -> list[Any]:
    return [
        orjson.dumps(value, default=str).decode() if name in _JSON and value is not None else value
        for name, value in values.items()
    ]


@implements(Sagas)
class SqlSagas:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(self, of: Saga) -> Saga | None:
        if await direct(self._session, _BEGIN, *_given({name: getattr(of, name) for name in _FIELDS})):
            return None
        earlier = select(saga).filter_by(tenant_id=of.tenant_id, kind=of.kind, key=of.key)
        return _saga((await self._session.execute(earlier)).one())

    async def find(self, saga_id: UUID) -> Saga | None:
        found = (await self._session.execute(select(saga).where(saga.c.id == saga_id))).first()
        return None if found is None else _saga(found)

    async def move(self, of: Saga, *, step: int | None = None, state: SagaState | None = None, **more: Any) -> bool:
        new = {"step": of.step if step is None else step, "state": state or of.state, **more}
        if not await direct(self._session, _moving(*new), of.id, of.step, of.state, *_given(new)):
            return False
        for name, value in new.items():
            setattr(of, name, value)
        return True

    async def wake(self, saga_id: UUID, now: datetime) -> bool:
        ahead = saga.c.state.in_([SagaState.RUNNING, SagaState.WAITING, SagaState.COMPENSATING])
        due = case((saga.c.state == SagaState.WAITING, now), else_=saga.c.due_at)
        woken = saga.update().where(saga.c.id == saga_id, ahead).values(due_at=due).returning(saga.c.id)
        return (await self._session.execute(woken)).first() is not None

    async def retry(self, saga_id: UUID, now: datetime) -> Saga | None:
        stuck = (saga.c.id == saga_id, saga.c.state == SagaState.STUCK)
        again = {
            "state": case((saga.c.refusal.is_(None), SagaState.RUNNING.value), else_=SagaState.COMPENSATING.value),
            "attempts": 0,
            "due_at": now,
        }
        found = (await self._session.execute(saga.update().where(*stuck).values(again).returning(saga))).first()
        return None if found is None else _saga(found)

    async def note(self, of: Saga) -> None:
        later(self._session, _NOTE, of.id, *_given({"step": of.step, "data": of.data}))


class SagaHolds:
    """Says who runs a saga: whoever holds it, until it has been silent for too long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_due(self, now: datetime, most: int) -> list[Saga]:
        """Take up sagas of all tenants that nobody runs any more, or whose instant has come."""
        due = (
            select(saga.c.id)
            .where(
                saga.c.state.in_([SagaState.RUNNING, SagaState.WAITING, SagaState.COMPENSATING]), saga.c.due_at <= now
            )
            .order_by(saga.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        taken = (
            saga.update()
            .where(saga.c.id.in_(due))
            .values(due_at=now + HOLD, attempts=saga.c.attempts + 1)
            .returning(saga)
        )
        async with self._database.session(None) as session:
            return [_saga(row) for row in await session.execute(taken)]

    async def put_off(self, of: Saga, until: datetime, error: str) -> None:
        """Let go of a saga that could not be brought further, to be taken up again at an instant."""
        async with self._database.session(None) as session:
            values = {"due_at": until, "error": error[:2_000]}
            await session.execute(saga.update().where(saga.c.id == of.id).values(values))

    async def give_up(self, of: Saga, error: str) -> None:
        """Leave a saga to a person, unless somebody has brought it further meanwhile."""
        known = (saga.c.id == of.id, saga.c.step == of.step, saga.c.state == of.state)
        async with self._database.session(None) as session:
            values = {"state": SagaState.STUCK, "error": error[:2_000]}
            await session.execute(saga.update().where(*known).values(values))


_BY_ID = Statement(select(saga).where(saga.c.id == func.any(bindparam("keys", type_=ARRAY(Uuid)))))
_SAGAS = Listing(select(saga), [saga.c.id.desc()], **equals(saga.c.kind, saga.c.state))


@implements(SagaReads)
class SqlSagaReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def sagas(self, kind: str | None, state: SagaState | None, page: PageRequest) -> Page[Any]:
        return await _SAGAS.page(self._reads, page, kind=kind, state=state)
