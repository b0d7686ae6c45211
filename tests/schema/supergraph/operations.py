"""Random valid operations over any schema, and the comparison of two results of one operation."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)

Values = Callable[[str, str, Random], Any]
"""Gives a value for an input: (scalar name, argument name, random) -> JSON value, or raises KeyError for "I have none"."""


def plain_values(scalar: str, name: str, random: Random) -> Any:
    palette: dict[str, list[Any]] = {
        "Int": [0, 1, 2, 3],
        "Float": [0.5, 2],
        "String": ["a", "sku-1", "u2@x.io"],
        "ID": ["1", "2"],
        "Boolean": [True, False],
    }
    return random.choice(palette[scalar])


@dataclass
class Operation:
    kind: OperationType
    document: str
    variables: dict[str, Any]


@dataclass
class Generator:
    """Makes operations; the same seed makes the same ones."""

    schema: GraphQLSchema
    random: Random
    values: Values = plain_values
    kinds: tuple[OperationType, ...] = (OperationType.QUERY,)
    depth: int = 5
    fields: int = 40
    skip: Callable[[str, str], bool] = lambda type_name, field_name: False
    _budget: int = 0
    _aliases: int = 0
    _variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _fragments: dict[str, tuple[str, str]] = field(default_factory=dict)

    def operations(self, count: int) -> Iterator[Operation]:
        made = 0
        while made < count:
            operation = self.operation()
            if not validate(self.schema, parse(operation.document)):
                made += 1
                yield operation

    def operation(self) -> Operation:
        self._budget, self._aliases, self._variables, self._fragments = self.fields, 0, {}, {}
        kind = self.random.choice([kind for kind in self.kinds if self.schema.get_root_type(kind)])
        root = self.schema.get_root_type(kind)
        selection = self._selection(root, 0, single=kind is OperationType.SUBSCRIPTION)
        fragments = "".join(f" fragment {name} on {on} {body}" for name, (on, body) in self._fragments.items())
        variables = ", ".join(f"${name}: {type_}" for name, (type_, _) in self._variables.items())
        head = f"{kind.value} Generated{f'({variables})' if variables else ''} "
        given = {name: value for name, (_, value) in self._variables.items() if value is not ...}
        return Operation(kind, head + selection + fragments, given)

    def _selection(self, type_: Any, depth: int, *, single: bool = False) -> str:
        parts = []
        if is_abstract_type(type_):
            parts += [f"... on {t.name}{self._directive()} {self._selection(t, depth)}" for t in self._members(type_)]
        for name in self._chosen(type_, 1 if single else self.random.randint(1, 6)):
            self._budget -= 1
            part = self._field(type_, name, type_.fields[name], depth)
            if part:
                parts.append(part)
        if not single:
            parts += self._extras(type_, depth)
            self.random.shuffle(parts)
        return "{ " + (" ".join(parts) or "__typename") + " }"

    def _members(self, type_: Any) -> list[Any]:
        possible = list(self.schema.get_possible_types(type_))
        return self.random.sample(possible, self.random.randint(1, len(possible)))

    def _chosen(self, type_: Any, count: int) -> list[str]:
        names = [name for name in getattr(type_, "fields", {}) if not self.skip(type_.name, name)]
        return [self.random.choice(names) for _ in range(count)] if names and self._budget > 0 else []

    def _extras(self, type_: Any, depth: int) -> list[str]:
        extras = []
        if self.random.random() < 0.15:
            extras.append("__typename")
        if depth < self.depth and self._budget > 0 and self.random.random() < 0.15:
            extras.append(f"...{self._directive()} {self._selection(type_, depth + 1)}")
        if self.random.random() < 0.2 and self._budget > 0:
            extras.append(f"...{self._fragment(type_, depth)}{self._directive()}")
        return extras

    def _fragment(self, type_: Any, depth: int) -> str:
        known = [name for name, (on, _) in self._fragments.items() if on == type_.name]
        if known and self.random.random() < 0.5:
            return self.random.choice(known)
        body = self._selection(type_, depth + 2)
        name = f"F{len(self._fragments)}"
        self._fragments[name] = (type_.name, body)
        return name

    def _field(self, type_: Any, name: str, definition: GraphQLField, depth: int) -> str:
        named = get_named_type(definition.type)
        if is_composite_type(named) and depth >= self.depth:
            return ""
        try:
            arguments = self._arguments(definition)
        except KeyError:
            return ""
        alias = ""
        if definition.args or self.random.random() < 0.3:
            self._aliases += 1
            alias = f"a{self._aliases}: "
        below = "" if is_leaf_type(named) else " " + self._selection(named, depth + 1)
        return f"{alias}{name}{arguments}{self._directive()}{below}"

    def _directive(self) -> str:
        if self.random.random() > 0.12:
            return ""
        name = self.random.choice(["skip", "include"])
        if self.random.random() < 0.4:
            return f" @{name}(if: {'true' if self.random.random() < 0.5 else 'false'})"
        return f" @{name}(if: {self._variable('Boolean!', self.random.random() < 0.5)})"

    def _variable(self, type_: str, value: Any) -> str:
        name = f"v{len(self._variables)}"
        self._variables[name] = (type_, value)
        return f"${name}"

    def _arguments(self, definition: GraphQLField) -> str:
        given = []
        for name, argument in definition.args.items():
            if is_required_argument(argument) or self.random.random() < 0.5:
                given.append(f"{name}: {self._argument(name, argument)}")
        return f"({', '.join(given)})" if given else ""

    def _argument(self, name: str, argument: GraphQLArgument) -> str:
        value = self._value(name, argument.type)
        if self.random.random() < 0.4:
            omitted = not is_required_argument(argument) and self.random.random() < 0.2
            type_ = argument.type
            if omitted and isinstance(type_, GraphQLNonNull):
                type_ = type_.of_type
            return self._variable(str(type_), ... if omitted else value)
        return self._literal(argument.type, value)

    def _value(self, name: str, type_: Any) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self._value_of(name, type_.of_type)
        return None if self.random.random() < 0.1 else self._value_of(name, type_)

    def _value_of(self, name: str, type_: Any) -> Any:
        if isinstance(type_, GraphQLList):
            return [self._value(name, type_.of_type) for _ in range(self.random.randint(0, 2))]
        if isinstance(type_, GraphQLEnumType):
            return self.random.choice(list(type_.values))
        if isinstance(type_, GraphQLInputObjectType):
            return {
                key: self._value(key, item.type)
                for key, item in type_.fields.items()
                if is_required_input_field(item) or self.random.random() < 0.5
            }
        return self.values(type_.name, name, self.random)

    def _literal(self, type_: Any, value: Any) -> str:
        if isinstance(type_, GraphQLNonNull):
            return self._literal(type_.of_type, value)
        if value is None:
            return "null"
        if isinstance(type_, GraphQLList):
            return f"[{', '.join(self._literal(type_.of_type, item) for item in value)}]"
        if isinstance(type_, GraphQLInputObjectType):
            items = ", ".join(f"{key}: {self._literal(type_.fields[key].type, item)}" for key, item in value.items())
            return f"{{{items}}}"
        return value if isinstance(type_, GraphQLEnumType) else json.dumps(value)


def nulled(data: Any, path: list[str | int] | None) -> tuple[str | int, ...]:
    """Return the position that an error made null: as much of its path as the data still show."""
    at, shown = data, []
    for step in path or ():
        if at is None:
            break
        at = at[step]
        shown.append(step)
    return tuple(shown)


def differences(ours: Any, theirs: Any) -> list[str]:
    """Compare two results: the bytes of the data, and which positions errors explain.

    Which of several errors that null the same position is shown, and whether one inside a nulled object is shown
    besides, the specification leaves to the executor; so does it the order of errors.
    """
    found = []
    if json.dumps(ours.data, default=str) != json.dumps(theirs.data, default=str):
        found.append(f"data:\n  {json.dumps(ours.data, default=str)}\n  {json.dumps(theirs.data, default=str)}")
    mine = {nulled(ours.data, e.path): e for e in ours.errors or ()}
    other: dict[Any, list[Any]] = {}
    for error in theirs.errors or ():
        other.setdefault(nulled(theirs.data, error.path), []).append(error)
    if mine.keys() != other.keys():
        found.append(f"errors: {sorted(map(str, mine))} against {sorted(map(str, other))}")
    for position, error in mine.items():
        same = [e for e in other.get(position, ()) if e.path == error.path]
        if same and (same[0].message, same[0].locations) != (error.message, error.locations):
            found.append(f"{error.path}: {error.message!r} against {same[0].message!r}")
    return found
