"""Follows a feed: what was missed, then what happens, each event once and in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

from domain.topics import FellBehind, Presence, TopicEvent, TopicHub, sequence_of
from resolvers.kernel import Context, Feed

QUEUE_EVENTS = 256
BATCH_EVENTS = 64


class Queue:
    """What one subscriber has not taken yet: a bounded row of events, and the latest of each signal."""

    def __init__(self, limit: int = QUEUE_EVENTS) -> None:
        self._limit = limit
        self._events: deque[TopicEvent] = deque()
        self._signals: dict[tuple[str, ...], TopicEvent] = {}
        self._overflowed = False
        self._filled = asyncio.Event()
        self.last = 0

    def hear(self, event: TopicEvent) -> None:
        """Take an event; a row that is full takes no more until the subscriber has been told."""
        if event.sequence is None:
            self._signals[tuple(event.topics)] = event
        elif event.sequence <= self.last:
            return
        elif len(self._events) < self._limit and not self._overflowed:
            self._events.append(event)
        else:
            self._overflowed = True
        self._filled.set()

    def skip_to(self, sequence: int) -> None:
        """Forget the events up to a sequence, now and later: they are known."""
        self.last = sequence
        while self._events and (self._events[0].sequence or 0) <= sequence:
            self._events.popleft()

    async def take(self) -> list[TopicEvent]:
        """Wait for events and give them, the durable ones first.

        Raises: FellBehind, once what was in the row has been given.
        """
        while not self._events and not self._signals:
            if self._overflowed:
                raise FellBehind(after=str(self.last))
            self._filled.clear()
            await self._filled.wait()
        taken = [self._events.popleft() for _ in range(min(BATCH_EVENTS, len(self._events)))]
        if taken:
            self.last = taken[-1].sequence or self.last
            return taken
        taken, self._signals = list(self._signals.values()), {}
        return taken


async def follow(context: Context, feed: Feed) -> AsyncGenerator[Any]:
    """Give the values of a feed.

    Raises: InvalidInput, FellBehind, and whatever the feed's own functions raise.
    """
    hub, tenant_id, after = context.service(TopicHub), context.require_tenant(), sequence_of(feed.after)
    queue = Queue()
    async with AsyncExitStack() as stack:
        stack.callback(await hub.follow(tenant_id, queue, feed.topics, feed.signals))
        for place, who in feed.while_open:
            await stack.enter_async_context(context.service(Presence).enter(tenant_id, place, who))
        seam = hub.position
        if after is not None:
            queue.skip_to(max(seam, after))
        for value in await feed.opening(context) if feed.opening else ():
            yield value
        await context.forget()
        if after is not None:
            async for events in hub.missed(tenant_id, feed.topics, after, seam):
                async with aclosing(_values(context, feed, events)) as values:
                    async for value in values:
                        yield value
        while True:
            async with aclosing(_values(context, feed, await queue.take())) as values:
                async for value in values:
                    yield value
            if feed.interval_seconds:
                await asyncio.sleep(feed.interval_seconds)


async def _values(context: Context, feed: Feed, events: list[TopicEvent]) -> AsyncGenerator[Any]:
    for event in events:
        if feed.allows:
            feed.allows(event)
    for value in await feed.values(context, events):
        if value is not None:
            yield value
