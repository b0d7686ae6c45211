"""A client of graphql-transport-ws, as much of it as the suite needs."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.schema.fuzz.shop import FERNHILL

PATIENCE_SECONDS = 60


@dataclass
class Socket:
    """An open socket on which one operation is followed at a time."""

    connection: ClientConnection

    async def subscribe(self, document: str, variables: Any) -> None:
        payload = {"query": document, "variables": variables}
        await self.connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))

    async def next(self) -> dict[str, Any]:
        """Give the next event as a response; errors that end the operation as one too."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = json.loads(await self.connection.recv())
                if message["type"] == "next":
                    return dict(message["payload"])
                if message["type"] == "error":
                    return {"errors": message["payload"]}
                assert message["type"] == "ping", message

    async def last(self) -> None:
        """Read until the server closes.

        Raises: ConnectionClosed.
        """
        while True:
            await self.next()


@asynccontextmanager
async def opened(url: str, token: str | None) -> AsyncIterator[Socket]:
    """Open a socket in the name of somebody."""
    address = url.replace("http", "ws", 1) + "/graphql"
    said = {"tenant": FERNHILL.code} | ({"authorization": f"Bearer {token}"} if token else {})
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": said}))
        assert json.loads(await connection.recv())["type"] == "connection_ack"
        yield Socket(connection)
