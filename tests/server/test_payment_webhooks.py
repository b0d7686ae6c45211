"""Webhooks: what is not proved is refused, what is proved takes effect once, and what fails comes again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette

from data.database import Database
from data.inbox import inbox, mark
from data.kernel import PORTS
from data.transactions import SqlTransactions
from domain.kernel import NotFound, Work, uuid7
from domain.money import Money
from domain.payments.providers import ProviderEvent, ProviderFact, WebhookRejected
from server.payments.sandbox import SandboxProvider, SandboxWebhooks
from server.payments.sandbox_app import SandboxApp, SandboxConfig, post_into
from server.payments.webhooks import MAX_BODY_BYTES, Handle, HandledOnce, check_signature, sign, webhook_route
from tests.sandbox.desk import API_KEY, SECRET, SandboxDesk, charge_request, served

NOW = 1_800_000_000


def told(tenant_id: UUID) -> ProviderEvent:
    return ProviderEvent(
        provider="sandbox",
        event_id=f"evt-{uuid7()}",
        fact=ProviderFact.CHARGE_CAPTURED,
        tenant_id=tenant_id,
        occurred_at=datetime(2026, 3, 14, tzinfo=UTC),
        reference="sbx_ch_1",
        amount=Money(100, "CAD"),
    )


class TestSignature:
    def test_is_known_for_this_body_and_moment(self) -> None:
        header = sign(b'{"id":"evt-1"}', "secret", NOW)

        # The digest is what `openssl dgst -sha256 -hmac secret` gives for the moment, a dot and the body.
        assert header == f"t={NOW},v1=0804e521a8daca560879fe4cb803c4764bd0ed109790b8a0a5a717c92ee46835"
        check_signature("sandbox", b'{"id":"evt-1"}', header, ["secret"], NOW)

    def test_is_taken_with_any_of_the_secrets_that_are_being_exchanged(self) -> None:
        check_signature("sandbox", b"{}", sign(b"{}", "new", NOW), ["old", "new"], NOW)

    @pytest.mark.parametrize("age", [-300, 0, 300])
    def test_is_taken_within_five_minutes(self, age: int) -> None:
        check_signature("sandbox", b"{}", sign(b"{}", "secret", NOW - age), ["secret"], NOW)

    @pytest.mark.parametrize("age", [-301, 301, 10**6])
    def test_is_refused_when_it_is_replayed_later(self, age: int) -> None:
        with pytest.raises(WebhookRejected, match="too old"):
            check_signature("sandbox", b"{}", sign(b"{}", "secret", NOW - age), ["secret"], NOW)

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "t=,v1=",
            "v1=00",
            f"t={NOW}",
            f"t={NOW},v1=00",
            f"t={NOW},v1=é",
            f"t=-{NOW},v1=00",
            "t=١٢,v1=00",
            f"t={'9' * 400},v1=00",
            sign(b"{}", "another secret", NOW),
            sign(b"{} ", "secret", NOW),
            sign(b"{}", "secret", NOW).replace(str(NOW), str(NOW + 1)),
        ],
    )
    def test_is_refused_when_anything_about_it_is_wrong(self, header: str | None) -> None:
        with pytest.raises(WebhookRejected):
            check_signature("sandbox", b"{}", header, ["secret"], NOW)

    def test_is_never_right_without_a_secret(self) -> None:
        with pytest.raises(WebhookRejected):
            check_signature("sandbox", b"{}", sign(b"{}", "", NOW), [""], NOW)
        with pytest.raises(WebhookRejected):
            check_signature("sandbox", b"{}", sign(b"{}", "", NOW), [], NOW)


class Door:
    """The route with a handler that remembers what it was given, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.desk = SandboxDesk()
        self.handled: list[str] = []
        self.failures = 0
        app = Starlette(routes=[webhook_route([self.desk.webhooks], self.handle)])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agora.test")

    async def handle(self, event: ProviderEvent) -> bool:
        if self.failures:
            self.failures -= 1
            raise NotFound(kind="Payment", id=event.reference)
        self.handled.append(event.event_id)
        return self.handled.count(event.event_id) == 1

    async def charged(self) -> tuple[bytes, dict[str, str]]:
        await self.desk.provider.charge(charge_request())
        await self.desk.later(0)
        body, headers = self.desk.sent[-1]
        return body, dict(headers)

    async def post(self, body: bytes, headers: dict[str, str], provider: str = "sandbox") -> tuple[int, dict[str, str]]:
        answer = await self.client.post(f"/webhooks/{provider}", content=body, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    opened = Door()
    yield opened
    await opened.client.aclose()
    await opened.desk.aclose()


class TestRoute:
    async def test_hands_on_what_is_signed(self, door: Door) -> None:
        body, headers = await door.charged()

        assert await door.post(body, headers) == (200, {"outcome": "handled"})
        assert await door.post(body, headers) == (200, {"outcome": "known"})
        assert len(door.handled) == 2

    async def test_refuses_what_is_not_signed_and_hands_nothing_on(self, door: Door) -> None:
        body, headers = await door.charged()
        forged = orjson.dumps(orjson.loads(body) | {"id": "evt-forged"})

        assert await door.post(body, {}) == (400, {"code": "WEBHOOK_REJECTED"})
        assert await door.post(forged, headers) == (400, {"code": "WEBHOOK_REJECTED"})
        assert door.handled == []

    async def test_refuses_what_is_signed_and_cannot_be_read(self, door: Door) -> None:
        for body in (b"", b"[]", b"\xff", b"{}", b'{"type":"charge.captured"}', b'{"type":["x"]}'):
            headers = {"sandbox-signature": sign(body, SECRET, int(door.desk.now))}
            assert await door.post(body, headers) == (400, {"code": "WEBHOOK_REJECTED"})
        assert door.handled == []

    async def test_lets_pass_what_means_nothing_here(self, door: Door) -> None:
        body = b'{"type":"customer.created","id":"evt-1"}'
        headers = {"sandbox-signature": sign(body, SECRET, int(door.desk.now))}

        assert await door.post(body, headers) == (200, {"outcome": "ignored"})
        assert door.handled == []

    async def test_asks_for_it_again_when_handling_fails(self, door: Door) -> None:
        body, headers = await door.charged()
        door.failures = 1

        assert await door.post(body, headers) == (503, {"code": "TRY_AGAIN"})
        assert await door.post(body, headers) == (200, {"outcome": "handled"})

    async def test_knows_only_providers_that_are_set_up(self, door: Door) -> None:
        body, headers = await door.charged()

        assert await door.post(body, headers, "stripe") == (404, {"code": "NOT_FOUND"})

    async def test_refuses_a_body_that_is_too_large(self, door: Door) -> None:
        assert await door.post(b" " * (MAX_BODY_BYTES + 1), {}) == (413, {"code": "BODY_TOO_LARGE"})


class TestPostInto:
    async def test_hands_a_webhook_to_an_application_in_this_process(self, door: Door) -> None:
        app = Starlette(routes=[webhook_route([door.desk.webhooks], door.handle)])
        post = post_into(app, "/webhooks/sandbox")
        body, headers = await door.charged()

        assert await post(body, headers) == 200
        assert await post(body + b" ", headers) == 400
        assert len(door.handled) == 1


class Tally(Protocol):
    async def note(self, tenant_id: UUID) -> None: ...


class SqlTally:
    """Counts in a table that is there, in the transaction that it is given."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def note(self, tenant_id: UUID) -> None:
        await mark(self._session, "tally", uuid7(), tenant_id)


async def count(event: ProviderEvent, work: Work, tally: Tally) -> None:
    assert work.tenant_id == event.tenant_id
    await tally.note(event.tenant_id)
    if event.reason == "fail":
        raise NotFound(kind="Payment", id=event.reference)


@pytest.fixture
def once(transactions: SqlTransactions) -> Iterator[Handle]:
    PORTS[Tally] = SqlTally
    yield HandledOnce(transactions, count)
    del PORTS[Tally]


async def tallied(database: Database, tenant_id: UUID) -> int:
    async with database.session(tenant_id) as session:
        counted = select(func.count()).select_from(inbox).where(inbox.c.handler == "tally")
        return int(await session.scalar(counted) or 0)


class TestHandledOnce:
    async def test_handles_an_event_once_however_often_it_comes(
        self, once: Handle, database: Database, tenant_id: UUID
    ) -> None:
        event = told(tenant_id)

        assert [await once(event) for _ in range(3)] == [True, False, False]
        assert await tallied(database, tenant_id) == 1

    async def test_handles_an_event_once_when_it_comes_many_times_at_once(
        self, once: Handle, database: Database, tenant_id: UUID
    ) -> None:
        event = told(tenant_id)
        answers = await asyncio.gather(*(once(event) for _ in range(12)))

        assert sorted(answers) == [False] * 11 + [True]
        assert await tallied(database, tenant_id) == 1

    async def test_forgets_an_event_whose_handling_failed(
        self, once: Handle, database: Database, tenant_id: UUID
    ) -> None:
        event = told(tenant_id)
        failing = replace(event, reason="fail")
        with pytest.raises(NotFound):
            await once(failing)
        assert await tallied(database, tenant_id) == 0

        assert await once(event)
        assert await tallied(database, tenant_id) == 1

    async def test_tells_events_of_two_providers_apart(self, once: Handle, tenant_id: UUID) -> None:
        event = told(tenant_id)

        assert await once(event)
        assert await once(replace(event, provider="stripe"))

    async def test_notes_the_money_of_a_suspended_tenant(self, once: Handle, make_tenant: Callable[..., UUID]) -> None:
        suspended = make_tenant(status="suspended")

        assert await once(told(suspended))


class TestWholeWay:
    async def test_from_the_card_to_the_handler_over_http(self) -> None:
        """The sandbox confirms late, stumbles over a server that is not ready, and comes again."""
        arrived: list[ProviderEvent] = []
        refusals = [1]

        async def handle(event: ProviderEvent) -> bool:
            if refusals:
                refusals.pop()
                raise ConnectionError
            arrived.append(event)
            return True

        agora = Starlette(routes=[webhook_route([SandboxWebhooks([SECRET])], handle)])
        with served(agora) as agora_url:
            sandbox = SandboxApp(
                SandboxConfig(
                    api_key=API_KEY,
                    webhook_secret=SECRET,
                    webhook_url=f"{agora_url}/webhooks/sandbox",
                    late_seconds=0.1,
                    retry_seconds=(0.1, 0.1),
                    tells_all=False,
                )
            )
            with served(sandbox.app) as sandbox_url:
                provider = SandboxProvider(sandbox_url, API_KEY)
                pending = await provider.charge(charge_request("sbx_card_late"))
                async with asyncio.timeout(10):
                    while not arrived:  # noqa: ASYNC110 — it is filled in another thread.
                        await asyncio.sleep(0.02)
                await provider.close()

        assert [(each.fact, each.reference) for each in arrived] == [("charge.captured", pending.reference)]
