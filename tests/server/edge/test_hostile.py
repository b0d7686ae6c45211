"""A thousand hostile requests: none breaks the server, none costs the others their service, none stays in memory."""

import asyncio
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from hostility import frames, http_requests
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

ROUNDS = 11
AT_ONCE = 8
ALLOWED_GROWTH_BYTES = 24 * 1024 * 1024


class Server:
    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log

    @property
    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        command = [sys.executable, str(Path(__file__).parent / "hostile_server.py"), str(port)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
        try:
            wait_for(port)
            yield Server(port, process, log)
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int) -> None:
    for _ in range(500):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the server never listened")


async def attack_http(port: int, request: bytes) -> str:
    """Send bytes, and return the status that came back, or how the connection ended without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(3):
            writer.write(request)
            await writer.drain()
            status = re.match(rb"HTTP/1.1 (\d+)", await reader.readline())
            return status[1].decode() if status else "closed"
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def attack_socket(port: int, sequence: list[str | bytes]) -> str:
    url = f"ws://127.0.0.1:{port}/graphql"
    try:
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], close_timeout=0.2) as socket_:
            for frame in sequence:
                await socket_.send(frame)
            async with asyncio.timeout(0.15):
                while True:
                    await socket_.recv()
    except TimeoutError:
        return "open"
    except (WebSocketException, OSError):
        return "closed"


async def attack_encoding(port: int) -> int:
    """Send a text frame that is not UTF-8, and return the code that the socket is closed with."""
    url = f"ws://127.0.0.1:{port}/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket_:
        masked = Frame(Opcode.TEXT, b"\xff\xfe\xfd").serialize(mask=True)
        socket_.transport.write(masked)
        await asyncio.wait_for(socket_.wait_closed(), 3)
        assert socket_.close_code is not None
        return socket_.close_code


async def attack_all(port: int, rounds: int, seed: int) -> Counter[str]:
    rng = random.Random(seed)
    gate = asyncio.Semaphore(AT_ONCE)
    outcomes: Counter[str] = Counter()

    async def one(attack: object) -> None:
        async with gate:
            outcomes[await (attack_http if isinstance(attack, bytes) else attack_socket)(port, attack)] += 1  # type: ignore[arg-type, operator]

    attacks = [each for _ in range(rounds) for each in (*http_requests(rng), *frames(rng))]
    rng.shuffle(attacks)
    await asyncio.gather(*(one(attack) for attack in attacks))
    return outcomes


async def ask_honestly(port: int, until: asyncio.Event) -> list[float]:
    """Ask a small query again and again, and return how many seconds each answer took."""
    took: list[float] = []
    async with httpx.AsyncClient(timeout=5) as http:
        while not until.is_set():
            began = time.perf_counter()
            response = await http.post(f"http://127.0.0.1:{port}/graphql", json={"query": "{ hello }"})
            assert response.json() == {"data": {"hello": "hello world"}}
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)
    return took


class TestHostileClients:
    async def test_harm_nobody(self, server):
        warm_up = await attack_all(server.port, rounds=2, seed=1)
        before = server.memory
        ended = asyncio.Event()
        honest = asyncio.create_task(ask_honestly(server.port, ended))
        outcomes = await attack_all(server.port, ROUNDS, seed=2)
        ended.set()
        took = sorted(await honest)
        assert sum(outcomes.values()) + sum(warm_up.values()) >= 1_000
        assert [outcome for outcome in outcomes + warm_up if outcome.startswith("5")] == []
        assert took[len(took) // 2] < 0.5
        assert server.memory - before < ALLOWED_GROWTH_BYTES
        assert server.process.poll() is None
        assert "Traceback" not in server.log.read_text()

    async def test_with_invalid_text_are_closed_without_a_traceback(self, server):
        assert await attack_encoding(server.port) == 1007
        assert server.log.read_text() == ""
