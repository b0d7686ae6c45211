"""What people asked about their data: exports and erasures."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Text, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.kernel import Choice, implements, json_column, map_aggregate, refuses, tenant_table, timestamp
from data.paging import Listing
from data.statements import Statement
from domain.identity.privacy import (
    DataExport,
    DataExports,
    Erasure,
    Erasures,
    ErasureState,
    ExportState,
    PrivacyReads,
)
from domain.kernel import AlreadyExists
from domain.paging import Page, PageRequest

_PENDING = (ErasureState.SCHEDULED, ErasureState.RUNNING)

data_export = tenant_table(
    "identity",
    "data_export",
    Column("user_id", Uuid, nullable=False),
    Column("requested_by", Uuid, nullable=False),
    Column("reason", Text),
    Column("state", Choice(ExportState), nullable=False),
    Column("size_bytes", BigInteger),
    timestamp("requested_at"),
    timestamp("ready_at", nullable=True),
    timestamp("expires_at", nullable=True),
    Index("ix_data_export_user_id", "tenant_id", "user_id", "id"),
)

erasure = tenant_table(
    "identity",
    "erasure",
    Column("user_id", Uuid, nullable=False),
    Column("requested_by", Uuid, nullable=False),
    Column("reason", Text),
    Column("state", Choice(ErasureState), nullable=False),
    json_column("done"),
    timestamp("requested_at"),
    timestamp("due_at"),
    timestamp("completed_at", nullable=True),
    Index("ix_erasure_user_id", "tenant_id", "user_id", "id"),
    Index(
        "uq_erasure_pending",
        "tenant_id",
        "user_id",
        unique=True,
        postgresql_where="state IN ('scheduled', 'running')",
    ),
)

map_aggregate(DataExport, data_export)
map_aggregate(Erasure, erasure)

refuses("uq_erasure_pending", lambda _: AlreadyExists(kind="Erasure", value="of this person"))

_USER = bindparam("user_id", type_=PG_UUID)
_EXPORTS = Statement(select(data_export).where(data_export.c.user_id == _USER).order_by(data_export.c.id.desc()))
_ERASURE = Statement(select(erasure).where(erasure.c.user_id == _USER).order_by(erasure.c.id.desc()).limit(1))
_ERASURES = Listing(select(erasure), [erasure.c.id.desc()])


@implements(DataExports)
class SqlDataExports:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, export_id: UUID) -> DataExport | None:
        wanted = select(DataExport).where(data_export.c.id == export_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    def add(self, export: DataExport) -> None:
        self._session.add(export)


@implements(Erasures)
class SqlErasures:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, erasure_id: UUID) -> Erasure | None:
        wanted = select(Erasure).where(erasure.c.id == erasure_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def pending(self, user_id: UUID) -> Erasure | None:
        wanted = select(Erasure).where(erasure.c.user_id == user_id, erasure.c.state.in_(_PENDING))
        return (await self._session.scalars(wanted)).one_or_none()

    def add(self, erasure: Erasure) -> None:
        self._session.add(erasure)


@implements(PrivacyReads)
class SqlPrivacyReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def exports(self, user_id: UUID) -> Sequence[Any]:
        return await self._reads.rows(_EXPORTS, user_id=user_id)

    async def erasure(self, user_id: UUID) -> Any | None:
        return await self._reads.row(_ERASURE, user_id=user_id)

    async def erasures(self, page: PageRequest) -> Page[Any]:
        return await _ERASURES.page(self._reads, page)
