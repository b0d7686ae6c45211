"""Writes the projection of orders in the transaction that changed them, together with their events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from data.event_log import follows_events
from data.orders.tables import order as order_table
from data.writes import later
from domain.orders import Order

_WATCHED = "watched_orders"

_PARTS = """
INSERT INTO orders.sub_order SELECT * FROM jsonb_populate_recordset(NULL::orders.sub_order, $1::text::jsonb)
ON CONFLICT (id, tenant_id) DO UPDATE SET state = excluded.state WHERE sub_order.state <> excluded.state
"""
_LINES = """
INSERT INTO orders.order_line SELECT * FROM jsonb_populate_recordset(NULL::orders.order_line, $1::text::jsonb)
ON CONFLICT (id, tenant_id) DO UPDATE SET returned = excluded.returned WHERE order_line.returned <> excluded.returned
"""
_ORDERS = """
INSERT INTO orders."order" SELECT * FROM jsonb_populate_recordset(NULL::orders."order", $1::text::jsonb)
ON CONFLICT (id, tenant_id) DO UPDATE SET
  version = excluded.version,
  state = excluded.state,
  payment_status = excluded.payment_status,
  payment_id = excluded.payment_id,
  paid_minor = excluded.paid_minor,
  refunded_minor = excluded.refunded_minor,
  tracking_number = excluded.tracking_number,
  cancel_reason = excluded.cancel_reason,
  returns = excluded.returns,
  confirmed_at = excluded.confirmed_at,
  paid_at = excluded.paid_at,
  shipped_at = excluded.shipped_at,
  delivered_at = excluded.delivered_at,
  completed_at = excluded.completed_at,
  cancelled_at = excluded.cancelled_at
WHERE "order".version < excluded.version
"""

_OWN = tuple(str(column.key) for column in order_table.c if column is not order_table.c.words)


@dataclass
class Watched:
    """An order in a transaction, and the version of it that the projection has."""

    order: Order
    written: int


def watched(session_info: dict[Any, Any]) -> dict[UUID, Watched]:
    """Give the orders of a transaction, by id."""
    found: dict[UUID, Watched] = session_info.setdefault(_WATCHED, {})
    return found


def watch(session_info: dict[Any, Any], order: Order, written: int) -> None:
    """Have the projection follow an order; one that is known already is what the newer object says."""
    known = watched(session_info).setdefault(order.id, Watched(order, written))
    known.order = order


@follows_events
def _project(session: AsyncSession) -> None:
    """Write what became of a transaction's orders together with their events."""
    changed = [each for each in watched(session.info).values() if each.order.version != each.written]
    if not changed:
        return
    orders = [each.order for each in changed]
    later(session, _PARTS, _json(row for order in orders for row in _parts(order)))
    later(session, _LINES, _json(row for order in orders for row in _lines(order)))
    later(session, _ORDERS, _json(_row(order) for order in orders))
    for each in changed:
        each.written = each.order.version


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return orjson.dumps([*rows], default=str).decode()


def _row(order: Order) -> dict[str, Any]:
    goods = (text for line in order.lines for text in (line.sku, line.name, line.variant_name or ""))
    words = " ".join(dict.fromkeys((order.order_number, *goods))).lower()
    return {name: getattr(order, name) for name in _OWN} | {"words": words}


def _parts(order: Order) -> Iterator[dict[str, Any]]:
    for place, part in enumerate(order.sub_orders, start=1):
        yield _owned(order) | {
            "id": part.id,
            "place": place,
            "number": part.number,
            "seller_id": part.seller_id,
            "store_id": part.store_id,
            "state": part.state,
            "subtotal_minor": part.subtotal_minor,
            "discount_minor": part.discount_minor,
            "tax_minor": part.tax_minor,
            "delivery_fee_minor": part.delivery_fee_minor,
            "total_minor": part.total_minor,
            "placed_at": order.placed_at,
        }


def _lines(order: Order) -> Iterator[dict[str, Any]]:
    parts = {line_id: part.id for part in order.sub_orders for line_id in part.line_ids}
    for place, line in enumerate(order.lines, start=1):
        yield _owned(order) | {
            "id": line.id,
            "sub_order_id": parts[line.id],
            "place": place,
            "product_id": line.product_id,
            "variant_id": line.variant_id,
            "sku": line.sku,
            "seller_id": line.seller_id,
            "store_id": line.store_id,
            "name": line.name,
            "variant_name": line.variant_name,
            "quantity": line.quantity,
            "returned": order.returned_units(line.id),
            "unit_minor": line.unit.amount_minor,
            "discount_minor": line.discount.amount_minor,
            "tax_minor": line.tax.amount_minor,
            "total_minor": line.total.amount_minor,
        }


def _owned(order: Order) -> dict[str, Any]:
    return {"tenant_id": order.tenant_id, "order_id": order.id, "currency": order.currency}
