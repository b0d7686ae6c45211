from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.kernel import Principal, Work, uuid7
from domain.processes.importing import ImportFiles
from server.importer import Importer, load_map

START = """mutation($input: StartBulkImportInput!) {
  startBulkImport(input: $input) { __typename ... on ImportJob { id state source } ... on Error { code message } } }"""
JOBS = """{ importJobs(first: 10) { nodes {
  id state processed created failed errors(first: 2) { nodes { line column reason } pageInfo { hasNextPage } } } } }"""
ROWS = [{"sku": "a", "name": "A"}, {"sku": "a", "name": "again"}, {"sku": "b"}, {"name": "c"}]


async def imported(services: Any, tenant_id: UUID, admin: Principal, job: dict[str, Any]) -> None:
    """Do what a worker does."""
    work = Work(tenant_id=tenant_id, actor=admin, now=datetime.now(UTC), correlation_id="test")
    path: Path = services.by_port[ImportFiles].path(tenant_id, job["source"])
    await Importer(services.transactions, work).run(UUID(job["id"]), path, load_map("agora"), "CAD")


class TestStartBulkImport:
    async def test_imports_rows_that_came_with_the_request(
        self, graph: Any, goods: Any, services: Any, tenant_id: UUID, admin: Principal
    ) -> None:
        rows = [{"sku": "n1", "name": "New", "price": "3.50", "stock": 4}]
        started = await graph(START, {"input": {"storeId": goods.store, "rows": rows}})
        job = started.data["startBulkImport"]
        assert (job["__typename"], job["state"]) == ("ImportJob", "QUEUED")
        await imported(services, tenant_id, admin, job)
        found = await graph('{ product(sku: "n1") { name price { amount } stock { available } } }')
        assert found.data["product"] == {"name": "New", "price": {"amount": "3.50"}, "stock": {"available": 4}}

    async def test_refuses_what_cannot_be_imported(self, graph: Any, goods: Any) -> None:
        for more, code in (
            ({}, "INVALID_INPUT"),
            ({"rows": [{"sku": "a"}], "file": "x"}, "INVALID_INPUT"),
            ({"file": "../../etc/passwd"}, "INVALID_INPUT"),
            ({"file": f"{uuid7().hex}-goods.csv"}, "NOT_FOUND"),
            ({"rows": [{"sku": "a"}], "mapName": "none"}, "INVALID_INPUT"),
            ({"rows": [{}] * 1_001}, "INVALID_INPUT"),
            ({"rows": [{"sku": "a"}], "storeId": str(uuid7())}, "NOT_FOUND"),
        ):
            answer = await graph(START, {"input": {"storeId": goods.store, **more}})
            assert answer.data["startBulkImport"]["code"] == code, more
        assert (await graph("{ importJobs { totalCount } }")).data["importJobs"]["totalCount"] == 0


class TestImportJobs:
    async def test_are_listed_with_their_errors_in_two_statements_however_many(
        self, graph: Any, goods: Any, services: Any, tenant_id: UUID, admin: Principal
    ) -> None:
        for count in (1, 3):
            for _ in range(count):
                started = await graph(START, {"input": {"storeId": goods.store, "rows": ROWS}})
                await imported(services, tenant_id, admin, started.data["startBulkImport"])
            listed = await graph(JOBS)
            assert listed.statements == 2
        first = listed.data["importJobs"]["nodes"][-1]
        assert (first["state"], first["created"], first["failed"]) == ("COMPLETED_WITH_ERRORS", 1, 3)
        assert first["errors"] == {
            "nodes": [
                {"line": 2, "column": "sku", "reason": "SKU a stands on an earlier line already"},
                {"line": 3, "column": "name", "reason": "it is missing"},
            ],
            "pageInfo": {"hasNextPage": True},
        }

    async def test_are_seen_by_those_who_work_at_their_store(self, graph: Any, goods: Any, tenant_id: UUID) -> None:
        started = await graph(START, {"input": {"storeId": goods.store, "rows": ROWS[:1]}})
        job_id = started.data["startBulkImport"]["id"]
        query = "query($id: ID!) { importJob(id: $id) { id } importJobs { nodes { id } } }"
        for stores, visible in ((frozenset({UUID(goods.store)}), True), (frozenset({uuid7()}), False)):
            clerk = Principal(
                user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"catalog.import"}), store_ids=stores
            )
            answer = await graph(query, {"id": job_id}, principal=clerk)
            assert answer.data["importJob"] == ({"id": job_id} if visible else None)
            assert len(answer.data["importJobs"]["nodes"]) == visible


class TestCancelImport:
    async def test_stops_a_queued_import_once(self, graph: Any, goods: Any) -> None:
        started = await graph(START, {"input": {"storeId": goods.store, "rows": ROWS}})
        cancel = """mutation($id: ID!) { cancelImport(input: {id: $id}) {
          __typename ... on ImportJob { state } ... on Error { code } } }"""
        job_id = started.data["startBulkImport"]["id"]
        assert (await graph(cancel, {"id": job_id})).data["cancelImport"]["state"] == "CANCELLED"
        assert (await graph(cancel, {"id": job_id})).data["cancelImport"]["code"] == "INVALID_STATE_TRANSITION"
