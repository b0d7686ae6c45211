from typing import Any
from uuid import UUID

from domain.kernel import NOBODY, Principal, uuid7

ADJUST = """
mutation Adjust($store: ID!, $sku: String!, $change: Int!, $key: String! = "once") {
  adjustStock(input: {storeId: $store, sku: $sku, change: $change}, idempotencyKey: $key) {
    __typename
    ... on StockLevel { onHand available version isLow }
    ... on Error { code message }
    ... on InsufficientStock { requested free: available }
  }
}
"""


class TestAdjustStock:
    async def test_raises_the_stock_that_products_show(self, graph: Any, goods: Any) -> None:
        answer = await graph(ADJUST, {"store": goods.store, "sku": goods.sku, "change": 7})
        assert answer.data["adjustStock"] == {
            "__typename": "StockLevel",
            "onHand": 7,
            "available": 7,
            "version": 1,
            "isLow": False,
        }
        seen = await graph("query($id: ID!) { product(id: $id) { stock { available } } }", {"id": goods.product})
        assert seen.data == {"product": {"stock": {"available": 7}}}

    async def test_answers_a_repeated_request_with_what_it_said_first(self, graph: Any, goods: Any) -> None:
        request = {"store": goods.store, "sku": goods.sku, "change": 7, "key": "k1"}
        first = await graph(ADJUST, request)
        await graph(ADJUST, {**request, "key": "k2"})
        again = await graph(ADJUST, request)
        assert again.data == first.data
        other = await graph(ADJUST, {**request, "change": 8})
        assert other.data["adjustStock"]["code"] == "IDEMPOTENCY_KEY_REUSED"
        total = await graph("query($id: ID!) { product(id: $id) { stock { onHand } } }", {"id": goods.product})
        assert total.data["product"]["stock"]["onHand"] == 14

    async def test_refuses_to_take_more_than_there_is(self, graph: Any, goods: Any) -> None:
        await graph(ADJUST, {"store": goods.store, "sku": goods.sku, "change": 2})
        answer = await graph(ADJUST, {"store": goods.store, "sku": goods.sku, "change": -3, "key": "k2"})
        assert answer.data["adjustStock"] == {
            "__typename": "InsufficientStock",
            "code": "INSUFFICIENT_STOCK",
            "message": f"Only 2 of {goods.sku} are available; 3 were requested.",
            "requested": 3,
            "free": 2,
        }

    async def test_knows_neither_other_stores_nor_other_skus(self, graph: Any, goods: Any) -> None:
        for store, sku in ((str(uuid7()), goods.sku), (goods.store, "no such SKU")):
            answer = await graph(ADJUST, {"store": store, "sku": sku, "change": 1})
            assert answer.data["adjustStock"]["code"] == "NOT_FOUND"

    async def test_answers_another_tenants_ids_like_ids_that_never_were(
        self, graph: Any, goods: Any, make_tenant: Any
    ) -> None:
        other: UUID = make_tenant()
        intruder = Principal(user_id=uuid7(), tenant_id=other, permissions=frozenset({"*"}))
        foreign = await graph(
            ADJUST, {"store": goods.store, "sku": goods.sku, "change": 1}, principal=intruder, tenant=other
        )
        unknown = uuid7()
        never = await graph(
            ADJUST, {"store": str(unknown), "sku": goods.sku, "change": 1}, principal=intruder, tenant=other
        )
        assert foreign.data["adjustStock"]["code"] == never.data["adjustStock"]["code"] == "NOT_FOUND"
        assert foreign.data["adjustStock"]["message"] == never.data["adjustStock"]["message"].replace(
            str(unknown), goods.store
        )

    async def test_is_for_those_who_hold_the_permission(self, graph: Any, goods: Any, tenant_id: UUID) -> None:
        request = {"store": goods.store, "sku": goods.sku, "change": 1}
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        assert (await graph(ADJUST, request, principal=shopper)).codes == ["FORBIDDEN"]
        assert (await graph(ADJUST, request, principal=NOBODY)).codes == ["UNAUTHENTICATED"]

    async def test_leaves_a_suspended_tenant_as_it_is(self, graph: Any, goods: Any, suspend: Any) -> None:
        suspend()
        answer = await graph(ADJUST, {"store": goods.store, "sku": goods.sku, "change": 1})
        assert answer.data["adjustStock"]["code"] == "TENANT_READ_ONLY"


class TestStockLevels:
    async def test_are_listed_page_by_page_with_two_statements_at_most(self, graph: Any, goods: Any) -> None:
        await graph(ADJUST, {"store": goods.store, "sku": goods.sku, "change": 1})
        await graph(ADJUST, {"store": goods.store, "sku": goods.variant_sku, "change": 2, "key": "k2"})
        document = """
        query Levels($store: ID!, $after: String) {
          stockLevels(storeId: $store, first: 1, after: $after) {
            nodes { sku onHand } pageInfo { hasNextPage endCursor } totalCount
          }
        }
        """
        first = await graph(document, {"store": goods.store})
        page = first.data["stockLevels"]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"], first.statements) == (2, True, 2)
        second = await graph(document, {"store": goods.store, "after": page["pageInfo"]["endCursor"]})
        assert [*page["nodes"], *second.data["stockLevels"]["nodes"]] == [
            {"sku": goods.sku, "onHand": 1},
            {"sku": goods.variant_sku, "onHand": 2},
        ]

    async def test_refuse_a_cursor_that_is_not_theirs(self, graph: Any, goods: Any) -> None:
        answer = await graph(
            'query($store: ID!) { stockLevels(storeId: $store, after: "rubbish!") { nodes { sku } } }',
            {"store": goods.store},
        )
        assert answer.codes == ["INVALID_INPUT"]
