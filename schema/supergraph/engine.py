"""Breadth-first execution: one pass over all parents of a level, then the next level."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from graphql.execution.values import VariableValues

from schema.supergraph.columns import Pending
from schema.supergraph.leaves import Column
from schema.supergraph.limits import Budget, DeadlineExceeded, Limits
from schema.supergraph.nulls import Failure
from schema.supergraph.places import Place
from schema.supergraph.reading import by_items
from schema.supergraph.scope import BulkFunction, Scope, check_length
from schema.supergraph.watching import WATCH, Watch

_UNASKED = object()


class Group:
    """All objects of one level that share a selection: one row each, one column per field."""

    __slots__ = ("_by_items", "columns", "hidden", "parents", "place", "reached", "rows", "selection")

    def __init__(self, selection: Any, parents: Sequence[Any], place: Place) -> None:
        self.selection = selection
        self.parents = parents
        self.place = place
        self.columns: list[Column | Pending] = [()] * selection.width  # type: ignore[list-item]  # Every step fills its own.
        self.reached: list[Sequence[Any]] = [parents]
        self.hidden: dict[int, Column] = {}
        self.rows: list[dict[str, Any]] = []
        self._by_items: Any = _UNASKED

    @property
    def by_items(self) -> bool | None:
        """Whether the parents are read by item; asked once for all fields."""
        if self._by_items is _UNASKED:
            self._by_items = by_items(self.parents)
        return self._by_items  # type: ignore[no-any-return]

    def assemble(self) -> None:
        """Make the output rows, once the groups below have theirs."""
        columns = [column if type(column) is list else column.result() for column in self.columns]  # type: ignore[union-attr]
        self.rows = self.selection.build_rows(columns, len(self.parents))

    def result(self) -> Column:
        """Return the finished objects."""
        return self.rows


class Target(NamedTuple):
    """What a bulk function is called for: a field, or the entities that objects hop to, and in which subgraph."""

    label: str
    home: str
    hop: bool


class Request:
    """One call of a bulk function: the keys that a whole stage wants of it, and for which field or hop."""

    __slots__ = ("_arguments", "_context", "_failed", "_function", "_memo", "_target", "missing")

    def __init__(
        self, function: BulkFunction, arguments: Mapping[str, Any], memo: dict[Any, Any], context: Any, target: "Target"
    ) -> None:
        self._function = function
        self._target = target
        self._arguments = arguments
        self._memo = memo
        self._context = context
        self._failed: dict[Any, Exception] = {}
        self.missing: dict[Any, None] = {}

    def want(self, keys: Sequence[Any]) -> None:
        """Ask for the values of some keys; those that the operation already knows are not asked again."""
        memo, missing = self._memo, self.missing
        for key in keys:
            if key not in memo:
                missing[key] = None

    async def watched(self, watch: Watch) -> None:
        """Call the function while somebody watches."""
        with watch.batch(self._target.label, self._target.home, len(self.missing), hop=self._target.hop):
            await self.perform()

    async def perform(self) -> None:
        """Call the function; a failure of the whole call is the failure of each key."""
        keys = list(self.missing)
        try:
            values = await self._function(self._context, keys, **self._arguments)
            check_length(self._function, keys, values)
        except Exception as error:  # noqa: BLE001  # The error belongs to every position that wanted these keys.
            self._failed = dict.fromkeys(keys, error)
        else:
            self._memo.update(zip(keys, values, strict=True))

    def values(self, keys: Sequence[Any]) -> Column:
        """Return the values in the order of keys."""
        if self._failed:
            failed, memo = self._failed, self._memo
            return [failed[key] if key in failed else memo[key] for key in keys]
        return list(map(self._memo.__getitem__, keys))


Finish = Callable[["Run", Group, Any], None]


class Run:
    """One execution of one plan: an operation, a root field of a mutation, or a subscription event."""

    def __init__(self, executor: Any, variables: VariableValues, limits: Limits, budget: Budget) -> None:
        self.executor = executor
        self.scope: Scope = executor.scope
        self.context = executor.context_value
        self.variables = variables
        self.count = budget.spend
        self.failures: list[Failure] = []
        self._watch = WATCH.get()
        self._limits = limits
        self._ends_at = None if limits.seconds is None else time.monotonic() + limits.seconds
        self._groups: list[Group] = []
        self._next: list[Group] = []
        self._requests: dict[Any, Request] = {}
        self._awaited: list[tuple[Awaitable[Any], Column, int]] = []
        self._unfinished: list[tuple[Finish, Group, Any]] = []

    async def execute(self, selection: Any, root: Any, place: Place) -> dict[str, Any]:
        """Execute a root selection and return its data, before null propagation."""
        top, depth = self.spawn(selection, [root], place), 0
        try:
            while self._next:
                level, self._next = self._next, []
                self._check_deadline()
                if self._watch is None:
                    await self._level(level)
                else:
                    depth += 1
                    with self._watch.level(depth, sum([len(group.parents) for group in level])):
                        await self._level(level)
        finally:
            for awaitable, _, _ in self._awaited:
                getattr(awaitable, "close", bool)()
        for group in reversed(self._groups):
            group.assemble()
        return top.rows[0]

    def _check_deadline(self) -> None:
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            raise DeadlineExceeded(self._limits.seconds or 0)

    async def _level(self, level: Sequence[Group]) -> None:
        depth = max([len(group.selection.stages) for group in level])
        for stage in range(depth):
            for group in level:
                stages = group.selection.stages
                if stage < len(stages):
                    for step in stages[stage]:
                        step.start(self, group)
            if self._unfinished:
                await self._settle()

    async def _settle(self) -> None:
        """Await everything that a stage has asked for, all at once, then finish its fields in their order."""
        requests, self._requests = self._requests, {}
        watch, wanted = self._watch, [request for request in requests.values() if request.missing]
        jobs: list[Coroutine[Any, Any, None]] = [
            request.perform() if watch is None else request.watched(watch) for request in wanted
        ]
        awaited, self._awaited = self._awaited, []
        if awaited:
            jobs += [_stored(job, column, index) for job, column, index in awaited]
        if jobs:
            await _all(jobs)
        unfinished, self._unfinished = self._unfinished, []
        for finish, group, state in unfinished:
            finish(self, group, state)

    def spawn(self, selection: Any, parents: Sequence[Any], place: Place) -> Group:
        """Add a group to the next level."""
        group = Group(selection, parents, place)
        self._groups.append(group)
        self._next.append(group)
        self.count(len(parents) * selection.width)
        return group

    def fail(self, place: Place, index: int, error: Exception) -> None:
        """Note that a value failed."""
        self.failures.append(Failure(place, index, error))

    def miss(self, place: Place, index: int) -> None:
        """Note that a value is null, which is a failure where null may not stand."""
        if not place.nullable:
            name = f"{place.field.parent_type.name}.{place.field.name}"
            self.fail(place, index, TypeError(f"Cannot return null for non-nullable field {name}."))

    def request(
        self, function: BulkFunction, arguments_key: Any, arguments: Mapping[str, Any], target: Target
    ) -> Request:
        """Return this stage's call of a bulk function with these arguments."""
        key = (function, arguments_key)
        request = self._requests.get(key)
        if request is None:
            memo = self.scope.memo(function, arguments_key)
            request = self._requests[key] = Request(function, arguments, memo, self.context, target)
        return request

    def wait(self, awaitable: Awaitable[Any], column: Column, index: int) -> None:
        """Put the value of an awaitable into a column at the end of the stage."""
        self._awaited.append((awaitable, column, index))

    def later(self, finish: Finish, group: Group, state: Any) -> None:
        """Finish a field at the end of the stage."""
        self._unfinished.append((finish, group, state))


async def _stored(awaitable: Awaitable[Any], column: Column, index: int) -> None:
    try:
        column[index] = await awaitable
    except Exception as error:  # noqa: BLE001  # Any failure is the error of its own position.
        column[index] = error


async def _all(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await jobs that do not fail, all at once.

    The first runs in this task: most levels have just one job, and a task costs more than many a job. Cancelling the
    operation cancels them all.
    """
    tasks = [asyncio.create_task(job) for job in jobs[1:]]
    try:
        await jobs[0]
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
