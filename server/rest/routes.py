"""Puts the REST API together: a resource for each path of the registered documents, and what describes them."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from server.edge.documents import Documents
from server.edge.drain import Drain
from server.edge.exchange import Exchange
from server.edge.executor import Executor
from server.edge.pipeline import Observer, Pipeline
from server.edge.rate_limit import RateLimiter
from server.edge.sessions import Sessions
from server.edge.settings import EdgeSettings
from server.edge.trusted import TrustedDocuments
from server.rest.problems import NotFound
from server.rest.registry import Registry
from server.rest.resource import PREFIX, Resource, refuse

OPENAPI_PATH = f"{PREFIX}/openapi.json"
DOCS_PATH = "/api/docs"


def rest_routes(
    executor: Executor,
    sessions: Sessions,
    settings: EdgeSettings,
    *,
    limiter: RateLimiter,
    drain: Drain,
    observer: Observer,
    docs: bool,
) -> Sequence[BaseRoute]:
    """Serve the registered documents, each of which is checked before anything is served.

    Raises: UnfitDocument.
    """
    registry = Registry(executor.schema)
    texts = [each.text for each in registry.operations]
    documents = Documents(executor, settings.limits, introspection=False, assumed_costs=settings.assumed_costs)
    pipeline = Pipeline(
        executor, documents, TrustedDocuments(texts), limiter, settings.execution_timeout_seconds, observer
    )
    resources: list[BaseRoute] = [
        Route(PREFIX + path, Resource(operations, pipeline, sessions, drain, settings.compress_from_bytes))
        for path, operations in registry.by_path().items()
    ]
    description = Description(registry)
    described: list[BaseRoute] = [Route(OPENAPI_PATH, description.openapi)]
    if docs:
        described.append(Route(DOCS_PATH, description.page))
    return [*described, *resources, Route(f"{PREFIX}/{{path:path}}", _Nothing(drain, settings.compress_from_bytes))]


class _Nothing:
    """Answers below the prefix where no resource is."""

    def __init__(self, drain: Drain, compress_from_bytes: int) -> None:
        self._drain = drain
        self._compress_from_bytes = compress_from_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, self._compress_from_bytes, closing=self._drain.draining)
        await refuse(exchange, NotFound("Nothing is at this address."))


class Description:
    """The description of the API, for programs and for people; each is written when it is first asked for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._openapi: bytes | None = None

    async def openapi(self, _request: object) -> Response:
        if self._openapi is None:
            # Whoever never asks for it should not have it in memory.
            from server.rest.openapi import describe, written  # noqa: PLC0415

            self._openapi = written(describe(self._registry)).encode()
        return Response(self._openapi, media_type="application/json", headers={"cache-control": "no-cache"})

    async def page(self, _request: object) -> Response:
        # See above.
        from server.rest.docs import PAGE_HEADERS, docs_page  # noqa: PLC0415
        from server.rest.openapi import describe  # noqa: PLC0415

        return Response(docs_page(describe(self._registry)), media_type="text/html", headers=PAGE_HEADERS)
