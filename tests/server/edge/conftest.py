"""Real servers on loopback, real Valkey, and the npm clients, for the edge's tests."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp

from data.embedded import EmbeddedValkey
from server.edge.serving import server_config
from server.edge.settings import EdgeSettings

sys.path.insert(0, str(Path(__file__).parent))

NODE_FOLDER = Path(__file__).parents[2] / "node"


@contextmanager
def listening(app: ASGIApp, make: Callable[[uvicorn.Config], uvicorn.Server] = uvicorn.Server) -> Iterator["Listening"]:
    """Serve an application on a free port of loopback, in a thread with an event loop of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = make(server_config(app, EdgeSettings(), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Listening(server, thread, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class Listening:
    def __init__(self, server: uvicorn.Server, thread: threading.Thread, port: int) -> None:
        self.server = server
        self.thread = thread
        self.http = f"http://127.0.0.1:{port}/graphql"
        self.ws = f"ws://127.0.0.1:{port}/graphql"
        self.port = port


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    return listening


@pytest.fixture(scope="session")
def shop() -> Iterator[Listening]:
    from edge_shop import shop_app

    with listening(shop_app()) as server:
        yield server


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Run a script of tests/node with its npm packages, and read the JSON that it prints."""
    if not shutil.which("node"):
        pytest.skip("Node is not installed: the npm conformance clients cannot run")
    if not (NODE_FOLDER / "node_modules").exists() and not _installed():
        pytest.skip("npm ci could not install the conformance clients")

    def run(script: str, *arguments: str) -> Any:
        done = subprocess.run(
            ["node", script, *arguments], cwd=NODE_FOLDER, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def _installed() -> bool:
    install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    return subprocess.run(install, cwd=NODE_FOLDER, capture_output=True, timeout=120, check=False).returncode == 0


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey"), durable=False) as valkey:
        yield valkey.url()
