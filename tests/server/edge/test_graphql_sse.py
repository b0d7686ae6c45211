"""GraphQL over server-sent events, by the npm client and by raw streams."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from edge_shop import shop_app, watch

from server.edge.sessions import AnonymousSession
from server.edge.settings import EdgeSettings, SocketLimits

EVENTS = {"accept": "text/event-stream"}


async def lines(url: str, query: str, take: int) -> list[str]:
    async with (
        httpx.AsyncClient(timeout=5) as http,
        http.stream("POST", url, json={"query": query}, headers=EVENTS) as r,
    ):
        assert r.headers["content-type"] == "text/event-stream; charset=utf-8"
        found: list[str] = []
        async for line in r.aiter_lines():
            found.append(line)
            if len(found) == take:
                break
        return found


async def closed() -> None:
    for _ in range(200):
        if watch.open == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a source stayed open")


class TestNpmClient:
    def test_hears_results_errors_and_the_end(self, shop, node):
        heard: Any = node("talk_sse.mjs", shop.http)
        assert heard["query"] == {"results": [{"data": {"hello": "hello world"}}]}
        assert heard["subscription"] == {"results": [{"data": {"count": n}} for n in (1, 2, 3)]}
        assert heard["syntaxError"]["results"][0]["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
        assert heard["resolverError"]["results"][0]["errors"][0]["message"] == "Internal error"
        assert [list(each) for each in heard["brokenSource"]["results"]] == [["data"], ["errors"]]
        assert heard["iterated"] == [1, 2, 3]


class TestEventStream:
    async def test_writes_next_and_complete(self, shop):
        assert await lines(shop.http, "subscription { count(to: 1) }", 8) == [
            ":",
            "",
            "event: next",
            'data: {"data":{"count":1}}',
            "",
            "event: complete",
            "data:",
            "",
        ]

    async def test_runs_a_subscription_by_get(self, shop):
        async with httpx.AsyncClient() as http:
            response = await http.get(shop.http, params={"query": "subscription { count(to: 1) }"}, headers=EVENTS)
        assert 'data: {"data":{"count":1}}' in response.text

    async def test_runs_no_mutation_by_get(self, shop):
        before = watch.writes
        async with httpx.AsyncClient() as http:
            response = await http.get(shop.http, params={"query": "mutation { write }"}, headers=EVENTS)
        assert "OPERATION_NOT_ALLOWED" in response.text
        assert watch.writes == before

    async def test_refuses_what_is_no_request_before_it_streams(self, shop):
        async with httpx.AsyncClient() as http:
            response = await http.post(shop.http, json={"query": 1}, headers=EVENTS)
        assert (response.status_code, response.headers["content-type"]) == (400, "application/json; charset=utf-8")

    async def test_closes_the_source_when_the_client_leaves(self, shop):
        await lines(shop.http, "subscription { count(to: 1000, pause: 0.05) }", 4)
        await closed()

    async def test_keeps_a_quiet_connection_alive(self, serve):
        with serve(shop_app(EdgeSettings(keep_alive_seconds=0.05))) as server:
            heard = await lines(server.http, "subscription { count(to: 2, pause: 0.3) }", 9)
        assert heard.count(":") >= 2

    async def test_ends_with_the_credentials(self, serve):
        async def context(connection: Any) -> dict[str, Any]:
            return {}

        async def sessions(connection: Any, params: Any) -> AnonymousSession:
            return AnonymousSession(connection, context, "user:1", expires_at=time.time() + 0.3)

        with serve(shop_app(sessions=sessions)) as server:
            heard = await lines(server.http, "subscription { count(to: 100, pause: 0.1) }", 99)
        assert heard[3] == 'data: {"data":{"count":1}}'
        assert "event: complete" not in heard
        await closed()

    async def test_counts_the_streams_of_a_principal(self, serve):
        settings = EdgeSettings(sockets=SocketLimits(connections_per_principal=1, connections_per_address=1))
        with serve(shop_app(settings)) as server, pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.gather(
                    lines(server.http, "subscription { count(to: 9, pause: 9) }", 99),
                    self.second(server.http),
                )
        await closed()

    async def second(self, url: str) -> None:
        await asyncio.sleep(0.2)
        heard = await lines(url, "{ hello }", 5)
        assert "TOO_MANY_CONNECTIONS" in heard[3]
