"""Bounds what a client may send: the size of a body, and the time that it may take to arrive."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.edge.pipeline import write_refusal
from server.edge.refusal import TransportRefusal


class UnreadBody(TransportRefusal):
    """A body that is not read to its end, so the connection cannot be used again."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"connection": "close"}


class BodyTooLarge(UnreadBody):
    """The body has more bytes than the limit."""

    status = 413


class BodyTooSlow(UnreadBody):
    """The body did not arrive in time."""

    status = 408


Written = Callable[[TransportRefusal], tuple[bytes, str]]
"""Gives the body of a refusal, and its media type."""


class BodyLimitMiddleware:
    """Refuses a body above `max_bytes` with 413, and one that takes longer than `timeout_seconds` with 408.

    Areas, by how their paths begin, may write their refusals in a way of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        timeout_seconds: float,
        exempt: frozenset[str] = frozenset(),
        areas: Mapping[str, Written] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._exempt = exempt
        self._areas = areas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        try:
            self._check_announced(scope)
            await self._app(scope, self._bounded(receive), send)
        except UnreadBody as refusal:
            await self._answer(refusal, scope, send)

    def _check_announced(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > self._max_bytes):
                raise self._too_large()

    def _bounded(self, receive: Receive) -> Receive:
        received = 0
        complete = False
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds

        async def bounded() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow(f"The body did not arrive in {self._timeout_seconds:g} s.") from None
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            complete = not message.get("more_body", False)
            return message

        return bounded

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"A body may have {self._max_bytes} bytes.", limit=self._max_bytes)

    async def _answer(self, refusal: UnreadBody, scope: Scope, send: Send) -> None:
        write = next((each for start, each in self._areas.items() if scope["path"].startswith(start)), _as_graphql)
        body, media_type = write(refusal)
        headers = [(b"content-type", f"{media_type}; charset=utf-8".encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": refusal.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _as_graphql(refusal: TransportRefusal) -> tuple[bytes, str]:
    return write_refusal(refusal), "application/json"
