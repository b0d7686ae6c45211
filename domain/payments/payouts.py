"""Payouts: what sellers have earned is set aside on its day, and sent to where they want it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, Transitions, Work, event
from domain.money import Money
from domain.payments.methods import refuse_card_number

MAX_ATTEMPTS = 5
HOME = "CA"
"""Where sellers rest who have not said where they are."""
_DESTINATION = re.compile(r"[A-Za-z0-9_\-.:|@]{1,200}")


class PayoutState(StrEnum):
    """Where a payout stands."""

    SCHEDULED = "scheduled"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = PayoutState
PAYOUT_STATES = Transitions(
    "Payout",
    _S.SCHEDULED,
    {
        _S.SCHEDULED: {_S.PROCESSING, _S.CANCELLED},
        _S.PROCESSING: {_S.PAID, _S.FAILED},
        _S.FAILED: {_S.SCHEDULED, _S.CANCELLED},
        _S.PAID: (),
        _S.CANCELLED: (),
    },
)


@dataclass(eq=False)
class PayoutTooSmall(DomainError):
    """Less is due to the seller than is paid out at once; amounts in minor units."""

    available_minor: int
    minimum_minor: int
    template = "{available_minor} is due; payouts begin at {minimum_minor}."


@dataclass(eq=False)
class NoPayoutAccount(DomainError):
    """The seller has not said where the money should go."""

    seller_id: str
    template = "Seller {seller_id} has no payout account."


@event("payout.scheduled")
@dataclass(frozen=True, kw_only=True)
class PayoutScheduled(Event):
    seller_id: UUID
    amount_minor: int
    currency: str
    scheduled_for: date


@event("payout.paid")
@dataclass(frozen=True, kw_only=True)
class PayoutPaid(Event):
    seller_id: UUID
    amount_minor: int
    currency: str
    reference: str


@event("payout.failed")
@dataclass(frozen=True, kw_only=True)
class PayoutFailed(Event):
    seller_id: UUID
    amount_minor: int
    currency: str
    failure: str
    attempts: int


@event("payments.payout_account_changed")
@dataclass(frozen=True, kw_only=True)
class PayoutAccountChanged(Event):
    seller_id: UUID
    currency: str
    provider: str


@dataclass(eq=False, kw_only=True)
class PayoutAccount(Aggregate):
    """Where one seller's earnings in one currency go; `destination` is the provider's name for it, such as `acct_1`.

    `place` is the province (CA-ON) or country (DE) on whose business days the seller is paid.

    Its lock is what keeps two payouts from taking the same money.
    """

    seller_id: UUID
    currency: str
    provider: str
    destination: str
    place: str = HOME
    is_active: bool = True

    def change(self, provider: str, destination: str, *, is_active: bool, place: str | None = None) -> None:
        """Say where the money goes from now on.

        Raises: InvalidInput, CardNumberRefused.
        """
        refuse_card_number("destination", destination)
        if not _DESTINATION.fullmatch(destination):
            raise InvalidInput(field="destination", reason="it is not an account of a payment provider")
        self.provider = provider
        self.destination = destination
        self.place = place or self.place
        self.is_active = is_active
        self.record(PayoutAccountChanged(seller_id=self.seller_id, currency=self.currency, provider=provider))


@dataclass(eq=False, kw_only=True)
class Payout(Aggregate):
    """One transfer to one seller; its amount is set aside in the ledger as long as it is neither paid nor cancelled.

    With `own_account` it comes from the tenant's own account with the provider, through which its buyers pay.
    """

    seller_id: UUID
    amount_minor: int
    currency: str
    provider: str
    own_account: bool = False
    destination: str
    place: str = HOME
    scheduled_for: date
    state: PayoutState = PayoutState.SCHEDULED
    attempts: int = 0
    reference: str | None = None
    fee_minor: int = 0
    failure: str | None = None
    requested_at: datetime
    paid_at: datetime | None = None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.currency)

    @property
    def account(self) -> UUID | None:
        """Whose account with the provider is asked: the tenant's own, or that of the installation (None)."""
        return self.tenant_id if self.own_account else None

    @property
    def transfer_key(self) -> str:
        """The key under which the provider is asked: the same until it has refused, so that nothing is sent twice."""
        return f"{self.id}:{self.attempts}"

    def schedule(self, day: date) -> None:
        """Set the day on which it is sent, also after a failure.

        Raises: InvalidStateTransition.
        """
        if self.state is not _S.SCHEDULED:
            self.state = PAYOUT_STATES.check(self.state, _S.SCHEDULED)
        self.scheduled_for = day
        self.record(
            PayoutScheduled(
                seller_id=self.seller_id, amount_minor=self.amount_minor, currency=self.currency, scheduled_for=day
            )
        )

    def begin(self) -> None:
        """Take it up; taken up again after a crash it keeps its key.

        Raises: InvalidStateTransition.
        """
        if self.state is not _S.PROCESSING:
            self.state = PAYOUT_STATES.check(self.state, _S.PROCESSING)
            self.attempts += 1

    def pay(self, reference: str, fee: Money | None, work: Work) -> bool:
        """Note that the provider has sent it; says whether that is news.

        Raises: InvalidStateTransition, InvalidInput.
        """
        if self.state is _S.PAID:
            return False
        if fee is not None and (fee.currency != self.currency or fee.amount_minor < 0):
            raise InvalidInput(field="fee", reason=f"it is not an amount in {self.currency}")
        self.state = PAYOUT_STATES.check(self.state, _S.PAID)
        self.reference = reference
        self.fee_minor = fee.amount_minor if fee else 0
        self.failure = None
        self.paid_at = work.now
        self.record(
            PayoutPaid(
                seller_id=self.seller_id, amount_minor=self.amount_minor, currency=self.currency, reference=reference
            )
        )
        return True

    def fail(self, failure: str) -> None:
        """Note that the provider refused to send it.

        Raises: InvalidStateTransition.
        """
        if self.state is _S.FAILED:
            return
        self.state = PAYOUT_STATES.check(self.state, _S.FAILED)
        self.failure = failure[:500]
        self.record(
            PayoutFailed(
                seller_id=self.seller_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                failure=self.failure,
                attempts=self.attempts,
            )
        )

    def cancel(self) -> bool:
        """Give it up: its money is due to the seller as before; says whether that is news.

        Raises: InvalidStateTransition.
        """
        if self.state is _S.CANCELLED:
            return False
        self.state = PAYOUT_STATES.check(self.state, _S.CANCELLED)
        return True


PayoutDay = Callable[[str, date, int], date]
"""Gives the day that comes so many business days of a place after a day."""


class PayoutAccounts(Protocol):
    """Payout accounts for change; what is given is locked until the transaction ends."""

    def add(self, account: PayoutAccount) -> None: ...

    async def of_seller(self, seller_id: UUID, currency: str) -> PayoutAccount | None: ...

    async def with_earnings(self, minimum_minor: int, limit: int) -> Sequence[PayoutAccount]:
        """Give active accounts whose sellers are owed the minimum, in the order of their ids; those in use are left out."""
        ...


class Payouts(Protocol):
    """Payouts for change; what `lock` and `due` give is locked until the transaction ends."""

    def add(self, *payouts: Payout) -> None: ...

    async def lock(self, payout_id: UUID) -> Payout | None: ...

    async def due(self, day: date, limit: int) -> Sequence[Payout]:
        """Give payouts to be sent by a day, the oldest first; those that somebody is sending are left out."""
        ...
