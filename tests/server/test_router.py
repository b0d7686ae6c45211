"""Subgraphs answer their router alone, and believe what it tells of its client."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.edge.sessions import DEADLINE
from server.router import ADDRESS, AGENT, HEADER, HOST, MILLISECONDS_LEFT, SIGNED, RouterRefused, RouterTrust, relayed
from server.schema_files import ROOT
from tests.server.application import TRANSPORT, Application

GATEWAY = ROOT / "deploy" / "gateway" / "relaying.mjs"
SECRET = "a secret that router and subgraphs share"
PATH = "/subgraphs/catalog/graphql"
HEADERS = {"authorization": "Bearer token", "x-agora-tenant": "fernhill", ADDRESS: "203.0.113.9"}
BODY = b'{"query": "{ __typename }"}'
NOW = 1_800_000_000.0


def trust(now: float = NOW, **more: Any) -> RouterTrust:
    return RouterTrust(SECRET, clock=lambda: now, **more)


def proven(headers: Mapping[str, str] = HEADERS, now: float = NOW) -> dict[str, str]:
    return {**headers, HEADER: trust(now).prove("POST", PATH, headers, BODY)}


class TestASignature:
    def test_is_good_for_what_it_covers(self) -> None:
        trust().verify("POST", PATH, proven(), BODY)

    @pytest.mark.parametrize("name", [*HEADERS, AGENT, HOST, "x-correlation-id", MILLISECONDS_LEFT])
    def test_covers_each_header(self, name: str) -> None:
        with pytest.raises(RouterRefused):
            trust().verify("POST", PATH, {**proven(), name: "another"}, BODY)

    def test_covers_the_same_headers_in_the_gateway(self) -> None:
        listed = re.search(r"const SIGNED = \[(.*?)\]", GATEWAY.read_text(), re.DOTALL)
        assert listed
        assert tuple(re.findall(r'"([^"]+)"', listed[1])) == SIGNED

    def test_covers_method_path_and_body(self) -> None:
        for method, path, body in (
            ("GET", PATH, BODY),
            ("POST", "/subgraphs/orders/graphql", BODY),
            ("POST", PATH, b""),
        ):
            with pytest.raises(RouterRefused):
                trust().verify(method, path, proven(), body)

    @pytest.mark.parametrize("apart", [-31, 31])
    def test_is_good_for_half_a_minute(self, apart: int) -> None:
        trust().verify("POST", PATH, proven(now=NOW + apart / 31 * 29), BODY)
        with pytest.raises(RouterRefused, match="too old"):
            trust().verify("POST", PATH, proven(now=NOW + apart), BODY)

    def test_is_good_once(self) -> None:
        subgraph, headers = trust(), proven()
        subgraph.verify("POST", PATH, headers, BODY)
        with pytest.raises(RouterRefused, match="before"):
            subgraph.verify("POST", PATH, headers, BODY)
        subgraph.verify("POST", PATH, proven(), BODY)

    @pytest.mark.parametrize("given", ["", "t=1", "t=,n=,s=", "nonsense", f"t={int(NOW)},n=1,s={'0' * 64}", SECRET])
    def test_cannot_be_guessed(self, given: str) -> None:
        with pytest.raises(RouterRefused):
            trust().verify("POST", PATH, {**HEADERS, HEADER: given}, BODY)


class TestTheSecretItself:
    def test_is_enough_where_it_was_agreed(self) -> None:
        agreed = trust(proof="secret")
        agreed.verify("POST", PATH, {HEADER: SECRET}, BODY)
        for given in ("", "another", proven()[HEADER]):
            with pytest.raises(RouterRefused):
                agreed.verify("POST", PATH, {HEADER: given}, BODY)


class TestWhatIsRelayed:
    async def test_shows_the_client_in_the_routers_place(self) -> None:
        headers = {
            "host": "catalog.internal", "user-agent": "router", "cookie": "a=b", "x-forwarded-for": "198.51.100.1",
            HEADER: "proof", HOST: "fernhill.example", AGENT: "Browser/1", ADDRESS: "203.0.113.9", MILLISECONDS_LEFT: "1500",
            "accept-language": "ru", "content-type": "application/json",
        }  # fmt: skip
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = relayed({"type": "http", "headers": encoded, "client": ("10.0.0.1", 4000)}, headers)
        assert dict(scope["headers"]) == {
            b"host": b"fernhill.example", b"user-agent": b"Browser/1", b"accept-language": b"ru",
            b"content-type": b"application/json",
        }  # fmt: skip
        assert scope["client"] == ("203.0.113.9", 0)
        assert 1.0 < scope[DEADLINE] - asyncio.get_running_loop().time() <= 1.5


class TestASubgraph:
    async def test_refuses_whoever_is_not_the_router(self, application: Application, shop: Any) -> None:
        for document in ("{ products(first: 1) { totalCount } }", "{ _service { sdl } }", "{ nonsense"):
            reply = await application.post(PATH, json.dumps({"query": document}), {"x-agora-tenant": shop.code})
            assert (reply.status, reply.codes) == (403, ["ROUTER_REFUSED"])

    async def test_opens_no_socket_to_others(self, application: Application) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(application.url.replace("http", "ws", 1) + PATH, subprotocols=[TRANSPORT])
        assert refused.value.response.status_code == 403

    async def test_gives_up_when_nobody_waits(self, application: Application, shop: Any) -> None:
        late = {MILLISECONDS_LEFT.replace("-", "_"): "0", "x_agora_tenant": shop.code}
        reply = await application.ask_subgraph("catalog", "{ products(first: 1) { totalCount } }", **late)
        assert (reply.status, reply.codes) == (503, ["DEADLINE_EXCEEDED"])

    async def test_finds_the_tenant_by_the_clients_host(self, application: Application, shop: Any) -> None:
        reply = await application.ask_subgraph(
            "localization", "{ supportedLanguages { code } }", x_agora_client_host=shop.host
        )
        assert reply.data["supportedLanguages"]

    async def test_tells_its_health(self, application: Application) -> None:
        found = await application.get("/subgraphs/catalog/health")
        assert found.json()["status"] in {"ok", "degraded"}

    async def test_believes_nothing_of_the_kind_elsewhere(self, application: Application, shop: Any) -> None:
        login = """mutation { login(email: "nobody@nowhere.example", password: "not the right one") { __typename } }"""
        told = {"x_agora_client_address": "203.0.113.66", "x_agora_milliseconds_left": "0"}
        reply = await application.ask(login, tenant=shop.code, **told)
        assert reply.data["login"]["__typename"] == "InvalidCredentials"
