"""The list that a storefront shows first: products with parts of five contexts, in a fixed number of statements."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.importing import ImportJob, ImportJobs, ImportState
from domain.kernel import Principal, Work
from domain.tenancy import CreateStore, create_store
from server.importer import Importer, load_map

PRODUCTS = 120
LIST = """
query List($first: Int!, $counted: Boolean!) {
  products(first: $first) {
    totalCount @include(if: $counted)
    pageInfo { hasNextPage }
    nodes {
      name brand price { amount currency }
      category { name }
      stock { available }
      rating { average total }
      variants { sku name }
    }
  }
}
"""


def rows() -> list[dict[str, Any]]:
    """Give the rows of a file with 120 products in ten categories, each with three variants and stock."""
    products = [
        {
            "sku": f"P{number:03}",
            "name": f"Lamp {number:03}",
            "brand": f"Maker {number % 7}",
            "category": f"Light > Kind {number % 10}",
            "price": f"{number}.50",
            "stock": number,
        }
        for number in range(1, PRODUCTS + 1)
    ]
    variants = [
        {"sku": f"{each['sku']}-{size}", "name": size, "variant_of": each["sku"]} for each in products for size in "SML"
    ]
    return products + variants


async def _queue(job: ImportJob, jobs: ImportJobs) -> None:
    jobs.add(job)


@pytest.fixture
async def shop(services: Any, tenant_id: UUID, admin: Principal, work: Work, tmp_path: Path) -> None:
    """Put 120 products on sale, and a review on the newest of them."""
    file = tmp_path / "goods.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows()))
    store = await services.transactions.run(create_store, CreateStore(code="corner", name="Corner"), work)
    mapping = load_map("agora")
    job = ImportJob(tenant_id=tenant_id, source="goods", store_id=store.id, seller_id=admin.user_id, mapping=mapping)
    await services.transactions.run(_queue, job, work)
    done = await Importer(services.transactions, work).run(job.id, file, mapping, "CAD")
    assert (done.state, done.created, done.updated) == (ImportState.COMPLETED, PRODUCTS, PRODUCTS * 3)


class TestTheProductList:
    async def test_takes_the_same_five_statements_for_20_products_as_for_100(self, graph: Any, shop: None) -> None:
        newest = await graph("{ products(first: 1) { nodes { id name } } }")
        reviewed = newest.data["products"]["nodes"][0]
        await graph(REVIEW, {"product": reviewed["id"]})
        few = await graph(LIST, {"first": 20, "counted": False})
        many = await graph(LIST, {"first": 100, "counted": False})
        assert few.errors == many.errors == []
        assert [len(each.data["products"]["nodes"]) for each in (few, many)] == [20, 100]
        assert (few.statements, many.statements) == (5, 5)
        shown = many.data["products"]["nodes"]
        number = int(reviewed["name"].removeprefix("Lamp "))
        assert shown[0] == {
            "name": f"Lamp {number:03}",
            "brand": f"Maker {number % 7}",
            "price": {"amount": f"{number}.50", "currency": "CAD"},
            "category": {"name": f"Kind {number % 10}"},
            "stock": {"available": number},
            "rating": {"average": "4.00", "total": 1},
            "variants": [{"sku": f"P{number:03}-{size}", "name": size} for size in "SML"],
        }
        assert all(len(each["variants"]) == 3 and each["category"] and each["stock"] for each in shown)

    async def test_takes_one_more_to_count_them_all(self, graph: Any, shop: None) -> None:
        counted = await graph(LIST, {"first": 20, "counted": True})
        assert counted.data["products"]["totalCount"] == PRODUCTS
        assert counted.statements == 6


REVIEW = """mutation($product: ID!) {
  createReview(input: {productId: $product, rating: 4}) { __typename ... on Error { message } } }"""
