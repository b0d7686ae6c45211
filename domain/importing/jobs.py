"""Import jobs: how far a file is on its way into the catalogue."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.importing.mapping import ImportRow, RowError
from domain.kernel import Aggregate, Event, NotFound, Transitions, Work, event
from domain.paging import Page, PageRequest


class ImportState(StrEnum):
    """Where an import stands."""

    QUEUED = "queued"
    VALIDATING = "validating"
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = ImportState
_ENDED: frozenset[ImportState] = frozenset({_S.COMPLETED, _S.COMPLETED_WITH_ERRORS, _S.FAILED, _S.CANCELLED})
IMPORT_STATES = Transitions(
    "ImportJob",
    _S.QUEUED,
    {
        _S.QUEUED: {_S.VALIDATING, _S.FAILED, _S.CANCELLED},
        _S.VALIDATING: {_S.RUNNING, _S.FAILED, _S.CANCELLED},
        _S.RUNNING: {_S.COMPLETED, _S.COMPLETED_WITH_ERRORS, _S.FAILED, _S.CANCELLED},
        # A file that was damaged can be put right, and the job goes on after the last line that it kept.
        _S.FAILED: {_S.VALIDATING},
        _S.COMPLETED: (),
        _S.COMPLETED_WITH_ERRORS: (),
        _S.CANCELLED: (),
    },
)


@event("import.completed")
@dataclass(frozen=True, kw_only=True)
class ImportEnded(Event):
    job_id: UUID
    state: ImportState
    processed: int
    created: int
    updated: int
    failed: int


@event("import.started")
@dataclass(frozen=True, kw_only=True)
class ImportStarted(Event):
    job_id: UUID
    source: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one chunk came to."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: Sequence[RowError] = ()


@dataclass(eq=False, kw_only=True)
class ImportJob(Aggregate):
    """One file on its way into the catalogue: how far it is, and how it went. Counts are rows."""

    source: str
    store_id: UUID
    seller_id: UUID
    mapping: Mapping[str, Any]
    state: ImportState = ImportState.QUEUED
    last_line: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    failure: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def processed(self) -> int:
        return self.created + self.updated + self.unchanged + self.failed

    @property
    def is_over(self) -> bool:
        return self.state in _ENDED

    def start(self, now: datetime) -> None:
        """Begin, or go on after a crash: a job that is running already just goes on."""
        if self.state is not ImportState.RUNNING:
            self.state = IMPORT_STATES.check(self.state, ImportState.VALIDATING)
            self.state = IMPORT_STATES.check(self.state, ImportState.RUNNING)
            self.failure = None
            self.started_at = self.started_at or now
            self.record(ImportStarted(job_id=self.id, source=self.source))

    def advance(self, last_line: int, outcome: Outcome) -> None:
        """Count a chunk, in the transaction that keeps it."""
        self.last_line = last_line
        self.created += outcome.created
        self.updated += outcome.updated
        self.unchanged += outcome.unchanged
        self.failed += len(outcome.errors)

    def finish(self, now: datetime) -> None:
        state = ImportState.COMPLETED_WITH_ERRORS if self.failed else ImportState.COMPLETED
        self._end(state, now)

    def fail(self, reason: str, now: datetime) -> None:
        """Stop for good reason; what was imported before stays."""
        self.failure = reason
        self._end(ImportState.FAILED, now)

    def cancel(self, now: datetime) -> None:
        self._end(ImportState.CANCELLED, now)

    def _end(self, state: ImportState, now: datetime) -> None:
        self.state = IMPORT_STATES.check(self.state, state)
        self.finished_at = now
        self.record(
            ImportEnded(
                job_id=self.id,
                state=state,
                processed=self.processed,
                created=self.created,
                updated=self.updated,
                failed=self.failed,
            )
        )


class ImportJobs(Protocol):
    """Import jobs for change, locked until the transaction ends."""

    def add(self, job: ImportJob) -> None: ...

    async def lock(self, job_id: UUID) -> ImportJob | None: ...

    async def unfinished(self, source: str, store_id: UUID) -> ImportJob | None:
        """Give the newest import of that source into that store that has not come to its end."""
        ...

    async def keep_errors(self, job: ImportJob, errors: Sequence[RowError]) -> None: ...

    async def forget_seen(self, job: ImportJob) -> None: ...


class ProductLoader(Protocol):
    """Puts many rows into the catalogue and on the shelves at once, in the transaction at hand."""

    async def load(self, job: ImportJob, rows: Sequence[ImportRow], work: Work) -> Outcome: ...


class ImportReads(Protocol):
    """Import jobs to look at."""

    async def jobs(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def list_jobs(self, page: PageRequest, store_ids: Collection[UUID] | None = None) -> Page[Any]:
        """List the jobs of some stores, or of all, the newest first."""
        ...

    async def errors(self, job_ids: Sequence[UUID], page: PageRequest) -> Sequence[Page[Any]]: ...


@dataclass(frozen=True, kw_only=True)
class StartImport:
    """Import products from a file that was uploaded (or lies on this machine) into a store."""

    source: str
    store_id: UUID
    mapping: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LoadChunk:
    """Some rows of a file, up to and with `last_line`, and what is wrong with others among them."""

    job_id: UUID
    rows: Sequence[ImportRow]
    errors: Sequence[RowError]
    last_line: int


@dataclass(frozen=True, kw_only=True)
class EndImport:
    """The file was read to its end, or cannot be (with the reason)."""

    job_id: UUID
    failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class CancelImport:
    """Stop an import; what was imported stays."""

    id: UUID


async def begin_import(job_id: UUID, work: Work, jobs: ImportJobs) -> ImportJob:
    job = await _job(job_id, jobs)
    job.start(work.now)
    return job


async def load_chunk(command: LoadChunk, work: Work, jobs: ImportJobs, loader: ProductLoader) -> ImportJob:
    """Keep a chunk and how far the job is, together: whatever happens, no row is counted twice or forgotten."""
    job = await _job(command.job_id, jobs)
    if job.is_over or command.last_line <= job.last_line:
        return job
    loaded = await loader.load(job, command.rows, work)
    errors = [*command.errors, *loaded.errors]
    await jobs.keep_errors(job, errors)
    job.advance(command.last_line, replace(loaded, errors=errors))
    return job


async def end_import(command: EndImport, work: Work, jobs: ImportJobs) -> ImportJob:
    job = await _job(command.job_id, jobs)
    if not job.is_over:
        if command.failure is None:
            job.finish(work.now)
            await jobs.forget_seen(job)
        else:
            job.fail(command.failure, work.now)
    return job


async def cancel_import(command: CancelImport, work: Work, jobs: ImportJobs) -> ImportJob:
    job = await _job(command.id, jobs)
    if not work.actor.works_at(job.store_id):
        raise NotFound(kind="ImportJob", id=str(command.id))
    job.cancel(work.now)
    await jobs.forget_seen(job)
    return job


async def _job(job_id: UUID, jobs: ImportJobs) -> ImportJob:
    job = await jobs.lock(job_id)
    if job is None:
        raise NotFound(kind="ImportJob", id=str(job_id))
    return job
