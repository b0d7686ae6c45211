"""Which operations may be answered from a replica: those of which every root field says that it tolerates lag."""

from collections.abc import Iterator
from functools import cache, lru_cache

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationType, SelectionSetNode

from schema.graph import CONTEXTS, subgraph
from schema.kernel import STALE_OK
from schema.supergraph.source import BACKREF
from server.edge.executor import Document, Operation


@cache
def tolerant_roots() -> frozenset[str]:
    """Give the root fields that declare `stale_ok`, by their names in the graph."""
    found = set()
    for context in CONTEXTS:
        query = subgraph(context)._schema.query_type  # noqa: SLF001 # Strawberry has no public name for it.
        for name, field in query.fields.items() if query else ():
            definition = field.extensions.get(BACKREF)
            if definition is not None and definition.metadata.get(STALE_OK):
                found.add(name)
    return frozenset(found)


def tolerates_lag(operation: Operation) -> bool:
    """Say whether an operation may be answered from a replica; a mutation never may."""
    return operation.kind is OperationType.QUERY and _tolerates(operation.document, operation.name)


@lru_cache(maxsize=512)
def _tolerates(document: Document, name: str | None) -> bool:
    fragments = {each.name.value: each for each in document.ast.definitions if isinstance(each, FragmentDefinitionNode)}
    (operation,) = (
        each
        for each in document.ast.definitions
        if not isinstance(each, FragmentDefinitionNode)
        and (name is None or getattr(getattr(each, "name", None), "value", None) == name)
    )
    roots = set(_roots(operation.selection_set, fragments)) - {"__typename"}  # type: ignore[attr-defined]
    return bool(roots) and roots <= tolerant_roots()


def _roots(selection: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[str]:
    for each in selection.selections:
        if isinstance(each, FieldNode):
            yield each.name.value
        elif isinstance(each, FragmentSpreadNode):
            yield from _roots(fragments[each.name.value].selection_set, fragments)
        else:
            yield from _roots(each.selection_set, fragments)  # type: ignore[attr-defined]
