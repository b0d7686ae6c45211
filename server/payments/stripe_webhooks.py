"""Stripe's signed webhooks as events, verified by its official SDK.

Source: Stripe's API reference (webhooks, types of events).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import stripe

from domain.kernel import InvalidInput
from domain.payments.providers import ProviderEvent, ProviderFact, RefundStatus, WebhookRejected
from server.payments.stripe import StripeProvider
from server.payments.stripe_values import NAME, Json, charge_outcome, money, refund_outcome, transfer_outcome
from server.payments.webhooks import TOLERANCE_SECONDS

SIGNATURE_HEADER = "stripe-signature"
_INTENTS = {
    "payment_intent.succeeded": ProviderFact.CHARGE_CAPTURED,
    "payment_intent.amount_capturable_updated": ProviderFact.CHARGE_AUTHORIZED,
    "payment_intent.payment_failed": ProviderFact.CHARGE_DECLINED,
    "payment_intent.processing": ProviderFact.CHARGE_PENDING,
    "payment_intent.canceled": ProviderFact.CHARGE_VOIDED,
}
_REFUNDS = {
    RefundStatus.COMPLETED: ProviderFact.REFUND_COMPLETED,
    RefundStatus.PENDING: ProviderFact.REFUND_PENDING,
    RefundStatus.FAILED: ProviderFact.REFUND_FAILED,
}
_TRANSFERS = {"transfer.created": ProviderFact.TRANSFER_PAID, "transfer.reversed": ProviderFact.TRANSFER_FAILED}
_LOST = "lost"


class StripeWebhooks:
    """Reads Stripe's webhooks; several secrets are valid while they are being exchanged.

    Refunds and disputes do not say whose they are, so their payment intent is asked.
    """

    name = NAME

    def __init__(self, provider: StripeProvider, secrets: Sequence[str]) -> None:
        self._provider = provider
        self._secrets = secrets

    async def read(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        told = self._verified(body, headers.get(SIGNATURE_HEADER))
        try:
            fact = _fact(told["type"], told["data"]["object"])
            return None if fact is None else await self._event(told, fact)
        except (ArithmeticError, AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
            raise WebhookRejected(provider=NAME, reason="it cannot be read") from error

    def _verified(self, body: bytes, header: str | None) -> Json:
        problem: Exception | None = None
        for secret in self._secrets:
            try:
                event = stripe.Webhook.construct_event(body, header, secret, TOLERANCE_SECONDS, api_key="none")
            except (stripe.SignatureVerificationError, ValueError) as error:
                problem = error
            else:
                verified: Json = event.to_dict()
                return verified
        raise WebhookRejected(provider=NAME, reason="the signature does not match") from problem

    async def _event(self, told: Json, fact: ProviderFact) -> ProviderEvent | None:
        subject = told["data"]["object"]
        kind, intent_id = subject["object"], subject.get("payment_intent")
        metadata = subject.get("metadata") or {}
        if "tenant_id" not in metadata and intent_id:
            metadata = (await self._provider.intent(intent_id)).get("metadata") or {}
        if "tenant_id" not in metadata:
            return None
        charge = charge_outcome(subject) if kind == "payment_intent" else None
        refunded = subject.get("amount_refunded") if fact is ProviderFact.CHARGE_REFUNDED else None
        return ProviderEvent(
            provider=NAME,
            event_id=told["id"],
            fact=fact,
            tenant_id=UUID(metadata["tenant_id"]),
            occurred_at=datetime.fromtimestamp(told["created"], UTC),
            reference=intent_id or subject["id"],
            amount=charge.amount if charge else money(refunded or subject["amount"], subject["currency"]),
            order_id=_id(metadata, "order_id"),
            payment_id=_id(metadata, "payment_id"),
            charge=charge,
            refund=refund_outcome(subject) if kind == "refund" else None,
            transfer=transfer_outcome(subject) if kind == "transfer" else None,
            dispute_reference=subject["id"] if kind == "dispute" else None,
            reason=charge.reason if charge else subject.get("reason"),
        )


def _fact(kind: str, subject: Json) -> ProviderFact | None:
    if kind in {"refund.created", "refund.updated", "refund.failed"}:
        return _REFUNDS[refund_outcome(subject).status]
    if kind == "charge.dispute.closed":
        return ProviderFact.DISPUTE_LOST if subject["status"] == _LOST else ProviderFact.DISPUTE_WON
    if kind == "charge.dispute.created":
        return ProviderFact.DISPUTE_OPENED
    if kind == "charge.refunded":
        return ProviderFact.CHARGE_REFUNDED
    return _INTENTS.get(kind) or _TRANSFERS.get(kind)


def _id(metadata: Mapping[str, str], name: str) -> UUID | None:
    return UUID(metadata[name]) if name in metadata else None
