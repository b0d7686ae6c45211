"""Executes operations on any `strawberry.Schema`, whatever executor it was given."""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    create_source_event_stream,
    execute,
    specified_rules,
    validate,
)
from graphql.execution import map_source_to_response_event
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from server.edge.executor import Document, Operation, Result, Sink

_ADMITTED = "agora.admittedDocument"
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


class AdmittedDocument(SchemaExtension):
    """Hands Strawberry the document that the edge has parsed and validated."""

    def on_parse(self) -> Iterator[None]:
        self.execution_context.graphql_document = self._document().ast
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = []
        yield

    def _document(self) -> Document:
        return cast("Document", (self.execution_context.operation_extensions or {})[_ADMITTED])


class StrawberryExecutor:
    """Runs a schema that nobody else executes.

    A schema without extensions goes straight to its graphql-core executor, past Strawberry's own parsing, hooks and
    logging, which would cost more than many an operation.
    """

    def __init__(self, schema: strawberry.Schema, *, hide_suggestions: bool = False) -> None:
        self._strawberry = schema
        self._hide_suggestions = hide_suggestions
        self._is_extended = bool(schema.extensions or schema.directives)
        if self._is_extended:
            schema.extensions = (AdmittedDocument, *schema.extensions)
            # The edge logs what is unexpected, once and with its correlation id.
            logging.getLogger("strawberry.execution").disabled = True

    @property
    def schema(self) -> GraphQLSchema:
        return self._strawberry._schema  # noqa: SLF001 # Strawberry has no public name for it.

    def validate(self, document: DocumentNode, *, hide_suggestions: bool) -> Sequence[GraphQLError]:
        return validate(self.schema, document, _RULES, hide_suggestions=hide_suggestions)

    async def execute(self, operation: Operation, context: Any) -> Result:
        """Run a query or a mutation."""
        if self._is_extended:
            source = operation.document.source
            return to_result(await self._strawberry.execute(source, **_arguments(operation, context)))
        result = execute(self.schema, operation.document.ast, **self._core_arguments(operation, context))
        return to_result(await result if isawaitable(result) else result)

    async def subscribe(self, operation: Operation, context: Any, sink: Sink | None = None) -> AsyncGenerator[Result]:
        """Yield one result per event."""
        del sink  # Here every subscriber's events are executed for itself.
        events = await self._events(operation, context)
        if isinstance(events, ExecutionResult):
            yield to_result(events)
            return
        try:
            async for event in events:
                yield to_result(event)
        finally:
            await events.aclose()

    async def _events(self, operation: Operation, context: Any) -> Any:
        if self._is_extended:
            return await self._strawberry.subscribe(operation.document.source, **_arguments(operation, context))
        opened = await self.open(operation, context)
        return opened if isinstance(opened, ExecutionResult) else map_source_to_response_event(*opened)

    async def open(self, operation: Operation, context: Any) -> ExecutionResult | tuple[Any, AsyncIterable[Any]]:
        """Begin a subscription: graphql-core's executor of its events and their source, or the errors instead."""
        made = self.executor(operation, context)
        if isinstance(made, list):
            return ExecutionResult(None, errors=made)
        source = create_source_event_stream(made)
        opened = await source if isawaitable(source) else source
        return opened if isinstance(opened, ExecutionResult) else (made, opened)

    def executor(self, operation: Operation, context: Any) -> Any:
        """Build graphql-core's executor of an operation, or the list of errors for which there is none."""
        arguments = self._core_arguments(operation, context)
        arguments["raw_variable_values"] = arguments.pop("variable_values")
        return arguments.pop("executor_class").build(self.schema, operation.document.ast, **arguments)

    def _core_arguments(self, operation: Operation, context: Any) -> dict[str, Any]:
        return {
            "variable_values": operation.variables,
            "operation_name": operation.name,
            "context_value": context,
            "executor_class": self._strawberry.execution_context_class,
            "is_awaitable": optimized_is_awaitable,
            "hide_suggestions": self._hide_suggestions,
            "operation_extensions": operation.extensions,
        }


def _arguments(operation: Operation, context: Any) -> dict[str, Any]:
    return {
        "variable_values": dict(operation.variables),
        "context_value": context,
        "operation_name": operation.name,
        "operation_extensions": {**operation.extensions, _ADMITTED: operation.document},
    }


def to_result(result: Any) -> Result:
    """Convert a result; graphql-core tells request errors from a nulled response by their missing path only."""
    errors = result.errors or ()
    executed = result.data is not None or any(error.path is not None for error in errors)
    return Result(result.data, errors, result.extensions or None, executed=executed)
