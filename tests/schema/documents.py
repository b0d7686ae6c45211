"""Documents that are made from the public schema itself: one per root field, with everything that it can answer."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
)

from server.schema_files import print_schema

OPERATIONS = {"Query": "query", "Mutation": "mutation", "Subscription": "subscription"}


@cache
def public_schema() -> GraphQLSchema:
    return build_schema(print_schema())


def root_fields(*roots: str) -> dict[str, GraphQLField]:
    """Give the root fields of the public schema by name."""
    found: dict[str, GraphQLField] = {}
    for root in roots:
        kind: Any = public_schema().get_type(root)
        found |= kind.fields
    return found


def root_of(name: str) -> str:
    return next(root for root in OPERATIONS if name in root_fields(root))


def argument_paths(field: GraphQLField) -> Iterator[tuple[str, str]]:
    """Give every argument and every field of its inputs as a dotted path, with the name of its type."""
    for name, argument in field.args.items():
        yield from _paths(name, argument.type, frozenset())


def _paths(path: str, type_: Any, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    named = get_named_type(type_)
    if not isinstance(named, GraphQLInputObjectType):
        yield path, named.name
    elif named.name not in above:
        for name, field in named.fields.items():
            yield from _paths(f"{path}.{name}", field.type, above | {named.name})


def document(name: str, arguments: Mapping[str, Any], depth: int = 1) -> str:
    """Write an operation of one root field that takes the arguments as variables; depth 0 asks for nothing but types."""
    root = root_of(name)
    field = root_fields(root)[name]
    given = {each: argument for each, argument in field.args.items() if each in arguments}
    declared = ", ".join(f"${each}: {argument.type}" for each, argument in given.items())
    passed = ", ".join(f"{each}: ${each}" for each in given)
    head = f"{OPERATIONS[root]}({declared})" if given else OPERATIONS[root]
    return f"{head} {{ {name}{f'({passed})' if passed else ''}{selection(field.type, depth)} }}"


def selection(type_: Any, depth: int) -> str:
    """Select the leaves of a type, and of the objects in it so many levels down."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    if isinstance(named, GraphQLUnionType):
        answers = [each for each in named.types if "Error" not in {shown.name for shown in each.interfaces}]
        members = " ".join(f"... on {each.name} {{ {fields_of(each, depth, each.name)} }}" for each in answers)
        refusals = " ... on Error { code message }" if len(answers) < len(named.types) else ""
        return f" {{ __typename {members}{refusals} }}"
    return f" {{ __typename {fields_of(named, depth)} }}"


def fields_of(type_: Any, depth: int, prefix: str = "") -> str:
    """Select the fields of an object type that need no arguments."""
    refusal = "code" in type_.fields and "message" in type_.fields
    if not depth and not refusal:
        return "__typename"
    chosen = []
    for name, field in type_.fields.items():
        if any(is_required_argument(each) for each in field.args.values()):
            continue
        named = get_named_type(field.type)
        # Members of a union may not say different types under one name, hence the aliases.
        alias = f"{prefix}_{name}: {name}" if prefix and not refusal else name
        if is_leaf_type(named) and (not refusal or name in {"code", "message"}):
            chosen.append(alias)
        elif is_object_type(named) and depth > 1:
            chosen.append(alias + selection(named, depth - 1))
    return " ".join(chosen) or "__typename"
