"""Saves aggregates of one row each with the other writes of a transaction, past SQLAlchemy's unit of work.

What it does not know well it leaves to SQLAlchemy: aggregates of several rows, deletions, expressions as values, and rows of
one table that may have to be written in a certain order.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ClauseElement

from data.database import CHANGED
from data.kernel import PLAIN
from data.writes import later

MOST = 20
"""More rows than these are SQLAlchemy's, whose statements have one shape for any number."""

Values = Mapping[str, Any]
Saved = tuple[Table, Any, Values]
_SHAPES_KEPT = 2_048


async def save_changed(session: AsyncSession) -> None:
    """Have written what the session's aggregates have become; those that were changed are remembered for their events."""
    held = session.sync_session
    made, dirty = [*held.new], [*held.dirty]
    if not (made or dirty or held.deleted):
        return
    if held.deleted or not all(type(each) in PLAIN for each in (*made, *dirty)):
        await session.flush()
        return
    inserts = [(PLAIN[type(each)], each, _all_of(each)) for each in made]
    changed = ((PLAIN[type(each)], each, _changes_of(each)) for each in dirty)
    updates = [each for each in changed if each[2]]
    if not _are_simple(inserts, updates):
        await session.flush()
        return
    for (table, names), alike in groupby(inserts, key=lambda each: (each[0], tuple(each[2]))):
        _insert(session, table, names, [values for *_, values in alike])
    for table, each, values in updates:
        _update(session, table, each, values)
    session.info.setdefault(CHANGED, {}).update((id(each), each) for _, each, _ in (*inserts, *updates))
    for each in (*made, *dirty):
        # Whoever wants it once more in this transaction reads it again.
        session.expunge(each)


def _all_of(made: Any) -> Values:
    """Give the values of a new row; what is left to a default of the column's is not among them."""
    table = PLAIN[type(made)]
    left = _defaults(table)
    return {
        name: value
        for name, value in made.__dict__.items()
        if name in table.c and (value is not None or name not in left)
    }


def _changes_of(changed: Any) -> Values:
    """Give the values of a row that differ from those that were read."""
    columns, now, before = PLAIN[type(changed)].c, changed.__dict__, inspect(changed).committed_state
    return {name: now[name] for name, old in before.items() if not columns[name].type.compare_values(now[name], old)}


def _are_simple(inserts: Sequence[Saved], updates: Sequence[Saved]) -> bool:
    """Say whether all values are known, and it makes no difference in which order the rows are written."""
    tables = [table for table, *_ in updates]
    written = (*inserts, *updates)
    return (
        len(written) <= MOST
        and len({*tables}) == len(tables)
        and {*tables}.isdisjoint(table for table, *_ in inserts)
        and not any(isinstance(value, ClauseElement) for *_, values in written for value in values.values())
        and all(values.keys() >= _required(table) for table, _, values in inserts)
    )


def given(session: AsyncSession, table: Table, values: Values) -> Values:
    """Give values of columns as the driver takes them."""
    known = _processors(table, session.get_bind().dialect)
    return {name: known[name](value) for name, value in values.items() if name in known}


def _insert(session: AsyncSession, table: Table, names: tuple[str, ...], rows: Sequence[Values]) -> None:
    driven = [given(session, table, row) for row in rows]
    later(session, _inserting(table, names, len(rows)), *(row[name] for row in driven for name in names))


def _update(session: AsyncSession, table: Table, changed: Any, values: Values) -> None:
    known = inspect(changed).committed_state.get("version", changed.version)
    new = given(session, table, values).values()
    later(session, _updating(table, tuple(values)), changed.id, known, changed.tenant_id, *new, must_hit=True)


@lru_cache(_SHAPES_KEPT)
def _inserting(table: Table, names: tuple[str, ...], rows: int) -> str:
    width = len(names)
    places = (f"({', '.join(f'${row * width + place}' for place in range(1, width + 1))})" for row in range(rows))
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {_quoted(table)} ({columns}) VALUES {', '.join(places)}"  # noqa: S608 — made of our own columns only.


@lru_cache(_SHAPES_KEPT)
def _updating(table: Table, names: tuple[str, ...]) -> str:
    new = [f'"{name}" = ${place}' for place, name in enumerate(names, start=4)]
    moment = ["updated_at = now()"] if "updated_at" in table.c else []
    return f"UPDATE {_quoted(table)} SET {', '.join([*new, *moment])} WHERE id = $1 AND version = $2 AND tenant_id = $3"  # noqa: S608 — see above.


def _quoted(table: Table) -> str:
    return f'{table.schema}."{table.name}"'


@lru_cache(_SHAPES_KEPT)
def _defaults(table: Table) -> frozenset[str]:
    return frozenset(
        column.name for column in table.c if column.server_default is not None and not column.type.should_evaluate_none
    )


@lru_cache(_SHAPES_KEPT)
def _required(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.c if column.server_default is None)


@lru_cache(_SHAPES_KEPT)
def _processors(table: Table, dialect: Dialect) -> Mapping[str, Callable[[Any], Any]]:
    """Give what makes of a column's value what the driver takes."""
    return {column.name: column.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is for column in table.c}


def _as_it_is(value: Any) -> Any:
    return value
