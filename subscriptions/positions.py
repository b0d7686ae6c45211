"""Where drivers were last, in Redis, and those who watch them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.delivery.geography import Ping, Position
from domain.delivery.topics import driver_signal
from domain.kernel import Unavailable
from domain.topics import Presence, Signals

log = structlog.get_logger("agora.delivery")

KEPT_SECONDS = 6 * 3600
LARGEST_GROUP = 500
SIGNAL_SECONDS = 1.0

# A position that comes late must not take the place of a newer one, whichever process it came by.
_NEWEST = """
local kept = {}
for i = 1, #KEYS do
  local known = redis.call('GET', KEYS[i])
  local at = tonumber(ARGV[i * 2 - 1])
  if known and tonumber(string.match(known, '^[^ ]+')) >= at then
    kept[i] = 0
  else
    redis.call('SET', KEYS[i], ARGV[i * 2], 'EX', ARGV[#ARGV])
    kept[i] = 1
  end
end
return kept
"""


class RedisPositions:
    """Keeps the newest position of every driver for some hours; implements the domain's `Positions`.

    What is asked in one turn of the loop goes to Redis together: one MGET for those who ask, one script for those who
    tell. All keys of an installation carry one hash tag, so that a cluster keeps them in one place.
    """

    def __init__(self, redis: Redis, namespace: str = "agora") -> None:
        self._prefix = f"{{{namespace}}}:position:"
        self._redis = redis
        self._script = redis.register_script(_NEWEST)
        self._asked = Group(self._read)
        self._told = Group(self._write)

    async def last(self, tenant_id: UUID, driver_ids: Sequence[UUID]) -> list[Ping | None]:
        found = await asyncio.gather(*(self._asked.join(self._key(tenant_id, each)) for each in driver_ids))
        return list(found)

    async def keep(self, tenant_id: UUID, driver_id: UUID, ping: Ping) -> bool:
        return bool(await self._told.join((self._key(tenant_id, driver_id), ping)))

    async def _read(self, keys: Sequence[str]) -> list[Ping | None]:
        return [_ping(each) for each in await self._redis.mget(keys)]

    async def _write(self, told: Sequence[tuple[str, Ping]]) -> list[Any]:
        arguments: list[Any] = []
        for _, ping in told:
            micros = _micros(ping.at)
            arguments += [micros, f"{micros} {ping.position.latitude!r} {ping.position.longitude!r}"]
        answers: list[Any] = await self._script(keys=[key for key, _ in told], args=[*arguments, KEPT_SECONDS])
        return answers

    def _key(self, tenant_id: UUID, driver_id: UUID) -> str:
        return f"{self._prefix}{tenant_id}:{driver_id}"


class Group:
    """Lets what is asked in one turn of the loop be answered by one call, in the order of asking."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def join(self, asked: Any) -> asyncio.Future[Any]:
        """Give what will be the answer."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((asked, answer))
        return answer

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), LARGEST_GROUP):
            task = asyncio.create_task(self._run(waiting[start : start + LARGEST_GROUP]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, group: Sequence[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._answer([asked for asked, _ in group])
        except Exception as error:  # noqa: BLE001 — it is handed to those who asked.
            lost = isinstance(error, RedisError | OSError)
            refusal = Unavailable(part="The store of positions") if lost else error
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(refusal)
            return
        for (_, answer), value in zip(group, answers, strict=True):
            if not answer.done():
                answer.set_result(value)


class WatchedSignals:
    """Tells once a second, to those who are there, where the drivers are that moved; implements `DriverSignals`.

    Of ten thousand drivers few are watched: whoever watches one is present at its delivery, and for the others nothing is
    sent at all.
    """

    def __init__(self, signals: Signals, presence: Presence, *, seconds: float = SIGNAL_SECONDS) -> None:
        self._signals = signals
        self._presence = presence
        self._seconds = seconds
        self._moved: dict[tuple[UUID, UUID], Ping] = {}
        self._telling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def tell(self, tenant_id: UUID, delivery_id: UUID, ping: Ping) -> None:
        self._moved[tenant_id, delivery_id] = ping
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """Tell as long as somebody moves; the first who moves after a rest is told of at once."""
        while self._moved:
            moved, self._moved = self._moved, {}
            try:
                for tenant_id in {tenant_id for tenant_id, _ in moved}:
                    await self._tell_tenant(
                        tenant_id, {each: ping for (of, each), ping in moved.items() if of == tenant_id}
                    )
            except (RedisError, OSError) as failure:
                log.warning("positions.unsignalled", reason=repr(failure)[:200])
            await asyncio.sleep(self._seconds)

    async def _tell_tenant(self, tenant_id: UUID, moved: dict[UUID, Ping]) -> None:
        watched = await self._presence.count(tenant_id, [driver_signal(each) for each in moved])
        for (delivery_id, ping), watchers in zip(moved.items(), watched, strict=True):
            if watchers:
                await self._signals.send(tenant_id, driver_signal(delivery_id), _told(ping))


def _told(ping: Ping) -> dict[str, Any]:
    return {"latitude": ping.position.latitude, "longitude": ping.position.longitude, "at": ping.at.isoformat()}


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _ping(kept: Any) -> Ping | None:
    if kept is None:
        return None
    micros, latitude, longitude = kept.decode().split(" ")
    return Ping(Position(float(latitude), float(longitude)), datetime.fromtimestamp(int(micros) / 1_000_000, UTC))
