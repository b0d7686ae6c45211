"""What is read of live sessions, in batches and in pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Uuid, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.kernel import implements
from data.live.tables import chat_message, chatter, session, studio, studio_booking
from data.paging import Listing, equals
from data.statements import Statement
from domain.live import LiveReads, LiveSessionFilter, LiveSessionStatus
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_INSTANT = DateTime(timezone=True)
_BY_ID = Statement(select(session).where(session.c.id == func.any(_IDS)))
_SESSIONS = Listing(
    select(session),
    [session.c.scheduled_for.desc(), session.c.id.desc()],
    **equals(session.c.status, session.c.host_id),
)
_STUDIOS_BY_ID = Statement(select(studio).where(studio.c.id == func.any(_IDS)))
_STUDIOS = Listing(select(studio), [studio.c.name, studio.c.id])
_ALL_STUDIOS = Statement(select(studio).order_by(studio.c.name))
_span = func.tstzrange(bindparam("since", type_=_INSTANT), bindparam("until", type_=_INSTANT))
_BOOKINGS = Statement(
    select(studio_booking)
    .where(
        studio_booking.c.studio_id == func.any(_IDS),
        func.tstzrange(studio_booking.c.starts_at, studio_booking.c.ends_at).op("&&")(_span),
    )
    .order_by(studio_booking.c.starts_at)
)
_CHAT = Listing(
    select(chat_message).where(chat_message.c.session_id == bindparam("session_id", type_=Uuid)),
    [chat_message.c.id.desc()],
)
_BANNED = Statement(
    select(chatter.c.user_id).where(
        chatter.c.session_id == bindparam("session_id", type_=Uuid),
        chatter.c.user_id == bindparam("user_id", type_=Uuid),
        chatter.c.banned_at.is_not(None),
    )
)
_preparation = bindparam("preparation_id", type_=Uuid)
_OPEN = Statement(
    select(session.c.id).where(
        session.c.id == bindparam("session_id", type_=Uuid),
        or_(session.c.status == LiveSessionStatus.READY, session.c.status == LiveSessionStatus.LIVE),
        or_(_preparation.is_(None), session.c.preparation_id == _preparation),
    )
)
_FIGURES = """
SELECT (SELECT count(*) FROM live.attendance WHERE session_id = $1 AND tenant_id = :tenant)::int AS unique_viewers,
       coalesce(room.peak_viewers, 0) AS peak_viewers,
       coalesce(room.reactions, '{}'::jsonb) AS reactions,
       (SELECT count(*) FROM live.chat_message WHERE session_id = $1 AND tenant_id = :tenant)::int AS chat_messages,
       (SELECT count(DISTINCT buyer) FROM live.purchase WHERE session_id = $1 AND tenant_id = :tenant AND counts)::int AS buyers
FROM (SELECT $1::uuid AS session_id) AS asked
LEFT JOIN live.room ON room.session_id = asked.session_id AND room.tenant_id = :tenant
"""
_SOLD = """
SELECT line.product_id, line.sku, sum(line.quantity)::int AS units, sum(line.total_minor)::bigint AS revenue_minor,
       purchase.currency
FROM live.purchase, jsonb_to_recordset(products) AS line (product_id uuid, sku text, quantity integer, total_minor bigint)
WHERE purchase.session_id = $1 AND purchase.tenant_id = :tenant AND purchase.counts
GROUP BY line.product_id, line.sku, purchase.currency ORDER BY revenue_minor DESC, line.sku
"""


@implements(LiveReads)
class SqlLiveReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def listed(self, wanted: LiveSessionFilter, page: PageRequest) -> Page[Any]:
        return await _SESSIONS.page(self._reads, page, status=wanted.status, host_id=wanted.host_id)

    async def studios_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_STUDIOS_BY_ID, ids)

    async def studios(self, page: PageRequest) -> Page[Any]:
        return await _STUDIOS.page(self._reads, page)

    async def all_studios(self) -> Sequence[Any]:
        return await self._reads.rows(_ALL_STUDIOS)

    async def bookings(self, studio_ids: Sequence[UUID], since: datetime, until: datetime) -> list[list[Any]]:
        return await self._reads.grouped(_BOOKINGS, studio_ids, "studio_id", since=since, until=until)

    async def chat(self, session_id: UUID, page: PageRequest) -> Page[Any]:
        return await _CHAT.page(self._reads, page, session_id=session_id)

    async def is_banned(self, session_id: UUID, user_id: UUID) -> bool:
        return await self._reads.row(_BANNED, session_id=session_id, user_id=user_id) is not None

    async def figures(self, session_id: UUID) -> Any:
        (row,) = await self._reads.text(_FIGURES, session_id)
        return row

    async def sold(self, session_id: UUID) -> Sequence[Any]:
        return await self._reads.text(_SOLD, session_id)

    async def stream_is_open(self, session_id: UUID, preparation_id: UUID | None) -> bool:
        return await self._reads.row(_OPEN, session_id=session_id, preparation_id=preparation_id) is not None
