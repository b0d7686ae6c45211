"""What every message runs: locked by one statement, written by another, and nothing of it through the ORM."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import CHANGED
from data.direct import direct
from data.kernel import Choice, implements
from data.messaging.tables import SHOWN
from data.messaging.tables import conversation as conversation_table
from data.messaging.tables import message as message_table
from domain.messaging import Conversation, Correspondent, Exchange, Known, Message, MessageState, Place

_UNMAPPED = frozenset({"created_at", "updated_at"})


def _names(table: Table) -> tuple[str, ...]:
    # orjson takes plain texts for keys only, and SQLAlchemy's names are more than that.
    return tuple(f"{column.name}" for column in table.c if column.name not in _UNMAPPED)


def _choices(table: Table) -> Mapping[str, Any]:
    return {f"{column.name}": column.type.choices for column in table.c if isinstance(column.type, Choice)}


_CONVERSATION, _MESSAGE = _names(conversation_table), _names(message_table)
_CHOICES = {Conversation: _choices(conversation_table), Message: _choices(message_table)}

# The sender's row first, the conversation's second, always: what is locked in one order never waits in a circle.
_OPEN = f"""
SELECT {", ".join(f"c.{name}" for name in _CONVERSATION)}, s.recent
FROM messaging.correspondent s CROSS JOIN messaging.conversation c
WHERE s.user_id = $2 AND s.tenant_id = :tenant AND c.id = $1 AND c.tenant_id = :tenant FOR UPDATE OF s, c
"""  # noqa: S608 — made of our own columns only.
_KNOWN = f"""
SELECT {", ".join(f"m.{name}" for name in _MESSAGE)},
  EXISTS (SELECT FROM messaging.block WHERE blocked_id = $1 AND tenant_id = :tenant AND blocker_id = ANY($3)) AS is_blocked
FROM (VALUES (1)) AS one LEFT JOIN messaging.message m ON m.tenant_id = :tenant
  AND m.sender_id = $1 AND m.client_id = $2
"""  # noqa: S608 — see above.
_SAY = f"""
WITH said AS (
  INSERT INTO messaging.message ({", ".join(_MESSAGE)})
  SELECT {", ".join(_MESSAGE)} FROM jsonb_populate_record(NULL::messaging.message, $1::text::jsonb)
), counted AS (
  UPDATE messaging.correspondent SET recent = $2::text::jsonb WHERE user_id = $3 AND tenant_id = :tenant
), talked AS (
  UPDATE messaging.conversation SET version = $5, state = $6, last_position = $7, last_message_id = $8,
    last_message_at = $9, updated_at = now()
  WHERE id = $4 AND tenant_id = :tenant
)
UPDATE messaging.inbox_entry SET last_message_at = $9,
  unread_count = unread_count + CASE WHEN user_id = $3 THEN 0 ELSE 1 END
WHERE conversation_id = $4 AND tenant_id = :tenant AND $10
"""  # noqa: S608 — see above.
_OPEN_AT = f"""
SELECT {", ".join(f"c.{name}" for name in _CONVERSATION)}
FROM messaging.conversation c WHERE c.id = $1 AND c.tenant_id = :tenant FOR UPDATE
"""  # noqa: S608 — see above.
# What others may change is read when the lock is held.
_REACHED = f"""
SELECT {", ".join(f"m.{name}" for name in _MESSAGE)}, e.delivered_position, e.read_position
FROM messaging.inbox_entry e LEFT JOIN messaging.message m ON m.tenant_id = :tenant AND m.id = $2 AND m.conversation_id = e.conversation_id
WHERE e.conversation_id = $1 AND e.tenant_id = :tenant AND e.user_id = $3
"""  # noqa: S608 — see above.
_DELIVERED = f"""
WITH talked AS (UPDATE messaging.conversation SET version = $5 WHERE id = $1 AND tenant_id = :tenant), arrived AS (
  UPDATE messaging.message SET state = 'delivered', delivered_at = $4
  WHERE conversation_id = $1 AND tenant_id = :tenant AND position <= $3 AND position > $7 AND side <> $6 AND state = 'sent' AND {SHOWN.text}
)
UPDATE messaging.inbox_entry SET delivered_position = $3 WHERE conversation_id = $1 AND tenant_id = :tenant AND user_id = $2
"""  # noqa: S608 — see above.
_READ = f"""
WITH talked AS (UPDATE messaging.conversation SET version = $5 WHERE id = $1 AND tenant_id = :tenant), seen AS (
  UPDATE messaging.message SET state = 'read', read_at = $4, delivered_at = coalesce(delivered_at, $4)
  WHERE conversation_id = $1 AND tenant_id = :tenant AND position <= $3 AND position > $7 AND side <> $6 AND state IN ('sent', 'delivered')
    AND {SHOWN.text}
)
UPDATE messaging.inbox_entry SET read_position = $3, delivered_position = greatest(delivered_position, $3),
  unread_count = (SELECT count(*) FROM messaging.message
    WHERE conversation_id = $1 AND tenant_id = :tenant AND position > $3 AND sender_id <> $2 AND {SHOWN.text})
WHERE conversation_id = $1 AND tenant_id = :tenant AND user_id = $2
"""  # noqa: S608 — see above.
_MARKS = {MessageState.DELIVERED: _DELIVERED, MessageState.READ: _READ}


@implements(Exchange)
class SqlExchange:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def open(self, conversation_id: UUID, sender_id: UUID) -> tuple[Conversation, Correspondent] | None:
        rows = await direct(self._session, _OPEN, conversation_id, sender_id)
        if not rows:
            return None
        found = self._tracked(rows[0])
        return found, Correspondent(tenant_id=found.tenant_id, user_id=sender_id, recent=rows[0]["recent"])

    async def known(self, sender_id: UUID, client_id: str, participants: Sequence[UUID]) -> Known:
        (row,) = await direct(self._session, _KNOWN, sender_id, client_id, participants)
        said = None if row["id"] is None else _made(Message, row, _MESSAGE)
        return Known(message=said, is_blocked=row["is_blocked"])

    async def say(self, conversation: Conversation, message: Message, sender: Correspondent) -> None:
        await direct(
            self._session,
            _SAY,
            orjson.dumps({name: getattr(message, name) for name in _MESSAGE}, default=str).decode(),
            orjson.dumps(sender.recent).decode(),
            sender.user_id,
            conversation.id,
            conversation.version,
            conversation.state,
            conversation.last_position,
            conversation.last_message_id,
            conversation.last_message_at,
            message.is_seen,
        )

    async def open_at(self, conversation_id: UUID, message_id: UUID, user_id: UUID) -> Place | None:
        rows = await direct(self._session, _OPEN_AT, conversation_id)
        reached = await direct(self._session, _REACHED, conversation_id, message_id, user_id) if rows else ()
        if not reached:
            return None
        (row,) = reached
        return Place(
            conversation=self._tracked(rows[0]),
            message=None if row["id"] is None else _made(Message, row, _MESSAGE),
            delivered=row["delivered_position"],
            read=row["read_position"],
        )

    async def mark(self, place: Place, message: Message, state: MessageState, user_id: UUID, now: datetime) -> None:
        conversation = place.conversation
        await direct(
            self._session,
            _MARKS[state],
            conversation.id,
            user_id,
            message.position,
            now,
            conversation.version,
            conversation.side_of(user_id),
            place.reached(state),
        )

    def _tracked(self, row: Any) -> Conversation:
        """Build the conversation, and have its events saved though the ORM knows nothing of it."""
        found: Conversation = _made(Conversation, row, _CONVERSATION)
        self._session.info.setdefault(CHANGED, {})[id(found)] = found
        return found


def _made(kind: Any, row: Any, names: Sequence[str]) -> Any:
    values = {name: row[name] for name in names}
    for name, choices in _CHOICES[kind].items():
        values[name] = choices(values[name])
    return kind(**values)
