"""The worker: the relay, the consumers of events, and the jobs, in one process; as many of them as one likes."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from data.audit import SqlAuditTrail
from data.bus import RedisBus, connect
from data.database import Database
from data.dead_letters import Backoff
from data.declarations import declared, groups_of, subscribers_of
from data.housekeeping import Housekeeping
from data.inbox import Deliveries, Subscriber
from data.job_runner import JobRunner
from data.leases import Leases
from data.relay import RECOVERY_PAUSE_SECONDS, Relay, pause
from data.restorations import Hold
from data.sagas import SagaHolds
from data.transactions import SqlTransactions
from domain.auditing import AuditTrail
from domain.jobs import Job, Jobs
from domain.kernel import Subscriptions, Unavailable, uuid7
from domain.processes.importing import ImportFiles
from domain.search import IndexIsWrittenElsewhere, SearchUnavailable
from server.attempts import Attempts
from server.books_keeper import BooksKeeper
from server.consumers import LOST_SERVERS, Consumer, both, together
from server.figures import Figures
from server.health import Health, bus_check, database_check, refresher
from server.import_worker import ImportWorker
from server.index_keeper import IndexKeeper
from server.memory import settle
from server.metrics import METRICS, Metrics, metrics_route
from server.notifications.wiring import dispatcher
from server.probe import BEAT_FILE
from server.pulse import measured, watch_pools
from server.sagas import SagaKeeper
from server.services import open_services
from server.settings import Settings
from server.side_port import side_port
from server.tracing import traces

log = structlog.get_logger("agora.worker")

# They say that a part is down, and nothing against the event that met it.
OUTAGES = (Unavailable, SearchUnavailable, ConnectionError, RedisError, IndexIsWrittenElsewhere)
HEARTBEAT_SECONDS = 5.0
MISSED_BEATS = 3


def _chores(database: Database, trail: SqlAuditTrail | None) -> dict[str, tuple[str, Callable[[], Awaitable[Any]]]]:
    """Give what is done by the clock: throwing away, and sealing the audit trail."""
    sealing = {} if trail is None else {"platform.seal_audit": ("* * * * *", trail.seal)}
    return {**Housekeeping(database).schedule(), **sealing}


class Worker:
    """What one worker process runs; `services` are the process-wide ports that handlers may ask for."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        *,
        subscribers: Sequence[Subscriber],
        jobs: Sequence[Job] = (),
        services: Mapping[type, Any] | None = None,
        outages: tuple[type[Exception], ...] = OUTAGES,
        parts: Sequence[Callable[[asyncio.Event], Awaitable[None]]] = (),
        backoff: Backoff = Backoff(),  # noqa: B008 — a frozen value.
        namespace: str = "agora",
        metrics: Metrics = METRICS,
    ) -> None:
        self.member = f"{socket.gethostname()}-{os.getpid()}-{uuid7().hex[-6:]}"
        self.database = database
        self.bus = RedisBus(redis, namespace)
        self._subscribers = subscribers
        self._parts = parts
        transactions = SqlTransactions(database, dict(services or {}), observe=metrics.commanded)
        self._attempts = Attempts(
            database, Deliveries(transactions), backoff=backoff, outages=outages, observe=metrics.handled
        )
        self.relay = Relay(database.url, self.bus, groups_of(subscribers), observe=metrics.relayed)
        self.consumers: list[Consumer] = []
        self._hold = Hold(database)
        self._jobs = JobRunner(database.url, transactions, jobs, _chores(database, (services or {}).get(AuditTrail)))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what has begun is finished first."""
        log.info("worker.started", member=self.member, consumers=sorted(groups_of(self._subscribers)))
        await together(
            [
                self._kept(self.relay.run, stop),
                self._kept(self._consume, stop),
                self._kept(self._hold.before(self._jobs.run), stop),
                self._kept(self._beat, stop),
                *(self._kept(part, stop) for part in self._parts),
            ]
        )
        log.info("worker.stopped", member=self.member)

    async def _kept(self, part: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
        """Begin a part again whenever it fails: one that cannot work must not take the others with it."""
        while not stop.is_set():
            try:
                await part(stop)
            except Exception:
                log.exception("worker.part_failed", part=getattr(part, "__qualname__", repr(part)))
                await pause(stop, RECOVERY_PAUSE_SECONDS)

    async def _consume(self, stop: asyncio.Event) -> None:
        try:
            async with Leases(self.database.url) as leases:
                self.consumers = [self._consumer(name, leases) for name in groups_of(self._subscribers)]
                ended = asyncio.Event()
                # Without its leases a worker must stop as if it were told to: another one may be at work already.
                await both(*(each.run(ended) for each in self.consumers), _either(stop, leases.lost, ended))
        except LOST_SERVERS as failure:
            log.warning("worker.interrupted", reason=repr(failure))
            await pause(stop, RECOVERY_PAUSE_SECONDS)

    def _consumer(self, name: str, leases: Leases) -> Consumer:
        own = [each for each in self._subscribers if each.consumer == name]
        return Consumer(name, own, self.bus, self._attempts, leases, self.member)

    async def _beat(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.bus.beat(self.member, int(HEARTBEAT_SECONDS * MISSED_BEATS))
            except LOST_SERVERS as failure:
                log.warning("worker.no_heartbeat", reason=repr(failure))
            await pause(stop, HEARTBEAT_SECONDS)


async def _either(stop: asyncio.Event, lost: asyncio.Event, ended: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(lost.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.set()
        for each in waits:
            each.cancel()


def beating(home: Path) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Give a part that touches a file as long as the event loop turns, for whoever watches from outside."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / BEAT_FILE

    async def beat(stop: asyncio.Event) -> None:
        while not stop.is_set():
            # On the event loop on purpose: a loop that hangs touches nothing.
            file.touch()
            await pause(stop, HEARTBEAT_SECONDS)

    return beat


async def run(settings: Settings) -> None:
    """Run a worker until cancelled; then let what has begun come to its end. It is the one that writes the search index."""
    subscribers = subscribers_of(declared(Subscriptions))
    jobs = [job for each in declared(Jobs) for job in each.entries]
    stop = asyncio.Event()
    async with (
        _traced(settings),
        open_services(settings, writes_index=True) as services,
        connect(settings.redis_url) as redis,
    ):
        bus, hold = RedisBus(redis, settings.redis_namespace), Hold(services.database)
        hold = Hold(services.database)
        imports = ImportWorker(services, services.by_port[ImportFiles])
        worker = Worker(
            services.database,
            redis,
            subscribers=subscribers,
            jobs=jobs,
            services=services.by_port,
            namespace=settings.redis_namespace,
            parts=[
                beating(settings.home),
                imports.run,
                IndexKeeper(services).run,
                hold.before(SagaKeeper(services.sagas, SagaHolds(services.database)).run),
                hold.before(dispatcher(settings, services).run),
                BooksKeeper(services.database).run,
                Figures(bus, "worker").run,
            ],
        )
        settle()
        async with _watched(settings, services.database, bus):
            work = asyncio.ensure_future(worker.run(stop))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait({work}, timeout=settings.drain_seconds)
                raise
            finally:
                work.cancel()


@asynccontextmanager
async def _traced(settings: Settings) -> AsyncIterator[None]:
    with traces(settings, "worker"):
        yield


@asynccontextmanager
async def _watched(settings: Settings, database: Database, bus: RedisBus) -> AsyncIterator[None]:
    """Let those who watch over the process see it, on a port of its own where there is one."""
    health = Health({"database": database_check(database), "bus": bus_check(database, bus)})
    shown = metrics_route(refresher(database, bus), METRICS, settings.metrics_token)
    watch_pools(database)
    routes = [*health.routes(), shown]
    async with side_port(settings.metrics_host, settings.worker_metrics_port, routes):
        with measured():
            yield
