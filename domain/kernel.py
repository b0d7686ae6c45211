"""What every context's rules are built from: aggregates, events, refusals, state tables and the work at hand."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar
from uuid import UUID

from uuid_utils import compat

uuid7 = compat.uuid7

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=StrEnum)
H = TypeVar("H", bound=Callable[..., Awaitable[Any]])
E = TypeVar("E", bound="type[Event]")
P = ParamSpec("P")


class DomainError(Exception):
    """A refusal that a caller is told about.

    Subclasses are dataclasses: their fields are what a client gets beside `code` and `message`.
    """

    template: ClassVar[str] = "The request was refused."
    code: ClassVar[str] = "DOMAIN_ERROR"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        return self.template.format(**{each.name: getattr(self, each.name) for each in fields(self)})  # type: ignore[arg-type]


@dataclass(eq=False)
class NotFound(DomainError):
    """Nothing of that kind and id is visible to the caller: another tenant's id answers like one that never was."""

    kind: str
    id: str
    template = "{kind} {id} does not exist."


@dataclass(eq=False)
class InvalidInput(DomainError):
    """A value that no rule can accept."""

    field: str
    reason: str
    template = "{field}: {reason}."


@dataclass(eq=False)
class AlreadyExists(DomainError):
    """Something unique was to be created twice."""

    kind: str
    value: str
    template = "{kind} {value} already exists."


@dataclass(eq=False)
class ConcurrentModification(DomainError):
    """Somebody else changed the object since the caller read it."""

    kind: str
    id: str
    template = "{kind} {id} was changed by somebody else; read it again."


@dataclass(eq=False)
class InvalidStateTransition(DomainError):
    """The state machine has no such edge."""

    kind: str
    current: str
    requested: str
    template = "{kind} cannot go from {current} to {requested}."


@dataclass(eq=False)
class Unauthenticated(DomainError):
    """Nobody is logged in, or the token is not valid."""

    reason: str = "log in first"
    template = "Authentication is required: {reason}."


@dataclass(eq=False)
class Forbidden(DomainError):
    """The caller is known, and may not do this."""

    permission: str
    template = "The permission {permission} is required."


@dataclass(eq=False)
class SessionRequired(DomainError):
    """What governs accounts is done by people who have logged in, never with an API key."""

    template = "An API key cannot do this; log in."


@dataclass(eq=False)
class NotWhileImpersonating(DomainError):
    """Only the person themselves does this, and nobody who acts as them."""

    template = "This is for the person themselves; stop acting as them first."


@dataclass(eq=False)
class TenantReadOnly(DomainError):
    """A suspended or cancelled tenant can be read but not changed."""

    tenant_id: str
    template = "Tenant {tenant_id} is suspended: its data can be read but not changed."


@dataclass(eq=False)
class IdempotencyKeyReused(DomainError):
    """The same key came with another request."""

    key: str
    template = "The idempotency key {key} was used for another request."


@dataclass(eq=False)
class Unavailable(DomainError):
    """A part that the answer needs cannot be reached at the moment."""

    part: str
    template = "{part} is not available at the moment; try again."


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact in the past tense, made of ids and values; `name` is `context.fact` in lower case.

    What is `private` of it is told to those whom it concerns, and not shown in the audit trail. What is `personal` of it
    (fields, or dotted paths into them) is kept under the key of one person and unreadable once that is destroyed; the
    field `person` says whose, and where it is empty the aggregate stands for a guest. `remarks` are what somebody in
    charge may have written about that person: they are read with the log, and overwritten when the person is erased.
    """

    name: ClassVar[str]
    private: ClassVar[frozenset[str]] = frozenset()
    person: ClassVar[str] = "user_id"
    personal: ClassVar[frozenset[str]] = frozenset()
    remarks: ClassVar[frozenset[str]] = frozenset()


EVENTS: dict[str, type[Event]] = {}
SEALED = "sealed"
"""Under this name an event's data have in the log what is personal of them, unreadable without the person's key."""


def unopened(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what everybody may see of an event's data."""
    return {name: value for name, value in data.items() if name != SEALED}


def event(name: str) -> Callable[[E], E]:
    """Register an event class under the name that the log and the bus know it by."""

    def register(cls: E) -> E:
        if name in EVENTS:
            raise ValueError(f"two event classes are called {name}")
        cls.name = name
        EVENTS[name] = cls
        return cls

    return register


@dataclass(frozen=True)
class Recorded:
    """An event with the version that its aggregate reached by it."""

    event: Event
    version: int


@dataclass(eq=False, kw_only=True)
class Aggregate:
    """A consistency boundary: changed by its own methods, saved whole, its events buffered until it is saved."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    version: int = 0

    def record(self, fact: Event) -> None:
        """Buffer an event and advance the version, so that a change of children alone is a change of the root too."""
        self.version += 1
        self._buffer().append(Recorded(fact, self.version))

    def release_events(self) -> list[Recorded]:
        """Hand over the buffered events and forget them."""
        buffer = self._buffer()
        released = list(buffer)
        buffer.clear()
        return released

    def expect_version(self, expected: int | None) -> None:
        """Refuse a change that was decided on an older state.

        Raises: ConcurrentModification.
        """
        if expected is not None and expected != self.version:
            raise ConcurrentModification(kind=type(self).__name__, id=str(self.id))

    def _buffer(self) -> list[Recorded]:
        # A mapper builds loaded objects without __init__, hence the buffer is made on first use.
        recorded: list[Recorded] = self.__dict__.setdefault("_recorded", [])
        return recorded


@dataclass(eq=False, kw_only=True)
class EventSourced(Aggregate):
    """An aggregate whose state is nothing but its events: `record` applies them, and so does loading.

    `person` and `personal` say for its snapshots what they say for events.
    """

    SNAPSHOT_EVERY: ClassVar[int] = 10
    person: ClassVar[str] = "user_id"
    personal: ClassVar[frozenset[str]] = frozenset()

    def apply(self, fact: Event) -> None:
        """Change the state as the event says; never refuses, for what happened has happened."""
        raise AssertionError(f"{type(self).__name__} does not say how to apply {type(fact).__name__}")

    def record(self, fact: Event) -> None:
        """Apply an event, then buffer it."""
        self.apply(fact)
        super().record(fact)

    def replay(self, facts: Iterable[Recorded]) -> Self:
        """Bring a snapshot (or a blank) up to the last of the events."""
        for recorded in facts:
            self.apply(recorded.event)
            self.version = recorded.version
        return self


class Transitions(Generic[S]):
    """A state machine as a table: from each state, the states that may follow.

    Raises: ValueError at start-up when a state is missing from the table or cannot be reached.
    """

    def __init__(self, kind: str, initial: S, table: Mapping[S, Iterable[S]]) -> None:
        self.kind = kind
        self.initial = initial
        self._table = {state: frozenset(following) for state, following in table.items()}
        states = frozenset(type(initial))
        reachable = {initial}.union(*self._table.values())
        if self._table.keys() != states or reachable != states:
            raise ValueError(
                f"{kind}: states without a row or without a way in: {states - reachable or states - set(self._table)}"
            )

    def check(self, current: S, requested: S) -> S:
        """Give the requested state.

        Raises: InvalidStateTransition.
        """
        if requested not in self._table[current]:
            raise InvalidStateTransition(kind=self.kind, current=current, requested=requested)
        return requested

    def mermaid(self) -> str:
        """Draw the table, for the documentation."""
        edges = [f"  [*] --> {self.initial}"]
        edges += [f"  {state} --> {following}" for state in self._table for following in sorted(self._table[state])]
        return "\n".join(["stateDiagram-v2", *edges])


SELF_SCOPE = "identity.self"
"""What an API key needs wherever it is enough for a person to be the one whom something concerns."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who is calling: a person, a machine, or nobody; with an API key, its user within the scopes of the key."""

    user_id: UUID | None = None
    tenant_id: UUID | None = None
    session_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    store_ids: frozenset[UUID] = frozenset()
    api_key_id: UUID | None = None
    second_factor: bool = False
    impersonator_id: UUID | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    circumstances: Any = None

    @property
    def is_authenticated(self) -> bool:
        return self.user_id is not None

    @cached_property
    def _areas(self) -> frozenset[str]:
        return frozenset(permission.removesuffix("*") for permission in self.permissions if permission.endswith("*"))

    def may(self, permission: str, thing: Mapping[str, Any] | None = None) -> bool:
        """Say whether `permission` (`context.action`) is granted, by itself or by `context.*` or `*`, or on a condition that holds.

        `thing` is what conditions may ask about what is to be done.
        """
        if permission in self.permissions or any(permission.startswith(area) for area in self._areas):
            return True
        return bool(self.conditions) and self._may_on_condition(permission, thing)

    def might(self, permission: str) -> bool:
        """Say whether a permission is granted, or may yet be when it is known what is to be done."""
        if self.may(permission):
            return True
        from domain.conditions import asks_of_object  # noqa: PLC0415 — as below.

        return any(name == permission and asks_of_object(each) for name, each in self.conditions)

    def _may_on_condition(self, permission: str, thing: Mapping[str, Any] | None) -> bool:
        # Conditions are built on what this module declares.
        from domain.conditions import holds  # noqa: PLC0415

        about = {"roles": sorted(self.roles), "stores": sorted(map(str, self.store_ids))}
        return any(
            name == permission and holds(expression, about, self.circumstances, thing)
            for name, expression in self.conditions
        )

    def works_at(self, store_id: UUID) -> bool:
        """Say whether the caller acts for this store, or for every store of the tenant."""
        return store_id in self.store_ids or self.may("stores.any")

    def require_scope(self, scope: str = SELF_SCOPE) -> None:
        """Refuse an API key that lacks a scope; people need none for what is theirs.

        Raises: Forbidden.
        """
        if self.api_key_id is not None and not self.may(scope):
            raise Forbidden(permission=scope)

    def require_session(self) -> None:
        """Refuse every API key.

        Raises: SessionRequired.
        """
        if self.api_key_id is not None:
            raise SessionRequired

    def require_user(self) -> UUID:
        """Give the id of the logged-in user.

        Raises: Unauthenticated.
        """
        if self.user_id is None:
            raise Unauthenticated
        return self.user_id


NOBODY = Principal()
SYSTEM = Principal(roles=frozenset({"system"}), permissions=frozenset({"*"}))


class Unchanged(Enum):
    """The one value that an update's field has when the caller did not mention it; None clears, this leaves alone."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, kw_only=True)
class Work:
    """Who asks for a change, in which tenant, and when."""

    tenant_id: UUID
    actor: Principal
    now: datetime
    correlation_id: str

    def require(self, permission: str, **thing: Any) -> None:
        """Refuse what the conditions of the actor's permission do not allow; whoever has it without any passed at the door.

        Raises: Forbidden.
        """
        if self.actor.conditions and not self.actor.may(permission, thing):
            raise Forbidden(permission=permission)


def also_when_suspended(handler: H) -> H:
    """Let a handler run in a tenant that can only be read: whoever may read must be able to come in."""
    handler.also_when_suspended = True  # type: ignore[attr-defined]
    return handler


class Transactions(Protocol):
    """Runs a handler in one transaction with its events and its idempotency record."""

    async def run(
        self,
        handler: Callable[Concatenate[C, P], Awaitable[R]],
        command: C,
        work: Work,
        *,
        idempotency_key: str | None = None,
    ) -> R: ...


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An event as the bus delivers it: contexts never import each other, so the data is a plain mapping."""

    event_id: UUID
    name: str
    tenant_id: UUID
    aggregate_id: UUID
    aggregate_type: str
    version: int
    data: Mapping[str, Any]
    occurred_at: datetime
    correlation_id: str
    user_id: UUID | None = None


@dataclass(frozen=True)
class Subscription:
    """One context's handler for one or more event names; a batch handler takes many events and is idempotent by nature."""

    consumer: str
    names: tuple[str, ...]
    handler: Callable[..., Awaitable[Any]]
    batch: bool = False


class Subscriptions:
    """What one context wants to hear of."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.entries: list[Subscription] = []

    def on(self, *names: str, batch: bool = False) -> Callable[[H], H]:
        """Subscribe a handler `(envelope | list of envelopes, work and ports by annotation)`."""

        def register(handler: H) -> H:
            self.entries.append(Subscription(self.consumer, names, handler, batch))
            return handler

        return register
