"""One attempt at an event, and what follows from its failure: another try later, or a dead letter."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import structlog
from redis.exceptions import RedisError

from data.database import Database
from data.dead_letters import Backoff, Failure, Retries
from data.inbox import Deliveries, Outcome, Subscriber
from domain import tracing
from domain.kernel import Unavailable
from domain.tracing import TRACEPARENT, Attribute

log = structlog.get_logger(__name__)
Raw = dict[str, Any]

HANDLER_SECONDS = 60.0
MOST_LINKS = 32
BEHIND = "an older event of the same aggregate waits"


@dataclass(frozen=True)
class Handled:
    """One call of a handler, for those who count: the outcome is one of `Outcome`, or failed."""

    handler: str
    outcome: str
    events: int
    seconds: float


def _unobserved(_handled: Handled) -> None:
    """Nobody counts."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class _Call:
    outcome: str = "failed"
    error: Exception | None = None


class Attempts:
    """Calls handlers and remembers failures; errors of the kinds in `outages` never make an event a dead letter."""

    def __init__(
        self,
        database: Database,
        deliveries: Deliveries,
        *,
        backoff: Backoff = Backoff(),  # noqa: B008 — a frozen value.
        outages: tuple[type[Exception], ...] = (Unavailable, RedisError, ConnectionError),
        now: Callable[[], datetime] = _utc_now,
        observe: Callable[[Handled], None] = _unobserved,
    ) -> None:
        self.now = now
        self._database = database
        self._deliveries = deliveries
        self._backoff = backoff
        self._outages = outages
        self._observe = observe

    async def first(self, subscriber: Subscriber, raw: Raw) -> bool:
        """Handle an event from the bus; says whether it has to wait."""
        with self._told(subscriber, [raw]) as call:
            try:
                async with asyncio.timeout(HANDLER_SECONDS):
                    call.outcome = await self._deliveries.first(subscriber, raw)
            except Exception as error:  # noqa: BLE001 — whatever a handler raises, the event is tried again.
                call.error = error
                await self._failed(subscriber, [(raw, 0)], error)
        if call.outcome == Outcome.BEHIND:
            await self._wait_behind(subscriber, [raw])
        return call.outcome not in {Outcome.HANDLED, Outcome.KNOWN}

    async def batch(self, subscriber: Subscriber, raws: Sequence[Raw]) -> float:
        """Handle events of one tenant as a batch; gives the seconds to wait before the next one, if this one failed."""
        async with self._database.session(None) as session:
            waiting = await Retries(session).waiting(subscriber.key, {raw["aggregate_id"] for raw in raws})
        behind = [raw for raw in raws if raw["aggregate_id"] in waiting]
        if behind:
            await self._wait_behind(subscriber, behind)
        free = [raw for raw in raws if raw["aggregate_id"] not in waiting]
        error = await self._whole(subscriber, free, []) if free else None
        if error is None:
            return 0.0
        return await self._failed(subscriber, [(raw, 0) for raw in free], error)

    async def again(self, subscriber: Subscriber, failures: Sequence[Failure]) -> None:
        """Handle events once more: several in a batch, or one."""
        if subscriber.batch:
            error = await self._whole(subscriber, [each.envelope for each in failures], failures)
        else:
            error = await self._single(subscriber, failures[0])
        if error is not None:
            await self._failed(subscriber, [(each.envelope, each.attempts) for each in failures], error)

    async def waiting(self, subscribers: Sequence[str], limit: int) -> list[Failure]:
        """Give the events whose next try comes first, of each aggregate only the oldest."""
        async with self._database.session(None) as session:
            return await Retries(session).heads(subscribers, limit)

    async def _single(self, subscriber: Subscriber, failure: Failure) -> Exception | None:
        with self._told(subscriber, [failure.envelope]) as call:
            try:
                async with asyncio.timeout(HANDLER_SECONDS):
                    call.outcome = await self._deliveries.again(subscriber, failure)
            except Exception as error:  # noqa: BLE001 — see `first`.
                call.error = error
        return call.error

    async def _whole(self, subscriber: Subscriber, raws: Sequence[Raw], settled: Sequence[Failure]) -> Exception | None:
        with self._told(subscriber, raws) as call:
            try:
                async with asyncio.timeout(HANDLER_SECONDS):
                    await self._deliveries.batch(subscriber, raws, settled)
                    call.outcome = Outcome.HANDLED
            except Exception as error:  # noqa: BLE001 — see `first`.
                call.error = error
        return call.error

    async def _failed(self, subscriber: Subscriber, tried: Sequence[tuple[Raw, int]], error: Exception) -> float:
        """Remember a failed attempt, or give up after the last one; gives the longest pause, in seconds."""
        failures = [self._failure(subscriber, raw, before, error) for raw, before in tried]
        dead = [each for each in failures if each.attempts >= self._backoff.attempts]
        parked = [each for each in failures if each.attempts < self._backoff.attempts]
        async with self._database.session(None) as session:
            retries = Retries(session)
            await retries.park(parked)
            for each in dead:
                await retries.bury(each, self.now())
        first = tried[0][0]
        log.warning(
            "event.failed",
            handler=subscriber.key,
            event_id=first["event_id"],
            correlation_id=first["metadata"].get("correlation_id"),
            waiting=len(parked),
            dead=len(dead),
            reason=repr(error),
            # Where it failed is told once when it begins, and once when it is given up.
            exc_info=error if dead or not tried[0][1] else None,
        )
        return max(((each.due_at - self.now()).total_seconds() for each in parked), default=0.0)

    def _failure(self, subscriber: Subscriber, raw: Raw, before: int, error: Exception) -> Failure:
        attempts = before + 1
        if isinstance(error, self._outages):
            attempts = min(attempts, self._backoff.attempts - 1)
        due_at = self.now() + self._backoff.pause(attempts)
        return Failure(handler=subscriber.key, envelope=raw, attempts=attempts, due_at=due_at, error=repr(error))

    async def _wait_behind(self, subscriber: Subscriber, raws: Sequence[Raw]) -> None:
        now = self.now()
        waiting = [Failure(handler=subscriber.key, envelope=raw, attempts=0, due_at=now, error=BEHIND) for raw in raws]
        async with self._database.session(None) as session:
            await Retries(session).park(waiting, anew=False)

    @contextmanager
    def _told(self, subscriber: Subscriber, raws: Sequence[Raw]) -> Iterator[_Call]:
        """Let the log and the counters know what is being handled."""
        call, begun, first = _Call(), perf_counter(), raws[0]
        told: dict[str, Attribute] = {
            "messaging.operation.type": "process",
            "messaging.batch.message_count": len(raws),
            "agora.event.name": first["name"],
            "agora.event.id": first["event_id"],
            "agora.tenant.id": first["tenant_id"],
        }
        origins = [raw["metadata"].get(TRACEPARENT) for raw in raws[:MOST_LINKS]]
        with (
            tracing.followed_from(f"handle {subscriber.key}", origins, told) as span,
            structlog.contextvars.bound_contextvars(
                handler=subscriber.key,
                tenant_id=first["tenant_id"],
                event=first["name"],
                event_id=first["event_id"],
                correlation_id=first["metadata"].get("correlation_id"),
            ),
        ):
            yield call
            if call.error is not None:
                span.fail(call.error)
        self._observe(Handled(subscriber.key, call.outcome, len(raws), perf_counter() - begun))
