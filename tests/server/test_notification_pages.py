"""The mailbox in a real browser, the page behind unsubscribe links, and reports of bounces."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from starlette.applications import Starlette

from data.transactions import SqlTransactions
from domain.identity.profile import Profile
from domain.identity.users import User
from domain.kernel import Work, uuid7
from domain.notifications import (
    BeginSending,
    Channel,
    FinishSending,
    Frame,
    Message,
    MessageCategory,
    Preferences,
    Receipt,
    SendNotification,
    UnsubscribeTokens,
    begin_sending,
    example_of,
    finish_sending,
    own_source,
)
from domain.processes.notifying import send_notification
from server.app import build
from server.notifications.bounces import PATH as BOUNCES
from server.notifications.bounces import SIGNATURE, bounce_route
from server.notifications.mailbox import Mailbox, MailboxSender
from server.notifications.templating import JinjaTemplates
from server.notifications.unsubscribing import unsubscribe_route
from server.pages.mailbox import mailbox_routes
from server.payments.webhooks import sign
from server.settings import Settings
from tests.events import eventually
from tests.notifications import TOKENS, add_user
from tests.server.application import Application
from tests.server.conftest import Shop

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SECRET = "a secret that both sides know"


@pytest.fixture
async def mailbox(tmp_path: Path) -> Mailbox:
    box = Mailbox(tmp_path)
    engine, people = JinjaTemplates(), ("ann@example.com", "+14165550123", "jean@example.com")
    written = (
        ("order_confirmation", Channel.EMAIL, "en"),
        ("delivery_arriving", Channel.SMS, "en"),
        ("abandoned_cart", Channel.EMAIL, "fr"),
    )
    for (code, channel, locale), to in zip(written, people, strict=True):
        source = own_source(code, channel, locale)
        assert source is not None
        leaving = "https://harbour.example/unsubscribe/x" if code == "abandoned_cart" else None
        frame = Frame(shop="Harbour", link="https://harbour.example/orders/1", unsubscribe_url=leaving)
        values = {**example_of(code), "name": "Ann <script>document.title='owned'</script>"}
        content = engine.render(source, values, locale, frame if channel is Channel.EMAIL else None)
        message = Message(
            id=uuid7(),
            tenant_id=uuid7(),
            channel=channel,
            to=to,
            subject=content.subject,
            text=content.text,
            html=content.html,
            link=frame.link,
            sender_name="Harbour",
            sender_address="shop@harbour.example",
            unsubscribe_url=leaving,
        )
        await MailboxSender(box).send(message)
    return box


@pytest.fixture
def url(mailbox: Mailbox) -> Iterator[str]:
    """Serve the page as the application does in development."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=mailbox_routes(mailbox)), log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the page is not served"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no Chromium")
class TestTheMailbox:
    async def test_shows_messages_and_letters_that_can_do_nothing(self, url: str, tmp_path: Path) -> None:
        from playwright.async_api import async_playwright, expect

        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1280, "height": 860})
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
            await page.goto(f"{url}/mailbox")
            await expect(page.locator("#messages li")).to_have_count(3)
            await page.get_by_text("Your order ORD-20260314-004711").click()
            letter = page.frame_locator("#html")
            await expect(letter.get_by_text("Hello Ann")).to_contain_text("<script>")
            assert await page.locator("#to").inner_text() == "ann@example.com"
            await page.screenshot(path=os.environ.get("AGORA_SCREENSHOT", str(tmp_path / "mailbox.png")))
            await page.get_by_role("tab", name="Text").click()
            await expect(page.locator("#text")).to_contain_text("CA$45.99")
            await page.get_by_role("button", name="SMS", exact=True).click()
            await expect(page.locator("#messages li")).to_have_count(1)
            await page.get_by_role("button", name="All", exact=True).click()
            await page.get_by_role("searchbox").fill("jean@")
            await expect(page.locator("#messages li")).to_have_count(1)
            assert await page.title() == "Mailbox"
            assert faults == []
            await browser.close()

    @pytest.mark.parametrize("environment", ["development", "production"])
    def test_is_there_in_development_only(self, environment: Any, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path, environment=environment, redis_url="redis://127.0.0.1:1")
        paths = {getattr(route, "path", "") for route in build(settings, ["platform", "tenancy", "identity"]).routes}
        assert ("/mailbox" in paths, "/mailbox/messages" in paths) == (environment == "development",) * 2
        assert "/unsubscribe/{token}" in paths

    async def test_serves_letters_in_a_sandbox(self, url: str, mailbox: Mailbox) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            listed = (await client.get("/mailbox/messages")).json()
            name = next(each["name"] for each in listed if each["channel"] == "email")
            letter = await client.get(f"/mailbox/messages/{name}/html")
            assert letter.headers["content-security-policy"].startswith("sandbox allow-popups; default-src 'none'")
            for wrong in ("x", "..%2f..%2fsecret.key", f"{uuid7()}.eml"):
                assert (await client.get(f"/mailbox/messages/{wrong}")).status_code == 404


class Office:
    """One letter that went out, and the routes that concern it."""

    def __init__(self, transactions: SqlTransactions, work: Work) -> None:
        transactions.offer({UnsubscribeTokens: TOKENS})
        self.transactions, self.work = transactions, work
        routes = [unsubscribe_route(TOKENS, lambda: transactions), bounce_route([SECRET], lambda: transactions)]
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://harbour.example"
        )

    async def run(self, handler: Any, command: Any) -> Any:
        return await self.transactions.run(handler, command, self.work)

    async def letter(self, template: str = "low_stock") -> Any:
        user = User.register(f"{uuid7().hex}@example.com", "hash", Profile(), self.work)
        await self.run(add_user, user)
        wanted = SendNotification(
            user_id=user.id, template=template, channels=(Channel.EMAIL,), data={"sku": "M", "available": 1}
        )
        sent = await self.run(send_notification, wanted)
        begun = await self.run(begin_sending, BeginSending(id=sent.id))
        await self.run(finish_sending, FinishSending(id=sent.id, attempt=begun.attempt, receipt=Receipt()))
        return sent

    async def wants(self, user_id: Any) -> bool:
        async def look(command: Any, preferences: Preferences) -> bool:
            found = await preferences.find(command)
            return found is None or found.wants(Channel.EMAIL, MessageCategory.ALERTS)

        return bool(await self.run(look, user_id))

    async def report(self, body: dict[str, Any], *, secret: str = SECRET) -> httpx.Response:
        raw = orjson.dumps(body)
        headers = {SIGNATURE: sign(raw, secret, int(time.time()))}
        return await self.client.post(BOUNCES, content=raw, headers=headers)


@pytest.fixture
def office(transactions: SqlTransactions, work: Work) -> Office:
    return Office(transactions, work)


class TestUnsubscribing:
    async def test_takes_one_click_of_a_mail_program_and_no_look_of_a_link_checker(self, office: Office) -> None:
        letter = await office.letter()
        path = f"/unsubscribe/{TOKENS.issue(office.work.tenant_id, letter.id)}"
        looked = await office.client.get(path)
        assert (looked.status_code, "<form" in looked.text) == (200, True)
        assert await office.wants(letter.user_id)
        for _ in range(2):
            done = await office.client.post(path, data={"List-Unsubscribe": "One-Click"})
            assert (done.status_code, "Done" in done.text) == (200, True)
        assert not await office.wants(letter.user_id)

    async def test_knows_its_own_links_only(self, office: Office) -> None:
        for token in ("x", TOKENS.issue(office.work.tenant_id, uuid7()), TOKENS.issue(uuid7(), uuid7())):
            assert (await office.client.post(f"/unsubscribe/{token}")).status_code in {400, 404}

    async def test_does_not_end_letters_about_ones_own_orders(self, office: Office) -> None:
        letter = await office.letter("welcome")
        answer = await office.client.post(f"/unsubscribe/{TOKENS.issue(office.work.tenant_id, letter.id)}")
        assert answer.status_code == 400


class TestBounces:
    async def test_are_noted_once_when_the_provider_reports_them(self, office: Office) -> None:
        letter = await office.letter()
        name = f"<{letter.id.hex}.{office.work.tenant_id.hex}@harbour.example>"
        for _ in range(2):
            answer = await office.report({"messageId": name, "kind": "complained", "reason": "spam"})
            assert answer.json() == {"outcome": "handled"}

    async def test_of_others_mean_nothing(self, office: Office) -> None:
        unknown = f"<{uuid7().hex}.{office.work.tenant_id.hex}@harbour.example>"
        for name in ("<x@elsewhere.example>", unknown):
            assert (await office.report({"messageId": name})).json()["outcome"] == "ignored"

    async def test_are_proved(self, office: Office) -> None:
        letter = await office.letter()
        name = f"<{letter.id.hex}.{office.work.tenant_id.hex}@harbour.example>"
        assert (await office.report({"messageId": name}, secret="another")).status_code == 400
        assert (await office.client.post(BOUNCES, content=b"{}")).status_code == 400


class TestTheWorker:
    @pytest.mark.usefixtures("worker")
    async def test_greets_new_users_through_the_mailbox_that_the_application_shows(
        self, application: Application, shop: Shop
    ) -> None:
        async def greeted() -> bool:
            listed = (await application.client.get("/mailbox/messages")).json()
            return any(each["to"] == shop.keys["email"] and each["subject"] == "Welcome to Agora" for each in listed)

        await eventually(greeted, seconds=60)
