"""graphql-transport-ws, by raw frames and by the npm client, against a real server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from edge_shop import shop_app, watch
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server.edge.sessions import AnonymousSession
from server.edge.settings import EdgeSettings, SocketLimits

TRANSPORT = Subprotocol("graphql-transport-ws")


class Raw:
    """A socket that says exactly what a test tells it to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.recv(), 5))

    async def closed(self) -> tuple[int, str]:
        await asyncio.wait_for(self._read_to_the_end(), 5)
        return self.socket.close_code or 0, self.socket.close_reason or ""

    async def _read_to_the_end(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self.socket.recv()

    async def subscribe(self, identity: str, query: str, **payload: Any) -> None:
        await self.send({"id": identity, "type": "subscribe", "payload": {"query": query, **payload}})


@asynccontextmanager
async def opened(url: str, *, init: bool = True, subprotocols: list[Subprotocol] | None = None) -> AsyncIterator[Raw]:
    async with connect(url, subprotocols=[TRANSPORT] if subprotocols is None else subprotocols) as socket:
        raw = Raw(socket)
        if init:
            await raw.send({"type": "connection_init"})
            assert await raw.receive() == {"type": "connection_ack"}
        yield raw


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition never held")


class TestNpmClient:
    def test_hears_what_every_kind_of_operation_answers(self, shop, node):
        heard = node("talk_ws.mjs", shop.ws)
        assert heard["query"] == heard["afterBreak"] == {"results": [{"data": {"hello": "hello world"}}]}
        assert heard["mutation"] == {"results": [{"data": {"__typename": "Mutation"}}]}
        assert heard["subscription"] == {"results": [{"data": {"count": n}} for n in (1, 2, 3)]}
        assert heard["variables"] == {"results": [{"data": {"hello": "hello you"}}]}
        assert [len(each["results"]) for each in heard["parallel"]] == [1, 2, 3]
        assert heard["iterated"] == [1, 2, 3]

    def test_hears_errors_without_losing_its_socket(self, shop, node):
        heard = node("talk_ws.mjs", shop.ws)
        codes = {name: heard[name]["error"][0]["extensions"]["code"] for name in ("syntaxError", "unknownOperation")}
        assert codes == {"syntaxError": "GRAPHQL_PARSE_FAILED", "unknownOperation": "UNKNOWN_OPERATION"}
        assert heard["coercion"]["error"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert heard["resolverError"]["results"][0]["errors"][0]["message"] == "Internal error"
        assert heard["brokenSource"]["results"] == [{"data": {"breaking": 1}}]
        assert heard["brokenSource"]["error"][0]["message"] == "Internal error"


class TestHandshake:
    @pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"]])
    async def test_refuses_other_subprotocols(self, shop, subprotocols):
        async with connect(shop.ws, subprotocols=subprotocols or None) as socket:
            assert await Raw(socket).closed() == (4406, "Subprotocol not acceptable")

    async def test_refuses_a_page_of_another_site(self, shop):
        with pytest.raises(Exception, match="403"):
            await connect(shop.ws, subprotocols=[TRANSPORT], origin="https://evil.example")

    async def test_welcomes_a_page_of_its_own_site(self, shop):
        async with connect(shop.ws, subprotocols=[TRANSPORT], origin=f"http://127.0.0.1:{shop.port}") as socket:
            assert socket.subprotocol == TRANSPORT

    @pytest.mark.parametrize("init", [{}, {"payload": None}, {"payload": {}}, {"payload": {"token": "x"}, "more": 1}])
    async def test_acknowledges_an_init(self, shop, init):
        async with opened(shop.ws, init=False) as raw:
            await raw.send({"type": "connection_init", **init})
            assert await raw.receive() == {"type": "connection_ack"}

    async def test_refuses_a_second_init(self, shop):
        async with opened(shop.ws) as raw:
            await raw.send({"type": "connection_init"})
            assert await raw.closed() == (4429, "Too many initialisation requests")

    async def test_refuses_a_subscribe_before_the_acknowledgement(self, shop):
        async with opened(shop.ws, init=False) as raw:
            await raw.subscribe("1", "{ hello }")
            assert await raw.closed() == (4401, "Unauthorized")

    async def test_waits_only_so_long_for_an_init(self, serve):
        settings = EdgeSettings(sockets=SocketLimits(init_timeout_seconds=0.1))
        with serve(shop_app(settings)) as server:
            async with opened(server.ws, init=False) as raw:
                assert await raw.closed() == (4408, "Connection initialisation timeout")


class TestMessages:
    @pytest.mark.parametrize(
        "message",
        [
            "",
            "{",
            "[]",
            "null",
            '"text"',
            "{}",
            '{"type": 1}',
            '{"type": "start"}',
            '{"type": "connection_ack"}',
            '{"type": "next", "id": "1"}',
            '{"type": "ping", "payload": 1}',
            '{"type": "pong", "payload": []}',
            '{"type": "connection_init", "payload": "token"}',
            '{"type": "complete"}',
            '{"type": "complete", "id": 1}',
            '{"type": "subscribe"}',
            '{"type": "subscribe", "id": "1"}',
            '{"type": "subscribe", "id": "1", "payload": []}',
            '{"type": "subscribe", "id": "1", "payload": {}}',
            '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": null, "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": "{}"}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "extensions": 1}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 1}}',
            b'{"type": "ping"}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": '
            + '{"a":' * 40 + "1" + "}" * 40 + "}}",
        ],
    )  # fmt: skip
    async def test_closes_on_what_is_no_message(self, shop, message):
        async with opened(shop.ws) as raw:
            await raw.send(message)
            code, reason = await raw.closed()
            assert code == 4400
            assert reason

    async def test_answers_a_ping_with_its_payload(self, shop):
        async with opened(shop.ws, init=False) as raw:
            await raw.send({"type": "ping"})
            assert await raw.receive() == {"type": "pong"}
            await raw.send({"type": "ping", "payload": {"n": 1}})
            assert await raw.receive() == {"type": "pong", "payload": {"n": 1}}
            await raw.send({"type": "pong", "payload": None})

    async def test_accepts_null_where_the_protocol_has_optional_fields(self, shop):
        async with opened(shop.ws) as raw:
            await raw.subscribe("1", "{ hello }", variables=None, operationName=None, extensions=None)
            assert (await raw.receive())["type"] == "next"

    async def test_refuses_a_flood(self, serve):
        settings = EdgeSettings(sockets=SocketLimits(messages_per_second=1, message_burst=10))
        with serve(shop_app(settings)) as server:
            async with opened(server.ws) as raw:
                for _ in range(10):
                    await raw.send({"type": "pong"})
                assert await raw.closed() == (1008, "Too many messages")

    async def test_refuses_a_message_too_big(self, serve):
        with serve(shop_app(EdgeSettings(sockets=SocketLimits(max_message_bytes=1000)))) as server:
            async with opened(server.ws) as raw:
                await raw.subscribe("1", "{ hello }" + " " * 1000)
                assert await raw.closed() == (1009, "Message too big")


class TestOperations:
    async def test_frees_the_id_when_it_completes(self, shop):
        async with opened(shop.ws) as raw:
            for _ in range(2):
                await raw.subscribe("same", "subscription { count(to: 1) }")
                assert await raw.receive() == {"id": "same", "type": "next", "payload": {"data": {"count": 1}}}
                assert await raw.receive() == {"id": "same", "type": "complete"}

    async def test_frees_the_id_after_an_error(self, shop):
        async with opened(shop.ws) as raw:
            for _ in range(2):
                await raw.subscribe("same", "{")
                assert (await raw.receive())["type"] == "error"

    async def test_refuses_an_id_that_is_running(self, shop):
        async with opened(shop.ws) as raw:
            await raw.subscribe("1", "subscription { count(to: 100, pause: 1) }")
            await raw.receive()
            await raw.subscribe("1", "{ hello }")
            assert await raw.closed() == (4409, "Subscriber for 1 already exists")
        await eventually(lambda: watch.open == 0)

    async def test_ignores_the_completion_of_an_unknown_id(self, shop):
        async with opened(shop.ws) as raw:
            await raw.send({"id": "unknown", "type": "complete"})
            await raw.subscribe("1", "{ hello }")
            assert (await raw.receive())["type"] == "next"

    async def test_closes_the_source_when_the_client_completes(self, shop):
        async with opened(shop.ws) as raw:
            await raw.subscribe("1", "subscription { count(to: 100, pause: 0.05) }")
            await raw.receive()
            assert watch.open == 1
            await raw.send({"id": "1", "type": "complete"})
            await eventually(lambda: watch.open == 0)
            await raw.subscribe("1", "{ hello }")
            answers = [await raw.receive(), await raw.receive()]
            assert [each["type"] for each in answers] == ["next", "complete"]

    async def test_closes_every_source_when_the_client_leaves(self, shop):
        async with opened(shop.ws) as raw:
            for identity in "abc":
                await raw.subscribe(identity, "subscription { count(to: 100, pause: 1) }")
                await raw.receive()
            assert watch.open == 3
        await eventually(lambda: watch.open == 0)

    async def test_is_told_why_its_source_refused_to_go_on(self, shop):
        async with opened(shop.ws) as raw:
            await raw.subscribe("1", "subscription { revoked }")
            assert (await raw.receive())["payload"] == {"data": {"revoked": 1}}
            refused = await raw.receive()
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "OUT_OF_STOCK")

    async def test_cancels_a_query_that_the_client_completes(self, shop):
        before = watch.cancelled
        async with opened(shop.ws) as raw:
            await raw.subscribe("1", "{ slow }")
            await asyncio.sleep(0.05)
            await raw.send({"id": "1", "type": "complete"})
            await eventually(lambda: watch.cancelled == before + 1)

    async def test_refuses_more_operations_than_a_socket_may_run(self, serve):
        with serve(shop_app(EdgeSettings(sockets=SocketLimits(operations_per_connection=2)))) as server:
            async with opened(server.ws) as raw:
                for identity in "abc":
                    await raw.subscribe(identity, "subscription { count(to: 100, pause: 1) }")
                answers = {each["id"]: each for each in [await raw.receive() for _ in range(3)]}
                assert answers["c"]["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS", "limit": 2}
                assert answers["a"]["type"] == answers["b"]["type"] == "next"
        await eventually(lambda: watch.open == 0)

    async def test_holds_back_the_source_of_a_client_that_does_not_read(self, serve):
        settings = EdgeSettings(sockets=SocketLimits(send_timeout_seconds=0.3))
        with serve(shop_app(settings)) as server:
            async with opened(server.ws) as raw:
                raw.socket.transport.pause_reading()
                await raw.subscribe("1", "subscription { blobs(kilobytes: 512) }")
                await eventually(lambda: watch.open == 1)
                await eventually(lambda: watch.open == 0)
                raw.socket.transport.abort()


class Token:
    """Sessions by a token in the connection's parameters."""

    code = "UNAUTHENTICATED"

    def __init__(self, **session: Any) -> None:
        self.session = session

    async def __call__(self, connection: Any, params: Any) -> AnonymousSession:
        if not params or params.get("token") != "good":
            raise Unauthenticated
        session = {"principal": "user:1", "expires_at": time.time() + 60, **self.session}
        return AnonymousSession(connection, self.context, **session)

    async def context(self, connection: Any) -> dict[str, Any]:
        return {}


class Unauthenticated(Exception):
    code = "UNAUTHENTICATED"
    message = "Log in first."


class TestSessions:
    async def test_closes_the_socket_of_somebody_without_credentials(self, serve):
        with serve(shop_app(sessions=Token())) as server:
            async with opened(server.ws, init=False) as raw:
                await raw.send({"type": "connection_init"})
                assert await raw.closed() == (4403, "Log in first.")

    async def test_opens_for_somebody_with_credentials(self, serve):
        with serve(shop_app(sessions=Token())) as server:
            async with opened(server.ws, init=False) as raw:
                await raw.send({"type": "connection_init", "payload": {"token": "good"}})
                assert await raw.receive() == {"type": "connection_ack"}

    async def test_closes_when_the_credentials_expire(self, serve):
        with serve(shop_app(sessions=Token(expires_at=time.time() + 0.5))) as server:
            async with opened(server.ws, init=False) as raw:
                await raw.send({"type": "connection_init", "payload": {"token": "good"}})
                await raw.receive()
                await raw.subscribe("1", "subscription { count(to: 100, pause: 1) }")
                assert await raw.closed() == (4403, "Token expired")
        await eventually(lambda: watch.open == 0)

    async def test_counts_the_sockets_of_a_principal(self, serve):
        settings = EdgeSettings(sockets=SocketLimits(connections_per_principal=1, connections_per_address=1))
        with serve(shop_app(settings, sessions=Token())) as server:
            init = {"type": "connection_init", "payload": {"token": "good"}}
            async with opened(server.ws, init=False) as first, opened(server.ws, init=False) as second:
                await first.send(init)
                await first.receive()
                await second.send(init)
                assert await second.closed() == (1013, "Too many connections")
            await asyncio.sleep(0.1)
            async with opened(server.ws, init=False) as third:
                await third.send(init)
                assert await third.receive() == {"type": "connection_ack"}
