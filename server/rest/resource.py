"""One address of the REST API: its methods, each a registered operation that the edge's pipeline executes."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from graphql import OperationType
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from server.edge.correlation import correlation_id
from server.edge.drain import Drain
from server.edge.exchange import ClientLeft, Exchange
from server.edge.executor import Result
from server.edge.masking import INTERNAL, internal_error, refusal_or_none
from server.edge.params import params_from
from server.edge.pipeline import ONE_SHOT, Pipeline
from server.edge.sessions import Sessions
from server.rest.problems import (
    MEDIA_TYPE,
    MethodNotAllowed,
    NotFound,
    Problem,
    problem,
    problem_of_answer,
    problem_of_errors,
    problem_of_refusal,
)
from server.rest.registry import Operation
from server.rest.requests import variables_of

PREFIX = "/api/v1"
JSON = "application/json"
VARY = "Accept-Encoding, Accept-Language, Authorization, Host, X-Agora-Tenant, X-API-Key"


class Resource:
    """The ASGI endpoint of one path; HEAD is GET without the body."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        pipeline: Pipeline,
        sessions: Sessions,
        drain: Drain,
        compress_from_bytes: int,
    ) -> None:
        self._operations = operations
        self._methods = sorted({*operations, *({"HEAD"} if "GET" in operations else ())})
        self._pipeline = pipeline
        self._sessions = sessions
        self._drain = drain
        self._compress_from_bytes = compress_from_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = _without_body(send) if scope["method"] == "HEAD" else send
        exchange = Exchange(scope, receive, sent, self._compress_from_bytes, closing=self._drain.draining)
        try:
            with self._drain:
                await self._answer(exchange)
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001 — the last line: nothing that goes wrong may show a traceback.
            await refuse(exchange, error)

    async def _answer(self, exchange: Exchange) -> None:
        operation = self._operations.get("GET" if exchange.method == "HEAD" else exchange.method)
        if operation is None:
            raise MethodNotAllowed(self._methods)
        session = await self._sessions(HTTPConnection(exchange.scope), None)
        variables = await variables_of(operation, exchange, exchange.scope["path_params"])
        admitted = self._pipeline.admit(params_from({"query": operation.text, "variables": variables}), ONE_SHOT)
        if operation.kind is OperationType.MUTATION:
            # A change that has begun is finished, whether or not its client is still there.
            result = await self._pipeline.answer(admitted, session, correlation_id())
        else:
            with exchange.cancelled_when_client_leaves():
                result = await self._pipeline.answer(admitted, session, correlation_id())
        await self._write(exchange, operation, result)

    async def _write(self, exchange: Exchange, operation: Operation, result: Result) -> None:
        value = result.data.get(operation.result_key) if isinstance(result.data, dict) else None
        failed = problem_of_errors(result.errors, shown=value is not None)
        if failed is None and isinstance(value, dict) and value.get("__typename") != operation.success.name:
            failed = _refused(operation, value, exchange)
        if failed is not None:
            await _send_problem(exchange, failed)
        elif value is None:
            raise NotFound(f"Nothing is at {exchange.scope['path']}.")
        elif operation.kind is OperationType.MUTATION:
            await self._send_changed(exchange, operation, value)
        else:
            await self._send_found(exchange, operation, value)

    async def _send_changed(self, exchange: Exchange, operation: Operation, value: dict[str, Any]) -> None:
        shown = {name: each for name, each in value.items() if name != "__typename"}
        headers = {"vary": VARY}
        if operation.location:
            headers["location"] = PREFIX + operation.location.format(**shown)
        if "version" in shown:
            headers["etag"] = f'"{shown["version"]}"'
        await exchange.send(operation.status, orjson.dumps(shown), headers, JSON)

    async def _send_found(self, exchange: Exchange, operation: Operation, value: Any) -> None:
        headers = {"cache-control": "private, no-cache", "vary": VARY}
        shown = value
        if operation.is_paged:
            shown = {"items": value["nodes"], "pageInfo": value["pageInfo"]}
            if links := _links(exchange.scope, value["pageInfo"]):
                headers["link"] = links
        elif operation.is_list:
            shown = {"items": value}
        body = orjson.dumps(shown)
        headers["etag"] = tag = _etag(shown, body)
        if _known(exchange.headers.get(b"if-none-match", b""), tag):
            await exchange.asgi_send(_not_modified(headers))
            await exchange.asgi_send({"type": "http.response.body", "body": b""})
            return
        await exchange.send(operation.status, body, headers, JSON)


async def refuse(exchange: Exchange, error: BaseException) -> None:
    """Answer with the problem that an exception stands for, or say that something unexpected went wrong."""
    refusal = refusal_or_none(error)
    if refusal is not None:
        await _send_problem(exchange, problem_of_refusal(refusal))
        return
    told = internal_error(error, correlation_id())
    await _send_problem(exchange, (500, problem(500, INTERNAL, told["message"], {}), {}))


async def _send_problem(exchange: Exchange, found: Problem) -> None:
    status, body, headers = found
    await exchange.send(status, body, {"vary": VARY, **headers}, MEDIA_TYPE)


def _refused(operation: Operation, value: dict[str, Any], exchange: Exchange) -> Problem | None:
    if operation.kind is not OperationType.MUTATION:
        return None
    conditional = operation.is_conditional and b"if-match" in exchange.headers
    return problem_of_answer(value, conditional=conditional)


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sent


def _etag(shown: Any, body: bytes) -> str:
    """Tell representations apart by a hash; the version before it is what If-Match is compared with."""
    digest = urlsafe_b64encode(hashlib.blake2b(body, digest_size=9).digest()).decode()
    version = shown.get("version") if isinstance(shown, dict) else None
    return f'W/"{digest}"' if version is None else f'"{version}-{digest}"'


def _known(header: bytes, tag: str) -> bool:
    """Compare weakly, as If-None-Match asks for.

    Source: RFC 9110 §13.1.2.
    """
    given = [each.strip().removeprefix("W/") for each in header.decode("latin-1").split(",")]
    return "*" in given or tag.removeprefix("W/") in given


def _not_modified(headers: Mapping[str, str]) -> Message:
    raw: Sequence[tuple[bytes, bytes]] = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 304, "headers": list(raw)}


def _links(scope: Scope, page: Mapping[str, Any]) -> str:
    """Name the pages beside this one.

    Source: RFC 8288.
    """
    kept = [pair for pair in parse_qsl(scope["query_string"].decode("ascii")) if pair[0] not in _CURSORS]
    size = next((value for name, value in parse_qsl(scope["query_string"].decode("ascii")) if name in _SIZES), None)
    links = []
    for relation, there, size_name, cursor_name, cursor in (
        ("next", page["hasNextPage"], "first", "after", page["endCursor"]),
        ("prev", page["hasPreviousPage"], "last", "before", page["startCursor"]),
    ):
        if there and cursor:
            sized = [(size_name, size)] if size is not None else []
            query = urlencode([*kept, *sized, (cursor_name, cursor)])
            links.append(f'<{scope["path"]}?{query}>; rel="{relation}"')
    return ", ".join(links)


_SIZES = frozenset({"first", "last"})
_CURSORS = _SIZES | {"after", "before"}
