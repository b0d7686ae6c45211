"""What the sandbox bank costs by itself: at another provider this is work of other people's machines."""

import asyncio
import time
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message

from domain.kernel import uuid7
from server.payments.sandbox_app import SandboxApp, SandboxConfig, post_into

KEY = "bank"


async def cpu_of_a_charge(folder: Path, number: int) -> float:
    """Milliseconds of CPU of a charge with its webhook, as the server's process does them for the bank."""
    heard = asyncio.Semaphore(0)

    async def hear(_request: Request) -> JSONResponse:
        heard.release()
        return JSONResponse({})

    customer = Starlette(routes=[Route("/", hear, methods=["POST"])])
    agreed = SandboxConfig(api_key=KEY, webhook_secret=KEY, path=folder / "bank.sqlite")
    bank = SandboxApp(agreed, post=post_into(customer, "/"))
    try:
        before = time.process_time()
        for _ in range(number):
            await _charge(bank)
        for _ in range(number):
            await heard.acquire()
        return 1000 * (time.process_time() - before) / number
    finally:
        await bank.aclose()


async def _charge(bank: SandboxApp) -> None:
    wanted = {
        "amount": 5_000, "currency": "CAD", "method": "sbx_card_ok", "capture": True, "description": "ORD-1",
        "metadata": {name: str(uuid7()) for name in ("tenant_id", "order_id", "payment_id")},
    }  # fmt: skip
    headers = {"authorization": f"Bearer {KEY}", "idempotency-key": str(uuid7()), "content-type": "application/json"}
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/charges", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    told: list[Message] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(wanted), "more_body": False}

    async def send(message: Message) -> None:
        told.append(message)

    await bank.app(scope, receive, send)
    if told[0]["status"] != 200:
        raise RuntimeError(f"the bank says {told}")
