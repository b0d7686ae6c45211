"""GraphQL over server-sent events, in distinct connections mode: one response per operation.

Source: the GraphQL over Server-Sent Events protocol of the npm package graphql-sse.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from server.edge.correlation import correlation_id
from server.edge.drain import Drain
from server.edge.exchange import Exchange
from server.edge.masking import errors_of
from server.edge.pipeline import Response

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_COMPLETE = b"event: complete\ndata:\n\n"
_KEEP_ALIVE = b":\n\n"


class EventStream:
    """Writes the responses of one operation as events, until they end, the client leaves or the server drains."""

    def __init__(self, exchange: Exchange, drain: Drain, keep_alive_seconds: float) -> None:
        self._exchange = exchange
        self._drain = drain
        self._keep_alive_seconds = keep_alive_seconds
        self._lock = asyncio.Lock()

    async def run(self, responses: AsyncGenerator[Response]) -> None:
        """Send every response as `next`, then `complete`.

        A stream that the server cuts short ends without `complete`, so the client connects again.
        """
        await self._exchange.asgi_send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await self._write(_KEEP_ALIVE)
        events = asyncio.ensure_future(self._events(responses))
        watchers = [asyncio.ensure_future(self._client_left()), asyncio.ensure_future(self._keep_alive())]

        async def goodbye() -> None:
            events.cancel()

        self._drain.on_shutdown(goodbye)
        try:
            await asyncio.wait([events, watchers[0]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._drain.forget(goodbye)
            for task in (events, *watchers):
                task.cancel()
            await asyncio.gather(events, *watchers, return_exceptions=True)
        await self._exchange.asgi_send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, responses: AsyncGenerator[Response]) -> None:
        async with aclosing(responses):
            try:
                async for response in responses:
                    await self._next(response.body)
            except Exception as error:  # noqa: BLE001 # A source that fails must not show a traceback.
                await self._next(orjson.dumps({"errors": errors_of(error, correlation_id())}, default=str))
        await self._write(_COMPLETE)

    async def _next(self, body: bytes) -> None:
        await self._write(b"event: next\ndata: " + body + b"\n\n")

    async def _write(self, chunk: bytes) -> None:
        async with self._lock:
            await self._exchange.asgi_send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _client_left(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._keep_alive_seconds)
            await self._write(_KEEP_ALIVE)
