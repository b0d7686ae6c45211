"""The port between the edge and whatever executes GraphQL."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A parsed and valid document; the same object comes with every request of the same text.

    An executor may key its plans on the identity of `ast`.
    """

    source: str
    ast: DocumentNode


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One admitted operation: everything that an executor needs but the context."""

    document: Document
    definition: OperationDefinitionNode
    name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]

    @property
    def kind(self) -> OperationType:
        return self.definition.operation


@dataclass(slots=True)
class Result:
    """What an operation, or one event of a subscription, answers.

    `executed` is false when nothing ran (a variable could not be coerced): the response then has no `data` entry.
    `data` is anything that orjson writes. `written` is the whole response where it was written before, as for an event that
    many subscribers share.
    """

    data: Any = None
    errors: Sequence[GraphQLError] = ()
    extensions: Mapping[str, Any] | None = None
    executed: bool = True
    written: bytes | None = None


class Sink(Protocol):
    """A subscriber's socket, for responses that many subscribers share: they need no task of its own to be sent."""

    def push(self, body: bytes) -> bool:
        """Send a written response at once; false where the socket takes nothing at the moment, and nothing was sent."""
        ...


class Executor(Protocol):
    """Executes admitted operations against one schema."""

    @property
    def schema(self) -> GraphQLSchema: ...

    def validate(self, document: DocumentNode, *, hide_suggestions: bool) -> Sequence[GraphQLError]: ...

    async def execute(self, operation: Operation, context: Any) -> Result:
        """Run a query or a mutation; resolver errors are in the result, never raised."""
        ...

    def subscribe(self, operation: Operation, context: Any, sink: Sink | None = None) -> AsyncGenerator[Result]:
        """Yield one result per event; closing the generator closes the source of the events.

        What many subscribers share may go to the sink instead, while the generator waits and nothing is to be sent before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket, refilled per second: `capacity` in cost units, or in operations where they are `counted`."""

    key: str
    capacity: float
    refill_per_second: float
    counted: bool = False


class Session(Protocol):
    """An admitted caller: one per HTTP request, one per WebSocket."""

    @property
    def principal(self) -> str:
        """The key that connections are counted by: a user id, or an address for a guest."""
        ...

    @property
    def expires_at(self) -> float | None:
        """When the credentials end, in unix seconds."""
        ...

    @property
    def deadline(self) -> float | None:
        """When nobody waits for an answer any more, by the event loop's clock; None for the edge's own time limit."""
        ...

    @property
    def buckets(self) -> Sequence[Bucket]: ...

    def context(self, operation: Operation, correlation_id: str) -> AbstractAsyncContextManager[Any]:
        """Open the `info.context` of one operation, and release what it holds afterwards."""
        ...
