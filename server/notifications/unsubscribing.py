"""Links that let people leave: signed, good for ever, and followed by a person or by their mail program."""

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from domain.kernel import SYSTEM, DomainError, Principal, Transactions, Work
from domain.notifications import Unsubscribe, UnsubscribeTokens, unsubscribe

PATH = "/unsubscribe/{token}"
LONGEST_TOKEN = 300
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


class SignedTokens:
    """Implements the domain's `UnsubscribeTokens`: a token names a letter and nobody's address."""

    def __init__(self, derive: Callable[[str, int], bytes]) -> None:
        self._serializer = URLSafeSerializer(derive("unsubscribe", 32), salt="unsubscribe")

    def issue(self, tenant_id: UUID, notification_id: UUID) -> str:
        return str(self._serializer.dumps([tenant_id.hex, notification_id.hex]))

    def read(self, token: str) -> tuple[UUID, UUID] | None:
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            tenant, notification = self._serializer.loads(token)
            return UUID(hex=tenant), UUID(hex=notification)
        except (BadSignature, ValueError, TypeError, AttributeError):
            return None


def unsubscribe_route(tokens: UnsubscribeTokens, transactions: Callable[[], Transactions]) -> Route:
    """Make the page behind the links. GET asks, for link checkers follow links; POST does it, as RFC 8058 has it."""

    async def answer(request: Request) -> Response:
        token = request.path_params["token"]
        named = tokens.read(token)
        if named is None:
            return _page("This link is not one of ours.", status=404)
        if request.method == "GET":
            return _page("Do you want to get no more messages of this kind?", asks=True)
        actor = Principal(tenant_id=named[0], roles=SYSTEM.roles, permissions=SYSTEM.permissions)
        work = Work(tenant_id=named[0], actor=actor, now=datetime.now(UTC), correlation_id=f"unsubscribe:{named[1]}")
        try:
            await transactions().run(unsubscribe, Unsubscribe(token=token), work)
        except DomainError as refusal:
            return _page(refusal.message, status=400)
        return _page("Done: you get no more messages of this kind.")

    return Route(PATH, answer, methods=["GET", "POST"])


def _page(text: str, *, asks: bool = False, status: int = 200) -> Response:
    form = '<form method="post"><button>Unsubscribe</button></form>' if asks else ""
    return HTMLResponse(
        f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Unsubscribe</title><style>body{{font:17px/1.5 system-ui,sans-serif;color:#1d2620;background:#f3f4f1;display:grid;
place-items:center;min-height:90vh;margin:0}}main{{background:#fff;border-radius:12px;padding:32px 40px;max-width:28rem}}
button{{font:inherit;font-weight:600;border:0;border-radius:8px;padding:.7em 1.4em;background:#2f6b4f;color:#fff;cursor:pointer}}
</style></head><body><main><p>{escape(text)}</p>{form}</main></body></html>""",
        status,
        _HEADERS,
    )
