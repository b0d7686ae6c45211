"""Finds, gives and erases what all contexts hold about one person, as they have declared it; the platform's own too."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import APP_ROLE, SYSTEM_ROLE, Database
from data.dead_letters import dead_letter, event_retry
from data.declarations import declared
from data.direct import direct
from data.event_log import aggregate_snapshot, event_log
from data.idempotency import idempotency_key
from data.kernel import implements
from data.personal import (
    FILES,
    HOLDINGS,
    LEGAL_HOLDS,
    Category,
    Fate,
    Holding,
    contexts,
    erased,
    kept,
    neutral,
    neutral_facts,
)
from data.sagas import saga
from data.sealing import ERASED, PersonKeys, nameless, opened
from domain.identity.privacy import PersonalData
from domain.jobs import Jobs
from domain.kernel import EVENTS, SEALED, Event

MOST_EVENTS = 20_000
"""Of what somebody did, an export lists so many of the latest events."""

_ENDED = "user_id = $1 AND state IN ('done', 'compensated', 'stuck')"

erased(saga, _ENDED, data=Category.LOCATION)
erased(idempotency_key, "user_id = $1", answer=Category.LOCATION)
kept(
    event_log,
    "metadata ->> 'user_id' = ($1::uuid)::text",
    reason="the log says what was done, under ids; what is personal of it is sealed with the person's keys, which go",
    data=Category.SECRET,
)
neutral_facts(
    # Names of what is sold and offered.
    *("category.created.title", "delivery.boundaries_updated.postal_codes", "delivery.method_created.method_name"),
    *("delivery.zone_created.zone_name", "flash_sale.created.title", "flash_sale.ended.title"),
    *("flash_sale.started.title", "live.flash_sale_started.title", "live.session_scheduled.title"),
    *("live.started.title", "live.studio_created.title", "localization.batch_processed.texts"),
    *("localization.batch_requested.texts", "localization.override_applied.text"),
    *("localization.translation_changed.text", "loyalty.program_changed.title", "product.created.title"),
    *("notifications.audience_segmented.segment_name", "notifications.policy_changed.sender_name"),
    *("pricing.price_list_created.title", "pricing.price_list_ended.title", "pricing.promotion_created.title"),
    *("pricing.rule_created.title", "pricing.rule_updated.title", "tenancy.store_created.store_name"),
    "tenancy.tenant_created.tenant_name",
    # One of a few words of ours.
    *("delivery.cancelled.reason", "delivery.failed.reason", "identity.login_attempted.reason"),
    *("identity.token_revoked.reason", "localization.batch_failed.reason", "messaging.message_held.reason"),
    *("notification.failed.reason", "order.cancelled.reason", "payment.failed.reason", "payment.mistrusted.reason"),
    *("payment.dispute_raised.reason", "payment.voided.reason"),
    # What those in charge say about goods, stores, stock and books.
    *("inventory.moved.reason", "inventory.stock_adjusted.reason", "live.cancelled.reason"),
    *("product.unpublished.reason", "reconciliation.discrepancy_resolved.note", "review.state_changed.reason"),
    *("tenancy.tenant_cancelled.reason", "tenancy.tenant_suspended.reason", "payment.refund_requested.reason"),
    *("payment.reviewed.note", "messaging.message_approved.reason", "messaging.message_blocked.reason"),
)
# What these copy from the log is sealed as it is there.
neutral(event_log, "name", "data", "metadata")
neutral(dead_letter, "name", "envelope", "error")
neutral(event_retry, "envelope", "error")
neutral(aggregate_snapshot, "data")

_ACTIVITY = """
SELECT name, occurred_at, aggregate_type, aggregate_id, data FROM platform.event_log
WHERE tenant_id = :tenant AND metadata ->> 'user_id' = $1::text ORDER BY sequence DESC LIMIT $2
"""
_PLAIN = """
SELECT sequence, data FROM platform.event_log
WHERE tenant_id = :tenant AND name = $1 AND coalesce(data ->> $2, aggregate_id::text) = $3::text AND NOT data ? $4
"""
_REWRITE = (
    "UPDATE platform.event_log SET data = $2::text::jsonb WHERE sequence = $1 AND tenant_id = platform.tenant_id()"
)
_OVERWRITE = """
UPDATE platform.event_log SET data = data || jsonb_build_object($4::text, $5::text)
WHERE tenant_id = platform.tenant_id() AND name = $1 AND data ->> $2 = $3 AND data ->> $4 <> $5
"""
_FORGET = "DELETE FROM platform.aggregate_snapshot WHERE tenant_id = :tenant AND data ->> $1 = $2::text"
_DESTROY = "DELETE FROM identity.person_key WHERE tenant_id = :tenant AND person_id = $1 RETURNING id"


def personal_events() -> list[type[Event]]:
    """Give the events that say something personal, of all contexts, whether or not the process works with them."""
    declared(Jobs)
    return [each for each in EVENTS.values() if each.personal]


@implements(PersonalData)
class SqlPersonalData:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def contexts(self) -> Sequence[str]:
        return contexts()

    async def legal_holds(self, person_id: UUID) -> Sequence[str]:
        found = {each.reason for each in LEGAL_HOLDS if await self._any(each.statement, person_id)}
        return sorted(found)

    async def collect(self, context: str, person_id: UUID) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        if context == "platform":
            return {"activity": await self._activity(person_id)}
        return {
            name: rows
            for name, holdings in _by_table(context).items()
            if (rows := [row for each in holdings for row in await self._rows(each, person_id)])
        }

    async def files(self, context: str, person_id: UUID) -> Sequence[str]:
        statements = [each.statement for each in FILES if each.context == context]
        return [row["key"] for each in statements for row in await direct(self._session, each, person_id)]

    async def erase(self, context: str, person_id: UUID) -> int:
        return sum([await self._erase(each, person_id) for each in HOLDINGS if each.context == context])

    async def shred(self, person_id: UUID) -> int:
        person = str(person_id)
        for name in sorted({each.person for each in personal_events()}):
            await direct(self._session, _FORGET, name, person)
        plain = [
            (row["sequence"], orjson.dumps(nameless(row["data"], kind.personal)).decode())
            for kind in personal_events()
            for row in await direct(self._session, _PLAIN, kind.name, kind.person, person, SEALED)
        ]
        # The application can only add to the log; the platform may overwrite in it what an event says.
        await direct(self._session, f"SET LOCAL ROLE {SYSTEM_ROLE}")
        for sequence, data in plain:
            await direct(self._session, _REWRITE, sequence, data)
        for kind, remark in ((each, remark) for each in EVENTS.values() for remark in each.remarks):
            await direct(self._session, _OVERWRITE, kind.name, kind.person, person, remark, ERASED)
        await direct(self._session, f"SET LOCAL ROLE {APP_ROLE}")
        return len(await direct(self._session, _DESTROY, person_id))

    async def _any(self, statement: str, person_id: UUID) -> bool:
        return bool(await direct(self._session, f"{statement} LIMIT 1", person_id))

    async def _rows(self, holding: Holding, person_id: UUID) -> Sequence[Mapping[str, Any]]:
        # Made of what the contexts declare, never of what anybody asks for.
        statement = f"SELECT to_jsonb(t) - $2::text[] AS row FROM {_name(holding)} AS t WHERE tenant_id = :tenant AND ({holding.whose})"  # noqa: S608
        found = await direct(self._session, statement, person_id, ["tenant_id", *holding.secrets])
        return [row["row"] for row in found]

    async def _activity(self, person_id: UUID) -> Sequence[Mapping[str, Any]]:
        found = await direct(self._session, _ACTIVITY, str(person_id), MOST_EVENTS)
        own = [row for row in found if _is_about(row, person_id)]
        said = dict(zip(map(id, own), await opened(self._session, [row["data"] for row in own]), strict=True))
        return [
            {name: row[name] for name in ("name", "occurred_at", "aggregate_type", "aggregate_id")}
            | {"data": said.get(id(row))}
            for row in found
        ]

    async def _erase(self, holding: Holding, person_id: UUID) -> int:
        if holding.fate is Fate.KEPT:
            return 0
        if holding.fate is Fate.ERASED:
            statement = f"DELETE FROM {_name(holding)} WHERE tenant_id = :tenant AND ({holding.whose}) RETURNING 1"  # noqa: S608 — as above.
        else:
            new = ", ".join(f'"{name}" = {value}' for name, value in holding.blank.items())
            statement = f"UPDATE {_name(holding)} SET {new} WHERE tenant_id = :tenant AND ({holding.whose}) RETURNING 1"  # noqa: S608 — as above.
        return len(await direct(self._session, statement, person_id))


def _is_about(row: Any, person_id: UUID) -> bool:
    """Say whether what is personal of an event is this person's own, and not what they wrote about somebody else."""
    kind = EVENTS.get(row["name"])
    return kind is not None and bool(kind.personal) and row["data"].get(kind.person) == str(person_id)


def _by_table(context: str) -> Mapping[str, Sequence[Holding]]:
    found: dict[str, list[Holding]] = {}
    for each in HOLDINGS:
        # Keys and tokens are no news to anybody.
        if each.context == context and set(each.columns.values()) != {Category.SECRET}:
            found.setdefault(str(each.table.name), []).append(each)
    return found


def _name(holding: Holding) -> str:
    return f'{holding.table.schema}."{holding.table.name}"'


_UNSEALED = """
SELECT sequence, tenant_id, aggregate_id, data FROM platform.event_log
WHERE name = $1 AND sequence > $2 AND NOT data ? $3 ORDER BY sequence LIMIT $4
"""
_SEAL_ONE = "UPDATE platform.event_log SET data = $2::text::jsonb WHERE sequence = $1"
_PLAIN_SNAPSHOTS = "DELETE FROM platform.aggregate_snapshot WHERE NOT data ? $1 AND aggregate_type = ANY($2)"
_AT_ONCE = 500


async def seal_plain_events(database: Database) -> int:
    """Seal what was logged in clear, a portion at a time; plain snapshots go, for they are made anew of events."""
    total = 0
    for kind in personal_events():
        after = 0
        while True:
            async with database.session(None) as session:
                rows = await direct(session, _UNSEALED, kind.name, after, SEALED, _AT_ONCE)
                for row in rows:
                    person = UUID(str(row["data"].get(kind.person) or row["aggregate_id"]))
                    keys: PersonKeys = database.person_keys
                    data = keys.seal(session, (UUID(str(row["tenant_id"])), person), row["data"], kind.personal)
                    if data is not row["data"]:
                        await direct(session, _SEAL_ONE, row["sequence"], orjson.dumps(data, default=str).decode())
                        total += 1
            if len(rows) < _AT_ONCE:
                break
            after = rows[-1]["sequence"]
    async with database.session(None) as session:
        await direct(session, _PLAIN_SNAPSHOTS, SEALED, ["Order"])
    return total
