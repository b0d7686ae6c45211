"""One subgraph as the router sees it: its types, who resolves their fields, and how its entities are found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)
from strawberry.federation.schema_directives import External, Inaccessible, Key, Override, Requires, Shareable
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from schema.supergraph import fieldsets
from schema.supergraph.declarations import BulkField, ComputedField, GuardedField
from schema.supergraph.scope import BulkFunction

BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF
ORIGINAL = "supergraph-original-resolver"
FEDERATION_FIELDS = frozenset({"_entities", "_service"})


class Kind(Enum):
    """How a field gets its values."""

    ATTRIBUTE = auto()
    BULK = auto()
    COMPUTED = auto()
    RESOLVER = auto()


def directives_of(definition: Any, cls: type) -> list[Any]:
    """Return the schema directives of one class that a Strawberry definition carries."""
    return [directive for directive in (getattr(definition, "directives", None) or ()) if isinstance(directive, cls)]


@dataclass(frozen=True, slots=True)
class OwnField:
    """A field of one type in one subgraph, with the resolver that the subgraph gave it."""

    source: str
    type_name: str
    name: str
    graphql: GraphQLField
    definition: StrawberryField | None
    resolve: Callable[..., Any] | None
    kind: Kind
    attribute: str
    external: bool
    shareable: bool
    inaccessible: bool
    requires: tuple[fieldsets.Path, ...]
    overrides: str | None

    @property
    def guard(self) -> Any:
        """The guard of the field, or None."""
        return getattr(self.definition, "guard", None)


def type_definition(type_: Any) -> StrawberryObjectDefinition | None:
    """Return the Strawberry definition behind an object or interface type."""
    definition = type_.extensions.get(BACKREF)
    return definition if isinstance(definition, StrawberryObjectDefinition) else None


class Source:
    """One subgraph: a Strawberry schema and what its types declare."""

    def __init__(self, name: str, strawberry_schema: Any) -> None:
        self.name = name
        self.strawberry = strawberry_schema
        self.schema: GraphQLSchema = strawberry_schema._schema  # noqa: SLF001  # Strawberry offers no public way.
        self._fields: dict[tuple[str, str], OwnField | None] = {}

    @cached_property
    def composite_types(self) -> dict[str, GraphQLObjectType | GraphQLInterfaceType]:
        """The object and interface types of the subgraph."""
        return {
            name: type_
            for name, type_ in self.schema.type_map.items()
            if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__")
        }

    @cached_property
    def public_types(self) -> dict[str, GraphQLObjectType | GraphQLInterfaceType]:
        """The object and interface types of the subgraph, without federation's own."""
        return {name: type_ for name, type_ in self.composite_types.items() if name != "_Service"}

    @cached_property
    def used_names(self) -> set[str]:
        """The names of types that fields, arguments and input fields mention: not those only a schema directive takes."""
        used: set[str] = set(self.composite_types)
        for type_ in self.schema.type_map.values():
            if isinstance(type_, GraphQLUnionType):
                used.update(member.name for member in type_.types)
                used.add(type_.name)
            for field in getattr(type_, "fields", {}).values():
                used.add(get_named_type(field.type).name)
                used.update(get_named_type(argument.type).name for argument in getattr(field, "args", {}).values())
        return used

    def fields(self, type_name: str) -> Iterator[OwnField]:
        """Iterate over the fields of one type, without federation's own."""
        type_ = self.composite_types.get(type_name)
        for name in () if type_ is None else type_.fields:
            if name not in FEDERATION_FIELDS and (field := self.field(type_name, name)):
                yield field

    def field(self, type_name: str, name: str) -> OwnField | None:
        """Find one field, or None where this subgraph does not know it."""
        key = (type_name, name)
        if key not in self._fields:
            type_ = self.composite_types.get(type_name)
            graphql = type_.fields.get(name) if type_ is not None else None
            self._fields[key] = None if graphql is None else self._own(type_, name, graphql)
        return self._fields[key]

    def _own(self, type_: Any, name: str, graphql: GraphQLField) -> OwnField:
        definition = graphql.extensions.get(BACKREF)
        requires = [
            path for directive in directives_of(definition, Requires) for path in fieldsets.paths(str(directive.fields))
        ]
        owner = type_definition(type_)
        overrides = directives_of(definition, Override)
        return OwnField(
            source=self.name,
            type_name=type_.name,
            name=name,
            graphql=graphql,
            definition=definition,
            resolve=graphql.extensions.get(ORIGINAL, graphql.resolve),
            kind=self._kind(definition),
            attribute=getattr(definition, "python_name", None) or name,
            external=bool(directives_of(definition, External)),
            shareable=bool(directives_of(definition, Shareable) or directives_of(owner, Shareable)),
            inaccessible=bool(directives_of(definition, Inaccessible)),
            requires=tuple(requires),
            overrides=overrides[0].override_from if overrides else None,
        )

    def _kind(self, definition: Any) -> Kind:
        if definition is None:
            return Kind.RESOLVER
        if definition.extensions or self.strawberry.exception_handlers:
            return Kind.RESOLVER
        if isinstance(definition, BulkField):
            return Kind.BULK
        if isinstance(definition, ComputedField):
            return Kind.COMPUTED
        if isinstance(definition, GuardedField) or definition.is_basic_field:
            return Kind.ATTRIBUTE
        return Kind.RESOLVER

    def keys(self, type_name: str) -> list[tuple[str, bool]]:
        """Return the keys of a type: (FieldSet, resolvable)."""
        definition = type_definition(self.composite_types[type_name]) if type_name in self.composite_types else None
        return [(str(key.fields), key.resolvable is not False) for key in directives_of(definition, Key)]

    def key_fields(self, type_name: str) -> set[str]:
        """Return the names of the fields that stand first in any path of any key of the type."""
        return {path[0] for field_set, _ in self.keys(type_name) for path in fieldsets.paths(field_set)}

    def references(self, type_name: str) -> Mapping[str, BulkFunction]:
        """Return the bulk functions that find entities of a type, by FieldSet; empty for a stub."""
        definition = type_definition(self.composite_types[type_name])
        found: Mapping[str, BulkFunction] = getattr(definition.origin, "__references__", {}) if definition else {}
        return found

    def origin(self, type_name: str) -> type:
        """Return the Strawberry class of a type.

        Raises: KeyError where the type was not made by Strawberry.
        """
        definition = type_definition(self.composite_types[type_name])
        if definition is None:
            raise KeyError(type_name)
        return definition.origin

    def attributes(self, type_name: str, path: fieldsets.Path) -> str | None:
        """Translate a path of GraphQL names into a dotted attribute name, or None where it is no plain read."""
        names: list[str] = []
        for step in path:
            field = self.field(type_name, step)
            if field is None or field.kind is not Kind.ATTRIBUTE or field.guard is not None:
                return None
            names.append(field.attribute)
            type_name = get_named_type(field.graphql.type).name
        return ".".join(names)

    def attribute_field(self, type_name: str, attribute: str) -> OwnField | None:
        """Find the plain field of a type that reads `attribute`."""
        return next(
            (
                f
                for f in self.fields(type_name)
                if f.attribute == attribute and f.kind is Kind.ATTRIBUTE and not f.guard
            ),
            None,
        )

    def is_inaccessible(self, type_name: str) -> bool:
        """Tell whether the type is hidden from the public schema."""
        type_ = self.schema.type_map.get(type_name)
        definition = type_.extensions.get(BACKREF) if type_ is not None else None
        return bool(directives_of(definition, Inaccessible))
