"""GraphQL over HTTP: what is asked, what is answered, and with which status."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
from edge_shop import shop_app, watch

from server.edge.settings import EdgeSettings

GRAPHQL = "application/graphql-response+json"


def client(settings: EdgeSettings | None = None, **parts: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(shop_app(settings, **parts), raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example")


async def ask(query: str, settings: EdgeSettings | None = None, **request: Any) -> httpx.Response:
    async with client(settings) as http:
        return await http.post("/graphql", json={"query": query, **request.pop("payload", {})}, **request)


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


class TestAudits:
    def test_pass_every_one_of_graphql_http(self, shop, node):
        assert node("audit_http.mjs", shop.http) == {"audits": 61, "failed": []}


class TestMethods:
    async def test_get_runs_a_query_with_variables(self):
        params = {"query": "query H($n: String!) { hello(name: $n) }", "variables": '{"n": "you"}'}
        async with client() as http:
            assert (await http.get("/graphql", params=params)).json() == {"data": {"hello": "hello you"}}

    async def test_get_refuses_a_mutation_and_runs_nothing(self):
        before = watch.writes
        async with client() as http:
            response = await http.get("/graphql", params={"query": "mutation { write }"})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert code_of(response) == "OPERATION_NOT_ALLOWED"
        assert watch.writes == before

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    async def test_only_get_and_post_carry_graphql(self, method):
        async with client() as http:
            response = await http.request(method, "/graphql", json={"query": "{ hello }"})
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")

    async def test_a_subscription_is_not_answered_once(self):
        response = await ask("subscription { count }")
        assert (response.status_code, code_of(response)) == (406, "SUBSCRIPTION_NEEDS_STREAM")


class TestBodies:
    @pytest.mark.parametrize(
        ("content_type", "status"),
        [
            ("application/json", 200),
            ("application/json; charset=UTF-8", 200),
            ("application/json; charset=latin-1", 415),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=x", 415),
            ("", 415),
        ],
    )
    async def test_are_json_in_utf8(self, content_type, status):
        async with client() as http:
            body = b'{"query": "{ hello }"}'
            response = await http.post("/graphql", content=body, headers={"content-type": content_type})
        assert response.status_code == status

    @pytest.mark.parametrize("body", [b"", b"{", b'"text"', b"1", b"null", b"\xff\xfe", b'{"query": "\xff"}'])
    async def test_that_are_malformed_answer_400(self, body):
        async with client() as http:
            response = await http.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert (response.status_code, code_of(response)) == (400, "BAD_PARAMETERS")

    async def test_that_are_too_large_answer_413(self):
        response = await ask("{ hello }" + " " * 2000, EdgeSettings(max_body_bytes=1000))
        assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")

    async def test_that_grow_too_large_without_announcing_it_answer_413(self):
        async def chunks():
            for _ in range(20):
                yield b" " * 100

        async with client(EdgeSettings(max_body_bytes=1000)) as http:
            response = await http.post("/graphql", content=chunks(), headers={"content-type": "application/json"})
        assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")

    async def test_that_come_too_slowly_answer_408(self, serve):
        with serve(shop_app(EdgeSettings(body_timeout_seconds=0.2))) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
            )
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"BODY_TOO_SLOW" in answer


class TestBatches:
    async def test_are_refused_unless_allowed(self):
        async with client() as http:
            response = await http.post("/graphql", json=[{"query": "{ hello }"}])
        assert (response.status_code, code_of(response)) == (400, "BAD_PARAMETERS")

    async def test_answer_each_request_when_allowed(self):
        async with client(EdgeSettings(max_batch=2)) as http:
            response = await http.post("/graphql", json=[{"query": "{ hello }"}, {"query": "{"}])
            excess = await http.post("/graphql", json=[{"query": "{ hello }"}] * 3)
        assert response.json()[0] == {"data": {"hello": "hello world"}}
        assert response.json()[1]["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
        assert excess.status_code == 400


class TestMediaTypes:
    @pytest.mark.parametrize(
        ("accept", "chosen"),
        [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            (GRAPHQL, GRAPHQL),
            (f"{GRAPHQL}, application/json;q=0.9", GRAPHQL),
            (f"application/json;q=0.5, {GRAPHQL};q=0.4", "application/json"),
            (f"*/*, {GRAPHQL}", GRAPHQL),
            ("application/json; charset=utf-8", "application/json"),
        ],
    )
    async def test_follow_accept(self, accept, chosen):
        response = await ask("{ hello }", headers={"accept": accept})
        assert response.headers["content-type"] == f"{chosen}; charset=utf-8"

    @pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "application/json; charset=latin-1"])
    async def test_that_are_unknown_answer_406(self, accept):
        response = await ask("{ hello }", headers={"accept": accept})
        assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")

    async def test_decide_the_status_of_a_request_error(self):
        assert (await ask("{ nope }", headers={"accept": GRAPHQL})).status_code == 400
        assert (await ask("{ nope }", headers={"accept": "application/json"})).status_code == 200

    async def test_a_request_error_has_no_data_entry(self):
        for query in ("{", "{ nope }", "query A { hello } query B { hello }", "query ($n: Int!) { hello }"):
            response = await ask(query, headers={"accept": GRAPHQL})
            assert response.status_code == 400
            assert list(response.json()) == ["errors"]

    async def test_an_execution_error_keeps_its_data(self):
        response = await ask("{ hello refused }", headers={"accept": GRAPHQL})
        assert response.status_code == 200
        assert response.json()["data"] == {"hello": "hello world", "refused": None}


class TestCompression:
    async def test_compresses_what_is_large(self, shop):
        request = json.dumps({"query": "{ large(kilobytes: 64) }"}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(request), request)
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b"content-encoding: gzip" in head
        assert len(body) < 2000
        assert len(gzip.decompress(body)) > 64 * 1024

    async def test_leaves_alone_what_is_small(self):
        assert "content-encoding" not in (await ask("{ hello }")).headers


class TestClients:
    async def test_that_leave_cancel_their_query(self, shop):
        before = watch.cancelled
        with pytest.raises(httpx.ReadTimeout):
            async with httpx.AsyncClient(timeout=0.5) as http:
                await http.post(shop.http, json={"query": "{ slow }"})
        for _ in range(200):
            if watch.cancelled > before:
                break
            await asyncio.sleep(0.01)
        assert watch.cancelled == before + 1

    async def test_wait_no_longer_than_the_deadline(self):
        response = await ask("{ slow }", EdgeSettings(execution_timeout_seconds=0.05))
        assert (response.status_code, code_of(response)) == (503, "DEADLINE_EXCEEDED")

    async def test_without_credentials_are_told_so(self):
        class Unauthenticated(Exception):
            code = "UNAUTHENTICATED"
            message = "Log in first."

        async def sessions(connection, params):
            raise Unauthenticated

        async with client(sessions=sessions) as http:
            response = await http.post("/graphql", json={"query": "{ hello }"})
        assert response.status_code == 401
        assert response.json()["errors"] == [{"message": "Log in first.", "extensions": {"code": "UNAUTHENTICATED"}}]

    async def test_are_told_of_no_inner_failure(self):
        async def sessions(connection, params):
            raise ZeroDivisionError("secret detail")

        async with client(sessions=sessions) as http:
            response = await http.post("/graphql", json={"query": "{ hello }"})
        assert response.status_code == 500
        assert response.json()["errors"][0]["message"] == "Internal error"
        assert "secret" not in response.text
