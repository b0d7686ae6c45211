"""One HTTP request and its response, at the level of ASGI."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from server.edge.correlation import correlation_id
from server.edge.masking import internal_error
from server.edge.negotiation import MediaType
from server.edge.pipeline import Response, write_refusal
from server.edge.refusal import Refusal

WATCH_AFTER_SECONDS = 0.25
"""Only an operation that takes longer is worth a task that watches whether its client is still there."""


class ClientLeft(Exception):  # It is an event, not a failure.
    """The client closed its connection before it got its answer."""


class Exchange:
    """What an endpoint reads from and writes to; `media` is what the response is written in."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, compress_from_bytes: int, *, closing: bool = False
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.asgi_send = send
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.media = MediaType.JSON
        self._closing = closing
        self._compress_from_bytes = compress_from_bytes

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    async def body(self) -> bytes:
        """Read the whole body.

        Raises: ClientLeft.
        """
        chunks: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def respond(self, response: Response) -> None:
        """Send a GraphQL response; only the newer media type lets the status tell that nothing was executed."""
        refused = self.media is MediaType.GRAPHQL and not response.executed
        await self.send(400 if refused else 200, response.body)

    async def refuse(self, refusal: Refusal) -> None:
        graphql_level = refusal.graphql_level and self.media is not MediaType.GRAPHQL
        await self.send(200 if graphql_level else refusal.http_status, write_refusal(refusal), refusal.headers)

    async def fail(self, error: BaseException) -> None:
        await self.send(500, orjson.dumps({"errors": [internal_error(error, correlation_id())]}))

    async def send(
        self, status: int, body: bytes, extra: Mapping[str, str] | None = None, content_type: str = ""
    ) -> None:
        media = self.media if self.media is MediaType.GRAPHQL else MediaType.JSON
        headers = [(b"content-type", (content_type or f"{media.value}; charset=utf-8").encode("latin-1"))]
        body = self._compressed(body, headers)
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (extra or {}).items()]
        headers += [(b"content-length", b"%d" % len(body)), (b"vary", b"Accept, Accept-Encoding")]
        if self._closing:
            headers.append((b"connection", b"close"))
        await self.asgi_send({"type": "http.response.start", "status": status, "headers": headers})
        await self.asgi_send({"type": "http.response.body", "body": body})

    def _compressed(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Compress what is large; below the threshold the CPU costs more than the bytes."""
        accepted = self.headers.get(b"accept-encoding", b"")
        if len(body) < self._compress_from_bytes or b"gzip" not in accepted or b"gzip;q=0" in accepted:
            return body
        headers.append((b"content-encoding", b"gzip"))
        return gzip.compress(body, compresslevel=1)

    def cancelled_when_client_leaves(self) -> "ClientWatch":
        return ClientWatch(self.receive)


class ClientWatch:
    """Cancels the block that it guards once the client disconnects, and turns that into `ClientLeft`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False
        self._guarded: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._guarded = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._start)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        if self._watcher:
            self._watcher.cancel()
        if self._left and kind is asyncio.CancelledError and self._guarded:
            self._guarded.uncancel()
            raise ClientLeft

    def _start(self) -> None:
        self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        if self._guarded:
            self._guarded.cancel()
