"""What a federation router tells a subgraph of its client, and how the router proves that it is one.

A subgraph believes nothing that comes from elsewhere: who is calling it reads from the access token by itself, and where
the client is, what it runs and how long it will wait it learns from a router that knows the secret, or not at all.
"""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from uuid import uuid4

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.edge.refusal import TransportRefusal
from server.edge.sessions import DEADLINE

HEADER = "x-agora-router"
ADDRESS, AGENT, HOST = "x-agora-client-address", "x-agora-client-agent", "x-agora-client-host"
MILLISECONDS_LEFT = "x-agora-milliseconds-left"
SIGNED = (
    "authorization",
    "x-agora-tenant",
    "accept-language",
    "x-correlation-id",
    "traceparent",
    ADDRESS,
    AGENT,
    HOST,
    MILLISECONDS_LEFT,
)
"""The headers that a signature covers, in its order; one that is absent counts as empty."""

SCHEME = "agora-router-1"
SKEW_SECONDS = 30.0
"""How far the clocks of router and subgraph may be apart, and with it how long a signature is good."""
MOST_NONCES = 200_000
_REPLACED = frozenset(
    {
        *(name.encode() for name in (*SIGNED, HEADER)),
        b"cookie",
        b"host",
        b"user-agent",
        b"x-forwarded-for",
        b"forwarded",
    }
)
_SHOWN = {name: name.encode() for name in SIGNED[:5]} | {HOST: b"host", AGENT: b"user-agent"}

Proof = Literal["signature", "secret"]


class RouterRefused(TransportRefusal):
    """What came did not come from the router."""

    status = 403


class RouterTrust:
    """Knows the router by a signature over the request, or, inside of a network of its own, by the secret itself."""

    def __init__(self, secret: str, proof: Proof = "signature", clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._proof = proof
        self._clock = clock
        self._nonces: OrderedDict[str, float] = OrderedDict()

    def prove(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> str:
        """Give the header that proves a request."""
        if self._proof == "secret":
            return self._secret.decode()
        moment, nonce = str(int(self._clock())), uuid4().hex
        return f"t={moment},n={nonce},s={self._signature(moment, nonce, method, path, headers, body)}"

    def verify(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Make sure that a request comes from the router, and for the first time.

        Raises: RouterRefused.
        """
        given = headers.get(HEADER, "")
        if self._proof == "secret":
            if not hmac.compare_digest(given.encode(), self._secret):
                raise RouterRefused("Only the router may ask a subgraph.")
            return
        parts = dict(part.partition("=")[::2] for part in given.split(","))
        moment, nonce = parts.get("t", ""), parts.get("n", "")
        expected = self._signature(moment, nonce, method, path, headers, body)
        if not hmac.compare_digest(parts.get("s", "").encode(), expected.encode()):
            raise RouterRefused("Only the router may ask a subgraph: its signature is missing or wrong.")
        now = self._clock()
        if not moment.isascii() or not moment.isdigit() or abs(now - int(moment)) > SKEW_SECONDS:
            raise RouterRefused("The router's signature is too old, or the clocks differ.")
        self._use(nonce, now)

    def _use(self, nonce: str, now: float) -> None:
        if nonce in self._nonces:
            raise RouterRefused("The router's signature was used before.")
        self._nonces[nonce] = now + 2 * SKEW_SECONDS
        while len(self._nonces) > MOST_NONCES or next(iter(self._nonces.values())) < now:
            self._nonces.popitem(last=False)

    def _signature(
        self, moment: str, nonce: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> str:
        told = [SCHEME, moment, nonce, method, path, hashlib.sha256(body).hexdigest()]
        text = "\n".join([*told, *(headers.get(name, "") for name in SIGNED)])
        return hmac.digest(self._secret, text.encode("latin-1", "replace"), "sha256").hex()


class RouterGate:
    """Lets the router in, and shows the application its client in the router's place."""

    def __init__(self, app: ASGIApp, trust: RouterTrust) -> None:
        self._app = app
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive) if scope["type"] == "http" else b""
        if body is None:
            return
        try:
            self._trust.verify(scope.get("method", "GET"), scope["path"], headers, body)
        except RouterRefused as refusal:
            await _refuse(refusal, scope, send)
            return
        again = _again(body, receive) if scope["type"] == "http" else receive
        await self._app(relayed(scope, headers), again, send)


def relayed(scope: Scope, headers: Mapping[str, str]) -> Scope:
    """Give the scope of a request as if its client had sent it here; cookies are nobody's but the router's."""
    kept = [(name, value) for name, value in scope["headers"] if name not in _REPLACED]
    kept += [(own, headers[name].encode("latin-1")) for name, own in _SHOWN.items() if name in headers]
    given = {**scope, "headers": kept, "client": (headers.get(ADDRESS) or "unknown", 0)}
    left = headers.get(MILLISECONDS_LEFT, "")
    if left.isascii() and left.removeprefix("-").isdigit():
        given[DEADLINE] = asyncio.get_running_loop().time() + int(left) / 1000
    return given


async def _body(receive: Receive) -> bytes | None:
    """Read a request to its end, which the limit of bodies bounds; None for a client that left."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give what was read once more, and then whatever comes."""
    unread: Iterable[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        for message in unread:
            return message
        return await receive()

    return again


async def _refuse(refusal: RouterRefused, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
        return
    body = orjson.dumps({"errors": refusal.errors()})
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
