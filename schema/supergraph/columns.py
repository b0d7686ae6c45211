"""Lists, objects and abstract types, a column at a time."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

from graphql import GraphQLError, Undefined, is_abstract_type, is_leaf_type, is_list_type, is_non_null_type
from graphql.pyutils import is_iterable

from schema.supergraph.declarations import Typed
from schema.supergraph.leaves import Column, is_special, leaf_completer
from schema.supergraph.places import ItemPlace, Place, SomePlace


class Pending(Protocol):
    """A column whose objects are made once the levels below are done."""

    def result(self) -> Column:
        """Return the finished column."""


Completer = Callable[[Any, Column, Place], "Column | Pending"]


class Sparse:
    """A column with objects at some positions and null at the others."""

    __slots__ = ("_parts", "_size")

    def __init__(self, size: int, parts: Sequence[tuple[Sequence[int], Pending]]) -> None:
        self._size = size
        self._parts = parts

    def result(self) -> Column:
        """Return the objects at their positions."""
        column: Column = [None] * self._size
        for indices, part in self._parts:
            for index, value in zip(indices, part.result(), strict=True):
                column[index] = value
        return column


class Lists:
    """A column of lists over a column of all their items; a length of -1 stands for null."""

    __slots__ = ("_items", "_lengths")

    def __init__(self, lengths: Sequence[int], items: "Column | Pending") -> None:
        self._lengths = lengths
        self._items = items

    def result(self) -> Column:
        """Return the items cut into their lists."""
        items = self._items if isinstance(self._items, list) else self._items.result()
        if len(self._lengths) == 1 and self._lengths[0] >= 0:
            return [items]
        column: Column = []
        start = 0
        for length in self._lengths:
            if length < 0:
                column.append(None)
            else:
                column.append(items[start : start + length])
                start += length
        return column


def completer(field: Any, type_: Any) -> Completer:
    """Make the function that completes a column of values of one output type."""
    nullable = not is_non_null_type(type_)
    inner = type_ if nullable else type_.of_type
    if is_leaf_type(inner):
        return leaf_completer(inner, nullable)
    if is_list_type(inner):
        return _list_completer(field, inner.of_type)
    if is_abstract_type(inner):
        return _abstract_completer(field, inner)
    return _object_completer(field, inner.name)


def _object_completer(field: Any, type_name: str) -> Completer:
    def complete(run: Any, column: Column, place: Place) -> "Column | Pending":
        if not column:
            return column
        kinds = set(map(type, column))
        if Typed in kinds:
            column = [value.value if type(value) is Typed else value for value in column]
            kinds = set(map(type, column))
        if not any(map(is_special, kinds)):
            pending: Pending = run.spawn(field.selection(type_name), column, place)
            return pending
        indices = present(run, column, place)
        if not indices:
            return [None] * len(column)
        group = run.spawn(field.selection(type_name), [column[i] for i in indices], SomePlace(place, indices))
        return Sparse(len(column), [(indices, group)])

    return complete


def present(run: Any, column: Column, place: Place) -> list[int]:
    """Return the indices of the values that are objects; note what is missing or failed."""
    indices = []
    for index, value in enumerate(column):
        if value is None or value is Undefined:
            run.miss(place, index)
        elif isinstance(value, Exception):
            run.fail(place, index, value)
        else:
            indices.append(index)
    return indices


def _abstract_completer(field: Any, abstract: Any) -> Completer:
    def complete(run: Any, column: Column, place: Place) -> "Column | Pending":
        if not column:
            return column
        by_type = _by_runtime_type(run, field, abstract, column, place)
        parts = []
        for type_name, indices in by_type.items():
            values = [value.value if type(value := column[i]) is Typed else value for i in indices]
            parts.append((indices, run.spawn(field.selection(type_name), values, SomePlace(place, indices))))
        return parts[0][1] if len(by_type) == 1 and len(parts[0][0]) == len(column) else Sparse(len(column), parts)

    return complete


def _by_runtime_type(run: Any, field: Any, abstract: Any, column: Column, place: Place) -> dict[str, list[int]]:
    by_type: dict[str, list[int]] = {}
    for index in present(run, column, place):
        try:
            type_name = field.runtime_types.resolve(abstract.name, column[index], field.parent_type.name, field.name)
        except Exception as error:  # noqa: BLE001  # A value of unknown type is the error of its own position.
            run.fail(place, index, error)
        else:
            by_type.setdefault(type_name, []).append(index)
    return by_type


_LISTS = ({list}, {tuple}, {list, tuple})


def _list_completer(field: Any, item_type: Any) -> Completer:
    complete_items = completer(field, item_type)
    nullable = not is_non_null_type(item_type)

    def complete(run: Any, column: Column, place: Place) -> "Column | Pending":
        lengths: list[int]
        if set(map(type, column)) in _LISTS:
            lists: Iterable[Any] = column
            lengths = list(map(len, column))
        else:
            opened = [_opened(run, value, place, index) for index, value in enumerate(column)]
            lengths = [-1 if items is None else len(items) for items in opened]
            lists = [items for items in opened if items is not None]
            place = SomePlace(place, [index for index, items in enumerate(opened) if items is not None])
        items = list(chain.from_iterable(lists))
        known = lengths if -1 not in lengths else [length for length in lengths if length >= 0]
        run.count(len(items))
        return Lists(lengths, complete_items(run, items, ItemPlace(place, known, nullable)))

    return complete


def _opened(run: Any, value: Any, place: Place, index: int) -> Sequence[Any] | None:
    """Return the items of one list, or None where there is none."""
    try:
        if value is None or value is Undefined:
            run.miss(place, index)
        elif isinstance(value, Exception):
            run.fail(place, index, value)
        elif not is_iterable(value):
            name = f"{place.field.parent_type.name}.{place.field.name}"
            run.fail(place, index, GraphQLError(f"Expected Iterable, but did not find one for field '{name}'."))
        else:
            return value if isinstance(value, list | tuple) else list(value)
    except Exception as error:  # noqa: BLE001  # A failing iteration is the error of its own position.
        run.fail(place, index, error)
    return None
