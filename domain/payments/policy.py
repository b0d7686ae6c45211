"""What a tenant has settled about money: commission, payouts and the fraud thresholds."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import UNCHANGED, Aggregate, Event, InvalidInput, Unchanged, Work, event

MAX_DELAY_DAYS = 3
MAX_TRANSFER_DAYS = 60


class PayoutSchedule(StrEnum):
    """When earnings are paid out."""

    DAILY = "daily"
    MANUAL = "manual"


@event("payments.policy_changed")
@dataclass(frozen=True, kw_only=True)
class PaymentPolicyChanged(Event):
    commission_rate: Decimal
    payout_minimum_minor: int
    payout_schedule: PayoutSchedule
    payout_delay_days: int
    transfer_days: int
    review_score: int
    reject_score: int


@event("payments.provider_configured")
@dataclass(frozen=True, kw_only=True)
class ProviderConfigured(Event):
    provider: str
    is_active: bool


@event("payments.own_account_taken")
@dataclass(frozen=True, kw_only=True)
class OwnAccountTaken(Event):
    provider: str


@dataclass(frozen=True, kw_only=True)
class UpdatePayoutPolicy:
    """Change what is settled about money; `commissionRate` is a share of 1, delays are business days.

    `transferDays` is how many days a buyer has for a bank transfer before the order is cancelled.
    """

    commission_rate: Decimal | Unchanged = UNCHANGED
    payout_minimum_minor: int | Unchanged = UNCHANGED
    payout_schedule: PayoutSchedule | Unchanged = UNCHANGED
    payout_delay_days: int | Unchanged = UNCHANGED
    transfer_days: int | Unchanged = UNCHANGED
    review_score: int | Unchanged = UNCHANGED
    reject_score: int | Unchanged = UNCHANGED
    expected_version: int | None = None


_RANGES = {
    "commission_rate": (Decimal(0), Decimal("0.9")),
    "payout_minimum_minor": (1, 100_000_000),
    "payout_delay_days": (1, MAX_DELAY_DAYS),
    "transfer_days": (1, MAX_TRANSFER_DAYS),
    "review_score": (1, 100),
    "reject_score": (1, 101),
}


@dataclass(eq=False, kw_only=True)
class PaymentPolicy(Aggregate):
    """One tenant's rules; without a row of its own a tenant has these defaults.

    Source: policy parameters `commission`, `payout_minimum`, `payout_schedule` and `transfer_days`.
    """

    commission_rate: Decimal = field(default=Decimal("0.10"))
    payout_minimum_minor: int = 2000
    payout_schedule: PayoutSchedule = PayoutSchedule.DAILY
    payout_delay_days: int = 1
    transfer_days: int = 7
    review_score: int = 50
    reject_score: int = 90
    inactive_providers: tuple[str, ...] = ()
    own_accounts: tuple[str, ...] = ()

    def change(self, command: UpdatePayoutPolicy) -> None:
        """Settle something anew; what was sold before keeps the commission that it was sold under.

        Raises: InvalidInput, ConcurrentModification.
        """
        self.expect_version(command.expected_version)
        names = (*_RANGES, "payout_schedule")
        wanted = {name: getattr(command, name) for name in names if not isinstance(getattr(command, name), Unchanged)}
        for name, (lowest, highest) in _RANGES.items():
            if name in wanted and (wanted[name] is None or not lowest <= wanted[name] <= highest):
                raise InvalidInput(field=name, reason=f"it must lie between {lowest} and {highest}")
        for name, value in wanted.items():
            setattr(self, name, value)
        self.record(PaymentPolicyChanged(**{name: getattr(self, name) for name in names}))

    def configure(self, provider: str, *, is_active: bool) -> None:
        """Take a provider into use, or out of it; what it was asked before it still brings to an end."""
        others = tuple(each for each in self.inactive_providers if each != provider)
        self.inactive_providers = others if is_active else (*others, provider)
        self.record(ProviderConfigured(provider=provider, is_active=is_active))

    def use_own_account(self, provider: str) -> None:
        """Have buyers charged through the tenant's own account with a provider from now on."""
        if provider not in self.own_accounts:
            self.own_accounts = (*self.own_accounts, provider)
            self.record(OwnAccountTaken(provider=provider))


class Policies(Protocol):
    """The tenant's policy; one that was never changed is made of the defaults."""

    async def current(self, tenant_id: UUID) -> PaymentPolicy: ...

    async def lock_or_create(self, tenant_id: UUID) -> PaymentPolicy: ...


async def update_payout_policy(command: UpdatePayoutPolicy, work: Work, policies: Policies) -> PaymentPolicy:
    policy = await policies.lock_or_create(work.tenant_id)
    policy.change(command)
    return policy
