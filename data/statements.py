"""SQLAlchemy selects, compiled once and run on asyncpg directly: a read costs no ORM and no greenlet."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

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
    """A select with named parameters, compiled to PostgreSQL's text and an order of arguments on first use."""

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._compiled: tuple[str, tuple[str, ...], dict[str, Any]] | None = None

    def bind(self, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Give the text and its arguments in order.

        Raises: KeyError when a parameter is missing.
        """
        if self._compiled is None:
            self._compiled = _text(self._executable.compile(dialect=DIALECT))  # type: ignore[attr-defined]
        text, order, fixed = self._compiled
        return text, [parameters[name] if name in parameters else fixed[name] for name in order]


def _text(compiled: SQLCompiler) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    required = {bind.key for bind in compiled.binds.values() if bind.required}
    fixed = {
        name: value for name, value in (compiled.construct_params(_check=False) or {}).items() if name not in required
    }
    return str(compiled), tuple(compiled.positiontup or ()), fixed


_SHAPES: OrderedDict[Any, SQLCompiler] = OrderedDict()
_SHAPES_KEPT = 512


def dynamic(executable: Executable) -> tuple[str, list[Any]]:
    """Give text and arguments of a select whose shape depends on the request, compiled once per shape."""
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
