"""Deliveries through the graph, from the zone to the door."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import Principal, uuid7
from tests.delivery import DOOR, DOOR_AT, DOWNTOWN, FAR_AWAY
from tests.schema.delivery_desk import Desk


@pytest.fixture
async def desk(graph: Any, services: Any, tenant_id: UUID, admin: Principal, goods: Any) -> Desk:
    made = Desk(graph, services, tenant_id, admin, goods)
    await made.open()
    return made


PREVIEW = """query($input: CheckoutInput!) { checkoutPreview(input: $input) {
  deliveryFee { amountMinor } tax { amountMinor } total { amountMinor }
  deliveries { name fee { amountMinor } estimatedMinutes } } }"""
QUOTE = """query($address: DeliveryDestinationInput!, $items: [DeliveryItemInput!]!) {
  deliveryQuote(address: $address, items: $items) { options { name carrier fee { amountMinor } } refusal { code } } }"""
SLOTS = """query($store: ID!, $date: Date!) { deliverySlots(storeId: $store, date: $date) { id capacity available } }"""


async def open_slot(desk: Desk, capacity: int = 1) -> str:
    given = {
        "storeId": desk.goods.store,
        "firstDay": "2099-05-04",
        "lastDay": "2099-05-04",
        "spells": [{"starts": "10:00", "ends": "12:00", "capacity": capacity}],
    }
    made = await desk.do("openDeliverySlots", "OpenDeliverySlots", given, "OpenedSlots", "slots { id startsAt }")
    (slot,) = made["slots"]
    # Ten in the morning in Toronto, where summer time is kept.
    assert slot["startsAt"] == "2099-05-04T10:00:00-04:00"
    return str(slot["id"])


async def places(desk: Desk) -> list[int]:
    shown = await desk.graph(SLOTS, {"store": desk.goods.store, "date": "2099-05-04"}, principal=None)
    return [each["available"] for each in shown.data["deliverySlots"]]


class TestCheckout:
    async def test_costs_nothing_more_where_no_store_says_anything_about_deliveries(self, desk: Desk) -> None:
        order = await desk.order()
        assert (order["deliveryFee"]["amountMinor"], order["total"]["amountMinor"]) == (0, 1413)

    async def test_adds_the_fee_of_the_zone_and_the_tax_on_it(self, desk: Desk) -> None:
        await desk.zone(feeMinor=500, estimatedMinutes=45)
        given = {"lines": [{"sku": desk.goods.sku, "storeId": desk.goods.store}], "address": DOOR}
        order = await desk.order()
        # 12.50 and 5.00, and 13 % HST on each: 1.63 and 0.65.
        assert [order[name]["amountMinor"] for name in ("deliveryFee", "tax", "total")] == [500, 228, 1978]
        await desk.graph("mutation { createCart(input: {}) { __typename } }")
        await desk.do("addToCart", "AddToCart", {"lines": given["lines"]}, "Cart", "id")
        shown = (await desk.graph(PREVIEW, {"input": {"address": DOOR}})).data["checkoutPreview"]
        assert shown["deliveries"] == [{"name": "Downtown", "fee": {"amountMinor": 500}, "estimatedMinutes": 45}]
        assert [shown[name]["amountMinor"] for name in ("deliveryFee", "tax", "total")] == [500, 228, 1978]

    async def test_refuses_an_address_that_no_zone_has(self, desk: Desk) -> None:
        await desk.zone(postalCodes=["K1A*"])
        assert (await desk.order())["code"] == "OUTSIDE_DELIVERY_AREA"

    async def test_refuses_goods_that_cost_too_little(self, desk: Desk) -> None:
        await desk.zone(minimumOrderMinor=5_000)
        assert (await desk.order())["code"] == "MINIMUM_ORDER_NOT_REACHED"
        assert (await desk.order(4))["__typename"] == "Order"

    async def test_delivers_within_the_radius_of_the_store_only(self, desk: Desk) -> None:
        await desk.zone()
        await desk.do(
            "updateStore", "UpdateStore", {"id": desk.goods.store, "deliveryRadiusKm": 20}, "Store", "id"
        )
        assert (await desk.order(**FAR_AWAY))["code"] == "BEYOND_DELIVERY_RADIUS"
        assert (await desk.order(**DOOR_AT))["__typename"] == "Order"

    async def test_finds_a_door_in_an_area_that_was_drawn(self, desk: Desk) -> None:
        await desk.zone(postalCodes=[], area=DOWNTOWN, feeMinor=300)
        assert (await desk.order(**DOOR_AT))["deliveryFee"]["amountMinor"] == 300
        assert (await desk.order(**FAR_AWAY))["code"] == "OUTSIDE_DELIVERY_AREA"
        assert (await desk.order())["code"] == "OUTSIDE_DELIVERY_AREA"

    async def test_sends_by_the_method_that_was_chosen(self, desk: Desk) -> None:
        await desk.zone(feeMinor=900)
        made = await desk.do(
            "createShippingMethod",
            "CreateShippingMethod",
            {
                "name": "By post",
                "currency": "CAD",
                "carrier": "post",
                "basis": "VALUE",
                "steps": [{"upTo": 2_000, "feeMinor": 1_200}, {"feeMinor": 700}],
            },
            "ShippingMethod",
            "id",
        )
        assert (await desk.order())["deliveryFee"]["amountMinor"] == 900
        assert (await desk.order(methodIds=[made["id"]]))["deliveryFee"]["amountMinor"] == 1_200
        assert (await desk.order(2, methodIds=[made["id"]]))["deliveryFee"]["amountMinor"] == 700
        assert (await desk.order(methodIds=[str(uuid7())]))["code"] == "NOT_FOUND"

    async def test_quotes_what_it_would_cost(self, desk: Desk) -> None:
        items = [{"sku": desk.goods.sku, "storeId": desk.goods.store}]
        ask = {"address": {"country": "CA", "postalCode": "M5H 2N2"}, "items": items}
        free = await desk.graph(QUOTE, ask, principal=None)
        assert free.data["deliveryQuote"] == [
            {"options": [{"name": "Delivery", "carrier": "own_fleet", "fee": {"amountMinor": 0}}], "refusal": None}
        ]
        await desk.zone(feeMinor=450)
        quoted = await desk.graph(QUOTE, ask, principal=None)
        assert quoted.data["deliveryQuote"][0]["options"] == [
            {"name": "Downtown", "carrier": "own_fleet", "fee": {"amountMinor": 450}}
        ]
        ask["address"]["postalCode"] = "H2X 1Y4"
        refused = await desk.graph(QUOTE, ask, principal=None)
        assert refused.data["deliveryQuote"] == [{"options": [], "refusal": {"code": "OUTSIDE_DELIVERY_AREA"}}]


class TestASlot:
    async def test_is_taken_by_as_many_as_it_has_places_for(self, desk: Desk) -> None:
        await desk.zone()
        slot = await open_slot(desk, capacity=3)
        bought = await asyncio.gather(*(desk.order(slotIds=[slot]) for _ in range(8)))
        assert sorted(each["__typename"] for each in bought) == ["Order"] * 3 + ["SlotFull"] * 5
        assert await places(desk) == [0]

    async def test_is_given_back_when_the_card_is_declined(self, desk: Desk) -> None:
        await desk.zone()
        slot = await open_slot(desk)
        declined = await desk.graph(
            """mutation($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
              __typename ... on Error { code } } }""",
            {
                "input": {
                    "lines": [{"sku": desk.goods.sku, "storeId": desk.goods.store}],
                    "address": DOOR,
                    "paymentToken": "sbx_card_declined",
                    "delivery": {"slotIds": [slot]},
                },
                "key": str(uuid7()),
            },
        )
        assert declined.data["checkout"] == {"__typename": "PaymentDeclined", "code": "PAYMENT_DECLINED"}
        assert await places(desk) == [1]

    async def test_is_given_back_when_the_order_is_cancelled(self, desk: Desk) -> None:
        await desk.zone()
        slot = await open_slot(desk)
        made = await desk.delivery(slotIds=[slot])
        assert await places(desk) == [0]
        await desk.hear("order.cancelled", made["orderId"])
        assert await places(desk) == [1]
        assert [each["state"] for each in await desk.of_order(made["orderId"])] == ["CANCELLED"]
        await desk.hear("order.cancelled", made["orderId"])
        assert await places(desk) == [1]

    async def test_of_another_store_is_none(self, desk: Desk) -> None:
        await desk.zone()
        assert (await desk.order(slotIds=[str(uuid7())]))["code"] == "NOT_FOUND"
