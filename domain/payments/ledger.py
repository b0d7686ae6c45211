"""The double-entry ledger: where every cent came from and where it is; nothing in it is ever changed or taken away."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from domain.kernel import DomainError, uuid7
from domain.money import Money

MAX_ENTRIES = 1000


@dataclass(eq=False)
class UnbalancedPosting(DomainError):
    """Debits and credits of a posting differ, or it has too few entries to move anything."""

    kind: str
    reference: str
    template = "The posting {kind} {reference} does not balance."


@dataclass(eq=False)
class PostingDiffers(DomainError):
    """A posting of the same kind and reference was made before, with other entries."""

    kind: str
    reference: str
    template = "The posting {kind} {reference} was made before with other amounts."


class AccountKind(StrEnum):
    """What an account is for; the per-seller ones have an owner."""

    BUYER_CLEARING = "buyer_clearing"
    ESCROW = "escrow"
    SELLER_PAYABLE = "seller_payable"
    PLATFORM_FEES = "platform_fees"
    TAX_PAYABLE = "tax_payable"
    REFUNDS = "refunds"
    PROVIDER_FEES = "provider_fees"
    PAYOUT_CLEARING = "payout_clearing"
    DISPUTES = "disputes"


OWNED = frozenset({AccountKind.ESCROW, AccountKind.SELLER_PAYABLE})


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `owner` is the seller of an account that sellers have."""

    kind: AccountKind
    owner: UUID | None = None

    def __post_init__(self) -> None:
        if (self.owner is not None) != (self.kind in OWNED):
            raise ValueError(f"the account {self.kind} {'needs an' if self.kind in OWNED else 'has no'} owner")

    def __str__(self) -> str:
        return self.kind if self.owner is None else f"{self.kind}:{self.owner}"


BUYER_CLEARING = Account(AccountKind.BUYER_CLEARING)
PLATFORM_FEES = Account(AccountKind.PLATFORM_FEES)
TAX_PAYABLE = Account(AccountKind.TAX_PAYABLE)
REFUNDS = Account(AccountKind.REFUNDS)
PROVIDER_FEES = Account(AccountKind.PROVIDER_FEES)
PAYOUT_CLEARING = Account(AccountKind.PAYOUT_CLEARING)
DISPUTES = Account(AccountKind.DISPUTES)


def escrow_of(seller_id: UUID) -> Account:
    """Give the account of what is held for a seller until delivery."""
    return Account(AccountKind.ESCROW, seller_id)


def payable_to(seller_id: UUID) -> Account:
    """Give the account of what a seller has earned and was not paid yet."""
    return Account(AccountKind.SELLER_PAYABLE, seller_id)


class PostingKind(StrEnum):
    """What happened; one kind and reference is posted once."""

    CAPTURE = "capture"
    RELEASE = "release"
    REFUND = "refund"
    REFUND_SETTLED = "refund_settled"
    REFUND_FAILED = "refund_failed"
    REFUND_RETURNED = "refund_returned"
    PAYOUT = "payout"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_CANCELLED = "payout_cancelled"
    DISPUTE = "dispute"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a posting, in minor units: above zero a debit, below zero a credit."""

    account: Account
    amount_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Posting:
    """One movement of money; its entries sum to zero in each currency.

    Raises: UnbalancedPosting.
    """

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    kind: PostingKind
    reference: str
    entries: tuple[Entry, ...]
    at: datetime
    order_id: UUID | None = None
    payment_id: UUID | None = None
    memo: str | None = None

    def __post_init__(self) -> None:
        sums: dict[str, int] = defaultdict(int)
        for entry in self.entries:
            sums[entry.currency] += entry.amount_minor
        if (
            not 2 <= len(self.entries) <= MAX_ENTRIES
            or any(sums.values())
            or not all(e.amount_minor for e in self.entries)
        ):
            raise UnbalancedPosting(kind=self.kind, reference=self.reference)


class Draft:
    """Entries as they come together: what concerns one account becomes one entry, and nothing is left of a zero."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._sums: dict[Account, int] = defaultdict(int)

    def debit(self, account: Account, amount_minor: int) -> Self:
        self._sums[account] += amount_minor
        return self

    def credit(self, account: Account, amount_minor: int) -> Self:
        self._sums[account] -= amount_minor
        return self

    def entries(self) -> tuple[Entry, ...]:
        """Give the entries, in the order in which their accounts were first named."""
        return tuple(Entry(account, amount, self._currency) for account, amount in self._sums.items() if amount)


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on an account; what is owed to somebody stands there as a credit, below zero."""

    account: Account
    debit: Money

    @property
    def credit(self) -> Money:
        return -self.debit


class Ledger(Protocol):
    """The ledger, within the transaction at hand."""

    async def post(self, *postings: Posting) -> None:
        """Write postings in one statement; one that was written before, alike, is passed over.

        Raises: PostingDiffers.
        """
        ...

    async def balances(self, accounts: Sequence[Account], currency: str) -> list[Balance]:
        """Give what stands on accounts, in their order, in one statement; an account without entries has zero."""
        ...
