"""SQLAlchemy selects, compiled once and run on asyncpg directly: a read costs no ORM and no greenlet."""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Executable, Uuid, bindparam
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from data.bounding import BOUND, bounded

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Row(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns read as attributes, so that GraphQL types read it uncopied."""

    __slots__ = ()
    # The engine reads such rows by item, in C.
    __item_reads__ = True

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Statement:
    """A statement with named parameters, compiled to PostgreSQL's text and an order of arguments on first use.

    Within a tenant it is bounded by that tenant; the platform's own work sends it as it was written.
    """

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._compiled: dict[bool, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def bind(self, parameters: Mapping[str, Any], tenant_id: UUID | None = None) -> tuple[str, list[Any]]:
        """Give the text and its arguments in order.

        Raises: KeyError when a parameter is missing.
        """
        found = self._compiled.get(tenant_id is not None)
        if found is None:
            executable: Any = self._executable if tenant_id is None else bounded(self._executable)
            found = self._compiled[tenant_id is not None] = _text(executable.compile(dialect=DIALECT))
        text, order, fixed = found
        given = {**parameters, BOUND: tenant_id}
        return text, [given[name] if name in given else fixed[name] for name in order]


def _text(compiled: SQLCompiler) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    required = {bind.key for bind in compiled.binds.values() if bind.required}
    fixed = {
        name: value for name, value in (compiled.construct_params(_check=False) or {}).items() if name not in required
    }
    return str(compiled), tuple(compiled.positiontup or ()), fixed


_OF_TENANT = re.compile(r"= :tenant\b")


def of_tenant(text: str, arguments: Sequence[Any], tenant_id: UUID | None) -> tuple[str, Sequence[Any]]:
    """Give a hand-written text with `= :tenant` in it as one of numbered parameters; the platform's own work sees all tenants."""
    if ":tenant" not in text:
        return text, arguments
    return _placed(text, None if tenant_id is None else len(arguments) + 1), (
        arguments if tenant_id is None else [*arguments, tenant_id]
    )


@lru_cache(1_024)
def _placed(text: str, number: int | None) -> str:
    return _OF_TENANT.sub("IS NOT NULL" if number is None else f"= ${number}::uuid", text)


_SHAPES: OrderedDict[Any, SQLCompiler] = OrderedDict()
_SHAPES_KEPT = 512


def dynamic(executable: Executable, tenant_id: UUID | None = None) -> tuple[str, list[Any]]:
    """Give text and arguments of a select whose shape depends on the request, compiled once per shape."""
    if tenant_id is not None:
        executable = bounded(executable, bindparam(BOUND, tenant_id, type_=Uuid))
    key: Any = executable._generate_cache_key()  # type: ignore[attr-defined]  # noqa: SLF001 — SQLAlchemy's own cache key.
    compiled = _SHAPES.get(key.key)
    if compiled is None:
        compiled = _SHAPES[key.key] = executable.compile(dialect=DIALECT, cache_key=key)  # type: ignore[attr-defined]
        if compiled.post_compile_params:
            raise ValueError("write `column == func.any(array)`: a list inside IN has no fixed shape")
        if len(_SHAPES) > _SHAPES_KEPT:
            _SHAPES.popitem(last=False)
    values = compiled.construct_params(extracted_parameters=key.bindparams)
    return str(compiled), [values[name] for name in compiled.positiontup or ()]
