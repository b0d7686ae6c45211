"""A server that stands in for Stripe's API: it answers as the reference describes, and keeps what it was asked."""

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DECLINED = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "message": "Your card has insufficient funds.",
    "payment_intent": {"id": "pi_declined", "object": "payment_intent"},
    "payment_method": {"id": "pm_1", "object": "payment_method", "card": {"brand": "visa", "last4": "9995"}},
}


def intent(**changes: Any) -> dict[str, Any]:
    """Give a payment intent of 100.00 CAD that succeeded by a Visa card, with a fee of 3.20."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 10_000,
        "amount_received": 10_000,
        "amount_capturable": 0,
        "currency": "cad",
        "status": "succeeded",
        "client_secret": "pi_1_secret",
        "metadata": {},
        "latest_charge": {
            "id": "ch_1",
            "object": "charge",
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
            "balance_transaction": {"id": "txn_1", "object": "balance_transaction", "fee": 320, "currency": "cad"},
        },
        **changes,
    }


class StripeDouble:
    """Remembers requests as `(method, path, form, idempotency key)`; the same key gets the same answer again."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str | None]] = []
        self.by_key: dict[str, tuple[int, Any]] = {}
        self.made = 0
        self.intent = intent()
        self.recent: list[dict[str, Any]] = []
        self.older: list[dict[str, Any]] = []
        self.failures: list[tuple[int, dict[str, Any]]] = []
        self.app = Starlette(
            routes=[
                Route("/v1/payment_intents", self._create, methods=["POST"]),
                Route("/v1/payment_intents", self._list),
                Route("/v1/payment_intents/search", self._search),
                Route("/v1/payment_intents/{id}", self._retrieve),
                Route("/v1/payment_intents/{id}/capture", self._capture, methods=["POST"]),
                Route("/v1/payment_intents/{id}/cancel", self._cancel, methods=["POST"]),
                Route("/v1/refunds", self._refund, methods=["POST"]),
                Route("/v1/transfers", self._transfer, methods=["POST"]),
            ]
        )

    def paths(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.asked]

    async def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        key = request.headers.get("idempotency-key")
        form = dict(parse_qsl((await request.body()).decode())) or dict(request.query_params)
        self.asked.append((request.method, request.url.path, form, key))
        if self.failures:
            status, error = self.failures.pop(0)
            return JSONResponse({"error": error}, status)
        if request.method == "POST" and key is not None:
            replayed = key in self.by_key
            if not replayed:
                self.made += 1
                self.by_key[key] = (200, json.loads(json.dumps(body)))
            status, body = self.by_key[key]
            return JSONResponse(body, status, {"idempotent-replayed": "true"} if replayed else None)
        return JSONResponse(body)

    async def _create(self, request: Request) -> Response:
        return await self._answer(request, self.intent)

    async def _retrieve(self, request: Request) -> Response:
        return await self._answer(request, self.intent | {"id": request.path_params["id"]})

    async def _capture(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        taken = {"id": request.path_params["id"], "amount_received": int(form["amount_to_capture"])}
        return await self._answer(request, self.intent | taken)

    async def _cancel(self, request: Request) -> Response:
        return await self._answer(request, self.intent | {"id": request.path_params["id"], "status": "canceled"})

    async def _refund(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        body = {"id": "re_1", "object": "refund", "status": "succeeded", "currency": "cad"}
        metadata = {"agora_key": form["metadata[agora_key]"]}
        return await self._answer(request, body | {"amount": int(form["amount"]), "metadata": metadata})

    async def _transfer(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        body = {"id": "tr_1", "object": "transfer", "currency": form["currency"], "reversed": False}
        return await self._answer(request, body | {"amount": int(form["amount"])})

    async def _list(self, request: Request) -> Response:
        after = request.query_params.get("starting_after")
        start = next((place + 1 for place, each in enumerate(self.recent) if each["id"] == after), 0)
        page = self.recent[start : start + 2]
        more = start + 2 < len(self.recent)
        return await self._answer(
            request, {"object": "list", "url": "/v1/payment_intents", "data": page, "has_more": more}
        )

    async def _search(self, request: Request) -> Response:
        body = {"object": "search_result", "url": "/v1/payment_intents/search", "data": self.older, "has_more": False}
        return await self._answer(request, body)
