"""Prometheus metrics. Label values are names that the code itself knows, so their number does not grow with traffic."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from platform import python_version
from time import perf_counter
from types import MappingProxyType

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.bus import Backlog
from data.relay import Progress
from data.transactions import Commanded
from data.vital_signs import VitalSigns
from server.attempts import Handled
from server.payments.routing import ProviderCall

log = structlog.get_logger("agora.access")

METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"})
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHORT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
FEW = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
MANY = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000)
LOGINS = {
    "domain.identity.login.complete_login": "succeeded",
    "domain.identity.login.refuse_login": "refused",
}
"""What comes of a log-in, by the command that notes it."""


class _Operations:
    """Operations and what they take to be executed."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.operations = Counter(
            "agora_graphql_operations_total",
            "GraphQL operations; those that nobody registered are called other.",
            ["operation", "kind", "outcome"],
            registry=own,
        )
        self.operation_seconds = Histogram(
            "agora_graphql_operation_seconds",
            "Time to execute an operation.",
            ["operation", "kind"],
            buckets=FAST,
            registry=own,
        )
        self.errors = Counter(
            "agora_graphql_errors_total",
            "Errors in answers: refusals that a context raised, and internal ones.",
            ["context", "nature"],
            registry=own,
        )
        self.levels = Histogram(
            "agora_graphql_levels", "Levels of an operation's plan.", ["kind"], buckets=FEW, registry=own
        )
        self.hops = Counter(
            "agora_graphql_hops_total", "Batches of entities fetched from another subgraph.", registry=own
        )
        self.calls = Counter(
            "agora_graphql_calls_total", "Root fields and batches, by subgraph.", ["subgraph"], registry=own
        )
        self.batch_keys = Histogram("agora_graphql_batch_keys", "Keys of a batch.", buckets=MANY, registry=own)
        self.batch_seconds = Histogram(
            "agora_graphql_batch_seconds", "Time of a batch.", ["subgraph"], buckets=FAST, registry=own
        )
        self.cache = Counter(
            "agora_cache_requests_total", "What was looked for in a cache.", ["cache", "outcome"], registry=own
        )
        self.cache_entries = Gauge("agora_cache_entries", "What a cache holds.", ["cache"], registry=own)
        self.statements = Histogram(
            "agora_sql_statements", "SQL statements of an operation.", ["kind"], buckets=FEW, registry=own
        )
        self.sql_seconds = Histogram(
            "agora_sql_seconds", "Time that an operation waited for SQL.", ["kind"], buckets=FAST, registry=own
        )
        self.rate_limited = Counter(
            "agora_rate_limited_total", "Operations refused by a rate limit.", ["bucket"], registry=own
        )
        self.sockets = Gauge("agora_sockets", "Open WebSockets.", registry=own)
        self.subscriptions = Gauge("agora_subscriptions", "Running subscriptions.", registry=own)
        self.frames = Counter("agora_frames_sent_total", "Frames sent to WebSockets.", registry=own)


class _Business:
    """What the shop does."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.commands = Counter(
            "agora_commands_total", "Commands, by what handles them.", ["handler", "outcome"], registry=own
        )
        self.orders = Counter("agora_orders_total", "Orders that reached a status.", ["status"], registry=own)
        self.order_seconds = Histogram(
            "agora_order_duration_seconds", "Time of a checkout.", ["outcome"], buckets=FAST, registry=own
        )
        self.payment_errors = Counter(
            "agora_payment_errors_total",
            "Calls that a payment provider refused or did not answer.",
            ["provider"],
            registry=own,
        )
        self.provider_seconds = Histogram(
            "agora_payment_provider_seconds",
            "Time of a payment provider's call.",
            ["provider"],
            buckets=FAST,
            registry=own,
        )
        self.logins = Counter("agora_logins_total", "Attempts to log in.", ["outcome"], registry=own)
        self.locked = Counter("agora_users_locked_total", "Users that were locked.", registry=own)
        self.imbalances = Gauge(
            "agora_books_imbalances", "Postings and stock levels that do not add up.", ["book"], registry=own
        )
        self.books_checked = Gauge(
            "agora_books_checked_timestamp_seconds", "When this process checked the books last.", registry=own
        )


class _Bus:
    """Events, processes and jobs."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.events_relayed = Counter("agora_events_relayed_total", "Events carried from log to bus.", registry=own)
        self.relay_lag = Gauge(
            "agora_relay_lag_seconds", "Age of the newest event when it was carried over.", registry=own
        )
        self.outbox_age = Gauge(
            "agora_outbox_age_seconds", "Age of the oldest event that is not on the bus.", registry=own
        )
        self.events_handled = Counter(
            "agora_events_handled_total", "Events given to handlers.", ["handler", "outcome"], registry=own
        )
        self.handler_seconds = Histogram(
            "agora_event_handler_seconds", "Time of a handler's call.", ["handler"], buckets=FAST, registry=own
        )
        self.backlog = Gauge(
            "agora_bus_backlog", "Events that a consumer has not finished.", ["consumer"], registry=own
        )
        self.parked = Gauge("agora_events_parked", "Failed events that wait for another try.", registry=own)
        self.dead_letters = Gauge("agora_dead_letters", "Events that were given up.", registry=own)
        self.followers = Gauge(
            "agora_topic_followers", "Subscriptions and groups of them that follow topics.", registry=own
        )
        self.fell_behind = Counter(
            "agora_subscriptions_fell_behind_total", "Subscriptions ended because their client was slow.", registry=own
        )
        self.topic_lag = Histogram(
            "agora_topic_lag_seconds", "Age of a durable event when its followers heard it.", buckets=FAST, registry=own
        )
        self.sagas = Gauge("agora_sagas", "Processes that are not at their end.", ["state"], registry=own)
        self.saga_age = Gauge(
            "agora_saga_oldest_seconds", "Age of the oldest process that is on its way.", registry=own
        )
        self.jobs = Gauge("agora_jobs", "Durable jobs.", ["state"], registry=own)
        self.reads = Counter(
            "agora_lagging_reads_total", "Operations that tolerate lag.", ["place", "reason"], registry=own
        )
        self.replica_lag = Gauge("agora_replica_lag_seconds", "How far a replica is behind.", ["replica"], registry=own)
        self.workers = Gauge("agora_workers", "Workers that live.", registry=own)


class _Process:
    """How this process is doing."""

    def __init__(self, own: CollectorRegistry) -> None:
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.requests = Counter(
            "agora_http_requests_total", "HTTP requests.", ["method", "route", "status"], registry=own
        )
        self.request_seconds = Histogram(
            "agora_http_request_seconds", "Time to the end of an HTTP answer.", ["route"], buckets=FAST, registry=own
        )
        self.build = Info("agora_build", "What runs here.", registry=own)
        self.build.info({"version": version("agora"), "python": python_version()})
        self.loop_lag = Histogram(
            "agora_event_loop_lag_seconds",
            "How much later than asked the event loop wakes.",
            buckets=SHORT,
            registry=own,
        )
        self.gc_pause = Histogram(
            "agora_gc_pause_seconds", "Time of a garbage collection.", ["generation"], buckets=SHORT, registry=own
        )
        self.pool = Gauge("agora_pool_connections", "Connections to the database.", ["pool", "state"], registry=own)
        self.pool_waiting = Gauge(
            "agora_pool_waiting", "Operations that wait for a connection.", ["pool"], registry=own
        )


class Metrics(_Operations, _Business, _Bus, _Process):
    """The measurements of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for part in (_Operations, _Business, _Bus, _Process):
            part.__init__(self, self.registry)

    def relayed(self, progress: Progress) -> None:
        """Count what the relay carried over."""
        self.events_relayed.inc(progress.events)
        self.relay_lag.set(progress.lag_seconds)
        for name, times in progress.names.items():
            context, _, fact = name.partition(".")
            if context == "order":
                self.orders.labels(fact).inc(times)
            elif name == "identity.user_locked":
                self.locked.inc(times)

    def handled(self, call: Handled) -> None:
        """Count a handler's call."""
        self.events_handled.labels(call.handler, call.outcome).inc(call.events)
        self.handler_seconds.labels(call.handler).observe(call.seconds)

    def commanded(self, command: Commanded) -> None:
        """Count a command."""
        self.commands.labels(command.handler, command.outcome).inc()
        if command.outcome == "done" and (outcome := LOGINS.get(command.handler)):
            self.logins.labels(outcome).inc()

    def asked_provider(self, call: ProviderCall) -> None:
        """Count a call of a payment provider."""
        self.provider_seconds.labels(call.provider).observe(call.seconds)
        if call.outcome != "answered":
            self.payment_errors.labels(call.provider).inc()

    def processed(self, kind: str, outcome: str, seconds: float) -> None:
        """Note how long somebody waited for a process."""
        if kind == "checkout":
            self.order_seconds.labels(outcome).observe(seconds)

    def heard(self, age_seconds: float) -> None:
        """Note how old an event was when its followers heard of it: what holds back those who publish shows here."""
        self.topic_lag.observe(max(age_seconds, 0.0))

    def read_at(self, place: str, reason: str) -> None:
        """Count an operation that tolerates lag, by where it reads and why there."""
        self.reads.labels(place, reason).inc()

    def backlogs(self, backlogs: list[Backlog]) -> None:
        """Set how far the consumers are behind."""
        totals: dict[str, int] = {}
        for each in backlogs:
            totals[each.consumer] = totals.get(each.consumer, 0) + each.undelivered + each.pending
        for consumer, events in totals.items():
            self.backlog.labels(consumer).set(events)

    def vital(self, signs: VitalSigns) -> None:
        """Set what is on its way."""
        for state, number in signs.sagas.items():
            self.sagas.labels(state).set(number)
        for state, number in signs.jobs.items():
            self.jobs.labels(state).set(number)
        self.parked.set(signs.parked)
        self.saga_age.set(signs.oldest_saga_seconds)

    def text(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)


METRICS = Metrics()


class MetricsMiddleware:
    """Counts requests by route: paths and areas (by how their paths begin) by name, and everything else as `other`.

    With `access_log` each is a line too, but for those of the graph, whose operations have lines of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, str],
        metrics: Metrics = METRICS,
        areas: Mapping[str, str] = MappingProxyType({}),
        *,
        access_log: bool = False,
    ) -> None:
        self._app = app
        self._routes = routes
        self._areas = areas
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = self._routes.get(scope["path"]) or self._area(scope["path"])
        method = scope["method"] if scope["method"] in METHODS else "other"
        status, begun = "500", perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            seconds = perf_counter() - begun
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            if self._access_log and not route.startswith(("graphql", "subgraph")):
                # The path may hold what only its owner knows, hence the route's name alone.
                log.info(
                    "request", route=route, method=method, status=int(status), milliseconds=round(seconds * 1e3, 1)
                )

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        frames = self._metrics.frames

        async def watch(message: Message) -> None:
            if message["type"] == "websocket.send":
                frames.inc()
            await send(message)

        with self._metrics.sockets.track_inprogress():
            await self._app(scope, receive, watch)

    def _area(self, path: str) -> str:
        return next((name for start, name in self._areas.items() if path.startswith(start)), "other")


def metrics_route(
    refresh: Callable[[], Awaitable[None]] | None = None, metrics: Metrics = METRICS, token: str = ""
) -> Route:
    """Serve the metrics at `/metrics`, to who has the token if there is one; `refresh` brings gauges up to date that nobody else keeps."""

    async def answer(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(given.encode(), token.encode()):
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        if refresh is not None:
            await refresh()
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return Route("/metrics", answer)
