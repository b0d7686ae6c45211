"""Whether the server lives, and whether it can do its work: for orchestrators, load balancers and people.

Without its database a server cannot answer, so it is not ready. Without the bus or the search engine it still sells:
events wait in the log and search falls back, so it stays ready and says that it is degraded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

import orjson
import structlog
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from data.bus import RedisBus
from data.database import Database
from data.replicas import Replicas
from data.vital_signs import vital_signs
from domain.platform import ConsumerBacklog, PartHealth, PlatformReads, SystemHealth
from server.metrics import METRICS, Metrics

log = structlog.get_logger("agora.health")

CHECK_SECONDS = 2.0
LAG_SECONDS = 30.0
REFRESH_SECONDS = 2.0


@dataclass(frozen=True)
class Unwell:
    """Why a part does not do its work, in words for an operator."""

    reason: str


Check = Callable[[], Awaitable[Mapping[str, Any] | Unwell]]


class Health:
    """Asks the parts, side by side and each within two seconds; `required` ones decide whether the server is ready."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        required: frozenset[str] = frozenset({"database"}),
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self._checks = checks
        self._required = required
        self._leaving = leaving

    async def report(self) -> dict[str, Any]:
        """Give `status` (ok, degraded or unavailable) and one entry per part."""
        parts = dict(zip(self._checks, await asyncio.gather(*map(self._part, self._checks.items())), strict=True))
        unwell = {name for name, part in parts.items() if part["status"] != "ok"}
        status = "unavailable" if unwell & self._required else "degraded" if unwell else "ok"
        return {"status": status, "parts": parts}

    async def _part(self, named: tuple[str, Check]) -> dict[str, Any]:
        name, check = named
        begun = perf_counter()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                found = await check()
        except TimeoutError:
            found = Unwell("no answer in time")
        except Exception as error:  # noqa: BLE001 — whatever ails the part, the report says so and nothing else breaks.
            # The reason stays in the log: it may name hosts and users.
            log.warning("health.part_unwell", part=name, reason=repr(error))
            found = Unwell("cannot be reached")
        milliseconds = round((perf_counter() - begun) * 1000, 1)
        if isinstance(found, Unwell):
            return {"status": "unavailable", "reason": found.reason, "milliseconds": milliseconds}
        return {"status": "ok", **found, "milliseconds": milliseconds}

    def routes(self, others: Sequence[str] = ()) -> list[Route]:
        """Give `/health/live`, `/health/ready`, and `/health` and the others as further names of the latter."""
        return [
            Route("/health/live", _live),
            Route("/health/ready", self._ready),
            *(Route(path, self._ready) for path in ("/health", *others)),
        ]

    async def _ready(self, _: Request) -> Response:
        if self._leaving():
            return _json({"status": "stopping", "parts": {}}, 503)
        report = await self.report()
        return _json(report, 503 if report["status"] == "unavailable" else 200)


async def _live(_: Request) -> Response:
    return _json({"status": "ok"}, 200)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status, headers={"cache-control": "no-store"}, media_type="application/json")


def database_check(database: Database) -> Check:
    """Ask whether PostgreSQL answers."""

    async def check() -> Mapping[str, Any]:
        reads = database.system_reads()
        try:
            (row,) = await reads.text("SELECT current_setting('server_version') AS version")
        finally:
            await reads.close()
        return {"version": row.version}

    return check


def replicas_check(replicas: Replicas) -> Check:
    """Ask how far the replicas are behind; without one that is near enough the primary does their work."""

    async def check() -> Mapping[str, Any] | Unwell:
        left_out = [each.name for each in replicas.all if each.lag_seconds > replicas.limit_seconds]
        if left_out:
            return Unwell(f"too far behind, or lost: {', '.join(left_out)}")
        return {"replicas": len(replicas.all), "lag_seconds": round(max(each.lag_seconds for each in replicas.all), 3)}

    return check


def bus_check(database: Database, bus: RedisBus, lag_seconds: float = LAG_SECONDS) -> Check:
    """Ask whether events get from the log to the bus, and how far the consumers are behind."""

    async def check() -> Mapping[str, Any] | Unwell:
        lag = await outbox_lag(database)
        if lag > lag_seconds:
            return Unwell(f"an event has been waiting for {lag:.0f} s to be published")
        try:
            backlogs = await bus.backlogs()
        except RedisError:
            return Unwell("the server of the bus cannot be reached")
        return {"lag_seconds": round(lag, 3), "backlog": sum(each.undelivered + each.pending for each in backlogs)}

    return check


async def outbox_lag(database: Database) -> float:
    """Give the age in seconds of the oldest event that is not on the bus yet; 0 when there is none."""
    reads = database.system_reads()
    try:
        return await reads.port(PlatformReads).outbox_lag_seconds()
    finally:
        await reads.close()


async def dead_letter_count(database: Database) -> int:
    """Give the number of events, of all tenants, that were given up."""
    reads = database.system_reads()
    try:
        return await reads.port(PlatformReads).dead_letter_count()
    finally:
        await reads.close()


class LiveHealth:
    """The same report for the graph, with what the consumers have still to do; implements the domain's `HealthReads`."""

    def __init__(self, health: Health, database: Database, bus: RedisBus) -> None:
        self._health = health
        self._database = database
        self._bus = bus

    async def report(self) -> SystemHealth:
        report = await self._health.report()
        parts = [_part(name, found) for name, found in report["parts"].items()]
        try:
            backlogs, workers = await self._bus.backlogs(), await self._bus.workers()
        except RedisError:
            backlogs, workers = [], []
        return SystemHealth(
            status=report["status"],
            parts=parts,
            consumers=[
                ConsumerBacklog(
                    consumer=each.consumer, stream=each.stream, undelivered=each.undelivered, unfinished=each.pending
                )
                for each in backlogs
            ],
            workers=workers,
            dead_letters=await dead_letter_count(self._database),
        )


def _part(name: str, found: dict[str, Any]) -> PartHealth:
    figures = {key: value for key, value in found.items() if key not in {"status", "reason", "milliseconds"}}
    return PartHealth(
        name=name,
        status=found["status"],
        reason=found.get("reason"),
        milliseconds=found["milliseconds"],
        figures=figures,
    )


def refresher(
    database: Database, bus: RedisBus, metrics: Metrics = METRICS, replicas: Replicas | None = None
) -> Callable[[], Awaitable[None]]:
    """Give what brings the gauges of the whole installation up to date before they are shown, at most every few seconds."""
    known_at = -REFRESH_SECONDS

    async def refresh() -> None:
        nonlocal known_at
        if monotonic() - known_at < REFRESH_SECONDS:
            return
        known_at = monotonic()
        for each in replicas.all if replicas is not None else ():
            metrics.replica_lag.labels(each.name).set(each.lag_seconds)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                metrics.outbox_age.set(await outbox_lag(database))
                metrics.dead_letters.set(await dead_letter_count(database))
                metrics.vital(await vital_signs(database))
                metrics.backlogs(await bus.backlogs())
                metrics.workers.set(len(await bus.workers()))
        except Exception as error:  # noqa: BLE001 — metrics of the other parts are shown all the same.
            log.warning("metrics.not_refreshed", reason=repr(error))

    return refresh
