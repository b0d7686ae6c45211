"""A cheap HTTP client for benchmarks: requests that were made beforehand, sent over raw sockets, in a process of its own.

Run as a program it reads a `Plan` as JSON from its input and prints a `Run` as JSON.
"""

import asyncio
import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import orjson
import uvloop

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """What to send: each connection sends one request after the other, for some seconds or until a number is reached."""

    port: int
    requests: list[str]
    connections: int = 1
    seconds: float = 2.0
    most: int = 10_000_000
    host: str = "127.0.0.1"
    wanted: str = ""
    """What every answer has in it; one without counts as an error."""


@dataclass
class Run:
    """What came of it; latencies in milliseconds."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    bytes: int = 0

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return len(self.latencies) / self.seconds

    @property
    def refused(self) -> int:
        """Answers with a status other than 200."""
        return sum(count for status, count in self.statuses.items() if status != "200")


def post(path: str, document: str, variables: object = None, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one GraphQL request over a connection that stays open."""
    body = orjson.dumps({"query": document, "variables": variables or {}})
    return raw("POST", path, body, {"Content-Type": "application/json", **(headers or {})})


def raw(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def load(port: int, requests: Sequence[bytes], **how: Any) -> Run:
    """Send the requests in turn from another process, and give what came of it; what `begin` takes, this takes too."""
    return finish(begin(port, requests, **how))


def begin(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int = 1,
    seconds: float = 2.0,
    most: int = 10**7,
    wanted: str = "",
) -> "subprocess.Popen[bytes]":
    """Start the client and do not wait for it."""
    plan = Plan(port, [b64encode(each).decode() for each in requests], connections, seconds, most, wanted=wanted)
    client = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin
    client.stdin.write(orjson.dumps(asdict(plan)))
    client.stdin.close()
    client.stdin = None  # Otherwise `communicate` would flush what is closed.
    return client


def finish(client: "subprocess.Popen[bytes]") -> Run:
    """Wait for a client that was started.

    Raises: RuntimeError when it failed or does not end.
    """
    try:
        answer, _ = client.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()
        raise RuntimeError("the load client does not end") from None
    if client.returncode != 0:
        raise RuntimeError("the load client failed")
    return Run(**orjson.loads(answer))


class Connection(asyncio.Protocol):
    """One connection, which sends its next request as soon as an answer is complete."""

    def __init__(
        self, requests: list[bytes], start: int, until: float, most: int, run: Run, wanted: bytes = b""
    ) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._next = start
        self._until = until
        self._left = most
        self._run = run
        self._expected = wanted
        self._buffer = b""
        self._wanted = -1
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it.
        self._send()

    def _send(self) -> None:
        if self._left <= 0 or time.perf_counter() >= self._until:
            self._transport.close()
            self._finish()
            return
        self._left -= 1
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._wanted < 0:
            self._read_head()
        if 0 <= self._wanted <= len(self._buffer):
            self._answered()

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        place = head.find(b"content-length:")
        if place < 0:
            raise ValueError(f"no content-length in {head!r}")
        stop = head.find(b"\r\n", place)
        self._wanted = end + 4 + int(head[place + 15 : stop if stop > 0 else None])

    def _answered(self) -> None:
        run, buffer = self._run, self._buffer
        run.latencies.append((time.perf_counter() - self._sent) * 1000)
        run.bytes += len(buffer)
        status = buffer[9:12].decode()
        run.statuses[status] = run.statuses.get(status, 0) + 1
        run.errors += b'"errors":[' in buffer or self._expected not in buffer
        self._buffer, self._wanted = b"", -1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a server that hangs up has ended the run of this connection."""
        self._run.errors += exc is not None
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def main(plan: Plan) -> Run:
    """Run a plan."""
    loop, run = asyncio.get_running_loop(), Run()
    requests = [b64decode(each) for each in plan.requests]
    began = time.perf_counter()
    share = -(-plan.most // plan.connections)
    connections = []
    for number in range(plan.connections):
        start = number * len(requests) // plan.connections
        made = Connection(requests, start, began + plan.seconds, share, run, plan.wanted.encode())
        await loop.create_connection(lambda made=made: made, plan.host, plan.port)  # type: ignore[misc]
        connections.append(made)
    await asyncio.gather(*(each.done for each in connections))
    run.seconds = time.perf_counter() - began
    return run


if __name__ == "__main__":
    answer = memoryview(orjson.dumps(asdict(uvloop.run(main(Plan(**orjson.loads(sys.stdin.buffer.read())))))))
    # After uvloop has run, a long write to a pipe ends early and Python does not notice.
    while answer:
        answer = answer[os.write(sys.stdout.fileno(), answer) :]
