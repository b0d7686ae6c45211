"""The sandbox provider as an HTTP application of its own: a payment provider to try everything with, and no real money.

It stands in for what others sell: charges by tokens of cards that behave well or badly (`sandbox_cards`), refunds,
transfers, disputes, a statement as CSV, and signed webhooks that are sent again until they are taken.
"""

import asyncio
import csv
import hmac
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from domain.money import decimal_text
from server.payments.sandbox_bank import SandboxBank
from server.payments.sandbox_books import Answer, Pending, Refusal, SandboxBooks
from server.payments.sandbox_cards import CARDS, Behaviour
from server.payments.webhooks import sign

log = structlog.get_logger("agora.sandbox")

SIGNATURE_HEADER = "sandbox-signature"
OWN_KEY = "sbx_key_"
"""Whatever begins so is a key too, for tenants who try what an account of their own would be like; the books are the same."""
REPLAYED_HEADER = "idempotent-replayed"
LOOK_AGAIN_SECONDS = 1.0
LEASE_SECONDS = 30.0
Post = Callable[[bytes, Mapping[str, str]], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """What the provider and its customer have agreed on.

    `told_seconds` is how much later a webhook comes that tells what an answer has told, `silence_seconds` is how long a card that times out keeps its caller waiting; `retry_seconds` are the pauses after
    which a webhook is sent again.
    """

    api_key: str
    webhook_secret: str
    webhook_url: str = ""
    path: Path | str = ":memory:"
    late_seconds: float = 2.0
    told_seconds: float = 0.0
    silence_seconds: float = 60.0
    retry_seconds: Sequence[float] = (1.0, 5.0, 30.0, 120.0, 600.0)
    tells_all: bool = True


class SandboxApp:
    """The provider: `app` is what to serve or to mount, `aclose` ends it."""

    def __init__(
        self, config: SandboxConfig, *, post: Post | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._books = SandboxBooks(config.path, clock)
        self.bank = SandboxBank(
            self._books, late_seconds=config.late_seconds, told_seconds=config.told_seconds, tells_all=config.tells_all
        )
        self._webhooks = SandboxWebhookSender(self._books, config, post)
        self._stumbled: set[str] = set()
        self.app = Starlette(
            routes=[
                self._route("/v1/charges", self._charge),
                self._route("/v1/charges/{id}/capture", self._capture),
                self._route("/v1/charges/{id}/confirm", self._confirm),
                self._route("/v1/charges/{id}/void", self._void),
                self._route("/v1/charges/{id}/refunds", self._refund),
                self._route("/v1/transfers", self._transfer),
                self._route("/v1/disputes/{id}/close", self._close_dispute),
                self._route("/v1/charges", self._find, "GET"),
                self._route("/v1/charges/{id}", self._show, "GET"),
                self._route("/v1/statement", self._statement, "GET"),
            ],
            lifespan=self._lifespan,
        )

    async def aclose(self) -> None:
        """Stop sending, and close the books; what was not sent yet is sent after the next start."""
        await self._webhooks.aclose()
        self._books.close()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._webhooks.wake()
        yield
        await self.aclose()

    def _route(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "POST") -> Route:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            agreed = hmac.compare_digest(given, f"Bearer {self._config.api_key}".encode())
            if not agreed and not given.startswith(f"Bearer {OWN_KEY}".encode()):
                return JSONResponse({"code": "unauthorized"}, 401)
            try:
                return await endpoint(request)
            except Refusal as refusal:
                return JSONResponse({"code": refusal.code}, refusal.status)
            finally:
                # A mounted application has no lifespan of its own, so the sender starts with the first request.
                self._webhooks.wake()

        return Route(path, guarded, methods=[method])

    async def _charge(self, request: Request) -> Response:
        wanted = await _read(request)
        key = _key(request)
        if not isinstance(wanted.get("method"), str) or not isinstance(wanted.get("capture"), bool):
            raise Refusal(400, "malformed")
        card = CARDS.get(wanted["method"])
        behaviour = card.behaviour if card else Behaviour.DECLINE
        if behaviour in {Behaviour.TIME_OUT_BEFORE, Behaviour.FAIL_BEFORE} and key not in self._stumbled:
            self._stumbled.add(key)
            return await self._trouble(behaviour)
        answer = self.bank.charge(key, wanted)
        if behaviour in {Behaviour.TIME_OUT_AFTER, Behaviour.FAIL_AFTER} and not answer.repeated:
            self._webhooks.wake()
            return await self._trouble(behaviour)
        return _json(answer)

    async def _trouble(self, behaviour: Behaviour) -> Response:
        if behaviour in {Behaviour.TIME_OUT_BEFORE, Behaviour.TIME_OUT_AFTER}:
            await asyncio.sleep(self._config.silence_seconds)
        return JSONResponse({"code": "internal"}, 500)

    async def _capture(self, request: Request) -> Response:
        return _json(self.bank.capture(_key(request), request.path_params["id"], await _read(request)))

    async def _confirm(self, request: Request) -> Response:
        secret = str(orjson.loads(await request.body() or b"{}").get("client_secret"))
        return JSONResponse(self.bank.confirm(request.path_params["id"], secret))

    async def _void(self, request: Request) -> Response:
        return _json(self.bank.void(_key(request), request.path_params["id"]))

    async def _refund(self, request: Request) -> Response:
        return _json(self.bank.refund(_key(request), request.path_params["id"], await _read(request)))

    async def _transfer(self, request: Request) -> Response:
        wanted = await _read(request)
        if not isinstance(wanted.get("destination"), str):
            raise Refusal(400, "malformed")
        return _json(self.bank.transfer(_key(request), wanted))

    async def _close_dispute(self, request: Request) -> Response:
        won = orjson.loads(await request.body() or b"{}").get("won") is True
        return JSONResponse(self.bank.close_dispute(request.path_params["id"], won=won))

    async def _find(self, request: Request) -> Response:
        charge = self.bank.charge_under(request.query_params.get("key", ""))
        if charge is None:
            raise Refusal(404, "no_such_charge")
        return JSONResponse(charge)

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self.bank.charge_of(request.path_params["id"]))

    async def _statement(self, _: Request) -> Response:
        """Every movement, as decimals: what leaves has a minus, only a charge has a fee."""
        sheet = io.StringIO()
        rows = csv.writer(sheet, lineterminator="\n")
        rows.writerow(["date", "type", "reference", "charge", "amount", "fee", "currency"])
        for each in self.bank.movements():
            currency, fee = each["currency"], each.get("fee")
            money = decimal_text(each["moved"], currency), "" if fee is None else decimal_text(fee, currency), currency
            moment = datetime.fromtimestamp(each["created"], UTC).isoformat()
            rows.writerow([moment, each["type"], each["id"], each.get("charge", ""), *money])
        return Response(sheet.getvalue(), media_type="text/csv")


class SandboxWebhookSender:
    """Sends what is queued when it is due, one after the other, and again until it is taken or given up."""

    def __init__(self, books: SandboxBooks, config: SandboxConfig, post: Post | None) -> None:
        self._books = books
        self._config = config
        self._client: Any = None
        self._post = post or self._over_http
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look at the queue now; without an address nothing is ever sent."""
        if self._post == self._over_http and not self._config.webhook_url:
            return
        self._woken.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Stop sending."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._client is not None:
            await self._client.aclose()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            while pending := self._books.claim(LEASE_SECONDS):
                await self._send(pending)
            moment = self._books.next_due()
            pause = LOOK_AGAIN_SECONDS if moment is None else max(0.0, moment - self._books.clock())
            with suppress(TimeoutError):
                # Another process may have queued something meanwhile.
                async with asyncio.timeout(min(pause, LOOK_AGAIN_SECONDS)):
                    await self._woken.wait()

    async def _send(self, pending: Pending) -> None:
        headers = {
            "content-type": "application/json",
            # Signed anew each time, for an old signature would be refused.
            SIGNATURE_HEADER: sign(pending.body, self._config.webhook_secret, int(self._books.clock())),
        }
        try:
            status = await self._post(pending.body, headers)
        except Exception as error:
            # Whatever it was, this one is sent again later, and the next one now.
            log.info("sandbox.webhook_not_taken", reason=repr(error), exc_info=error)
            status = 0
        if 200 <= status < 300 or pending.attempts >= len(self._config.retry_seconds):
            self._books.settle(pending.sequence)
        else:
            self._books.postpone(pending.sequence, self._config.retry_seconds[pending.attempts])

    async def _over_http(self, body: bytes, headers: Mapping[str, str]) -> int:
        if self._client is None:
            # Most servers have no sandbox, and better uses for the memory.
            import httpx  # noqa: PLC0415

            self._client = httpx.AsyncClient(timeout=10, trust_env=False)
        answer = await self._client.post(self._config.webhook_url, content=body, headers=dict(headers))
        return int(answer.status_code)


def post_into(app: ASGIApp, path: str) -> Post:
    """Give what hands webhooks to an application in this process, at a path of it, without a network between."""
    import httpx  # noqa: PLC0415 — see above.

    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agora")

    async def post(body: bytes, headers: Mapping[str, str]) -> int:
        answer = await client.post(path, content=body, headers=dict(headers))
        return answer.status_code

    return post


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key")
    if not key:
        raise Refusal(400, "idempotency_key_required")
    return key


async def _read(request: Request) -> dict[str, Any]:
    try:
        wanted = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refusal(400, "malformed") from None
    amount = wanted.get("amount") if isinstance(wanted, dict) else None
    if type(amount) is not int or not isinstance(wanted.get("currency"), str):
        raise Refusal(400, "malformed")
    if not 0 < amount < 2**53:
        raise Refusal(422, "amount_out_of_range")
    return dict(wanted)


def _json(answer: Answer) -> Response:
    return JSONResponse(answer.body, answer.status, {REPLAYED_HEADER: "true"} if answer.repeated else None)
