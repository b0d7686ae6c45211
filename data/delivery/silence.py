"""Stores that say nothing about deliveries, remembered for seconds: most purchases then cost no statement more."""

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from uuid import UUID

SECONDS = 5.0
MOST_STORES = 50_000


class Silence:
    """Remembers by store until when it counts as silent; what another process opens is seen when that has passed."""

    def __init__(self) -> None:
        self._until: OrderedDict[UUID, float] = OrderedDict()

    def covers(self, store_ids: Collection[UUID]) -> bool:
        """Say whether all of the stores are known to be silent."""
        now = time.monotonic()
        return all(self._until.get(each, 0.0) > now for each in store_ids)

    def remember(self, store_ids: Iterable[UUID]) -> None:
        """Take stores for silent; only such as were seen by somebody of their own tenant."""
        until = time.monotonic() + SECONDS
        for each in store_ids:
            self._until[each] = until
            self._until.move_to_end(each)
        while len(self._until) > MOST_STORES:
            self._until.popitem(last=False)

    def end(self, store_id: UUID | None) -> None:
        """Have a store looked at anew, or all of them."""
        if store_id is None:
            self._until.clear()
        else:
            self._until.pop(store_id, None)


SILENT = Silence()
