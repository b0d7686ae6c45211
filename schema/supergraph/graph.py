"""What execution needs to know of a schema, kept with the graphql-core schema itself."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, GraphQLUnionType

from schema.supergraph.depth_first import DepthFirst
from schema.supergraph.documents import DocumentCache
from schema.supergraph.limits import Limits, LimitsOf
from schema.supergraph.routing import Routes
from schema.supergraph.runtime_types import RuntimeTypes
from schema.supergraph.source import ORIGINAL, Source

_KEY = "supergraph"


@dataclass(slots=True)
class Graph:
    """The routes and tables of a schema; `home` is the one subgraph of a schema that is not merged."""

    routes: Routes
    runtime_types: dict[str, RuntimeTypes]
    home: str | None
    documents: DocumentCache
    limits: LimitsOf


def attach(schema: GraphQLSchema, sources: list[Source], documents: DocumentCache, limits: LimitsOf) -> Graph:
    """Let a schema be executed breadth first, and depth first through the same routes."""
    home = sources[0].name if len(sources) == 1 and sources[0].schema is schema else None
    tables = {source.name: RuntimeTypes(source) for source in sources}
    graph = Graph(Routes(sources, alone=home is not None), tables, home, documents, limits)
    depth_first = DepthFirst(graph.routes, tables, home=home)
    for name, type_ in schema.type_map.items():
        if not name.startswith("__"):
            _resolve_by(depth_first, type_)
    schema.extensions[_KEY] = graph
    return graph


def _resolve_by(depth_first: DepthFirst, type_: Any) -> None:
    if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
        type_.resolve_type = depth_first.type_resolver(type_)
    elif isinstance(type_, GraphQLObjectType):
        # Rows are no instances of the Strawberry class; which type a value has is the business of __reads__ alone.
        type_.is_type_of = None
        for name, field in type_.fields.items():
            field.extensions.setdefault(ORIGINAL, field.resolve)
            field.resolve = depth_first.resolver(type_.name, field, name)


def graph_of(schema: GraphQLSchema) -> Graph:
    """Return what is attached to a schema, attaching it first to a Strawberry schema of which nothing is known."""
    graph = schema.extensions.get(_KEY)
    if graph is None:
        known: Any = schema
        source = Source("schema", known._strawberry_schema)  # noqa: SLF001  # Strawberry offers no public way.
        graph = attach(schema, [source], DocumentCache(), Limits())
    found: Graph = graph
    return found
