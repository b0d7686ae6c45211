"""The page of those who operate the platform: who may look, and what they see in a real browser."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from data.embedded import Engines
from domain.kernel import Principal, uuid7
from schema.graph import CONTEXTS
from server.examples import BROWSE
from server.metrics import METRICS
from server.pages.ops import ASSETS
from server.pages.ops.supergraph import drawn
from server.services import open_services
from server.settings import Settings
from tests.conftest import tenant_maker
from tests.server.application import Application, served
from tests.server.conftest import token_of

CHROMIUM = "/usr/bin/chromium"
REGISTER = """mutation($email: String!, $password: String!) { register(email: $email, password: $password) {
  __typename } }"""
SIZES = [(1440, 900, "light"), (1024, 768, "dark"), (390, 844, "light")]


@pytest.fixture(scope="module")
def settings(engines: Engines, new_database: Callable[[str], str], tmp_path_factory: Any) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("operated"),
        database_url=new_database("operated"),
        redis_url=engines.redis_url,
        redis_namespace="operated",
        secret_key="a secret that is long enough for tests",
    )


@pytest.fixture(scope="module")
async def tokens(settings: Settings) -> dict[str, str]:
    """Give tokens of somebody who operates the platform, and of somebody who may do much else."""
    tenant_id = tenant_maker(settings.database_url)(code="operated")
    rights = {"operator": {"platform.operate"}, "other": {"platform.audit", "catalog.manage"}}
    async with open_services(settings) as services:
        return {name: token_of(services, somebody(tenant_id, held)) for name, held in rights.items()}


@pytest.fixture(scope="module")
async def application(settings: Settings, tokens: dict[str, str]) -> AsyncIterator[Application]:
    with served(settings) as running:
        yield running
        await running.client.aclose()


def somebody(tenant_id: UUID, held: set[str]) -> Principal:
    return Principal(user_id=uuid7(), session_id=uuid7(), tenant_id=tenant_id, permissions=frozenset(held))


class TestWhoMayLook:
    @pytest.mark.parametrize("path", ["/ops/figures", "/ops/supergraph"])
    async def test_is_who_operates_the_platform(
        self, application: Application, tokens: dict[str, str], path: str
    ) -> None:
        async def asked(token: str | None) -> tuple[int, Any]:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = await application.client.get(path, headers=headers)
            assert answer.headers["cache-control"] == "no-store"
            return answer.status_code, answer.json()

        assert await asked(None) == (401, {"code": "UNAUTHENTICATED"})
        assert await asked("made up") == (401, {"code": "UNAUTHENTICATED"})
        assert await asked(tokens["other"]) == (403, {"code": "FORBIDDEN"})
        status, body = await asked(tokens["operator"])
        assert (status, "code" in body) == (200, False)

    async def test_gets_figures_of_processes_bus_and_database(
        self, application: Application, tokens: dict[str, str]
    ) -> None:
        await application.ask(BROWSE, tenant="operated")
        headers = {"authorization": f"Bearer {tokens['operator']}"}
        found = (await application.client.get("/ops/figures", headers=headers)).json()
        assert found["health"]["status"] == "ok"
        assert (found["deadLetters"], found["outboxAge"]) == (0, pytest.approx(0, abs=60))
        assert found["onTheirWay"]["sagas"] == {"running": 0, "waiting": 0, "compensating": 0}
        (process,) = found["processes"]
        assert process["process"] == "server"
        assert process["names"]["Browse"] >= 1
        assert process["calls"]["catalog"] >= 1
        assert process["latency"]["+Inf"] >= 1

    @pytest.mark.parametrize("path", ["/ops", *(f"/ops/assets/{name}" for name in ASSETS)])
    async def test_is_told_to_browsers_strictly(self, application: Application, path: str) -> None:
        answer = await application.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self';"
        )
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "style=" not in answer.text


class TestSupergraph:
    def test_has_every_context_and_what_lies_between_them(self) -> None:
        found = drawn()
        assert [each["name"] for each in found["contexts"]] == list(CONTEXTS)
        product = next(each for each in found["entities"] if each["name"] == "Product")
        assert (product["home"], product["keys"]) == ("catalog", ["id", "sku"])
        assert {"context": "inventory", "fields": ["stock"]} in product["extended"]
        assert "search" in product["referred"]

    def test_leaves_out_what_one_context_has_for_itself(self) -> None:
        assert "Payout" not in {each["name"] for each in drawn()["entities"]}


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no browser on this machine")
class TestInABrowser:
    @pytest.fixture
    async def browser(self) -> AsyncIterator[Browser]:
        async with async_playwright() as playwright:
            opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            yield opened
            await opened.close()

    async def enter(self, page: Page, application: Application, token: str) -> None:
        await page.goto(f"{application.url}/ops")
        await page.click("summary")
        await page.fill("[name=token]", token)
        await page.click("#bring button")

    async def test_shows_the_supergraph_and_no_text_on_top_of_another(
        self, application: Application, tokens: dict[str, str], browser: Browser
    ) -> None:
        for width, height, scheme in SIZES:
            context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page = await context.new_page()
            troubles = heard(page)
            await self.enter(page, application, tokens["operator"])
            await expect(page.locator("#map .context")).to_have_count(len(CONTEXTS))
            await expect(page.locator("#map .entity")).to_have_count(len(drawn()["entities"]))
            await expect(page.locator("#state")).to_have_text("ok")
            await expect(page.locator("#panels article")).to_have_count(5)
            assert await page.evaluate(OVERLAPS) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert troubles == []
            await context.close()

    async def test_shows_what_happens(self, application: Application, tokens: dict[str, str], browser: Browser) -> None:
        page = await browser.new_page()
        await self.enter(page, application, tokens["operator"])
        await expect(page.locator("#map .context")).to_have_count(len(CONTEXTS))
        seen = page.locator('[data-node="catalog"].busy')
        while not await seen.count():
            await application.ask(BROWSE, tenant="operated")
            await asyncio.sleep(0.1)
        await expect(seen.locator(".figure")).to_contain_text("/s")
        await expect(page.locator(".bars", has_text="Browse")).to_have_count(1)

    async def test_can_log_in_where_only_registered_documents_are_executed(
        self, application: Application, settings: Settings, tmp_path: Path, browser: Browser
    ) -> None:
        (manifest := tmp_path / "documents.json").write_text("{}")
        entered = {"email": "operator@example.com", "password": "correct horse battery"}
        await application.ask(REGISTER, entered, tenant="operated")
        with served(settings.model_copy(update={"trusted_documents": manifest})) as running:
            assert (await running.ask(BROWSE, tenant="operated")).codes == ["UNTRUSTED_DOCUMENT"]
            page = await browser.new_page()
            await page.goto(f"{running.url}/ops")
            for name, value in {**entered, "tenant": "operated"}.items():
                await page.fill(f"[name={name}]", value)
            await page.click("#login button")
            # The graph lets them in; it is the page that is not for them.
            await expect(page.locator("#refusal")).to_have_text("The permission platform.operate is required.")
            await running.client.aclose()

    async def test_lets_nobody_else_in_and_forgets_who_leaves(
        self, application: Application, tokens: dict[str, str], browser: Browser
    ) -> None:
        page = await browser.new_page()
        await self.enter(page, application, tokens["other"])
        await expect(page.locator("#refusal")).to_have_text("The permission platform.operate is required.")
        await expect(page.locator("#room")).to_be_hidden()
        await self.enter(page, application, tokens["operator"])
        await expect(page.locator("#room")).to_be_visible()
        await page.click("#leave")
        await expect(page.locator("#room")).to_be_hidden()
        stored = "[localStorage.length, sessionStorage.length, document.cookie, document.querySelector('[name=token]').value]"
        assert await page.evaluate(stored) == [0, 0, "", ""]


def heard(page: Page) -> list[str]:
    """Gather what a page complains of."""
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return troubles


OVERLAPS = """() => {
  const texts = [...document.querySelectorAll('#map svg text')].filter((each) => each.textContent);
  const boxes = texts.map((each) => [each.textContent, each.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([one, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) found.push(`${one} / ${other}`);
  }));
  return found;
}"""
"""Gives the pairs of labels that cover each other."""


def test_figures_hold_no_tenant(tokens: dict[str, str]) -> None:
    from server.figures import Figures

    told = str(Figures(None, "server", METRICS).own())  # type: ignore[arg-type]
    assert "operated" not in told
