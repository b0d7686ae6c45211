"""The entities of each subgraph, read from its SDL."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    ConstDirectiveNode,
    GraphQLField,
    GraphQLObjectType,
    ObjectTypeDefinitionNode,
    StringValueNode,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
)

from schema.graph import CONTEXTS, subgraph


@dataclass(frozen=True)
class Entity:
    """One key of one type in one subgraph, and the fields that the subgraph tells without arguments."""

    context: str
    type_name: str
    key: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.context}-{self.type_name}-{self.key.replace(' ', '+')}"


def entities() -> Iterator[Entity]:
    """Give every entity and key of every subgraph."""
    for context in CONTEXTS:
        for node in parse(subgraph(context).as_str()).definitions:
            if isinstance(node, ObjectTypeDefinitionNode):
                fields = tuple(_fields(context, node))
                for directive in node.directives or ():
                    if directive.name.value == "key":
                        yield Entity(context, node.name.value, _field_set(directive), fields)


def origin(entity: Entity) -> type:
    """Give the Strawberry class of an entity in its subgraph."""
    definition: Any = subgraph(entity.context).get_type_by_name(entity.type_name)
    found: type = definition.origin
    return found


def _field_set(directive: ConstDirectiveNode) -> str:
    (fields,) = (each.value for each in directive.arguments or () if each.name.value == "fields")
    assert isinstance(fields, StringValueNode)
    return fields.value


def _fields(context: str, node: ObjectTypeDefinitionNode) -> Iterator[str]:
    """Give the leaves that need no arguments, and objects with some leaves of theirs."""
    type_ = subgraph(context)._schema.type_map[node.name.value]
    assert isinstance(type_, GraphQLObjectType)
    external = {each.name.value for each in node.fields or () if _is_external(each)}
    for name, field in type_.fields.items():
        named = get_named_type(field.type)
        if name in external or any(map(is_required_argument, field.args.values())):
            continue
        if is_leaf_type(named):
            yield name
        elif isinstance(named, GraphQLObjectType):
            yield f"{name} {{ {' '.join(_leaves(named))} }}"


def _leaves(type_: GraphQLObjectType) -> list[str]:
    return [name for name, field in type_.fields.items() if _is_plain_leaf(field)][:3] or ["__typename"]


def _is_plain_leaf(field: GraphQLField) -> bool:
    return is_leaf_type(get_named_type(field.type)) and not field.args


def _is_external(node: Any) -> bool:
    return any(each.name.value == "external" for each in node.directives or ())
