"""Null propagation: what failed is nulled, together with every parent that may not hold null."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from graphql import GraphQLError, located_error

from schema.supergraph.places import Place, Trail


class Failure(NamedTuple):
    """A value that is missing or failed."""

    place: Place
    position: int
    error: Exception


ResponsePath = tuple[str | int, ...]


def propagate(data: Any, failures: Iterable[Failure]) -> tuple[Any, list[GraphQLError]]:
    """Null what failed, and return the data with the errors.

    Of all errors that null the same position the first stays; an error whose position lies inside something nulled
    for another reason goes, because the response no longer shows where it was.
    """
    errors: dict[ResponsePath, GraphQLError] = {}
    for place, position, error in failures:
        trail = place.trail(position)
        nulled = nulled_path(trail)
        if nulled not in errors:
            path = [step for step, _ in trail]
            errors[nulled] = located_error(error, place.field.nodes, path)
    for nulled in errors:
        data = _with_null(data, nulled)
    return data, [error for nulled, error in errors.items() if not _is_inside(nulled, errors)]


def nulled_path(trail: Trail) -> ResponsePath:
    """Return the position that becomes null: the nearest that may, outwards from the failed one."""
    last = len(trail)
    while last and not trail[last - 1][1]:
        last -= 1
    return tuple(step for step, _ in trail[:last])


def _with_null(data: Any, path: ResponsePath) -> Any:
    if not path:
        return None
    holder = data
    for step in path[:-1]:
        if holder is None:
            return data
        holder = holder[step]
    if holder is not None:
        holder[path[-1]] = None
    return data


def _is_inside(path: ResponsePath, others: dict[ResponsePath, GraphQLError]) -> bool:
    return any(path[:length] in others for length in range(len(path)))
