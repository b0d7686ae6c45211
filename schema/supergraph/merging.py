"""The types of the merged schema, made anew from those of the subgraphs."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from graphql import (
    GraphQLArgument,
    GraphQLDirective,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    is_introspection_type,
    is_specified_scalar_type,
    specified_directives,
)
from strawberry.directive import StrawberryDirective

from schema.supergraph.routing import Routes
from schema.supergraph.source import BACKREF, ORIGINAL, OwnField, Source

_ROOTS = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
_FEDERATION_TYPES = frozenset({"_Any", "_Entity", "_Service", "_FieldSet"})


class Merger:
    """Builds the merged schema: one type per name, with the fields of all subgraphs that may be seen."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._routes = Routes(sources)
        self._made: dict[str, GraphQLNamedType] = {}
        self._names = self._public_names()

    def schema(self) -> GraphQLSchema:
        """Build the merged schema."""
        roots = {operation: self._named(name) for operation, name in _ROOTS.items() if name in self._names}
        types = [self._named(name) for name in self._names if name not in _ROOTS.values()]
        return GraphQLSchema(**roots, types=types, directives=self._directives())

    def _public_names(self) -> list[str]:
        """Name the types that the public schema shows, in the order of subgraphs."""
        used = dict.fromkeys(
            name
            for source in self._sources
            for name, type_ in source.schema.type_map.items()
            if not is_introspection_type(type_) and not self._is_federations(name)
        )
        hidden = {name for name in used if any(source.is_inaccessible(name) for source in self._sources)}
        directives = {name for name in used if all(self._is_for_directives(source, name) for source in self._sources)}
        return [name for name in used if name not in hidden and name not in directives]

    @staticmethod
    def _is_federations(name: str) -> bool:
        return name in _FEDERATION_TYPES or name.startswith(("link__", "federation__"))

    @staticmethod
    def _is_for_directives(source: Source, name: str) -> bool:
        """Tell whether a subgraph knows a scalar or enum only because one of its schema directives takes it."""
        type_ = source.schema.type_map.get(name)
        if type_ is None:
            return True
        if is_specified_scalar_type(type_):
            return False
        return name not in source.used_names

    def _directives(self) -> list[GraphQLDirective]:
        """Keep what operations may use; schema directives say nothing to a client."""
        operational = {
            directive.name: directive
            for source in self._sources
            for directive in source.schema.directives
            if isinstance(directive.extensions.get(BACKREF), StrawberryDirective)
        }
        return [*specified_directives, *operational.values()]

    def _named(self, name: str) -> Any:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def _make(self, name: str) -> GraphQLNamedType:
        versions = [t for source in self._sources if (t := source.schema.type_map.get(name)) is not None]
        first = versions[0]
        described = next((v.description for v in versions if v.description), None)
        if isinstance(first, GraphQLObjectType | GraphQLInterfaceType):
            return type(first)(
                name,
                fields=lambda: self._fields(name),
                interfaces=lambda: self._all_named(i for v in versions for i in v.interfaces),  # type: ignore[attr-defined]
                description=described,
                extensions=first.extensions,
            )
        if isinstance(first, GraphQLUnionType):
            members = [member for v in versions for member in v.types]  # type: ignore[attr-defined]
            return GraphQLUnionType(
                name, lambda: self._all_named(members), description=described, extensions=first.extensions
            )
        if isinstance(first, GraphQLInputObjectType):
            inputs = cast("list[GraphQLInputObjectType]", versions)
            kwargs: Any = first.to_kwargs() | {"fields": lambda: self._input_fields(inputs), "description": described}
            return type(first)(**kwargs)
        return first

    def _all_named(self, types: Iterable[GraphQLNamedType]) -> list[Any]:
        return [self._named(name) for name in dict.fromkeys(type_.name for type_ in types) if name in self._names]

    def _type(self, type_: Any) -> Any:
        """Translate a type reference into one of the merged schema."""
        if isinstance(type_, GraphQLNonNull):
            return GraphQLNonNull(self._type(type_.of_type))
        if isinstance(type_, GraphQLList):
            return GraphQLList(self._type(type_.of_type))
        return self._named(type_.name)

    def _fields(self, type_name: str) -> dict[str, GraphQLField]:
        fields: dict[str, GraphQLField] = {}
        for source in self._sources:
            for field in source.fields(type_name):
                owners = [] if field.name in fields else self._routes.owners(type_name, field.name)
                if owners and not any(owner.inaccessible for owner in owners):
                    fields[field.name] = self._field(owners)
        return fields

    def _field(self, owners: Sequence[OwnField]) -> GraphQLField:
        own = owners[0].graphql
        nullable = next((o.graphql.type for o in owners if not isinstance(o.graphql.type, GraphQLNonNull)), own.type)
        return GraphQLField(
            self._type(nullable),
            args={name: self._argument(arg) for name, arg in own.args.items()},
            resolve=owners[0].resolve,
            subscribe=own.subscribe,
            description=next((o.graphql.description for o in owners if o.graphql.description), None),
            deprecation_reason=own.deprecation_reason,
            extensions=own.extensions | {ORIGINAL: owners[0].resolve},
        )

    def _argument(self, argument: GraphQLArgument) -> GraphQLArgument:
        kwargs: Any = argument.to_kwargs() | {"type_": self._type(argument.type)}
        return GraphQLArgument(**kwargs)

    def _input_fields(self, versions: Sequence[GraphQLInputObjectType]) -> dict[str, GraphQLInputField]:
        """Keep the input fields that every subgraph takes, required where any requires them."""
        fields: dict[str, GraphQLInputField] = {}
        for name in versions[0].fields:
            known = [version.fields[name] for version in versions if name in version.fields]
            if len(known) == len(versions):
                strictest = next((f for f in known if isinstance(f.type, GraphQLNonNull)), known[0])
                kwargs: Any = strictest.to_kwargs() | {"type_": self._type(strictest.type)}
                fields[name] = GraphQLInputField(**kwargs)
        return fields
