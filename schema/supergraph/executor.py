"""The breadth-first engine as a graphql-core executor."""

from collections.abc import Coroutine
from inspect import isawaitable
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from schema.supergraph.depth_first import DepthFirstExecutor
from schema.supergraph.documents import Operation
from schema.supergraph.engine import Run
from schema.supergraph.graph import Graph, graph_of
from schema.supergraph.limits import Budget, DeadlineExceeded, Limits, limits_of, within
from schema.supergraph.nulls import Failure, propagate
from schema.supergraph.places import RootPlace
from schema.supergraph.plan import IntrospectionField, Planner, SelectionPlan
from schema.supergraph.scope import Scope
from schema.supergraph.watching import WATCH

_ROOT = RootPlace()


class BreadthFirstExecutor(DepthFirstExecutor):
    """Executes an operation level by level; give it to a Strawberry schema as `execution_context_class`.

    Operations under a schema extension that wraps every resolver run depth first, because there is no call per field
    that it could wrap.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known: Operation
        # Strawberry gives this predicate when it cannot await, and only then.
        self._must_not_await = kwargs.get("is_async_iterable") is not None or (len(args) > 13 and args[13] is not None)

    @classmethod
    def build(cls, schema: GraphQLSchema, document: DocumentNode, *args: Any, **kwargs: Any) -> Any:
        """Build an executor that knows the plans of its operation."""
        executor = super().build(schema, document, *args, **kwargs)
        if isinstance(executor, BreadthFirstExecutor):
            executor.known = graph_of(schema).documents.of_document(document).operation(executor.operation)
        return executor

    def execute_operation(self, serially: bool | None = None) -> Any:
        """Execute the operation."""
        if self.middleware_manager is not None and self.middleware_manager.middlewares:
            return self._depth_first(serially)
        coroutine = self._execute()
        return _finished(coroutine) if self._must_not_await else coroutine

    def _depth_first(self, serially: bool | None) -> Any:
        result = super().execute_operation(serially)
        return self._in_time(result) if isawaitable(result) else result

    async def _in_time(self, result: Any) -> Any:
        limits = limits_of(graph_of(self.schema).limits, self.context_value)
        try:
            return await within(limits.seconds, result)
        except DeadlineExceeded as error:
            return ExecutionResult(None, [error])

    async def _execute(self) -> ExecutionResult:
        graph = graph_of(self.schema)
        limits = limits_of(graph.limits, self.context_value)
        seconds = None if self._must_not_await else limits.seconds
        try:
            if self.schema.get_root_type(self.operation.operation) is None:
                name = self.operation.operation.value
                raise GraphQLError(f"Schema is not configured to execute {name} operation.", self.operation)
            data, failures = await within(seconds, self._run_all(self._plans(graph), limits))
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        finally:
            self.scope.forget()
        errors = list(self.collected_errors.errors)
        if failures:
            data, found = propagate(data, failures)
            errors += found
        return ExecutionResult(data, errors or None)

    def _plans(self, graph: Graph) -> list[SelectionPlan]:
        operation, values = self.known, self.variable_values
        key = tuple([values.coerced.get(name) for name in operation.booleans])
        plans: list[SelectionPlan] | None = operation.plans.get(key)
        known = plans is not None
        if plans is None:
            booleans = VariableValues({}, {n: v for n, v in values.coerced.items() if n in operation.booleans})
            planner = Planner(self.schema, graph.routes, graph.runtime_types, self.operation, self.fragments, booleans)
            plans = planner.root(graph.home)
            operation.keep(key, plans)
        if (watch := WATCH.get()) is not None:
            watch.plan({key: home for plan in plans for key, home in plan.homes.items()}, known=known)
        return plans

    async def _run_all(self, plans: list[SelectionPlan], limits: Limits) -> tuple[Any, list[Failure]]:
        """Run the root selections in series; one that nulls the whole response is the last."""
        budget = Budget(limits)
        data: dict[str, Any] = {}
        failures: list[Failure] = []
        for plan in plans:
            if self.operation.operation is OperationType.MUTATION:
                self.scope = Scope(self.context_value)
            run = Run(self, self.variable_values, limits, budget)
            data.update(await run.execute(plan, self.root_value, _ROOT))
            failures += run.failures
            if any(not any(nullable for _, nullable in f.place.trail(f.position)) for f in run.failures):
                break
        return data, failures

    def introspect(self, field: IntrospectionField, root: Any) -> Any:
        """Let graphql-core answer a root field of introspection."""
        path = Path(None, field.key, field.parent_type.name)
        return super().execute_field(field.parent_type, root, field.details, path, None)


def _finished(coroutine: Coroutine[Any, Any, ExecutionResult]) -> ExecutionResult:
    """Run a coroutine that has nothing to await.

    Raises: RuntimeError where it has.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("GraphQL execution failed to complete synchronously.")
