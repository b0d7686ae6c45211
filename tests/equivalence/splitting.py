"""Each root field of an operation as an operation of its own."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)


def alone(document: str, variables: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give an operation for each field at the root, with what it uses of fragments and variables."""
    ast = parse(document)
    (operation,) = (each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    fragments = {each.name.value: each for each in ast.definitions if isinstance(each, FragmentDefinitionNode)}
    for selection in _fields(operation.selection_set, fragments):
        used = _fragments(selection, fragments)
        names = {name for node in (selection, *used) for name in _named(node, VariableNode)}
        kept = tuple(each for each in operation.variable_definitions or () if each.variable.name.value in names)
        text = print_ast(
            OperationDefinitionNode(
                operation=operation.operation,
                variable_definitions=kept,
                directives=(),
                selection_set=SelectionSetNode(selections=(selection,)),
            )
        )
        given = {name: value for name, value in variables.items() if name in names}
        yield "\n".join([text, *map(print_ast, used)]), given


def _fields(selections: SelectionSetNode, known: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    for each in selections.selections:
        if isinstance(each, FieldNode):
            yield each
        else:
            inner = known[each.name.value] if isinstance(each, FragmentSpreadNode) else each
            yield from _fields(inner.selection_set, known)  # type: ignore[attr-defined]


def _fragments(node: Node, known: dict[str, FragmentDefinitionNode]) -> list[FragmentDefinitionNode]:
    found: dict[str, FragmentDefinitionNode] = {}
    waiting = [node]
    while waiting:
        for name in _named(waiting.pop(), FragmentSpreadNode):
            if name not in found:
                found[name] = known[name]
                waiting.append(known[name])
    return list(found.values())


def _named(node: Node, kind: type[Any]) -> set[str]:
    names: set[str] = set()

    class Names(Visitor):
        def enter(self, entered: Node, *_: Any) -> None:
            if isinstance(entered, kind):
                names.add(entered.name.value)

    visit(node, Names())
    return names
