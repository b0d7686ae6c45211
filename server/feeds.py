"""Subscriptions to feeds that many share: one execution and one written response for each event, whoever takes it.

Subscribers of the same document with the same variables, in the same tenant and language, form a group. The group hears
the events, executes each once as somebody who is not logged in, and offers the response to its members: who has taken
everything so far gets it on his socket at once, the others find it in a bounded queue of their own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import structlog
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution import map_source_to_response_event

from data.replicas import LaggingReads
from domain.kernel import DomainError
from domain.topics import FellBehind, TopicEvent, TopicHub, sequence_of
from resolvers.following import BATCH_EVENTS, QUEUE_EVENTS, FeedStream, delivering, past, present
from resolvers.kernel import Context, Feed
from schema.kernel import PUBLIC, visibility_of
from schema.supergraph.source import BACKREF
from server.edge.executor import Document, Operation, Result, Sink
from server.edge.pipeline import write_result
from server.edge.strawberry_executor import StrawberryExecutor, to_result
from server.metrics import METRICS

log = structlog.get_logger("agora.feeds")

GROUP_EVENTS = 4_096
FAIR_SHARE = 512
"""Members that are served before others may work."""


class Member:
    """One subscriber of a group: what he has not taken yet, and whether his socket is waiting for more."""

    __slots__ = (
        "_context", "_events", "_failure", "_feed", "_filled", "_known", "_last", "_limit", "_signals", "_sink", "_waits",
    )  # fmt: skip

    def __init__(self, context: Context, feed: Feed, sink: Sink | None, limit: int = QUEUE_EVENTS) -> None:
        self._context = context
        self._feed = feed
        self._sink = sink
        self._limit = limit
        self._events: deque[tuple[int, bytes]] = deque()
        self._signals: dict[tuple[str, ...], bytes] = {}
        self._failure: DomainError | None = None
        self._filled = asyncio.Event()
        self._waits = False
        self._known = 0
        self._last = 0

    def begin(self, seam: int, after: int | None) -> None:
        """Begin at a seam; who comes with a cursor is given what was before it otherwise, and not again."""
        self._last = seam
        if after is not None:
            self._known = self._last = max(seam, after)
            while self._events and self._events[0][0] <= self._known:
                self._events.popleft()

    def admit(self, event: TopicEvent, *, revoked: bool) -> None:
        """End the subscription of who may not see an event any more; `revoked` says that credentials may have ended."""
        try:
            if revoked:
                self._context.require_valid()
            if self._feed.allows is not None and not self._knows(event):
                self._feed.allows(event)
        except DomainError as refusal:
            self.fail(refusal)

    def offer(self, event: TopicEvent, body: bytes) -> None:
        """Take a written response, at once or later; whose subscription has ended gets nothing more."""
        if self._failure is not None or self._knows(event):
            return
        sequence = event.sequence
        if self._waits and self._sink is not None and self._sink.push(body):
            if sequence is not None:
                self._known = self._last = sequence
        else:
            self._keep(event, body)

    def _knows(self, event: TopicEvent) -> bool:
        return event.sequence is not None and event.sequence <= self._known

    def fail(self, refusal: DomainError) -> None:
        """End the subscription once what is queued was taken."""
        self._failure = self._failure or refusal
        self._wake()

    async def take(self) -> bytes:
        """Wait for the next response that did not go straight to the socket.

        Raises: FellBehind, and what `allows` raised.
        """
        while not self._events and not self._signals:
            if self._failure is not None:
                raise self._failure
            self._filled.clear()
            self._waits = True
            try:
                await self._filled.wait()
            finally:
                self._waits = False
        if self._events:
            self._last, body = self._events.popleft()
            return body
        return self._signals.pop(next(iter(self._signals)))

    def fall_behind(self) -> None:
        """End the subscription with the cursor after which it can be resumed."""
        last = self._events[-1][0] if self._events else self._last
        self.fail(FellBehind(after=str(last)))

    def _keep(self, event: TopicEvent, body: bytes) -> None:
        if event.sequence is None:
            self._signals[tuple(event.topics)] = body
        elif len(self._events) < self._limit:
            self._known = event.sequence
            self._events.append((event.sequence, body))
        else:
            self.fall_behind()
        self._wake()

    def _wake(self) -> None:
        self._waits = False
        self._filled.set()


Execute = Callable[[Context, Any], Awaitable[bytes]]
AsNobody = Callable[[], AbstractAsyncContextManager[Context]]


class Group:
    """All subscribers that are shown the same; it hears for them, and ends with the last of them."""

    def __init__(self, feed: Feed, as_nobody: AsNobody, execute: Execute) -> None:
        self._feed = feed
        self._as_nobody = as_nobody
        self._execute = execute
        self._events: deque[TopicEvent] = deque()
        self._signals: dict[tuple[str, ...], TopicEvent] = {}
        self._filled = asyncio.Event()
        self._revocations = self._seen = -1
        self.members: dict[Member, None] = {}

    def hear(self, event: TopicEvent) -> None:
        """Take an event; it is executed in its turn."""
        if event.sequence is None:
            self._signals[tuple(event.topics)] = event
        else:
            self._events.append(event)
        self._filled.set()

    def _require_pace(self) -> None:
        """Give up when events come faster than they are executed: members resume from the log.

        Raises: FellBehind.
        """
        if len(self._events) > GROUP_EVENTS:
            raise FellBehind(after=str(self._events[0].sequence))

    def seam(self, heard: int) -> int:
        """Give the sequence after which everything will be offered to members; `heard` is how far the hub is."""
        return (self._events[0].sequence or 1) - 1 if self._events else heard

    async def run(self, hub: TopicHub, tenant_id: UUID, ready: asyncio.Event) -> None:
        """Serve the members until cancelled."""
        stop = await hub.follow(tenant_id, self, self._feed.topics, self._feed.signals)
        ready.set()
        try:
            while True:
                self._filled.clear()
                if not self._events and not self._signals:
                    await self._filled.wait()
                self._require_pace()
                await self._serve()
                if self._feed.interval_seconds:
                    await asyncio.sleep(self._feed.interval_seconds)
        except Exception:
            # Members of a group that has ended would wait for ever.
            log.exception("feeds.group_failed", topics=list(self._feed.topics))
            for member in self.members:
                member.fall_behind()
            raise
        finally:
            stop()

    async def _serve(self) -> None:
        """Offer everything that was heard; an event is taken off the row when all members have been offered it."""
        events = [self._events[index] for index in range(min(BATCH_EVENTS, len(self._events)))]
        durable = bool(events)
        if not events:
            events, self._signals = list(self._signals.values()), {}
        try:
            with delivering(events):
                bodies = await self._written(events)
        except Exception:
            log.exception("feeds.event_failed", topics=list(self._feed.topics))
            bodies = [None] * len(events)
            if durable:
                for member in self.members:
                    member.fall_behind()
        for event, body in zip(events, bodies, strict=True):
            self._admit(event)
            if body is not None:
                await self._offer(event, body)
            if durable:
                self._events.popleft()

    async def _written(self, events: list[TopicEvent]) -> list[bytes | None]:
        async with self._as_nobody() as context:
            await context.recheck()
            self._revocations = context.revocations()
            values = await self._feed.values(context, events)
            return [None if value is None else await self._execute(context, value) for value in values]

    def _admit(self, event: TopicEvent) -> None:
        """Look at each member again where something is known that speaks against it: of most events there is nothing."""
        revoked, asked = self._revocations != self._seen, self._feed.allows_at
        self._seen = self._revocations
        if revoked or (self._feed.allows is not None and (asked is None or event.name in asked)):
            for member in self.members:
                member.admit(event, revoked=revoked)

    async def _offer(self, event: TopicEvent, body: bytes) -> None:
        METRICS.frames.inc(len(self.members))
        for number, member in enumerate(list(self.members), 1):
            member.offer(event, body)
            if number % FAIR_SHARE == 0:
                await asyncio.sleep(0)


class Groups:
    """The groups of one graph, by what their members are shown."""

    def __init__(self) -> None:
        self._groups: dict[Any, tuple[Group, asyncio.Task[None], asyncio.Event]] = {}

    async def join(
        self, key: Any, member: Member, make: Callable[[], Group], context: Context
    ) -> tuple[int, Callable[[], None]]:
        """Let a subscriber take part; gives the sequence after which he is offered everything, and how he leaves."""
        hub = context.service(TopicHub)
        if key not in self._groups:
            group, ready = make(), asyncio.Event()
            self._groups[key] = group, asyncio.create_task(group.run(hub, context.require_tenant(), ready)), ready
        group, task, ready = self._groups[key]
        group.members[member] = None

        def leave() -> None:
            group.members.pop(member, None)
            if not group.members and self._groups.get(key, (None,))[0] is group:
                del self._groups[key]
                task.cancel()

        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        except BaseException:
            leave()
            raise
        finally:
            waiting.cancel()
        return group.seam(hub.position), leave


class GraphExecutor(StrawberryExecutor):
    """Executes on our graph; between two events of a subscription nothing is held, and the token is looked at again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups = Groups()

    async def execute(self, operation: Operation, context: Context) -> Result:
        """Run a query or a mutation; a query whose replica was lost meanwhile is run again, as a whole, on the primary."""
        result = await super().execute(operation, context)
        if isinstance(context.reads, LaggingReads) and context.reads.lost:
            METRICS.reads.labels("primary", "replica lost").inc()
            await context.reads.return_to_primary()
            await context.forget()
            result = await super().execute(operation, context)
        return result

    async def subscribe(
        self, operation: Operation, context: Context, sink: Sink | None = None
    ) -> AsyncGenerator[Result]:
        opened = await self.open(operation, context)
        if isinstance(opened, ExecutionResult):
            yield to_result(opened)
            return
        executor, source = opened
        results = _own(executor, source)
        if isinstance(source, FeedStream) and source.feed.shared and _is_public(operation.document, self.schema):
            results = self._shared(operation, executor, source.feed, context, sink)
        try:
            async for result in results:
                await context.forget()
                yield result
                await context.recheck()
        except FellBehind:
            METRICS.fell_behind.inc()
            raise
        finally:
            await results.aclose()

    async def _shared(
        self, operation: Operation, executor: Any, feed: Feed, context: Context, sink: Sink | None
    ) -> AsyncGenerator[Result]:
        member, after = Member(context, feed, sink), sequence_of(feed.after)
        key = (operation.document, operation.name, _variables(operation), context.require_tenant(), context.locale)

        def make() -> Group:
            return Group(feed, context.as_nobody, self._writer(operation))

        async with present(context, feed), AsyncExitStack() as stack:
            seam, leave = await self._groups.join(key, member, make, context)
            stack.callback(leave)
            member.begin(seam, after)
            async for result in _own(executor, past(context, feed, after, seam)):
                yield result
            while True:
                yield Result(written=await member.take())

    def _writer(self, operation: Operation) -> Execute:
        async def execute(context: Context, value: Any) -> bytes:
            executor = self.executor(operation, context).build_per_event_executor(value)
            result = await executor.execute_operation(False)
            return write_result(to_result(result), {}, context.correlation_id)

        return execute


async def _own(executor: Any, source: Any) -> AsyncGenerator[Result]:
    """Execute every event of a source for one subscriber."""
    events: Any = map_source_to_response_event(executor, source)
    try:
        async for event in events:
            yield to_result(event)
    finally:
        await events.aclose()


def _variables(operation: Operation) -> bytes:
    """Give what the events depend on of an operation's variables: not the cursor that a subscriber comes with."""
    resumed = _resumed(operation.document, operation.name)
    shown = {name: value for name, value in operation.variables.items() if name != resumed}
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS, default=str)


@lru_cache(maxsize=512)
def _resumed(document: Document, name: str | None) -> str | None:
    """Give the variable that stands for the root field's `after` and for nothing else."""
    uses: list[str] = []

    class Uses(Visitor):
        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            uses.append(node.name.value)

    for definition in document.ast.definitions:
        if not isinstance(definition, OperationDefinitionNode) or (definition.name and definition.name.value) != name:
            continue
        visit(definition.selection_set, Uses())
        for field in definition.selection_set.selections:
            given = field.arguments if isinstance(field, FieldNode) else None
            for argument in given or ():
                value = argument.value
                if argument.name.value == "after" and isinstance(value, VariableNode):
                    return value.name.value if uses.count(value.name.value) == 1 else None
    return None


@lru_cache(maxsize=512)
def _is_public(document: Document, schema: GraphQLSchema) -> bool:
    """Say whether everything below the root is for everybody: only then can subscribers share what they are shown."""
    types = TypeInfo(schema)
    guarded: list[str] = []

    class Guards(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            field, parent = types.get_field_def(), types.get_parent_type()
            definition = field.extensions.get(BACKREF) if field else None
            who = visibility_of(definition) if definition is not None else None
            if parent is not schema.subscription_type and who is not None and who is not PUBLIC:
                guarded.append(node.name.value)

    visit(document.ast, TypeInfoVisitor(types, Guards()))
    return not guarded
