"""How a value of a parent is read: by attribute, or by item where its class says so."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any


def _reads_items(cls: type) -> bool:
    return issubclass(cls, Mapping) or bool(getattr(cls, "__item_reads__", False))


reads_items: Callable[[type], bool] = lru_cache(maxsize=4096)(_reads_items)
"""Tells whether instances of a class are read with `row["name"]` instead of `row.name`."""


def read(value: Any, name: str) -> Any:
    """Read `name` of one value; a dotted name reads through nested values."""
    if "." in name:
        first, rest = name.split(".", 1)
        return read(read(value, first), rest)
    if reads_items(type(value)):
        try:
            return value[name]
        except KeyError:
            return getattr(value, name)
    return getattr(value, name)


def read_key(value: Any, names: Sequence[str]) -> Any:
    """Read the key that `names` make of one value: plain for one name, a tuple for several."""
    if len(names) == 1:
        return read(value, names[0])
    return tuple(read(value, name) for name in names)


def _attempt(value: Any, names: Sequence[str]) -> Any:
    try:
        return read_key(value, names)
    except Exception as error:  # noqa: BLE001  # A failing read is an error at its own position only.
        return error


Reader = Callable[[Sequence[Any], bool | None], list[Any]]


def by_items(values: Sequence[Any]) -> bool | None:
    """Tell whether all values are read by item, none is, or some are (None)."""
    answers = {reads_items(kind) for kind in set(map(type, values))}
    return answers.pop() if len(answers) == 1 else None


def column_reader(names: Sequence[str]) -> Reader:
    """Make the function that reads the keys of all parents of a level, given what `by_items` says of them.

    A read that fails puts its exception where the value would stand.
    """
    names = tuple(names)
    by_attribute = attrgetter(*names)
    by_item = itemgetter(*names) if not any("." in name for name in names) else None

    def column(parents: Sequence[Any], items: bool | None) -> list[Any]:
        try:
            if items is False:
                return list(map(by_attribute, parents))
            if items is True and by_item is not None:
                return list(map(by_item, parents))
        except Exception:  # noqa: BLE001  # Read again one by one, to know who failed.
            return [_attempt(parent, names) for parent in parents]
        return [_attempt(parent, names) for parent in parents]

    return column
