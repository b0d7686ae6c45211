"""Keyset pages in SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Uuid,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import desc_op

from data.database import Reads
from data.statements import Statement
from domain.kernel import InvalidInput
from domain.paging import Page, PageRequest, decode_cursor

Order = ColumnElement[Any]
SHAPES_KEPT = 128

PAGE_SIZE: Any = bindparam("page_size", type_=Integer)


class Listing:
    """A list that is read in pages: a select, the orders it can have, and the filters it can be asked with.

    An order names selected columns (or labels), ends in a unique one and goes one way: write `column.desc()` for all of
    them or for none. A filter is a condition that holds where a parameter of its name is given; it binds that parameter,
    or nothing. Parameters without a filter belong to the select itself. What is None is not given.

    Statements are compiled once for each set of filters, order and direction that is asked for.
    """

    def __init__(
        self,
        rows: Select[Any],
        order: Sequence[Order] | Mapping[Any, Sequence[Order]],
        *,
        parent: Any = None,
        **filters: ColumnElement[bool],
    ) -> None:
        self._rows = rows
        self._parent = parent
        self._filters = filters
        orders = order if isinstance(order, Mapping) else {None: order}
        self.orders = {sort: Ordering(columns) for sort, columns in orders.items()}
        # A client may ask for every combination of filters.
        self._page = lru_cache(SHAPES_KEPT)(self._page_statement)
        self._count = lru_cache(SHAPES_KEPT)(self._count_statement)
        self._below = lru_cache(SHAPES_KEPT)(self._below_statement)

    async def page(self, reads: Reads, page: PageRequest, sort: Any = None, **wanted: Any) -> Page[Any]:
        """Read one page.

        Raises: InvalidInput for a cursor of another list.
        """
        names, given = _given(wanted)
        order = self.orders[sort]
        cursors = {**order.cursor("after", page.after), **order.cursor("before", page.before)}
        statement = self._page(names, sort, page.after is not None, page.before is not None, page.backward)
        found = await reads.rows(statement, page_size=page.size + 1, **cursors, **given)
        more, items = len(found) > page.size, found[: page.size]
        if page.backward:
            items.reverse()
        return Page(
            nodes=items,
            key_of=order.key_of,
            has_next_page=page.before is not None if page.backward else more,
            has_previous_page=more if page.backward else page.after is not None,
            count=partial(self._counted, reads, names, given),
        )

    async def pages(
        self, reads: Reads, parents: Sequence[Any], page: PageRequest, sort: Any = None, **wanted: Any
    ) -> list[Page[Any]]:
        """Read the first page below each of many parents, in one statement.

        Raises: InvalidInput when the page is asked backward, or after a cursor for more than one parent.
        """
        if page.backward or (page.after is not None and len(parents) > 1):
            raise InvalidInput(field="after", reason="below a list of objects only the first page can be asked for")
        names, given = _given(wanted)
        order = self.orders[sort]
        found = await reads.rows(
            self._below(names, sort, page.after is not None),
            page_size=page.size + 1,
            page_parents=list(parents),
            **order.cursor("after", page.after),
            **given,
        )
        groups: dict[Any, list[Any]] = {}
        for row in found:
            groups.setdefault(row["page_parent"], []).append(row)
        return [
            first_page(groups.get(each, []), order, page, partial(self._counted, reads, names, given, each))
            for each in parents
        ]

    async def count(self, reads: Reads, **wanted: Any) -> int:
        """Count the whole list."""
        names, given = _given(wanted)
        return await self._counted(reads, names, given)

    def select(self, names: Iterable[str]) -> Select[Any]:
        """Give the select with the filters of these names."""
        return self._rows.where(*(self._filters[name] for name in names if name in self._filters))

    async def _counted(self, reads: Reads, names: tuple[str, ...], given: Mapping[str, Any], *parent: Any) -> int:
        below = {"page_parents": list(parent)} if parent else {}
        total = await reads.row(self._count(names, bool(parent)), **below, **given)
        return int(total.total) if total else 0

    def _below_parents(self, rows: Select[Any]) -> Select[Any]:
        return rows.where(self._parent == func.any(bindparam("page_parents", type_=ARRAY(self._parent.type))))

    def _page_statement(
        self, names: tuple[str, ...], sort: Any, after: bool, before: bool, backward: bool
    ) -> Statement:
        order = self.orders[sort]
        rows = order.beyond(self.select(names), after=after, before=before)
        return Statement(rows.order_by(*order.directed(backward=backward)).limit(PAGE_SIZE))

    def _count_statement(self, names: tuple[str, ...], below: bool) -> Statement:
        rows = self.select(names)
        counted = (self._below_parents(rows) if below else rows).order_by(None).subquery()
        return Statement(select(func.count().label("total")).select_from(counted))

    def _below_statement(self, names: tuple[str, ...], sort: Any, after: bool) -> Statement:
        order = self.orders[sort]
        rows = self._below_parents(order.beyond(self.select(names), after=after))
        position = func.row_number().over(partition_by=self._parent, order_by=order.directed())
        ranked = rows.add_columns(position.label("page_position"), self._parent.label("page_parent")).subquery()
        return Statement(
            select(ranked)
            .where(ranked.c.page_position <= PAGE_SIZE)
            .order_by(ranked.c.page_parent, ranked.c.page_position)
        )


def equals(*columns: Any) -> dict[str, ColumnElement[bool]]:
    """Give filters of a list by the plain values of columns, named like these."""
    return {column.key: column == bindparam(column.key, type_=column.type) for column in columns}


class Ordering:
    """One order of a list, and the cursors that name a place in it."""

    def __init__(self, order: Sequence[Order]) -> None:
        ways = [isinstance(each, UnaryExpression) and each.modifier is desc_op for each in order]
        if len(set(ways)) != 1:
            raise ValueError("a keyset goes one way: all columns ascending or all descending")
        self.descending = ways[0]
        self.columns: list[Any] = [each.element if isinstance(each, UnaryExpression) else each for each in order]
        self.names = [str(column.key) for column in self.columns]

    def directed(self, *, backward: bool = False, columns: Any = None) -> list[Any]:
        """Give the order for SQL, of its own columns or of those that are named alike in a subquery."""
        own = self.columns if columns is None else [columns[name] for name in self.names]
        return [column.desc() if self.descending != backward else column.asc() for column in own]

    def key_of(self, row: Any) -> list[Any]:
        """Give what names a row in a cursor."""
        return [_plain(row[name]) for name in self.names]

    def cursor(self, name: str, cursor: str | None) -> dict[str, Any]:
        """Give the parameters that a cursor stands for.

        Raises: InvalidInput.
        """
        if cursor is None:
            return {}
        values = zip(decode_cursor(cursor, len(self.columns)), self.columns, strict=True)
        return {f"{name}_{number}": _bound(value, column) for number, (value, column) in enumerate(values)}

    def beyond(self, rows: Select[Any], *, after: bool = False, before: bool = False) -> Select[Any]:
        """Leave what lies beyond one cursor, or between two."""
        here = tuple_(*self.columns)
        if after:
            rows = rows.where(here < self._place("after") if self.descending else here > self._place("after"))
        if before:
            rows = rows.where(here > self._place("before") if self.descending else here < self._place("before"))
        return rows

    def _place(self, name: str) -> Any:
        return tuple_(*(bindparam(f"{name}_{number}", type_=column.type) for number, column in enumerate(self.columns)))


def first_page(found: list[Any], order: Ordering, page: PageRequest, count: Callable[[], Any]) -> Page[Any]:
    """Make a first page of rows of which one more was read than it shows."""
    return Page(
        nodes=found[: page.size],
        key_of=order.key_of,
        has_next_page=len(found) > page.size,
        has_previous_page=page.after is not None,
        count=count,
    )


def _given(wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    given = {name: value for name, value in wanted.items() if value is not None}
    return tuple(given), given


def _bound(value: Any, column: Any) -> Any:
    try:
        if isinstance(column.type, DateTime):
            return datetime.fromisoformat(value)
        if isinstance(column.type, Uuid):
            return column.type.python_type(value)
        if not isinstance(value, column.type.python_type):
            raise TypeError
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(field="cursor", reason="it belongs to another list or another order") from error
    return value


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
