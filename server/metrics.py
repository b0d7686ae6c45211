"""Prometheus metrics. Label values are names that the code itself knows, so their number does not grow with traffic."""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from types import MappingProxyType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.bus import Backlog
from data.relay import Progress
from server.attempts import Handled

METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"})
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The measurements of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        own = self.registry
        self.requests = Counter(
            "agora_http_requests_total", "HTTP requests.", ["method", "route", "status"], registry=own
        )
        self.request_seconds = Histogram(
            "agora_http_request_seconds", "Time to the end of an HTTP answer.", ["route"], buckets=FAST, registry=own
        )
        self.operations = Counter(
            "agora_graphql_operations_total", "GraphQL operations.", ["kind", "outcome"], registry=own
        )
        self.operation_seconds = Histogram(
            "agora_graphql_operation_seconds", "Time to execute an operation.", ["kind"], buckets=FAST, registry=own
        )
        self.events_relayed = Counter("agora_events_relayed_total", "Events carried from log to bus.", registry=own)
        self.relay_lag = Gauge(
            "agora_relay_lag_seconds", "Age of the newest event when it was carried over.", registry=own
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
        self.followers = Gauge(
            "agora_topic_followers", "Subscriptions and groups of them that follow topics.", registry=own
        )
        self.fell_behind = Counter(
            "agora_subscriptions_fell_behind_total", "Subscriptions ended because their client was slow.", registry=own
        )
        self.topic_lag = Histogram(
            "agora_topic_lag_seconds", "Age of a durable event when its followers heard it.", buckets=FAST, registry=own
        )
        self.dead_letters = Gauge("agora_dead_letters", "Events that were given up.", registry=own)

    def relayed(self, progress: Progress) -> None:
        """Count what the relay carried over."""
        self.events_relayed.inc(progress.events)
        self.relay_lag.set(progress.lag_seconds)

    def handled(self, call: Handled) -> None:
        """Count a handler's call."""
        self.events_handled.labels(call.handler, call.outcome).inc(call.events)
        self.handler_seconds.labels(call.handler).observe(call.seconds)

    def operation(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a GraphQL operation: query, mutation or subscription; ok, refused or failed."""
        self.operations.labels(kind, outcome).inc()
        self.operation_seconds.labels(kind).observe(seconds)

    def heard(self, age_seconds: float) -> None:
        """Note how old an event was when its followers heard of it: what holds back those who publish shows here."""
        self.topic_lag.observe(max(age_seconds, 0.0))

    def backlogs(self, backlogs: list[Backlog]) -> None:
        """Set how far the consumers are behind."""
        totals: dict[str, int] = {}
        for each in backlogs:
            totals[each.consumer] = totals.get(each.consumer, 0) + each.undelivered + each.pending
        for consumer, events in totals.items():
            self.backlog.labels(consumer).set(events)

    def text(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)


METRICS = Metrics()


class MetricsMiddleware:
    """Counts requests by route: paths and areas (by how their paths begin) by name, and everything else as `other`."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, str],
        metrics: Metrics = METRICS,
        areas: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._routes = routes
        self._areas = areas
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.request_seconds.labels(route).observe(perf_counter() - begun)

    def _area(self, path: str) -> str:
        return next((name for start, name in self._areas.items() if path.startswith(start)), "other")


def metrics_route(refresh: Callable[[], Awaitable[None]] | None = None, metrics: Metrics = METRICS) -> Route:
    """Serve the metrics at `/metrics`; `refresh` brings gauges up to date that nobody else keeps."""

    async def answer(_: Request) -> Response:
        if refresh is not None:
            await refresh()
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return Route("/metrics", answer)
