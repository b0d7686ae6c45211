"""Scalars and enums, a column at a time."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import inspect

from schema.supergraph.places import Place

MISSING_KINDS = frozenset({type(None), type(Undefined)})
Column = list[Any]
_INT_MAX = 2**31 - 1


def _is_special(kind: type) -> bool:
    return kind in MISSING_KINDS or issubclass(kind, Exception)


is_special: Callable[[type], bool] = lru_cache(maxsize=4096)(_is_special)
"""Tells whether values of a class are no values at all: null, or an error that stands for one."""


def _ints_fit(column: Column) -> bool:
    return bool(min(column) >= -_INT_MAX - 1 and max(column) <= _INT_MAX)


def _floats_fit(column: Column) -> bool:
    return all(map(isfinite, column))


# The Python class whose values the scalar writes as they are, and what else must hold for that.
_AS_IS: dict[Any, tuple[type, Callable[[Column], bool] | None]] = {
    GraphQLString: (str, None),
    GraphQLID: (str, None),
    GraphQLBoolean: (bool, None),
    GraphQLInt: (int, _ints_fit),
    GraphQLFloat: (float, _floats_fit),
}


def leaf_completer(type_: Any, nullable: bool) -> Callable[[Any, Column, Place], Column]:
    """Make the function that serialises a column of one scalar or enum type."""
    kind, fits = _AS_IS.get(type_, (None, None))
    as_is = frozenset({kind}) if kind is not None else frozenset()
    quick = _quick(type_)

    def complete(run: Any, column: Column, place: Place) -> Column:
        kinds = set(map(type, column))
        values = column
        if nullable and type(None) in kinds:
            kinds.discard(type(None))
            values = [value for value in column if value is not None]
        if not kinds:
            return column
        if kinds == as_is:
            if fits is None or fits(values):
                return column
        elif not any(map(is_special, kinds)):
            try:
                done = quick(values)
            except Exception:  # noqa: BLE001  # Serialise again one by one, to know which value failed.
                return carefully(run, column, place, type_.coerce_output_value)
            if None not in done and Undefined not in done:
                return done if values is column else _spread(column, done)
        return carefully(run, column, place, type_.coerce_output_value)

    return complete


def _spread(column: Column, done: Column) -> Column:
    rest = iter(done)
    return [None if value is None else next(rest) for value in column]


def _quick(type_: Any) -> Callable[[Column], Column]:
    coerce = type_.coerce_output_value
    if isinstance(type_, GraphQLEnumType):
        names = enum_names(type_)
        return lambda column: list(map(names.__getitem__, column))
    return lambda column: list(map(coerce, column))


def enum_names(type_: GraphQLEnumType) -> dict[Any, str]:
    """Return the name of every value and every Python member of an enum."""
    names: dict[Any, str] = {}
    for name, value in type_.values.items():
        names[value.value] = name
    for member in getattr(type_, "wrapped_cls", ()):
        names[member] = type_.coerce_output_value(member)
    return names


def carefully(run: Any, column: Sequence[Any], place: Place, coerce: Callable[[Any], Any]) -> Column:
    """Serialise value by value, and note what is missing or fails."""
    done: Column = []
    for index, value in enumerate(column):
        done.append(None)
        if value is None or value is Undefined:
            run.miss(place, index)
        elif isinstance(value, Exception):
            run.fail(place, index, value)
        else:
            try:
                done[index] = _coerced(coerce, value, place)
            except Exception as error:  # noqa: BLE001  # Any failure is the error of its own position.
                run.fail(place, index, error)
    return done


def _coerced(coerce: Callable[[Any], Any], value: Any, place: Place) -> Any:
    coerced = coerce(value)
    if coerced is None or coerced is Undefined:
        raise TypeError(
            f"Expected `{place.field.named_type}.coerce_output_value({inspect(value)})`"
            f" to return non-nullable value, returned: {inspect(coerced)}"
        )
    return coerced
