"""Input types made from commands: the domain's dataclass is the one description of what a caller may ask for."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from domain.kernel import InvalidInput, Unchanged
from schema.scalars import JSON, BigInt


@cache
def input_of(kind: type) -> type:
    """Make the input type of a command or value object; fields with a default may be left out."""
    hints = get_type_hints(kind, include_extras=True)
    body: dict[str, Any] = {"__module__": __name__, "__annotations__": {}}
    for each in fields(kind):
        hint = hints[each.name]
        if each.name.endswith("_minor"):
            # Amounts in minor units outgrow GraphQL's 32-bit Int in some currencies.
            hint = BigInt | None if NoneType in get_args(hint) else BigInt
        body["__annotations__"][each.name] = _argument(hint)
        if each.default is not MISSING or each.default_factory is not MISSING:
            body["__annotations__"][each.name] |= None
            body[each.name] = strawberry.UNSET
    name = kind.__name__ if kind.__name__.endswith("Input") else f"{kind.__name__}Input"
    description = sentence_of(kind)
    return strawberry.input(type(name, (), body), name=name, description=description)


def sentence_of(kind: type) -> str | None:
    """Give the first line of a class's own docstring; the signature that `dataclass` writes in its place says nothing."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
    return None if not text or text.startswith(f"{kind.__name__}(") or text == inspect.getdoc(StrEnum) else text


def argument_of(annotation: Any) -> Any:
    """Give the GraphQL side of a domain annotation: dataclasses become inputs, enums are registered."""
    return _argument(annotation)


def _argument(annotation: Any) -> Any:
    origin = get_origin(annotation)
    # `typing` and `collections.abc` give the same origins, whichever a hint was written with.
    if origin in {Union, UnionType}:
        return _union(get_args(annotation))
    if origin in {list, tuple, Sequence}:
        return list[_argument(get_args(annotation)[0])]  # type: ignore[misc]
    if origin in {dict, Mapping}:
        return JSON
    return _single(annotation) if isinstance(annotation, type) and origin is None else annotation


def _union(members: tuple[Any, ...]) -> Any:
    kept = [_argument(each) for each in members if each not in {NoneType, Unchanged}]
    return reduce(or_, kept if len(kept) == len(members) else [*kept, None])


def _single(kind: type) -> Any:
    if is_dataclass(kind):
        return input_of(kind)
    return enum_of(kind) if issubclass(kind, StrEnum) else kind


@cache
def enum_of(choices: type[StrEnum]) -> Any:
    """Register a `StrEnum` of the domain as a GraphQL enum."""
    if isinstance(getattr(choices, "__strawberry_definition__", None), StrawberryEnumDefinition):
        return choices
    return strawberry.enum(choices, description=sentence_of(choices))


def to_domain(value: Any, kind: Any = None) -> Any:
    """Turn an input into the dataclass it was made from; what the caller left out keeps the dataclass's default.

    So does a null for what has a default that is none: an input that may be left out may be null in GraphQL.

    Raises: InvalidInput for numbers that are none, such as NaN, which compare with nothing; and for JSON of another kind.
    """
    if isinstance(value, Decimal) and not value.is_finite():
        raise InvalidInput(field="number", reason=f"{value} is not a finite number")
    if value is not None and not isinstance(value, dict) and _is_mapping(kind):
        raise InvalidInput(field="json", reason="where an object is asked for, there is another value")
    if isinstance(value, list):
        return tuple(to_domain(each, _element(kind)) for each in value)
    target = _dataclass_in(kind)
    if target is None or value is None or isinstance(value, target):
        return value
    hints = get_type_hints(target)
    given = {each.name: getattr(value, each.name) for each in fields(target)}
    return target(
        **{name: to_domain(each, hints[name]) for name, each in given.items() if _is_given(each, hints[name])}
    )


def _is_given(value: Any, hint: Any) -> bool:
    return value is not strawberry.UNSET and (
        value is not None or not {NoneType, Unchanged}.isdisjoint(_candidates(hint))
    )


def _is_mapping(hint: Any) -> bool:
    return any(get_origin(each) in {dict, Mapping} for each in _candidates(hint))


def _candidates(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _dataclass_in(kind: Any) -> type | None:
    return next((each for each in _candidates(kind) if isinstance(each, type) and is_dataclass(each)), None)


def _element(kind: Any) -> Any:
    for each in _candidates(kind):
        if get_args(each):
            return get_args(each)[0]
    return None
