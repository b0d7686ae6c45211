"""Statements with their tenant in them: row-level security bounds them all the same, and cannot tell a distributed database where to look.

Source: citusdata/citus issues 7415 and 8427: a policy's `current_setting` does not choose the node, a predicate does.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Alias, Join, Table, Uuid, and_, bindparam
from sqlalchemy.sql import Delete, FromClause, Select, Update, visitors
from sqlalchemy.sql.elements import BindParameter, ColumnElement

from data.kernel import TENANT_OWNED

S = TypeVar("S")
BOUND = "bound_tenant"


def bounded(statement: S, tenant: BindParameter[Any] | None = None) -> S:
    """Give a statement in which every table of tenants, in subqueries too, is bounded by the tenant that `BOUND` names."""
    own: BindParameter[Any] = bindparam(BOUND, type_=Uuid) if tenant is None else tenant

    def bound_select(select: Select[Any]) -> None:
        select._setup_joins = tuple(_bound_join(each, own) for each in select._setup_joins)  # noqa: SLF001 — see `_narrow`.
        _narrow(select, [each for source in select.get_final_froms() for each in _inner(source)], own)

    def bound_join(join: Join) -> None:
        # What an outer join may leave out must be bounded where it joins, or rows without a partner would be lost.
        conditions = [table.c.tenant_id == own for table in _outer(join)]
        if join.onclause is not None:
            join.onclause = and_(join.onclause, *conditions)

    def bound_change(change: Update | Delete) -> None:
        _narrow(change, list(_inner(change.table)), own)

    changes: dict[str, Callable[[Any], None]] = {
        "select": bound_select,
        "join": bound_join,
        "update": bound_change,
        "delete": bound_change,
    }
    # Executable does not say that it can be traversed.
    traversible: Any = statement
    made: S = visitors.cloned_traverse(traversible, {}, changes)
    return made


def _bound_join(join: Any, own: BindParameter[Any]) -> Any:
    """Bound what a select joins on its outer side, before SQLAlchemy makes a join of it."""
    target, condition, source, options = join
    if not options["isouter"] or condition is None or not _is_owned(target):
        return join
    return target, and_(condition, target.c.tenant_id == own), source, options


def _narrow(statement: Any, tables: list[FromClause], own: BindParameter[Any]) -> None:
    conditions: list[ColumnElement[bool]] = [table.c.tenant_id == own for table in tables]
    statement._where_criteria += tuple(conditions)  # noqa: SLF001 — the clone is ours; `where` would make another one.


def _inner(source: FromClause) -> Iterator[FromClause]:
    """Give the tables of tenants of which every row of a source has one."""
    if isinstance(source, Join):
        yield from _inner(source.left)
        if not source.isouter:
            yield from _inner(source.right)
    elif _is_owned(source):
        yield source


def _outer(join: Join) -> Iterator[FromClause]:
    if join.isouter:
        yield from _inner(join.right)


def _is_owned(source: FromClause) -> bool:
    table = source.element if isinstance(source, Alias) else source
    return isinstance(table, Table) and bool(table.info.get(TENANT_OWNED))
