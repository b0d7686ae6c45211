"""Puts the edge together: routes and middleware for one executor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from server.edge.body_limit import BodyLimitMiddleware, Written
from server.edge.correlation import CorrelationMiddleware
from server.edge.csrf import PREFLIGHT_HEADERS
from server.edge.documents import Documents
from server.edge.drain import Drain
from server.edge.executor import Executor
from server.edge.explorer import STATIC_PATH, explorer_page, static_files
from server.edge.graphql_http import GraphQLHTTP
from server.edge.graphql_ws import GraphQLWebSocket
from server.edge.pipeline import NoObserver, Observer, Pipeline
from server.edge.rate_limit import NoRateLimiter, RateLimiter
from server.edge.sessions import Sessions
from server.edge.settings import EdgeSettings
from server.edge.socket_limits import Tickets
from server.edge.trusted import DocumentSource, PersistedQueries

ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "graphql-cost",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "traceparent",
    "x-agora-tenant",
    "x-api-key",
    "x-correlation-id",
)


@dataclass(frozen=True, slots=True)
class Edge:
    """The routes of one graph; `drain` is what a graceful shutdown runs."""

    routes: Sequence[BaseRoute]
    drain: Drain


def create_edge(
    executor: Executor,
    sessions: Sessions,
    settings: EdgeSettings | None = None,
    *,
    limiter: RateLimiter | None = None,
    documents: DocumentSource | None = None,
    drain: Drain | None = None,
    observer: Observer | None = None,
    middleware: Sequence[Middleware] = (),
) -> Edge:
    """Serve an executor over HTTP, server-sent events and graphql-transport-ws, all at `settings.path`.

    Without a limiter nothing is charged; without a document source any document is taken, and persisted ones by hash.
    Several edges of one process may share a drain. The middleware stands before these routes alone.
    """
    settings = settings or EdgeSettings()
    drain = drain or Drain()
    known = Documents(
        executor,
        settings.limits,
        introspection=settings.introspection,
        suggestions=settings.suggestions,
        assumed_costs=settings.assumed_costs,
    )
    pipeline = Pipeline(
        executor,
        known,
        documents or PersistedQueries(),
        limiter or NoRateLimiter(),
        settings.execution_timeout_seconds,
        observer or NoObserver(),
    )
    tickets = Tickets(settings.sockets.connections_per_principal, settings.sockets.connections_per_address)
    page = explorer_page(settings) if settings.explorer else None
    routes: list[BaseRoute] = [
        Route(settings.path, GraphQLHTTP(settings, pipeline, sessions, drain, tickets, page), middleware=middleware),
        WebSocketRoute(
            settings.path, GraphQLWebSocket(settings, pipeline, sessions, drain, tickets), middleware=middleware
        ),
    ]
    if page:
        routes.append(Mount(STATIC_PATH, static_files()))
    return Edge(routes, drain)


def edge_middleware(
    settings: EdgeSettings,
    *,
    streamed: frozenset[str] = frozenset(),
    refusals: Mapping[str, Written] = MappingProxyType({}),
) -> list[Middleware]:
    """The middleware of the whole application, outermost first: correlation, CORS, limits of bodies.

    Paths in `streamed` take bodies of any length; their handlers bound them while they arrive. `refusals` are how areas
    write that a body is too long.
    """
    preflight = [name.decode() for name in PREFLIGHT_HEADERS]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[*ALLOWED_HEADERS, *preflight],
        allow_credentials="*" not in settings.allowed_origins,
        expose_headers=["x-correlation-id", "retry-after", "etag", "link", "location", "traceresponse"],
    )
    limits = Middleware(
        BodyLimitMiddleware,
        max_bytes=settings.max_body_bytes,
        timeout_seconds=settings.body_timeout_seconds,
        exempt=streamed,
        areas=refusals,
    )
    return [Middleware(CorrelationMiddleware), *([cors] if settings.allowed_origins else []), limits]
