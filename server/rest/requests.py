"""From an HTTP request to the variables of an operation."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    get_named_type,
    get_nullable_type,
)

from server.edge.exchange import Exchange
from server.edge.negotiation import UnsupportedMediaType, is_json
from server.rest.problems import BadRequest, PreconditionFailed
from server.rest.registry import EXPECTED_VERSION, IDEMPOTENCY_KEY, INPUT, Operation, Variable

MAX_PARAMETERS = 50
_INTEGER = re.compile(r"-?[0-9]{1,16}\Z")
_FLOAT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?\Z")
_ETAG = re.compile(r'"([0-9]{1,9})(-[A-Za-z0-9_-]*)?"\Z')
_BOOLEANS = {"true": True, "false": False}


async def variables_of(operation: Operation, exchange: Exchange, path: Mapping[str, str]) -> dict[str, Any]:
    """Give the variables that a request means.

    Raises: BadRequest, PreconditionFailed, UnsupportedMediaType.
    """
    variables = _from_query(operation, exchange.scope["query_string"])
    given: dict[str, Any] = {}
    if operation.input_type is not None:
        given = variables[INPUT] = _from_body(operation, await exchange.body(), exchange)
    for name, kind in operation.path_parameters.items():
        (variables if name in operation.variables else given)[name] = _parsed(name, path[name], kind)
    if IDEMPOTENCY_KEY in operation.variables:
        key = exchange.headers.get(b"idempotency-key")
        if key is None and operation.variables[IDEMPOTENCY_KEY].required:
            raise BadRequest("The header Idempotency-Key is required.", parameter="Idempotency-Key")
        variables[IDEMPOTENCY_KEY] = None if key is None else key.decode("latin-1")
    if operation.is_conditional and (match := exchange.headers.get(b"if-match")) not in {None, b"*"}:
        given[EXPECTED_VERSION] = _version_in(match or b"")
    return variables


def _version_in(header: bytes) -> int:
    """Read the version out of an ETag that we gave; what we cannot have given matches nothing."""
    found = _ETAG.match(header.decode("latin-1"))
    if found is None:
        raise PreconditionFailed('If-Match takes one ETag of the resource, such as "3" or "3-x".')
    return int(found[1])


def _from_query(operation: Operation, query: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise BadRequest("The query string is malformed.") from None
    known = operation.query_parameters
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in known:
            raise BadRequest(f"There is no parameter {name[:80]!r}.", parameter=name[:80])
        collected.setdefault(name, []).append(value)
    if missing := [each.name for each in known.values() if each.required and each.name not in collected]:
        raise BadRequest(f"The parameter {missing[0]!r} is required.", parameter=missing[0])
    return {name: _of_query(known[name], values) for name, values in collected.items()}


def _of_query(variable: Variable, values: Sequence[str]) -> Any:
    if isinstance(get_nullable_type(variable.type), GraphQLList):
        return [_parsed(variable.name, each, variable.type) for each in values]
    if len(values) > 1:
        raise BadRequest(f"The parameter {variable.name!r} is given more than once.", parameter=variable.name)
    return _parsed(variable.name, values[0], variable.type)


def _parsed(name: str, text: str, kind: GraphQLInputType) -> Any:
    """Read a value of a path or a query; what it must look like is left to its scalar, but for those that are not texts."""
    named = get_named_type(kind).name
    if named == "Boolean" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if named in {"Int", "BigInt"} and _INTEGER.match(text):
        return int(text)
    if named == "Float" and _FLOAT.match(text):
        return float(text)
    if named in {"Boolean", "Int", "BigInt", "Float"}:
        raise BadRequest(f"The parameter {name!r} is no {named}.", parameter=name)
    return text


def _from_body(operation: Operation, body: bytes, exchange: Exchange) -> dict[str, Any]:
    if not body:
        value: Any = {}
    elif not is_json(exchange.headers.get(b"content-type", b"")[:200].decode("latin-1")):
        raise UnsupportedMediaType("A request body is application/json in UTF-8.")
    else:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadRequest("The body is not JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be an object.")
    for name, each in value.items():
        if name not in operation.body_fields:
            raise BadRequest(f"The body has no field {name[:80]!r}.", parameter=name[:80])
        _check_lists(name, each, operation.body_fields[name])
    return value


def _check_lists(name: str, value: Any, kind: GraphQLInputType) -> None:
    """Refuse one value for a list of one, which GraphQL takes and the description of the API does not."""
    present = get_nullable_type(kind)
    if value is None:
        return
    if isinstance(present, GraphQLList):
        if not isinstance(value, list):
            raise BadRequest(f"{name} must be a list.", parameter=name)
        for each in value:
            _check_lists(name, each, present.of_type)
    elif isinstance(present, GraphQLInputObjectType) and isinstance(value, dict):
        for inner, each in present.fields.items():
            _check_lists(f"{name}.{inner}", value.get(inner), each.type)
