"""The step of an ordinary resolver: one call per parent, awaited together."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from graphql import is_list_type
from graphql.pyutils import Path

from schema.supergraph.engine import Group, Run
from schema.supergraph.leaves import Column, is_special
from schema.supergraph.places import Trail
from schema.supergraph.resolve_info import Call, ResolveInfo
from schema.supergraph.steps import FieldStep


class ResolverStep(FieldStep):
    """Any other field: one call per parent, awaited together."""

    def __init__(self, field: Any, slot: int, reach: int, hidden: bool) -> None:
        super().__init__(field, slot, reach, hidden)
        self._listed = is_list_type(field.nullable_type)

    def get(self, run: Run, group: Group, parents: Sequence[Any]) -> None:
        """Call the resolver for every parent."""
        try:
            invoke = self.field.invoker(run)
        except Exception as error:  # noqa: BLE001  # Arguments that cannot be coerced are the error of each position.
            self.deliver(run, group, [error] * len(parents))
            return
        call = run.executor.call(self.field.graphql, self.field.nodes, self.field.parent_type)._replace(scope=run.scope)
        column = [self._value(invoke, call, group, index, parent) for index, parent in enumerate(parents)]
        if self._wait(run, column):
            run.later(self.finish, group, column)
        else:
            self.deliver(run, group, column)

    def _value(self, invoke: Any, call: Call, group: Group, index: int, parent: Any) -> Any:
        if is_special(type(parent)) and self.reach_is_foreign(parent, group):
            return parent
        try:
            return invoke(parent, ResolveInfo(call, lambda: path_of(group, index, self.field.key)))
        except Exception as error:  # noqa: BLE001  # Any failure is the error of its own position.
            return error

    def reach_is_foreign(self, parent: Any, group: Group) -> bool:
        """Tell whether a missing parent is the outcome of a hop or a guard, and not the root value."""
        return self.reach > 0 or isinstance(parent, Exception) or parent is not group.parents[0]

    def _wait(self, run: Run, column: Column) -> bool:
        kinds = set(map(type, column))
        listed = self._listed and any(map(is_folding, kinds))
        if not listed and not any(map(is_awaitable, kinds)):
            return False
        waits = False
        for index, value in enumerate(column):
            if is_awaitable(type(value)):
                run.wait(_unfolded(value) if self._listed else value, column, index)
                waits = True
            elif listed and _is_folded(value):
                run.wait(_unfold(value), column, index)
                waits = True
        return waits

    def finish(self, run: Run, group: Group, column: Column) -> None:
        """Complete what was awaited."""
        self.deliver(run, group, column)


def path_of(group: Group, index: int, key: str) -> Path:
    """Return the response path of a field of one object."""
    trail: Trail = group.place.trail(index)
    path: Path | None = None
    for step, _ in trail:
        path = Path(path, step, None)
    return Path(path, key, group.selection.type_name)


def _is_awaitable(kind: type) -> bool:
    return issubclass(kind, Awaitable)


def _is_folding(kind: type) -> bool:
    return issubclass(kind, list | tuple | AsyncIterable)


is_awaitable: Callable[[type], bool] = lru_cache(maxsize=4096)(_is_awaitable)
"""Tells whether values of a class are awaited."""
is_folding: Callable[[type], bool] = lru_cache(maxsize=4096)(_is_folding)
"""Tells whether values of a class may hold items that are still to be awaited."""


def _is_folded(value: Any) -> bool:
    if isinstance(value, AsyncIterable):
        return True
    return isinstance(value, list | tuple) and any(map(is_awaitable, set(map(type, value))))


async def _unfolded(value: Any) -> Any:
    value = await value
    return await _unfold(value) if _is_folded(value) else value


async def _unfold(value: Any) -> list[Any]:
    """Make a plain list of an asynchronous iterable, or of a list of awaitables."""
    if isinstance(value, AsyncIterable):
        return [item async for item in value]
    return list(await asyncio.gather(*map(_attempted, value)))


async def _attempted(item: Any) -> Any:
    try:
        return await item if is_awaitable(type(item)) else item
    except Exception as error:  # noqa: BLE001  # A failing item is the error of its own position.
        return error
