"""The consumers: one per context that listens, each the only active member of its group while it holds the lease.

What is guaranteed: every event reaches every handler, its effects happen once, and a handler meets the events of one
aggregate (with one prefix) in their order, also when it fails: what follows a failed event waits behind it until that is
done or has become a dead letter. Events of other aggregates go on. A batch handler may see an event again.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import orjson
import structlog
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import DBAPIError

from data.bus import Delivery, RedisBus
from data.dead_letters import Failure
from data.declarations import groups_of
from data.inbox import Subscriber
from data.leases import Leases
from data.outages import FAILURES
from data.relay import RECOVERY_PAUSE_SECONDS, STANDBY_PAUSE_SECONDS, pause
from domain.kernel import Unavailable
from server.attempts import Attempts, Raw

log = structlog.get_logger(__name__)
T = TypeVar("T")

READ_AT_ONCE = 4_000
RETRY_AT_ONCE = 500
# Well below the client's own time limit for an answer.
READ_WAIT_MS = 2_000
LANES = 8
RETRY_POLL_SECONDS = 5.0
# A batch that failed so often is taken apart, to find the event that spoils it.
BATCH_ATTEMPTS = 3
# How the server says that a stream or its group is gone: it was emptied, and the relay is about to fill it again.
EMPTIED = ("NOGROUP", "UNBLOCKED", "no such key")
EMPTIED_PAUSE_SECONDS = 0.05
LOST_SERVERS = (Unavailable, RedisError, DBAPIError, *FAILURES)


class Consumer:
    """One context's share of the bus; `member` names this worker in the group."""

    def __init__(
        self,
        name: str,
        subscribers: Sequence[Subscriber],
        bus: RedisBus,
        attempts: Attempts,
        leases: Leases,
        member: str,
    ) -> None:
        self.name = name
        self.active = asyncio.Event()
        self._bus = bus
        self._attempts = attempts
        self._leases = leases
        self._member = member
        self._subscribers = {each.key: each for each in subscribers}
        self._prefixes = groups_of(subscribers)[name]
        self._by_event: dict[str, list[Subscriber]] = {}
        for each in subscribers:
            for event in each.names:
                self._by_event.setdefault(event, []).append(each)
        self._lanes = asyncio.Semaphore(LANES)
        self._parked = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until told to stop, as soon as no other worker does; lost servers are waited for."""
        lease = f"consumer {self.name}"
        while not stop.is_set():
            if not await self._leases.take(lease):
                await pause(stop, STANDBY_PAUSE_SECONDS)
                continue
            try:
                await self._consume(stop)
            except LOST_SERVERS as failure:
                log.warning("consumer.interrupted", consumer=self.name, reason=repr(failure))
                await pause(stop, RECOVERY_PAUSE_SECONDS)
            finally:
                self.active.clear()
                if not self._leases.lost.is_set():
                    await self._leases.give_back(lease)

    async def _consume(self, stop: asyncio.Event) -> None:
        await self._handle(await self._take_over(), stop)
        self.active.set()
        await both(self._follow(stop), self._retry(stop))

    async def _take_over(self) -> list[Delivery]:
        """Give what was begun and not finished: the lease says that nobody else is at work, so it is ours, however fresh."""
        while True:
            await self._bus.join(self.name, self._prefixes)
            try:
                found = await self._bus.reclaim(self.name, self._member, self._prefixes, idle_ms=0)
                await self._bus.forget_members(self.name, self._prefixes, keep=self._member)
            except ResponseError as error:
                if not any(sign in str(error) for sign in EMPTIED):
                    raise
                await asyncio.sleep(EMPTIED_PAUSE_SECONDS)
            else:
                return found

    async def _follow(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                found = await until(stop, self._read())
            except ResponseError as error:
                if not any(sign in str(error) for sign in EMPTIED):
                    raise
                await self._bus.join(self.name, self._prefixes)
                continue
            if found:
                await self._handle(found, stop)

    async def _read(self) -> list[Delivery]:
        return await self._bus.read(self.name, self._member, self._prefixes, count=READ_AT_ONCE, wait_ms=READ_WAIT_MS)

    async def _handle(self, deliveries: Sequence[Delivery], stop: asyncio.Event) -> None:
        lanes: dict[tuple[str, str], list[Raw]] = {}
        batches: dict[tuple[str, str], list[Raw]] = {}
        for delivery in deliveries:
            wanted = self._by_event.get(delivery.name)
            raw = orjson.loads(delivery.envelope) if wanted else {}
            for each in wanted or ():
                kind, scope = (batches, "tenant_id") if each.batch else (lanes, "aggregate_id")
                kind.setdefault((each.key, raw[scope]), []).append(raw)
        pauses = await together(
            [
                *(self._lane(self._subscribers[key], raws) for (key, _), raws in lanes.items()),
                *(self._batches(self._subscribers[key], raws) for (key, _), raws in batches.items()),
            ]
        )
        await self._bus.acknowledge(self.name, deliveries)
        if longest := max(pauses, default=0.0):
            # What a whole batch fails on is likely to fail the next one too: an index that is down, say.
            await pause(stop, longest)

    async def _lane(self, subscriber: Subscriber, raws: Sequence[Raw]) -> float:
        """Handle one aggregate's events one after the other."""
        async with self._lanes:
            for raw in raws:
                if await self._attempts.first(subscriber, raw):
                    self._parked.set()
        return 0.0

    async def _batches(self, subscriber: Subscriber, raws: Sequence[Raw]) -> float:
        longest = 0.0
        for start in range(0, len(raws), READ_AT_ONCE):
            async with self._lanes:
                longest = max(longest, await self._attempts.batch(subscriber, raws[start : start + READ_AT_ONCE]))
        if longest:
            self._parked.set()
        return longest

    async def _retry(self, stop: asyncio.Event) -> None:
        """Try failed events again when they are due."""
        while not stop.is_set():
            self._parked.clear()
            waiting = await self._attempts.waiting(list(self._subscribers), RETRY_AT_ONCE)
            now = self._attempts.now()
            due = [each for each in waiting if each.due_at <= now]
            await together([self._again(failures) for failures in self._portions(due)])
            if not due:
                wait = min(((each.due_at - now).total_seconds() for each in waiting), default=RETRY_POLL_SECONDS)
                with suppress(TimeoutError):
                    await until(stop, asyncio.wait_for(self._parked.wait(), min(wait, RETRY_POLL_SECONDS)))

    def _portions(self, due: Iterable[Failure]) -> list[list[Failure]]:
        batches: dict[tuple[str, str], list[Failure]] = {}
        alone = []
        for each in due:
            if self._subscribers[each.handler].batch and each.attempts < BATCH_ATTEMPTS:
                batches.setdefault((each.handler, each.envelope["tenant_id"]), []).append(each)
            else:
                alone.append([each])
        return [*batches.values(), *alone]

    async def _again(self, failures: Sequence[Failure]) -> None:
        async with self._lanes:
            await self._attempts.again(self._subscribers[failures[0].handler], failures)


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of them to their ends, then give the results or raise the first failure."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def both(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them side by side; when one fails, end the others first and then raise what it failed on."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(stop: asyncio.Event, coroutine: Coroutine[Any, Any, T]) -> T | None:
    """Give what the coroutine gives, or None, having cancelled it, when told to stop before."""
    work, stopped = asyncio.ensure_future(coroutine), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
