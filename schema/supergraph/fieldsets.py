"""FieldSets: the selections in `@key`, `@requires` and `@provides`."""

from collections.abc import Iterator
from functools import lru_cache

from graphql import FieldNode, OperationDefinitionNode, SelectionSetNode, parse

Path = tuple[str, ...]


@lru_cache(maxsize=2048)
def paths(field_set: str) -> tuple[Path, ...]:
    """Read a FieldSet as the paths of its leaves, in its order: `id owner { id }` gives `(("id",), ("owner", "id"))`."""
    document = parse("{" + field_set + "}", no_location=True)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101  # The braces above make it one.
    return tuple(_leaves(operation.selection_set))


def _leaves(selection_set: SelectionSetNode) -> Iterator[Path]:
    for selection in selection_set.selections:
        if not isinstance(selection, FieldNode):
            raise TypeError("A FieldSet holds fields only: fragments are not supported.")
        if selection.selection_set is None:
            yield (selection.name.value,)
        else:
            for rest in _leaves(selection.selection_set):
                yield (selection.name.value, *rest)
