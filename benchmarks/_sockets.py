"""Thousands of graphql-transport-ws clients in one process, as cheap as Python can make them: they must not be what is measured."""

import asyncio
import base64
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

RAMP = 64
"""Sockets that are opened at a time."""
SENT_AT = re.compile(rb"@(\d{13,20})@")
HAPPENED_AT = re.compile(rb'"at":"([^"]+)"')
PING, CLOSE, PONG = 9, 8, 10


def stamp() -> str:
    """A mark for a text that says when it was sent, for `SENT_AT` to find."""
    return f"@{time.perf_counter_ns()}@"


@dataclass
class Tally:
    """What arrived: frames, and of those with a mark, the milliseconds since they were sent."""

    frames: int = 0
    milliseconds: list[float] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)

    def count(self, text: bytes) -> None:
        """Take note of a `next`."""
        now = time.perf_counter_ns()
        self.frames += 1
        if found := SENT_AT.search(text):
            self.milliseconds.append((now - int(found[1])) / 1e6)
        elif found := HAPPENED_AT.search(text):
            at = datetime.fromisoformat(found[1].decode())
            self.milliseconds.append((datetime.now(UTC) - at).total_seconds() * 1e3)

    def refuse(self, text: bytes) -> None:
        """Take note of an `error`."""
        self.errors.append(text)


class Client(asyncio.Protocol):
    """One socket with its operations; `on_next` gets the text of every `next`."""

    def __init__(self, init: dict[str, Any], host: str, on_next: Callable[[bytes], None], tally: Tally) -> None:
        self._init = init
        self._host = host
        self._on_next = on_next
        self._tally = tally
        self._buffer = b""
        self._upgraded = False
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # A TCP connection's is one that can be written to.
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def connection_lost(self, _: Exception | None) -> None:
        for waiting in (self.acknowledged, self.lost):
            if not waiting.done():
                waiting.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._upgraded:
            head, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            assert b" 101 " in head, head
            self._upgraded = True
            self.send({"type": "connection_init", "payload": self._init})
        self._buffer = self._frames(buffer)

    def _frames(self, buffer: bytes) -> bytes:
        """Take whole frames off a buffer; what a server sends is neither masked nor, here, in pieces."""
        at, end = 0, len(buffer)
        while end - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(buffer[at + 2 : at + 4]), at + 4
            elif length == 127:
                length, start = int.from_bytes(buffer[at + 2 : at + 10]), at + 10
            if start + length > end:
                break
            self._frame(buffer[at] & 15, buffer[start : start + length])
            at = start + length
        return buffer[at:]

    def _frame(self, kind: int, text: bytes) -> None:
        if kind == PING:
            self._write(PONG, text)
        elif kind == CLOSE:
            self.transport.close()
        elif b'"type":"next"' in text[:300]:
            self._on_next(text)
        elif b"connection_ack" in text:
            if not self.acknowledged.done():
                self.acknowledged.set_result(None)
        elif b'"type":"error"' in text[:300]:
            self._tally.refuse(text)

    def subscribe(self, identity: str, document: str, variables: dict[str, Any]) -> None:
        """Begin an operation."""
        payload = {"query": document, "variables": variables}
        self.send({"id": identity, "type": "subscribe", "payload": payload})

    def send(self, message: dict[str, Any]) -> None:
        """Send a message of the protocol."""
        self._write(1, orjson.dumps(message))

    def _write(self, kind: int, text: bytes) -> None:
        # A mask of zeros leaves the text as it is; clients have to name one.
        length = len(text)
        size = bytes([128 | length]) if length < 126 else bytes([128 | 126]) + length.to_bytes(2)
        self.transport.write(bytes([128 | kind]) + size + b"\0\0\0\0" + text)


@dataclass(frozen=True)
class Plan:
    """One client: who it is, and what it subscribes to."""

    init: dict[str, Any]
    document: str
    variables: dict[str, Any]
    tally: Tally
    on_next: Callable[[bytes], None] | None = None


async def open_client(port: int, plan: Plan, identity: str = "1") -> Client:
    """Connect, initialise and subscribe.

    Raises: OSError where the server is not there, or closes the socket.
    """
    loop, host = asyncio.get_running_loop(), f"127.0.0.1:{port}"
    made = Client(plan.init, host, plan.on_next or plan.tally.count, plan.tally)
    _, client = await loop.create_connection(lambda: made, "127.0.0.1", port)
    await client.acknowledged
    if client.lost.done():
        raise ConnectionResetError("the server closed the socket")
    client.subscribe(identity, plan.document, plan.variables)
    return client


async def open_all(port: int, plans: Iterable[Plan]) -> list[Client]:
    """Open many clients, some at a time."""
    gate, clients = asyncio.Semaphore(RAMP), []

    async def one(number: int, plan: Plan) -> None:
        async with gate:
            clients.append(await open_client(port, plan, f"s{number}"))

    await asyncio.gather(*(one(number, plan) for number, plan in enumerate(plans)))
    return clients
