"""What Stripe's objects mean in the domain's words. The objects are plain mappings, as `to_dict` gives them."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from domain.money import Money, minor_digits
from domain.payments.providers import (
    ChargeOutcome,
    ChargeStatus,
    ProviderRefused,
    RefundOutcome,
    RefundStatus,
    TransferOutcome,
    TransferStatus,
)

NAME = "stripe"
KEY = "agora_key"
Json = Mapping[str, Any]

_NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
# It is listed as a currency without decimals and, elsewhere, as one that is written with two: a factor of a hundred.
_AMBIGUOUS = frozenset({"UGX"})
_CHARGES = {
    "succeeded": ChargeStatus.CAPTURED,
    "requires_capture": ChargeStatus.AUTHORIZED,
    "processing": ChargeStatus.PENDING,
    "requires_action": ChargeStatus.PENDING,
    "requires_confirmation": ChargeStatus.PENDING,
    "requires_payment_method": ChargeStatus.DECLINED,
    "canceled": ChargeStatus.VOIDED,
}
_REFUNDS = {"succeeded": RefundStatus.COMPLETED, "failed": RefundStatus.FAILED, "canceled": RefundStatus.FAILED}


def stripe_amount(amount: Money) -> dict[str, Any]:
    """Write an amount as Stripe does, whose decimals of a currency are not always those of CLDR.

    Raises: ProviderRefused for an amount that Stripe cannot take.
    Source: Stripe's list of zero-decimal and three-decimal currencies.
    """
    exact = amount.decimal.scaleb(_digits(amount.currency))
    if exact != exact.to_integral_value() or (amount.currency in _THREE_DECIMALS and exact % 10):
        raise ProviderRefused(provider=NAME, reason=f"it does not take the last decimal of {amount.currency}")
    return {"amount": int(exact), "currency": amount.currency.lower()}


def money(amount: int, currency: str) -> Money:
    """Read an amount as Stripe writes it; what is finer than the currency's own unit is rounded half up."""
    code = currency.upper()
    exact = Decimal(amount).scaleb(minor_digits(code) - _digits(code))
    return Money(int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)), code)


def charge_outcome(intent: Json) -> ChargeOutcome:
    """Translate a payment intent; fee and card are known where its latest charge is expanded."""
    status = _CHARGES.get(intent["status"], ChargeStatus.PENDING)
    charge = intent.get("latest_charge")
    expanded: Json = charge if isinstance(charge, Mapping) else {}
    card = _card(expanded)
    amount = {ChargeStatus.CAPTURED: intent.get("amount_received"), ChargeStatus.AUTHORIZED: _capturable(intent)}
    return ChargeOutcome(
        provider=NAME,
        status=status,
        reference=intent["id"],
        amount=money(amount.get(status) or intent["amount"], intent["currency"]),
        fee=_fee(expanded, intent["currency"]) if status is ChargeStatus.CAPTURED else None,
        reason=_reason(intent),
        last4=card.get("last4"),
        brand=card.get("brand"),
        next_action=intent.get("client_secret") if intent["status"] == "requires_action" else None,
    )


def refund_outcome(refund: Json) -> RefundOutcome:
    """Translate a refund."""
    return RefundOutcome(
        provider=NAME,
        status=_REFUNDS.get(refund["status"], RefundStatus.PENDING),
        reference=refund["id"],
        amount=money(refund["amount"], refund["currency"]),
        reason=refund.get("failure_reason"),
        key=_key(refund),
    )


def transfer_outcome(transfer: Json) -> TransferOutcome:
    """Translate a transfer: it is done when it exists, and undone when it is reversed."""
    return TransferOutcome(
        provider=NAME,
        status=TransferStatus.FAILED if transfer.get("reversed") else TransferStatus.PAID,
        reference=transfer["id"],
        amount=money(transfer["amount"], transfer["currency"]),
        reason="reversed" if transfer.get("reversed") else None,
        key=_key(transfer),
    )


def _key(made: Json) -> str | None:
    key: str | None = (made.get("metadata") or {}).get(KEY)
    return key


def _digits(currency: str) -> int:
    if currency in _AMBIGUOUS:
        raise ProviderRefused(provider=NAME, reason=f"how it writes amounts in {currency} is not certain")
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def _capturable(intent: Json) -> int | None:
    capturable: int | None = intent.get("amount_capturable")
    return capturable


def _card(charge: Json) -> Json:
    details = charge.get("payment_method_details") or {}
    return details.get("card") or {}


def _fee(charge: Json, currency: str) -> Money | None:
    balance = charge.get("balance_transaction")
    if not isinstance(balance, Mapping) or balance["currency"] != currency:
        return None
    return money(balance["fee"], currency)


def _reason(intent: Json) -> str | None:
    error = intent.get("last_payment_error") or {}
    known = error.get("decline_code") or error.get("code") or intent.get("cancellation_reason")
    return known or ("requires_action" if intent["status"] == "requires_action" else None)
