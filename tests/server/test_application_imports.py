"""A seller's file on its way: uploaded over HTTP, imported by the worker, watched over a WebSocket, found in the shop."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from data.import_files import FolderImportFiles
from domain.identity.roles import PRESETS, Role
from domain.kernel import Principal, uuid7
from server.import_worker import ImportWorker
from tests.server.application import Application, Reply, next_message
from tests.server.conftest import token_of

GOODS = """sku,name,brand,category,price,stock
T-1,Desk lamp,Lumen,Light > Desk,19.90,7
T-2,Floor lamp,Lumen,Light > Floor,89.00,2
T-3,Broken lamp,Lumen,Light > Desk,-1,2
"""
START = """mutation($store: ID!, $file: String!) {
  startBulkImport(input: {storeId: $store, file: $file}) {
    __typename ... on ImportJob { id state source } ... on Error { code message } } }"""
PROGRESS = """subscription($job: ID!) {
  importProgress(jobId: $job) { state processed created failed errors { nodes { line column reason } } } }"""
FOUND = """query($sku: String!) { product(sku: $sku) {
  name brand price { amount currency } category { name } stock { available } } }"""


@pytest.fixture(scope="module")
async def imports(workshop: Any, application_settings: Any) -> Any:
    """The part of the worker that imports, beside the application."""
    stop = asyncio.Event()
    files = FolderImportFiles(application_settings.home / "imports")
    running = asyncio.create_task(ImportWorker(workshop, files).run(stop))
    yield
    stop.set()
    await running


@pytest.fixture
def seller(workshop: Any, shop: Any) -> str:
    """A token of somebody who sells in the one store of the shop."""
    who = Principal(
        user_id=uuid7(),
        tenant_id=shop.market.tenant_id,
        session_id=uuid7(),
        roles=frozenset({str(Role.SELLER)}),
        permissions=PRESETS[Role.SELLER],
        store_ids=frozenset({UUID(shop.keys["store"])}),
    )
    return token_of(workshop, who)


async def upload(
    application: Application, token: str | None, content: bytes | str, name: str | None = "a.csv"
) -> Reply:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    parameters = httpx.QueryParams({} if name is None else {"name": name})
    return await application.post(f"/imports/files?{parameters}", content, {"content-type": "text/csv", **headers})


class TestAnImport:
    async def test_goes_from_an_upload_to_products_on_sale(
        self, application: Application, shop: Any, seller: str, imports: None
    ) -> None:
        uploaded = await upload(application, seller, GOODS, "goods.csv")
        assert uploaded.status == 201
        begun = await application.ask(START, {"store": shop.keys["store"], "file": uploaded.body["file"]}, token=seller)
        job = begun.data["startBulkImport"]
        assert (job["__typename"], job["source"]) == ("ImportJob", uploaded.body["file"])
        seen = await watched(application, seller, job["id"])
        assert seen[-1] == {
            "state": "COMPLETED_WITH_ERRORS",
            "processed": 3,
            "created": 2,
            "failed": 1,
            "errors": {"nodes": [{"line": 4, "column": "price", "reason": seen[-1]["errors"]["nodes"][0]["reason"]}]},
        }
        found = await application.ask(FOUND, {"sku": "T-1"}, tenant=shop.code)
        assert found.data["product"] == {
            "name": "Desk lamp",
            "brand": "Lumen",
            "price": {"amount": "19.90", "currency": "CAD"},
            "category": {"name": "Desk"},
            "stock": {"available": 7},
        }

    async def test_of_rows_in_the_request_goes_the_same_way(
        self, application: Application, shop: Any, seller: str, imports: None
    ) -> None:
        document = START.replace("$file: String!", "$rows: [JSON!]!").replace("file: $file", "rows: $rows")
        rows = [{"sku": "R-1", "name": "Reading lamp", "price": "30.00"}]
        begun = await application.ask(document, {"store": shop.keys["store"], "rows": rows}, token=seller)
        seen = await watched(application, seller, begun.data["startBulkImport"]["id"])
        assert (seen[-1]["state"], seen[-1]["created"]) == ("COMPLETED", 1)
        found = await application.ask(FOUND, {"sku": "R-1"}, tenant=shop.code)
        assert found.data["product"]["name"] == "Reading lamp"

    async def test_of_a_file_that_cannot_be_read_fails_and_says_why(
        self, application: Application, shop: Any, seller: str, imports: None
    ) -> None:
        uploaded = await upload(application, seller, b"\x1f\x8b\x08 this is no gzip", "goods.csv.gz")
        begun = await application.ask(START, {"store": shop.keys["store"], "file": uploaded.body["file"]}, token=seller)
        answer = begun.data["startBulkImport"]
        if answer["__typename"] == "ImportJob":
            seen = await watched(application, seller, answer["id"])
            assert (seen[-1]["state"], seen[-1]["created"]) == ("FAILED", 0)
        else:
            assert answer["code"] in {"INVALID_INPUT", "FILE_UNREADABLE"}

    async def test_is_not_shown_to_another_tenant(self, application: Application, shop: Any, other_shop: Any) -> None:
        assert await first_error(application, other_shop.token, shop.keys["job"]) == "NOT_FOUND"
        assert await first_error(application, other_shop.token, str(uuid7())) == "NOT_FOUND"

    async def test_is_refused_with_the_file_of_another_tenant(
        self, application: Application, shop: Any, other_shop: Any
    ) -> None:
        uploaded = await upload(application, shop.token, GOODS)
        for file in (uploaded.body["file"], f"{uuid7().hex}-a.csv"):
            reply = await application.ask(
                START, {"store": other_shop.keys["store"], "file": file}, token=other_shop.token
            )
            assert reply.data["startBulkImport"]["code"] == "NOT_FOUND"

    async def test_is_refused_for_a_store_where_the_seller_does_not_work(
        self, application: Application, shop: Any, workshop: Any
    ) -> None:
        stranger = replace(shop.market.admin, permissions=PRESETS[Role.SELLER], store_ids=frozenset())
        token = token_of(workshop, stranger)
        uploaded = await upload(application, token, GOODS)
        reply = await application.ask(START, {"store": shop.keys["store"], "file": uploaded.body["file"]}, token=token)
        assert reply.data["startBulkImport"]["code"] == "NOT_FOUND"


async def watched(application: Application, token: str, job: str) -> list[dict[str, Any]]:
    """Follow an import over a WebSocket to its end."""
    async with application.socket(accessToken=token) as opened:
        assert (await next_message(opened))["type"] == "connection_ack"
        payload = {"query": PROGRESS, "variables": {"job": job}}
        await opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        seen = []
        while (message := await next_message(opened))["type"] == "next":
            seen.append(message["payload"]["data"]["importProgress"])
        assert message["type"] == "complete", message
        return seen


async def first_error(application: Application, token: str, job: str) -> str:
    async with application.socket(accessToken=token) as opened:
        assert (await next_message(opened))["type"] == "connection_ack"
        payload = {"query": PROGRESS, "variables": {"job": job}}
        await opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        message = await next_message(opened)
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        return str(errors[0]["extensions"]["code"])


class TestAnUpload:
    @pytest.fixture
    def kept(self, application_settings: Any, shop: Any) -> Any:
        """Count the files that the tenant has, and fail if the test changes their number."""
        folder: Path = application_settings.home / "imports"
        # Rows that came by the graph are files too, which a worker may be reading.
        before = sorted(folder.rglob("*.csv*"))
        yield
        assert sorted(folder.rglob("*.csv*")) == before

    async def test_is_refused_without_a_token(self, application: Application, kept: None) -> None:
        reply = await upload(application, None, GOODS)
        assert (reply.status, reply.body["code"]) == (401, "UNAUTHENTICATED")

    async def test_is_refused_without_the_permission(
        self, application: Application, shop: Any, workshop: Any, kept: None
    ) -> None:
        buyer = token_of(workshop, replace(shop.market.admin, permissions=frozenset()))
        reply = await upload(application, buyer, GOODS)
        assert (reply.status, reply.body["code"]) == (403, "FORBIDDEN")

    @pytest.mark.parametrize(
        "name",
        [
            None,
            "",
            ".",
            "..",
            "../a.csv",
            "a/b.csv",
            "..\\a.csv",
            ".hidden",
            "a\x00.csv",
            "a b.csv",
            "é.csv",
            "x" * 101,
            "/etc/passwd",
            "a.csv/",
            "%2e%2e%2fa.csv",
            "a\n.csv",
        ],
    )
    async def test_is_refused_under_a_name_that_is_none(
        self, application: Application, shop: Any, kept: None, name: str | None
    ) -> None:
        reply = await upload(application, shop.token, GOODS, name)
        assert (reply.status, reply.body["code"]) == (400, "INVALID_INPUT")

    async def test_that_breaks_off_is_not_kept(self, application: Application, shop: Any, kept: None) -> None:
        async def broken_off() -> Any:
            yield GOODS.encode()
            raise ConnectionError

        headers = {"authorization": f"Bearer {shop.token}"}
        with suppress(ConnectionError, httpx.HTTPError):
            await application.client.post("/imports/files?name=a.csv", content=broken_off(), headers=headers)

    async def test_may_be_larger_than_any_operation(self, application: Application, shop: Any) -> None:
        content = b"sku,name\n" + b"S,N\n" * application.settings.max_body_bytes
        reply = await upload(application, shop.token, content)
        assert reply.status == 201

    @pytest.mark.parametrize("key", ["../../secret.key", "a.csv", "", "0" * 32, "/etc/passwd", "\x00"])
    async def test_is_named_by_its_key_alone(self, application: Application, shop: Any, key: str) -> None:
        reply = await application.ask(START, {"store": shop.keys["store"], "file": key}, token=shop.token)
        assert reply.data["startBulkImport"]["code"] == "INVALID_INPUT"
