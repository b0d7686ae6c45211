"""Where a browser comes by that a provider makes post a form: it is sent on to the client that began."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from data.database import Database
from domain.identity.sessions import hash_token
from domain.identity.social_login import NoteName, SocialLoginReads, note_name
from domain.kernel import NOBODY, TenantReadOnly, Transactions, Work
from server.sign_on.apple import name_told
from server.sign_on.directory import CALLBACK_PATH

PASSED_ON = ("code", "state", "iss", "error", "error_description")
MOST_FIELDS = 20
_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


def callback_route(database: Callable[[], Database], transactions: Callable[[], Transactions]) -> Route:
    """Make `/auth/callback/<provider>`.

    It proves nothing and gives nobody a session: that takes the binding, which only the client has. Of a state that is not known, or
    has been used, nothing is sent anywhere, so that the route leads nowhere that was not allowed.
    """

    async def come_back(request: Request) -> Response:
        body = await request.body() if request.method == "POST" else request.url.query.encode()
        try:
            given = dict(parse_qsl(body.decode("ascii"), max_num_fields=MOST_FIELDS))
        except ValueError:
            return _refused()
        row = await _begun(database(), given.get("state", ""))
        now = datetime.now(UTC)
        if row is None or row.provider != request.path_params["provider"] or now >= row.expires_at:
            return _refused()
        await _keep_name(given, row.tenant_id, transactions(), now)
        passed = urlencode({name: given[name] for name in PASSED_ON if name in given})
        joint = "&" if "?" in row.redirect_uri else "?"
        return RedirectResponse(f"{row.redirect_uri}{joint}{passed}", 303, _HEADERS)

    return Route(CALLBACK_PATH, come_back, methods=["GET", "POST"])


async def _begun(database: Database, state: str) -> Any | None:
    # Whose it is, nobody knows before it is found.
    reads = database.system_reads()
    try:
        return await reads.port(SocialLoginReads).by_state(hash_token(state))
    finally:
        await reads.close()


async def _keep_name(given: Mapping[str, str], tenant_id: UUID, transactions: Transactions, now: datetime) -> None:
    first, last = name_told(given.get("user"))
    if first is None and last is None:
        return
    command = NoteName(state_hash=hash_token(given["state"]), first_name=first, last_name=last)
    work = Work(tenant_id=tenant_id, actor=NOBODY, now=now, correlation_id="sign-on")
    try:
        await transactions.run(note_name, command, work)
    except TenantReadOnly:
        # Nobody registers there now, and whoever is known keeps the name they have.
        return


def _refused() -> Response:
    return PlainTextResponse("This log-in is not known here, or has run out. Begin anew.", 400, _HEADERS)
