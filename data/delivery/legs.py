"""What drivers have under way, remembered for a moment: ten thousand of them tell where they are every few seconds."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from uuid import UUID

from data.database import Database
from data.delivery.reads import SqlDeliveryReads
from domain.delivery.positions import Leg

TTL_SECONDS = 20.0
MOST_ENTRIES = 50_000
Key = tuple[UUID, UUID]


class RememberedLegs:
    """Looks legs up for many drivers at once; implements the domain's `Legs`.

    A delivery that another process has begun or ended is known here some seconds later; whatever is recorded because of a
    position looks at the delivery itself first.
    """

    def __init__(
        self,
        database: Database,
        *,
        ttl_seconds: float = TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._known: OrderedDict[Key, tuple[float, Sequence[Leg]]] = OrderedDict()
        self._wanted: dict[UUID, dict[UUID, asyncio.Future[Sequence[Leg]]]] = {}
        self._loading: set[asyncio.Task[None]] = set()

    async def of_driver(self, tenant_id: UUID, driver_id: UUID) -> Sequence[Leg]:
        known = self._known.get((tenant_id, driver_id))
        if known is not None and known[0] > self._clock():
            return known[1]
        waiting = self._wanted.get(tenant_id)
        if waiting is None:
            waiting = self._wanted[tenant_id] = {}
            # Whoever asks in this turn of the loop is answered by one statement.
            asyncio.get_running_loop().call_soon(self._begin, tenant_id)
        answer = waiting.get(driver_id)
        if answer is None:
            answer = waiting[driver_id] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(answer)

    def forget(self, tenant_id: UUID, driver_id: UUID) -> None:
        self._known.pop((tenant_id, driver_id), None)

    def _begin(self, tenant_id: UUID) -> None:
        task = asyncio.create_task(self._load(tenant_id, self._wanted.pop(tenant_id)))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _load(self, tenant_id: UUID, wanted: dict[UUID, asyncio.Future[Sequence[Leg]]]) -> None:
        reads = self._database.reads(tenant_id)
        try:
            found = await SqlDeliveryReads(reads).legs(list(wanted))
        except Exception as error:  # noqa: BLE001 — it is handed to those who asked.
            for answer in wanted.values():
                answer.set_exception(error)
            return
        finally:
            await reads.end()
        until = self._clock() + self._ttl_seconds
        for (driver_id, answer), legs in zip(wanted.items(), found, strict=True):
            self._known[tenant_id, driver_id] = (until, legs)
            answer.set_result(legs)
        while len(self._known) > MOST_ENTRIES:
            self._known.popitem(last=False)
