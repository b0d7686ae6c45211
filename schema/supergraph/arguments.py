"""The arguments of a field: coerced once per operation, or once for all where they are literals."""

from enum import Enum
from typing import Any
from uuid import UUID

from graphql import FieldNode, GraphQLField, VariableNode
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import visit
from graphql.language.visitor import BREAK, Visitor
from strawberry.types.arguments import convert_arguments

from schema.supergraph.scope import frozen

_IMMUTABLE = (str, int, float, bool, UUID, Enum, type(None))


class _FindsVariable(Visitor):
    found = False

    def enter_variable(self, *_: Any) -> Any:
        self.found = True
        return BREAK


def uses_variables(node: FieldNode) -> bool:
    """Tell whether any argument of a field mentions a variable."""
    for argument in node.arguments or ():
        if isinstance(argument.value, VariableNode):
            return True
        finder = _FindsVariable()
        visit(argument.value, finder)
        if finder.found:
            return True
    return False


class Arguments:
    """The arguments of one field plan."""

    __slots__ = ("_constant", "_definition", "_field", "_node", "_strawberry", "none")

    def __init__(self, field: GraphQLField, node: FieldNode, definition: Any, strawberry_schema: Any) -> None:
        self._field = field
        self._node = node
        self._definition = definition
        self._strawberry = strawberry_schema
        self.none = not field.args
        self._constant: dict[str, Any] | None = None
        if not self.none and not uses_variables(node):
            self._constant = self._fixed()

    def _fixed(self) -> dict[str, Any] | None:
        """Coerce literal arguments once; a mutable value is coerced anew so that no operation can change another's."""
        try:
            coerced = get_argument_values(self._field, self._node)
        except Exception:  # noqa: BLE001  # The operation that runs into it reports it.
            return None
        return coerced if all(isinstance(value, _IMMUTABLE) for value in coerced.values()) else None

    def coerced(self, variables: VariableValues) -> dict[str, Any]:
        """Return the arguments as GraphQL values.

        Raises: GraphQLError.
        """
        if self.none:
            return {}
        if self._constant is not None:
            return dict(self._constant)
        return get_argument_values(self._field, self._node, variables)

    def converted(self, coerced: dict[str, Any], info: Any = None) -> dict[str, Any]:
        """Turn GraphQL values into the keyword arguments of the Python function."""
        if not coerced:
            return {}
        schema = self._strawberry
        return convert_arguments(
            coerced, self._definition.arguments, schema.schema_converter.scalar_registry, schema.config, info
        )

    def key(self, coerced: dict[str, Any]) -> Any:
        """Return what identifies equal arguments."""
        return frozen(coerced) if coerced else ()
