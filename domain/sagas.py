"""Processes that outlive a transaction: their steps, what undoes them, and the state that survives a crash.

A saga goes through its steps in order. A step is a transaction, which also notes that it is done, or a call of something
outside, which has a key and may therefore be repeated. A refusal makes the saga go back: what was done is undone, the latest
first. Whoever runs a saga holds it for a while; when the holder dies, somebody else takes it up where it was noted last.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import SYSTEM, DomainError, NotFound, Principal, Work, uuid7
from domain.paging import Page, PageRequest

HOLD = timedelta(seconds=30)
"""For how long whoever runs a saga may be silent before somebody else takes it up."""

MOST_ATTEMPTS = 12


class SagaState(StrEnum):
    """Where a saga is: on its way, waiting for somebody outside, going back, or at an end."""

    RUNNING = "running"
    WAITING = "waiting"
    COMPENSATING = "compensating"
    DONE = "done"
    COMPENSATED = "compensated"
    STUCK = "stuck"


ENDED = frozenset({SagaState.DONE, SagaState.COMPENSATED, SagaState.STUCK})


@dataclass(eq=False)
class SagaNotStuck(DomainError):
    """Only what was given up can be tried again."""

    id: str
    state: str
    template = "Saga {id} is {state}: it was not given up."


@dataclass(eq=False)
class TooLate(DomainError):
    """A process did not come to its end in time, and went back."""

    kind: str
    template = "The {kind} took too long and was undone."


@dataclass(eq=False)
class ProcessUnfinished(DomainError):
    """The same request is being worked on, or waits for somebody outside; ask again with the same key."""

    kind: str
    id: str
    template = "The {kind} {id} is not finished yet; ask again with the same idempotency key."


@dataclass(eq=False, kw_only=True)
class Saga:
    """One run of a process.

    `key` names it among the runs of its kind, `step` is how many steps are noted as done, `data` is what they know, and
    `refusal` is the code and the fields of the error that made it go back.
    """

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    kind: str
    key: str
    request_hash: bytes
    user_id: UUID | None
    correlation_id: str
    state: SagaState = SagaState.RUNNING
    step: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    refusal: dict[str, Any] | None = None
    attempts: int = 0
    error: str | None = None
    due_at: datetime
    deadline: datetime
    started_at: datetime

    def work(self, now: datetime) -> Work:
        """Give the work of a step: for the system, in the name of who began the process."""
        actor = Principal(
            user_id=self.user_id, tenant_id=self.tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions
        )
        return Work(tenant_id=self.tenant_id, actor=actor, now=now, correlation_id=self.correlation_id)


class Sagas(Protocol):
    """Sagas in the transaction at hand."""

    async def begin(self, saga: Saga) -> Saga | None:
        """Note a new saga; where its key is taken, note nothing and give the one that has it."""
        ...

    async def find(self, saga_id: UUID) -> Saga | None: ...

    async def move(self, saga: Saga, *, step: int | None = None, state: SagaState | None = None, **more: Any) -> bool:
        """Move a saga on from the step and the state that it is known to have; says no where it has others by now.

        Nobody else can move it before the transaction has ended.
        """
        ...

    async def retry(self, saga_id: UUID, now: datetime) -> Saga | None:
        """Let a saga be taken up again that was left to a person: back where it had a refusal, on where it had none."""
        ...

    async def note(self, saga: Saga) -> None:
        """Keep a saga's step and data; what this transaction did not begin, it must have moved before."""
        ...

    async def wake(self, saga_id: UUID, now: datetime) -> bool:
        """Let a saga look again that is on its way or waits; says whether it does."""
        ...


class SagaReads(Protocol):
    """Reads of sagas, in the tenant of the operation."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def sagas(self, kind: str | None, state: SagaState | None, page: PageRequest) -> Page[Any]: ...


class Waiting(Exception):
    """A step cannot be done before somebody outside says so, or an instant comes."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"waiting until {until:%Y-%m-%d %H:%M:%S}")
        self.until = until


Action = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Step:
    """One step with what undoes it.

    `do` gets `(saga, work and ports by annotation)` and may change the saga's data. Where it is `outside` it runs in no
    transaction and must be repeatable; else it runs in one, together with the note that it is done. `undo` is of the same
    kind, is called for steps that may have been done, and does nothing where they were not. A step that `needs` a name is
    passed over where the saga's data has nothing under it.
    """

    name: str
    do: Action
    undo: Action | None = None
    outside: bool = False
    needs: str | None = None


@dataclass(frozen=True)
class Process:
    """A kind of saga."""

    kind: str
    steps: tuple[Step, ...]
    refusals: Mapping[str, type[DomainError]] = field(default_factory=dict)

    @staticmethod
    def of(kind: str, *steps: Step, refusals: tuple[type[DomainError], ...] = ()) -> "Process":
        """Make a process; `refusals` are the errors that can make it go back, so that a replay raises the same again."""
        known: tuple[type[DomainError], ...] = (*refusals, TooLate)
        return Process(kind, steps, {each.code: each for each in known})

    def refusal_of(self, saga: Saga) -> DomainError:
        """Give the error that made a saga go back."""
        told = dict(saga.refusal or {})
        kind = self.refusals.get(told.pop("code", ""))
        return kind(**told) if kind else ProcessUnfinished(kind=self.kind, id=str(saga.id))


class Processes:
    """The processes that one module has."""

    def __init__(self) -> None:
        self.entries: list[Process] = []

    def add(self, process: Process) -> Process:
        """Register a process, so that whoever finds one of its sagas abandoned can take it up."""
        self.entries.append(process)
        return process


@dataclass(frozen=True, kw_only=True)
class RetrySaga:
    """Take up a process again that was given up after too many failures."""

    id: UUID


async def retry_saga(command: RetrySaga, work: Work, sagas: Sagas) -> Saga:
    """Take it up again.

    Raises: NotFound, SagaNotStuck.
    """
    saga = await sagas.retry(command.id, work.now)
    if saga is None:
        known = await sagas.find(command.id)
        if known is None:
            raise NotFound(kind="Saga", id=str(command.id))
        raise SagaNotStuck(id=str(command.id), state=known.state)
    return saga


class SagaRunner(Protocol):
    """Runs sagas from where they are to an end, or to where they must wait."""

    async def start(self, process: Process, saga: Saga) -> Saga:
        """Run a new saga; where its key is taken, wait for the one that has it.

        Raises: IdempotencyKeyReused; ProcessUnfinished; the DomainError that made it go back.
        """
        ...
