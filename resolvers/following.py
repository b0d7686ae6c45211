"""Follows a feed: what was missed, then what happens, each event once and in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Self

from domain import tracing
from domain.topics import FellBehind, Presence, TopicEvent, TopicHub, sequence_of
from domain.tracing import NOTHING
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
        self._known = 0
        self._last = 0

    def hear(self, event: TopicEvent) -> None:
        """Take an event that is not known yet; a row that is full takes no more until the subscriber has been told."""
        if event.sequence is None:
            self._signals[tuple(event.topics)] = event
        elif event.sequence <= self._known:
            return
        elif len(self._events) < self._limit and not self._overflowed:
            self._events.append(event)
        else:
            self._overflowed = True
        self._filled.set()

    def begin(self, seam: int, after: int | None) -> None:
        """Begin at a seam; who comes with a cursor is given what was before it otherwise, and not again."""
        self._last = seam
        if after is not None:
            self._known = self._last = max(seam, after)
            while self._events and (self._events[0].sequence or 0) <= self._known:
                self._events.popleft()

    async def take(self) -> list[TopicEvent]:
        """Wait for events and give them, the durable ones first.

        Raises: FellBehind, once what was in the row has been given.
        """
        while not self._events and not self._signals:
            if self._overflowed:
                raise FellBehind(after=str(self._last))
            self._filled.clear()
            await self._filled.wait()
        if self._events:
            taken = [self._events.popleft() for _ in range(min(BATCH_EVENTS, len(self._events)))]
            self._last = taken[-1].sequence or self._last
        else:
            taken, self._signals = list(self._signals.values()), {}
        return taken


class FeedStream:
    """The values of a feed as an asynchronous iterator; who can serve many subscribers at once looks into it instead."""

    def __init__(self, context: Context, feed: Feed) -> None:
        self.context = context
        self.feed = feed
        self._values: AsyncGenerator[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._values is None:
            self._values = follow(self.context, self.feed)
        return await anext(self._values)

    async def aclose(self) -> None:
        """Stop following."""
        if self._values is not None:
            await self._values.aclose()


async def follow(context: Context, feed: Feed) -> AsyncGenerator[Any]:
    """Give the values of a feed.

    Raises: InvalidInput, FellBehind, and whatever the feed's own functions raise.
    """
    hub, tenant_id, after = context.service(TopicHub), context.require_tenant(), sequence_of(feed.after)
    queue = Queue()
    async with present(context, feed), AsyncExitStack() as stack:
        stack.callback(await hub.follow(tenant_id, queue, feed.topics, feed.signals))
        seam = hub.position
        queue.begin(seam, after)
        async with aclosing(past(context, feed, after, seam)) as values:
            async for value in values:
                yield value
                if feed.last and feed.last(value):
                    return
        while True:
            for value in await shown(context, feed, await queue.take()):
                yield value
                if feed.last and feed.last(value):
                    return
            if feed.interval_seconds:
                await asyncio.sleep(feed.interval_seconds)


@asynccontextmanager
async def present(context: Context, feed: Feed) -> AsyncIterator[None]:
    """Count the subscriber as present where the feed says so."""
    async with AsyncExitStack() as stack:
        for place, who in feed.while_open:
            presence = context.service(Presence)
            await stack.enter_async_context(presence.enter(context.require_tenant(), place, who))
        yield


async def past(context: Context, feed: Feed, after: int | None, seam: int) -> AsyncGenerator[Any]:
    """Give what is shown at first, and what happened between a cursor and the seam where the present begins."""
    if feed.opening:
        for value in await feed.opening(context):
            yield value
        await context.forget()
    if after is not None:
        async for events in context.service(TopicHub).missed(context.require_tenant(), feed.topics, after, seam):
            for value in await shown(context, feed, events):
                yield value


async def shown(context: Context, feed: Feed, events: list[TopicEvent]) -> list[Any]:
    """Give the values of events that the subscriber may see, as things stand now."""
    await context.forget()
    if feed.allows:
        for event in events:
            if feed.allows_at is None or event.name in feed.allows_at:
                feed.allows(event)
    with delivering(events):
        return [value for value in await feed.values(context, events) if value is not None]


def delivering(events: Sequence[TopicEvent]) -> AbstractContextManager[object]:
    """Trace what is made of events for their subscribers, where they came to be in traces themselves."""
    origins = [each.origin for each in events if each.origin]
    return tracing.followed_from(f"deliver {events[0].name}", origins, {}) if origins else NOTHING
