"""The book of reservations: shelves are locked by one statement, and all that became of them is written by another."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.event_log import event_metadata
from data.inventory.levels import take_lots
from data.inventory.tables import journal, reservation, stock_level
from data.kernel import implements
from domain.codec import to_json
from domain.inventory import (
    Reservation,
    ReservationPurpose,
    Reservations,
    ReservationState,
    Shelf,
    StockChanges,
    StockLevel,
)
from domain.kernel import Aggregate, Recorded, Work, uuid7

_UNMAPPED = frozenset({"created_at", "updated_at"})


def _names(table: Table) -> tuple[str, ...]:
    # orjson takes plain texts for keys only, and SQLAlchemy's names are more than that.
    return tuple(f"{column.name}" for column in table.c if column.name not in _UNMAPPED)


_LEVEL, _RESERVATION, _LINE = _names(stock_level), _names(reservation), _names(journal)

_LOCK = f"""
SELECT {", ".join(f"l.{name}" for name in _LEVEL)}
FROM unnest($1::uuid[], $2::text[]) AS wanted(store_id, sku)
JOIN inventory.stock_level l ON l.tenant_id = :tenant AND l.store_id = wanted.store_id AND l.sku = wanted.sku
ORDER BY l.store_id, l.sku FOR UPDATE OF l
"""  # noqa: S608 — made of our own columns only.
_OF_ORDERS = (
    f"SELECT {', '.join(_RESERVATION)} FROM inventory.reservation WHERE order_id = ANY($1) AND tenant_id = :tenant"  # noqa: S608 — see above.
)
# What another transaction has just ended is not kept, though the statement's snapshot still shows it as active.
_KEEP = """
WITH kept AS (
    UPDATE inventory.reservation SET expires_at = NULL WHERE order_id = $1 AND tenant_id = :tenant AND state = 'active' RETURNING id
)
SELECT count(*) > 0 AND count(*) FILTER (WHERE state <> 'consumed') = (SELECT count(*) FROM kept)
FROM inventory.reservation WHERE order_id = $1 AND tenant_id = :tenant
"""
_FACT = "event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at"
_WRITE = f"""
WITH shelves AS (
    UPDATE inventory.stock_level l
    SET on_hand = n.on_hand, reserved = n.reserved, version = n.version, updated_at = now()
    FROM jsonb_populate_recordset(NULL::inventory.stock_level, $1::text::jsonb) n
    WHERE l.id = n.id AND l.tenant_id = :tenant
), made AS (
    INSERT INTO inventory.reservation ({", ".join(_RESERVATION)})
    SELECT {", ".join(_RESERVATION)} FROM jsonb_populate_recordset(NULL::inventory.reservation, $2::text::jsonb)
), changed AS (
    UPDATE inventory.reservation r
    SET version = n.version, consumed = n.consumed, state = n.state, ended_at = n.ended_at
    FROM jsonb_populate_recordset(NULL::inventory.reservation, $3::text::jsonb) n
    WHERE r.id = n.id AND r.tenant_id = :tenant
), lines AS (
    INSERT INTO inventory.journal ({", ".join(_LINE)})
    SELECT {", ".join(_LINE)} FROM jsonb_populate_recordset(NULL::inventory.journal, $4::text::jsonb)
)
INSERT INTO platform.event_log ({_FACT})
SELECT {_FACT} FROM jsonb_populate_recordset(NULL::platform.event_log, $5::text::jsonb)
"""  # noqa: S608 — see above.
_HELD = (
    select(stock_level, reservation)
    .join_from(
        stock_level,
        reservation,
        (stock_level.c.store_id == reservation.c.store_id) & (stock_level.c.sku == reservation.c.sku),
    )
    .order_by(stock_level.c.store_id, stock_level.c.sku, reservation.c.id)
    .with_for_update()
    .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
)


@implements(Reservations)
class SqlReservations:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_shelves(self, shelves: Iterable[Shelf]) -> dict[Shelf, StockLevel]:
        wanted = list(shelves)
        rows = await self._run(_LOCK, [store_id for store_id, _ in wanted], [sku for _, sku in wanted])
        return {(row.store_id, row.sku): StockLevel(**row) for row in rows}

    async def of_orders(self, order_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Reservation]]:
        found: dict[UUID, list[Reservation]] = {}
        for row in await self._run(_OF_ORDERS, list(order_ids)):
            found.setdefault(row["order_id"], []).append(_reservation(row))
        return found

    async def lock_order(self, order_id: UUID) -> tuple[StockChanges, Sequence[Reservation]]:
        return await self._hold(reservation.c.order_id == order_id)

    async def lock_overdue(self, now: datetime, orders: int) -> tuple[StockChanges, Sequence[Reservation]]:
        other = reservation.alias()
        overdue = [other.c.state == ReservationState.ACTIVE, other.c.expires_at <= now]
        some = select(other.c.order_id).where(*overdue).group_by(other.c.order_id).limit(orders)
        return await self._hold(
            reservation.c.order_id.in_(some),
            # Said once more of the row itself: it is looked at again when somebody else has changed it meanwhile.
            reservation.c.state == ReservationState.ACTIVE,
            reservation.c.expires_at <= now,
        )

    async def keep(self, order_id: UUID) -> bool:
        return bool((await self._run(_KEEP, order_id))[0][0])

    async def write(self, changes: StockChanges) -> None:
        touched = {(entry.store_id, entry.sku) for entry in changes.journal}
        await self._run(
            _WRITE,
            _rows([changes.levels[shelf] for shelf in touched], _LEVEL),
            _rows(changes.made, _RESERVATION),
            _rows(changes.changed, _RESERVATION),
            _rows(changes.journal, _LINE),
            _json([_fact(*each) for each in changes.facts]),
        )
        if changes.shipped:
            await take_lots(self._session, changes.shipped)

    async def _hold(self, *conditions: ColumnElement[bool]) -> tuple[StockChanges, Sequence[Reservation]]:
        levels: dict[Shelf, StockLevel] = {}
        reservations = []
        for row in (await self._session.execute(_HELD.where(*conditions))).mappings():
            each = Reservation(**{name: row[f"inventory_reservation_{name}"] for name in _RESERVATION})
            reservations.append(each)
            if each.shelf not in levels:
                levels[each.shelf] = StockLevel(**{name: row[f"inventory_stock_level_{name}"] for name in _LEVEL})
        return StockChanges(levels), reservations

    async def _run(self, statement: str, *arguments: Any) -> Sequence[Any]:
        return await direct(self._session, statement, *arguments)


def _reservation(row: Any) -> Reservation:
    told = dict(row)
    return Reservation(
        **told | {"purpose": ReservationPurpose(told["purpose"]), "state": ReservationState(told["state"])}
    )


def _rows(objects: Iterable[Any], names: Sequence[str]) -> str:
    return _json([{name: getattr(each, name) for name in names} for each in objects])


def _json(rows: Sequence[dict[str, Any]]) -> str:
    # asyncpg has a class of its own for UUIDs, which orjson knows nothing of.
    return orjson.dumps(rows, default=str).decode()


def _fact(aggregate: Aggregate, recorded: Recorded, work: Work) -> dict[str, Any]:
    return {
        "event_id": uuid7(),
        "tenant_id": aggregate.tenant_id,
        "aggregate_id": aggregate.id,
        "aggregate_type": type(aggregate).__name__,
        "version": recorded.version,
        "name": recorded.event.name,
        "data": to_json(recorded.event),
        "metadata": event_metadata(work),
        "occurred_at": work.now,
    }
