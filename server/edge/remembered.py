"""A bounded memory of documents that a flood of new ones cannot wash out."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """Least recently used first, in two generations: what was asked for twice only gives way to its like.

    Bounded in entries and in characters of the keys; a fifth of both is for what was seen once.
    """

    def __init__(self, max_entries: int, max_characters: int) -> None:
        self._young: _Generation[V] = _Generation(max_entries // 5, max_characters // 5)
        self._old: _Generation[V] = _Generation(max_entries - max_entries // 5, max_characters - max_characters // 5)

    def __len__(self) -> int:
        return len(self._young.entries) + len(self._old.entries)

    def get(self, key: str) -> V | None:
        value = self._old.entries.get(key)
        if value is not None:
            self._old.entries.move_to_end(key)
            return value
        value = self._young.take(key)
        if value is not None:
            self._old.put(key, value)
        return value

    def put(self, key: str, value: V) -> None:
        self._young.put(key, value)


class _Generation(Generic[V]):
    def __init__(self, max_entries: int, max_characters: int) -> None:
        self.entries: OrderedDict[str, V] = OrderedDict()
        self._max_entries = max_entries
        self._max_characters = max_characters
        self._characters = 0

    def put(self, key: str, value: V) -> None:
        self.entries[key] = value
        self._characters += len(key)
        while self.entries and (len(self.entries) > self._max_entries or self._characters > self._max_characters):
            forgotten, _ = self.entries.popitem(last=False)
            self._characters -= len(forgotten)

    def take(self, key: str) -> V | None:
        value = self.entries.pop(key, None)
        if value is not None:
            self._characters -= len(key)
        return value
