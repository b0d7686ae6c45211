"""Verbs of payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from domain import payments
from domain.kernel import Forbidden, NotFound, Principal
from domain.paging import Page, PageRequest
from domain.payments import (
    DiscrepancyState,
    DisputeState,
    LedgerReads,
    PaymentFilter,
    PaymentPolicy,
    PaymentReads,
    PaymentState,
    PayoutReads,
    PayoutState,
    ReconciliationReads,
    escrow_of,
    payable_to,
    payments_topic,
)
from domain.payments.providers import ProviderDirectory, ProviderHealth
from domain.processes import configuring, intents, paying, settling
from domain.processes import payouts as payouts_of
from domain.processes.configuring import ProviderSetup
from resolvers.kernel import Context, Feed, state_feed, transacts

READ = "payments.read"
_SETTLED = frozenset(PaymentState) - {PaymentState.PENDING, PaymentState.REVIEW, PaymentState.AUTHORIZED}


@dataclass(frozen=True)
class PaymentChange:
    """How a payment stands after something happened to it."""

    cursor: str
    payment: Any


refund_payment = transacts(settling.refund_payment)
create_payment_intent = transacts(intents.create_payment_intent)
confirm_payment = transacts(intents.confirm_payment)
configure_provider = transacts(configuring.configure_provider)
update_provider_credentials = transacts(configuring.update_provider_credentials)
retry_refund = transacts(settling.retry_refund)
complete_refund = transacts(settling.complete_refund)
void_payment = transacts(settling.void_payment)
capture_payment = transacts(settling.capture_payment)
release_escrow = transacts(payments.release_escrow)
review_fraud = transacts(settling.review_fraud)
submit_dispute_evidence = transacts(payments.submit_dispute_evidence)
close_dispute = transacts(paying.close_dispute)
save_payment_method = transacts(payments.save_payment_method)
delete_payment_method = transacts(payments.delete_payment_method)
set_payout_account = transacts(payouts_of.set_payout_account)
request_payout = transacts(payouts_of.request_payout)
cancel_payout = transacts(payments.cancel_payout)
update_payout_policy = transacts(payments.update_payout_policy)
run_reconciliation = transacts(payments.run_reconciliation)
create_settlement = transacts(payments.create_settlement)
process_settlement = transacts(payments.process_settlement)
resolve_discrepancy = transacts(payments.resolve_discrepancy)


def _sees(principal: Principal, payment: Any) -> bool:
    own = payment.user_id is not None and payment.user_id == principal.user_id
    return own or principal.may(READ)


async def payments_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give one's own payments, and to holders of the permission all of them."""
    found = await context.read(PaymentReads).by_id(ids)
    return [row if row is not None and _sees(context.principal, row) else None for row in found]


async def payments_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    found = await context.read(PaymentReads).by_order(order_ids)
    return [[row for row in rows if _sees(context.principal, row)] for rows in found]


async def refunds_of_payments(context: Context, payment_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(PaymentReads).refunds(payment_ids)


async def escrow_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    """Give what is held for the caller as a seller, and to holders of the permission all that is held."""
    found = await context.read(PaymentReads).escrow(order_ids)
    if context.principal.may(READ):
        return found
    return [[row for row in rows if row.seller_id == context.principal.user_id] for rows in found]


async def payment(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(payments_by_id, id)


async def payments_by_order(context: Context, order_id: UUID) -> Sequence[Any]:
    found: Sequence[Any] = await context.load(payments_of_orders, order_id)
    return found


async def list_payments(
    context: Context, page: PageRequest, state: PaymentState | None = None, provider: str | None = None
) -> Page[Any]:
    return await context.read(PaymentReads).payments(PaymentFilter(state=state, provider=provider), page)


async def my_payments(context: Context, page: PageRequest) -> Page[Any]:
    wanted = PaymentFilter(user_id=context.principal.require_user())
    return await context.read(PaymentReads).payments(wanted, page)


async def fraud_queue(context: Context, page: PageRequest) -> Page[Any]:
    return await list_payments(context, page, PaymentState.REVIEW)


async def returned_refunds(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(PaymentReads).returned(page)


async def my_payment_methods(context: Context) -> Sequence[Any]:
    return await context.read(PaymentReads).saved_methods(context.principal.require_user())


async def payment_disputes(context: Context, page: PageRequest, state: DisputeState | None = None) -> Page[Any]:
    return await context.read(PaymentReads).disputes(state, page)


async def payouts_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    found = await context.read(PayoutReads).by_id(ids)
    own, all_ = context.principal.user_id, context.principal.may(READ)
    return [row if row is not None and (all_ or row.seller_id == own) else None for row in found]


async def payouts(
    context: Context, page: PageRequest, seller_id: UUID | None = None, state: PayoutState | None = None
) -> Page[Any]:
    """List one's own payouts, or those of a seller."""
    return await context.read(PayoutReads).payouts(_seller(context, seller_id), state, page)


async def all_payouts(context: Context, page: PageRequest, state: PayoutState | None = None) -> Page[Any]:
    return await context.read(PayoutReads).payouts(None, state, page)


async def payout_accounts(context: Context, seller_id: UUID | None = None) -> Sequence[Any]:
    return await context.read(PayoutReads).accounts(_seller(context, seller_id))


async def payout_policy(context: Context) -> Any:
    tenant_id = context.require_tenant()
    return await context.read(PayoutReads).policy() or PaymentPolicy(id=tenant_id, tenant_id=tenant_id)


async def payment_providers(context: Context) -> Sequence[ProviderSetup]:
    """Say which providers there are, and how the tenant has set them up."""
    policy = await payout_policy(context)
    known = {row.provider: row for row in await context.read(PayoutReads).credentials()}
    return [
        ProviderSetup(
            provider=each.provider,
            methods=each.methods,
            is_active=each.provider not in policy.inactive_providers,
            credentials_changed_at=known[each.provider].changed_at if each.provider in known else None,
            webhook_endpoint=known[each.provider].id if each.provider in known else None,
        )
        for each in context.service(ProviderDirectory).offers()
    ]


async def provider_health(context: Context) -> Sequence[ProviderHealth]:
    """Say how the providers did lately, as the process saw it that answers."""
    return context.service(ProviderDirectory).health()


async def escrow_balance(context: Context, seller_id: UUID | None = None) -> Sequence[Any]:
    """Say, by currency, what is held for a seller and what is due to them."""
    seller = _seller(context, seller_id)
    held, due = await context.read(LedgerReads).of_accounts([escrow_of(seller), payable_to(seller)])
    sums = {
        (kind, row.currency): -int(row.amount_minor) for kind, rows in (("held", held), ("due", due)) for row in rows
    }
    return [
        {
            "currency": currency,
            "held_minor": sums.get(("held", currency), 0),
            "due_minor": sums.get(("due", currency), 0),
        }
        for currency in sorted({currency for _, currency in sums})
    ]


async def ledger_balances(context: Context) -> Sequence[Any]:
    return await context.read(LedgerReads).balances()


async def ledger_postings(
    context: Context, page: PageRequest, order_id: UUID | None = None, payment_id: UUID | None = None
) -> Page[Any]:
    return await context.read(LedgerReads).postings(order_id, payment_id, page)


async def entries_of_postings(context: Context, posting_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(LedgerReads).entries(posting_ids)


async def reconciliation_runs(context: Context, page: PageRequest, provider: str | None = None) -> Page[Any]:
    return await context.read(ReconciliationReads).runs(provider, page)


async def discrepancies(
    context: Context, page: PageRequest, run_id: UUID | None = None, state: DiscrepancyState | None = None
) -> Page[Any]:
    return await context.read(ReconciliationReads).discrepancies(run_id, state, page)


async def discrepancies_of_runs(context: Context, run_ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await context.read(ReconciliationReads).of_runs(run_ids, page)


async def settlements(
    context: Context, page: PageRequest, day: date | None = None, provider: str | None = None
) -> Page[Any]:
    return await context.read(ReconciliationReads).settlements(day, provider, page)


async def payment_status_changed(context: Context, order_id: UUID, after: str | None = None) -> Feed:
    """Follow an order's payment from how it stands, until the money is there or will not come."""

    async def load(context: Context) -> Any:
        found = await context.load(payments_of_orders, order_id)
        if not found:
            raise NotFound(kind="Payment", id=f"of order {order_id}")
        return found[-1]

    await load(context)
    return state_feed(
        payments_topic(order_id), load, PaymentChange, after, last=lambda change: change.payment.state in _SETTLED
    )


def _seller(context: Context, seller_id: UUID | None) -> UUID:
    own = context.principal.require_user()
    if seller_id is not None and seller_id != own and not context.principal.may(READ):
        raise Forbidden(permission=READ)
    return seller_id or own
