"""Webhooks of payment providers: proved to be theirs, handled once, and answered so that they send them again if need be."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data.inbox import mark
from data.transactions import SqlTransactions
from domain.kernel import SYSTEM, Principal, Work
from domain.payments.providers import ProviderEvent, WebhookRejected

log = structlog.get_logger("agora.webhooks")

PATH = "/webhooks/{provider}"
OWN_PATH = f"{PATH}/{{endpoint}}"
TOLERANCE_SECONDS = 300
MAX_BODY_BYTES = 256 * 1024
_NAMESPACE = UUID("7d0a2f0c-53a5-4c0e-9a3e-6f1f0f6f1c11")

Handle = Callable[[ProviderEvent], Awaitable[bool]]
"""Does what an event asks for, and says whether that was the first time; raises where it must come again."""


class NoSuchEndpoint(Exception):
    """Nobody is to post there."""


class WebhookReceiver(Protocol):
    """Reads what one provider sends."""

    @property
    def name(self) -> str: ...

    async def read(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Give the event, or None for one of a kind that means nothing here.

        Raises: WebhookRejected; ProviderUnreachable where the provider had to be asked for more.
        """
        ...


class Endpoints(Protocol):
    """Reads what tenants' own accounts send, each to an endpoint of its own and signed with its own secret."""

    async def read(self, provider: str, endpoint: str, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Give the event, or None for one of a kind that means nothing here.

        Raises: NoSuchEndpoint; WebhookRejected, also for an event of another tenant;
            ProviderUnreachable.
        """
        ...


def sign(body: bytes, secret: str, at: int) -> str:
    """Give the signature header `t=<seconds since 1970>,v1=<hex>` over time and body.

    Source: RFC 2104 (HMAC) with SHA-256.
    """
    return f"t={at},v1={_digest(body, secret, str(at))}"


def check_signature(provider: str, body: bytes, header: str | None, secrets: Iterable[str], now: float) -> None:
    """Refuse a body that was not signed with one of the secrets within the last five minutes.

    Several secrets are valid while they are being exchanged.

    Raises: WebhookRejected.
    """
    fields = [part.partition("=") for part in (header or "").split(",")]
    moment = next((value for name, _, value in fields if name == "t"), "")
    given = [value for name, _, value in fields if name == "v1"]
    if not (moment.isascii() and moment.isdigit() and len(moment) < 20 and given):
        raise WebhookRejected(provider=provider, reason="it is not signed")
    expected = [_digest(body, secret, moment) for secret in secrets if secret]
    # Bytes, because digests of strings outside ASCII cannot be compared.
    if not any(hmac.compare_digest(ours.encode(), theirs.encode()) for ours in expected for theirs in given):
        raise WebhookRejected(provider=provider, reason="the signature does not match")
    if abs(now - int(moment)) > TOLERANCE_SECONDS:
        raise WebhookRejected(provider=provider, reason="the signature is too old")


def webhook_route(receivers: Iterable[WebhookReceiver], handle: Handle) -> Route:
    """Make the route that providers post to; see `_route` for what it answers."""
    by_name = {receiver.name: receiver for receiver in receivers}

    async def read(request: Request, body: bytes) -> ProviderEvent | None:
        name = request.path_params["provider"]
        if name not in by_name:
            raise NoSuchEndpoint(name)
        return await by_name[name].read(body, request.headers)

    return _route(PATH, read, handle)


def endpoint_route(endpoints: Endpoints, handle: Handle) -> Route:
    """Make the route that tenants' own accounts post to."""

    async def read(request: Request, body: bytes) -> ProviderEvent | None:
        return await endpoints.read(
            request.path_params["provider"], request.path_params["endpoint"], body, request.headers
        )

    return _route(OWN_PATH, read, handle)


def _route(path: str, read: Callable[[Request, bytes], Awaitable[ProviderEvent | None]], handle: Handle) -> Route:
    """Read and handle what is posted.

    It answers 200 when the event has been dealt with, now or earlier, or means nothing here; 400 when it is not proved;
    404 for a provider that is not set up; 413 for a body above 256 KiB; and 503 when it should come again.
    """

    async def receive(request: Request) -> Response:
        name = request.path_params["provider"]
        body = await _body(request)
        if body is None:
            return JSONResponse({"code": "BODY_TOO_LARGE"}, 413, {"connection": "close"})
        try:
            event = await read(request, body)
            outcome = "ignored" if event is None else "handled" if await handle(event) else "known"
        except NoSuchEndpoint:
            return JSONResponse({"code": "NOT_FOUND"}, 404)
        except WebhookRejected as rejected:
            log.warning("webhook.rejected", provider=name, reason=rejected.reason, client=_client(request))
            return JSONResponse({"code": rejected.code}, 400)
        except Exception as error:
            # Whatever it was, the provider sends the event again.
            log.warning("webhook.failed", provider=name, reason=repr(error), exc_info=error)
            return JSONResponse({"code": "TRY_AGAIN"}, 503)
        log.info("webhook.received", provider=name, outcome=outcome, **_told(event))
        return JSONResponse({"outcome": outcome})

    return Route(path, receive, methods=["POST"])


class HandledOnce:
    """Marks an event in the transaction of what its handler does, so that it takes effect exactly once.

    `handler` is a domain handler `(event, work and ports by annotation)`; when it fails, the mark is gone too. The same
    event at the same time waits for the first one to end. A suspended tenant's money is noted all the same.
    """

    def __init__(
        self,
        transactions: SqlTransactions,
        handler: Callable[..., Awaitable[Any]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transactions = transactions
        self._handler = handler
        self._now = now

    async def __call__(self, event: ProviderEvent) -> bool:
        """Handle an event, unless that was done before; says whether it was the first time."""
        work = _work(event, self._now())
        source = f"webhook.{event.provider}"
        # A tenant that signs for itself can name events as it likes, and must not use up the names of another's.
        sender = "" if event.account is None else f"{event.account}:"
        mark_id = uuid5(_NAMESPACE, f"{event.provider}:{sender}{event.event_id}")

        async def steps(session: AsyncSession, _writable: bool) -> bool:
            if not await mark(session, source, mark_id, event.tenant_id):
                return False
            await self._transactions.perform(session, self._handler, event, work)
            return True

        return await self._transactions.transaction(steps, work)


def _work(event: ProviderEvent, now: datetime) -> Work:
    actor = Principal(tenant_id=event.tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions)
    return Work(
        tenant_id=event.tenant_id, actor=actor, now=now, correlation_id=f"webhook:{event.provider}:{event.event_id}"
    )


def _digest(body: bytes, secret: str, moment: str) -> str:
    return hmac.new(secret.encode(), moment.encode() + b"." + body, sha256).hexdigest()


async def _body(request: Request) -> bytes | None:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            return None
    return bytes(received)


def _client(request: Request) -> str | None:
    return request.client.host if request.client else None


def _told(event: ProviderEvent | None) -> dict[str, Any]:
    if event is None:
        return {}
    return {"event_id": event.event_id, "fact": event.fact, "tenant_id": event.tenant_id, "reference": event.reference}
