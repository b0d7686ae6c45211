"""The life of one graphql-transport-ws socket.

Source: the GraphQL over WebSocket protocol of the npm package graphql-ws.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing, nullcontext
from enum import IntEnum
from typing import Any

import orjson
from graphql import OperationType
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from server.edge.correlation import bind_correlation_id, correlation_id
from server.edge.drain import Drain
from server.edge.executor import Session
from server.edge.masking import errors_of, internal_error, refusal_or_none
from server.edge.params import GraphQLParams
from server.edge.pipeline import ANY_KIND, Pipeline
from server.edge.refusal import Refusal
from server.edge.serving import SEND_NOW
from server.edge.sessions import Sessions
from server.edge.settings import SocketLimits
from server.edge.socket_limits import MessageBudget, Tickets, unix_now
from server.edge.ws_messages import (
    ACK,
    Complete,
    ConnectionInit,
    InvalidMessage,
    Message,
    Ping,
    Subscribe,
    complete_message,
    error_message,
    next_head,
    next_message,
    pong,
    read_message,
)

MAX_REASON_BYTES = 120
"""A close frame holds 125 bytes, two of them the code."""


class Close(IntEnum):
    """Why the edge closes a socket; well-made clients connect again after 1001, 1013, 4403 and 4408."""

    GOING_AWAY = 1001
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITS = 4429


class TooManyOperations(Refusal):
    """The socket runs as many operations as it may."""


class ShuttingDown(Refusal):
    """The server takes no new operations: connect again."""


class FrameSink:
    """Sends the responses of one operation straight to the socket."""

    __slots__ = ("_head", "_send_now")

    def __init__(self, identity: str, send_now: Callable[[bytes], bool]) -> None:
        self._head = next_head(identity)
        self._send_now = send_now

    def push(self, body: bytes) -> bool:
        """Send a `next`; false where the socket takes nothing at the moment."""
        return self._send_now(self._head + body + b"}")


class Connection:
    """Reads messages in order, runs each operation in a task of its own, and ends all of them when the socket ends.

    A result is only asked of its source when the one before it was taken by the socket, so a slow client holds back
    its own sources and nothing piles up here.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        limits: SocketLimits,
        pipeline: Pipeline,
        sessions: Sessions,
        drain: Drain,
        tickets: Tickets,
    ) -> None:
        self._http = HTTPConnection(scope)
        self._receive = receive
        self._asgi_send = send
        self._limits = limits
        self._pipeline = pipeline
        self._sessions = sessions
        self._drain = drain
        self._tickets = tickets
        self._budget = MessageBudget(limits.messages_per_second, limits.message_burst)
        self._correlation_id = correlation_id()
        self._reader: asyncio.Task[Any] | None = None
        self._init_received = False
        self._session: Session | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._operation_count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._closed = False

    async def run(self) -> None:
        """Serve the socket until either side closes it."""
        self._reader = asyncio.current_task()
        self._drain.on_shutdown(self._say_goodbye)
        self._later(self._limits.init_timeout_seconds, self._time_out)
        try:
            while not self._closed:
                await self._read()
        except asyncio.CancelledError:
            if not self._closed or self._reader is None or not self._reader.uncancel() == 0:
                raise
        finally:
            self._drain.forget(self._say_goodbye)
            await self._end()

    async def _read(self) -> None:
        frame = await self._receive()
        if frame["type"] == "websocket.disconnect":
            self._closed = True
        elif not self._budget.take():
            await self._close(Close.POLICY_VIOLATION, "Too many messages")
        else:
            await self._read_frame(frame.get("text"))

    async def _read_frame(self, text: str | None) -> None:
        if text is None:
            await self._close(Close.BAD_REQUEST, "Messages are text")
        elif len(text) > self._limits.max_message_bytes:
            await self._close(Close.MESSAGE_TOO_BIG, "Message too big")
        else:
            try:
                await self._handle(read_message(text))
            except InvalidMessage as invalid:
                await self._close(Close.BAD_REQUEST, str(invalid))

    async def _handle(self, message: Message) -> None:
        match message:
            case ConnectionInit(payload):
                await self._initialise(payload)
            case Ping(payload):
                await self._send(pong(payload))
            case Subscribe(identity, params):
                await self._subscribe(identity, params)
            case Complete(identity):
                self._complete(identity)

    async def _initialise(self, payload: dict[str, Any] | None) -> None:
        if self._init_received:
            await self._close(Close.TOO_MANY_INITS, "Too many initialisation requests")
            return
        self._init_received = True
        self._start(self._acknowledge(payload))

    async def _acknowledge(self, payload: dict[str, Any] | None) -> None:
        """Open the session in a task of its own: what a client sends before the acknowledgement is unauthorised."""
        try:
            session = await self._sessions(self._http, payload)
        except Exception as error:  # noqa: BLE001 # Nothing that goes wrong may show a traceback.
            if refusal := refusal_or_none(error):
                await self._close(Close.FORBIDDEN, refusal.message)
            else:
                internal_error(error, self._correlation_id)
                await self._close(Close.INTERNAL_ERROR, "Internal error")
            return
        if not self._tickets.take(session.principal):
            await self._close(Close.TRY_AGAIN_LATER, "Too many connections")
            return
        self._session = session
        if session.expires_at is not None:
            self._later(max(0.0, session.expires_at - unix_now()), self._expire)
        await self._send(ACK)

    async def _subscribe(self, identity: str, params: GraphQLParams) -> None:
        if self._session is None:
            await self._close(Close.UNAUTHORIZED, "Unauthorized")
        elif identity in self._operations:
            await self._close(Close.SUBSCRIBER_EXISTS, f"Subscriber for {identity} already exists")
        elif self._drain.draining:
            await self._refuse(identity, ShuttingDown("The server is shutting down."))
        elif len(self._operations) >= self._limits.operations_per_connection:
            limit = self._limits.operations_per_connection
            await self._refuse(identity, TooManyOperations(f"A socket runs {limit} operations.", limit=limit))
        else:
            self._operations[identity] = self._start(self._operate(identity, params, self._session))

    def _complete(self, identity: str) -> None:
        """A client may complete what the server has just completed itself."""
        if task := self._operations.pop(identity, None):
            task.cancel()

    async def _operate(self, identity: str, params: GraphQLParams, session: Session) -> None:
        self._operation_count += 1
        operation_correlation_id = f"{self._correlation_id}.{self._operation_count}"
        bind_correlation_id(operation_correlation_id)
        try:
            await self._stream(identity, params, session, operation_correlation_id)
        except Exception as error:  # noqa: BLE001 # A source that fails must not show a traceback.
            errors = orjson.dumps(errors_of(error, operation_correlation_id), default=str)
            await self._finish(identity, error_message(identity, errors))

    async def _stream(self, identity: str, params: GraphQLParams, session: Session, correlation: str) -> None:
        admitted = self._pipeline.admit(params, ANY_KIND)
        subscription = admitted.operation.kind is OperationType.SUBSCRIPTION
        send_now = self._http.scope.get("extensions", {}).get(SEND_NOW)
        sink = FrameSink(identity, send_now) if subscription and send_now else None
        with nullcontext() if subscription else self._drain:
            async with aclosing(self._pipeline.stream(admitted, session, correlation, sink)) as responses:
                async for response in responses:
                    if not response.executed:
                        errors = orjson.dumps(orjson.loads(response.body)["errors"])
                        await self._finish(identity, error_message(identity, errors))
                        return
                    await self._send(next_message(identity, response.body))
            await self._finish(identity, complete_message(identity))

    async def _finish(self, identity: str, message: str) -> None:
        """Free the id before the client hears of it, so that it may use it again at once."""
        if self._operations.get(identity) is asyncio.current_task():
            del self._operations[identity]
        await self._send(message)

    async def _refuse(self, identity: str, refusal: Refusal) -> None:
        await self._send(error_message(identity, _errors(refusal)))

    async def _send(self, text: str) -> None:
        if self._closed:
            return
        try:
            async with asyncio.timeout(self._limits.send_timeout_seconds):
                await self._asgi_send({"type": "websocket.send", "text": text})
        except (TimeoutError, OSError):
            self._abandon()

    def _abandon(self) -> None:
        """Give up a client that is gone or takes nothing: a close frame would not reach it either."""
        self._closed = True
        if self._reader and self._reader is not asyncio.current_task():
            self._reader.cancel()

    async def _close(self, code: Close, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(self._limits.send_timeout_seconds):
                await self._asgi_send({"type": "websocket.close", "code": int(code), "reason": short})
        except (TimeoutError, OSError):
            self._abandon()

    async def _time_out(self) -> None:
        if not self._init_received:
            await self._close(Close.INIT_TIMEOUT, "Connection initialisation timeout")

    async def _expire(self) -> None:
        await self._close(Close.FORBIDDEN, "Token expired")

    async def _say_goodbye(self) -> None:
        await self._close(Close.GOING_AWAY, "Server is shutting down")

    def _later(self, seconds: float, action: Any) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, lambda: self._start(action())))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self) -> None:
        for timer in self._timers:
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            self._tickets.give_back(self._session.principal)


def _errors(refusal: Refusal) -> bytes:
    return orjson.dumps(refusal.errors(), default=str)
