"""How a connection becomes a session: the port, and the plain case of one context per operation."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from server.edge.executor import Bucket, Operation, Session

Sessions = Callable[[HTTPConnection, Mapping[str, Any] | None], Awaitable[Session]]
"""Called with the connection and, on a WebSocket, the payload of `connection_init`.

Raises: anything with a string `code` and `message`; `UNAUTHENTICATED` answers 401, `FORBIDDEN` 403, on a WebSocket
both close it with 4403.
"""

DEADLINE = "agora.deadline"
"""The key in a connection's scope of the moment, by the event loop's clock, after which nobody waits for the answer."""

ContextFactory = Callable[[HTTPConnection], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class AnonymousSession:
    """A session whose contexts come from one factory; callers are told apart by address."""

    connection: HTTPConnection
    factory: ContextFactory
    principal: str
    buckets: Sequence[Bucket] = ()
    expires_at: float | None = None
    deadline: float | None = None

    def context(self, operation: Operation, correlation_id: str) -> AbstractAsyncContextManager[Any]:  # noqa: ARG002 # The port names them.
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Any]:
        yield await self.factory(self.connection)


def anonymous_sessions(factory: ContextFactory) -> Sessions:
    """Make a session for everybody, with the context that `factory` gives."""

    async def session(connection: HTTPConnection, params: Mapping[str, Any] | None) -> Session:  # noqa: ARG001 # The port names it.
        return AnonymousSession(connection, factory, connection.client.host if connection.client else "unknown")

    return session
