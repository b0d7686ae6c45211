"""The composition root: one ASGI application from settings, with the merged graph and each subgraph by itself."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from data.bus import RedisBus, connect
from data.import_files import FolderImportFiles
from domain.live import StreamingPlatform
from domain.platform import HealthReads
from domain.processes.paying import hear_provider
from domain.search import IndexState, SearchEngine
from schema.graph import CONTEXTS, subgraph
from schema.graph import build as build_graph
from schema.supergraph import Limits
from schema.supergraph.graph import graph_of
from server.attachments import attachment_routes
from server.edge.drain import Drain
from server.edge.limits import Limits as DocumentLimits
from server.edge.rate_limit import RateLimiter, ValkeyRateLimiter
from server.edge.routes import create_edge, edge_middleware
from server.edge.settings import EdgeSettings, SocketLimits
from server.edge.trusted import DocumentSource, PersistedQueries, TrustedDocuments
from server.examples import EXAMPLES
from server.exports import export_routes
from server.feeds import GraphExecutor
from server.figures import Figures
from server.health import Check, Health, LiveHealth, Unwell, bus_check, database_check, refresher, replicas_check
from server.live import PATH as STREAM_HOOK_PATH
from server.live import stream_hook
from server.metrics import METRICS, MetricsMiddleware, metrics_route
from server.notifications.bounces import bounce_route
from server.notifications.unsubscribing import SignedTokens, unsubscribe_route
from server.notifications.wiring import mailbox_of
from server.observing import OperationObserver, RegisteredNames
from server.pages.mailbox import mailbox_routes
from server.pages.ops import DOCUMENTS, Overview, ops_routes
from server.pages.studio import studio_routes
from server.pages.track import track_routes
from server.payments.sandbox_app import post_into
from server.payments.webhooks import PATH as WEBHOOK_PATH
from server.payments.webhooks import HandledOnce, endpoint_route, webhook_route
from server.pulse import measured, watch_pools
from server.rest.problems import written_refusal
from server.rest.resource import PREFIX as REST_PREFIX
from server.rest.routes import rest_routes
from server.router import RouterGate, RouterTrust
from server.services import Services, key_ring, open_services
from server.sessions import Sessions
from server.settings import Settings
from server.side_port import side_port
from server.sign_on.callback import callback_route
from server.sign_on.directory import CALLBACK_PATH
from server.tokens import JWKS_PATH, jwks_endpoint
from server.tracing import traces
from server.tracing.middleware import TracingMiddleware
from server.upload_tickets import PATH as ATTACHMENT_PATH
from server.uploads import PATH as UPLOAD_PATH
from server.uploads import upload_route

SUBGRAPH_PATH = "/subgraphs/{context}/graphql"
SUBGRAPH_HEALTH_PATH = "/subgraphs/{context}/health"


def build(settings: Settings, only: Sequence[str] | None = None) -> Starlette:
    """Make the application; nothing is opened before its lifespan begins.

    Raises: ValueError for a context that there is not; MergeError where the chosen ones need others.
    """
    contexts = tuple(only or CONTEXTS)
    sessions = Sessions(settings)
    edge_settings = _edge_settings(settings)
    drain = Drain()
    redis = connect(settings.redis_url)
    parts = Parts(settings, sessions, redis, drain, edge_settings)
    routes = [
        *(parts.graph("/graphql", contexts) if settings.graph else ()),
        *(route for context in contexts for route in parts.subgraph(context)),
        upload_route(sessions, FolderImportFiles(settings.home / "imports")),
        *attachment_routes(sessions),
        *export_routes(sessions),
        stream_hook(lambda: sessions.services.by_port[StreamingPlatform] if sessions.services else None),
        *studio_routes(settings.live_playback_url),
        *track_routes(),
        Route(JWKS_PATH, jwks_endpoint(key_ring(settings))),
        unsubscribe_route(SignedTokens(settings.derive_key), sessions.transactions),
        bounce_route(settings.bounce_secrets, sessions.transactions),
        callback_route(sessions.database, sessions.transactions),
        *([] if settings.production else mailbox_routes(mailbox_of(settings))),
    ]
    names = {
        "/graphql": "graphql",
        UPLOAD_PATH: "upload",
        ATTACHMENT_PATH: "attachment",
        STREAM_HOOK_PATH: "stream_hook",
        CALLBACK_PATH: "sign_on_callback",
    } | {SUBGRAPH_PATH.format(context=each): f"subgraph_{each}" for each in contexts}
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(TracingMiddleware, routes=names, callers=settings.follows_callers),
            Middleware(
                MetricsMiddleware, routes=names, areas={REST_PREFIX + "/": "rest"}, access_log=settings.logs_access
            ),
            *edge_middleware(
                edge_settings,
                streamed=frozenset({UPLOAD_PATH, ATTACHMENT_PATH}),
                refusals={f"{REST_PREFIX}/": written_refusal},
            ),
        ],
        lifespan=parts.lifespan,
    )
    app.state.drain = drain
    return app


class Parts:
    """What the routes are made of."""

    def __init__(
        self, settings: Settings, sessions: Sessions, redis: Redis, drain: Drain, edge_settings: EdgeSettings
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._redis = redis
        self._drain = drain
        self._edge = edge_settings
        self._health_paths: list[str] = []
        self._trust = RouterTrust(settings.router_key, settings.router_proof)
        self._trusted = _registered(settings.trusted_documents)
        names = RegisteredNames([*(self._trusted or ()), *DOCUMENTS, *(each.query for each in EXAMPLES)])
        self._observer = OperationObserver(names, every=settings.logs_access)
        # Without a limit in the settings there are no buckets but those of API keys.
        self._limiter: RateLimiter = ValkeyRateLimiter(redis, f"{settings.redis_namespace}:rate:")

    def graph(self, path: str, contexts: Sequence[str]) -> Sequence[BaseRoute]:
        """Serve several contexts as one graph."""
        limits = Limits(seconds=self._settings.deadline_seconds, values=self._settings.max_values)
        executor = GraphExecutor(build_graph(contexts, limits=limits), hide_suggestions=not self._edge.suggestions)
        documents = graph_of(executor.schema).documents
        METRICS.cache_entries.labels("plans").set_function(lambda: len(documents))
        settings = replace(self._edge, path=path)
        edge = create_edge(
            executor,
            self._sessions,
            settings,
            limiter=self._limiter,
            documents=self._documents(),
            drain=self._drain,
            observer=self._observer,
        )
        if set(contexts) != set(CONTEXTS):
            # The registered documents ask across contexts; a router answers them where every process serves a part.
            return edge.routes
        rest = rest_routes(
            executor,
            self._sessions,
            settings,
            limiter=self._limiter,
            drain=self._drain,
            observer=self._observer,
            docs=self._settings.allows("explorer"),
        )
        return [*edge.routes, *rest]

    def subgraph(self, context: str) -> Sequence[BaseRoute]:
        """Serve one context to a federation router, which wants `_service` to answer even without introspection."""
        self._health_paths.append(SUBGRAPH_HEALTH_PATH.format(context=context))
        settings = replace(self._edge, path=SUBGRAPH_PATH.format(context=context), explorer=False, examples=())
        executor = GraphExecutor(subgraph(context), hide_suggestions=not self._edge.suggestions)
        gate = Middleware(RouterGate, trust=self._trust)
        return create_edge(
            executor,
            self._sessions,
            settings,
            limiter=self._limiter,
            drain=self._drain,
            middleware=[gate],
            observer=self._observer,
        ).routes

    def _documents(self) -> DocumentSource:
        return PersistedQueries() if self._trusted is None else TrustedDocuments(self._trusted)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Open what the process works with, and close it in reverse."""
        post = post_into(app, WEBHOOK_PATH.format(provider="sandbox"))
        with traces(self._settings, "server"):
            async with self._redis, open_services(self._settings, sandbox_post=post) as services:
                bus = RedisBus(self._redis, self._settings.redis_namespace)
                health = Health(
                    {
                        "database": database_check(services.database),
                        "bus": bus_check(services.database, bus),
                        "search": _search_check(services.search),
                        **({"replicas": replicas_check(services.replicas)} if services.replicas is not None else {}),
                    },
                    leaving=lambda: self._drain.leaving,
                )
                services.by_port[HealthReads] = LiveHealth(health, services.database, bus)
                handle = HandledOnce(services.transactions, hear_provider)
                app.router.routes.append(webhook_route(services.webhooks, handle))
                if services.endpoints is not None:
                    app.router.routes.append(endpoint_route(services.endpoints, handle))
                async with self._watched(app, services, health, bus):
                    self._sessions.services = services
                    yield
                    self._sessions.services = None

    @asynccontextmanager
    async def _watched(self, app: Starlette, services: Services, health: Health, bus: RedisBus) -> AsyncIterator[None]:
        """Let those who watch over the process see it."""
        settings, figures = self._settings, Figures(bus, "server")
        shown = metrics_route(
            refresher(services.database, bus, replicas=services.replicas), METRICS, settings.metrics_token
        )
        overview = Overview(figures, health, services.database, bus)
        # They need what was opened just now; the router takes routes at any time before it serves.
        app.router.routes += [
            *health.routes(self._health_paths),
            *([shown] if settings.shows_metrics else []),
            *ops_routes(self._sessions, overview),
        ]
        watch_pools(services.database)
        apart = side_port(settings.metrics_host, settings.metrics_port, [*health.routes(), shown])
        async with figures.published(), apart:
            with measured():
                yield


def _registered(manifest: Path | None) -> Sequence[str] | None:
    """Read the manifest that client tools write, {"<sha256>": "<document>"} or a list of documents; our own page adds its own."""
    if manifest is None:
        return None
    listed = orjson.loads(manifest.read_bytes())
    return [*(listed.values() if isinstance(listed, dict) else listed), *DOCUMENTS]


def _edge_settings(settings: Settings) -> EdgeSettings:
    return EdgeSettings(
        limits=DocumentLimits(),
        max_body_bytes=settings.max_body_bytes,
        execution_timeout_seconds=settings.deadline_seconds + 1,
        allowed_origins=settings.allowed_origins,
        sockets=SocketLimits(
            connections_per_principal=settings.connections_per_caller,
            connections_per_address=settings.connections_per_address,
        ),
        introspection=settings.allows("introspection"),
        suggestions=not settings.production,
        explorer=settings.allows("explorer"),
        examples=EXAMPLES if settings.allows("explorer") else (),
    )


def _search_check(engine: SearchEngine) -> Check:
    async def check() -> Mapping[str, Any] | Unwell:
        status = await engine.status()
        if status.state in {IndexState.UNAVAILABLE, IndexState.NEEDS_REBUILD}:
            return Unwell(status.reason or str(status.state))
        return {"engine": status.engine, "documents": status.documents}

    return check
