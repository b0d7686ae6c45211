"""Who watches an execution: hears of its levels and batches while they are worked at."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Protocol


class Watch(Protocol):
    """Watches one operation."""

    def plan(self, homes: Mapping[str, str], *, known: bool) -> None:
        """Hear which subgraphs the root fields belong to, by response key, and whether the plan was known already."""
        ...

    def level(self, number: int, objects: int) -> AbstractContextManager[object]:
        """Stand around one level of the plan; `objects` are the parents on it."""
        ...

    def batch(self, label: str, home: str, keys: int, *, hop: bool) -> AbstractContextManager[object]:
        """Stand around one call of a bulk function: of a field, or of a reference when objects hop to another subgraph."""
        ...


WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)
"""The watch of the operation at hand; a run looks for it when it begins."""
