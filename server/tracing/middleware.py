"""The span of an HTTP request, and the header that tells its caller which trace it is in."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain import tracing
from domain.tracing import Attribute, SpanKind

METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"})


class TracingMiddleware:
    """Opens the trace of every request, below that of its caller where `callers` may decide; the innermost spans are its own.

    A `traceresponse` (W3C Trace Context, level 2) goes back, so that whoever reports a failure can name its trace.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[str, str], *, callers: bool) -> None:
        self._app = app
        self._routes = routes
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracer = tracing.tracer()
        if tracer is None or scope["type"] != "http" or scope["path"] not in self._routes:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        told: dict[str, Attribute] = {
            "http.request.method": method,
            "http.route": scope["path"],
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", ""),
        }
        parent = _parent(scope) if self._callers else None
        with tracer.entry(f"{method} {scope['path']}", told, SpanKind.SERVER, parent=parent) as span:
            header = (b"traceresponse", (tracer.traceparent() or "").encode())

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), header]
                    span.note({"http.response.status_code": message["status"]})
                    if message["status"] >= 500:
                        span.fail(str(message["status"]))
                await send(message)

            await self._app(scope, receive, answer)


def _parent(scope: Scope) -> str | None:
    found = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return found.decode("latin-1") if found else None
