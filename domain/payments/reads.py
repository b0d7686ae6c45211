"""What can be read of payments, in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.paging import Page, PageRequest
from domain.payments.disputes import DisputeState
from domain.payments.ledger import Account
from domain.payments.payment import PaymentState
from domain.payments.payouts import PayoutState
from domain.payments.reconciliation import DiscrepancyState


@dataclass(frozen=True, kw_only=True)
class PaymentFilter:
    """Which payments are wanted."""

    state: PaymentState | None = None
    provider: str | None = None
    user_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class PaymentReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def by_order(self, order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def refunds(self, payment_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def returned(self, page: PageRequest) -> Page[Any]:
        """List the refunds that came back, the oldest first."""
        ...

    async def escrow(self, order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def payments(self, wanted: PaymentFilter, page: PageRequest) -> Page[Any]: ...

    async def disputes(self, state: DisputeState | None, page: PageRequest) -> Page[Any]: ...

    async def saved_methods(self, user_id: UUID) -> list[Any]: ...


class LedgerReads(Protocol):
    """The books."""

    async def balances(self) -> list[Any]:
        """Give what stands on every account and currency that has entries (the trial balance)."""
        ...

    async def of_accounts(self, accounts: Sequence[Account]) -> list[list[Any]]:
        """Give what stands on accounts, by currency."""
        ...

    async def postings(self, order_id: UUID | None, payment_id: UUID | None, page: PageRequest) -> Page[Any]: ...

    async def entries(self, posting_ids: Sequence[UUID]) -> list[list[Any]]: ...


class PayoutReads(Protocol):
    """Payouts, and the rules for them."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def payouts(self, seller_id: UUID | None, state: PayoutState | None, page: PageRequest) -> Page[Any]: ...

    async def accounts(self, seller_id: UUID) -> list[Any]: ...

    async def credentials(self) -> list[Any]:
        """Say for which providers the tenant has a secret, and since when; never what it is."""
        ...

    async def policy(self) -> Any | None: ...


class ReconciliationReads(Protocol):
    """Runs and what they found."""

    async def runs(self, provider: str | None, page: PageRequest) -> Page[Any]: ...

    async def discrepancies(
        self, run_id: UUID | None, state: DiscrepancyState | None, page: PageRequest
    ) -> Page[Any]: ...

    async def settlements(self, day: date | None, provider: str | None, page: PageRequest) -> Page[Any]: ...

    async def of_runs(self, run_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]: ...
