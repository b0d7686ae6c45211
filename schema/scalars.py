"""The scalars of the graph."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError, GraphQLScalarType
from strawberry.scalars import JSON
from strawberry.schema.types.base_scalars import DateTimeDefinition, wrap_parser
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
MAX_SAFE_INTEGER = 2**53 - 1


def _parse_id(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise GraphQLError(f"ID cannot represent {value!r}: our ids are UUIDs.") from None


def _parse_big_int(value: Any) -> int:
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError):
        number = MAX_SAFE_INTEGER + 1
    # What is cut off of a fraction would be somebody's money.
    fraction = isinstance(value, float) and not value.is_integer()
    if isinstance(value, bool) or fraction or abs(number) > MAX_SAFE_INTEGER:
        raise GraphQLError(f"BigInt cannot represent {value!r}.")
    return number


def _parse_moment(value: str) -> datetime:
    """Read an instant; one without a zone is in UTC, and one that has no place in the calendar there is none."""
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


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
    datetime: replace(
        DateTimeDefinition, parse_value=wrap_parser(_parse_moment, "DateTime", (ValueError, OverflowError))
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of up to 53 bits.",
        serialize=int,
        parse_value=_parse_big_int,
    ),
}

__all__ = ["JSON", "SCALARS", "BigInt"]
