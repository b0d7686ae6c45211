"""Graceful shutdown, of a real server."""

import asyncio
import json

import httpx
import pytest
from edge_shop import shop_app, shop_edge, watch
from starlette.applications import Starlette
from test_graphql_ws import eventually, opened

from server.edge.drain import Drain
from server.edge.serving import DrainingServer


@pytest.fixture
def draining(serve):
    drain = Drain()
    app = Starlette(routes=shop_edge(drain=drain).routes)
    with serve(app, lambda config: DrainingServer(config, drain, grace_seconds=3)) as server:
        yield server


class TestShutdown:
    async def test_lets_a_running_query_finish(self, draining):
        async with httpx.AsyncClient() as http:
            running = asyncio.create_task(http.post(draining.http, json={"query": "{ slow(seconds: 0.6) }"}))
            await asyncio.sleep(0.2)
            draining.server.should_exit = True
            assert (await running).json() == {"data": {"slow": "done"}}
            with pytest.raises(httpx.ConnectError):
                await http.post(draining.http, json={"query": "{ hello }"}, headers={"connection": "close"})

    async def test_tells_sockets_and_closes_their_sources(self, draining):
        async with opened(draining.ws) as raw:
            await raw.subscribe("1", "subscription { count(to: 100, pause: 1) }")
            await raw.receive()
            draining.server.should_exit = True
            assert await raw.closed() == (1001, "Server is shutting down")
        await eventually(lambda: watch.open == 0)

    async def test_finishes_a_query_of_a_socket_before_it_closes_it(self, draining):
        async with opened(draining.ws) as raw:
            await raw.subscribe("1", "{ slow(seconds: 0.6) }")
            await asyncio.sleep(0.1)
            draining.server.should_exit = True
            await asyncio.sleep(0.2)
            await raw.subscribe("2", "{ hello }")
            refused = await raw.receive()
            assert (refused["id"], refused["type"]) == ("2", "error")
            assert refused["payload"][0]["extensions"]["code"] == "SHUTTING_DOWN"
            assert (await raw.receive())["payload"] == {"data": {"slow": "done"}}
            assert (await raw.receive())["type"] == "complete"
            assert (await raw.closed())[0] == 1001

    async def test_ends_event_streams_without_completing_them(self, draining):
        heard = ""
        async with (
            httpx.AsyncClient(timeout=5) as http,
            http.stream(
                "POST",
                draining.http,
                json={"query": "subscription { count(to: 100, pause: 1) }"},
                headers={"accept": "text/event-stream"},
            ) as response,
        ):
            async for chunk in response.aiter_text():
                heard += chunk
                draining.server.should_exit = True
        assert json.loads(heard.split("data: ")[1].split("\n")[0]) == {"data": {"count": 1}}
        assert "complete" not in heard
        await eventually(lambda: watch.open == 0)


class TestDrain:
    async def test_gives_up_after_the_grace(self):
        drain = Drain()
        with drain:
            await asyncio.wait_for(drain.run(grace_seconds=0.05), 1)
        assert drain.draining

    async def test_asks_clients_to_leave_their_connection(self):
        drain = Drain()
        app = shop_app(drain=drain)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            before = await http.post("/graphql", json={"query": "{ hello }"})
            await drain.run(0)
            after = await http.post("/graphql", json={"query": "{ hello }"})
        assert "connection" not in before.headers
        assert after.headers["connection"] == "close"
