"""Strawberry schemas that are executed by this package."""

import copy
from typing import Any, Self

import strawberry
from graphql import GraphQLError, parse
from strawberry.exceptions import MissingQueryError
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema import validate_document
from strawberry.types.execution import ExecutionContext, PreExecutionError

from schema.supergraph.depth_first import DepthFirstExecutor
from schema.supergraph.executor import BreadthFirstExecutor
from schema.supergraph.graph import graph_of


class ServedSchema(strawberry.Schema):
    """A schema with cached documents and a choice of execution."""

    def depth_first(self) -> Self:
        """Return the same schema executed by graphql-core: the fallback, and the oracle of tests."""
        other = copy.copy(self)
        other.execution_context_class = DepthFirstExecutor
        return other

    def breadth_first(self) -> Self:
        """Return the same schema executed by the engine."""
        other = copy.copy(self)
        other.execution_context_class = BreadthFirstExecutor
        return other

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: SchemaExtensionsRunner
    ) -> PreExecutionError | None:
        """Parse and validate like Strawberry, inside the same extension hooks, but each document only once."""
        if not context.query and context.graphql_document is None:
            raise MissingQueryError
        async with extensions_runner.parsing():
            refusal = self._parse(context)
        if refusal is not None:
            return refusal
        _check_operation_type(context)
        async with extensions_runner.validation():
            return self._validate(context)

    def _prepare_operation_sync(self, context: ExecutionContext, extensions_runner: SchemaExtensionsRunner) -> Any:
        if not context.query and context.graphql_document is None:
            raise MissingQueryError
        with extensions_runner.parsing():
            refusal = self._parse(context)
        if refusal is None:
            _check_operation_type(context)
            with extensions_runner.validation():
                refusal = self._validate(context)
        if refusal is not None:
            self._process_errors(refusal.errors or [], context)
            refusal.extensions = extensions_runner.get_extensions_results_sync()
        return refusal

    def _parse(self, context: ExecutionContext) -> PreExecutionError | None:
        if context.graphql_document is not None:
            return None
        documents = graph_of(self._schema).documents
        source = (context.query, *sorted(context.parse_options.items()))
        try:
            prepared = documents.find(source)
            if prepared is None:
                prepared = documents.keep(source, parse(context.query or "", **context.parse_options))
        except GraphQLError as error:
            documents.refuse(source, error)
            context.pre_execution_errors = [error]
            return PreExecutionError(data=None, errors=[error])
        context.graphql_document = prepared.document
        return None

    def _validate(self, context: ExecutionContext) -> PreExecutionError | None:
        document = context.graphql_document
        if context.validation_rules and context.pre_execution_errors is None and document is not None:
            prepared = graph_of(self._schema).documents.of_document(document)
            errors = prepared.errors(context.validation_rules)
            if errors is None:
                errors = validate_document(self._schema, document, context.validation_rules)
                prepared.keep_errors(context.validation_rules, errors)
            context.pre_execution_errors = list(errors)
        if context.pre_execution_errors:
            return PreExecutionError(data=None, errors=context.pre_execution_errors)
        return None


def _check_operation_type(context: ExecutionContext) -> None:
    try:
        operation_type = context.operation_type
    except RuntimeError as error:
        raise CannotGetOperationTypeError(context.operation_name) from error
    if operation_type not in context.allowed_operations:
        raise InvalidOperationTypeError(operation_type)
