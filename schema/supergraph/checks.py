"""Whether subgraphs fit together; found out when the schema is built, not when a client asks."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLEnumType, GraphQLNonNull, OperationType, get_named_type
from strawberry.federation.schema_directives import Provides, Requires

from schema.supergraph import fieldsets
from schema.supergraph.routing import Routes, Unroutable
from schema.supergraph.source import Kind, OwnField, Source, directives_of


class MergeError(Exception):
    """Subgraphs that do not fit together.

    Attributes: problems, one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def check(routes: Routes) -> None:
    """Check all subgraphs against each other.

    Raises: MergeError with everything that is wrong.
    """
    problems = list(dict.fromkeys(_problems(routes)))
    if problems:
        raise MergeError(problems)


def _problems(routes: Routes) -> Iterator[str]:
    sources = list(routes.sources.values())
    yield from _roots(sources)
    yield from _enums(sources)
    for type_name in dict.fromkeys(name for source in sources for name in source.public_types):
        yield from _kinds(sources, type_name)
        yield from _entity(routes, type_name)
        for source in sources:
            yield from _field_sets(source, type_name)
        names = dict.fromkeys(field.name for source in sources for field in source.fields(type_name))
        for name in names:
            yield from _field(routes, type_name, name)
    # A problem named above would show again as a field out of reach, which says less.
    yield from _reach(routes)


def _roots(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        for operation in OperationType:
            root = source.schema.get_root_type(operation)
            if root is not None and root.name != operation.value.capitalize():
                yield f"{source.name}: name the {operation.value} type {operation.value.capitalize()}, not {root.name}."


def _enums(sources: list[Source]) -> Iterator[str]:
    seen: dict[str, tuple[str, Any]] = {}
    for source in sources:
        for name, type_ in source.schema.type_map.items():
            cls = getattr(type_, "wrapped_cls", None)
            if isinstance(type_, GraphQLEnumType) and cls is not None and not name.startswith("link__"):
                first = seen.setdefault(name, (source.name, cls))
                if first[1] is not cls:
                    yield f"Enum {name} is one Python class in {first[0]} and another in {source.name}."


def _kinds(sources: list[Source], type_name: str) -> Iterator[str]:
    kinds = {type(source.schema.type_map[type_name]) for source in sources if type_name in source.schema.type_map}
    if len(kinds) > 1:
        yield f"{type_name} is not the same kind of type in all subgraphs."


def _entity(routes: Routes, type_name: str) -> Iterator[str]:
    holders = [source for source in routes.sources.values() if type_name in source.composite_types]
    extending = [source for source in holders if source.keys(type_name)]
    if len(extending) < 2:
        return
    if not any(source.references(type_name) for source in extending):
        names = ", ".join(source.name for source in extending)
        yield f"Entity {type_name} of {names} has no owner: none of them declares __references__."
    for source in extending:
        yield from _reference_sets(source, type_name)


def _reference_sets(source: Source, type_name: str) -> Iterator[str]:
    keys = {frozenset(fieldsets.paths(field_set)) for field_set, _ in source.keys(type_name)}
    for field_set in source.references(type_name):
        if frozenset(fieldsets.paths(field_set)) not in keys:
            yield f'{source.name}: {type_name}.__references__ has "{field_set}", which is no key of the type.'


def _field_sets(source: Source, type_name: str) -> Iterator[str]:
    for field_set, _ in source.keys(type_name):
        yield from _unknown(source, type_name, field_set, f"@key of {type_name}")
    for field_set in source.references(type_name) if type_name in source.composite_types else ():
        yield from _unknown(source, type_name, field_set, f"__references__ of {type_name}")
    for field in source.fields(type_name):
        place = f"{type_name}.{field.name}"
        for requires in directives_of(field.definition, Requires):
            yield from _unknown(source, type_name, str(requires.fields), f"@requires of {place}")
        for provides in directives_of(field.definition, Provides):
            named = get_named_type(field.graphql.type).name
            yield from _unknown(source, named, str(provides.fields), f"@provides of {place}")


def _unknown(source: Source, type_name: str, field_set: str, place: str) -> Iterator[str]:
    for path in fieldsets.paths(field_set):
        at = type_name
        for step in path:
            field = source.field(at, step)
            if field is None:
                yield f'{source.name}: {place} names "{step}", which {at} does not have.'
                break
            at = get_named_type(field.graphql.type).name


def _field(routes: Routes, type_name: str, name: str) -> Iterator[str]:
    fields = [field for source in routes.sources.values() if (field := source.field(type_name, name)) is not None]
    owners = routes.owners(type_name, name)
    if not owners:
        yield f"{type_name}.{name} is @external in {fields[0].source}, but no subgraph owns it."
        return
    yield from _sharing(routes, owners)
    for field in fields:
        if field.external:
            yield from _external(field, owners[0])


def _sharing(routes: Routes, owners: list[OwnField]) -> Iterator[str]:
    first = owners[0]
    place = f"{first.type_name}.{first.name}"
    for other in owners[1:]:
        if get_named_type(first.graphql.type).name != get_named_type(other.graphql.type).name:
            yield f"{place} is {first.graphql.type} in {first.source} and {other.graphql.type} in {other.source}."
    if any(_is_interface(routes, owner) for owner in owners):
        return
    unshared = [o for o in owners if not o.shareable and o.name not in routes.sources[o.source].key_fields(o.type_name)]
    if len(owners) > 1 and unshared:
        names = " and ".join(owner.source for owner in owners)
        yield f"{place} is owned by {names}: mark it @shareable, or @external where it is not owned."


def _is_interface(routes: Routes, field: OwnField) -> bool:
    type_ = routes.sources[field.source].composite_types[field.type_name]
    return not hasattr(type_, "is_type_of")


def _external(field: OwnField, owner: OwnField) -> Iterator[str]:
    if isinstance(field.graphql.type, GraphQLNonNull) != isinstance(owner.graphql.type, GraphQLNonNull):
        yield (
            f"{field.type_name}.{field.name} is {field.graphql.type} as @external in {field.source},"
            f" but {owner.graphql.type} in {owner.source}."
        )


def _reach(routes: Routes) -> Iterator[str]:
    """Every field of a type must be reachable from every subgraph that hands out objects of that type."""
    holders: dict[str, list[Source]] = defaultdict(list)
    for source in routes.sources.values():
        for type_name, type_ in source.public_types.items():
            if hasattr(type_, "is_type_of"):
                holders[type_name].append(source)
    for type_name, sources in holders.items():
        for owned in {field.name for source in sources for field in source.fields(type_name)}:
            for home in sources:
                yield from _reached(routes, type_name, home, owned)


def _reached(routes: Routes, type_name: str, home: Source, name: str) -> Iterator[str]:
    if not routes.owners(type_name, name):
        return
    try:
        access = routes.access(type_name, home.name, name)
    except Unroutable as error:
        yield str(error)
        return
    if access.hops and access.hops[-1].function is None and access.kind is Kind.ATTRIBUTE:
        attributes = access.hops[-1].attributes
        if access.own.attribute not in {a.partition(".")[0] for a in attributes}:
            yield (
                f"{type_name}.{name} is a plain field of {access.home}, which cannot find a {type_name}"
                f" that came from {home.name}: it declares no __references__."
            )
