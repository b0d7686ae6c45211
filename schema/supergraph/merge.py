"""All subgraphs as one executable schema in one process."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import strawberry
from graphql import GraphQLSchema, print_schema, validate_schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.types.concrete_type import ConcreteType
from strawberry.types.field import StrawberryField

from schema.supergraph.checks import check
from schema.supergraph.documents import DocumentCache
from schema.supergraph.executor import BreadthFirstExecutor
from schema.supergraph.graph import attach
from schema.supergraph.limits import Limits, LimitsOf
from schema.supergraph.merging import Merger
from schema.supergraph.routing import Routes
from schema.supergraph.serving import ServedSchema
from schema.supergraph.source import BACKREF, Source


class Supergraph(ServedSchema):
    """The union of subgraphs by type name; each field keeps the resolver of the subgraph that owns it.

    Raises: MergeError where the subgraphs do not fit together.
    """

    def __init__(
        self,
        subgraphs: Mapping[str, strawberry.federation.Schema],
        *,
        extensions: Iterable[type[SchemaExtension] | Callable[[], SchemaExtension]] = (),
        config: StrawberryConfig | None = None,
        documents: DocumentCache | None = None,
        limits: LimitsOf | None = None,
    ) -> None:
        # Strawberry's own initialiser would convert Python types; here the types are converted already.
        first = next(iter(subgraphs.values()))
        self.query, self.mutation, self.subscription = first.query, first.mutation, first.subscription
        self.extensions = tuple(extensions)
        self.execution_context_class = BreadthFirstExecutor
        self.config = config or first.config
        self.exception_handlers = ()
        self.directives = tuple(dict.fromkeys(d for schema in subgraphs.values() for d in schema.directives))
        self.schema_directives = []
        self.schema_converter = first.schema_converter
        sources = [Source(name, schema) for name, schema in subgraphs.items()]
        check(Routes(sources))
        self._schema = Merger(sources).schema()
        self._schema._strawberry_schema = self  # type: ignore[attr-defined]  # noqa: SLF001  # Info.schema reads it.
        self._extend_introspection()
        self._types = _definitions(self._schema)
        attach(self._schema, sources, DocumentCache() if documents is None else documents, limits or Limits())
        errors = validate_schema(self._schema)
        if errors:
            raise ValueError("\n".join(error.message for error in errors))

    def get_type_by_name(self, name: str) -> Any:  # type: ignore[override]  # Strawberry caches it by instance.
        """Return the Strawberry definition behind a type of the merged schema."""
        concrete = self._types.get(name)
        return concrete.definition if concrete else None

    def get_field_for_type(self, field_name: str, type_name: str) -> StrawberryField | None:
        """Return the Strawberry definition of a field in the subgraph that owns it."""
        type_: Any = self._schema.get_type(type_name)
        field = type_.fields.get(field_name) if type_ is not None else None
        return None if field is None else field.extensions.get(BACKREF)

    def as_str(self) -> str:
        """Return the public SDL: no federation directives, no `_entities`."""
        return print_schema(self._schema)

    __str__ = as_str


def _definitions(schema: GraphQLSchema) -> dict[str, ConcreteType]:
    return {
        name: ConcreteType(definition=type_.extensions[BACKREF], implementation=type_)
        for name, type_ in schema.type_map.items()
        if BACKREF in type_.extensions
    }
