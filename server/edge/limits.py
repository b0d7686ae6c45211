"""Limits that the text of a document alone can break, counted without recursion before anything else looks at it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)

from server.edge.refusal import Refusal

MAX_REPETITIONS = 20
MAX_OBJECT_FIELDS = 100
"""Validation compares all that repeat each other: without these bounds a small document takes it a second."""

MAX_VALUE_DEPTH = 32
"""Nesting of literal input values, for the same reason as that of variables."""

_LARGEST_REPORTED = 2**53
"""Fragments that double each other count exponentially; JSON numbers are exact up to here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may hold; page sizes in items, cost in the units of the cost model."""

    max_characters: int = 40_000
    max_tokens: int = 2_000
    max_depth: int = 15
    max_aliases: int = 60
    max_directives: int = 60
    max_root_fields: int = 20
    max_operations: int = 20
    max_fragments: int = 100
    max_page_size: int = 100
    max_cost: float = 10_000


class LimitExceeded(Refusal):
    """A document is larger than a limit; the extensions tell the limit and what was counted."""

    noun: ClassVar[str] = ""

    def __init__(self, limit: float, actual: float) -> None:
        super().__init__(f"The operation has {actual:g} {self.noun}; at most {limit:g} are allowed.")
        self.extensions = {"limit": limit, "actual": min(actual, _LARGEST_REPORTED)}


class DocumentTooLong(LimitExceeded):
    noun = "characters"


class DepthLimitExceeded(LimitExceeded):
    noun = "levels of fields"


class AliasLimitExceeded(LimitExceeded):
    noun = "aliases"


class DirectiveLimitExceeded(LimitExceeded):
    noun = "directives"


class RootFieldLimitExceeded(LimitExceeded):
    noun = "root fields"


class OperationLimitExceeded(LimitExceeded):
    noun = "operations in its document"


class FragmentLimitExceeded(LimitExceeded):
    noun = "fragments in its document"


class RepetitionLimitExceeded(LimitExceeded):
    noun = "repetitions of one field in a selection"


class ValueDepthLimitExceeded(LimitExceeded):
    noun = "levels of input values"


class ObjectLimitExceeded(LimitExceeded):
    noun = "fields in one input object"


@dataclass(slots=True)
class _Shape:
    """One definition, without what its spreads bring."""

    aliases: int = 0
    directives: int = 0
    depth: int = 0
    root_fields: int = 0
    value_depth: int = 0
    object_fields: int = 0
    repetitions: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Refuse a document whose shape breaks a limit.

    Raises: DepthLimitExceeded, AliasLimitExceeded, DirectiveLimitExceeded, RootFieldLimitExceeded,
    OperationLimitExceeded, FragmentLimitExceeded, RepetitionLimitExceeded, ValueDepthLimitExceeded,
    ObjectLimitExceeded.
    """
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    fragments = {d.name.value: _shape(d) for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    own = [_shape(operation) for operation in operations]
    everything = [*own, *fragments.values()]
    _expand(fragments)
    for operation in own:
        _add_spreads(operation, fragments)
    _refuse(OperationLimitExceeded, limits.max_operations, [len(operations)])
    _refuse(FragmentLimitExceeded, limits.max_fragments, [len(fragments)])
    _refuse(RepetitionLimitExceeded, MAX_REPETITIONS, [shape.repetitions for shape in everything])
    _refuse(ObjectLimitExceeded, MAX_OBJECT_FIELDS, [shape.object_fields for shape in everything])
    _refuse(AliasLimitExceeded, limits.max_aliases, [sum(shape.aliases for shape in everything)])
    _refuse(DirectiveLimitExceeded, limits.max_directives, [sum(shape.directives for shape in everything)])
    _refuse(ValueDepthLimitExceeded, MAX_VALUE_DEPTH, [shape.value_depth for shape in everything])
    _refuse(DepthLimitExceeded, limits.max_depth, [shape.depth for shape in everything])
    _refuse(RootFieldLimitExceeded, limits.max_root_fields, [shape.root_fields for shape in own])


def _refuse(refusal: type[LimitExceeded], limit: int, counted: Sequence[int]) -> None:
    largest = max(counted, default=0)
    if largest > limit:
        raise refusal(limit, largest)


Level = tuple[SelectionSetNode, int, Counter[str]]
"""A selection set, its depth, and how often each response key stands at its level, inline fragments included."""


def _shape(definition: OperationDefinitionNode | FragmentDefinitionNode) -> _Shape:
    shape = _Shape(directives=len(definition.directives or ()))
    for variable in definition.variable_definitions or ():
        shape.directives += len(variable.directives or ())
        if variable.default_value:
            _count_value(shape, variable.default_value)
    stack: list[Level] = [(definition.selection_set, 1, Counter())]
    while stack:
        selection_set, depth, keys = stack.pop()
        for selection in selection_set.selections:
            stack.extend(_count(shape, selection, depth, keys))
    return shape


def _count(shape: _Shape, selection: SelectionNode, depth: int, keys: Counter[str]) -> Iterator[Level]:
    for directive in selection.directives or ():
        shape.directives += 1
        _count_arguments(shape, directive)
    if isinstance(selection, FragmentSpreadNode):
        shape.spreads.append((selection.name.value, depth))
    elif isinstance(selection, FieldNode):
        _count_field(shape, selection, depth, keys)
        if selection.selection_set:
            yield selection.selection_set, depth + 1, Counter()
    else:
        yield selection.selection_set, depth, keys  # type: ignore[attr-defined]


def _count_field(shape: _Shape, selection: FieldNode, depth: int, keys: Counter[str]) -> None:
    key = (selection.alias or selection.name).value
    keys[key] += 1
    shape.repetitions = max(shape.repetitions, keys[key])
    shape.depth = max(shape.depth, depth)
    shape.root_fields += depth == 1
    shape.aliases += selection.alias is not None
    _count_arguments(shape, selection)


def _count_arguments(shape: _Shape, node: FieldNode | DirectiveNode) -> None:
    for argument in node.arguments or ():
        _count_value(shape, argument.value)


def _count_value(shape: _Shape, value: ValueNode) -> None:
    depth = 0
    level: list[ValueNode] = [value]
    while level:
        shape.object_fields = max(shape.object_fields, *(_object_fields(each) for each in level))
        level = [inner for outer in level for inner in _inner_values(outer)]
        depth += bool(level)
    shape.value_depth = max(shape.value_depth, depth)


def _object_fields(value: ValueNode) -> int:
    return len(value.fields) if isinstance(value, ObjectValueNode) else 0


def _inner_values(value: ValueNode) -> Sequence[ValueNode]:
    if isinstance(value, ListValueNode):
        return value.values
    if isinstance(value, ObjectValueNode):
        return [each.value for each in value.fields]
    return ()


def _expand(fragments: dict[str, _Shape]) -> None:
    """Add to each fragment what its spreads bring, children first; a cycle is cut here and refused by validation."""
    started: set[str] = set()
    for root in fragments:
        stack = [(root, False)]
        while stack:
            name, children_done = stack.pop()
            if children_done:
                _add_spreads(fragments[name], fragments)
            elif name in fragments and name not in started:
                started.add(name)
                stack.append((name, True))
                stack.extend((spread, False) for spread, _ in fragments[name].spreads)


def _add_spreads(shape: _Shape, fragments: dict[str, _Shape]) -> None:
    for name, depth in shape.spreads:
        if fragment := fragments.get(name):
            shape.depth = max(shape.depth, depth - 1 + fragment.depth)
            shape.root_fields += fragment.root_fields if depth == 1 else 0
