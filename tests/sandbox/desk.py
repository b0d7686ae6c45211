"""The sandbox provider on a clock that is turned by hand, and an adapter that talks to it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import uvicorn
from starlette.types import ASGIApp

from domain.kernel import uuid7
from domain.money import Money
from domain.payments.providers import ChargeRequest, ProviderEvent
from server.payments.sandbox import SandboxProvider, SandboxWebhooks
from server.payments.sandbox_app import SandboxApp, SandboxConfig

API_KEY = "sandbox key of the tests"
SECRET = "webhook secret of the tests"
TENANT, ORDER, PAYMENT = uuid7(), uuid7(), uuid7()


def cad(amount_minor: int) -> Money:
    return Money(amount_minor, "CAD")


def charge_request(card: str = "sbx_card_ok", key: str = "pay-1", amount: int = 10_000, **more: Any) -> ChargeRequest:
    wanted = {"amount": cad(amount), "tenant_id": TENANT, "order_id": ORDER, "payment_id": PAYMENT} | more
    return ChargeRequest(key=key, method_token=card, **wanted)


class SandboxDesk:
    """A sandbox, its adapter, and the webhooks that it sent: the last of `answers` is what they get from then on."""

    def __init__(self, **config: Any) -> None:
        self.now = 1_800_000_000.0
        self.sent: list[tuple[bytes, Mapping[str, str]]] = []
        self.answers = [200]
        agreed = SandboxConfig(api_key=API_KEY, webhook_secret=SECRET, silence_seconds=0, **config)
        self.sandbox = SandboxApp(agreed, post=self._take, clock=self.clock)
        self.provider = SandboxProvider("", API_KEY, app=self.sandbox.app)
        self.webhooks = SandboxWebhooks([SECRET], clock=self.clock)

    def clock(self) -> float:
        return self.now

    async def later(self, seconds: float) -> None:
        """Let time pass, and everything be sent that is due by then."""
        self.now += seconds
        self.sandbox._webhooks.wake()
        while (self.sandbox._books.next_due() or self.now + 1) <= self.now:  # noqa: ASYNC110 — the queue is a table, which tells nobody.
            await asyncio.sleep(0)

    async def events(self) -> list[ProviderEvent]:
        """Read what was sent, as the receiver does."""
        read = [await self.webhooks.read(body, headers) for body, headers in self.sent]
        return [event for event in read if event is not None]

    async def facts(self) -> list[str]:
        return [event.fact for event in await self.events()]

    def charges(self) -> list[dict[str, Any]]:
        return [each for each in self.sandbox._books.all() if each["object"] == "charge"]

    async def aclose(self) -> None:
        await self.provider.close()
        await self.sandbox.aclose()

    async def _take(self, body: bytes, headers: Mapping[str, str]) -> int:
        self.sent.append((body, headers))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def event_ids(sent: list[tuple[bytes, Mapping[str, str]]]) -> list[str]:
    return [orjson.loads(body)["id"] for body, _ in sent]


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port of loopback, in a thread of its own; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
