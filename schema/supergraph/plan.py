"""Plans: what to do at each level, worked out once per document, operation and boolean variables."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues

from schema.supergraph.arguments import Arguments
from schema.supergraph.columns import Completer, completer
from schema.supergraph.engine import Run
from schema.supergraph.hopping import HopStep, LendStep
from schema.supergraph.invoking import Invoker, invoker
from schema.supergraph.leaves import Column
from schema.supergraph.resolving import ResolverStep
from schema.supergraph.routing import Access, Hop, Need, Routes
from schema.supergraph.runtime_types import RuntimeTypes
from schema.supergraph.source import Kind
from schema.supergraph.steps import (
    AttributeStep,
    BulkStep,
    ComputedStep,
    FieldStep,
    IntrospectionStep,
    Step,
    TypenameStep,
)

_STEPS: dict[Kind, type[FieldStep]] = {
    Kind.ATTRIBUTE: AttributeStep,
    Kind.BULK: BulkStep,
    Kind.COMPUTED: ComputedStep,
    Kind.RESOLVER: ResolverStep,
}
RowBuilder = Callable[[Sequence[Column], int], list[dict[str, Any]]]


class Planner:
    """What all selections of one plan share."""

    def __init__(
        self,
        schema: GraphQLSchema,
        routes: Routes,
        runtime_types: dict[str, RuntimeTypes],
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        booleans: VariableValues,
    ) -> None:
        self.schema = schema
        self.routes = routes
        self.runtime_types = runtime_types
        self.operation = operation
        self._fragments = fragments
        self._booleans = booleans

    def root(self, home: str | None) -> "list[SelectionPlan]":
        """Plan the operation: one selection, or one per root field where these run in series."""
        root_type = self.schema.get_root_type(self.operation.operation)
        assert root_type is not None  # noqa: S101  # The executor has looked.
        collected = collect_fields(self.schema, self._fragments, self._booleans, root_type, self.operation)
        fields = collected.grouped_field_set
        if self.operation.operation is OperationType.MUTATION:
            return [SelectionPlan(self, root_type, home, {key: details}) for key, details in fields.items()]
        return [SelectionPlan(self, root_type, home, fields)]

    def below(self, type_: GraphQLObjectType, home: str | None, details: list[FieldDetails]) -> "SelectionPlan":
        """Plan the selection on an object type that came from subgraph `home`."""
        collected = collect_subfields(self.schema, self._fragments, self._booleans, self.operation, type_, details)
        return SelectionPlan(self, type_, home, collected.grouped_field_set)


class FieldPlan:
    """One response key of one selection."""

    def __init__(self, selection: "SelectionPlan", key: str, details: list[FieldDetails], access: Access) -> None:
        planner = selection.planner
        self._planner = planner
        self._details = details
        self._selections: dict[str, SelectionPlan] = {}
        self.key = key
        self.schema = planner.schema
        self.nodes: list[FieldNode] = [detail.node for detail in details]
        self.name = access.own.name
        self.parent_type = selection.type
        # What `@requires` names may be hidden from the public schema.
        self.graphql: GraphQLField = planner.schema.get_field(selection.type, self.name) or access.own.graphql
        self.nullable = not is_non_null_type(self.graphql.type)
        self.nullable_type = self.graphql.type if self.nullable else self.graphql.type.of_type  # type: ignore[union-attr]
        self.named_type = get_named_type(self.graphql.type)
        self.access = access
        self.runtime_types = planner.runtime_types[access.home]
        strawberry_schema = planner.routes.sources[access.home].strawberry
        definition = access.own.definition
        self.arguments = Arguments(self.graphql, self.nodes[0], definition, strawberry_schema)
        self.complete: Completer = completer(self, self.graphql.type)
        self._invoker: Invoker = invoker(access.own, self.arguments, strawberry_schema)

    def invoker(self, run: Run) -> Callable[[Any, Any], Any]:
        """Return the function that calls the resolver with this operation's arguments.

        Raises: GraphQLError.
        """
        return self._invoker(run)

    def selection(self, type_name: str) -> "SelectionPlan":
        """Return the selection below this field for one object type, planned when first met."""
        plan = self._selections.get(type_name)
        if plan is None:
            type_: Any = self.schema.get_type(type_name)
            plan = self._selections[type_name] = self._planner.below(type_, self.access.home, self._details)
        return plan


class SelectionPlan:
    """The fields selected on one object type whose objects came from one subgraph, in stages."""

    def __init__(
        self, planner: Planner, type_: GraphQLObjectType, home: str | None, fields: dict[str, list[FieldDetails]]
    ) -> None:
        self.planner = planner
        self.type = type_
        self.type_name = type_.name
        self._home = home
        self.homes: dict[str, str] = {}
        self._reached: dict[Any, int] = {}
        self._reach_stage = [0]
        self._hidden: dict[str, tuple[int, int]] = {}
        self._stages: list[list[Step]] = [[]]
        known = {key: details for key, details in fields.items() if self._is_known(details[0].node.name.value)}
        self.width = len(known)
        for slot, (key, details) in enumerate(known.items()):
            self._plan_field(slot, key, details)
        self.stages = tuple(map(tuple, self._stages))
        self.build_rows = row_builder(list(known))

    def _is_known(self, name: str) -> bool:
        return self.planner.schema.get_field(self.type, name) is not None

    def _plan_field(self, slot: int, key: str, details: list[FieldDetails]) -> None:
        name = details[0].node.name.value
        if name == "__typename":
            self._add(0, TypenameStep(slot, self.type_name))
        elif name in {"__schema", "__type"}:
            self._add(0, IntrospectionStep(slot, IntrospectionField(key, details, self.type)))
        else:
            access = self.planner.routes.access(self.type_name, self._home, name)
            self.homes[key] = access.home
            self._plan_access(FieldPlan(self, key, details, access), slot, hidden=False)

    def _plan_access(self, field: FieldPlan, slot: int, *, hidden: bool) -> int:
        """Add the steps that a field takes, and return the stage of its own."""
        reach = self._reach_objects(field.access)
        stage = self._reach_stage[reach]
        self._add(stage, _STEPS[field.access.kind](field, slot, reach, hidden))
        return stage

    def _reach_objects(self, access: Access) -> int:
        """Add the hops and loans that a field takes, shared by all fields that take the same; return where they end."""
        reach = 0
        for hop in access.hops:
            reach = self._hop(reach, hop)
        return self._lend(reach, access.needs) if access.needs else reach

    def _hop(self, source: int, hop: Hop) -> int:
        slot = self._reached.get((source, hop))
        if slot is None:
            stage = self._reach_stage[source]
            slot = self._new_reach((source, hop), stage + (hop.function is not None))
            self._add(stage, HopStep(hop, self.type_name, source, slot))
        return slot

    def _lend(self, source: int, needs: tuple[Need, ...]) -> int:
        slot = self._reached.get((source, needs))
        if slot is None:
            hidden = [self._hide(need.field_name) for need in needs]
            stage = max(self._reach_stage[source], *(stage + 1 for _, stage in hidden))
            slot = self._new_reach((source, needs), stage)
            loans = [(need.attribute, hidden_slot) for need, (hidden_slot, _) in zip(needs, hidden, strict=True)]
            self._add(stage, LendStep(source, slot, loans))
        return slot

    def _new_reach(self, key: Any, stage: int) -> int:
        slot = self._reached[key] = len(self._reach_stage)
        self._reach_stage.append(stage)
        return slot

    def _hide(self, field_name: str) -> tuple[int, int]:
        """Add a field that is read for `@requires` only; return its slot and stage."""
        found = self._hidden.get(field_name)
        if found is None:
            access = self.planner.routes.access(self.type_name, self._home, field_name)
            details = [FieldDetails(_bare_node(field_name), None)]
            slot = len(self._hidden)
            stage = self._plan_access(FieldPlan(self, field_name, details, access), slot, hidden=True)
            found = self._hidden[field_name] = (slot, stage)
        return found

    def _add(self, stage: int, step: Step) -> None:
        while len(self._stages) <= stage:
            self._stages.append([])
        self._stages[stage].append(step)


class IntrospectionField:
    """A root field of introspection, for graphql-core to answer."""

    def __init__(self, key: str, details: list[FieldDetails], parent_type: GraphQLObjectType) -> None:
        self.key = key
        self.details = details
        self.parent_type = parent_type


def _bare_node(name: str) -> FieldNode:
    return FieldNode(name=NameNode(value=name), arguments=(), directives=(), selection_set=None)


def row_builder(keys: Sequence[str]) -> RowBuilder:
    """Make the function that turns columns into output objects with these keys.

    The objects are written by a dict display with constant keys, which Python builds about three times faster than it
    zips keys with values. GraphQL names are plain identifiers, so nothing of a document but those reaches the code.
    """
    if not keys:
        return lambda _columns, size: [{} for _ in range(size)]
    names = [f"v{index}" for index in range(len(keys))]
    items = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    build = eval(f"lambda {', '.join(names)}: {{{items}}}", {})  # noqa: S307  # See above.
    return lambda columns, _size: list(map(build, *columns))
