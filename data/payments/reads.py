"""Reads of payments, payouts and reconciliation."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.kernel import implements
from data.paging import Listing, equals
from data.payments.tables import (
    discrepancy,
    dispute,
    escrow_hold,
    payment,
    payout,
    payout_account,
    policy,
    provider_credential,
    reconciliation_run,
    refund,
    saved_method,
    settlement,
)
from data.statements import Statement
from domain.paging import Page, PageRequest
from domain.payments import (
    CredentialReads,
    DiscrepancyState,
    DisputeState,
    PaymentFilter,
    PaymentReads,
    PayoutReads,
    PayoutState,
    ReconciliationReads,
)

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_BY_ID = Statement(select(payment).where(payment.c.id == func.any(_IDS)))
_BY_ORDER = Statement(select(payment).where(payment.c.order_id == func.any(_IDS)).order_by(payment.c.id))
_REFUNDS = Statement(select(refund).where(refund.c.payment_id == func.any(_IDS)).order_by(refund.c.id))
_RETURNED = Listing(select(refund).where(text("state = 'returned'")), [refund.c.id])
_held = (escrow_hold.c.amount_minor - escrow_hold.c.refunded_minor - escrow_hold.c.released_minor).label("held_minor")
_ESCROW = Statement(
    select(escrow_hold, _held).where(escrow_hold.c.order_id == func.any(_IDS)).order_by(escrow_hold.c.id)
)
_PAYMENTS = Listing(
    select(payment),
    [payment.c.id.desc()],
    since=payment.c.opened_at >= bindparam("since", type_=payment.c.opened_at.type),
    until=payment.c.opened_at < bindparam("until", type_=payment.c.opened_at.type),
    **equals(payment.c.state, payment.c.provider, payment.c.user_id),
)
_DISPUTES = Listing(select(dispute), [dispute.c.id.desc()], **equals(dispute.c.state))
_SAVED = Statement(
    select(saved_method).where(saved_method.c.user_id == bindparam("user_id", type_=Uuid)).order_by(saved_method.c.id)
)
_PAYOUT_BY_ID = Statement(select(payout).where(payout.c.id == func.any(_IDS)))
_PAYOUTS = Listing(select(payout), [payout.c.id.desc()], **equals(payout.c.seller_id, payout.c.state))
_ACCOUNTS = Statement(
    select(payout_account)
    .where(payout_account.c.seller_id == bindparam("seller_id", type_=Uuid))
    .order_by(payout_account.c.currency)
)
_POLICY = Statement(select(policy))
_CREDENTIALS = Statement(
    select(provider_credential.c.id, provider_credential.c.provider, provider_credential.c.changed_at)
)
_OF_PROVIDER = Statement(
    select(provider_credential).where(provider_credential.c.provider == bindparam("provider", type_=Text))
)
_OF_ENDPOINT = Statement(select(provider_credential).where(provider_credential.c.id == bindparam("id", type_=Uuid)))
_RUNS = Listing(select(reconciliation_run), [reconciliation_run.c.id.desc()], **equals(reconciliation_run.c.provider))
_net = (
    settlement.c.gross_minor
    + settlement.c.returned_minor
    - settlement.c.refunds_minor
    - settlement.c.payouts_minor
    - settlement.c.fees_minor
).label("net_minor")
_SETTLEMENTS = Listing(
    select(settlement, _net), [settlement.c.id.desc()], **equals(settlement.c.day, settlement.c.provider)
)
_DISCREPANCIES = Listing(
    select(discrepancy),
    [discrepancy.c.id],
    parent=discrepancy.c.run_id,
    **equals(discrepancy.c.run_id, discrepancy.c.state),
)


@implements(PaymentReads)
class SqlPaymentReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def by_order(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_BY_ORDER, order_ids, "order_id")

    async def refunds(self, payment_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_REFUNDS, payment_ids, "payment_id")

    async def returned(self, page: PageRequest) -> Page[Any]:
        return await _RETURNED.page(self._reads, page)

    async def escrow(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ESCROW, order_ids, "order_id")

    async def payments(self, wanted: PaymentFilter, page: PageRequest) -> Page[Any]:
        return await _PAYMENTS.page(
            self._reads,
            page,
            state=wanted.state,
            provider=wanted.provider,
            user_id=wanted.user_id,
            since=wanted.since,
            until=wanted.until,
        )

    async def disputes(self, state: DisputeState | None, page: PageRequest) -> Page[Any]:
        return await _DISPUTES.page(self._reads, page, state=state)

    async def saved_methods(self, user_id: UUID) -> list[Any]:
        return await self._reads.rows(_SAVED, user_id=user_id)


@implements(PayoutReads)
class SqlPayoutReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_PAYOUT_BY_ID, ids)

    async def payouts(self, seller_id: UUID | None, state: PayoutState | None, page: PageRequest) -> Page[Any]:
        return await _PAYOUTS.page(self._reads, page, seller_id=seller_id, state=state)

    async def accounts(self, seller_id: UUID) -> list[Any]:
        return await self._reads.rows(_ACCOUNTS, seller_id=seller_id)

    async def credentials(self) -> list[Any]:
        return await self._reads.rows(_CREDENTIALS)

    async def policy(self) -> Any | None:
        return await self._reads.row(_POLICY)


@implements(CredentialReads)
class SqlCredentialReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_provider(self, provider: str) -> Any | None:
        return await self._reads.row(_OF_PROVIDER, provider=provider)

    async def of_endpoint(self, endpoint: UUID) -> Any | None:
        return await self._reads.row(_OF_ENDPOINT, id=endpoint)


@implements(ReconciliationReads)
class SqlReconciliationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def runs(self, provider: str | None, page: PageRequest) -> Page[Any]:
        return await _RUNS.page(self._reads, page, provider=provider)

    async def discrepancies(self, run_id: UUID | None, state: DiscrepancyState | None, page: PageRequest) -> Page[Any]:
        return await _DISCREPANCIES.page(self._reads, page, run_id=run_id, state=state)

    async def settlements(self, day: date | None, provider: str | None, page: PageRequest) -> Page[Any]:
        return await _SETTLEMENTS.page(self._reads, page, day=day, provider=provider)

    async def of_runs(self, run_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _DISCREPANCIES.pages(self._reads, run_ids, page)
