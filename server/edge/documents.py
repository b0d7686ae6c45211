"""Documents that were parsed, checked and validated once, and are remembered with what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    validate,
)

from server.edge.cost import CostPlan
from server.edge.cost_plan import compile_cost
from server.edge.cost_weights import AssumedCosts, Weights
from server.edge.executor import Document, Executor
from server.edge.limits import DocumentTooLong, Limits, check_shape
from server.edge.refusal import Refusal
from server.edge.remembered import Remembered

MAX_ERRORS = 20
"""Errors, and locations of an error, that one answer lists."""


class GraphqlParseFailed(Refusal):
    """The text is no GraphQL, or has more tokens than the limit."""

    def __init__(self, error: GraphQLError) -> None:
        super().__init__(error.message)
        self._errors = [_located(error, self.code)]

    def errors(self) -> Sequence[Mapping[str, Any]]:
        return self._errors


class GraphqlValidationFailed(Refusal):
    """The document does not fit the schema."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self._errors = [_located(error, self.code) for error in errors[:MAX_ERRORS]]

    def errors(self) -> Sequence[Mapping[str, Any]]:
        return self._errors


class IntrospectionDisabled(Refusal):
    """The schema is not shown in production."""


class UnknownOperation(Refusal):
    """The document has no operation of that name, or several and no name was given."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedOperation:
    document: Document
    definition: OperationDefinitionNode
    name: str | None
    cost: CostPlan


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDocument:
    operations: Mapping[str | None, PreparedOperation]

    def operation(self, name: str | None) -> PreparedOperation:
        """Choose the operation to run.

        Raises: UnknownOperation.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name)
        if found is None:
            if name is None:
                raise UnknownOperation("The document has several operations: operationName must name one.")
            raise UnknownOperation(f'The document has no operation named "{name[:100]}".')
        return found


class Documents:
    """Prepares documents for one executor, and remembers the outcome: good ones and refused ones alike.

    At most `max_entries` documents and `max_characters` characters of text are kept; a syntax tree takes 130 to 400 bytes
    for each of them.
    """

    def __init__(
        self,
        executor: Executor,
        limits: Limits,
        *,
        introspection: bool = True,
        suggestions: bool = True,
        assumed_costs: AssumedCosts | None = None,
        max_entries: int = 1_000,
        max_characters: int = 500_000,
    ) -> None:
        self._executor = executor
        self._limits = limits
        self._introspection = introspection
        self._suggestions = suggestions
        self._weights = Weights(executor.schema, assumed_costs)
        self._known: Remembered[PreparedDocument | Refusal] = Remembered(max_entries, max_characters)

    def prepare(self, source: str) -> PreparedDocument:
        """Parse, check and validate a document, or recall that.

        Raises: GraphqlParseFailed, GraphqlValidationFailed, IntrospectionDisabled, and the refusals of the limits.
        """
        if len(source) > self._limits.max_characters:
            raise DocumentTooLong(self._limits.max_characters, len(source))
        outcome = self._known.get(source)
        if outcome is None:
            outcome = self._outcome(source)
            self._known.put(source, outcome)
        if isinstance(outcome, Refusal):
            raise outcome.again()
        return outcome

    def _outcome(self, source: str) -> PreparedDocument | Refusal:
        try:
            return self._prepare(source)
        except Refusal as refusal:
            return refusal.again()

    def _prepare(self, source: str) -> PreparedDocument:
        ast = self._parse(source)
        check_shape(ast, self._limits)
        self._validate(ast)
        document = Document(source, ast)
        operations = [each for each in ast.definitions if isinstance(each, OperationDefinitionNode)]
        return PreparedDocument({_name(each): self._operation(document, each) for each in operations})

    def _operation(self, document: Document, definition: OperationDefinitionNode) -> PreparedOperation:
        cost = compile_cost(document.ast, definition, self._weights, self._limits)
        return PreparedOperation(document, definition, _name(definition), cost)

    def _parse(self, source: str) -> DocumentNode:
        limit = self._limits.max_tokens
        try:
            return parse(source, max_lexical_tokens=limit, max_comments=limit)
        except GraphQLSyntaxError as error:
            raise GraphqlParseFailed(error) from None

    def _validate(self, ast: DocumentNode) -> None:
        errors = self._executor.validate(ast, hide_suggestions=not self._suggestions)
        if errors:
            raise GraphqlValidationFailed(errors)
        if not self._introspection and validate(self._executor.schema, ast, [NoSchemaIntrospectionCustomRule]):
            raise IntrospectionDisabled("Introspection is not available here.")


def _name(definition: OperationDefinitionNode) -> str | None:
    return definition.name.value if definition.name else None


def _located(error: GraphQLError, code: str) -> Mapping[str, Any]:
    formatted: dict[str, Any] = {"message": error.message, "extensions": {**(error.extensions or {}), "code": code}}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations[:MAX_ERRORS]]
    return formatted
