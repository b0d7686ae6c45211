import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import NOBODY, Principal, Work, uuid7
from domain.orders import Order
from domain.topics import TopicHub
from resolvers.kernel import Context
from tests.events import eventually
from tests.orders import OTHER_STORE, SELLER, STORE, Place, place

ORDER = """query($id: ID, $number: String) {
  order(id: $id, number: $number) {
    orderNumber state paymentStatus total { amount currency } subtotal { amountMinor } deliveryFee { amountMinor }
    address { city country } customer { id }
    lines { sku quantity unit { amountMinor } total { amountMinor } }
    subOrders { number state total { amountMinor } lines { sku } address { city } }
    history { state changedBy }
  }
}"""
MOVE = """mutation($input: UpdateOrderStatusInput!) {
  updateOrderStatus(input: $input) {
    __typename
    ... on Order { state version trackingNumber subOrders { state } }
    ... on Error { code message }
  }
}"""
RETURN = """mutation($input: RequestReturnInput!) {
  requestReturn(input: $input) {
    __typename
    ... on Order { state returns { id state reason refundMinor lines { lineId quantity } } }
    ... on Error { code }
  }
}"""
ACCEPT = """mutation($input: AcceptReturnInput!, $key: String!) {
  acceptReturn(input: $input, idempotencyKey: $key) {
    __typename
    ... on Order { state lines { sku returned } returns { state refundMinor } }
    ... on Error { code }
  }
}"""
MINE = """query($filter: OrderFilterInput, $search: String) {
  myOrders(filter: $filter, search: $search, first: 10) {
    totalCount nodes { orderNumber total { amountMinor } lines { sku } subOrders { number } history { state } }
  }
}"""


@dataclass(frozen=True)
class People:
    """Who has to do with the order, and a stranger."""

    buyer: Principal
    seller: Principal
    staff: Principal
    stranger: Principal


@pytest.fixture
def people(tenant_id: UUID) -> People:
    def person(*permissions: str, user_id: UUID | None = None, store_ids: tuple[UUID, ...] = ()) -> Principal:
        return Principal(
            user_id=user_id or uuid7(),
            tenant_id=tenant_id,
            permissions=frozenset(permissions),
            store_ids=frozenset(store_ids),
        )

    return People(
        buyer=person(),
        seller=person("orders.update", user_id=SELLER),
        staff=person("orders.read", "orders.update", store_ids=(OTHER_STORE,)),
        stranger=person("orders.read", "orders.update"),
    )


Placing = Callable[..., Any]


@pytest.fixture
def order(services: Any, work: Work, people: People) -> Placing:
    async def placed(steps: int = 2, **how: Any) -> Order:
        # A request is made now, and the time for returns runs from the delivery.
        now = datetime.now(UTC)
        command = Place(customer_id=people.buyer.user_id, steps=steps, **how)
        made: Order = await services.transactions.run(place, command, replace(work, actor=people.buyer, now=now))
        return made

    return placed


class TestOrder:
    async def test_shows_its_buyer_everything_in_six_statements(
        self, graph: Any, order: Placing, people: People
    ) -> None:
        placed = await order()
        answer = await graph(ORDER, {"id": str(placed.id)}, principal=people.buyer)
        assert answer.errors == []
        buyer = str(people.buyer.user_id)
        assert answer.data["order"] == {
            "orderNumber": placed.number,
            "state": "PAID",
            "paymentStatus": "PAID",
            "total": {"amount": "30.01", "currency": "CAD"},
            "subtotal": {"amountMinor": 2500},
            "deliveryFee": {"amountMinor": 501},
            "address": {"city": "Toronto", "country": "CA"},
            "customer": {"id": buyer},
            "lines": [
                {"sku": "mug", "quantity": 2, "unit": {"amountMinor": 1000}, "total": {"amountMinor": 2000}},
                {"sku": "bowl", "quantity": 2, "unit": {"amountMinor": 250}, "total": {"amountMinor": 500}},
            ],
            "subOrders": [
                {
                    "number": f"{placed.number}-{number}",
                    "state": "PAID",
                    "total": {"amountMinor": total},
                    "lines": [{"sku": sku}],
                    "address": {"city": "Toronto"},
                }
                for number, total, sku in ((1, 2401, "mug"), (2, 600, "bowl"))
            ],
            "history": [{"state": state, "changedBy": buyer} for state in ("PENDING", "CONFIRMED", "PAID")],
        }
        by_number = await graph(ORDER, {"number": placed.number}, principal=people.buyer)
        assert by_number.data == answer.data
        assert answer.statements == 6

    async def test_is_shown_to_the_staff_of_its_stores_and_to_nobody_else(
        self, graph: Any, order: Placing, people: People
    ) -> None:
        placed = await order()
        seen = await graph(ORDER, {"id": str(placed.id)}, principal=people.staff)
        assert seen.data["order"]["orderNumber"] == placed.number
        for principal in (people.stranger, people.seller):
            for names in ({"id": str(placed.id)}, {"number": placed.number}):
                assert (await graph(ORDER, names, principal=principal)).data == {"order": None}
        assert (await graph(ORDER, {"id": str(placed.id)}, principal=NOBODY)).codes == ["UNAUTHENTICATED"]
        assert (await graph(ORDER, {}, principal=people.buyer)).codes == ["INVALID_INPUT"]

    async def test_is_nothing_to_another_tenant(
        self, graph: Any, order: Placing, people: People, make_tenant: Any
    ) -> None:
        placed = await order()
        other = make_tenant()
        intruder = Principal(user_id=people.buyer.user_id, tenant_id=other, permissions=frozenset({"*"}))
        answer = await graph(ORDER, {"id": str(placed.id)}, principal=intruder, tenant=other)
        assert answer.data == {"order": None}
        track = "query($number: String!) { trackOrder(number: $number) { state } }"
        assert (await graph(track, {"number": placed.number}, principal=intruder, tenant=other)).data == {
            "trackOrder": None
        }


class TestMyOrders:
    async def test_are_listed_with_five_statements_however_many_there_are(
        self, graph: Any, order: Placing, people: People
    ) -> None:
        one, two = await order(), await order(steps=0)
        answer = await graph(MINE, {}, principal=people.buyer)
        assert [node["orderNumber"] for node in answer.data["myOrders"]["nodes"]] == [two.number, one.number]
        assert answer.data["myOrders"]["nodes"][1]["lines"] == [{"sku": "mug"}, {"sku": "bowl"}]
        assert (answer.data["myOrders"]["totalCount"], answer.statements) == (2, 5)
        assert (await graph(MINE, {}, principal=people.stranger)).data["myOrders"]["nodes"] == []

    async def test_can_be_searched_and_filtered(self, graph: Any, order: Placing, people: People) -> None:
        one, two = await order(), await order(steps=0)

        async def found(**wanted: Any) -> list[str]:
            answer = await graph(MINE, wanted, principal=people.buyer)
            return [node["orderNumber"] for node in answer.data["myOrders"]["nodes"]]

        assert await found(search=one.number) == [one.number]
        assert await found(filter={"state": "PENDING"}) == [two.number]
        assert await found(filter={"paymentStatus": "PAID"}, search="bowl") == [one.number]
        assert (await graph(MINE, {"search": "x" * 201}, principal=people.buyer)).codes == ["INVALID_INPUT"]


class TestOrders:
    async def test_are_those_of_the_stores_that_one_works_at(
        self, graph: Any, order: Placing, people: People, admin: Principal
    ) -> None:
        placed = await order()
        document = "query($store: ID) { orders(storeId: $store) { nodes { orderNumber } } }"
        expected = {"orders": {"nodes": [{"orderNumber": placed.number}]}}
        for principal, store in ((people.staff, None), (people.staff, OTHER_STORE), (admin, None), (admin, STORE)):
            assert (await graph(document, {"store": store and str(store)}, principal=principal)).data == expected
        assert (await graph(document, {}, principal=people.stranger)).data == {"orders": {"nodes": []}}
        assert (await graph(document, {"store": str(STORE)}, principal=people.staff)).codes == ["NOT_FOUND"]
        assert (await graph(document, {}, principal=people.buyer)).codes == ["FORBIDDEN"]

    async def test_are_seen_by_sellers_as_their_own_parts(
        self, graph: Any, order: Placing, people: People, admin: Principal
    ) -> None:
        placed = await order()
        document = """query($filter: SubOrderFilterInput) { sellerOrders(filter: $filter) {
          nodes { number lines { sku } address { city } } } }"""

        async def numbers(principal: Principal, **wanted: Any) -> list[str]:
            answer = await graph(document, {"filter": wanted}, principal=principal)
            return [node["number"] for node in answer.data["sellerOrders"]["nodes"]]

        assert await numbers(people.seller) == [f"{placed.number}-1"]
        assert await numbers(people.staff) == [f"{placed.number}-2"]
        assert await numbers(people.buyer) == []
        assert sorted(await numbers(admin)) == [f"{placed.number}-1", f"{placed.number}-2"]
        assert await numbers(admin, storeId=str(STORE), state="PAID") == [f"{placed.number}-1"]

    async def test_of_a_user_are_that_users_to_see(self, graph: Any, order: Placing, people: People) -> None:
        placed = await order()
        document = "query($id: ID!) { order(id: $id) { customer { orders(first: 1) { nodes { orderNumber } } } } }"
        answer = await graph(document, {"id": str(placed.id)}, principal=people.buyer)
        assert answer.data["order"]["customer"]["orders"]["nodes"] == [{"orderNumber": placed.number}]


class TestTrackOrder:
    async def test_tells_everybody_how_far_it_is_and_nothing_else(self, graph: Any, order: Placing) -> None:
        placed = await order(steps=5)
        answer = await graph(
            "query($n: String!) { trackOrder(number: $n) { orderNumber state trackingNumber steps { state } } }",
            {"n": placed.number},
            principal=NOBODY,
        )
        assert answer.data["trackOrder"] == {
            "orderNumber": placed.number,
            "state": "SHIPPED",
            "trackingNumber": None,
            "steps": [{"state": state} for state in ("PENDING", "CONFIRMED", "PAID", "PROCESSING", "READY", "SHIPPED")],
        }
        assert answer.statements == 2


class TestOrderEvents:
    async def test_are_for_those_who_may_see_the_order(self, graph: Any, order: Placing, people: People) -> None:
        placed = await order(steps=1)
        document = "query($id: ID!) { orderEvents(id: $id) { nodes { name version userId } } }"
        answer = await graph(document, {"id": str(placed.id)}, principal=people.staff)
        assert answer.data["orderEvents"]["nodes"] == [
            {"name": name, "version": version, "userId": str(people.buyer.user_id)}
            for version, name in enumerate(("order.created", "order.confirmed"), start=1)
        ]
        assert (await graph(document, {"id": str(placed.id)}, principal=people.stranger)).codes == ["NOT_FOUND"]
        assert (await graph(document, {"id": str(placed.id)}, principal=people.buyer)).codes == ["FORBIDDEN"]


class TestUpdateOrderStatus:
    async def test_moves_the_part_that_one_sells(self, graph: Any, order: Placing, people: People) -> None:
        placed = await order()
        wanted = {"input": {"orderId": str(placed.id), "status": "PROCESSING"}}
        first = await graph(MOVE, wanted, principal=people.seller)
        assert first.data["updateOrderStatus"] == {
            "__typename": "Order",
            "state": "PAID",
            "version": 4,
            "trackingNumber": None,
            "subOrders": [{"state": "PROCESSING"}, {"state": "PAID"}],
        }
        second = await graph(MOVE, wanted, principal=people.staff)
        assert second.data["updateOrderStatus"]["state"] == "PROCESSING"
        again = await graph(MOVE, wanted, principal=people.staff)
        assert again.data["updateOrderStatus"]["code"] == "INVALID_STATE_TRANSITION"

    async def test_moves_the_whole_order_for_those_who_act_for_all(self, graph: Any, order: Placing) -> None:
        placed = await order(steps=4)
        wanted = {"orderId": str(placed.id), "status": "SHIPPED", "trackingNumber": "T1", "expectedVersion": 5}
        answer = await graph(MOVE, {"input": wanted})
        assert answer.data["updateOrderStatus"]["trackingNumber"] == "T1"
        assert answer.data["updateOrderStatus"]["subOrders"] == [{"state": "SHIPPED"}, {"state": "SHIPPED"}]
        stale = await graph(MOVE, {"input": wanted | {"status": "DELIVERED"}})
        assert stale.data["updateOrderStatus"]["code"] == "CONCURRENT_MODIFICATION"

    async def test_refuses_strangers_and_states_that_follow_from_other_acts(
        self, graph: Any, order: Placing, people: People
    ) -> None:
        placed = await order()
        for principal, status, code in (
            (people.stranger, "PROCESSING", "NOT_FOUND"),
            (people.seller, "CANCELLED", "INVALID_INPUT"),
            (people.seller, "SHIPPED", "INVALID_STATE_TRANSITION"),
        ):
            wanted = {"orderId": str(placed.id), "status": status}
            answer = await graph(MOVE, {"input": wanted}, principal=principal)
            assert answer.data["updateOrderStatus"]["code"] == code
        theirs = {"orderId": str(placed.id), "status": "PROCESSING", "subOrderId": str(placed.sub_orders[1].id)}
        answer = await graph(MOVE, {"input": theirs}, principal=people.seller)
        assert answer.data["updateOrderStatus"]["code"] == "NOT_FOUND"
        assert (await graph(MOVE, {"input": theirs}, principal=people.buyer)).codes == ["FORBIDDEN"]
        seen = await graph(ORDER, {"id": str(placed.id)}, principal=people.buyer)
        assert [part["state"] for part in seen.data["order"]["subOrders"]] == ["PAID", "PAID"]


class TestReturns:
    async def test_are_asked_for_by_the_buyer_and_accepted_by_the_store(
        self, graph: Any, order: Placing, people: People, work: Work
    ) -> None:
        placed = await order(steps=6)
        line_id = str(placed.lines[0].id)
        wanted = {"orderId": str(placed.id), "lines": [{"lineId": line_id, "quantity": 1}], "reason": "too small"}
        refused = await graph(RETURN, {"input": wanted}, principal=people.seller)
        assert refused.data["requestReturn"]["code"] == "NOT_FOUND"
        asked = await graph(RETURN, {"input": wanted}, principal=people.buyer)
        found = asked.data["requestReturn"]
        (made,) = found["returns"]
        assert (found["state"], made["state"], made["lines"]) == ("DELIVERED", "REQUESTED", wanted["lines"])
        decided = {"orderId": str(placed.id), "returnId": made["id"]}
        by_part = await graph(ACCEPT, {"input": decided, "key": "k1"}, principal=people.staff)
        assert by_part.data["acceptReturn"]["code"] == "NOT_FOUND"
        accepted = await graph(ACCEPT, {"input": decided, "key": "k2"})
        assert accepted.data["acceptReturn"] == {
            "__typename": "Order",
            "state": "PARTIALLY_RETURNED",
            "lines": [{"sku": "mug", "returned": 1}, {"sku": "bowl", "returned": 0}],
            "returns": [{"state": "ACCEPTED", "refundMinor": 1000}],
        }
        again = await graph(ACCEPT, {"input": decided, "key": "k2"})
        assert again.data == accepted.data


class TestReorder:
    async def test_refuses_orders_of_others_and_goods_that_are_gone(
        self, graph: Any, order: Placing, people: People
    ) -> None:
        placed = await order()
        document = """mutation($id: ID!) { reorder(input: {orderId: $id}) {
          __typename ... on Cart { units } ... on Error { code } } }"""
        theirs = await graph(document, {"id": str(placed.id)}, principal=people.stranger)
        assert theirs.data["reorder"]["code"] == "NOT_FOUND"
        gone = await graph(document, {"id": str(placed.id)}, principal=people.buyer)
        assert gone.data["reorder"]["code"] == "NOTHING_TO_REORDER"

    async def test_fills_the_cart_with_what_is_still_to_be_had(
        self, graph: Any, order: Placing, people: People, goods: Any
    ) -> None:
        stock = """mutation($store: ID!, $sku: String!) {
          adjustStock(input: {storeId: $store, sku: $sku, change: 1}, idempotencyKey: $sku) { __typename } }"""
        await graph(stock, {"store": goods.store, "sku": goods.sku})
        placed = await order(skus=(goods.sku, "bowl"))
        document = """mutation($id: ID!) { reorder(input: {orderId: $id}) {
          __typename ... on Cart { lines { sku quantity } } ... on Error { code } } }"""
        answer = await graph(document, {"id": str(placed.id)}, principal=people.buyer)
        assert answer.data["reorder"] == {"__typename": "Cart", "lines": [{"sku": goods.sku, "quantity": 1}]}


class Watching:
    """A subscription and what it gives; it follows from the moment it is there."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self.reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for answer in self._stream:
            self._answers.put_nowait(answer)

    async def next(self) -> Any:
        return await asyncio.wait_for(self._answers.get(), 10)

    async def until(self, holds: Callable[[Any], bool]) -> Any:
        """Give the first data of which something holds; what comes before it happened before."""
        while not holds(data := (await self.next()).data):
            pass
        return data


Watch = Callable[..., Any]


@pytest.fixture
def watch(supergraph: Any, services: Any, tenant_id: UUID) -> Watch:
    @asynccontextmanager
    async def watching(document: str, variables: dict[str, Any], principal: Principal) -> AsyncIterator[Watching]:
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=principal,
            tenant_id=tenant_id,
        )
        hub = services.by_port[TopicHub]
        before = hub.followers()
        stream = await supergraph.subscribe(document, variable_values=variables, context_value=context)
        watching = Watching(stream)

        async def begun() -> bool:
            return watching.reading.done() or hub.followers() > before

        await eventually(begun)
        yield watching
        watching.reading.cancel()
        await asyncio.wait([watching.reading])
        await stream.aclose()
        await reads.end()

    return watching


@pytest.mark.usefixtures("relay")
class TestSubscriptions:
    async def test_tell_a_buyer_how_the_order_goes_on_until_it_is_over(
        self, graph: Any, watch: Watch, order: Placing, people: People
    ) -> None:
        placed = await order()
        document = """subscription($id: ID!, $after: String) {
          orderStatusChanged(orderId: $id, after: $after) { cursor order { state version } } }"""
        async with watch(document, {"id": str(placed.id)}, people.buyer) as watching:
            first = (await watching.next()).data["orderStatusChanged"]
            assert first["order"]["state"] == "PAID"
            await graph(MOVE, {"input": {"orderId": str(placed.id), "status": "PROCESSING"}})
            seen = await watching.until(lambda data: data["orderStatusChanged"]["order"]["state"] == "PROCESSING")
            assert int(seen["orderStatusChanged"]["cursor"]) > int(first["cursor"])
        variables = {"id": str(placed.id), "after": first["cursor"]}
        async with watch(document, variables, people.buyer) as watching:
            seen = await watching.until(lambda data: data["orderStatusChanged"]["order"]["state"] == "PROCESSING")
            assert seen["orderStatusChanged"]["order"]["version"] == 4

    async def test_tell_nobody_else(self, watch: Watch, order: Placing, people: People) -> None:
        placed = await order()
        document = "subscription($id: ID!) { orderStatusChanged(orderId: $id) { order { state } } }"
        async with watch(document, {"id": str(placed.id)}, people.stranger) as watching:
            assert [each.original_error.code for each in (await watching.next()).errors] == ["NOT_FOUND"]

    async def test_tell_a_store_what_is_ordered_there(self, watch: Watch, order: Placing, people: People) -> None:
        await order()
        document = """subscription($id: ID!) {
          newStoreOrders(storeId: $id) { cursor subOrders { number lines { sku } } } }"""
        async with watch(document, {"id": str(OTHER_STORE)}, people.staff) as watching:
            placed = await order()
            wanted = [{"number": f"{placed.number}-2", "lines": [{"sku": "bowl"}]}]
            seen = await watching.until(lambda data: data["newStoreOrders"]["subOrders"] == wanted)
            assert seen["newStoreOrders"]["cursor"].isdigit()
        async with watch(document, {"id": str(STORE)}, people.staff) as watching:
            assert [each.original_error.code for each in (await watching.next()).errors] == ["NOT_FOUND"]
