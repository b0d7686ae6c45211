"""Idempotency keys: the same request again gets the stored answer, another request under the same key is refused."""

from typing import Any

import orjson
from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import TENANT_OWNED, metadata, timestamp
from data.writes import later
from domain.codec import fingerprint, from_json, to_json
from domain.kernel import IdempotencyKeyReused, Work

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("answer", JSONB),
    timestamp("created_at", server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "user_id", "key"),
    schema="platform",
    info={TENANT_OWNED: True},
)

_STORE = "UPDATE platform.idempotency_key SET answer = $4 WHERE tenant_id = $1 AND user_id = $2 AND key = $3"


class Claim:
    """One key in one transaction. A second request waits here until the first has committed or rolled back."""

    def __init__(self, session: AsyncSession, key: str, operation: str, command: Any, work: Work) -> None:
        self._session = session
        self._key = key
        self._row = {
            "tenant_id": work.tenant_id,
            "user_id": work.actor.user_id or work.tenant_id,
            "key": key,
        }
        self._request = {"operation": operation, "request_hash": fingerprint(command)}

    async def stored(self, kind: Any) -> tuple[bool, Any]:
        """Claim the key, or give the answer stored under it: `(found, answer)`.

        Raises: IdempotencyKeyReused.
        """
        statement = insert(idempotency_key).values(**self._row, **self._request)
        claimed = await self._session.execute(statement.on_conflict_do_nothing().returning(idempotency_key.c.key))
        if claimed.first() is not None:
            return False, None
        earlier = (await self._session.execute(select(idempotency_key).filter_by(**self._row))).one()
        if any(getattr(earlier, name) != value for name, value in self._request.items()):
            raise IdempotencyKeyReused(key=self._key)
        return True, None if earlier.answer is None else from_json(earlier.answer, kind)

    def store(self, answer: Any) -> None:
        """Keep the answer, in the transaction that it answers for."""
        later(self._session, _STORE, *self._row.values(), orjson.dumps(to_json(answer), default=str).decode())
