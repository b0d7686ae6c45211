"""Where in the response a value of a column stands; worked out only for what failed."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

Trail = tuple[tuple[str | int, bool], ...]
"""The response path of a value, each step with whether null may stand there."""


class Place(Protocol):
    """The place of a column: it knows the trail of each of its values."""

    field: Any
    nullable: bool

    def trail(self, index: int) -> Trail:
        """Return the trail of the value at `index`."""


class RootPlace:
    """The place of the root object."""

    field: Any = None
    nullable = True

    def trail(self, index: int) -> Trail:  # noqa: ARG002  # There is one root.
        """Return the empty trail."""
        return ()


class FieldPlace:
    """The column of one field over the objects of a group."""

    __slots__ = ("_objects", "field", "nullable")

    def __init__(self, objects: Place, field: Any) -> None:
        self._objects = objects
        self.field = field
        self.nullable: bool = field.nullable

    def trail(self, index: int) -> Trail:
        """Return the object's trail and the response key."""
        return (*self._objects.trail(index), (self.field.key, self.nullable))


class ItemPlace:
    """The items of all lists of a column, one list after the other."""

    def __init__(self, lists: Place, lengths: Sequence[int], nullable: bool) -> None:
        self._lists = lists
        self._lengths = lengths
        self.field = lists.field
        self.nullable = nullable

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self._lengths))

    def trail(self, index: int) -> Trail:
        """Return the list's trail and the index in it."""
        which = bisect_right(self._ends, index)
        start = self._ends[which] - self._lengths[which]
        return (*self._lists.trail(which), (index - start, self.nullable))


class SomePlace:
    """Some of the values of a column, given by their indices."""

    __slots__ = ("_all", "_indices", "field", "nullable")

    def __init__(self, column: Place, indices: Sequence[int]) -> None:
        self._all = column
        self._indices = indices
        self.field = column.field
        self.nullable = column.nullable

    def trail(self, index: int) -> Trail:
        """Return the trail of the value in the whole column."""
        return self._all.trail(self._indices[index])
