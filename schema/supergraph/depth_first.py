"""Depth-first execution by graphql-core: the fallback, and the oracle of the breadth-first engine."""

from collections.abc import AsyncIterable, Callable
from inspect import isawaitable
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    is_leaf_type,
    is_list_type,
)
from graphql.pyutils import Path, is_iterable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.supergraph.declarations import Typed
from schema.supergraph.reading import read, read_key
from schema.supergraph.references import Lent, build
from schema.supergraph.resolve_info import Call, ResolveInfo
from schema.supergraph.routing import Access, Hop, Routes, own_names
from schema.supergraph.runtime_types import RuntimeTypes
from schema.supergraph.scope import Scope, scope_of
from schema.supergraph.source import Kind


class DepthFirstExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with a scope for what is loaded by key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = Scope(self.context_value)

    def build_per_event_executor(self, payload: Any) -> Any:
        """Give every subscription event a memo of its own."""
        executor: Any = super().build_per_event_executor(payload)
        executor.scope = Scope(self.context_value)
        return executor

    def execute_field(self, parent_type: Any, source: Any, field_details_list: Any, path: Path, context: Any) -> Any:
        """Execute a field; a root field of a mutation starts with an empty memo."""
        if path.prev is None and self.operation.operation is OperationType.MUTATION:
            self.scope = Scope(self.context_value)
        return super().execute_field(parent_type, source, field_details_list, path, context)

    def build_resolve_info(
        self, field_def: GraphQLField, field_nodes: list[FieldNode], parent_type: GraphQLObjectType, path: Path
    ) -> Any:
        """Build an info that also carries the scope."""
        return ResolveInfo(self.call(field_def, field_nodes, parent_type), path)

    def call(self, field_def: GraphQLField, field_nodes: list[FieldNode], parent_type: GraphQLObjectType) -> Call:
        """Collect what all parents of a field share."""
        return Call(
            field_nodes[0].name.value,
            field_nodes,
            field_def.type,
            parent_type,
            self.schema,
            self.fragment_definitions,
            self.root_value,
            self.operation,
            self.variable_values.coerced,
            self.context_value,
            self.is_awaitable,
            self.abort_signal,
            self.async_helpers,
            self.operation_extensions,
            self.scope,
        )


class Located:
    """An object together with the subgraph it came from."""

    __slots__ = ("home", "value")

    def __init__(self, value: Any, home: str) -> None:
        self.value = value
        self.home = home


def opened(source: Any, home: str | None) -> tuple[Any, str | None]:
    """Return the object that a resolver should see, and its subgraph."""
    if type(source) is Located:
        source, home = source.value, source.home
    if type(source) is Typed:
        source = source.value
    return source, home


def located(value: Any, home: str, depth: int) -> Any:
    """Mark every object in a resolver's result with its subgraph; `depth` counts the lists around an object."""
    if value is None or isinstance(value, Exception):
        return value
    if isawaitable(value):
        return _located_later(value, home, depth)
    if depth == 0:
        return Located(value, home)
    if isinstance(value, AsyncIterable):
        return (located(item, home, depth - 1) async for item in value)
    return [located(item, home, depth - 1) for item in value] if is_iterable(value) else value


async def _located_later(value: Any, home: str, depth: int) -> Any:
    return located(await value, home, depth)


def list_depth(type_: Any) -> int:
    """Count the lists around the named type of a field."""
    depth = 0
    while hasattr(type_, "of_type"):
        depth += is_list_type(type_)
        type_ = type_.of_type
    return depth


class DepthFirst:
    """The resolvers that graphql-core calls, for one set of subgraphs."""

    def __init__(self, routes: Routes, runtime_types: dict[str, RuntimeTypes], *, home: str | None) -> None:
        self._routes = routes
        self._runtime_types = runtime_types
        self._home = home

    def resolver(self, type_name: str, field: GraphQLField, name: str) -> Callable[..., Any]:
        """Make the resolver of one field."""
        routes, home, depth = self._routes, self._home, list_depth(field.type)
        is_leaf = is_leaf_type(get_named_type(field.type))

        def resolve(source: Any, info: Any, **arguments: Any) -> Any:
            value, at = opened(source, home)
            access = routes.access(type_name, at, name)
            if access.direct and access.names == own_names(access.own):
                result = invoke(access, value, info, arguments)
            else:
                result = self._reach(type_name, at, access, value, info, arguments)
            return result if is_leaf or home is not None else located(result, access.home, depth)

        # Extensions that trace resolvers skip those that only read an attribute.
        resolve._is_default = getattr(field.resolve, "_is_default", False)  # type: ignore[attr-defined]  # noqa: SLF001
        return resolve

    async def _reach(
        self, type_name: str, home: str | None, access: Access, value: Any, info: Any, arguments: dict[str, Any]
    ) -> Any:
        target = value
        for hop in access.hops:
            target = await follow(hop, target, info)
            if target is None:
                return None
        names = own_names(access.own)
        lent = (
            dict(zip(names, (read(target, name) for name in access.names), strict=True))
            if names != access.names
            else {}
        )
        for need in access.needs:
            needed = self._routes.access(type_name, home, need.field_name)
            lent[need.attribute] = await self._value(type_name, home, needed, value, info)
        result = invoke(access, Lent(target, lent) if lent else target, info, arguments)
        return await result if isawaitable(result) else result

    async def _value(self, type_name: str, home: str | None, access: Access, value: Any, info: Any) -> Any:
        if access.direct and access.names == own_names(access.own):
            result = invoke(access, value, info, {})
            return await result if isawaitable(result) else result
        return await self._reach(type_name, home, access, value, info, {})

    def type_resolver(self, abstract: GraphQLInterfaceType | GraphQLUnionType) -> Callable[..., Any]:
        """Make the function that names the runtime type of a value."""
        tables, home, abstract_name = self._runtime_types, self._home, abstract.name

        def resolve_type(source: Any, info: Any, _abstract: Any) -> str:
            at = source.home if type(source) is Located else home
            value = source.value if type(source) is Located else source
            return tables[at or next(iter(tables))].resolve(
                abstract_name, value, info.parent_type.name, info.field_name
            )

        return resolve_type


def invoke(access: Access, value: Any, info: Any, arguments: dict[str, Any]) -> Any:
    """Call a field's own resolver on an object of its own subgraph."""
    own = access.own
    if own.kind is Kind.ATTRIBUTE and own.guard is None:
        return read(value, own.attribute)
    if own.resolve is None:
        return read(value, own.name)
    return own.resolve(value, info, **arguments)


async def follow(hop: Hop, value: Any, info: Any) -> Any:
    """Find the same entity in another subgraph, or None."""
    key = read_key(value, hop.names)
    if key is None:
        return None
    if hop.function is None:
        assert hop.origin is not None  # noqa: S101  # Only Strawberry types make entities.
        return build(hop.origin, hop.attributes, key)
    return await scope_of(info).load(hop.function, key, {})
