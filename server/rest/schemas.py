"""JSON schemas of what the graph's types look like in a body: of inputs, and of what a selection shows."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    SelectionSetNode,
    get_nullable_type,
    is_non_null_type,
)

from server.rest.registry import must_be_given

Schema = dict[str, Any]
INT32 = 2**31 - 1
INT53 = 2**53 - 1
AN_ID = "0199a5c3-7c1e-7a70-9d4b-2f1f6f3f1c55"
A_MOMENT = "2026-03-14T15:09:26Z"

SCALARS: Mapping[str, Schema] = {
    "ID": {"type": "string", "format": "uuid", "examples": [AN_ID]},
    "String": {"type": "string"},
    "Boolean": {"type": "boolean"},
    "Int": {"type": "integer", "format": "int32", "minimum": -INT32 - 1, "maximum": INT32},
    "BigInt": {"type": "integer", "format": "int64", "minimum": -INT53, "maximum": INT53},
    "Float": {"type": "number", "format": "double"},
    "Decimal": {"type": "string", "format": "decimal", "examples": ["12.50"]},
    "Date": {"type": "string", "format": "date", "examples": ["2026-03-14"]},
    "DateTime": {"type": "string", "format": "date-time", "examples": [A_MOMENT]},
    "JSON": {"description": "Any JSON value."},
}
INPUT_SCALARS: Mapping[str, Schema] = {
    **SCALARS,
    "Decimal": {"type": ["string", "number"], "format": "decimal", "examples": ["12.50"]},
    # Numbers above 2^53 are not exact in every client, so their digits may come as a text.
    "BigInt": {"type": ["integer", "string"], "format": "int64", "minimum": -INT53, "maximum": INT53},
}


def nullable(schema: Schema) -> Schema:
    """Let a schema be null as well."""
    kind = schema.get("type")
    if "$ref" in schema:
        described = {name: value for name, value in schema.items() if name != "$ref"}
        return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}], **described}
    if kind is None:
        return schema
    kinds = kind if isinstance(kind, list) else [kind]
    widened = {**schema, "type": [*kinds, "null"]}
    return {**widened, "enum": [*schema["enum"], None]} if "enum" in schema else widened


class Schemas:
    """Schemas that refer to each other by name; what is named is collected in `components`."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def enum(self, kind: GraphQLEnumType) -> Schema:
        described = {"description": kind.description} if kind.description else {}
        self._components[kind.name] = {"type": "string", **described, "enum": list(kind.values)}
        return _reference(kind.name)


class Inputs(Schemas):
    """What a client sends."""

    def of(self, kind: Any) -> Schema:
        """Give the schema of an input's type."""
        if isinstance(kind, GraphQLNonNull):
            return self._present(kind.of_type)
        return nullable(self._present(kind))

    def in_address(self, kind: Any) -> Schema:
        """Give the schema of a parameter of a path or query, where there is no null."""
        return self._present(get_nullable_type(kind), SCALARS)

    def object(self, fields: Mapping[str, Any]) -> Schema:
        """Give the schema of an object with these fields and no others; a field maps to a type, or to one with a default."""
        needed = [name for name, kind in fields.items() if must_be_given(kind)]
        required = {"required": needed} if needed else {}
        properties = {name: self.of(kind) for name, kind in fields.items()}
        return {"type": "object", "properties": properties, **required, "additionalProperties": False}

    def _present(self, kind: Any, scalars: Mapping[str, Schema] = INPUT_SCALARS) -> Schema:
        if isinstance(kind, GraphQLList):
            return {"type": "array", "items": self.of(kind.of_type)}
        if isinstance(kind, GraphQLEnumType):
            return self.enum(kind)
        if isinstance(kind, GraphQLInputObjectType):
            if kind.name not in self._components:
                self._components[kind.name] = {}
                described = {"description": kind.description} if kind.description else {}
                fields = {name: each.type for name, each in kind.fields.items()}
                self._components[kind.name] |= described | self.object(fields)
            return _reference(kind.name)
        return dict(scalars[kind.name])


class Outputs(Schemas):
    """What a selection of fields shows."""

    def __init__(
        self, components: dict[str, Schema], schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        super().__init__(components)
        self._schema = schema
        self._fragments = fragments

    def of(self, kind: Any, selected: SelectionSetNode | None) -> Schema:
        """Give the schema of a field's value."""
        if is_non_null_type(kind):
            return self._present(kind.of_type, selected)
        return nullable(self._present(kind, selected))

    def object(self, kind: GraphQLObjectType, selected: SelectionSetNode) -> Schema:
        """Give the schema of an object of which some fields are asked for; one fragment alone stands for itself."""
        (first, *more) = selected.selections
        if isinstance(first, FragmentSpreadNode) and not more:
            return self._fragment(first.name.value)
        properties = self._properties(kind, selected)
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _fragment(self, name: str) -> Schema:
        if name not in self._components:
            self._components[name] = {}
            fragment = self._fragments[name]
            kind = self._schema.type_map[fragment.type_condition.name.value]
            described = {"description": kind.description} if kind.description else {}
            properties = self._properties(kind, fragment.selection_set)
            self._components[name] |= {
                "type": "object",
                **described,
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
        return _reference(name)

    def _properties(self, kind: Any, selected: SelectionSetNode) -> dict[str, Schema]:
        properties: dict[str, Schema] = {}
        for each in selected.selections:
            if isinstance(each, FragmentSpreadNode):
                properties |= self._properties(kind, self._fragments[each.name.value].selection_set)
            elif isinstance(each, FieldNode):
                field = kind.fields[each.name.value]
                described = {"description": field.description} if field.description else {}
                properties[(each.alias or each.name).value] = self.of(field.type, each.selection_set) | described
        return properties

    def _present(self, kind: Any, selected: SelectionSetNode | None) -> Schema:
        if isinstance(kind, GraphQLList):
            return {"type": "array", "items": self.of(kind.of_type, selected)}
        if isinstance(kind, GraphQLEnumType):
            return self.enum(kind)
        if isinstance(kind, GraphQLObjectType) and selected is not None:
            return self.object(kind, selected)
        return dict(SCALARS[kind.name])


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
