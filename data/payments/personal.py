"""What payments hold about people: those who pay, and those who are paid."""

from data.payments.tables import (
    discrepancy,
    dispute,
    escrow_hold,
    payment,
    payout,
    payout_account,
    posting,
    reconciliation_run,
    refund,
    saved_method,
)
from data.personal import Category, blanked, erased, kept, legal_hold, neutral

_BOOKS = "the books are evidence for taxes and against money laundering"
_PAID = "(SELECT id FROM payments.payment WHERE tenant_id = :tenant AND user_id = $1)"

erased(
    saved_method,
    token=Category.SECRET,
    brand=Category.MONEY,
    last4=Category.MONEY,
    expires_on=Category.MONEY,
    kind=Category.MONEY,
)
blanked(
    payment,
    "user_id = $1",
    {
        "method_token": (Category.SECRET, "''"),
        "fingerprint": (Category.MONEY, "NULL"),
        "card_brand": (Category.MONEY, "NULL"),
        "card_last4": (Category.MONEY, "NULL"),
        "fraud_signals": (Category.BEHAVIOUR, "'[]'"),
    },
    reason=_BOOKS,
    years=10,
)
kept(refund, f"payment_id IN {_PAID} OR requested_by = $1", reason=_BOOKS, years=10, amount_minor=Category.MONEY)
kept(dispute, f"payment_id IN {_PAID}", reason=_BOOKS, years=10, amount_minor=Category.MONEY)
kept(escrow_hold, "seller_id = $1", reason=_BOOKS, years=10, amount_minor=Category.MONEY)
kept(payout, "seller_id = $1", reason=_BOOKS, years=10, amount_minor=Category.MONEY, destination=Category.MONEY)
erased(payout_account, "seller_id = $1", destination=Category.MONEY)
kept(reconciliation_run, "run_by = $1", reason=_BOOKS, years=10)
kept(discrepancy, "resolved_by = $1", reason=_BOOKS, years=10)
neutral(discrepancy, "note")
neutral(dispute, "reason", "evidence")
neutral(payment, "failure_reason")
neutral(posting, "memo")
neutral(refund, "reason")

legal_hold(
    "payments",
    "a payment is disputed",
    f"SELECT FROM payments.dispute WHERE tenant_id = :tenant AND payment_id IN {_PAID} AND state IN ('opened', 'evidence')",
)
legal_hold(
    "payments",
    "a refund is on its way",
    f"SELECT FROM payments.refund WHERE tenant_id = :tenant AND payment_id IN {_PAID} AND state = 'pending'",
)
legal_hold(
    "payments",
    "a payout is on its way",
    "SELECT FROM payments.payout WHERE tenant_id = :tenant AND seller_id = $1 AND state IN ('scheduled', 'processing')",
)
legal_hold(
    "payments",
    "money of sales is held",
    "SELECT FROM payments.escrow_hold WHERE tenant_id = :tenant AND seller_id = $1 AND state IN ('held', 'frozen')",
)
