"""Loads aggregates of one row each into a session by statements that were compiled once, past SQLAlchemy's queries."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from data.direct import selected
from data.kernel import PLAIN
from data.statements import Statement
from domain.kernel import Aggregate

A = TypeVar("A", bound=Aggregate)
_NUMERIC = 1700
"""What PostgreSQL calls the type of a decimal number; processors of other columns do not ask for their type."""


def columns_of(kind: type[Aggregate]) -> list[Any]:
    """Give the columns that an aggregate of one row is made of."""
    return [PLAIN[kind].c[each.key] for each in inspect(kind).column_attrs]


async def loaded(session: AsyncSession, kind: type[A], statement: Statement, **parameters: Any) -> list[A]:
    """Give the aggregates that a statement of all their columns finds, as they are now; the session saves them.

    As for SQLAlchemy's own queries, what the session holds back is written before.
    """
    held = session.sync_session
    if held.new or held.dirty or held.deleted:
        await session.flush()
    read = _readers(kind, session.get_bind().dialect)  # type: ignore[arg-type]  # A class can be hashed.
    found = []
    for row in await selected(session, statement, **parameters):
        values = {name: (row[name] if of is None else of(row[name])) for name, of in read.items()}
        found.append(_placed(session, kind, values))
    return found


def _placed(session: AsyncSession, kind: type[A], values: Mapping[str, Any]) -> A:
    mapper = inspect(kind)
    known: A | None = session.sync_session.identity_map.get(
        mapper.identity_key_from_primary_key(tuple(values[column.key] for column in mapper.primary_key))
    )
    if known is not None:
        for name, value in values.items():
            set_committed_value(known, name, value)
        return known
    fresh: A = mapper.class_manager.new_instance()
    fresh.__dict__.update(values)
    make_transient_to_detached(fresh)
    session.add(fresh)
    return fresh


@lru_cache
def _readers(kind: type[Aggregate], dialect: Dialect) -> Mapping[str, Callable[[Any], Any] | None]:
    """Give what makes of a column as the driver gives it what the aggregate holds."""
    return {
        column.name: column.type.dialect_impl(dialect).result_processor(dialect, _NUMERIC)
        for column in columns_of(kind)
    }
