"""What people may ask about what is held of them: to be given it, and to have it erased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.identity.events import AboutUser
from domain.kernel import Aggregate, DomainError, NotFound, Principal, Transitions, Work, event
from domain.paging import Page, PageRequest

PRIVACY = "identity.privacy"


@dataclass(frozen=True, kw_only=True)
class PrivacyPolicy:
    """For how long an erasure can be taken back, and an export and the link to it are good."""

    grace: timedelta = timedelta(days=14)
    export_lifetime: timedelta = timedelta(days=7)
    link_lifetime: timedelta = timedelta(minutes=15)
    hindered_pause: timedelta = timedelta(days=1)


class ExportState(StrEnum):
    """How far an export is."""

    REQUESTED = "requested"
    READY = "ready"
    EXPIRED = "expired"


class ErasureState(StrEnum):
    """How far an erasure is; until it runs it can be taken back."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


EXPORT = Transitions(
    "DataExport",
    ExportState.REQUESTED,
    {
        ExportState.REQUESTED: [ExportState.READY],
        ExportState.READY: [ExportState.EXPIRED],
        ExportState.EXPIRED: [],
    },
)
ERASURE = Transitions(
    "Erasure",
    ErasureState.SCHEDULED,
    {
        ErasureState.SCHEDULED: [ErasureState.RUNNING, ErasureState.CANCELLED],
        ErasureState.RUNNING: [ErasureState.COMPLETED],
        ErasureState.COMPLETED: [],
        ErasureState.CANCELLED: [],
    },
)


@dataclass(eq=False)
class ErasureHindered(DomainError):
    """Something has to come to its end before the person can be erased."""

    reasons: Sequence[str]
    template = "Erasure is not possible yet: {reasons}."

    @property
    def message(self) -> str:
        return f"Erasure is not possible yet: {'; '.join(self.reasons)}."


@event("identity.data_export_requested")
@dataclass(frozen=True, kw_only=True)
class DataExportRequested(AboutUser):
    pass


@event("identity.data_export_ready")
@dataclass(frozen=True, kw_only=True)
class DataExportReady(AboutUser):
    expires_at: datetime


@event("identity.erasure_requested")
@dataclass(frozen=True, kw_only=True)
class ErasureRequested(AboutUser):
    due_at: datetime


@event("identity.erasure_cancelled")
@dataclass(frozen=True, kw_only=True)
class ErasureCancelled(AboutUser):
    pass


@event("identity.erasure_postponed")
@dataclass(frozen=True, kw_only=True)
class ErasurePostponed(AboutUser):
    """Something has begun since the erasure was asked for; `reasons` are ours, not the person's words."""

    due_at: datetime
    hindrances: Sequence[str]


@event("identity.erasure_begun")
@dataclass(frozen=True, kw_only=True)
class ErasureBegun(AboutUser):
    pass


@event("identity.data_erased")
@dataclass(frozen=True, kw_only=True)
class DataErased(AboutUser):
    """One context has let go of the person."""

    of_context: str
    rows: int
    files: int


@event("identity.person_erased")
@dataclass(frozen=True, kw_only=True)
class PersonErased(AboutUser):
    """The certificate: what was erased where, and how many keys were destroyed."""

    requested_at: datetime
    rows: Mapping[str, int]
    keys_destroyed: int


@dataclass(eq=False, kw_only=True)
class DataExport(Aggregate):
    """A copy of what is held about a person, made once and kept for some days."""

    user_id: UUID
    requested_by: UUID
    reason: str | None = None
    state: ExportState = ExportState.REQUESTED
    size_bytes: int | None = None
    requested_at: datetime
    ready_at: datetime | None = None
    expires_at: datetime | None = None

    @classmethod
    def request(cls, user_id: UUID, reason: str | None, work: Work) -> "DataExport":
        """Ask for a copy."""
        asked = cls(
            tenant_id=work.tenant_id,
            user_id=user_id,
            requested_by=work.actor.require_user(),
            reason=reason,
            requested_at=work.now,
        )
        asked.record(DataExportRequested(user_id=user_id))
        return asked

    def finish(self, size_bytes: int, lifetime: timedelta, now: datetime) -> None:
        """Say that the copy is there.

        Raises: InvalidStateTransition.
        """
        self.state = EXPORT.check(self.state, ExportState.READY)
        self.size_bytes, self.ready_at, self.expires_at = size_bytes, now, now + lifetime
        self.record(DataExportReady(user_id=self.user_id, expires_at=self.expires_at))

    def expire(self) -> None:
        """Say that the copy is gone.

        Raises: InvalidStateTransition.
        """
        self.state = EXPORT.check(self.state, ExportState.EXPIRED)
        self.version += 1


@dataclass(eq=False, kw_only=True)
class Erasure(Aggregate):
    """That a person is erased: when, how far it has come, and what it did; `done` counts rows by context."""

    user_id: UUID
    requested_by: UUID
    reason: str | None = None
    state: ErasureState = ErasureState.SCHEDULED
    done: dict[str, int] = field(default_factory=dict)
    requested_at: datetime
    due_at: datetime
    completed_at: datetime | None = None

    @classmethod
    def request(cls, user_id: UUID, reason: str | None, grace: timedelta, work: Work) -> "Erasure":
        """Ask for an erasure after a time in which it can be taken back."""
        asked = cls(
            tenant_id=work.tenant_id,
            user_id=user_id,
            requested_by=work.actor.require_user(),
            reason=reason,
            requested_at=work.now,
            due_at=work.now + grace,
        )
        asked.record(ErasureRequested(user_id=user_id, due_at=asked.due_at))
        return asked

    def require_touchable(self, actor: Principal) -> None:
        """Show an erasure to the person and to those who are in charge of privacy.

        Raises: NotFound.
        """
        if self.user_id != actor.user_id and not actor.may(PRIVACY):
            raise NotFound(kind="Erasure", id=str(self.id))

    def cancel(self) -> None:
        """Take the request back.

        Raises: InvalidStateTransition once it has begun.
        """
        self.state = ERASURE.check(self.state, ErasureState.CANCELLED)
        self.record(ErasureCancelled(user_id=self.user_id))

    def postpone(self, hindrances: Sequence[str], pause: timedelta, now: datetime) -> None:
        """Wait for what has begun meanwhile."""
        self.due_at = now + pause
        self.record(ErasurePostponed(user_id=self.user_id, due_at=self.due_at, hindrances=tuple(hindrances)))

    def begin(self) -> None:
        """Begin; from here on there is no way back.

        Raises: InvalidStateTransition.
        """
        self.state = ERASURE.check(self.state, ErasureState.RUNNING)
        self.record(ErasureBegun(user_id=self.user_id))

    def note(self, context: str, rows: int, files: int) -> None:
        """Note that one context is done."""
        self.done = {**self.done, context: rows}
        self.record(DataErased(user_id=self.user_id, of_context=context, rows=rows, files=files))

    def complete(self, keys_destroyed: int, now: datetime) -> None:
        """Certify that everything is done.

        Raises: InvalidStateTransition.
        """
        self.state = ERASURE.check(self.state, ErasureState.COMPLETED)
        self.completed_at = now
        self.record(
            PersonErased(
                user_id=self.user_id,
                requested_at=self.requested_at,
                rows=dict(self.done),
                keys_destroyed=keys_destroyed,
            )
        )


class DataExports(Protocol):
    """Exports for change."""

    async def lock(self, export_id: UUID) -> DataExport | None: ...

    def add(self, export: DataExport) -> None: ...


class Erasures(Protocol):
    """Erasures for change."""

    async def lock(self, erasure_id: UUID) -> Erasure | None: ...

    async def pending(self, user_id: UUID) -> Erasure | None:
        """Give the erasure of a person that is neither completed nor taken back."""
        ...

    def add(self, erasure: Erasure) -> None: ...


class PrivacyReads(Protocol):
    """What people have asked for."""

    async def exports(self, user_id: UUID) -> Sequence[Any]: ...

    async def erasure(self, user_id: UUID) -> Any | None:
        """Give the latest erasure of a person."""
        ...

    async def erasures(self, page: PageRequest) -> Page[Any]: ...


class PersonalData(Protocol):
    """What all contexts hold about one person, as they declare it."""

    def contexts(self) -> Sequence[str]:
        """Name the contexts that hold something about people, in the order in which they are erased."""
        ...

    async def legal_holds(self, person_id: UUID) -> Sequence[str]:
        """Say what the person is bound by."""
        ...

    async def collect(self, context: str, person_id: UUID) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Give the rows of a context about a person, by table, without secrets."""
        ...

    async def files(self, context: str, person_id: UUID) -> Sequence[str]:
        """Give the keys of the objects that a context keeps for a person."""
        ...

    async def erase(self, context: str, person_id: UUID) -> int:
        """Have a context let go of a person; gives how many rows that touched. To do it twice is to do it once."""
        ...

    async def shred(self, person_id: UUID) -> int:
        """Destroy the person's keys, and what of the log was never sealed with them; gives how many keys."""
        ...


class ExportTickets(Protocol):
    """Signs links to exports, for one person and for a short time."""

    def issue(self, export: Any) -> str: ...

    def read(self, ticket: str) -> tuple[UUID, UUID, UUID]:
        """Give tenant, export and user.

        Raises: NotFound for what was not signed here, or long ago.
        """
        ...
