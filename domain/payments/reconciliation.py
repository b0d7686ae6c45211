"""Reconciliation: what a provider says moved against what our books say moved; every difference is listed."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Transitions, Work, event
from domain.money import Money
from domain.payments.statements import Movement, MovementKind, parse_statement


class DiscrepancyKind(StrEnum):
    """How the two sides differ."""

    UNKNOWN_TO_US = "unknown_to_us"
    MISSING_AT_PROVIDER = "missing_at_provider"
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    FEE_DIFFERS = "fee_differs"
    DUPLICATE = "duplicate"


class DiscrepancyState(StrEnum):
    """Whether somebody has explained a difference."""

    OPEN = "open"
    RESOLVED = "resolved"


_STATES = Transitions(
    "Discrepancy",
    DiscrepancyState.OPEN,
    {DiscrepancyState.OPEN: {DiscrepancyState.RESOLVED}, DiscrepancyState.RESOLVED: ()},
)


@event("reconciliation.discrepancy_found")
@dataclass(frozen=True, kw_only=True)
class DiscrepanciesFound(Event):
    provider: str
    count: int
    since: datetime
    until: datetime


@event("reconciliation.completed")
@dataclass(frozen=True, kw_only=True)
class ReconciliationCompleted(Event):
    provider: str
    matched: int
    discrepancies: int


@event("reconciliation.discrepancy_resolved")
@dataclass(frozen=True, kw_only=True)
class DiscrepancyResolved(Event):
    run_id: UUID
    reference: str
    note: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `ours` and `theirs` are missing where a side knows nothing."""

    kind: DiscrepancyKind
    movement: MovementKind
    reference: str
    ours: Money | None
    theirs: Money | None


def compare(ours: Sequence[Movement], theirs: Sequence[Movement]) -> tuple[int, list[Difference]]:
    """Match the two sides by kind and reference; gives how many agree, and every difference in the order of references.

    The order of lines plays no part, and a line that comes twice is matched once.
    """
    booked = {(each.kind, each.reference): each for each in ours}
    stated: dict[tuple[MovementKind, str], list[Movement]] = defaultdict(list)
    for each in theirs:
        stated[each.kind, each.reference].append(each)
    matched, found = 0, []
    for key in sorted(booked.keys() | stated.keys(), key=lambda key: (key[1], key[0])):
        differences = list(_differences(booked.get(key), stated.get(key, [])))
        matched += not differences
        found += differences
    return matched, found


def _differences(ours: Movement | None, theirs: Sequence[Movement]) -> Iterator[Difference]:
    kinds = DiscrepancyKind
    if not theirs:
        assert ours is not None  # noqa: S101 — the key came from one of the two sides.
        yield Difference(kinds.MISSING_AT_PROVIDER, ours.kind, ours.reference, ours.amount, None)
        return
    first = theirs[0]
    if ours is None:
        yield Difference(kinds.UNKNOWN_TO_US, first.kind, first.reference, None, first.amount)
    elif ours.amount.currency != first.amount.currency:
        yield Difference(kinds.CURRENCY_DIFFERS, first.kind, first.reference, ours.amount, first.amount)
    elif ours.amount != first.amount:
        yield Difference(kinds.AMOUNT_DIFFERS, first.kind, first.reference, ours.amount, first.amount)
    elif first.fee is not None and ours.fee != first.fee:
        yield Difference(kinds.FEE_DIFFERS, first.kind, first.reference, ours.fee, first.fee)
    for again in theirs[1:]:
        yield Difference(kinds.DUPLICATE, again.kind, again.reference, None, again.amount)


@dataclass(eq=False, kw_only=True)
class Discrepancy(Aggregate):
    """One difference that a run has found, until somebody has explained it; amounts in minor units."""

    run_id: UUID
    kind: DiscrepancyKind
    movement: MovementKind
    reference: str
    ours_minor: int | None
    ours_currency: str | None
    theirs_minor: int | None
    theirs_currency: str | None
    state: DiscrepancyState = DiscrepancyState.OPEN
    note: str | None = None
    resolved_by: UUID | None = None
    resolved_at: datetime | None = None

    @property
    def ours(self) -> Money | None:
        return (
            Money(self.ours_minor, self.ours_currency) if self.ours_minor is not None and self.ours_currency else None
        )

    @property
    def theirs(self) -> Money | None:
        known = self.theirs_minor is not None and self.theirs_currency
        return Money(self.theirs_minor, self.theirs_currency) if known else None  # type: ignore[arg-type]

    def resolve(self, note: str, work: Work) -> None:
        """Explain it.

        Raises: InvalidStateTransition, InvalidInput.
        """
        if not note.strip():
            raise InvalidInput(field="note", reason="say what explains the difference")
        self.state = _STATES.check(self.state, DiscrepancyState.RESOLVED)
        self.note = note.strip()
        self.resolved_by = work.actor.user_id
        self.resolved_at = work.now
        self.record(DiscrepancyResolved(run_id=self.run_id, reference=self.reference, note=self.note))


@dataclass(eq=False, kw_only=True)
class ReconciliationRun(Aggregate):
    """One statement, compared once; `digest` names the file by its content."""

    provider: str
    since: datetime
    until: datetime
    digest: str
    lines: int
    matched: int
    discrepancy_count: int
    run_by: UUID | None = None
    run_at: datetime

    def complete(self) -> None:
        """Note what came of it."""
        self.record(
            ReconciliationCompleted(provider=self.provider, matched=self.matched, discrepancies=self.discrepancy_count)
        )
        if self.discrepancy_count:
            self.record(
                DiscrepanciesFound(
                    provider=self.provider, count=self.discrepancy_count, since=self.since, until=self.until
                )
            )


class Reconciliations(Protocol):
    """Runs and their differences, for change; `booked` reads what our books say of a provider in one statement."""

    async def booked(self, provider: str, since: datetime, until: datetime) -> list[Movement]: ...

    async def known(self, provider: str, references: Sequence[str]) -> list[Movement]:
        """Give what the books say of these references at whatever time it happened."""
        ...

    async def by_digest(self, provider: str, digest: str) -> ReconciliationRun | None: ...

    def add(self, run: ReconciliationRun, discrepancies: Sequence[Discrepancy]) -> None: ...

    async def lock(self, discrepancy_id: UUID) -> Discrepancy | None: ...


@dataclass(frozen=True, kw_only=True)
class RunReconciliation:
    """Compare a provider's statement (CSV) for a time with our books; `until` is exclusive."""

    provider: str
    since: datetime
    until: datetime
    statement: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ResolveDiscrepancy:
    """Explain a difference."""

    id: UUID
    note: str


async def run_reconciliation(
    command: RunReconciliation, work: Work, reconciliations: Reconciliations
) -> ReconciliationRun:
    """Compare a statement with the books; the same file again gives the run that it gave before.

    What a provider books on another day than we do is looked up by its reference, and is no difference.
    Raises: InvalidInput.
    """
    if command.since >= command.until:
        raise InvalidInput(field="until", reason="it must lie after `since`")
    digest = hashlib.sha256(f"{command.since}|{command.until}|{command.statement}".encode()).hexdigest()
    known = await reconciliations.by_digest(command.provider, digest)
    if known is not None:
        return known
    theirs = parse_statement(command.statement)
    ours = await reconciliations.booked(command.provider, command.since, command.until)
    booked = {(each.kind, each.reference) for each in ours}
    strangers = sorted({each.reference for each in theirs if (each.kind, each.reference) not in booked})
    if strangers:
        stated = {(each.kind, each.reference) for each in theirs}
        earlier = await reconciliations.known(command.provider, strangers)
        ours = [*ours, *(each for each in earlier if (each.kind, each.reference) in stated - booked)]
    matched, differences = compare(ours, theirs)
    run = ReconciliationRun(
        tenant_id=work.tenant_id,
        provider=command.provider,
        since=command.since,
        until=command.until,
        digest=digest,
        lines=len(theirs),
        matched=matched,
        discrepancy_count=len(differences),
        run_by=work.actor.user_id,
        run_at=work.now,
    )
    run.complete()
    reconciliations.add(run, [_discrepancy(run, each) for each in differences])
    return run


async def resolve_discrepancy(command: ResolveDiscrepancy, work: Work, reconciliations: Reconciliations) -> Discrepancy:
    """Explain a difference.

    Raises: NotFound, InvalidStateTransition, InvalidInput.
    """
    found = await reconciliations.lock(command.id)
    if found is None:
        raise NotFound(kind="Discrepancy", id=str(command.id))
    found.resolve(command.note, work)
    return found


def _discrepancy(run: ReconciliationRun, found: Difference) -> Discrepancy:
    ours, theirs = found.ours, found.theirs
    return Discrepancy(
        tenant_id=run.tenant_id,
        run_id=run.id,
        kind=found.kind,
        movement=found.movement,
        reference=found.reference,
        ours_minor=ours.amount_minor if ours else None,
        ours_currency=ours.currency if ours else None,
        theirs_minor=theirs.amount_minor if theirs else None,
        theirs_currency=theirs.currency if theirs else None,
    )
