"""Compiles a valid operation into its cost plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    value_from_ast_untyped,
)

from server.edge.cost import Alternative, CostPlan, Edge, Node, PageSize, Size, page_size
from server.edge.cost_weights import SLICING_ARGUMENTS, FieldWeight, Weights
from server.edge.limits import Limits
from server.edge.refusal import Refusal

MAX_NODES = 2_000
"""Merged selections of one operation; overlapping fragments beyond it are an attack on this very analysis."""

Selections = tuple[SelectionSetNode, ...]
Sizes = Mapping[str, Size]
Collected = dict[str, list[FieldNode]]


class OperationTooComplex(Refusal):
    """The fragments of an operation overlap in more ways than a client could mean."""


def compile_cost(
    document: DocumentNode, operation: OperationDefinitionNode, weights: Weights, limits: Limits
) -> CostPlan:
    """Compile the cost of one operation of a valid document.

    Raises: OperationTooComplex.
    """
    root = weights.schema.get_root_type(operation.operation)
    if root is None:
        return CostPlan([Node((Alternative(0.0, ()),))], [], limits.max_page_size, limits.max_cost)
    compiler = _Compiler(
        weights,
        fragments={d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)},
        defaults={
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value
        },
    )
    compiler.node(root, (operation.selection_set,), {})
    return CostPlan(compiler.nodes, list(compiler.pages), limits.max_page_size, limits.max_cost)


@dataclass(slots=True)
class _Compiler:
    weights: Weights
    fragments: Mapping[str, FragmentDefinitionNode]
    defaults: Mapping[str, object]
    nodes: list[Node] = field(default_factory=list)
    pages: dict[PageSize, None] = field(default_factory=dict)
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def node(self, parent: GraphQLCompositeType, selections: Selections, sizes: Sizes) -> int:
        key = (parent.name, frozenset(map(id, selections)), tuple(sizes.items()))
        index = self._known.get(key)
        if index is None:
            alternatives = tuple(self._alternative(each, selections, sizes) for each in self._types(parent, selections))
            if len(self.nodes) >= MAX_NODES:
                raise OperationTooComplex("The operation's fragments overlap in too many ways.")
            self.nodes.append(Node(alternatives))
            index = self._known[key] = len(self.nodes) - 1
        return index

    def _types(self, parent: GraphQLCompositeType, selections: Selections) -> Sequence[GraphQLCompositeType]:
        """The parent itself, and each runtime type that a fragment singles out."""
        if not is_abstract_type(parent):
            return [parent]
        possible = {each.name: each for each in self.weights.schema.get_possible_types(parent)}
        named = dict.fromkeys(name for name in self._conditions(selections) if name != parent.name)
        singled = (each for name in named for each in self._runtime_types(name))
        return [parent, *dict.fromkeys(possible[name] for name in singled if name in possible)]

    def _runtime_types(self, name: str) -> Iterator[str]:
        condition = self.weights.schema.type_map[name]
        if is_abstract_type(condition):
            yield from (each.name for each in self.weights.schema.get_possible_types(condition))
        else:
            yield name

    def _conditions(self, selections: Selections) -> Iterator[str]:
        for condition, _ in self._fragments_within(selections, None):
            if condition:
                yield condition

    def _fragments_within(
        self, selections: Selections, parent: GraphQLCompositeType | None
    ) -> Iterator[tuple[str | None, SelectionSetNode]]:
        """Every selection set that is merged into these, with the type condition that it stands under."""
        spread: set[str] = set()
        stack: list[tuple[str | None, SelectionSetNode]] = [(None, each) for each in reversed(selections)]
        while stack:
            condition, selection_set = stack.pop()
            if condition and parent and not self._applies(condition, parent):
                continue
            yield condition, selection_set
            for selection in reversed(selection_set.selections):
                if isinstance(selection, FragmentSpreadNode):
                    name = selection.name.value
                    if name not in spread and (fragment := self.fragments.get(name)):
                        spread.add(name)
                        stack.append((fragment.type_condition.name.value, fragment.selection_set))
                elif not isinstance(selection, FieldNode):
                    named = selection.type_condition  # type: ignore[attr-defined]
                    stack.append((named.name.value if named else None, selection.selection_set))  # type: ignore[attr-defined]

    def _applies(self, condition: str, parent: GraphQLCompositeType) -> bool:
        if condition == parent.name:
            return True
        abstract = self.weights.schema.type_map[condition]
        return isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) and (
            is_abstract_type(abstract) and self.weights.schema.is_sub_type(abstract, parent)
        )

    def _alternative(self, parent: GraphQLCompositeType, selections: Selections, sizes: Sizes) -> Alternative:
        collected: Collected = {}
        for _, selection_set in self._fragments_within(selections, parent):
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    key = (selection.alias or selection.name).value
                    collected.setdefault(key, []).append(selection)
        calls = 0.0
        edges: list[Edge] = []
        for key, nodes in collected.items():
            definition = self._definition(parent, nodes[0].name.value)
            if definition:
                calls += self._field(parent, key, nodes, definition, sizes, edges)
        return Alternative(calls, tuple(edges))

    def _definition(self, parent: GraphQLCompositeType, name: str) -> GraphQLField | None:
        if isinstance(parent, GraphQLUnionType):
            return None
        return self.weights.schema.get_field(parent, name)

    def _field(
        self,
        parent: GraphQLCompositeType,
        key: str,
        nodes: Sequence[FieldNode],
        definition: GraphQLField,
        sizes: Sizes,
        edges: list[Edge],
    ) -> float:
        name = nodes[0].name.value
        weight = self.weights.of_field(parent, name, definition)
        arguments = nodes[0].arguments or ()
        size, inner = self._sizes(weight, arguments, sizes.get(name))
        returned = get_named_type(definition.type)
        per_object = weight.per_object
        if is_composite_type(returned):
            selections = tuple(node.selection_set for node in nodes if node.selection_set)
            edges.append(Edge(key, per_object, size, self.node(returned, selections, inner)))
        elif weight.per_object:
            edges.append(Edge(key, per_object, size, self._leaf()))
        return weight.call + sum(weight.arguments.get(each.name.value, 0.0) for each in arguments)

    def _leaf(self) -> int:
        index = self._known.get(())
        if index is None:
            self.nodes.append(Node((Alternative(0.0, ()),)))
            index = self._known[()] = len(self.nodes) - 1
        return index

    def _sizes(
        self, weight: FieldWeight, arguments: Sequence[ArgumentNode], given: Size | None
    ) -> tuple[Size | None, Sizes]:
        """How many objects the field brings, and how many the sized fields beneath it."""
        pages = tuple(self._page_sizes(arguments))
        if weight.size is None:
            return (given if weight.is_list else None), {}
        slicing = tuple(page for page in pages if page.argument in weight.size.slicing_arguments)
        size = Size(weight.size.assumed, slicing)
        if weight.size.sized_fields:
            return None, dict.fromkeys(weight.size.sized_fields, size)
        return given or size, {}

    def _page_sizes(self, arguments: Sequence[ArgumentNode]) -> Iterator[PageSize]:
        for argument in arguments:
            name = argument.name.value
            page = page_size(name, argument.value, self.defaults)
            if page:
                if name in SLICING_ARGUMENTS:
                    self.pages[page] = None
                yield page
