"""The REST API of the running application: the graph's answers under addresses of their own."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import TypeInfo, TypeInfoVisitor, Visitor, parse, visit

from data.database import asyncpg_url
from domain.kernel import uuid7
from schema.graph import build
from server.authorisation_matrix import declared
from server.edge.strawberry_executor import StrawberryExecutor
from server.rest.openapi import openapi
from server.rest.registry import Registry, UnfitDocument
from server.schema_files import REST_DESCRIPTION
from tests.server.application import Application
from tests.server.conftest import Shop
from tests.server.test_api_keys import Trader, make_trader, trader

__all__ = ["make_trader", "trader"]
CAD = {"amountMinor": 900, "currency": "CAD"}


@dataclass
class Client:
    """Calls the API with one credential."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=given)


@pytest.fixture
async def admin(application: Application, shop: Shop) -> Client:
    return Client(application.client, {"authorization": f"Bearer {shop.token}"})


@pytest.fixture
async def guest(application: Application, shop: Shop) -> Client:
    return Client(application.client, {"x-agora-tenant": shop.code})


@pytest.fixture
async def key(trader: Trader) -> Client:
    issued = await trader.key("catalog.write", "catalog.publish", "orders.read")
    return Client(trader.application.client, {"x-api-key": issued.clear})


@pytest.fixture
async def product(key: Client) -> dict[str, Any]:
    made = await key("POST", "/products", {"name": "Rope", "sku": f"SKU-{uuid7().hex[-12:]}", "price": CAD})
    assert made.status_code == 201, made.text
    return dict(made.json())


@pytest.fixture
async def rows(application: Application) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(asyncpg_url(application.settings.database_url))
    yield connection
    await connection.close()


def code_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"].startswith("application/problem+json"), response.text
    assert response.json()["status"] == response.status_code
    return response.status_code, response.json()["code"]


class TestReading:
    async def test_lists_what_the_graph_lists(self, application: Application, guest: Client, shop: Shop) -> None:
        found = await guest("GET", "/products?first=3")
        document = "{ products(first: 3) { nodes { id sku name } } }"
        graph = await application.ask(document, tenant=shop.code)
        assert found.status_code == 200
        assert [{name: each[name] for name in ("id", "sku", "name")} for each in found.json()["items"]] == (
            graph.data["products"]["nodes"]
        )

    async def test_pages_by_links(self, guest: Client, application: Application) -> None:
        page = await guest("GET", "/products?first=1&sort=NAME")
        seen = [page.json()["items"][0]["id"]]
        first = page
        while len(seen) < 3:
            page = await application.client.get(page.links["next"]["url"], headers=guest.headers)
            seen.append(page.json()["items"][0]["id"])
        assert len(set(seen)) == 3
        back = await application.client.get(page.links["prev"]["url"], headers=guest.headers)
        assert back.json()["items"][0]["id"] == seen[-2]
        assert "prev" not in first.links

    async def test_gives_one_or_says_that_there_is_none(self, guest: Client, shop: Shop, other_shop: Shop) -> None:
        found = await guest("GET", f"/products/{shop.keys['product']}")
        assert (found.status_code, found.json()["sku"]) == (200, shop.keys["sku"])
        by_sku = await guest("GET", f"/products/by-sku/{shop.keys['sku']}")
        assert by_sku.json() == found.json()
        foreign = await guest("GET", f"/products/{other_shop.keys['product']}")
        never = await guest("GET", f"/products/{uuid7()}")
        assert code_of(foreign) == code_of(never) == (404, "NOT_FOUND")

    async def test_says_when_nothing_has_changed(self, guest: Client, shop: Shop) -> None:
        path = f"/products/{shop.keys['product']}"
        tag = (await guest("GET", path)).headers["etag"]
        again = await guest("GET", path, if_none_match=f'"other", W/{tag}')
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await guest("GET", path, if_none_match='"other"')).status_code == 200

    async def test_answers_head_without_the_body(self, guest: Client, shop: Shop) -> None:
        path = f"/products/{shop.keys['product']}"
        head, get = await guest("HEAD", path), await guest("GET", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == get.headers["etag"]

    @pytest.mark.parametrize(
        "query", ["first=abc", "first=1&first=2", "colour=red", "state=SOLD", "first=500", "first=1&last=1", "after=x"]
    )
    async def test_refuses_what_the_description_does_not_know(self, guest: Client, query: str) -> None:
        assert (await guest("GET", f"/products?{query}")).status_code == 400


class TestChanging:
    async def test_creates_and_says_where(self, key: Client, application: Application) -> None:
        made = await key("POST", "/products", {"name": "Rope", "sku": f"SKU-{uuid7().hex[-12:]}", "price": CAD})
        assert made.status_code == 201
        assert made.headers["location"] == f"/api/v1/products/{made.json()['id']}"
        again = await application.client.get(made.headers["location"], headers=key.headers)
        assert again.json() == made.json()
        assert "__typename" not in made.text

    async def test_makes_a_change_once_for_a_key(self, key: Client, rows: Any) -> None:
        body = {"name": "Rope", "sku": f"SKU-{uuid7().hex[-12:]}", "price": CAD}
        first = await key("POST", "/products", body, idempotency_key="once-" + body["sku"])
        second = await key("POST", "/products", body, idempotency_key="once-" + body["sku"])
        assert (first.status_code, second.json()["id"]) == (201, first.json()["id"])
        other = await key("POST", "/products", body | {"name": "Cord"}, idempotency_key="once-" + body["sku"])
        assert code_of(other) == (422, "IDEMPOTENCY_KEY_REUSED")
        statement = "SELECT count(*) FROM catalog.product WHERE sku = $1"
        assert await rows.fetchval(statement, body["sku"]) == 1

    async def test_changes_what_is_mentioned_on_the_version_that_was_seen(
        self, key: Client, product: dict[str, Any]
    ) -> None:
        path = f"/products/{product['id']}"
        tag = (await key("GET", path)).headers["etag"]
        changed = await key("PATCH", path, {"brand": "Hemp & Co"}, if_match=tag)
        assert (changed.status_code, changed.json()["brand"], changed.json()["name"]) == (200, "Hemp & Co", "Rope")
        late = await key("PATCH", path, {"brand": "Sisal"}, if_match=tag)
        assert code_of(late) == (412, "PRECONDITION_FAILED")
        assert code_of(await key("PATCH", path, {"brand": "Sisal"}, if_match="nonsense")) == (
            412,
            "PRECONDITION_FAILED",
        )
        assert (await key("GET", path)).json()["brand"] == "Hemp & Co"
        cleared = await key("PATCH", path, {"brand": None}, if_match="*")
        assert cleared.status_code in {200, 400}

    async def test_brings_a_product_on_sale_and_off(self, key: Client, product: dict[str, Any]) -> None:
        published = await key("POST", f"/products/{product['id']}/publish")
        assert (published.status_code, published.json()["state"]) == (200, "ACTIVE")
        archived = await key("POST", f"/products/{product['id']}/archive", {})
        assert archived.json()["state"] == "ARCHIVED"
        again = await key("POST", f"/products/{product['id']}/hide")
        assert code_of(again) == (409, "INVALID_STATE_TRANSITION")
        assert again.json()["data"]["current"] == "archived"

    async def test_needs_an_idempotency_key_where_the_graph_does(self, admin: Client, shop: Shop) -> None:
        path = f"/stores/{shop.keys['store']}/stock/{shop.keys['variant_sku']}/adjustments"
        refused = await admin("POST", path, {"change": 3})
        assert code_of(refused) == (400, "BAD_REQUEST")
        counted = await admin("POST", path, {"change": 3}, idempotency_key=str(uuid7()))
        assert (counted.status_code, counted.json()["onHand"]) == (200, 3)
        short = await admin("POST", path, {"change": -5}, idempotency_key=str(uuid7()))
        assert code_of(short) == (422, "INSUFFICIENT_STOCK")
        found = await admin("GET", path.removesuffix("/adjustments"))
        assert found.json()["onHand"] == 3
        await admin("POST", path, {"change": -3}, idempotency_key=str(uuid7()))

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"name": "Rope"}, 400),
            ({"name": "Rope", "sku": 5, "price": CAD}, 400),
            ({"name": "Rope", "sku": "R", "price": CAD, "colour": "red"}, 400),
            ({"name": "Rope", "sku": "R", "price": CAD, "variants": {"name": "a", "sku": "b"}}, 400),
            ({"name": "Rope", "sku": "R", "price": {"amountMinor": 9.5, "currency": "CAD"}}, 400),
            ({"name": "", "sku": "R-1", "price": CAD}, 400),
            ([], 400),
            ("x", 400),
        ],
    )
    async def test_refuses_bodies_that_are_not_described(
        self,
        key: Client,
        trader: Trader,
        rows: Any,
        body: Any,
        status: int,
    ) -> None:
        refused = await key("POST", "/products", body)
        assert code_of(refused)[0] == status
        mine = "SELECT count(*) FROM catalog.product WHERE seller_id = $1"
        assert await rows.fetchval(mine, trader.user_id) == 0

    async def test_reads_json_alone(self, key: Client, application: Application) -> None:
        headers = key.headers | {"content-type": "text/plain"}
        refused = await application.client.post("/api/v1/products", content=b"{}", headers=headers)
        assert code_of(refused) == (415, "UNSUPPORTED_MEDIA_TYPE")
        headers["content-type"] = "application/json"
        broken = await application.client.post("/api/v1/products", content=b'{"name"', headers=headers)
        assert code_of(broken) == (400, "BAD_REQUEST")

    async def test_reads_no_body_without_end(self, key: Client, application: Application) -> None:
        headers = key.headers | {"content-type": "application/json"}
        refused = await application.client.post("/api/v1/products", content=b" " * 300_000, headers=headers)
        assert code_of(refused) == (413, "BODY_TOO_LARGE")


class TestTheCaller:
    async def test_is_told_how_to_come_in(self, guest: Client) -> None:
        refused = await guest("POST", "/products", {"name": "Rope", "sku": "R", "price": CAD})
        assert code_of(refused) == (401, "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"].startswith("Bearer")

    async def test_is_refused_beyond_the_scopes_of_the_key(self, key: Client, product: dict[str, Any]) -> None:
        assert code_of(await key("GET", "/payouts")) == (403, "FORBIDDEN")
        assert code_of(await key("GET", "/price-lists")) == (403, "FORBIDDEN")
        assert (await key("GET", "/sub-orders")).json()["items"] == []

    async def test_finds_nothing_of_other_sellers_to_change(self, key: Client, shop: Shop) -> None:
        refused = await key("PATCH", f"/products/{shop.keys['product']}", {"name": "Mine"})
        assert code_of(refused)[0] in {403, 404}
        assert (await key("GET", f"/products/{shop.keys['product']}")).json()["name"] == "Lamp"

    async def test_is_counted(self, trader: Trader) -> None:
        issued = await trader.key("catalog.write", rate=1)
        client = Client(trader.application.client, {"authorization": f"Bearer {issued.clear}"})
        assert (await client("GET", "/products?first=1")).status_code == 200
        limited = await client("GET", "/products?first=1")
        assert code_of(limited) == (429, "RATE_LIMITED")
        assert 0 < int(limited.headers["retry-after"]) <= 60

    async def test_sees_the_orders_of_the_shop(self, admin: Client, shop: Shop) -> None:
        listed = (await admin("GET", "/orders?first=5")).json()["items"]
        assert shop.keys["order"] in {each["id"] for each in listed}
        order = await admin("GET", f"/orders/{shop.keys['order']}")
        assert order.json()["total"]["currency"] == "CAD"
        again = await admin("POST", f"/orders/{uuid7()}/cancel", {}, idempotency_key=str(uuid7()))
        assert code_of(again) == (404, "NOT_FOUND")

    @pytest.mark.parametrize("rows", [[["a"]], ["a"], [None, 5], "a", {}])
    async def test_imports_objects_alone(self, admin: Client, shop: Shop, rows: Any) -> None:
        before = (await admin("GET", "/imports")).json()["items"]
        refused = await admin("POST", "/imports", {"storeId": shop.keys["store"], "rows": rows})
        assert code_of(refused)[0] == 400
        assert (await admin("GET", "/imports")).json()["items"] == before

    async def test_takes_null_for_what_is_left_out(self, admin: Client, shop: Shop) -> None:
        given = {"storeId": shop.keys["store"], "rows": None, "file": None}
        assert code_of(await admin("POST", "/imports", given)) == (400, "INVALID_INPUT")

    async def test_follows_an_import(self, admin: Client, shop: Shop) -> None:
        started = await admin("POST", "/imports", {"storeId": shop.keys["store"], "rows": [{"sku": "X", "name": "X"}]})
        assert started.status_code == 202
        path = started.headers["location"].removeprefix("/api/v1")
        assert (await admin("GET", path)).json()["id"] == started.json()["id"]


class TestAddresses:
    async def test_that_are_none_and_methods_that_are_none(self, guest: Client) -> None:
        assert code_of(await guest("GET", "/nothing/here")) == (404, "NOT_FOUND")
        refused = await guest("DELETE", "/products")
        assert code_of(refused) == (405, "METHOD_NOT_ALLOWED")
        assert refused.headers["allow"] == "GET, HEAD, POST"

    async def test_whose_parameter_cannot_be(self, guest: Client) -> None:
        assert (await guest("GET", "/products/not-an-id")).status_code == 400


class TestTheDocuments:
    def test_ask_a_public_read_for_nothing_that_not_everybody_sees(self) -> None:
        guarded = {(each.type, each.field) for each in declared() if each.who.name != "public"}
        registry, asked = Registry(StrawberryExecutor(build()).schema), []

        class Selected(Visitor):
            def enter_field(self, node: Any, *_: Any) -> None:
                kind = info.get_parent_type()
                if kind is not None and (kind.name, node.name.value) in guarded:
                    asked.append(f"{kind.name}.{node.name.value}")

        for operation in registry.operations:
            if ("Query", operation.field.name.value) not in guarded and operation.method == "GET":
                info = TypeInfo(registry.schema)
                visit(parse(operation.text), TypeInfoVisitor(info, Selected()))
        assert asked == [], "a guest would be refused a part of what is public"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("query a { me { id } }", "comment"),
            ("# GET /me\nquery a { me { identity } }", "identity"),
            ("# GET /users/{id}\nquery a { me { id } }", "neither"),
            ("# GET /me\nquery a { me { id } }\n# GET /me\nquery b { me { id } }", "twice"),
            ('# GET /me\nquery a { me { id } user(id: "x") { id } }', "one field"),
        ],
    )
    def test_that_do_not_fit_stop_the_start(self, tmp_path: Path, text: str, reason: str) -> None:
        (tmp_path / "wrong.graphql").write_text(text)
        with pytest.raises(UnfitDocument, match=reason):
            Registry(StrawberryExecutor(build()).schema, tmp_path)


class TestTheDescription:
    def test_is_committed_as_it_is(self) -> None:
        assert REST_DESCRIPTION.read_text("utf-8") == openapi(), "run `make schema`"

    async def test_is_served_to_programs_and_to_people(self, application: Application) -> None:
        served = await application.get("/api/v1/openapi.json")
        assert served.json() == json.loads(REST_DESCRIPTION.read_text("utf-8"))
        page = await application.get("/api/docs")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "<script" not in page.text
        assert 'id="createProduct"' in page.text
