"""How each movement of money is posted; pure functions of what happened."""

from collections.abc import Sequence
from uuid import UUID

from domain.kernel import Work
from domain.payments.escrow import EscrowHold, Released, TakenBack
from domain.payments.ledger import (
    BUYER_CLEARING,
    DISPUTES,
    PAYOUT_CLEARING,
    PLATFORM_FEES,
    PROVIDER_FEES,
    REFUNDS,
    TAX_PAYABLE,
    Account,
    Draft,
    Entry,
    Posting,
    PostingKind,
    escrow_of,
    payable_to,
)
from domain.payments.payment import Payment
from domain.payments.splits import RefundPart


def capture_posting(payment: Payment, work: Work) -> Posting:
    """What the buyer paid lies with the provider, less its fee; it is owed to sellers' escrow, the tax office and us."""
    draft = Draft(payment.currency)
    draft.debit(BUYER_CLEARING, payment.amount_minor - payment.fee_minor).debit(PROVIDER_FEES, payment.fee_minor)
    for split in payment.splits:
        account = PLATFORM_FEES if split.seller_id is None else escrow_of(split.seller_id)
        draft.credit(account, split.goods_minor).credit(TAX_PAYABLE, split.tax_minor)
    return _of_payment(payment, PostingKind.CAPTURE, str(payment.id), draft.entries(), work)


def release_posting(hold: EscrowHold, released: Released, work: Work) -> Posting:
    """What was held is owed to the seller, less the commission, which is the platform's."""
    draft = Draft(hold.currency)
    draft.debit(escrow_of(hold.seller_id), released.amount_minor)
    draft.credit(payable_to(hold.seller_id), released.amount_minor - released.commission_minor)
    draft.credit(PLATFORM_FEES, released.commission_minor)
    return Posting(
        tenant_id=hold.tenant_id,
        kind=PostingKind.RELEASE,
        reference=f"{hold.id}:{released.turn}",
        entries=draft.entries(),
        at=work.now,
        order_id=hold.order_id,
        payment_id=hold.payment_id,
    )


def refund_posting(
    payment: Payment, refund_id: UUID, parts: Sequence[RefundPart], taken: Sequence[TakenBack], work: Work
) -> Posting:
    """What is given back is owed to the buyer, by whoever had it: escrow, seller, platform and tax office."""
    draft = _given_back(payment.currency, parts, taken, REFUNDS)
    return _of_payment(payment, PostingKind.REFUND, str(refund_id), draft.entries(), work)


def refund_settled_posting(payment: Payment, key: str, amount_minor: int, work: Work) -> Posting:
    """The provider has given the money back, asked under a key."""
    draft = Draft(payment.currency).debit(REFUNDS, amount_minor).credit(BUYER_CLEARING, amount_minor)
    return _of_payment(payment, PostingKind.REFUND_SETTLED, key, draft.entries(), work)


def refund_returned_posting(payment: Payment, key: str, amount_minor: int, work: Work) -> Posting:
    """What was given back under a key lies with the provider again, and is owed to the buyer again."""
    draft = Draft(payment.currency).debit(BUYER_CLEARING, amount_minor).credit(REFUNDS, amount_minor)
    return _of_payment(payment, PostingKind.REFUND_RETURNED, key, draft.entries(), work)


def refund_failed_posting(
    payment: Payment, refund_id: UUID, parts: Sequence[RefundPart], taken: Sequence[TakenBack], work: Work
) -> Posting:
    """The provider could not give the money back: everybody has again what was theirs."""
    entries = _given_back(payment.currency, parts, taken, REFUNDS).entries()
    reversed_ = tuple(Entry(entry.account, -entry.amount_minor, entry.currency) for entry in entries)
    return _of_payment(payment, PostingKind.REFUND_FAILED, str(refund_id), reversed_, work)


def payout_posting(
    tenant_id: UUID, payout_id: UUID, seller_id: UUID, amount_minor: int, currency: str, work: Work
) -> Posting:
    """What a seller has earned is set aside for a payout, so that no second payout takes it as well."""
    draft = Draft(currency).debit(payable_to(seller_id), amount_minor).credit(PAYOUT_CLEARING, amount_minor)
    return _of_payout(tenant_id, PostingKind.PAYOUT, payout_id, draft, work)


def payout_paid_posting(
    tenant_id: UUID, payout_id: UUID, amount_minor: int, fee_minor: int, currency: str, work: Work
) -> Posting:
    """The provider has sent the money from our balance with it, and keeps a fee of ours."""
    draft = Draft(currency).debit(PAYOUT_CLEARING, amount_minor).debit(PROVIDER_FEES, fee_minor)
    draft.credit(BUYER_CLEARING, amount_minor + fee_minor)
    return _of_payout(tenant_id, PostingKind.PAYOUT_PAID, payout_id, draft, work)


def payout_cancelled_posting(
    tenant_id: UUID, payout_id: UUID, seller_id: UUID, amount_minor: int, currency: str, work: Work
) -> Posting:
    """What was set aside is owed to the seller as before."""
    draft = Draft(currency).debit(PAYOUT_CLEARING, amount_minor).credit(payable_to(seller_id), amount_minor)
    return _of_payout(tenant_id, PostingKind.PAYOUT_CANCELLED, payout_id, draft, work)


def dispute_posting(payment: Payment, dispute_id: UUID, amount_minor: int, fee_minor: int, work: Work) -> Posting:
    """The buyer's bank has taken the money from our balance with the provider, until the dispute is decided."""
    draft = Draft(payment.currency).debit(DISPUTES, amount_minor).debit(PROVIDER_FEES, fee_minor)
    draft.credit(BUYER_CLEARING, amount_minor + fee_minor)
    return _of_payment(payment, PostingKind.DISPUTE, str(dispute_id), draft.entries(), work)


def dispute_won_posting(payment: Payment, dispute_id: UUID, amount_minor: int, work: Work) -> Posting:
    """The bank has given the money back to us."""
    draft = Draft(payment.currency).debit(BUYER_CLEARING, amount_minor).credit(DISPUTES, amount_minor)
    return _of_payment(payment, PostingKind.DISPUTE_WON, str(dispute_id), draft.entries(), work)


def dispute_lost_posting(
    payment: Payment,
    dispute_id: UUID,
    amount_minor: int,
    parts: Sequence[RefundPart],
    taken: Sequence[TakenBack],
    work: Work,
) -> Posting:
    """The buyer keeps the money; what no part of the payment covers any more is the platform's loss."""
    draft = _given_back(payment.currency, parts, taken, DISPUTES)
    uncovered = amount_minor - sum(part.total_minor for part in parts)
    draft.debit(PLATFORM_FEES, uncovered).credit(DISPUTES, uncovered)
    return _of_payment(payment, PostingKind.DISPUTE_LOST, str(dispute_id), draft.entries(), work)


def _given_back(currency: str, parts: Sequence[RefundPart], taken: Sequence[TakenBack], to: Account) -> Draft:
    draft = Draft(currency)
    for each in taken:
        draft.debit(escrow_of(each.seller_id), each.escrow_minor)
        draft.debit(payable_to(each.seller_id), each.payable_minor)
        draft.debit(PLATFORM_FEES, each.commission_minor)
    for part in parts:
        draft.debit(PLATFORM_FEES, part.goods_minor if part.sub_order_id is None else 0)
        draft.debit(TAX_PAYABLE, part.tax_minor)
    return draft.credit(to, sum(part.total_minor for part in parts))


def _of_payment(payment: Payment, kind: PostingKind, reference: str, entries: tuple[Entry, ...], work: Work) -> Posting:
    return Posting(
        tenant_id=payment.tenant_id,
        kind=kind,
        reference=reference,
        entries=entries,
        at=work.now,
        order_id=payment.order_id,
        payment_id=payment.id,
    )


def _of_payout(tenant_id: UUID, kind: PostingKind, payout_id: UUID, draft: Draft, work: Work) -> Posting:
    return Posting(tenant_id=tenant_id, kind=kind, reference=str(payout_id), entries=draft.entries(), at=work.now)
