"""The correlation id: taken from the caller or made, bound to the log, echoed in the response."""

import re
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")

_current: ContextVar[str] = ContextVar("correlation_id", default="")


def correlation_id() -> str:
    """The id of the request at hand, empty outside of one."""
    return _current.get()


def correlation_id_from(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's `X-Correlation-Id`, else the trace id of its `traceparent`, else a new one."""
    traced = ""
    for name, value in headers:
        if name == b"x-correlation-id" and _ACCEPTABLE.match(text := value.decode("latin-1")):
            return text
        if name == b"traceparent" and (match := _TRACEPARENT.match(value.decode("latin-1"))):
            traced = match[1]
    return traced or uuid4().hex


class CorrelationMiddleware:
    """Gives every HTTP request and WebSocket its correlation id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        identity = correlation_id_from(scope["headers"])
        header = (b"x-correlation-id", identity.encode("latin-1"))

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers: list[Any] = [*message.get("headers", ()), header]
                message["headers"] = headers
            await send(message)

        token = _current.set(identity)
        bound = structlog.contextvars.bind_contextvars(correlation_id=identity)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            structlog.contextvars.reset_contextvars(**bound)
            _current.reset(token)


def bind_correlation_id(identity: str) -> None:
    """Use this id in the running task: each operation of a socket has its own."""
    _current.set(identity)
    structlog.contextvars.bind_contextvars(correlation_id=identity)
