"""The `info` that resolvers get."""

from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import FieldNode, GraphQLObjectType, GraphQLOutputType, GraphQLSchema, OperationDefinitionNode
from graphql.language import FragmentDefinitionNode
from graphql.pyutils import Path

from schema.supergraph.scope import Scope


class Call(NamedTuple):
    """What all parents of one field in one level share: graphql-core's resolve info without the path."""

    field_name: str
    field_nodes: list[FieldNode]
    return_type: GraphQLOutputType
    parent_type: GraphQLObjectType
    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    root_value: Any
    operation: OperationDefinitionNode
    variable_values: dict[str, Any]
    context: Any
    is_awaitable: Callable[[Any], bool]
    abort_signal: Any
    async_helpers: Any
    operation_extensions: dict[str, Any] | None
    scope: Scope


class ResolveInfo:
    """A call and the path of one parent, made only when somebody asks for it."""

    __slots__ = ("_call", "_path")

    def __init__(self, call: Call, path: Path | Callable[[], Path]) -> None:
        self._call = call
        self._path = path

    def __getattr__(self, name: str) -> Any:
        """Read what is not the path from the call."""
        return getattr(self._call, name)

    @property
    def path(self) -> Path:
        """The response path of the field."""
        if not isinstance(self._path, Path):
            self._path = self._path()
        return self._path
