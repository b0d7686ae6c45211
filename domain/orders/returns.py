"""Units that come back: asked for, accepted or rejected, and what they are worth."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.kernel import DomainError, Event, InvalidInput, InvalidStateTransition, NotFound, uuid7
from domain.orders.drafts import OrderLine
from domain.orders.events import OrderReturned, ReturnLine, ReturnRejected, ReturnRequested

RETURN_WINDOW = timedelta(days=14)
MAX_TEXT = 2_000


@dataclass(eq=False)
class ReturnWindowClosed(DomainError):
    """The time for giving things back is over."""

    closed_at: datetime
    template = "Returns were possible until {closed_at:%Y-%m-%d %H:%M} UTC."


@dataclass(eq=False)
class NotReturnable(DomainError):
    """More units were to come back than there are left."""

    sku: str
    requested: int
    returnable: int
    template = "Only {returnable} of {sku} can be returned; {requested} were to be."


class ReturnState(StrEnum):
    """Where a return stands."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class Return:
    """Units that a buyer wants to give back; `refund_minor` is what they are worth once they are accepted."""

    id: UUID = field(default_factory=uuid7)
    lines: tuple[ReturnLine, ...]
    reason: str
    note: str | None
    state: ReturnState = ReturnState.REQUESTED
    refund_minor: int = 0
    requested_at: datetime
    decided_at: datetime | None = None


@dataclass(frozen=True)
class Returns:
    """The returns of one order."""

    order_lines: Sequence[OrderLine]
    known: tuple[Return, ...]

    def asked(self, lines: Collection[ReturnLine], reason: str, note: str | None, now: datetime) -> Return:
        """Make a request of units that nobody asked to return before.

        Raises: InvalidInput, NotFound, NotReturnable.
        """
        if not reason.strip() or len(reason) > MAX_TEXT or len(note or "") > MAX_TEXT:
            raise InvalidInput(field="reason", reason=f"it has between 1 and {MAX_TEXT:,} characters, as has a note")
        wanted = _distinct(lines)
        for each in wanted:
            line = self._line(each.line_id)
            returnable = line.quantity - self._units(each.line_id, {ReturnState.REQUESTED, ReturnState.ACCEPTED})
            _expect_at_most(line, each.quantity, returnable)
        return Return(lines=wanted, reason=reason, note=note, requested_at=now)

    def accepted(self, return_id: UUID, lines: Collection[ReturnLine] | None) -> tuple[ReturnLine, ...]:
        """Give the units of an open return that are accepted: all that were asked for, or those named.

        Raises: NotFound, InvalidStateTransition, InvalidInput, NotReturnable.
        """
        asked = {each.line_id: each.quantity for each in self.open(return_id).lines}
        if lines is None:
            return tuple(ReturnLine(line_id=line_id, quantity=units) for line_id, units in asked.items())
        accepted = _distinct(lines)
        for each in accepted:
            _expect_at_most(self._line(each.line_id), each.quantity, asked.get(each.line_id, 0))
        return accepted

    def worth(self, lines: Collection[ReturnLine]) -> int:
        """Give what units cost, in minor units: all units of a line together cost its total, however they come back."""
        worth = 0
        for each in lines:
            line, before = self._line(each.line_id), self.returned(each.line_id)
            worth += line.share_of(before + each.quantity) - line.share_of(before)
        return worth

    def are_complete_with(self, lines: Collection[ReturnLine]) -> bool:
        """Say whether everything that was ordered will have come back with these units."""
        coming = sum(each.quantity for each in lines)
        back = sum(self.returned(line.id) for line in self.order_lines)
        return back + coming == sum(line.quantity for line in self.order_lines)

    def returned(self, line_id: UUID) -> int:
        return self._units(line_id, {ReturnState.ACCEPTED})

    def open(self, return_id: UUID) -> Return:
        """Give a return that nobody has decided on.

        Raises: NotFound, InvalidStateTransition.
        """
        found = next((each for each in self.known if each.id == return_id), None)
        if found is None:
            raise NotFound(kind="Return", id=str(return_id))
        if found.state is not ReturnState.REQUESTED:
            raise InvalidStateTransition(kind="Return", current=found.state, requested="decided")
        return found

    def after(self, fact: Event) -> tuple[Return, ...]:
        """Give the returns as an event leaves them."""
        match fact:
            case ReturnRequested():
                asked = Return(
                    id=fact.return_id, lines=fact.lines, reason=fact.reason, note=fact.note, requested_at=fact.at
                )
                return (*self.known, asked)
            case ReturnRejected():
                return self._decided(fact.return_id, state=ReturnState.REJECTED, decided_at=fact.at)
            case OrderReturned():
                how = {"state": ReturnState.ACCEPTED, "lines": fact.lines, "refund_minor": fact.amount_minor}
                return self._decided(fact.return_id, decided_at=fact.at, **how)
        return self.known

    def _decided(self, return_id: UUID, **changes: object) -> tuple[Return, ...]:
        return tuple(
            replace(each, **changes) if each.id == return_id else each  # type: ignore[arg-type]
            for each in self.known
        )

    def _units(self, line_id: UUID, states: Collection[ReturnState]) -> int:
        counted = (each.lines for each in self.known if each.state in states)
        return sum(line.quantity for lines in counted for line in lines if line.line_id == line_id)

    def _line(self, line_id: UUID) -> OrderLine:
        for line in self.order_lines:
            if line.id == line_id:
                return line
        raise NotFound(kind="OrderLine", id=str(line_id))


def _distinct(lines: Collection[ReturnLine]) -> tuple[ReturnLine, ...]:
    if not lines or len({each.line_id for each in lines}) != len(lines) or any(each.quantity < 1 for each in lines):
        raise InvalidInput(field="lines", reason="name at least one line, each once, with one unit or more")
    return tuple(lines)


def _expect_at_most(line: OrderLine, requested: int, returnable: int) -> None:
    if requested > returnable:
        raise NotReturnable(sku=line.sku, requested=requested, returnable=returnable)
