"""What the server says of itself to orchestrators, to Prometheus and to administrators."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from data.bus import Published, RedisBus
from data.database import Database
from data.transactions import SqlTransactions
from domain.kernel import Work
from server.health import Health, LiveHealth, Unwell, bus_check, database_check, refresher
from server.metrics import Metrics, MetricsMiddleware, metrics_route
from tests.events import OpenTally, open_tally, skip_history


async def well() -> Mapping[str, Any]:
    return {"figure": 7}


async def unwell() -> Unwell:
    return Unwell("it is being repaired")


async def broken() -> Mapping[str, Any]:
    raise ConnectionRefusedError("secret-host:5432")


async def silent() -> Mapping[str, Any]:
    await asyncio.sleep(60)
    return {}


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[RedisBus]:
    async with Redis.from_url(redis_url) as redis:
        yield RedisBus(redis, namespace=uuid4().hex)


async def ask(health: Health, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=health.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


class TestHealth:
    async def test_is_ok_when_all_parts_are(self):
        answer = await ask(Health({"database": well, "bus": well}), "/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.json()["parts"]["bus"]["figure"] == 7
        assert answer.headers["cache-control"] == "no-store"

    async def test_is_unavailable_without_its_database(self):
        answer = await ask(Health({"database": broken, "bus": well}), "/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        assert answer.json()["parts"]["bus"]["status"] == "ok"

    async def test_is_degraded_and_still_ready_without_another_part(self):
        answer = await ask(Health({"database": well, "search": unwell}), "/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["parts"]["search"]["reason"] == "it is being repaired"

    async def test_does_not_tell_what_an_exception_says(self):
        answer = await ask(Health({"database": broken}), "/health/ready")
        assert "secret-host" not in answer.text
        assert answer.json()["parts"]["database"]["reason"] == "cannot be reached"

    async def test_does_not_wait_for_a_part_that_is_silent(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("server.health.CHECK_SECONDS", 0.05)
        answer = await ask(Health({"database": well, "bus": silent}), "/health/ready")
        assert answer.json()["parts"]["bus"]["reason"] == "no answer in time"

    async def test_answers_under_its_short_name_too(self):
        assert (await ask(Health({"database": broken}), "/health")).status_code == 503

    async def test_lives_whatever_ails_the_parts(self):
        answer = await ask(Health({"database": broken}), "/health/live")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


class TestTheBus:
    async def test_is_well_when_everything_is_published(self, database: Database, database_url: str, bus: RedisBus):
        skip_history(database_url)
        assert await bus_check(database, bus)() == {"lag_seconds": 0.0, "backlog": 0}

    async def test_is_unwell_when_an_event_waits_too_long(
        self, database: Database, database_url: str, bus: RedisBus, transactions: SqlTransactions, work: Work
    ):
        skip_history(database_url)
        await transactions.run(open_tally, OpenTally(), work)
        found = await bus_check(database, bus)()
        assert isinstance(found, Unwell)
        assert found.reason.endswith("s to be published")
        skip_history(database_url)

    async def test_is_unwell_without_its_server(self, database: Database, database_url: str):
        skip_history(database_url)
        async with Redis.from_url("redis://127.0.0.1:1/0") as nowhere:
            found = await bus_check(database, RedisBus(nowhere))()
        assert found == Unwell("the server of the bus cannot be reached")

    async def test_counts_what_consumers_have_not_finished(self, database: Database, database_url: str, bus: RedisBus):
        skip_history(database_url)
        await bus.join("search", ["product"])
        await bus.publish(None, [Published(each, "product.created", b"{}") for each in range(1, 6)])
        await bus.read("search", "a", ["product"], count=2, wait_ms=10)
        assert await bus_check(database, bus)() == {"lag_seconds": 0.0, "backlog": 5}

    async def test_is_shown_to_administrators(self, database: Database, database_url: str, bus: RedisBus):
        skip_history(database_url)
        await bus.join("search", ["product"])
        await bus.publish(None, [Published(1, "product.created", b"{}")])
        await bus.beat("worker-1", 10)
        health = Health({"database": database_check(database), "bus": bus_check(database, bus)})
        report = await LiveHealth(health, database, bus).report()
        assert (report.status, [each.name for each in report.parts]) == ("ok", ["database", "bus"])
        assert report.workers == ["worker-1"]
        [consumer] = report.consumers
        assert (consumer.consumer, consumer.stream, consumer.undelivered, consumer.unfinished) == (
            "search",
            "product",
            1,
            0,
        )


async def _page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


class TestMetrics:
    async def test_count_requests_by_route_and_never_by_path(self):
        metrics = Metrics()
        inner = Starlette(routes=[Route("/graphql", _page, methods=["GET", "POST"]), metrics_route(metrics=metrics)])
        app = MetricsMiddleware(inner, {"/graphql": "graphql"}, metrics)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await client.post("/graphql")
            for number in range(50):
                await client.get(f"/nothing/{number}")
            await client.request("BREW", "/graphql")
            text = (await client.get("/metrics")).text
        assert 'agora_http_requests_total{method="POST",route="graphql",status="200"} 1.0' in text
        assert 'agora_http_requests_total{method="GET",route="other",status="404"} 50.0' in text
        assert 'method="other",route="graphql"' in text
        assert "nothing" not in text

    async def test_show_backlog_and_lag_when_they_are_asked_for(
        self, database: Database, database_url: str, bus: RedisBus
    ):
        skip_history(database_url)
        metrics = Metrics()
        await bus.join("search", ["product"])
        await bus.publish(None, [Published(each, "product.created", b"{}") for each in range(1, 4)])
        await refresher(database, bus, metrics)()
        text = metrics.text().decode()
        assert 'agora_bus_backlog{consumer="search"} 3.0' in text
        assert "agora_relay_lag_seconds 0.0" in text
