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
        await desk.do("updateStore", "UpdateStore", {"id": desk.goods.store, "deliveryRadiusKm": 20}, "Store", "id")
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


class TestADelivery:
    async def test_is_made_once_for_each_part_of_a_paid_order(self, desk: Desk) -> None:
        made = await desk.delivery()
        await desk.hear("order.payment_received", made["orderId"])
        (known,) = await desk.of_order(
            made["orderId"], "id state trackingNumber distanceKm fee { amountMinor } address { city }"
        )
        assert known["id"] == made["id"]
        assert (known["state"], known["address"]["city"], known["distanceKm"]) == ("PENDING", "Toronto", 1.59)
        assert known["trackingNumber"].startswith("AG")
        again = await desk.move("createDelivery", orderId=made["orderId"], subOrderId=made["subOrderId"])
        assert again["code"] == "ALREADY_EXISTS"

    async def test_goes_all_the_way_and_brings_its_order_along(self, desk: Desk) -> None:
        made = await desk.under_way()
        assert made["state"] == "EN_ROUTE"
        told = {
            "order_id": made["orderId"],
            "sub_order_id": made["subOrderId"],
            "tracking_number": made["trackingNumber"],
        }
        await desk.hear("delivery.started", made["id"], told)
        done = await desk.move("completeDelivery", "driver", id=made["id"], recipient="Ada")
        assert done["state"] == "DELIVERED"
        await desk.hear("delivery.delivered", made["id"], told)
        await desk.hear("delivery.delivered", made["id"], told)
        order = await desk.graph("query($id: ID!) { order(id: $id) { state trackingNumber } }", {"id": made["orderId"]})
        assert order.data["order"] == {"state": "DELIVERED", "trackingNumber": made["trackingNumber"]}
        events = await desk.of_order(made["orderId"], "events { name }")
        assert [each["name"].partition(".")[2] for each in events[0]["events"]] == [
            "created", "assigned", "started", "delivered"
        ]  # fmt: skip
        # The driver has nothing left, and can be given something new.
        assert (await desk.report("driver", "OFFLINE"))["status"] == "OFFLINE"

    async def test_is_not_moved_against_its_states(self, desk: Desk) -> None:
        made = await desk.delivery()
        for name, given in (
            ("startDelivery", {}),
            ("completeDelivery", {}),
            ("failDelivery", {"reason": "NOBODY_THERE"}),
            ("returnDelivery", {}),
            ("pickUpDelivery", {}),
        ):
            refused = await desk.move(name, id=made["id"], **given)
            assert (name, refused["code"]) == (name, "INVALID_STATE_TRANSITION")
        (known,) = await desk.of_order(made["orderId"], "state version")
        assert known == {"state": "PENDING", "version": 1}

    async def test_that_failed_is_tried_again_or_comes_back(self, desk: Desk) -> None:
        made = await desk.under_way()
        failed = await desk.move("failDelivery", "driver", id=made["id"], reason="NOBODY_THERE")
        assert failed["state"] == "FAILED"
        slot = await open_slot(desk)
        moved = await desk.move("scheduleDelivery", id=made["id"], slotId=slot)
        assert (moved["state"], await places(desk)) == ("RESCHEDULED", [0])
        await desk.move("assignDriver", deliveryId=made["id"], driverId=desk.people["driver"].id)
        await desk.move("startDelivery", "driver", id=made["id"])
        await desk.move("failDelivery", "driver", id=made["id"], reason="REFUSED")
        assert (await desk.move("returnDelivery", "driver", id=made["id"]))["state"] == "RETURNED_TO_STORE"

    async def test_is_seen_and_moved_by_its_own_driver_only(self, desk: Desk) -> None:
        made = await desk.under_way()
        for who in ("other_driver", "stranger"):
            asked = await desk.graph(
                "query($id: ID!) { delivery(id: $id) { id } }", {"id": made["id"]}, principal=desk.people[who].principal
            )
            assert asked.data == {"delivery": None}
            refused = await desk.move("completeDelivery", who, id=made["id"])
            assert refused["code"] == "NOT_FOUND"
        (known,) = await desk.of_order(made["orderId"], "state")
        assert known == {"state": "EN_ROUTE"}
        sheet = "{ driverRunSheet { id address { streetLine1 } } }"
        own = await desk.graph(sheet, principal=desk.people["driver"].principal)
        assert own.data["driverRunSheet"] == [{"id": made["id"], "address": {"streetLine1": "100 Queen St W"}}]
        others = await desk.graph(sheet, principal=desk.people["other_driver"].principal)
        assert others.data["driverRunSheet"] == []

    async def test_of_another_tenant_answers_like_one_that_never_was(self, desk: Desk, make_tenant: Any) -> None:
        made = await desk.delivery()
        elsewhere = make_tenant()
        intruder = Principal(user_id=uuid7(), tenant_id=elsewhere, permissions=frozenset({"*"}))
        for number in (made["trackingNumber"], "AG00000000000000000000"):
            asked = await desk.graph(
                "query($number: String!) { trackDelivery(trackingNumber: $number) { state } }",
                {"number": number}, principal=intruder, tenant=elsewhere,
            )  # fmt: skip
            assert asked.data == {"trackDelivery": None}

    async def test_is_given_to_one_driver_by_two_dispatchers(self, desk: Desk) -> None:
        made = await desk.delivery()
        for who in ("driver", "other_driver"):
            await desk.report(who, "AVAILABLE")
        both = await asyncio.gather(
            *(
                desk.move("assignDriver", deliveryId=made["id"], driverId=desk.people[who].id)
                for who in ("driver", "other_driver")
            )
        )
        assert sorted(each["__typename"] for each in both) == ["Delivery", "InvalidStateTransition"]

    async def test_makes_its_driver_busy_for_every_other(self, desk: Desk) -> None:
        made = [await desk.delivery() for _ in range(2)]
        await desk.report("driver", "AVAILABLE")
        both = await asyncio.gather(
            *(desk.move("assignDriver", deliveryId=each["id"], driverId=desk.people["driver"].id) for each in made)
        )
        assert sorted(each["__typename"] for each in both) == ["Delivery", "DriverNotAvailable"]
        assert (await desk.report("driver", "OFFLINE"))["code"] == "DRIVER_STILL_BUSY"

    async def test_lists_in_one_statement_for_a_level(self, desk: Desk) -> None:
        for _ in range(2):
            await desk.delivery()
        shown = await desk.graph(
            "{ deliveries { nodes { id driver { status } events { name } scans { status } eta { expected } } } }"
        )
        assert len(shown.data["deliveries"]["nodes"]) == 2
        # The list, the events, the scans, and the arrivals; nobody drives yet.
        assert shown.statements == 4


class TestAProof:
    async def test_is_asked_for_by_the_method(self, desk: Desk) -> None:
        made = await desk.do(
            "createShippingMethod", "CreateShippingMethod",
            {"name": "By hand", "currency": "CAD", "proof": "CODE", "feeMinor": 100}, "ShippingMethod", "id",
        )  # fmt: skip
        delivery = await desk.under_way(methodIds=[made["id"]], **DOOR_AT)
        assert (await desk.move("completeDelivery", "driver", id=delivery["id"]))["code"] == "PROOF_REQUIRED"
        ask = "query($id: ID!) { delivery(id: $id) { code } }"
        hidden = await desk.graph(ask, {"id": delivery["id"]}, principal=desk.people["driver"].principal)
        assert hidden.data["delivery"]["code"] is None
        code = (await desk.graph(ask, {"id": delivery["id"]})).data["delivery"]["code"]
        wrong = "000000" if code != "000000" else "000001"
        refused = await desk.move("completeDelivery", "driver", id=delivery["id"], code=wrong)
        assert refused["code"] == "WRONG_DELIVERY_CODE"
        assert (await desk.move("completeDelivery", "driver", id=delivery["id"], code=code))["state"] == "DELIVERED"

    async def test_may_be_told_twice_and_proves_one_delivery_only(self, desk: Desk) -> None:
        first = await desk.under_way()
        proof = {"signatureKey": "proofs/1.png", **DOOR_AT}
        done = await desk.move("completeDelivery", "driver", id=first["id"], **proof)
        again = await desk.move("completeDelivery", "driver", id=first["id"], **proof)
        assert (done["state"], again) == ("DELIVERED", done)
        other = await desk.move("completeDelivery", "driver", id=first["id"], signatureKey="proofs/2.png")
        assert other["code"] == "INVALID_STATE_TRANSITION"
        second = await desk.under_way()
        replayed = await desk.move("completeDelivery", "driver", id=second["id"], **proof)
        assert replayed["code"] == "PROOF_ALREADY_USED"
        (known,) = await desk.of_order(second["orderId"], "state proof { metresFromDoor }")
        assert known == {"state": "EN_ROUTE", "proof": None}


class TestACarrier:
    async def test_is_followed_in_whatever_order_it_tells(self, desk: Desk, services: Any) -> None:
        method = await desk.do(
            "createShippingMethod", "CreateShippingMethod",
            {"name": "By post", "currency": "CAD", "carrier": "post", "feeMinor": 100}, "ShippingMethod", "id",
        )  # fmt: skip
        made = await desk.delivery(methodIds=[method["id"]])
        await desk.book(made["id"])
        scans = [
            {"scanId": "1", "status": "picked up", "at": "2026-03-01T08:00:00Z"},
            {"scanId": "2", "status": "in_transit", "at": "2026-03-01T12:00:00Z"},
            {"scanId": "3", "status": "weighed", "at": "2026-03-02T12:00:00Z"},
            {"scanId": "4", "status": "DELIVERED", "at": "2026-03-02T13:00:00Z"},
        ]
        states = []
        for scan in (scans[3], scans[0], scans[3], scans[2], scans[1]):
            told = await desk.ingest(made["trackingNumber"], [scan])
            states.append(told["state"])
        assert states == ["DELIVERED"] * 5
        (known,) = await desk.of_order(made["orderId"], "deliveredAt scans { scanId state }")
        assert known["deliveredAt"] == "2026-03-02T13:00:00+00:00"
        assert [(each["scanId"], each["state"]) for each in known["scans"]] == [
            ("1", "PICKED_UP"), ("2", "EN_ROUTE"), ("3", None), ("4", "DELIVERED")
        ]  # fmt: skip

    async def test_that_nobody_knows_is_refused(self, desk: Desk) -> None:
        scan = {"scanId": "1", "status": "delivered", "at": "2026-03-01T08:00:00Z"}
        assert (await desk.ingest("AG1", [scan]))["code"] == "NOT_FOUND"


class TestATour:
    async def test_is_planned_by_a_worker_driven_by_one_and_ends_with_its_last_door(self, desk: Desk) -> None:
        made = [await desk.delivery(latitude=43.64 + place / 100, longitude=-79.38) for place in (3, 1, 2)]
        ids = [each["id"] for each in made]
        batch = await desk.batch("createDeliveryBatch", storeId=desk.goods.store, deliveryIds=ids)
        assert batch["state"] == "CREATED"
        twice = await desk.batch("createDeliveryBatch", storeId=desk.goods.store, deliveryIds=ids[:1])
        assert twice["code"] == "INVALID_INPUT"
        asked = await desk.batch("optimizeBatchRoute", id=batch["id"])
        assert asked["requestedAt"] is not None
        await desk.plan(batch["id"])
        shown = await desk.graph(
            "query($id: ID!) { deliveryBatch(id: $id) { state distanceMetres stops { deliveryId } deliveries { id } } }",
            {"id": batch["id"]},
        )
        found = shown.data["deliveryBatch"]
        assert found["state"] == "OPTIMISED"
        # Northwards and back, or the other way round: the middle one is in the middle.
        assert found["deliveries"][1]["id"] == ids[2]
        assert [each["id"] for each in found["deliveries"]] == [each["deliveryId"] for each in found["stops"]]
        await desk.report("driver", "AVAILABLE")
        sent = await desk.batch("dispatchBatch", id=batch["id"], driverId=desk.people["driver"].id)
        assert sent["state"] == "DISPATCHED"
        for each in ids:
            await desk.move("startDelivery", "driver", id=each)
            await desk.move("completeDelivery", "driver", id=each)
        ended = await desk.graph("query($id: ID!) { deliveryBatch(id: $id) { state } }", {"id": batch["id"]})
        assert ended.data["deliveryBatch"]["state"] == "COMPLETED"
        assert (await desk.report("driver", "OFFLINE"))["status"] == "OFFLINE"

    async def test_needs_to_know_where_its_doors_are(self, desk: Desk) -> None:
        made = await desk.delivery(notes="ring twice")
        batch = await desk.batch("createDeliveryBatch", storeId=desk.goods.store, deliveryIds=[made["id"]])
        assert (await desk.batch("optimizeBatchRoute", id=batch["id"]))["code"] == "NOT_ROUTABLE"


class TestAnAddress:
    async def test_is_checked_as_its_country_writes_it(self, desk: Desk) -> None:
        document = """query($input: ValidateAddressInput!) { validateAddress(input: $input) {
          isDeliverable label problems { field kind } address { postalCode region } } }"""
        good = {
            "country": "ca",
            "street": ["100 Queen St W"],
            "city": "Toronto",
            "region": "ON",
            "postalCode": "m5h2n2",
        }
        right = (await desk.graph(document, {"input": good}, principal=None)).data["validateAddress"]
        assert (right["isDeliverable"], right["address"]) == (True, {"postalCode": "M5H 2N2", "region": "ON"})
        wrong = (await desk.graph(document, {"input": good | {"postalCode": "12345"}}, principal=None)).data[
            "validateAddress"
        ]
        assert not wrong["isDeliverable"]
        assert wrong["problems"][0]["field"] == "POSTAL_CODE"
