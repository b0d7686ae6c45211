"""`_entities`: what a federation router asks a subgraph for."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLList, GraphQLNonNull, Undefined, get_named_type, is_leaf_type
from graphql.utilities import coerce_input_value

from schema.supergraph import fieldsets
from schema.supergraph.declarations import Typed
from schema.supergraph.references import Lent, Nothing, build
from schema.supergraph.scope import BulkFunction, Scope, check_length
from schema.supergraph.source import Source


class UnknownEntity(GraphQLError):
    """A representation that names no entity of this subgraph, or that lacks every key of it."""

    def __init__(self, typename: Any) -> None:
        super().__init__(f"The representation of {typename!r} has no key that this subgraph can resolve.")


async def resolve_entities(source: Source, scope: Scope, representations: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Resolve representations in their order, one call per (type, key set); a failure stands in its own place."""
    results: list[Any] = [None] * len(representations)
    batches: dict[tuple[str, str], list[int]] = {}
    for index, representation in enumerate(representations):
        try:
            batches.setdefault(_key_set(source, representation), []).append(index)
        except GraphQLError as error:
            results[index] = error
    for (type_name, field_set), indices in batches.items():
        values = await _batch(source, scope, type_name, field_set, [representations[index] for index in indices])
        for index, value in zip(indices, values, strict=True):
            results[index] = value
    return results


def _key_set(source: Source, representation: Mapping[str, Any]) -> tuple[str, str]:
    typename = representation.get("__typename")
    if not isinstance(typename, str) or typename not in source.composite_types:
        raise UnknownEntity(typename)
    candidates = source.references(typename) or [keys for keys, resolvable in source.keys(typename) if resolvable]
    for field_set in candidates:
        if all(_given(representation, path) is not Undefined for path in fieldsets.paths(field_set)):
            return typename, field_set
    raise UnknownEntity(typename)


async def _batch(
    source: Source, scope: Scope, type_name: str, field_set: str, representations: Sequence[Mapping[str, Any]]
) -> list[Any]:
    paths = fieldsets.paths(field_set)
    function = source.references(type_name).get(field_set)
    keys: list[Any] = []
    for representation in representations:
        try:
            values = tuple(_leaf(source, type_name, path, _given(representation, path)) for path in paths)
            keys.append(values[0] if len(values) == 1 else values)
        except Exception as error:  # noqa: BLE001  # A malformed key is the error of its own representation.
            keys.append(error)
    found = await _found(source, scope, type_name, field_set, function, keys)
    return [
        value if value is None or isinstance(value, Exception) else _lent(source, type_name, representation, value)
        for representation, value in zip(representations, found, strict=True)
    ]


async def _found(
    source: Source, scope: Scope, type_name: str, field_set: str, function: BulkFunction | None, keys: Sequence[Any]
) -> list[Any]:
    good = list(dict.fromkeys(key for key in keys if not isinstance(key, Exception)))
    if function is None:
        found = {key: _stub(source, type_name, field_set, key) for key in good}
    else:
        try:
            values = await function(scope.context, good) if good else []
            check_length(function, good, values)
            found = dict(zip(good, values, strict=True))
        except Exception as error:  # noqa: BLE001  # The failure of a batch is the failure of each of its entities.
            found = dict.fromkeys(good, error)
    return [key if isinstance(key, Exception) else found[key] for key in keys]


def _stub(source: Source, type_name: str, field_set: str, key: Any) -> Any:
    names = [source.attributes(type_name, path) or ".".join(path) for path in fieldsets.paths(field_set)]
    return build(source.origin(type_name), names, key)


def _lent(source: Source, type_name: str, representation: Mapping[str, Any], value: Any) -> Any:
    """Lend an entity the external fields that came with its representation."""
    keys = source.key_fields(type_name)
    fields = [field for name in representation if name not in keys and (field := source.field(type_name, name))]
    try:
        lent = {f.attribute: _external(source, f.graphql.type, representation[f.name]) for f in fields if f.external}
    except Exception as error:  # noqa: BLE001  # A malformed value is the error of its own representation.
        return error
    return Typed(Lent(value, lent) if lent else value, type_name)


def _external(source: Source, type_: Any, given: Any) -> Any:
    if given is None:
        return None
    if isinstance(type_, GraphQLNonNull):
        return _external(source, type_.of_type, given)
    if isinstance(type_, GraphQLList):
        return [_external(source, type_.of_type, item) for item in given]
    if is_leaf_type(type_):
        return _parsed(type_, given)
    fields = [field for name in given if (field := source.field(type_.name, name))]
    return Lent(Nothing(), {f.attribute: _external(source, f.graphql.type, given[f.name]) for f in fields})


def _parsed(type_: Any, given: Any) -> Any:
    value = coerce_input_value(given, type_)
    if value is Undefined or value is None:
        raise GraphQLError(f"{given!r} is no value of type {type_}.")
    return value


def _given(representation: Any, path: fieldsets.Path) -> Any:
    value = representation
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return Undefined
        value = value[step]
    return value


def _leaf(source: Source, type_name: str, path: fieldsets.Path, given: Any) -> Any:
    """Parse one part of a key by the scalar of its field.

    Raises: GraphQLError where the scalar does not take it.
    """
    named: Any = None
    for step in path:
        field = source.field(type_name, step)
        named = get_named_type(field.graphql.type) if field is not None else None
        type_name = getattr(named, "name", "")
    return _parsed(named, given)
