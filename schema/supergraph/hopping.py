"""The steps that bring parents to another subgraph, and lend them what `@requires` asks for."""

from collections.abc import Sequence
from typing import Any

from schema.supergraph.engine import Group, Request, Run, Target
from schema.supergraph.leaves import Column, is_special
from schema.supergraph.reading import by_items, column_reader
from schema.supergraph.references import Lent, build
from schema.supergraph.routing import Hop
from schema.supergraph.steps import Step, ask, over


class HopStep(Step):
    """Brings the parents to another subgraph."""

    def __init__(self, hop: Hop, type_name: str, source: int, slot: int) -> None:
        self._hop = hop
        self._target = Target(type_name, hop.target, hop=True)
        self._source = source
        self._slot = slot
        self._read = column_reader(hop.names)

    def start(self, run: Run, group: Group) -> None:
        """Build the other subgraph's objects, or ask for them."""
        hop = self._hop
        keys = over(group.reached[self._source], lambda some: self._read(some, by_items(some)))
        reserve(group, self._slot)
        if hop.function is None:
            origin: Any = hop.origin
            group.reached[self._slot] = over(keys, lambda some: [build(origin, hop.attributes, key) for key in some])
            return
        request = run.request(hop.function, (), {}, self._target)
        failure = ask(request, keys)
        if failure is not None:
            group.reached[self._slot] = [failure] * len(keys)
        else:
            run.later(self.finish, group, (request, keys))

    def finish(self, run: Run, group: Group, state: tuple[Request, Column]) -> None:  # noqa: ARG002
        """Keep the objects that were found."""
        request, keys = state
        group.reached[self._slot] = over(keys, request.values)


class LendStep(Step):
    """Lends objects the values that `@requires` asked for."""

    def __init__(self, source: int, slot: int, needs: Sequence[tuple[str, int]]) -> None:
        self._source = source
        self._slot = slot
        self._needs = needs

    def start(self, run: Run, group: Group) -> None:  # noqa: ARG002  # Every step is called alike.
        """Put each object together with its loans."""
        reserve(group, self._slot)
        columns = [(name, group.hidden[slot]) for name, slot in self._needs]
        group.reached[self._slot] = [
            _lent(parent, {name: column[index] for name, column in columns})
            for index, parent in enumerate(group.reached[self._source])
        ]


def _lent(parent: Any, attributes: dict[str, Any]) -> Any:
    if is_special(type(parent)):
        return parent
    return next((v for v in attributes.values() if isinstance(v, Exception)), None) or Lent(parent, attributes)


def reserve(group: Group, slot: int) -> None:
    """Make room for the objects of a hop."""
    while len(group.reached) <= slot:
        group.reached.append(())
