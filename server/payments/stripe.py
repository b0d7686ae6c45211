"""The adapter of Stripe, on its official SDK: payment intents, captures, refunds and transfers.

Source: Stripe's API reference (payment intents, refunds, transfers, idempotent requests).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import stripe

from domain.money import Money
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    ChargeStatus,
    ProviderRefused,
    ProviderUnreachable,
    RefundOutcome,
    TransferOutcome,
    TransferStatus,
    require_key,
    require_positive,
)
from server.payments.stripe_values import (
    KEY,
    NAME,
    Json,
    charge_outcome,
    refund_outcome,
    stripe_amount,
    transfer_outcome,
)

T = TypeVar("T")
METHODS = frozenset({"card", "wallet"})
_CHARGE = "latest_charge.balance_transaction"
# What Stripe's search may not have seen yet, the list of the newest has.
_SEARCH_LAG = timedelta(minutes=15)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CARDS = ("pm_", "tok_", "src_")
_OBJECTS = ("pi_", "acct_")
_SHORT_OF_MONEY = "balance_insufficient"
_TOO_LATE = "payment_intent_unexpected_state"


class StripeProvider:
    """Implements `PaymentProvider` with Stripe. Keys are Stripe's idempotency keys, which it keeps for 24 hours at least.

    The SDK runs on its asynchronous client. `api_base` is where another server stands in for Stripe.
    """

    name = NAME
    methods = METHODS

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str | None = None,
        timeout_seconds: float = 10.0,
        retries: int = 1,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = stripe.HTTPXClient(timeout=timeout_seconds)
        base_addresses: Any = {"api": api_base} if api_base else None
        self._client = stripe.StripeClient(
            api_key, http_client=self._http, base_addresses=base_addresses, max_network_retries=retries
        )
        self._intents = self._client.v1.payment_intents
        self._now = now

    async def close(self) -> None:
        # The SDK leaves this method without types.
        client: Any = self._http
        await client.close_async()

    def accepts(self, method: str, method_token: str) -> bool:
        return method in METHODS and method_token.startswith(_CARDS)

    def owns(self, reference: str) -> bool:
        return reference.startswith(_OBJECTS)

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        params: Any = {
            **stripe_amount(request.amount),
            "payment_method": request.method_token,
            "confirm": True,
            "capture_method": "automatic" if request.capture else "manual",
            "description": request.description or None,
            # A page of the bank that the buyer would be sent to needs a browser, and this is no browser.
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {
                KEY: request.key,
                "tenant_id": str(request.tenant_id),
                "order_id": str(request.order_id),
                "payment_id": str(request.payment_id),
            },
            "expand": [_CHARGE],
        }
        try:
            made = await _answered(self._intents.create_async(params, _once(request.key)))
        except stripe.CardError as error:
            return _declined(error, request.amount)
        # The answer to a key that was used before is the old answer, and the charge may have gone on since.
        return charge_outcome(await self.intent(made.id) if _is_replayed(made) else made.to_dict())

    async def capture(self, reference: str, amount: Money, key: str) -> ChargeOutcome:
        require_positive(amount)
        params: Any = {"amount_to_capture": stripe_amount(amount)["amount"], "expand": [_CHARGE]}
        return charge_outcome(await _certain(self._intents.capture_async(reference, params, _once(key))))

    async def void(self, reference: str, key: str) -> ChargeOutcome:
        try:
            return charge_outcome(await _certain(self._intents.cancel_async(reference, None, _once(key))))
        except ProviderRefused as refused:
            if refused.reason != _TOO_LATE:
                raise
            return charge_outcome(await self.intent(reference))

    async def refund(self, reference: str, amount: Money, key: str) -> RefundOutcome:
        require_positive(amount)
        params: Any = {
            "payment_intent": reference,
            "amount": stripe_amount(amount)["amount"],
            "metadata": {KEY: key},
        }
        return refund_outcome(await _certain(self._client.v1.refunds.create_async(params, _once(key))))

    async def transfer(
        self, destination: str, amount: Money, key: str, *, tenant_id: UUID | None = None
    ) -> TransferOutcome:
        require_positive(amount)
        metadata = {KEY: key} | ({} if tenant_id is None else {"tenant_id": str(tenant_id)})
        params: Any = {**stripe_amount(amount), "destination": destination, "metadata": metadata}
        try:
            return transfer_outcome(await _certain(self._client.v1.transfers.create_async(params, _once(key))))
        except ProviderRefused as refused:
            if refused.reason != _SHORT_OF_MONEY:
                raise
            return TransferOutcome(
                provider=NAME, status=TransferStatus.FAILED, reference="", amount=amount, reason=_SHORT_OF_MONEY
            )

    async def find(self, key: str) -> ChargeOutcome | None:
        require_key(key)
        async for intent in self._newest():
            if (intent.get("metadata") or {}).get(KEY) == key:
                return charge_outcome(intent)
        quoted = key.replace("\\", "\\\\").replace("'", "\\'")
        params: Any = {"query": f"metadata['{KEY}']:'{quoted}'", "expand": [f"data.{_CHARGE}"], "limit": 1}
        found = await _certain(self._intents.search_async(params))
        return charge_outcome(found["data"][0]) if found["data"] else None

    async def intent(self, reference: str) -> Json:
        """Give a payment intent as it is now."""
        params: Any = {"expand": [_CHARGE]}
        return await _certain(self._intents.retrieve_async(reference, params))

    async def _newest(self) -> AsyncIterator[Json]:
        since = int((self._now() - _SEARCH_LAG).timestamp())
        params: Any = {"created": {"gte": since}, "limit": 100, "expand": [f"data.{_CHARGE}"]}
        while True:
            page = await _certain(self._intents.list_async(params))
            for intent in page["data"]:
                yield intent
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]


def _once(key: str) -> Any:
    require_key(key)
    return {"idempotency_key": key}


def _declined(error: stripe.CardError, amount: Money) -> ChargeOutcome:
    """Translate the error by which Stripe says that a card was declined; the intent stands in it."""
    told = error.error.to_dict() if error.error else {}
    intent = told.get("payment_intent") or {}
    card = (told.get("payment_method") or {}).get("card") or {}
    return ChargeOutcome(
        provider=NAME,
        status=ChargeStatus.DECLINED,
        reference=intent.get("id") or "",
        amount=amount,
        reason=told.get("decline_code") or error.code or "card_declined",
        last4=card.get("last4"),
        brand=card.get("brand"),
    )


async def _certain(request: Awaitable[stripe.StripeObject]) -> Json:
    """Ask where a declined card is no outcome but a refusal."""
    try:
        return (await _answered(request)).to_dict()
    except stripe.CardError as error:
        raise ProviderRefused(provider=NAME, reason=error.code or "card_declined") from error


def _is_replayed(answer: stripe.StripeObject) -> bool:
    response = answer.last_response
    return response is not None and "idempotent-replayed" in (response.headers or {})


async def _answered(request: Awaitable[T]) -> T:
    """Give Stripe's answer.

    Raises: ProviderUnreachable, ProviderRefused, stripe.CardError.
    """
    try:
        return await request
    except stripe.CardError:
        raise
    except stripe.APIConnectionError as error:
        unknown = not isinstance(error.__cause__, _NOT_SENT)
        raise ProviderUnreachable(part=NAME, outcome_unknown=unknown) from error
    except stripe.RateLimitError as error:
        raise ProviderUnreachable(part=NAME, outcome_unknown=False) from error
    except (
        stripe.AuthenticationError,
        stripe.IdempotencyError,
        stripe.InvalidRequestError,
        stripe.PermissionError,
    ) as error:
        raise ProviderRefused(provider=NAME, reason=error.code or type(error).__name__) from error
    except stripe.StripeError as error:
        raise ProviderUnreachable(part=NAME, outcome_unknown=True) from error
