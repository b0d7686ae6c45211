"""Payment providers: what is asked of them, what they answer, and the ports that adapters implement.

Every request carries a key. A provider does what is asked once per key and gives the same answer again, so whoever is
left without an answer asks again with the same key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import DomainError, InvalidInput, Unavailable
from domain.money import Money

MAX_KEY_LETTERS = 255


@dataclass(eq=False)
class ProviderUnreachable(Unavailable):
    """The provider gave no answer that can be relied on.

    With `outcome_unknown` this attempt may have been carried out: repeat it with the same key, never with another one
    and never at another provider. Without it, nothing arrived this time; an earlier attempt may have.
    """

    outcome_unknown: bool = True
    template = "The payment provider {part} cannot be reached at the moment."


@dataclass(eq=False)
class ProviderRefused(DomainError):
    """The provider will not do this, however often it is asked: no money has moved by this request."""

    provider: str
    reason: str
    template = "The payment provider {provider} refused: {reason}."


@dataclass(eq=False)
class UnsupportedPaymentMethod(DomainError):
    """No provider that is set up takes this way of paying."""

    method: str
    template = "Paying by {method} is not possible here."


@dataclass(eq=False)
class WebhookRejected(DomainError):
    """A message that does not prove to come from the provider, or cannot be read."""

    provider: str
    reason: str
    template = "The webhook of {provider} was rejected: {reason}."


class ChargeStatus(StrEnum):
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    PENDING = "pending"
    VOIDED = "voided"


class RefundStatus(StrEnum):
    COMPLETED = "completed"
    PENDING = "pending"
    FAILED = "failed"


class TransferStatus(StrEnum):
    PAID = "paid"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ChargeRequest:
    """A payment to take from a buyer.

    `method_token` stands for the card or account at the provider; card numbers never come here. `provider` is the name
    that `ProviderDirectory.choose` gave: kept with the payment before the first attempt, so that no key is ever used
    at two providers; so it is with `account`, the tenant whose own account is charged. The ids travel with the charge and come back in webhooks.

    Raises: InvalidInput for an amount that is not positive, or a key that a provider could not take.
    """

    key: str
    amount: Money
    method_token: str
    tenant_id: UUID
    order_id: UUID
    payment_id: UUID
    capture: bool = True
    description: str = ""
    method: str = "card"
    provider: str | None = None
    account: UUID | None = None

    def __post_init__(self) -> None:
        require_key(self.key)
        require_positive(self.amount)


@dataclass(frozen=True, kw_only=True)
class ChargeOutcome:
    """What became of a charge.

    `amount` is what was captured, or authorised, or asked for where neither has happened. `fee` is None while the
    provider does not know it, or takes it in another currency. `reason` is the provider's word for a refusal or a wait;
    `next_action` is what the buyer's client needs to go on, such as a client secret.
    """

    provider: str
    status: ChargeStatus
    reference: str
    amount: Money
    fee: Money | None = None
    reason: str | None = None
    last4: str | None = None
    brand: str | None = None
    next_action: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefundOutcome:
    """What became of money that goes back.

    `reference` is the refund's own; `key` is the one that it was asked for with, None where somebody made it at the
    provider's own desk.
    """

    provider: str
    status: RefundStatus
    reference: str
    amount: Money
    reason: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class TransferOutcome:
    """What became of money that goes to a seller; `key` is the one that it was asked for with."""

    provider: str
    status: TransferStatus
    reference: str
    amount: Money
    reason: str | None = None
    key: str | None = None


class PaymentProvider(Protocol):
    """Moves money, once per key; asked again with the same key, it tells how the charge is now.

    `account` is the tenant through whose own account a charge was made; without one it is the installation's.
    Raises: ProviderUnreachable when the outcome must be asked for again; ProviderRefused when it never will happen.
    A declined card is an outcome, not an error.
    """

    async def charge(self, request: ChargeRequest) -> ChargeOutcome: ...

    async def capture(
        self, reference: str, amount: Money, key: str, *, account: UUID | None = None
    ) -> ChargeOutcome: ...

    async def void(self, reference: str, key: str, *, account: UUID | None = None) -> ChargeOutcome:
        """Let go what was authorised, and give the charge as it is afterwards.

        Captured or pending says that it was too late: that money comes, and has to be given back.
        """
        ...

    async def refund(
        self, reference: str, amount: Money, key: str, *, account: UUID | None = None
    ) -> RefundOutcome: ...

    async def transfer(
        self,
        destination: str,
        amount: Money,
        key: str,
        *,
        tenant_id: UUID | None = None,
        account: UUID | None = None,
    ) -> TransferOutcome: ...

    async def find(self, key: str, *, account: UUID | None = None) -> ChargeOutcome | None:
        """Give the charge made under a key as it is now; None when none has arrived so far."""
        ...


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, kw_only=True)
class ProviderHealth:
    """How a provider did lately, as one process saw it.

    `success_rate` runs from 0 to 1 and, like the percentiles of how long an answer takes, is None where nothing was asked
    in the window.
    """

    provider: str
    state: CircuitState
    window_seconds: int
    attempts: int
    failures: int
    success_rate: float | None
    p50_milliseconds: float | None
    p95_milliseconds: float | None
    p99_milliseconds: float | None
    last_success_at: datetime | None
    last_failure_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ProviderOffer:
    """A provider that this installation has, and the kinds of methods that one can pay by there."""

    provider: str
    methods: tuple[str, ...]


class ProviderDirectory(Protocol):
    """Which providers there are, and how they are."""

    def choose(self, method: str, method_token: str, without: Collection[str] = ()) -> str:
        """Name the provider to charge: the first that takes this and works, and is none of those to do without.

        Raises: UnsupportedPaymentMethod.
        """
        ...

    def offers(self) -> Sequence[ProviderOffer]: ...

    def health(self) -> Sequence[ProviderHealth]: ...


class ProviderFact(StrEnum):
    """What a webhook can tell; the values sort by context, not by time."""

    CHARGE_AUTHORIZED = "charge.authorized"
    CHARGE_CAPTURED = "charge.captured"
    CHARGE_DECLINED = "charge.declined"
    CHARGE_PENDING = "charge.pending"
    CHARGE_REFUNDED = "charge.refunded"
    CHARGE_VOIDED = "charge.voided"
    REFUND_COMPLETED = "refund.completed"
    REFUND_FAILED = "refund.failed"
    REFUND_PENDING = "refund.pending"
    TRANSFER_FAILED = "transfer.failed"
    TRANSFER_PAID = "transfer.paid"
    DISPUTE_LOST = "dispute.lost"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"


@dataclass(frozen=True, kw_only=True)
class ProviderEvent:
    """A fact that a provider told by a signed webhook; such messages come late, twice and in any order.

    `event_id` is unique within the provider. `reference` is that of the charge, or of the transfer where the fact is
    about one. One of `charge`, `refund` and `transfer` says more; a dispute has `dispute_reference`. `amount` is that
    of the fact: of `CHARGE_REFUNDED` all that was given back so far. `account` is the tenant whose own secret has signed it:
    its word counts for what went through its own account, and for nothing else.
    """

    provider: str
    event_id: str
    fact: ProviderFact
    tenant_id: UUID
    occurred_at: datetime
    reference: str
    amount: Money
    order_id: UUID | None = None
    payment_id: UUID | None = None
    charge: ChargeOutcome | None = None
    refund: RefundOutcome | None = None
    transfer: TransferOutcome | None = None
    dispute_reference: str | None = None
    reason: str | None = None
    account: UUID | None = None


def require_key(key: str) -> None:
    """Refuse a key that not every provider could take: it travels in an HTTP header.

    Raises: InvalidInput.
    """
    if not 0 < len(key) <= MAX_KEY_LETTERS or not all("!" <= letter <= "~" for letter in key):
        raise InvalidInput(field="key", reason=f"1 to {MAX_KEY_LETTERS} visible ASCII characters")


def require_positive(amount: Money) -> None:
    """Refuse an amount that cannot be moved.

    Raises: InvalidInput.
    """
    if amount.amount_minor <= 0:
        raise InvalidInput(field="amount", reason="only a positive amount can be moved")
