"""Bounces as mail providers report them: one signed POST for each letter that came back."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.kernel import SYSTEM, InvalidStateTransition, NotFound, Principal, Transactions, Work
from domain.notifications import RecordBounce, record_bounce
from domain.payments.providers import WebhookRejected
from server.notifications.letters import read_message_id
from server.payments.webhooks import check_signature

log = structlog.get_logger("agora.bounces")

PATH = "/webhooks/mail/bounces"
SIGNATURE = "agora-signature"
_MUTE = frozenset({"bounced", "complained"})


def bounce_route(secrets: Sequence[str], transactions: Callable[[], Transactions]) -> Route:
    """Make `POST /webhooks/mail/bounces` with `{"messageId", "kind": "bounced" | "complained" | "delayed", "reason"}`.

    It answers 200 when the report was dealt with or means nothing here, and 400 when it is not proved to be the provider's.
    """

    async def receive(request: Request) -> Response:
        body = await request.body()
        try:
            check_signature("mail", body, request.headers.get(SIGNATURE), secrets, time.time())
            report = _read(body)
        except (WebhookRejected, ValueError, TypeError) as refused:
            log.warning("bounce.rejected", reason=str(refused))
            return JSONResponse({"code": "WEBHOOK_REJECTED"}, 400)
        named = read_message_id(str(report.get("messageId", "")))
        if named is None:
            return JSONResponse({"outcome": "ignored"})
        actor = Principal(tenant_id=named[0], roles=SYSTEM.roles, permissions=SYSTEM.permissions)
        work = Work(tenant_id=named[0], actor=actor, now=datetime.now(UTC), correlation_id=f"bounce:{named[1]}")
        kind, reason = str(report.get("kind", "bounced")), str(report.get("reason", ""))[:500].replace("\0", "")
        command = RecordBounce(id=named[1], permanent=kind in _MUTE, reason=reason or kind)
        try:
            await transactions().run(record_bounce, command, work)
        except (NotFound, InvalidStateTransition) as refusal:
            return JSONResponse({"outcome": "ignored", "code": refusal.code})
        return JSONResponse({"outcome": "handled"})

    return Route(PATH, receive, methods=["POST"])


def _read(body: bytes) -> dict[str, Any]:
    report = orjson.loads(body)
    if not isinstance(report, dict):
        raise TypeError("a report is an object")
    return report
