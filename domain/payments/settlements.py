"""Settlements: what a provider owes us for one day, less refunds, payouts and its fees, and with what came back."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Transitions, Work, event
from domain.money import Money
from domain.payments.reconciliation import Reconciliations
from domain.payments.statements import Movement, MovementKind


class SettlementState(StrEnum):
    """Whether the provider has settled the day."""

    CREATED = "created"
    PROCESSED = "processed"


SETTLEMENT_STATES = Transitions(
    "Settlement",
    SettlementState.CREATED,
    {SettlementState.CREATED: {SettlementState.PROCESSED}, SettlementState.PROCESSED: ()},
)


@event("settlement.created")
@dataclass(frozen=True, kw_only=True)
class SettlementCreated(Event):
    provider: str
    day: date
    net_minor: int
    currency: str


@event("settlement.processed")
@dataclass(frozen=True, kw_only=True)
class SettlementProcessed(Event):
    provider: str
    day: date
    net_minor: int
    currency: str


@dataclass(eq=False, kw_only=True)
class Settlement(Aggregate):
    """One provider's day (of UTC) in one currency; amounts in minor units."""

    provider: str
    day: date
    currency: str
    gross_minor: int = 0
    refunds_minor: int = 0
    returned_minor: int = 0
    payouts_minor: int = 0
    fees_minor: int = 0
    movements: int = 0
    state: SettlementState = SettlementState.CREATED
    settled_at: datetime | None = None

    @property
    def net_minor(self) -> int:
        return self.gross_minor + self.returned_minor - self.refunds_minor - self.payouts_minor - self.fees_minor

    @property
    def net(self) -> Money:
        return Money(self.net_minor, self.currency)

    def create(self) -> None:
        """Note that the day is counted."""
        self.record(
            SettlementCreated(provider=self.provider, day=self.day, net_minor=self.net_minor, currency=self.currency)
        )

    def process(self, work: Work) -> None:
        """Note that the provider has settled it.

        Raises: InvalidStateTransition.
        """
        self.state = SETTLEMENT_STATES.check(self.state, SettlementState.PROCESSED)
        self.settled_at = work.now
        self.record(
            SettlementProcessed(provider=self.provider, day=self.day, net_minor=self.net_minor, currency=self.currency)
        )


class Settlements(Protocol):
    """Settlements for change."""

    def add(self, *settlements: Settlement) -> None: ...

    async def of_day(self, provider: str, day: date) -> Sequence[Settlement]: ...

    async def lock(self, settlement_id: UUID) -> Settlement | None: ...


@dataclass(frozen=True, kw_only=True)
class CreateSettlement:
    """Count a provider's day, which must be over."""

    provider: str
    day: date


@dataclass(frozen=True, kw_only=True)
class ProcessSettlement:
    """Say that the provider has settled a day."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class SettledDay:
    """A provider's day: one settlement for each currency."""

    provider: str
    day: date
    settlements: tuple[Settlement, ...]


def settle(movements: Sequence[Movement], provider: str, day: date, tenant_id: UUID) -> list[Settlement]:
    """Sum a day's movements, by currency."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    names = {
        MovementKind.CHARGE: "gross_minor",
        MovementKind.REFUND: "refunds_minor",
        MovementKind.REFUND_RETURNED: "returned_minor",
        MovementKind.PAYOUT: "payouts_minor",
    }
    for each in movements:
        totals = sums[each.amount.currency]
        totals[names[each.kind]] += each.amount.amount_minor
        totals["fees_minor"] += each.fee.amount_minor if each.fee else 0
        totals["movements"] += 1
    return [
        Settlement(
            tenant_id=tenant_id,
            provider=provider,
            day=day,
            currency=currency,
            gross_minor=sums[currency]["gross_minor"],
            refunds_minor=sums[currency]["refunds_minor"],
            returned_minor=sums[currency]["returned_minor"],
            payouts_minor=sums[currency]["payouts_minor"],
            fees_minor=sums[currency]["fees_minor"],
            movements=sums[currency]["movements"],
        )
        for currency in sorted(sums)
    ]


async def create_settlement(
    command: CreateSettlement, work: Work, settlements: Settlements, reconciliations: Reconciliations
) -> SettledDay:
    """Count a day; one that was counted before is given as it is.

    Raises: InvalidInput for a day that is not over.
    """
    start = datetime.combine(command.day, time(), tzinfo=UTC)
    end = start + timedelta(days=1)
    if end > work.now:
        raise InvalidInput(field="day", reason="it is not over")
    found = list(await settlements.of_day(command.provider, command.day))
    if not found:
        movements = await reconciliations.booked(command.provider, start, end)
        found = settle(movements, command.provider, command.day, work.tenant_id)
        for each in found:
            each.create()
        settlements.add(*found)
    return SettledDay(provider=command.provider, day=command.day, settlements=tuple(found))


async def process_settlement(command: ProcessSettlement, work: Work, settlements: Settlements) -> Settlement:
    """Note that the provider has settled a day.

    Raises: NotFound, InvalidStateTransition.
    """
    settlement = await settlements.lock(command.id)
    if settlement is None:
        raise NotFound(kind="Settlement", id=str(command.id))
    settlement.process(work)
    return settlement
