"""The tracking page in a real browser: what a recipient sees, and that it moves by itself."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from data.database import Database
from data.delivery.tables import delivery
from data.embedded import Engines
from data.event_log import event_log
from domain.delivery.geography import Ping, Position
from domain.delivery.states import DeliveryMode, DeliveryState, ProofKind
from domain.kernel import uuid7
from server.pages.track import ASSETS
from server.settings import Settings
from subscriptions.positions import RedisPositions
from tests.server.application import Application, served

CHROMIUM = "/usr/bin/chromium"
NUMBER = "AG0123456789ABCDEF0123"
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no browser on this machine")


@pytest.fixture(scope="module")
async def application(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    settings = Settings(
        home=tmp_path_factory.mktemp("tracked"),
        database_url=engines.database_url,
        redis_url=engines.redis_url,
        secret_key="a secret that is long enough for tests",
    )
    with served(settings) as running:
        yield running
        await running.client.aclose()


@pytest.fixture
async def under_way(database: Database, make_tenant: Any, redis_url: str) -> tuple[str, str]:
    """Have something on its way; gives the tenant's code and the number."""
    code, number = f"t-{uuid7().hex[-10:]}", f"AG{uuid7().hex[-20:].upper()}"
    tenant_id: UUID = make_tenant(code=code)
    driver, now = uuid7(), datetime.now(UTC)
    values = {
        "id": uuid7(), "tenant_id": tenant_id, "version": 1, "order_id": uuid7(), "sub_order_id": uuid7(),
        "order_number": "ORD-1", "store_id": uuid7(), "mode": DeliveryMode.OWN_FLEET, "state": DeliveryState.EN_ROUTE,
        "tracking_number": number, "address": {"name": "Ada Lovelace", "street_line1": "100 Queen St W"},
        "latitude": 43.656, "longitude": -79.364, "store_latitude": 43.6447, "store_longitude": -79.3957,
        "fee_minor": 0, "currency": "CAD", "proof_kind": ProofKind.NONE, "age_restricted": False, "driver_id": driver,
        "fences": [], "is_arriving": False, "attempts": 1, "made_at": now, "started_at": now - timedelta(minutes=5),
    }  # fmt: skip
    names = ("created", "assigned", "picked_up", "started")
    facts = [
        {
            "event_id": uuid7(), "tenant_id": tenant_id, "aggregate_id": values["id"], "aggregate_type": "Delivery",
            "version": place, "name": f"delivery.{name}", "occurred_at": now, "metadata": {},
            "data": {"at": (now - timedelta(minutes=30 - place * 6)).isoformat(), "order_id": str(values["order_id"]),
                     "store_id": str(values["store_id"])},
        }
        for place, name in enumerate(names, start=1)
    ]  # fmt: skip
    async with database.session(tenant_id) as session:
        await session.execute(delivery.insert().values(values))
        await session.execute(event_log.insert(), facts)
    from redis.asyncio import Redis

    async with Redis.from_url(redis_url) as redis:
        await RedisPositions(redis).keep(tenant_id, driver, Ping(Position(43.6498, -79.3802), now))
    return code, number


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    made = await browser.new_page(viewport={"width": 390, "height": 844})
    yield made
    await made.close()


def picture(name: str) -> str | None:
    """Where to leave a picture for whoever wants to look."""
    folder = os.environ.get("AGORA_PICTURES")
    return f"{folder}/{name}.png" if folder else None


class TestThePage:
    async def test_shows_where_it_is_and_nobodys_name(
        self, application: Application, page: Page, under_way: tuple[str, str]
    ) -> None:
        code, number = under_way
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{application.url}/track/{number}?tenant={code}")
        await expect(page.locator("#headline")).to_have_text("On its way to you", timeout=20_000)
        await expect(page.locator("#detail")).to_contain_text("Expected")
        await expect(page.locator("#live")).to_have_text("Live", timeout=20_000)
        await expect(page.locator("#map .van")).to_have_count(1)
        await expect(page.locator("#bar li.now")).to_have_text("On the way")
        text = await page.content()
        assert "Lovelace" not in text
        assert "Queen" not in text
        assert complaints == []
        # A telephone has nothing to scroll sideways.
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        if file := picture("track-phone"):
            await page.screenshot(path=file, full_page=True)
        if file := picture("track-desk"):
            await page.set_viewport_size({"width": 1100, "height": 900})
            await page.emulate_media(color_scheme="dark")
            await page.screenshot(path=file, full_page=True)

    async def test_says_so_where_there_is_no_such_delivery(
        self, application: Application, page: Page, under_way: tuple[str, str]
    ) -> None:
        await page.goto(f"{application.url}/track/{NUMBER}?tenant={under_way[0]}")
        await expect(page.locator("#headline")).to_have_text("There is no such delivery", timeout=20_000)

    async def test_loads_nothing_from_elsewhere_and_runs_nothing_inline(self, application: Application) -> None:
        for path in (f"/track/{NUMBER}", *(f"/track/assets/{name}" for name in ASSETS)):
            answer = await application.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
            assert "unsafe" not in policy
