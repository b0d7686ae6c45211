"""The bus on Redis Streams: one stream per event prefix, one consumer group per context, ids that are log sequences.

An entry's id is `<sequence>-0`, so a stream is in the log's order by construction, and no event stands in it twice.
How far the bus has come is kept beside the streams and moves with them in one step: a relay that believes something
else (another relay was faster, or the server came back with less than it had) is told so and publishes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

import orjson
from redis import Redis as SyncRedis
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from domain.kernel import Envelope

# Kept of a stream that no group reads, for people who look at it.
TAIL_ENTRIES = 10_000

# KEYS: position, streams.  ARGV: the expected position, the new one, the channel of those who follow, what to tell them,
# then (stream's index, sequence, name, envelope) per event.  Gives nothing on success, else the position that the bus really
# has (an empty text: none).
_PUBLISH = """
local here = redis.call('GET', KEYS[1]) or ''
if here ~= ARGV[1] then return here end
for i = 5, #ARGV, 4 do
  local added = redis.pcall('XADD', KEYS[tonumber(ARGV[i])], ARGV[i + 1] .. '-0', 'n', ARGV[i + 2], 'e', ARGV[i + 3])
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return redis.error_reply(added.err)
  end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SPUBLISH', ARGV[3], ARGV[4])
return false
"""


CLUSTER = "+cluster"


def connect(url: str) -> Redis:
    """Make a Redis client that gives up on a silent server; the limit is longer than any blocking read.

    `redis+cluster://` names one node of a cluster, which tells of the others.
    """
    if CLUSTER not in url.partition("://")[0]:
        return Redis.from_url(url, socket_connect_timeout=5, socket_timeout=10, health_check_interval=30)
    single = url.replace(CLUSTER, "", 1)
    cluster = RedisCluster.from_url(single, socket_connect_timeout=5, socket_timeout=10, health_check_interval=30)
    # It takes the same commands, and has no class in common with the other.
    return cast("Redis", cluster)


def empty_namespace(url: str, namespace: str) -> None:
    """Throw away everything that an installation keeps in Redis, all of which it makes again.

    Raises: RedisError.
    """
    with SyncRedis.from_url(url, socket_connect_timeout=5, socket_timeout=60) as client:
        for key in client.scan_iter(match=f"{{{namespace}}}:*", count=1000):
            client.unlink(key)


class Published(NamedTuple):
    """An event as the relay hands it over: its place in the log, its name, its envelope as JSON, and whether it is followed."""

    sequence: int
    name: str
    envelope: bytes
    followed: bool = False


class Delivery(NamedTuple):
    """An event as a consumer gets it; `envelope` is still JSON, so that what nobody wants is never parsed."""

    stream: str
    sequence: int
    name: str
    envelope: bytes


@dataclass(frozen=True)
class Backlog:
    """What a consumer group has still to do: entries never delivered, and entries delivered but not acknowledged."""

    stream: str
    consumer: str
    undelivered: int
    pending: int
    handled_to: int
    caught_up: bool


@cache
def prefix_of(name: str) -> str:
    """Give the part of an event name that its stream is called by: `product` of `product.created`."""
    return name.partition(".")[0]


class RedisBus:
    """Publishes to the streams and reads from them; `namespace` lets several installations share a server.

    All keys carry one hash tag, so a Redis Cluster keeps them together and the publishing script stays atomic.
    """

    def __init__(self, redis: Redis, namespace: str = "agora") -> None:
        self.redis = redis
        self._keys = f"{{{namespace}}}"
        self._position = f"{self._keys}:position"
        self._channel = channel_of(namespace)
        self._publish = redis.register_script(_PUBLISH)

    def key(self, prefix: str) -> str:
        """Give the key of a prefix's stream."""
        return f"{self._keys}:events:{prefix}"

    async def publish(self, after: int | None, events: Sequence[Published]) -> int | None:
        """Append events that follow position `after`, all or none; gives the position that the bus has in the end.

        A position that is not the last event's sequence says that the bus was not at `after`; None: it has no position.
        """
        keys = {prefix: index for index, prefix in enumerate(dict.fromkeys(prefix_of(each.name) for each in events), 2)}
        reached = events[-1].sequence if events else after
        told = tidings(after or 0, reached or 0, events)
        arguments: list[Any] = ["" if after is None else after, reached, self._channel, told]
        for sequence, name, envelope, _ in events:
            arguments += (keys[prefix_of(name)], sequence, name, envelope)
        found = await self._publish(keys=[self._position, *map(self.key, keys)], args=arguments)
        if found is not None:
            return int(found) if found else None
        return reached

    async def position(self) -> int | None:
        """Give the sequence up to which the bus holds the log, or None where nobody has begun."""
        found = await self.redis.get(self._position)
        return None if found is None else int(found)

    async def begin(self, position: int) -> None:
        """Start an empty bus at a position; what the streams hold, if anything, belongs to another log and goes."""
        stale = [key async for key in self.redis.scan_iter(match=f"{self._keys}:events:*", count=1000)]
        async with self.redis.pipeline(transaction=True) as pipe:
            if stale:
                pipe.delete(*stale)
            pipe.set(self._position, position)
            await pipe.execute()

    async def join(self, consumer: str, prefixes: Iterable[str]) -> None:
        """Make sure that a consumer's group exists on the streams; a new one begins with the oldest entry kept."""
        for prefix in prefixes:
            try:
                await self.redis.xgroup_create(self.key(prefix), consumer, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def read(
        self, consumer: str, member: str, prefixes: Sequence[str], *, count: int, wait_ms: int
    ) -> list[Delivery]:
        """Give up to `count` new entries per stream, in the log's order; waits up to `wait_ms` for the first one."""
        streams: dict[Any, Any] = {self.key(prefix): ">" for prefix in prefixes}
        found = await self.redis.xreadgroup(consumer, member, streams, count=count, block=wait_ms)
        deliveries = [
            delivery
            for key, entries in _pairs(found)
            for delivery in _deliveries(self._prefix(key), (entry for batch in _batches(entries) for entry in batch))
        ]
        deliveries.sort(key=lambda each: each.sequence)
        return deliveries

    async def reclaim(self, consumer: str, member: str, prefixes: Sequence[str], *, idle_ms: int) -> list[Delivery]:
        """Take over what other members of the group were given and did not acknowledge, in the log's order."""
        taken: list[Delivery] = []
        for prefix in prefixes:
            start: Any = "0-0"
            while True:
                start, entries, *_ = await self.redis.xautoclaim(
                    self.key(prefix), consumer, member, min_idle_time=idle_ms, start_id=start, count=1000
                )
                taken += _deliveries(prefix, entries)
                if start in (b"0-0", "0-0"):
                    break
        taken.sort(key=lambda each: each.sequence)
        return taken

    async def forget_members(self, consumer: str, prefixes: Sequence[str], keep: str) -> None:
        """Remove the group's members other than `keep` that hold nothing."""
        for prefix in prefixes:
            for each in await self.redis.xinfo_consumers(self.key(prefix), consumer):
                name = _text(each["name"])
                if name != keep and not each["pending"]:
                    await self.redis.xgroup_delconsumer(self.key(prefix), consumer, name)

    async def acknowledge(self, consumer: str, deliveries: Iterable[Delivery]) -> None:
        """Say that entries are done with."""
        ids: dict[str, list[str]] = {}
        for each in deliveries:
            ids.setdefault(each.stream, []).append(f"{each.sequence}-0")
        if not ids:
            return
        async with self.redis.pipeline(transaction=False) as pipe:
            for prefix, entries in ids.items():
                pipe.xack(self.key(prefix), consumer, *entries)
            await pipe.execute()

    async def backlogs(self) -> list[Backlog]:
        """Give what every group of every stream has still to do."""
        found = []
        async for key in self.redis.scan_iter(match=f"{self._keys}:events:*", count=1000):
            last = _sequence((await self.redis.xinfo_stream(key))["last-generated-id"])
            found += [await self._backlog(key, group, last) for group in await self.redis.xinfo_groups(key)]
        return found

    async def trim(self) -> int:
        """Drop entries that every group is done with, in whole nodes of the stream; gives how many went."""
        low: dict[str, int] = {}
        for each in await self.backlogs():
            low[each.stream] = min(each.handled_to, low.get(each.stream, each.handled_to))
        dropped = 0
        async for key in self.redis.scan_iter(match=f"{self._keys}:events:*", count=1000):
            handled_to = low.get(self._prefix(key))
            if handled_to is None:
                dropped += await self.redis.xtrim(key, maxlen=TAIL_ENTRIES, approximate=True)
            else:
                dropped += await self.redis.xtrim(key, minid=f"{handled_to + 1}-0", approximate=True)
        return dropped

    async def beat(self, member: str, seconds: int) -> None:
        """Say that a worker lives; after so many seconds without another beat it counts as dead."""
        await self.redis.set(f"{self._keys}:worker:{member}", "", ex=seconds)

    async def workers(self) -> list[str]:
        """Give the names of the workers that live."""
        found = self.redis.scan_iter(match=f"{self._keys}:worker:*", count=1000)
        return sorted([self._prefix(key) async for key in found])

    async def tell(self, member: str, figures: bytes, seconds: int) -> None:
        """Leave a process's figures where the others find them, for so many seconds."""
        await self.redis.set(f"{self._keys}:figures:{member}", figures, ex=seconds)

    async def told(self, most: int) -> list[bytes | str]:
        """Give what the processes have told of themselves, of so many at most."""
        found = self.redis.scan_iter(match=f"{self._keys}:figures:*", count=1000)
        keys = [key async for key in found][:most]
        return [each for each in await self.redis.mget(keys) if each is not None] if keys else []

    async def _backlog(self, key: Any, group: Any, last: int) -> Backlog:
        delivered, pending = _sequence(group["last-delivered-id"]), group["pending"]
        caught_up = delivered >= last and not pending
        handled_to = min(delivered, last)
        if pending:
            oldest = (await self.redis.xpending(key, group["name"]))["min"]
            # Pending entries may have been acknowledged between the two questions.
            handled_to = min(handled_to, _sequence(oldest) - 1) if oldest else handled_to
        # The server gives no lag where entries went out of the middle; then it is counted, as far as it matters.
        lag = group["lag"]
        if lag is None:
            lag = len(await self.redis.xrange(key, min=f"({delivered}-0", count=TAIL_ENTRIES) or ())
        return Backlog(self._prefix(key), _text(group["name"]), lag, pending, handled_to, caught_up)

    def _prefix(self, key: bytes | str) -> str:
        return _text(key).rpartition(":")[2]


def channel_of(namespace: str) -> str:
    """Name the channel on which those who follow topics hear what was published."""
    return f"{{{namespace}}}:followed"


def tidings(after: int, reached: int, events: Iterable[Published]) -> bytes:
    """Write what followers hear: the positions that this leads from and to, and the envelopes of followed events, a line each."""
    lines = [b"%d %d" % (after, reached), *(each.envelope for each in events if each.followed)]
    return b"\n".join(lines)


def encode(row: Any) -> bytes:
    """Write a row of the log as an envelope; `data` and `metadata` are JSON already and go in as they are."""
    return (
        f'{{"sequence":{row["sequence"]},"event_id":"{row["event_id"]}","tenant_id":"{row["tenant_id"]}",'
        f'"aggregate_id":"{row["aggregate_id"]}","aggregate_type":{_quoted(row["aggregate_type"])},'
        f'"version":{row["version"]},"name":{_quoted(row["name"])},"occurred_at":"{row["occurred_at"].isoformat()}",'
        f'"topics":{orjson.dumps(row["topics"]).decode()},"data":{row["data"]},"metadata":{row["metadata"]}}}'
    ).encode()


def decode(envelope: bytes | dict[str, Any]) -> Envelope:
    """Read what `encode` wrote."""
    raw = orjson.loads(envelope) if isinstance(envelope, bytes) else envelope
    user_id = raw["metadata"].get("user_id")
    return Envelope(
        event_id=UUID(raw["event_id"]),
        name=raw["name"],
        tenant_id=UUID(raw["tenant_id"]),
        aggregate_id=UUID(raw["aggregate_id"]),
        aggregate_type=raw["aggregate_type"],
        version=raw["version"],
        data=raw["data"],
        occurred_at=datetime.fromisoformat(raw["occurred_at"]),
        correlation_id=raw["metadata"].get("correlation_id") or "",
        user_id=UUID(user_id) if user_id else None,
    )


@cache
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _sequence(entry_id: bytes | str) -> int:
    return int(_text(entry_id).partition("-")[0])


def _pairs(found: Any) -> Iterable[tuple[Any, Any]]:
    # RESP3 answers with a map, RESP2 with a list of pairs.
    return cast("Iterable[tuple[Any, Any]]", found.items() if isinstance(found, dict) else found or ())


def _batches(entries: Any) -> Iterable[Any]:
    return entries if entries and isinstance(entries[0], list) else (entries,)


def _deliveries(prefix: str, entries: Iterable[Any]) -> list[Delivery]:
    # An entry that was trimmed while it was pending comes back without fields.
    return [Delivery(prefix, _sequence(key), _text(body[b"n"]), body[b"e"]) for key, body in entries if body]
