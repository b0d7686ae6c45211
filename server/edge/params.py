"""The parameters of a GraphQL request, as every transport reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.edge.refusal import TransportRefusal

MAX_VARIABLE_DEPTH = 32
"""Nested deeper, coercion of a recursive input type would reach Python's recursion limit."""

_EMPTY: Mapping[str, Any] = {}


class BadParameters(TransportRefusal):
    """The request is not a well-formed GraphQL request."""


@dataclass(frozen=True, slots=True)
class GraphQLParams:
    query: str | None
    operation_name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]


def params_from(payload: Any) -> GraphQLParams:
    """Read one request from decoded JSON.

    Raises: BadParameters.
    """
    if not isinstance(payload, dict):
        raise BadParameters("A GraphQL request is a JSON object.")
    return GraphQLParams(
        query=_optional_string(payload, "query"),
        operation_name=_optional_string(payload, "operationName"),
        variables=_shallow(_optional_object(payload, "variables")),
        extensions=_optional_object(payload, "extensions"),
    )


def _optional_string(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise BadParameters(f"{name} must be a string.", parameter=name)
    return value


def _optional_object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if value is None:
        return _EMPTY
    if not isinstance(value, dict):
        raise BadParameters(f"{name} must be an object.", parameter=name)
    return value


def _shallow(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    level: list[Any] = [value for value in variables.values() if isinstance(value, dict | list)]
    for _ in range(MAX_VARIABLE_DEPTH):
        if not level:
            return variables
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
    raise BadParameters(f"variables are nested deeper than {MAX_VARIABLE_DEPTH} levels.", parameter="variables")
