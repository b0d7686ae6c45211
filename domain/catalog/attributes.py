"""Attributes: what a category says its products have, and whether a product keeps to it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from domain.catalog.texts import checked_text
from domain.kernel import DomainError, InvalidInput

MAX_ATTRIBUTES = 200
MAX_VALUES = 50
MAX_NUMBER = 2**53
NAME_LETTERS = 100
VALUE_LETTERS = 2_000

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


@dataclass(eq=False)
class InvalidAttribute(DomainError):
    """A product's attribute does not fit the schema of its category."""

    attribute: str
    reason: str
    template = "Attribute {attribute}: {reason}."


class AttributeType(StrEnum):
    """What values an attribute has."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"


@dataclass(frozen=True, kw_only=True)
class AttributeDefinition:
    """One attribute of a category's products; `allowed_values` are an enum's members, `unit` belongs to a number."""

    name: str
    type: AttributeType
    unit: str | None = None
    required: bool = False
    allowed_values: tuple[str, ...] = ()
    facetable: bool = False

    def check(self, value: Any) -> None:
        """Accept a value, or a list of values where the type has several.

        Raises: InvalidAttribute.
        """
        single = self.type in (AttributeType.NUMBER, AttributeType.BOOLEAN)
        if isinstance(value, list) and single:
            raise InvalidAttribute(attribute=self.name, reason="one value is expected, not a list")
        for each in value if isinstance(value, list) else [value]:
            if not _FITS[self.type](each):
                raise InvalidAttribute(attribute=self.name, reason=f"a {self.type} is expected")
            if self.type is AttributeType.ENUM and each not in self.allowed_values:
                raise InvalidAttribute(
                    attribute=self.name, reason=f"{each!r} is not one of {', '.join(self.allowed_values)}"
                )


_FITS = {
    AttributeType.TEXT: lambda value: isinstance(value, str),
    AttributeType.ENUM: lambda value: isinstance(value, str),
    AttributeType.BOOLEAN: lambda value: isinstance(value, bool),
    AttributeType.NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}

Schema = Sequence[AttributeDefinition]


def inherited(schemas: Iterable[Schema]) -> tuple[AttributeDefinition, ...]:
    """Merge the schemas of a path from the root down: the nearer category has the last word on a name."""
    merged: dict[str, AttributeDefinition] = {}
    for schema in schemas:
        merged.update({definition.name: definition for definition in schema})
    return tuple(merged.values())


def check_schema(schema: Schema) -> None:
    """Accept the attributes that a category is to define.

    Raises: InvalidInput.
    """
    names = [definition.name for definition in schema]
    if len(names) > MAX_ATTRIBUTES or len(set(names)) != len(names):
        raise InvalidInput(field="attributes", reason=f"at most {MAX_ATTRIBUTES}, each name once")
    for definition in schema:
        _check_definition(definition)


def _check_definition(definition: AttributeDefinition) -> None:
    field = f"attributes.{definition.name[:63]}"
    if not _NAME.fullmatch(definition.name):
        raise InvalidInput(field="attributes", reason="a name has Latin lower-case letters, digits and underscores")
    if (definition.type is AttributeType.ENUM) != bool(definition.allowed_values):
        raise InvalidInput(field=field, reason="an enum has allowed values, and nothing else has")
    if len(definition.allowed_values) > MAX_ATTRIBUTES:
        raise InvalidInput(field=field, reason=f"at most {MAX_ATTRIBUTES} allowed values")
    for text in (*definition.allowed_values, definition.unit or "-"):
        checked_text(field, text, NAME_LETTERS, required=True)


def check_attributes(attributes: Mapping[str, Any], schema: Schema) -> None:
    """Accept a product's attributes; where no category defines any, every name may be used.

    Raises: InvalidAttribute; InvalidInput for what cannot be stored.
    """
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInput(field="attributes", reason=f"at most {MAX_ATTRIBUTES} are kept")
    for name, value in attributes.items():
        _check_storable(name, value)
    for definition in schema:
        if definition.required and attributes.get(definition.name) in (None, "", []):
            raise InvalidAttribute(attribute=definition.name, reason="it is required in this category")
    known = {definition.name: definition for definition in schema}
    for name, value in attributes.items() if known else ():
        if name not in known:
            raise InvalidAttribute(attribute=name, reason="the category does not have it")
        known[name].check(value)


def _check_storable(name: str, value: Any) -> None:
    checked_text("attributes", name, NAME_LETTERS, required=True)
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES:
        raise InvalidAttribute(attribute=name, reason=f"at most {MAX_VALUES} values")
    for each in values:
        if isinstance(each, str):
            checked_text(f"attributes.{name}", each, VALUE_LETTERS)
        elif not isinstance(each, int | float):
            raise InvalidAttribute(attribute=name, reason="only texts, numbers, booleans and lists of them are kept")
        elif not isfinite(each) or abs(each) > MAX_NUMBER:
            raise InvalidAttribute(attribute=name, reason="the number is too large to be kept exactly")
