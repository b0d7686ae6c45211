"""GraphQL over HTTP: one ASGI endpoint for GET and POST, JSON and event streams.

Source: the GraphQL over HTTP specification, https://graphql.github.io/graphql-over-http/draft/
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import OperationType
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from server.edge.correlation import correlation_id
from server.edge.csrf import check_get
from server.edge.drain import Drain
from server.edge.exchange import ClientLeft, Exchange
from server.edge.executor import Session
from server.edge.explorer import PAGE_HEADERS
from server.edge.graphql_sse import EventStream
from server.edge.masking import refusal_or_none
from server.edge.negotiation import MediaType, UnsupportedMediaType, is_json, negotiate
from server.edge.params import BadParameters, GraphQLParams, params_from
from server.edge.pipeline import ANY_KIND, ONE_SHOT, Admitted, Pipeline, Response, write_refusal
from server.edge.refusal import Refusal, TransportRefusal
from server.edge.sessions import Sessions
from server.edge.settings import EdgeSettings
from server.edge.socket_limits import Tickets, unix_now

_STREAMED_BY_GET = frozenset({OperationType.QUERY, OperationType.SUBSCRIPTION})


class MethodNotAllowed(TransportRefusal):
    """Only GET and POST carry GraphQL."""

    status = 405

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": "GET, POST"}


class GraphQLHTTP:
    """The endpoint: reads parameters, lets the pipeline run them, writes what the client accepts."""

    def __init__(
        self,
        settings: EdgeSettings,
        pipeline: Pipeline,
        sessions: Sessions,
        drain: Drain,
        tickets: Tickets,
        explorer: bytes | None,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._sessions = sessions
        self._drain = drain
        self._tickets = tickets
        self._explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, self._settings.compress_from_bytes, closing=self._drain.leaving)
        try:
            await self._answer(exchange)
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001 # The last line: nothing that goes wrong may show a traceback.
            refusal = refusal_or_none(error)
            await (exchange.refuse(refusal) if refusal else exchange.fail(error))

    async def _answer(self, exchange: Exchange) -> None:
        get = exchange.method == "GET"
        accept = exchange.headers.get(b"accept", b"")[:1_000].decode("latin-1")
        exchange.media = negotiate(accept, html=get and self._explorer is not None)
        if exchange.media is MediaType.HTML:
            await exchange.send(200, self._explorer or b"", PAGE_HEADERS, content_type="text/html; charset=utf-8")
            return
        payload = self._query_string(exchange) if get else await self._body(exchange)
        if exchange.media is MediaType.EVENTS:
            await self._events(exchange, params_from(payload))
            return
        with self._drain:
            if isinstance(payload, list):
                await self._batch(exchange, payload)
            else:
                await self._single(exchange, params_from(payload))

    def _query_string(self, exchange: Exchange) -> dict[str, Any]:
        check_get(exchange.headers, self._settings.allowed_origins)
        try:
            pairs = parse_qsl(exchange.scope["query_string"].decode("ascii"), max_num_fields=20, errors="strict")
        except ValueError:
            raise BadParameters("The query string is malformed.") from None
        payload: dict[str, Any] = dict(pairs)
        for name in ("variables", "extensions"):
            if name in payload:
                payload[name] = _decoded(payload[name].encode())
        return payload

    async def _body(self, exchange: Exchange) -> Any:
        if exchange.method != "POST":
            raise MethodNotAllowed("Only GET and POST carry GraphQL.")
        if not is_json(exchange.headers.get(b"content-type", b"")[:200].decode("latin-1")):
            raise UnsupportedMediaType("A request body is application/json in UTF-8; forms and uploads are refused.")
        return _decoded(await exchange.body())

    async def _single(self, exchange: Exchange, params: GraphQLParams) -> None:
        cost = exchange.headers.get(b"graphql-cost")
        kinds = (OperationType.QUERY,) if exchange.method == "GET" else ONE_SHOT
        admitted = self._pipeline.admit(params, kinds, report=cost == b"report")
        if cost == b"validate":
            await exchange.respond(Response(self._pipeline.priced(admitted), executed=True))
            return
        session = await self._session(exchange)
        await exchange.respond(await self._execute(exchange, admitted, session))

    async def _execute(self, exchange: Exchange, admitted: Admitted, session: Session) -> Response:
        """A query ends when its client leaves; a mutation that has begun is finished."""
        if admitted.operation.kind is OperationType.MUTATION:
            return await self._pipeline.execute(admitted, session, correlation_id())
        with exchange.cancelled_when_client_leaves():
            return await self._pipeline.execute(admitted, session, correlation_id())

    async def _events(self, exchange: Exchange, params: GraphQLParams) -> None:
        responses = self._stream(exchange, params)
        await EventStream(exchange, self._drain, self._settings.keep_alive_seconds).run(responses)

    async def _stream(self, exchange: Exchange, params: GraphQLParams) -> AsyncGenerator[Response]:
        kinds = _STREAMED_BY_GET if exchange.method == "GET" else ANY_KIND
        admitted = self._pipeline.admit(params, kinds)
        session = await self._session(exchange)
        responses = self._pipeline.stream(admitted, session, correlation_id())
        with self._tickets.held(session.principal), _cancelled_at(session.expires_at):
            async with aclosing(responses):
                async for response in responses:
                    yield response

    async def _session(self, exchange: Exchange) -> Session:
        return await self._sessions(HTTPConnection(exchange.scope), None)

    async def _batch(self, exchange: Exchange, payloads: Sequence[Any]) -> None:
        limit = self._settings.max_batch
        if not 0 < len(payloads) <= limit:
            message = f"A batch holds 1 to {limit} requests." if limit else "Batches are not accepted."
            raise BadParameters(message, limit=limit)
        session = await self._session(exchange)
        responses = [await self._of_batch(payload, session) for payload in payloads]
        await exchange.send(200, b"[" + b",".join(responses) + b"]")

    async def _of_batch(self, payload: Any, session: Session) -> bytes:
        try:
            admitted = self._pipeline.admit(params_from(payload), ONE_SHOT)
            return (await self._pipeline.execute(admitted, session, correlation_id())).body
        except Refusal as refusal:
            return write_refusal(refusal)


@contextmanager
def _cancelled_at(expires_at: float | None) -> Iterator[None]:
    """Cut a stream short when its credentials end; the client connects again with new ones."""
    task = asyncio.current_task()
    if expires_at is None or task is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(max(0.0, expires_at - unix_now()), task.cancel)
    try:
        yield
    finally:
        timer.cancel()


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadParameters("The request is not JSON in UTF-8.") from None
