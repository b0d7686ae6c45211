"""What a schema says about the cost of its fields, and what is assumed where it says nothing.

Source: the GraphQL cost directives specification of IBM, directives `@cost` and `@listSize`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    value_from_ast_untyped,
)

SLICING_ARGUMENTS = ("first", "last")
_CONNECTION_LISTS = ("edges", "nodes")


@dataclass(frozen=True, slots=True)
class AssumedCosts:
    """Weights and sizes where the schema declares none.

    A mutation weighs ten objects, because a write costs a transaction.
    """

    composite: float = 1.0
    leaf: float = 0.0
    mutation: float = 10.0
    list_size: int = 10
    page_size: int = 20


@dataclass(frozen=True, slots=True)
class ListSize:
    """How many items a list may return: the largest slicing argument that is given, else the assumed size."""

    assumed: int
    slicing_arguments: tuple[str, ...] = ()
    sized_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldWeight:
    """The weights of one field: its call, its arguments when given, each object it returns, and how many of them."""

    call: float
    per_object: float
    size: ListSize | None
    is_list: bool
    arguments: Mapping[str, float] = field(default_factory=dict)


class Weights:
    """The weights of a schema, read field by field as documents ask for them."""

    def __init__(self, schema: GraphQLSchema, assumed: AssumedCosts | None = None) -> None:
        self.schema = schema
        self._assumed = assumed or AssumedCosts()
        self._fields: dict[tuple[str, str], FieldWeight] = {}

    def of_field(self, parent: GraphQLNamedType, name: str, definition: GraphQLField) -> FieldWeight:
        key = (parent.name, name)
        weight = self._fields.get(key)
        if weight is None:
            weight = self._fields[key] = self._read(parent, name, definition)
        return weight

    def _read(self, parent: GraphQLNamedType, name: str, definition: GraphQLField) -> FieldWeight:
        returned = get_named_type(definition.type)
        composite = is_composite_type(returned)
        return FieldWeight(
            call=_weight(definition, self._assumed_call(parent, name, composite=composite)),
            per_object=_weight(returned, self._assumed.composite if composite else self._assumed.leaf),
            size=self._size(definition, returned),
            is_list=_returns_list(definition),
            arguments={name: weight for name, each in definition.args.items() if (weight := _weight(each, 0.0))},
        )

    def _assumed_call(self, parent: GraphQLNamedType, name: str, *, composite: bool) -> float:
        if name.startswith("__") or parent.name.startswith("__") or not composite:
            return self._assumed.leaf
        return self._assumed.mutation if parent is self.schema.mutation_type else self._assumed.composite

    def _size(self, definition: GraphQLField, returned: GraphQLNamedType) -> ListSize | None:
        slicing = tuple(name for name in SLICING_ARGUMENTS if name in definition.args)
        declared = declared_directives(definition).get("listSize")
        page = _default_page(definition, slicing) or self._assumed.page_size
        if declared is not None:
            return _declared_size(declared, slicing, page)
        if _returns_list(definition):
            return ListSize(page if slicing else self._assumed.list_size, slicing)
        if slicing and _is_connection(returned):
            return ListSize(page, slicing, _CONNECTION_LISTS)
        return None


def _declared_size(declared: Mapping[str, Any], slicing: tuple[str, ...], page: int) -> ListSize:
    arguments = declared.get("slicingArguments")
    size = declared.get("assumedSize")
    return ListSize(
        assumed=page if size is None else int(size),
        slicing_arguments=slicing if arguments is None else tuple(arguments),
        sized_fields=tuple(declared.get("sizedFields") or ()),
    )


def _default_page(definition: GraphQLField, slicing: tuple[str, ...]) -> int | None:
    defaults = [_default_of(definition.args[name]) for name in slicing]
    return max((each for each in defaults if isinstance(each, int)), default=None)


def _default_of(argument: GraphQLArgument) -> Any:
    if argument.default is None:
        return argument.default_value
    literal = argument.default.literal
    return argument.default.value if literal is None else value_from_ast_untyped(literal)


def _weight(node: Any, assumed: float) -> float:
    declared = declared_directives(node).get("cost")
    if declared is None:
        name = getattr(node, "name", "") or ""
        return 0.0 if name.startswith("__") else assumed
    return float(declared["weight"])


def _returns_list(definition: GraphQLField) -> bool:
    returned = definition.type
    return is_list_type(returned.of_type if is_non_null_type(returned) else returned)


def _is_connection(returned: GraphQLNamedType) -> bool:
    return isinstance(returned, GraphQLObjectType) and any(name in returned.fields for name in _CONNECTION_LISTS)


def declared_directives(node: Any) -> Mapping[str, Mapping[str, Any]]:
    """The directives that were put on a type, field or argument: of its SDL, or of its Strawberry definition."""
    found: dict[str, Mapping[str, Any]] = {}
    for directive in getattr(getattr(node, "ast_node", None), "directives", None) or ():
        arguments = directive.arguments or ()
        found[directive.name.value] = {each.name.value: value_from_ast_untyped(each.value) for each in arguments}
    definition = (getattr(node, "extensions", None) or {}).get("strawberry-definition")
    for instance in _strawberry_directives(definition):
        name, arguments = _strawberry_directive(instance)
        found[name] = arguments
    return found


def _strawberry_directives(definition: Any) -> Sequence[Any]:
    return getattr(definition, "directives", None) or ()


def _strawberry_directive(instance: Any) -> tuple[str, Mapping[str, Any]]:
    definition = getattr(type(instance), "__strawberry_directive__", None)
    if definition is None:
        return "", {}
    name = definition.graphql_name or definition.python_name[:1].lower() + definition.python_name[1:]
    arguments = {
        each.graphql_name or _camel_case(each.python_name): getattr(instance, each.python_name)
        for each in definition.fields
    }
    return name, arguments


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
