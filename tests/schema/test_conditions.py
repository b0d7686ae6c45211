"""Conditions on what is to be done, where handlers know it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import Principal, uuid7

ADJUST = """mutation($store: ID!, $sku: String!, $change: Int!, $key: String!) { adjustStock(
  input: {storeId: $store, sku: $sku, change: $change}, idempotencyKey: $key) {
  __typename ... on StockLevel { onHand } ... on Error { code } } }"""
LEVELS = "query($store: ID!) { stockLevels(storeId: $store) { nodes { onHand } } }"
LIST = """mutation { createPriceList(input: {name: "Spring", kind: OVERRIDE, currency: "CAD"}) {
  __typename ... on PriceList { id } ... on Error { code message } } }"""
PRICE = """mutation($list: ID!, $sku: String!, $amount: BigInt!) { setListPrices(input: {
  listId: $list, prices: [{sku: $sku, price: {amountMinor: $amount, currency: "CAD"}}]}) {
  __typename ... on Error { code message } } }"""


@pytest.fixture
def clerk(tenant_id: UUID, goods: Any) -> Principal:
    return Principal(
        user_id=uuid7(),
        tenant_id=tenant_id,
        store_ids=frozenset({UUID(goods.store)}),
        conditions=(("inventory.adjust", "object.change >= -2 && object.change <= 2"),),
    )


class TestAdjustStock:
    async def test_stops_at_what_the_condition_allows(self, graph: Any, goods: Any, clerk: Principal) -> None:
        wanted = {"store": goods.store, "sku": goods.sku}
        beyond = await graph(ADJUST, {**wanted, "change": 3, "key": "a"}, principal=clerk)
        assert (beyond.data, beyond.codes) == (None, ["FORBIDDEN"])
        assert (await graph(LEVELS, {"store": goods.store})).data["stockLevels"]["nodes"] == []
        within = await graph(ADJUST, {**wanted, "change": 2, "key": "b"}, principal=clerk)
        assert within.data["adjustStock"] == {"__typename": "StockLevel", "onHand": 2}

    async def test_is_the_only_one_that_a_condition_on_the_change_opens(
        self, graph: Any, goods: Any, clerk: Principal
    ) -> None:
        document = """mutation($store: ID!, $sku: String!) { updateStockThresholds(
          input: {storeId: $store, sku: $sku, reorderPoint: 1, reorderQuantity: 1}) { __typename } }"""
        answer = await graph(document, {"store": goods.store, "sku": goods.sku}, principal=clerk)
        assert answer.codes == ["FORBIDDEN"]


class TestSetListPrices:
    async def test_stops_at_what_the_condition_allows(self, graph: Any, goods: Any, admin: Principal) -> None:
        made = (await graph(LIST)).data["createPriceList"]
        assert made["__typename"] == "PriceList", made
        limit = (("pricing.write", "object.amount_minor >= 1000"),)
        clerk = replace(
            admin, permissions=frozenset({"pricing.write.any", "catalog.*", "stores.any"}), conditions=limit
        )
        wanted = {"list": made["id"], "sku": goods.sku}
        beyond = await graph(PRICE, {**wanted, "amount": 999}, principal=clerk)
        assert beyond.codes == ["FORBIDDEN"]
        within = await graph(PRICE, {**wanted, "amount": 1000}, principal=clerk)
        assert within.data["setListPrices"] == {"__typename": "PriceList"}
