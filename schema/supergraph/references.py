"""Entities of a subgraph: built from their keys, found by them, or lent the values that `@requires` asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from schema.supergraph.reading import read


class Lent:
    """An object together with attributes that another subgraph lent it."""

    __slots__ = ("_attributes", "_base")

    def __init__(self, base: Any, attributes: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_base", base)
        object.__setattr__(self, "_attributes", attributes)

    def __getattr__(self, name: str) -> Any:
        """Read what was lent, then what the object has itself."""
        attributes: Mapping[str, Any] = object.__getattribute__(self, "_attributes")
        if name in attributes:
            return attributes[name]
        base = object.__getattribute__(self, "_base")
        try:
            return read(base, name)
        except KeyError as error:
            raise AttributeError(name) from error

    def __getitem__(self, name: str) -> Any:
        """Read an item like an attribute, for resolvers that read their rows so."""
        attributes: Mapping[str, Any] = object.__getattribute__(self, "_attributes")
        return attributes[name] if name in attributes else object.__getattribute__(self, "_base")[name]


class Nothing:
    """The base of an object that consists of lent attributes only."""


def nested(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Turn dotted names and their values into attributes, with an object for each dotted part."""
    flat: dict[str, Any] = {}
    deeper: dict[str, tuple[list[str], list[Any]]] = {}
    for name, value in zip(names, values, strict=True):
        first, _, rest = name.partition(".")
        if rest:
            group = deeper.setdefault(first, ([], []))
            group[0].append(rest)
            group[1].append(value)
        else:
            flat[name] = value
    for first, (rests, rest_values) in deeper.items():
        flat[first] = Lent(Nothing(), nested(rests, rest_values))
    return flat


def build(origin: type, names: Sequence[str], key: Any) -> Any:
    """Build an extension stub from its key, without running its initialiser: what it does not own stays unset."""
    stub: Any = object.__new__(origin)
    stub.__dict__.update(nested(names, (key,) if len(names) == 1 else key))
    return stub
