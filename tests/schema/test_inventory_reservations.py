from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import Principal, uuid7

RECEIVE = """
mutation($input: ReceiveStockInput!, $key: String!) { receiveStock(input: $input, idempotencyKey: $key) {
  __typename ... on StockLevel { onHand available } ... on Error { code } } }
"""
RESERVE = """
mutation($input: ReserveStockInput!, $key: String!) { reserveStock(input: $input, idempotencyKey: $key) {
  __typename
  ... on HeldStock { orderId reservations { sku quantity remaining state purpose } }
  ... on Error { code message } } }
"""
RELEASE = """
mutation($order: ID!, $key: String!) { releaseStock(input: {orderId: $order}, idempotencyKey: $key) {
  __typename ... on HeldStock { reservations { state remaining } } ... on Error { code message } } }
"""
MOVE = """
mutation($input: MoveInventoryInput!, $key: String!) { moveInventory(input: $input, idempotencyKey: $key) {
  __typename ... on InventoryMovement { id quantity } ... on Error { code } } }
"""
LEVEL = "query($store: ID!, $sku: String!) { stockLevel(storeId: $store, sku: $sku) { onHand reserved available } }"
STORE = """mutation($input: CreateStoreInput!) {
  createStore(input: $input) { ... on Store { id } ... on Error { message } } }"""


async def receive(graph: Any, goods: Any, quantity: int, **more: Any) -> Any:
    given = {"storeId": goods.store, "sku": goods.sku, "quantity": quantity, **more}
    answer = await graph(RECEIVE, {"input": given, "key": str(uuid7())})
    return answer.data["receiveStock"]


def wish(goods: Any, quantity: int, order: str, **more: Any) -> dict[str, Any]:
    return {"orderId": order, "claims": [{"storeId": goods.store, "sku": goods.sku, "quantity": quantity}], **more}


async def level(graph: Any, goods: Any) -> Any:
    return (await graph(LEVEL, {"store": goods.store, "sku": goods.sku})).data["stockLevel"]


@pytest.fixture
async def second_store(graph: Any) -> str:
    code = f"s-{uuid7().hex[-12:]}"
    made = await graph(STORE, {"input": {"code": code, "name": "Second", "provinceCode": "CA-ON"}})
    return str(made.data["createStore"]["id"])


class TestReserveStock:
    async def test_holds_units_until_they_are_released(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 5)
        order = str(uuid7())
        reserved = await graph(RESERVE, {"input": wish(goods, 3, order), "key": "a"})
        assert reserved.data["reserveStock"] == {
            "__typename": "HeldStock",
            "orderId": order,
            "reservations": [{"sku": goods.sku, "quantity": 3, "remaining": 3, "state": "ACTIVE", "purpose": "ORDER"}],
        }
        assert await level(graph, goods) == {"onHand": 5, "reserved": 3, "available": 2}
        released = await graph(RELEASE, {"order": order, "key": "b"})
        assert released.data["releaseStock"]["reservations"] == [{"state": "RELEASED", "remaining": 0}]
        assert await level(graph, goods) == {"onHand": 5, "reserved": 0, "available": 5}

    async def test_answers_a_repeated_request_with_what_it_said_first(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 5)
        request = {"input": wish(goods, 3, str(uuid7())), "key": "a"}
        first, again = await graph(RESERVE, request), await graph(RESERVE, request)
        assert first.data == again.data
        assert (await level(graph, goods))["reserved"] == 3

    async def test_refuses_more_than_there_is(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 2)
        answer = await graph(RESERVE, {"input": wish(goods, 3, str(uuid7())), "key": "a"})
        assert answer.data["reserveStock"]["code"] == "INSUFFICIENT_STOCK"
        assert (await level(graph, goods))["reserved"] == 0

    @pytest.mark.parametrize("quantity", [0, -1, 2_000_000_000])
    async def test_refuses_numbers_that_make_no_sense(self, graph: Any, goods: Any, quantity: int) -> None:
        answer = await graph(RESERVE, {"input": wish(goods, quantity, str(uuid7())), "key": "a"})
        assert answer.data["reserveStock"]["code"] == "INVALID_INPUT"

    async def test_refuses_an_end_in_the_past(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 2)
        ended = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        answer = await graph(RESERVE, {"input": wish(goods, 1, str(uuid7()), expiresAt=ended), "key": "a"})
        assert answer.data["reserveStock"]["code"] == "INVALID_INPUT"

    async def test_is_for_those_who_work_there(self, graph: Any, goods: Any, tenant_id: UUID) -> None:
        await receive(graph, goods, 2)
        order = str(uuid7())
        await graph(RESERVE, {"input": wish(goods, 1, order), "key": "a"})
        stranger = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"inventory.adjust"}))
        answer = await graph(RESERVE, {"input": wish(goods, 1, str(uuid7())), "key": "b"}, principal=stranger)
        assert answer.data["reserveStock"]["code"] == "NOT_FOUND"
        answer = await graph(RELEASE, {"order": order, "key": "c"}, principal=stranger)
        assert answer.data["releaseStock"]["code"] == "NOT_FOUND"
        assert (await level(graph, goods))["reserved"] == 1

    async def test_demands_an_idempotency_key(self, graph: Any, goods: Any) -> None:
        document = RELEASE.replace(", $key: String!", "").replace(", idempotencyKey: $key", "")
        assert (await graph(document, {"order": str(uuid7())})).data is None


class TestReservations:
    async def test_are_listed_with_one_statement(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 9)
        orders = [str(uuid7()) for _ in range(3)]
        for order in orders:
            await graph(RESERVE, {"input": wish(goods, 1, order), "key": order})
        await graph(RELEASE, {"order": orders[0], "key": "r"})
        document = """query($store: ID!, $state: ReservationState) {
          reservations(storeId: $store, state: $state) { nodes { orderId remaining } } }"""
        answer = await graph(document, {"store": goods.store, "state": "ACTIVE"})
        assert answer.data["reservations"]["nodes"] == [
            {"orderId": order, "remaining": 1} for order in reversed(orders[1:])
        ]
        assert answer.statements == 1


class TestLots:
    async def test_of_the_oldest_batch_are_suggested_first(self, graph: Any, goods: Any) -> None:
        for name, units, days in (("young", 4, 1), ("old", 3, 9), ("old", 1, 8)):
            received = (datetime.now(UTC) - timedelta(days=days)).isoformat()
            await receive(graph, goods, units, batchLot=name, receivedAt=received)
        document = """query($store: ID!, $sku: String!) {
          batches(storeId: $store, sku: $sku) { nodes { batchLot quantityRemaining } }
          batchSuggestion(storeId: $store, sku: $sku, quantity: 6) { batchLot quantity } }"""
        answer = await graph(document, {"store": goods.store, "sku": goods.sku})
        assert answer.data == {
            "batches": {
                "nodes": [
                    {"batchLot": "old", "quantityRemaining": 4},
                    {"batchLot": "young", "quantityRemaining": 4},
                ]
            },
            "batchSuggestion": [{"batchLot": "old", "quantity": 4}, {"batchLot": "young", "quantity": 2}],
        }
        assert (await level(graph, goods))["onHand"] == 8

    async def test_lose_their_oldest_units_when_stock_is_adjusted(self, graph: Any, goods: Any) -> None:
        await receive(graph, goods, 3, batchLot="b1")
        document = """mutation($store: ID!, $sku: String!) {
          adjustStock(
            input: {storeId: $store, sku: $sku, change: -2, kind: DAMAGE}, idempotencyKey: "once") { __typename } }"""
        await graph(document, {"store": goods.store, "sku": goods.sku})
        document = """query($store: ID!, $sku: String!) {
          batches(storeId: $store, sku: $sku) { nodes { quantityReceived quantityRemaining } } }"""
        answer = await graph(document, {"store": goods.store, "sku": goods.sku})
        assert answer.data["batches"]["nodes"] == [{"quantityReceived": 3, "quantityRemaining": 1}]


class TestMoveInventory:
    async def test_carries_units_and_their_lots_to_another_store(
        self, graph: Any, goods: Any, second_store: str
    ) -> None:
        await receive(graph, goods, 5, batchLot="b1")
        given = {"fromStoreId": goods.store, "toStoreId": second_store, "sku": goods.sku, "quantity": 2}
        request = {"input": given, "key": "m"}
        first, again = await graph(MOVE, request), await graph(MOVE, request)
        assert first.data == again.data
        assert first.data["moveInventory"]["quantity"] == 2
        document = """query($store: ID!, $sku: String!) {
          stockLevel(storeId: $store, sku: $sku) { onHand }
          batches(storeId: $store, sku: $sku) { nodes { batchLot quantityRemaining } }
          movements(storeId: $store, sku: $sku) { nodes { id quantity } } }"""
        for store, units in ((goods.store, 3), (second_store, 2)):
            assert (await graph(document, {"store": store, "sku": goods.sku})).data == {
                "stockLevel": {"onHand": units},
                "batches": {"nodes": [{"batchLot": "b1", "quantityRemaining": units}]},
                "movements": {"nodes": [{"id": first.data["moveInventory"]["id"], "quantity": 2}]},
            }

    async def test_refuses_to_carry_what_is_reserved(self, graph: Any, goods: Any, second_store: str) -> None:
        await receive(graph, goods, 5)
        await graph(RESERVE, {"input": wish(goods, 4, str(uuid7())), "key": "a"})
        given = {"fromStoreId": goods.store, "toStoreId": second_store, "sku": goods.sku, "quantity": 2}
        answer = await graph(MOVE, {"input": given, "key": "m"})
        assert answer.data["moveInventory"]["code"] == "INSUFFICIENT_STOCK"
        assert await level(graph, goods) == {"onHand": 5, "reserved": 4, "available": 1}
