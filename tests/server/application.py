"""The whole application behind a real HTTP server on loopback, and a client that speaks to it as others do."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from server.app import build
from server.edge.serving import server_config
from server.edge.settings import EdgeSettings
from server.settings import Settings
from tests.gateway.routing import AsRouter

T = TypeVar("T")
TRANSPORT = Subprotocol("graphql-transport-ws")


@contextmanager
def served(settings: Settings) -> Iterator["Application"]:
    """Serve the application on a free port, in a thread with an event loop of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = server_config(build(settings), EdgeSettings(), log_level="warning", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the application did not start"
        time.sleep(0.01)
    try:
        yield Application(settings, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass
class Reply:
    """What came back over HTTP."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def body(self) -> dict[str, Any]:
        return dict(self.response.json())

    @property
    def data(self) -> Any:
        assert not self.body.get("errors"), self.body
        return self.body["data"]

    @property
    def codes(self) -> list[str]:
        return [each["extensions"]["code"] for each in self.body.get("errors", ())]


@dataclass
class Application:
    """A running application."""

    settings: Settings
    url: str
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(base_url=self.url, timeout=30)

    async def ask(
        self,
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        tenant: str | None = None,
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """Send an operation as JSON; further headers are given with underscores."""
        body = {"query": document, "variables": variables or {}}
        return await self.post("/graphql", json.dumps(body), named(tenant, token, headers))

    async def post(self, path: str, content: bytes | str, headers: dict[str, str]) -> Reply:
        given = {"content-type": "application/json", **headers}
        return Reply(await self.client.post(path, content=content, headers=given))

    async def ask_subgraph(self, context: str, document: str, variables: Any = None, **headers: str) -> Reply:
        """Send an operation to one subgraph, as the router does; headers are given with underscores."""
        body = {"query": document, "variables": variables or {}}
        url, auth = f"/subgraphs/{context}/graphql", AsRouter(self.settings.router_key)
        return Reply(await self.client.post(url, json=body, headers=named(None, None, headers), auth=auth))

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def log_in(self, email: str, password: str, tenant: str) -> str:
        """Give an access token."""
        reply = await self.ask(LOGIN, {"email": email, "password": password}, tenant=tenant)
        return str(reply.data["login"]["accessToken"])

    @asynccontextmanager
    async def socket(self, **init: Any) -> AsyncIterator[ClientConnection]:
        """Open a WebSocket and say who is calling; whether that was accepted is the caller's to read."""
        address = self.url.replace("http://", "ws://") + "/graphql"
        async with connect(address, subprotocols=[TRANSPORT]) as opened:
            await opened.send(json.dumps({"type": "connection_init", "payload": init}))
            yield opened


LOGIN = """mutation($email: String!, $password: String!) { login(email: $email, password: $password) {
  __typename ... on Authentication { accessToken refreshToken user { id } } ... on Error { code message } } }"""


def named(tenant: str | None, token: str | None, headers: dict[str, str]) -> dict[str, str]:
    """Make the headers of a request."""
    made = {name.replace("_", "-"): value for name, value in headers.items()}
    if tenant is not None:
        made["x-agora-tenant"] = tenant
    if token is not None:
        made["authorization"] = f"Bearer {token}"
    return made


async def next_message(opened: ClientConnection) -> dict[str, Any]:
    """Read the next message of a WebSocket."""
    message: dict[str, Any] = json.loads(await asyncio.wait_for(opened.recv(), 20))
    return message


async def eventually(condition: Callable[[], Awaitable[T]], seconds: float = 20) -> T:
    """Ask again and again until something holds, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := await condition()):
        assert time.monotonic() < deadline, "it never came about"
        await asyncio.sleep(0.05)
    return found
