"""The static cost of an operation, compiled once per document, and the cost of the response it really got.

An operation becomes a list of nodes, each a merged selection on one type, children before parents. So fragments that are
spread many times are computed once, and evaluation is one pass over the list.

Source: the GraphQL cost directives specification of IBM; the cost is its type cost plus its field cost.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import IntValueNode, ValueNode, VariableNode

from server.edge.limits import LimitExceeded
from server.edge.refusal import Refusal

REMEMBERED_SIZES = 32


class CostLimitExceeded(LimitExceeded):
    noun = "cost units"


class PageSizeOutOfRange(Refusal):
    """A page size is negative or larger than the limit."""


@dataclass(frozen=True, slots=True)
class PageSize:
    """One slicing argument in a document: a literal, or a variable with its default."""

    argument: str
    literal: int | None = None
    variable: str | None = None
    default: int | None = None

    def value(self, variables: Mapping[str, Any]) -> int | None:
        if self.variable is None:
            return self.literal
        given = variables.get(self.variable, self.default)
        return given if isinstance(given, int) and not isinstance(given, bool) else None


def page_size(argument: str, value: ValueNode, defaults: Mapping[str, Any]) -> PageSize | None:
    if isinstance(value, IntValueNode):
        return PageSize(argument, literal=int(value.value))
    if isinstance(value, VariableNode):
        default = defaults.get(value.name.value)
        return PageSize(argument, variable=value.name.value, default=default if isinstance(default, int) else None)
    return None


@dataclass(frozen=True, slots=True)
class Size:
    """How many items an edge may bring: the largest page size given, else the assumed one."""

    assumed: int
    pages: tuple[PageSize, ...] = ()

    def items(self, variables: Mapping[str, Any]) -> int:
        given = [size for page in self.pages if (size := page.value(variables)) is not None]
        return max(0, *given) if given else self.assumed


@dataclass(frozen=True, slots=True)
class Edge:
    """A composite field of a node: its response key, what each object weighs, how many there may be, what they are."""

    key: str
    per_object: float
    size: Size | None
    node: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """A node as one runtime type: the calls of its fields, and its composite fields."""

    calls: float
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A merged selection; an abstract one has an alternative for each type that its fragments name."""

    alternatives: tuple[Alternative, ...]


@dataclass(slots=True)
class CostPlan:
    """The cost of one operation as a function of its variables.

    Nodes stand before the nodes that hold them; the last is the operation's root.
    """

    nodes: Sequence[Node]
    pages: Sequence[PageSize]
    max_page_size: int
    max_cost: float
    _known: OrderedDict[tuple[int | None, ...], float] = field(default_factory=OrderedDict)

    def requested(self, variables: Mapping[str, Any]) -> float:
        """The most that the operation may cost with these variables.

        Raises: PageSizeOutOfRange, CostLimitExceeded.
        """
        sizes = tuple(page.value(variables) for page in self.pages)
        cost = self._known.get(sizes)
        if cost is None:
            cost = self._remember(sizes, variables)
        if cost > self.max_cost:
            raise CostLimitExceeded(self.max_cost, cost)
        return cost

    def _remember(self, sizes: tuple[int | None, ...], variables: Mapping[str, Any]) -> float:
        self._check_pages(sizes)
        cost = self._known[sizes] = max(0.0, self._evaluate(variables))
        if len(self._known) > REMEMBERED_SIZES:
            self._known.popitem(last=False)
        return cost

    def _check_pages(self, sizes: tuple[int | None, ...]) -> None:
        for page, size in zip(self.pages, sizes, strict=True):
            if size is not None and not 0 <= size <= self.max_page_size:
                message = f"{page.argument} must be between 0 and {self.max_page_size}."
                raise PageSizeOutOfRange(message, argument=page.argument, limit=self.max_page_size)

    def _evaluate(self, variables: Mapping[str, Any]) -> float:
        costs: list[float] = []
        for node in self.nodes:
            costs.append(max(_requested(alternative, costs, variables) for alternative in node.alternatives))
        return costs[-1]

    def actual(self, data: Any) -> float:
        """What a response cost: the same weights with the lists as long as they came."""
        return max(0.0, _actual(self.nodes, len(self.nodes) - 1, data))


def _requested(alternative: Alternative, costs: Sequence[float], variables: Mapping[str, Any]) -> float:
    cost = alternative.calls
    for edge in alternative.edges:
        one = edge.per_object + costs[edge.node]
        cost += one if edge.size is None else one * edge.size.items(variables)
    return cost


def _actual(nodes: Sequence[Node], index: int, value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    alternatives = nodes[index].alternatives
    cost = max(alternative.calls for alternative in alternatives)
    counted: set[str] = set()
    for alternative in alternatives:
        for edge in alternative.edges:
            if edge.key not in counted:
                counted.add(edge.key)
                cost += _actual_of_edge(nodes, edge, value.get(edge.key))
    return cost


def _actual_of_edge(nodes: Sequence[Node], edge: Edge, value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, list):
        measure: Callable[[Any], float] = lambda item: _actual_of_edge(nodes, edge, item)  # noqa: E731
        return _of_leaves(nodes, edge, value) or sum(map(measure, value))
    return edge.per_object + _actual(nodes, edge.node, value)


def _of_leaves(nodes: Sequence[Node], edge: Edge, items: Sequence[Any]) -> float:
    """A list whose items hold no further objects is counted, not walked."""
    alternatives = nodes[edge.node].alternatives
    if len(alternatives) > 1 or alternatives[0].edges or any(isinstance(item, list) for item in items):
        return 0.0
    return (edge.per_object + alternatives[0].calls) * (len(items) - items.count(None))
