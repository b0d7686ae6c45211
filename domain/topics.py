"""Topics: what can be followed while it happens.

A *durable* topic is a selection of the event log: every event of it has a cursor, and whoever names one gets what came
after it, once each, and then what happens. A *signal* is kept nowhere: of several, the latest counts.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from domain.kernel import DomainError, InvalidInput

TopicsOf = Callable[[UUID, Mapping[str, Any]], Iterable[str]]
F = TypeVar("F", bound=TopicsOf)
TOPICS: dict[str, list[TopicsOf]] = {}
MAX_CURSOR = 2**63 - 1


def followed(*names: str) -> Callable[[F], F]:
    """Say which topics the events of these names belong to: `(aggregate_id, data as JSON) -> topics`."""

    def register(function: F) -> F:
        for name in names:
            TOPICS.setdefault(name, []).append(function)
        return function

    return register


def topics_of(name: str, aggregate_id: UUID, data: Mapping[str, Any]) -> list[str]:
    """Give the topics that an event belongs to; none for most."""
    return sorted({topic for function in TOPICS.get(name, ()) for topic in function(aggregate_id, data)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicEvent:
    """Something that happened in one or more topics; a signal has neither a sequence nor an aggregate.

    `origin` is the span in which it came to be, where that was traced.
    """

    tenant_id: UUID
    topics: Sequence[str]
    name: str
    data: Mapping[str, Any]
    sequence: int | None = None
    aggregate_id: UUID | None = None
    occurred_at: datetime | None = None
    user_id: UUID | None = None
    origin: str | None = None

    @property
    def cursor(self) -> str:
        """What a client names to get what came after this event."""
        return str(self.sequence or 0)


@dataclass(eq=False)
class FellBehind(DomainError):
    """A subscriber took events more slowly than they came; what he missed comes after the cursor."""

    after: str
    template = "You fell behind: follow again after cursor {after}."


def sequence_of(cursor: str | None) -> int | None:
    """Read a cursor.

    Raises: InvalidInput.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > MAX_CURSOR:
        raise InvalidInput(field="after", reason="it is not a cursor that was given out")
    return int(cursor)


class TopicLog(Protocol):
    """The durable topics as the log keeps them, and how far the log is settled: no event can appear before that any more."""

    async def settled(self) -> int: ...

    async def entries(
        self, tenant_id: UUID, topics: Sequence[str], after: int, until: int, limit: int
    ) -> list[TopicEvent]:
        """Give the first events of some topics with `after < sequence <= until`, in the log's order, each once."""
        ...

    async def between(self, after: int, until: int, limit: int) -> list[TopicEvent]:
        """Give the first events of all topics of all tenants, for who missed them."""
        ...

    async def readable(self, events: Sequence[TopicEvent]) -> list[TopicEvent]:
        """Open what is personal of events that were heard; where its key was destroyed, it reads `[erased]`."""
        ...


class Signals(Protocol):
    """Tells those who follow a topic at this moment, in whichever process; nobody else ever hears of it."""

    async def send(self, tenant_id: UUID, topic: str, data: Mapping[str, Any]) -> None: ...


def presence_topic(place: str, who: str) -> str:
    """Name the signal that somebody has come to a place, or gone."""
    return f"presence:{place}:{who}"


class Presence(Protocol):
    """Who is somewhere at the moment: in a room, or online at all. A process that dies takes its people with it."""

    def enter(self, tenant_id: UUID, place: str, who: str) -> AbstractAsyncContextManager[None]: ...

    async def count(self, tenant_id: UUID, places: Sequence[str]) -> list[int]: ...

    async def present(self, tenant_id: UUID, place: str, people: Sequence[str]) -> list[bool]: ...


class Follower(Protocol):
    """Whoever hears of what happens in topics; called in the log's order, once for an event, and may not wait."""

    def hear(self, event: TopicEvent) -> None: ...


class TopicHub(Protocol):
    """One process's ear: everything that followers in this process hear of comes through it."""

    @property
    def position(self) -> int:
        """The sequence up to which durable events have been heard."""
        ...

    async def follow(
        self, tenant_id: UUID, follower: Follower, topics: Sequence[str], signals: Sequence[str] = ()
    ) -> Callable[[], None]:
        """Let somebody hear what happens from now on, until he calls what he is given."""
        ...

    def missed(self, tenant_id: UUID, topics: Sequence[str], after: int, until: int) -> AsyncIterator[list[TopicEvent]]:
        """Read what happened in durable topics with `after < sequence <= until`, page by page."""
        ...
