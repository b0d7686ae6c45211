"""The messages of graphql-transport-ws: strict reading of what a client sends, writing of what it gets.

Source: the GraphQL over WebSocket protocol of the npm package graphql-ws.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from server.edge.params import BadParameters, GraphQLParams, params_from

MAX_ID_CHARACTERS = 128


class InvalidMessage(Exception):  # The protocol's own name; it closes the socket with 4400.
    """What came is no message of the protocol."""


@dataclass(frozen=True, slots=True)
class ConnectionInit:
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Ping:
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Subscribe:
    id: str
    params: GraphQLParams


@dataclass(frozen=True, slots=True)
class Complete:
    id: str


Message = ConnectionInit | Ping | Pong | Subscribe | Complete

_WITH_PAYLOAD: dict[str, type[ConnectionInit | Ping | Pong]] = {
    "connection_init": ConnectionInit,
    "ping": Ping,
    "pong": Pong,
}


def read_message(text: str) -> Message:
    """Read one message of a client.

    Raises: InvalidMessage.
    """
    try:
        message = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise InvalidMessage("Message is not valid JSON") from None
    if not isinstance(message, dict):
        raise InvalidMessage("Message must be an object")
    kind = message.get("type")
    if not isinstance(kind, str):
        raise InvalidMessage("Message is missing its type")
    return _read(kind, message)


def _read(kind: str, message: dict[str, Any]) -> Message:
    if message_class := _WITH_PAYLOAD.get(kind):
        return message_class(_payload(message))
    if kind == "subscribe":
        return Subscribe(_id(message), _params(message.get("payload")))
    if kind == "complete":
        return Complete(_id(message))
    raise InvalidMessage(f"Unknown message type {kind[:40]!r}")


def _payload(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise InvalidMessage("The payload must be an object")
    return payload


def _id(message: dict[str, Any]) -> str:
    identity = message.get("id")
    if not isinstance(identity, str) or not 0 < len(identity) <= MAX_ID_CHARACTERS:
        raise InvalidMessage(f"The id must be a string of 1 to {MAX_ID_CHARACTERS} characters")
    return identity


def _params(payload: Any) -> GraphQLParams:
    try:
        params = params_from(payload)
    except BadParameters as refusal:
        raise InvalidMessage(refusal.message) from None
    if params.query is None and "persistedQuery" not in params.extensions:
        raise InvalidMessage("The payload must have a query")
    return params


ACK = '{"type":"connection_ack"}'


def pong(payload: dict[str, Any] | None) -> str:
    return '{"type":"pong"}' if payload is None else f'{{"type":"pong","payload":{orjson.dumps(payload).decode()}}}'


def next_message(identity: str, body: bytes) -> str:
    return (next_head(identity) + body + b"}").decode()


def next_head(identity: str) -> bytes:
    """Write a `next` up to its payload; a closing brace ends it."""
    return b'{"id":' + orjson.dumps(identity) + b',"type":"next","payload":'


def error_message(identity: str, errors: bytes) -> str:
    """Write an `error`; `errors` is a written JSON list."""
    return f'{{"id":{_quoted(identity)},"type":"error","payload":{errors.decode()}}}'


def complete_message(identity: str) -> str:
    return f'{{"id":{_quoted(identity)},"type":"complete"}}'


def _quoted(identity: str) -> str:
    return orjson.dumps(identity).decode()
