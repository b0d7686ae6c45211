"""What one operation has loaded by key."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiodataloader import DataLoader

BulkFunction = Callable[..., Awaitable[Sequence[Any]]]


def frozen(value: Any) -> Any:
    """Make a hashable stand-in for an argument value, equal for equal values."""
    if isinstance(value, Mapping):
        return frozenset((name, frozen(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(frozen(getattr(value, field.name)) for field in dataclasses.fields(value)))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def check_length(function: BulkFunction, keys: Sequence[Any], values: Sequence[Any]) -> None:
    """Refuse a batch whose values cannot be matched with its keys.

    Raises: TypeError.
    """
    if len(values) != len(keys):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} returned {len(values)} values for {len(keys)} keys.")


class Scope:
    """The memo of one operation, one mutation root field, or one subscription event.

    Breadth-first execution keeps values in `memos`; depth-first execution, and resolvers that load by themselves,
    keep a DataLoader per (function, arguments). Nothing of it ever belongs to a parent object, because those may be
    shared between operations.
    """

    __slots__ = ("_loaders", "_memos", "context")

    def __init__(self, context: Any) -> None:
        self.context = context
        self._memos: dict[Any, dict[Any, Any]] = {}
        self._loaders: dict[Any, DataLoader[Any, Any]] = {}

    def memo(self, function: BulkFunction, arguments_key: Any) -> dict[Any, Any]:
        """Return the values that `function` gave for these arguments so far, by key."""
        key = (function, arguments_key)
        memo = self._memos.get(key)
        if memo is None:
            memo = self._memos[key] = {}
        return memo

    def forget(self) -> None:
        """Let go of all values: graphql-core's executors are cycles, and would keep them until the garbage is collected."""
        self._memos.clear()
        self._loaders.clear()

    def load(self, function: BulkFunction, key: Any, arguments: Mapping[str, Any]) -> Awaitable[Any]:
        """Load one key through the DataLoader of (`function`, `arguments`)."""
        loader_key = (function, frozen(arguments))
        loader = self._loaders.get(loader_key)
        if loader is None:
            loader = self._loaders[loader_key] = self._loader(function, arguments)
        # graphql-core cancels the siblings of a field that failed; the future they share must outlive that.
        return asyncio.shield(loader.load(key))

    def _loader(self, function: BulkFunction, arguments: Mapping[str, Any]) -> DataLoader[Any, Any]:
        async def batch(keys: list[Any]) -> list[Any]:
            values = await function(self.context, keys, **arguments)
            check_length(function, keys, values)
            return list(values)

        return DataLoader(batch)


def scope_of(info: Any) -> Scope:
    """Find the scope of the operation that a resolver runs in.

    Raises: RuntimeError where the schema is not executed by this package.
    """
    scope: Scope | None = getattr(getattr(info, "_raw_info", info), "scope", None)
    if scope is None:
        raise RuntimeError(
            "Bulk fields need a Subgraph, a Supergraph, or execution_context_class=BreadthFirstExecutor."
        )
    return scope
