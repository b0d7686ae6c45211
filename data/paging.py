"""Keyset pages in SQL."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, Uuid, func, literal, select, tuple_
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import desc_op

from data.database import Reads
from domain.kernel import InvalidInput
from domain.paging import Page, PageRequest, decode_cursor

Order = ColumnElement[Any]


async def keyset(reads: Reads, rows: Select[Any], order: Sequence[Order], page: PageRequest) -> Page[Any]:
    """Give one page of a select, in an order that ends in a unique column; all columns go the same way.

    `order` names selected columns (or labels); write `column.desc()` for a descending list.
    """
    columns, descending = _direction(order)
    paged = _beyond(rows, columns, descending=descending, page=page)
    flipped = descending != page.backward
    paged = paged.order_by(*(column.desc() if flipped else column.asc() for column in columns)).limit(page.size + 1)
    found = await reads.rows(paged)
    more, items = len(found) > page.size, found[: page.size]
    if page.backward:
        items.reverse()
    keys = [column.key or "" for column in columns]

    async def count() -> int:
        total = await reads.row(select(func.count().label("total")).select_from(rows.order_by(None).subquery()))
        return int(total.total) if total else 0

    return Page(
        nodes=items,
        key_of=_keys(keys),
        has_next_page=page.before is not None if page.backward else more,
        has_previous_page=more if page.backward else page.after is not None,
        count=count,
    )


def _direction(order: Sequence[Order]) -> tuple[list[Any], bool]:
    descending = [isinstance(each, UnaryExpression) and each.modifier is desc_op for each in order]
    if len(set(descending)) != 1:
        raise ValueError("a keyset goes one way: all columns ascending or all descending")
    return [each.element if isinstance(each, UnaryExpression) else each for each in order], descending[0]


def _beyond(rows: Select[Any], columns: Sequence[Any], *, descending: bool, page: PageRequest) -> Select[Any]:
    for cursor, forward in ((page.after, True), (page.before, False)):
        if cursor is None:
            continue
        values = decode_cursor(cursor, len(columns))
        bounds = tuple_(*(_bound(value, column) for value, column in zip(values, columns, strict=True)))
        here = tuple_(*columns)
        rows = rows.where(here < bounds if descending == forward else here > bounds)
    return rows


def _bound(value: Any, column: Any) -> Any:
    try:
        if isinstance(column.type, DateTime):
            value = datetime.fromisoformat(value)
        elif isinstance(column.type, Uuid):
            value = column.type.python_type(value)
        elif not isinstance(value, column.type.python_type):
            raise TypeError
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(field="cursor", reason="it belongs to another list or another order") from error
    return literal(value, column.type)


def _keys(names: Sequence[str]) -> Callable[[Any], list[Any]]:
    return lambda item: [_plain(item[name]) for name in names]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def keyset_by_parent(
    reads: Reads, rows: Select[Any], parent: Any, parents: Sequence[Any], order: Sequence[Order], page: PageRequest
) -> list[Page[Any]]:
    """Give the first page of a list below each of many parents, in one statement.

    Raises: InvalidInput when the page is asked backward, or after a cursor for more than one parent.
    """
    if page.backward or (page.after is not None and len(parents) > 1):
        raise InvalidInput(field="after", reason="below a list of objects only the first page can be asked for")
    columns, descending = _direction(order)
    directed = [column.desc() if descending else column.asc() for column in columns]
    ranked = _beyond(rows, columns, descending=descending, page=page).where(parent == func.any(list(parents)))
    position = func.row_number().over(partition_by=parent, order_by=directed).label("position")
    inner = ranked.add_columns(position, parent.label("parent")).subquery()
    found = await reads.rows(
        select(inner).where(inner.c.position <= page.size + 1).order_by(inner.c.parent, inner.c.position)
    )
    groups: dict[Any, list[Any]] = {}
    for row in found:
        groups.setdefault(row.parent, []).append(row)
    keys = [column.key or "" for column in columns]
    return [_parent_page(groups.get(each, []), keys, page, _counter(reads, rows, parent, each)) for each in parents]


def _parent_page(found: list[Any], keys: Sequence[str], page: PageRequest, count: Any) -> Page[Any]:
    items = found[: page.size]
    return Page(
        nodes=items,
        key_of=_keys(keys),
        has_next_page=len(found) > page.size,
        has_previous_page=page.after is not None,
        count=count,
    )


def _counter(reads: Reads, rows: Select[Any], parent: Any, key: Any) -> Any:
    async def count() -> int:
        counted = rows.where(parent == key).order_by(None).subquery()
        total = await reads.row(select(func.count().label("total")).select_from(counted))
        return int(total.total) if total else 0

    return count
