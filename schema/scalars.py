"""The scalars of the graph."""

from collections.abc import Mapping
from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLScalarType
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
MAX_SAFE_INTEGER = 2**53 - 1


def _parse_id(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise ValueError(f"ID cannot represent {value!r}: our ids are UUIDs.") from None


def _parse_big_int(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or abs(number) > MAX_SAFE_INTEGER:
        raise ValueError(f"BigInt cannot represent {value!r}.")
    return number


def _id_scalar() -> GraphQLScalarType:
    # graphql-core reserves the name to its own scalar, whose values are strings; rows hold UUIDs. Clients cannot tell.
    scalar = GraphQLScalarType(name="UuidID", serialize=str, parse_value=_parse_id)
    scalar.name = "ID"
    return scalar


SCALARS: Mapping[object, ScalarDefinition] = {
    UUID: ScalarDefinition(
        name="ID",
        description=None,
        specified_by_url=None,
        serialize=str,
        parse_value=_parse_id,
        parse_literal=None,
        directives=(),
        origin=UUID,
        implementation=_id_scalar(),
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of up to 53 bits.",
        serialize=int,
        parse_value=_parse_big_int,
    ),
}

__all__ = ["JSON", "SCALARS", "BigInt"]
