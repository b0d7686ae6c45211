"""Live sessions for change: studios, sessions, chat and purchases."""

from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.event_log import append
from data.kernel import implements
from data.live.tables import session as session_table
from data.live.tables import studio as studio_table
from domain.codec import from_json, to_json
from domain.kernel import Work
from domain.live import (
    Chatter,
    LiveChat,
    LiveChatMessage,
    LivePurchase,
    LivePurchases,
    LiveSession,
    LiveSessions,
    LiveSessionStatus,
    SoldProduct,
    Studio,
    StudioBooking,
    Studios,
)

# An exclusion constraint is a conflict like any other: who comes second waits for the first, and then notes nothing.
_BOOK = """
INSERT INTO live.studio_booking (id, tenant_id, studio_id, session_id, starts_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING 1
"""
_FREE = "UPDATE live.studio_booking SET ends_at = greatest(starts_at, $2) WHERE id = $1 AND tenant_id = :tenant AND ends_at > $2"
_ENTER = """
WITH here AS (SELECT id, tenant_id, host_id, status FROM live.session WHERE id = $1 AND tenant_id = :tenant),
entered AS (
  INSERT INTO live.chatter AS c (tenant_id, session_id, user_id) SELECT tenant_id, id, $2 FROM here
  ON CONFLICT (tenant_id, session_id, user_id) DO UPDATE SET user_id = excluded.user_id
  RETURNING c.name, c.banned_at, c.sent)
SELECT here.host_id, here.status, entered.name, entered.banned_at, entered.sent FROM here, entered
"""
_POST = """
WITH noted AS (
  UPDATE live.chatter SET name = $7, sent = $10 WHERE tenant_id = $2 AND session_id = $4 AND user_id = $5)
INSERT INTO live.chat_message (id, tenant_id, version, session_id, author_id, is_host, author_name, body, sent_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_BAN = """
INSERT INTO live.chatter AS c (tenant_id, session_id, user_id, banned_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, session_id, user_id) DO UPDATE SET banned_at = excluded.banned_at
WHERE c.banned_at IS NULL RETURNING 1
"""
_PURCHASE = """
SELECT tenant_id, session_id, buyer, currency, counted_minor, counts, products
FROM live.purchase WHERE order_id = $1 AND tenant_id = :tenant
"""
_KEEP = """
INSERT INTO live.purchase (order_id, tenant_id, session_id, buyer, currency, counted_minor, counts, products)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)
ON CONFLICT (tenant_id, order_id) DO UPDATE SET counted_minor = excluded.counted_minor, counts = excluded.counts
"""


@implements(Studios)
class SqlStudios:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, studio: Studio) -> None:
        self._session.add(studio)

    async def exists(self, studio_id: UUID) -> bool:
        found = select(studio_table.c.id).where(studio_table.c.id == studio_id)
        return (await self._session.execute(found)).first() is not None

    async def book(self, booking: StudioBooking) -> bool:
        values = (booking.id, booking.tenant_id, booking.studio_id, booking.session_id)
        return bool(await direct(self._session, _BOOK, *values, booking.starts_at, booking.ends_at))

    async def free(self, booking_id: UUID, now: datetime) -> None:
        await direct(self._session, _FREE, booking_id, now)


@implements(LiveSessions)
class SqlLiveSessions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, session: LiveSession) -> None:
        self._session.add(session)

    async def lock(self, session_id: UUID) -> LiveSession | None:
        return await self._session.get(LiveSession, session_id, with_for_update=True)

    async def of_sale(self, flash_sale_id: UUID) -> LiveSession | None:
        wanted = select(LiveSession).where(session_table.c.flash_sale_id == flash_sale_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()


@implements(LiveChat)
class SqlLiveChat:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enter(self, session_id: UUID, user_id: UUID) -> Chatter | None:
        rows = await direct(self._session, _ENTER, session_id, user_id)
        if not rows:
            return None
        (row,) = rows
        return Chatter(
            session_id=session_id,
            user_id=user_id,
            host_id=row["host_id"],
            status=LiveSessionStatus(row["status"]),
            name=row["name"],
            banned_at=row["banned_at"],
            sent=tuple(row["sent"]),
        )

    async def post(self, message: LiveChatMessage, chatter: Chatter, work: Work) -> None:
        written = (message.id, message.tenant_id, message.version, message.session_id, message.author_id)
        said = (message.is_host, message.author_name, message.body, message.sent_at)
        await direct(self._session, _POST, *written, *said, list(chatter.sent))
        append(self._session, [message], work)

    async def ban(self, session: LiveSession, user_id: UUID, work: Work) -> bool:
        return bool(await direct(self._session, _BAN, session.tenant_id, session.id, user_id, work.now))


@implements(LivePurchases)
class SqlLivePurchases:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_order(self, order_id: UUID) -> LivePurchase | None:
        rows = await direct(self._session, _PURCHASE, order_id)
        if not rows:
            return None
        products = from_json(rows[0]["products"], list[SoldProduct])
        return LivePurchase(**{**rows[0], "products": products}, order_id=order_id)

    async def keep(self, purchase: LivePurchase) -> None:
        whose = (purchase.order_id, purchase.tenant_id, purchase.session_id, purchase.buyer, purchase.currency)
        products = orjson.dumps(to_json(list(purchase.products))).decode()
        await direct(self._session, _KEEP, *whose, purchase.counted_minor, purchase.counts, products)
