"""Documents and what was worked out for them: parsed, validated, planned."""

from collections import OrderedDict
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

_MAX_PLANS = 64


class Operation:
    """One operation of a document: the names of its deciding variables, and its plans by their values."""

    def __init__(self, node: OperationDefinitionNode, booleans: tuple[str, ...]) -> None:
        self.node = node
        self.booleans = booleans
        self.plans: dict[Any, Any] = {}

    def keep(self, key: Any, plan: Any) -> None:
        """Keep a plan; a client that varies many booleans cannot fill the memory with them."""
        if len(self.plans) >= _MAX_PLANS:
            self.plans.pop(next(iter(self.plans)))
        self.plans[key] = plan


class Prepared:
    """A document with its validation result and its operations; `length` is that of its text, in characters."""

    def __init__(self, document: DocumentNode) -> None:
        self.document = document
        self.length = document.loc.end if document.loc else 0
        self._errors: dict[Any, list[GraphQLError]] = {}
        self._operations: dict[str | None, Operation] = {}

    def errors(self, rules: Any) -> list[GraphQLError] | None:
        """Return the errors of these validation rules, or None where they have not run."""
        return self._errors.get(rules)

    def keep_errors(self, rules: Any, errors: list[GraphQLError]) -> None:
        """Keep the result of one set of rules; rules made anew for every request replace each other."""
        self._errors = {rules: errors}

    def operation(self, node: OperationDefinitionNode) -> Operation:
        """Return what is known of one operation."""
        name = node.name.value if node.name else None
        found = self._operations.get(name)
        if found is None:
            booleans = tuple(dict.fromkeys(_deciding_variables(self.document)))
            found = self._operations[name] = Operation(node, booleans)
        return found


class DocumentCache:
    """The least recently used documents: at most `size`, and `characters` of source text altogether.

    A parsed document takes some fifty times the memory of its text, so one that alone would take an eighth of
    `characters` is not kept. Documents that do not parse have a place of their own, a quarter of `size`.
    """

    def __init__(self, size: int = 512, characters: int = 2_000_000) -> None:
        self._size = size
        self._characters = characters
        self._held = 0
        self._by_source: OrderedDict[Any, Prepared] = OrderedDict()
        self._by_document: dict[int, Prepared] = {}
        self._refused: OrderedDict[Any, GraphQLError] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of documents that are kept."""
        return len(self._by_source)

    def find(self, source: Any) -> Prepared | None:
        """Return what is known of a source text with its parse options.

        Raises: GraphQLError, the same that parsing it raised before.
        """
        prepared = self._by_source.get(source)
        if prepared is not None:
            self._by_source.move_to_end(source)
        elif source in self._refused:
            # An exception raised again and again would gather a traceback without end.
            raise self._refused[source].with_traceback(None)
        return prepared

    def keep(self, source: Any, document: DocumentNode) -> Prepared:
        """Keep a document that was parsed."""
        prepared = Prepared(document)
        if prepared.length <= self._characters // 8:
            self._by_source[source] = self._by_document[id(document)] = prepared
            self._held += prepared.length
            while len(self._by_source) > self._size or self._held > self._characters:
                _, forgotten = self._by_source.popitem(last=False)
                del self._by_document[id(forgotten.document)]
                self._held -= forgotten.length
        return prepared

    def refuse(self, source: Any, error: GraphQLError) -> None:
        """Keep the error of a document that does not parse, unless the document is long."""
        if error.source is None or len(error.source.body) <= self._characters // 256:
            self._refused[source] = error
            if len(self._refused) > self._size // 4:
                self._refused.popitem(last=False)

    def of_document(self, document: DocumentNode) -> Prepared:
        """Return what is known of a parsed document, by its identity."""
        return self._by_document.get(id(document)) or self.keep(id(document), document)


def _deciding_variables(document: DocumentNode) -> list[str]:
    """Name the variables that `@skip` and `@include` use anywhere in the document."""
    names: list[str] = []
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            _visit(definition.selection_set, names)
    return names


def _visit(selection_set: SelectionSetNode | None, names: list[str]) -> None:
    for selection in selection_set.selections if selection_set else ():
        assert isinstance(selection, FieldNode | FragmentSpreadNode | InlineFragmentNode)  # noqa: S101  # There are no others.
        for directive in selection.directives or ():
            if directive.name.value in {"skip", "include"}:
                names.extend(a.value.name.value for a in directive.arguments or () if isinstance(a.value, VariableNode))
        if not isinstance(selection, FragmentSpreadNode):
            _visit(selection.selection_set, names)
