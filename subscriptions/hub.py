"""One process's ear: everything that followers in this process hear of comes over one Redis connection.

Durable events come in the order of the log, with the positions that they lead from and to. Where a position is missing
(Redis was away, or came back with less) what was missed is read from the log, so no follower ever skips an event; what
was heard already is not told again. Signals come as they are, from whoever sends them, to who follows at that moment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import ClusterPubSub
from redis.exceptions import RedisError

from domain.topics import Follower, TopicEvent, TopicLog
from domain.tracing import TRACEPARENT

log = structlog.get_logger("agora.hub")

RECOVERY_SECONDS = 0.2
READ_WAIT_SECONDS = 5.0
ACKNOWLEDGED_SECONDS = 2.0
PAGE = 500

Place = tuple[UUID, str]


def _unobserved(_age_seconds: float) -> None:
    """Nobody counts."""


class RedisHub:
    """Hears for all followers of this process; implements the domain's `TopicHub` and `Signals`.

    `channel` is where the relay tells what it has published: a line `<from> <to>`, then an envelope a line.
    """

    def __init__(
        self,
        redis: Redis,
        topic_log: TopicLog,
        channel: str,
        namespace: str = "agora",
        *,
        observe: Callable[[float], None] = _unobserved,
    ) -> None:
        self._redis = redis
        self._log = topic_log
        self._channel = channel
        self._observe = observe
        self._prefix = f"{{{namespace}}}:signal:"
        self._followers: dict[Place, dict[int, Follower]] = {}
        self._channels: dict[str, tuple[Place, asyncio.Event]] = {}
        self._numbers = 0
        self._position = 0
        self._ear: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def position(self) -> int:
        """The sequence up to which durable events have been heard."""
        return self._position

    def followers(self) -> int:
        """Give how many follow something."""
        return len({number for followers in self._followers.values() for number in followers})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._leaving, *([self._listener] if self._listener else ())):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def send(self, tenant_id: UUID, topic: str, data: Any) -> None:
        """Tell whoever follows a topic at this moment; while Redis is away that is nobody."""
        with suppress(RedisError, OSError):
            await self._redis.spublish(self._signal_channel((tenant_id, topic)), orjson.dumps(data, default=str))

    async def follow(
        self, tenant_id: UUID, follower: Follower, topics: Sequence[str], signals: Sequence[str] = ()
    ) -> Callable[[], None]:
        """Let somebody hear what happens from now on, until he calls what he is given."""
        self._numbers += 1
        number = self._numbers
        places = [(tenant_id, topic) for topic in dict.fromkeys((*topics, *signals))]
        for place in places:
            self._followers.setdefault(place, {})[number] = follower
        try:
            await self._listen()
            await self._join([(tenant_id, topic) for topic in signals])
        except BaseException:
            self._forget(number, places)
            raise
        return lambda: self._forget(number, places)

    async def missed(
        self, tenant_id: UUID, topics: Sequence[str], after: int, until: int
    ) -> AsyncIterator[list[TopicEvent]]:
        """Read what happened in topics with `after < sequence <= until`, page by page."""
        while after < until:
            page = await self._log.entries(tenant_id, topics, after, until, PAGE)
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].sequence or until

    async def _join(self, places: Sequence[Place]) -> None:
        """Hear the signals of some topics, and wait until the server says so: what is sent afterwards is heard."""
        wanted = {self._signal_channel(place): place for place in places}
        fresh = [channel for channel in wanted if channel not in self._channels]
        for channel in fresh:
            self._channels[channel] = (wanted[channel], asyncio.Event())
        if fresh and self._ear is not None:
            # The listener asks for all of them anyway when the server is back.
            with suppress(RedisError, OSError):
                await self._ear.ssubscribe(*fresh)
        with suppress(TimeoutError):
            async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
                for channel in wanted:
                    await self._channels[channel][1].wait()

    def _forget(self, number: int, places: Sequence[Place]) -> None:
        for place in places:
            followers = self._followers.get(place, {})
            if followers.pop(number, None) is not None and not followers:
                del self._followers[place]
        deserted = [channel for place in places if (channel := self._signal_channel(place)) in self._channels]
        if deserted := [channel for channel in deserted if self._channels[channel][0] not in self._followers]:
            task = asyncio.ensure_future(self._leave(deserted))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _leave(self, channels: Sequence[str]) -> None:
        gone = [each for each in channels if each in self._channels and self._channels[each][0] not in self._followers]
        for channel in gone:
            del self._channels[channel]
        if gone and self._ear is not None:
            with suppress(RedisError, OSError):
                await self._ear.sunsubscribe(*gone)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = asyncio.create_task(self._run())
        await self._ready.wait()

    async def _run(self) -> None:
        while True:
            try:
                if not self._ready.is_set():
                    self._position = await self._log.settled()
                    self._ready.set()
                # Asked for a key of the same slot, a cluster's client learns where that is by now.
                await self._redis.exists(self._channel)
                async with self._redis.pubsub() as ear:
                    await ear.ssubscribe(self._channel)
                    self._ear = ear
                    # Whoever comes from now on subscribes for himself; to ask twice does no harm.
                    if self._channels:
                        await ear.ssubscribe(*self._channels)
                    while True:
                        # A blocking read would run into the client's own time limit, as if the server were gone.
                        if message := await _message(ear):
                            await self._hear(message)
            except Exception as failure:  # noqa: BLE001 — whatever is away comes back, and then nothing was lost.
                log.warning("hub.interrupted", reason=repr(failure))
            finally:
                self._ear = None
            await asyncio.sleep(RECOVERY_SECONDS)

    async def _hear(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode()
        if message["type"] == "ssubscribe":
            if channel == self._channel:
                await self._catch_up(await self._log.settled())
            elif channel in self._channels:
                self._channels[channel][1].set()
        elif message["type"] == "sunsubscribe" and (channel == self._channel or channel in self._channels):
            raise ConnectionError(f"{channel} has moved")
        elif message["type"] == "smessage":
            if channel == self._channel:
                await self._hear_log(message["data"])
            elif channel in self._channels:
                self._hear_signal(self._channels[channel][0], message["data"])

    async def _hear_log(self, told: bytes) -> None:
        """Take what the relay has published; a piece that is missing before it is read from the log first."""
        head, *envelopes = told.split(b"\n")
        after, reached = map(int, head.split())
        if after > self._position:
            await self._catch_up(after)
        for event in await self._log.readable([_read(each) for each in envelopes]):
            self._tell(event)
        self._position = max(self._position, reached)

    async def _catch_up(self, until: int) -> None:
        while self._position < until:
            page = await self._log.between(self._position, until, PAGE)
            for event in page:
                self._tell(event)
            if len(page) < PAGE:
                self._position = until

    def _tell(self, event: TopicEvent) -> None:
        if event.sequence is not None:
            if event.sequence <= self._position:
                return
            self._position = event.sequence
        told: dict[int, Follower] = {}
        for topic in event.topics:
            told |= self._followers.get((event.tenant_id, topic), {})
        for follower in told.values():
            follower.hear(event)
        if told and event.occurred_at is not None:
            self._observe((datetime.now(UTC) - event.occurred_at).total_seconds())

    def _hear_signal(self, place: Place, data: bytes) -> None:
        tenant_id, topic = place
        self._tell(TopicEvent(tenant_id=tenant_id, topics=(topic,), name="signal", data=orjson.loads(data)))

    def _signal_channel(self, place: Place) -> str:
        return f"{self._prefix}{place[0]}:{place[1]}"


async def _message(ear: PubSub) -> Any:
    # All channels of an installation have one slot, so that one connection hears them, of a cluster too.
    if isinstance(ear, ClusterPubSub):
        return await ear.get_sharded_message(timeout=READ_WAIT_SECONDS)
    return await ear.get_message(timeout=READ_WAIT_SECONDS)


def _read(envelope: bytes) -> TopicEvent:
    raw = orjson.loads(envelope)
    user = raw["metadata"].get("user_id")
    return TopicEvent(
        tenant_id=UUID(raw["tenant_id"]),
        topics=raw["topics"],
        name=raw["name"],
        data=raw["data"],
        sequence=raw["sequence"],
        aggregate_id=UUID(raw["aggregate_id"]),
        occurred_at=datetime.fromisoformat(raw["occurred_at"]),
        user_id=UUID(user) if user else None,
        origin=raw["metadata"].get(TRACEPARENT),
    )
