"""The adapter of the sandbox provider: its HTTP API behind the domain's port, and its webhooks as events."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
from starlette.types import ASGIApp

from domain.kernel import InvalidInput
from domain.money import Money
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    ChargeStatus,
    ProviderEvent,
    ProviderFact,
    ProviderRefused,
    ProviderUnreachable,
    RefundOutcome,
    RefundStatus,
    TransferOutcome,
    TransferStatus,
    WebhookRejected,
    require_key,
    require_positive,
)
from server.payments.sandbox_app import REPLAYED_HEADER, SIGNATURE_HEADER
from server.payments.webhooks import check_signature

NAME = "sandbox"
PREFIX = "sbx_"
METHODS = frozenset({"card", "wallet"})
# The connection was never made, so the request cannot have arrived.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class SandboxProvider:
    """Implements `PaymentProvider` with the sandbox's HTTP API at `base_url`, or that of an application in this process.

    It waits `timeout_seconds` for an answer over the network; for an application, the router's patience counts.
    """

    name = NAME
    methods = METHODS

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_seconds: float = 10.0,
        app: ASGIApp | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url if app is None else "http://sandbox",
            headers={"authorization": f"Bearer {api_key}"},
            timeout=timeout_seconds,
            transport=None if app is None else httpx.ASGITransport(app=app),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    def accepts(self, method: str, method_token: str) -> bool:
        return method in METHODS and method_token.startswith(PREFIX)

    def owns(self, reference: str) -> bool:
        return reference.startswith(PREFIX)

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        wanted = {
            **_amount(request.amount),
            "method": request.method_token,
            "capture": request.capture,
            "description": request.description,
            "metadata": {
                "tenant_id": str(request.tenant_id),
                "order_id": str(request.order_id),
                "payment_id": str(request.payment_id),
            },
        }
        answer = await self._post("/v1/charges", request.key, wanted)
        made = _understood(answer)
        # The answer to a key that was used before is the old answer, and the charge may have gone on since.
        return await self._current(made["id"]) if REPLAYED_HEADER in answer.headers else _charge_outcome(made)

    async def capture(self, reference: str, amount: Money, key: str) -> ChargeOutcome:
        return _charge_outcome(_understood(await self._post(f"/v1/charges/{reference}/capture", key, _amount(amount))))

    async def void(self, reference: str, key: str) -> ChargeOutcome:
        answer = await self._post(f"/v1/charges/{reference}/void", key, {})
        too_late = answer.status_code == 409
        return await self._current(reference) if too_late else _charge_outcome(_understood(answer))

    async def refund(self, reference: str, amount: Money, key: str) -> RefundOutcome:
        return _refund_outcome(_understood(await self._post(f"/v1/charges/{reference}/refunds", key, _amount(amount))))

    async def transfer(
        self, destination: str, amount: Money, key: str, *, tenant_id: UUID | None = None
    ) -> TransferOutcome:
        metadata = {} if tenant_id is None else {"tenant_id": str(tenant_id)}
        wanted = {**_amount(amount), "destination": destination, "metadata": metadata}
        return _transfer_outcome(_understood(await self._post("/v1/transfers", key, wanted)))

    async def find(self, key: str) -> ChargeOutcome | None:
        answer = await self._send("GET", "/v1/charges", params={"key": key})
        return None if answer.status_code == 404 else _charge_outcome(_understood(answer))

    async def _current(self, reference: str) -> ChargeOutcome:
        return _charge_outcome(_understood(await self._send("GET", f"/v1/charges/{reference}")))

    async def _post(self, path: str, key: str, wanted: Mapping[str, Any]) -> httpx.Response:
        require_key(key)
        headers = {"idempotency-key": key, "content-type": "application/json"}
        return await self._send("POST", path, content=orjson.dumps(wanted), headers=headers)

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise ProviderUnreachable(part=NAME, outcome_unknown=not isinstance(error, _NOT_SENT)) from error


class SandboxWebhooks:
    """Reads the sandbox's webhooks; several secrets are valid while they are being exchanged."""

    name = NAME

    def __init__(self, secrets: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._clock = clock

    async def read(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        check_signature(NAME, body, headers.get(SIGNATURE_HEADER), self._secrets, self._clock())
        try:
            told = orjson.loads(body)
            if told["type"] not in set(ProviderFact):
                return None
            return _event(told)
        except (ArithmeticError, AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
            raise WebhookRejected(provider=NAME, reason="it cannot be read") from error


def _charge_outcome(charge: Mapping[str, Any]) -> ChargeOutcome:
    """Translate a charge of the sandbox."""
    currency, captured = charge["currency"], charge["status"] == "captured"
    return ChargeOutcome(
        provider=NAME,
        status=ChargeStatus(charge["status"]),
        reference=charge["id"],
        amount=Money(charge["captured"] if captured else charge["amount"], currency),
        fee=Money(charge["fee"], currency) if captured else None,
        reason=charge["reason"],
        last4=charge["last4"],
        brand=charge["brand"],
        next_action=charge.get("client_secret"),
    )


def _refund_outcome(refund: Mapping[str, Any]) -> RefundOutcome:
    return RefundOutcome(
        provider=NAME,
        status=RefundStatus(refund["status"]),
        reference=refund["id"],
        amount=Money(refund["amount"], refund["currency"]),
        reason=refund["reason"],
        key=refund["key"],
    )


def _transfer_outcome(transfer: Mapping[str, Any]) -> TransferOutcome:
    return TransferOutcome(
        provider=NAME,
        status=TransferStatus(transfer["status"]),
        reference=transfer["id"],
        amount=Money(transfer["amount"], transfer["currency"]),
        reason=transfer["reason"],
        key=transfer["key"],
    )


def _event(told: Mapping[str, Any]) -> ProviderEvent | None:
    subject = told["data"]
    kind, metadata = subject["object"], subject["metadata"]
    if "tenant_id" not in metadata:
        return None
    charge = _charge_outcome(subject) if kind == "charge" else None
    return ProviderEvent(
        provider=NAME,
        event_id=told["id"],
        fact=ProviderFact(told["type"]),
        tenant_id=UUID(metadata["tenant_id"]),
        occurred_at=datetime.fromtimestamp(told["created"], UTC),
        reference=subject.get("charge") or subject["id"],
        amount=charge.amount if charge else Money(subject["amount"], subject["currency"]),
        order_id=_id(metadata, "order_id"),
        payment_id=_id(metadata, "payment_id"),
        charge=charge,
        refund=_refund_outcome(subject) if kind == "refund" else None,
        transfer=_transfer_outcome(subject) if kind == "transfer" else None,
        dispute_reference=subject["id"] if kind == "dispute" else None,
        reason=subject["reason"],
    )


def _id(metadata: Mapping[str, str], name: str) -> UUID | None:
    return UUID(metadata[name]) if name in metadata else None


def _amount(amount: Money) -> dict[str, Any]:
    require_positive(amount)
    return {"amount": amount.amount_minor, "currency": amount.currency}


def _understood(answer: httpx.Response) -> dict[str, Any]:
    """Give the body of an answer that says what happened.

    Raises: ProviderUnreachable, ProviderRefused.
    """
    status = answer.status_code
    if status >= 500 or status == 429:
        raise ProviderUnreachable(part=NAME, outcome_unknown=status != 429)
    body: dict[str, Any] = orjson.loads(answer.content)
    if status in {200, 402}:
        return body
    raise ProviderRefused(provider=NAME, reason=body.get("code", str(status)))
