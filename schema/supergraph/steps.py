"""The steps of a selection: each fills one column, or brings the parents to another subgraph."""

from collections.abc import Callable, Sequence
from typing import Any

from schema.supergraph.declarations import Guard, Typed
from schema.supergraph.engine import Group, Request, Run, Target
from schema.supergraph.leaves import Column, is_special
from schema.supergraph.places import FieldPlace
from schema.supergraph.reading import by_items, column_reader

Act = Callable[[Sequence[Any]], Column]


def over(parents: Sequence[Any], act: Act) -> Column:
    """Do something with all real objects; where there is none, null or the error stays in its place."""
    if not any(map(is_special, set(map(type, parents)))):
        return act(parents)
    column = list(parents)
    indices = [index for index, parent in enumerate(parents) if not is_special(type(parent))]
    for index, value in zip(indices, act([parents[index] for index in indices]) if indices else (), strict=True):
        column[index] = value
    return column


class Step:
    """What a selection does with a group in one stage."""

    def start(self, run: Run, group: Group) -> None:
        """Do what can be done at once, and ask for the rest."""
        raise NotImplementedError


class TypenameStep(Step):
    """`__typename`."""

    def __init__(self, slot: int, type_name: str) -> None:
        self._slot = slot
        self._type_name = type_name

    def start(self, run: Run, group: Group) -> None:  # noqa: ARG002  # Every step is called alike.
        """Fill the column with the name."""
        group.columns[self._slot] = [self._type_name] * len(group.parents)


class IntrospectionStep(Step):
    """`__schema` and `__type`, which graphql-core answers."""

    def __init__(self, slot: int, field: Any) -> None:
        self._slot = slot
        self._field = field

    def start(self, run: Run, group: Group) -> None:
        """Fill the column with graphql-core's answer."""
        group.columns[self._slot] = [run.executor.introspect(self._field, parent) for parent in group.parents]


class FieldStep(Step):
    """A field: gets a value or an exception for each parent, then completes the column."""

    def __init__(self, field: Any, slot: int, reach: int, hidden: bool) -> None:
        self.field = field
        self.slot = slot
        self.reach = reach
        self.hidden = hidden
        self._guard: Guard | None = field.access.own.guard
        self._read = column_reader(field.access.names)
        self._target = Target(f"{field.parent_type.name}.{field.name}", field.access.home, hop=False)

    def start(self, run: Run, group: Group) -> None:
        """Get the column behind the guard."""
        parents = group.reached[self.reach]
        if self._guard is not None:
            parents = self._admitted(run, parents)
        self.get(run, group, parents)

    def _admitted(self, run: Run, parents: Sequence[Any]) -> Sequence[Any]:
        """Put the guard's refusal in the place of every parent whose field may not be seen."""
        guard = self._guard
        assert guard is not None  # noqa: S101  # start() asked.
        if getattr(guard, "per_object", False):
            return self._real(parents, lambda some: [_refusal(guard, run.context, one) or one for one in some])
        refusal = _refusal(guard, run.context, None)
        return parents if refusal is None else self._real(parents, lambda some: [refusal] * len(some))

    def _real(self, parents: Sequence[Any], act: Act) -> Sequence[Any]:
        """Act on every parent, the root value included, but not on what a hop did not find."""
        return over(parents, act) if self.reach else act(parents)

    def get(self, run: Run, group: Group, parents: Sequence[Any]) -> None:
        """Get the column of raw values."""
        raise NotImplementedError

    def deliver(self, run: Run, group: Group, column: Column) -> None:
        """Complete the raw values, or keep them as they are for `@requires`."""
        if self.hidden:
            group.hidden[self.slot] = column
        else:
            group.columns[self.slot] = self.field.complete(run, column, FieldPlace(group.place, self.field))

    def read(self, group: Group, parents: Sequence[Any]) -> Column:
        """Read the attribute or the key of every parent."""
        if parents is group.parents:
            return self._read(parents, group.by_items)
        return over(parents, lambda some: self._read(some, by_items(some)))


def _refusal(guard: Guard, context: Any, parent: Any) -> Exception | None:
    try:
        guard(context, parent)
    except Exception as error:  # noqa: BLE001  # Whatever a guard raises is the error of the field.
        return error
    return None


class AttributeStep(FieldStep):
    """A plain field."""

    def get(self, run: Run, group: Group, parents: Sequence[Any]) -> None:
        """Read the attribute."""
        self.deliver(run, group, self.read(group, parents))


def ask(request: Request, keys: Column) -> Exception | None:
    """Want the values of those keys that are keys; return the error of keys that cannot be any."""
    try:
        request.want([key for key in keys if not is_special(type(key))])
    except TypeError as error:
        return error
    return None


class BulkStep(FieldStep):
    """A field that loads by key."""

    def get(self, run: Run, group: Group, parents: Sequence[Any]) -> None:
        """Ask for the keys of all parents."""
        arguments = self.field.arguments
        keys = self.read(group, parents)
        try:
            coerced = arguments.coerced(run.variables)
            converted = arguments.converted(coerced)
        except Exception as error:  # noqa: BLE001  # Arguments that cannot be coerced are the error of each position.
            self.deliver(run, group, [error] * len(keys))
            return
        request = run.request(
            self.field.access.own.definition.function, arguments.key(coerced), converted, self._target
        )
        failure = ask(request, keys)
        if failure is not None:
            self.deliver(run, group, [failure] * len(keys))
        else:
            run.later(self.finish, group, (request, keys))

    def finish(self, run: Run, group: Group, state: tuple[Request, Column]) -> None:
        """Complete the loaded values."""
        request, keys = state
        self.deliver(run, group, over(keys, request.values))


class ComputedStep(FieldStep):
    """A field that is worked out from its parent."""

    def get(self, run: Run, group: Group, parents: Sequence[Any]) -> None:
        """Call the function for every parent, or once for the keys of all."""
        arguments = self.field.arguments
        try:
            converted = arguments.converted(arguments.coerced(run.variables))
        except Exception as error:  # noqa: BLE001  # Arguments that cannot be coerced are the error of each position.
            self.deliver(run, group, [error] * len(parents))
            return
        definition, context = self.field.access.own.definition, run.context
        function = definition.function

        def each(some: Sequence[Any]) -> Column:
            return [_outcome(function, parent, context, converted) for parent in some]

        def together(keys: Sequence[Any]) -> Column:
            return _outcomes(function, keys, context, converted)

        if definition.key:
            self.deliver(run, group, over(self.read(group, parents), together))
        else:
            self.deliver(run, group, list(self._real(parents, each)))


def _outcomes(function: Callable[..., Any], keys: Sequence[Any], context: Any, arguments: dict[str, Any]) -> Column:
    try:
        return list(function(context, keys, **arguments))
    except Exception as error:  # noqa: BLE001  # It belongs to the position whose key it came from.
        if len(keys) == 1:
            return [error]
    return [_outcomes(function, [key], context, arguments)[0] for key in keys]


def _outcome(function: Callable[..., Any], parent: Any, context: Any, arguments: dict[str, Any]) -> Any:
    if type(parent) is Typed:
        parent = parent.value
    try:
        return function(parent, context, **arguments)
    except Exception as error:  # noqa: BLE001  # The error belongs to this position.
        return error
