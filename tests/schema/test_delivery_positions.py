"""Where drivers are, from the device to whoever waits."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.delivery.positions import PositionLog
from domain.kernel import Principal
from resolvers.kernel import Context
from tests.delivery import DOOR_AT, STORE_AT
from tests.schema.delivery_desk import Desk

TELL = """mutation($input: UpdateDeliveryLocationInput!) { updateDeliveryLocation(input: $input) {
  __typename ... on LocationReceipt { accepted rejections { index reason } } ... on Error { code } } }"""
TRACK = """query($number: String!) { trackDelivery(trackingNumber: $number) {
  state isArriving stopsBefore driver { latitude longitude } destination { latitude longitude }
  eta { earliest expected latest } steps { step } } }"""


@pytest.fixture
async def desk(graph: Any, services: Any, tenant_id: UUID, admin: Principal, goods: Any) -> Desk:
    made = Desk(graph, services, tenant_id, admin, goods)
    await made.open()
    return made


def at(seconds: float, latitude: float, longitude: float = -79.3871, **more: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"at": moment.isoformat(), "latitude": latitude, "longitude": longitude, **more}


async def tell(desk: Desk, *positions: dict[str, Any], who: str = "driver", **more: Any) -> Any:
    given = {"positions": list(positions), **more}
    answer = await desk.graph(TELL, {"input": given}, principal=desk.people[who].principal)
    assert not answer.errors, answer.errors
    return answer.data["updateDeliveryLocation"]


async def track(desk: Desk, number: str) -> Any:
    answer = await desk.graph(TRACK, {"number": number}, principal=None)
    assert not answer.errors, answer.errors
    return answer.data["trackDelivery"]


class TestUpdateDeliveryLocation:
    async def test_believes_what_can_be_and_refuses_the_rest_one_by_one(self, desk: Desk) -> None:
        first = at(-60, 43.6430)
        told = await tell(
            desk,
            first,
            at(-50, 43.6440),
            at(-55, 43.6435),
            at(600, 43.6440),
            at(-40, 44.6440),
            at(-30, 43.6450, accuracy=2_000),
            at(-20, 143.0),
            at(-7_200, 43.6440),
            at(-10, 43.6450),
        )
        assert told["accepted"] == 3
        assert [(each["index"], each["reason"]) for each in told["rejections"]] == [
            (2, "OUT_OF_ORDER"),
            (3, "IN_THE_FUTURE"),
            (4, "IMPOSSIBLE_SPEED"),
            (5, "INACCURATE"),
            (6, "NOT_ON_EARTH"),
            (7, "TOO_OLD"),
        ]
        last = at(-5, 43.6452)
        assert (await tell(desk, last))["accepted"] == 1
        again = await tell(desk, last, first)
        assert [each["reason"] for each in again["rejections"]] == ["DUPLICATE", "OUT_OF_ORDER"]

    async def test_is_for_deliveries_that_the_caller_has_under_way(self, desk: Desk) -> None:
        made = await desk.under_way()
        here = at(-5, STORE_AT["latitude"])
        assert (await tell(desk, here, deliveryId=made["id"]))["accepted"] == 1
        assert (await tell(desk, here, who="other_driver", deliveryId=made["id"]))["code"] == "NOT_FOUND"

    async def test_refuses_too_many_and_none(self, desk: Desk) -> None:
        assert (await tell(desk))["code"] == "INVALID_INPUT"
        assert (await tell(desk, *[at(-5, 43.6)] * 101))["code"] == "INVALID_INPUT"

    async def test_of_two_devices_at_once_keeps_the_newest(self, desk: Desk) -> None:
        told = [at(-40 + number, 43.6430 + number / 10_000) for number in range(20)]
        answers = await asyncio.gather(*(tell(desk, each) for each in reversed(told)))
        assert sum(each["accepted"] for each in answers) >= 1
        refused = await tell(desk, told[-2])
        assert refused["rejections"][0]["reason"] in {"OUT_OF_ORDER", "DUPLICATE"}

    async def test_leaves_a_thinned_history(self, desk: Desk, services: Any, tenant_id: UUID) -> None:
        still = [at(-60 + number, 43.6430) for number in range(30)]
        assert (await tell(desk, *still))["accepted"] == 30
        await services.by_port[PositionLog].flush()
        async with services.database.session(tenant_id) as session:
            rows = await session.connection()
            kept = (await rows.exec_driver_sql("SELECT count(*) FROM delivery.position")).scalar_one()
        assert kept == 2


class TestArriving:
    async def test_is_told_once_with_the_fences_on_the_way(self, desk: Desk) -> None:
        made = await desk.under_way()
        door = DOOR_AT["latitude"]
        way = [43.6426, 43.6460, 43.6490, 43.6512, 43.6531, door]
        for place, latitude in enumerate(way):
            await tell(desk, at(-120 + place * 20, latitude, -79.3832 if place else -79.3871))
        (known,) = await desk.of_order(made["orderId"], "isArriving events { name fence }")
        assert known["isArriving"] is True
        assert [(each["name"].partition(".")[2], each["fence"]) for each in known["events"][3:]] == [
            ("geofence_entered", "store"),
            ("geofence_left", "store"),
            ("arriving", None),
            ("geofence_entered", "customer"),
        ]


class TestTracking:
    async def test_shows_strangers_how_far_it_is_and_nothing_of_whose_it_is(self, desk: Desk) -> None:
        made = await desk.under_way()
        await tell(desk, at(0, 43.64561234))
        shown = await track(desk, f" {made['trackingNumber'].lower()} ")
        assert (shown["state"], shown["stopsBefore"], shown["driver"]) == (
            "EN_ROUTE", 0, {"latitude": 43.646, "longitude": -79.387}
        )  # fmt: skip
        assert shown["destination"] == {"latitude": 43.653, "longitude": -79.383}
        assert shown["eta"]["earliest"] <= shown["eta"]["expected"] <= shown["eta"]["latest"]
        await desk.move("completeDelivery", "driver", id=made["id"])
        over = await track(desk, made["trackingNumber"])
        assert (over["state"], over["driver"], over["eta"]) == ("DELIVERED", None, None)
        assert [each["step"] for each in over["steps"]] == ["created", "assigned", "started", "delivered"]

    async def test_of_a_number_that_nobody_gave_is_nothing(self, desk: Desk) -> None:
        assert await track(desk, "AG0123456789") is None


@pytest.fixture
def follow(supergraph: Any, services: Any, tenant_id: UUID) -> Any:
    """Subscribe as somebody, and give an iterator over the data."""

    async def begin(document: str, variables: dict[str, Any], principal: Principal) -> AsyncGenerator[Any]:
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=principal,
            tenant_id=tenant_id,
        )
        try:
            results = await supergraph.subscribe(document, variable_values=variables, context_value=context)
            assert not hasattr(results, "errors"), results.errors
            async with aclosing(results) as each:
                async for result in each:
                    assert not result.errors, result.errors
                    await context.forget()
                    yield result.data
        finally:
            await reads.end()

    return begin


async def first(values: AsyncGenerator[Any], count: int = 1) -> list[Any]:
    return [await asyncio.wait_for(anext(values), 15) for _ in range(count)]


@pytest.mark.usefixtures("relay")
class TestFollowing:
    async def test_shows_what_happens_to_a_delivery_after_a_cursor(self, desk: Desk, follow: Any) -> None:
        made = await desk.under_way()
        document = "subscription($id: ID!, $after: String) { deliveryUpdated(deliveryId: $id, after: $after) { cursor event delivery { state } } }"
        async with aclosing(follow(document, {"id": made["id"], "after": "0"}, desk.admin)) as values:
            past = await first(values, 3)
            assert [each["deliveryUpdated"]["event"] for each in past] == [
                "delivery.created", "delivery.assigned", "delivery.started"
            ]  # fmt: skip
            await desk.move("completeDelivery", "driver", id=made["id"])
            (now,) = await first(values)
            assert now["deliveryUpdated"]["delivery"] == {"state": "DELIVERED"}

    async def test_shows_a_dispatcher_what_happens_in_the_store(self, desk: Desk, follow: Any) -> None:
        document = "subscription($id: ID!, $after: String) { dispatchBoard(storeId: $id, after: $after) { event delivery { id } } }"
        who = desk.people["dispatcher"].principal
        made = await desk.delivery()
        async with aclosing(follow(document, {"id": desk.goods.store, "after": "0"}, who)) as values:
            (seen,) = await first(values)
            assert seen["dispatchBoard"] == {"event": "delivery.created", "delivery": {"id": made["id"]}}

    async def test_shows_where_the_driver_is(self, desk: Desk, follow: Any) -> None:
        made = await desk.under_way()
        await tell(desk, at(-30, 43.6430))
        document = "subscription($id: ID!) { driverLocation(deliveryId: $id) { latitude longitude } }"
        async with aclosing(follow(document, {"id": made["id"]}, desk.admin)) as values:
            (opening,) = await first(values)
            assert opening["driverLocation"] == {"latitude": 43.643, "longitude": -79.3871}
            await tell(desk, at(-20, 43.6440))
            (moved,) = await first(values)
            assert moved["driverLocation"]["latitude"] == 43.644

    async def test_shows_everybody_with_the_number_the_same(self, desk: Desk, follow: Any) -> None:
        made = await desk.under_way()
        document = "subscription($n: String!) { trackingUpdated(trackingNumber: $n) { state driver { latitude } } }"
        nobody = Principal()
        async with aclosing(follow(document, {"n": made["trackingNumber"]}, nobody)) as values:
            (opening,) = await first(values)
            assert opening["trackingUpdated"] == {"state": "EN_ROUTE", "driver": None}
            await tell(desk, at(1, 43.6443))
            (moved,) = await first(values)
            assert moved["trackingUpdated"] == {"state": "EN_ROUTE", "driver": {"latitude": 43.644}}
            await desk.move("completeDelivery", "driver", id=made["id"])
            (over,) = await first(values)
            assert over["trackingUpdated"] == {"state": "DELIVERED", "driver": None}

    async def test_is_refused_to_strangers(self, desk: Desk, follow: Any) -> None:
        made = await desk.delivery()
        document = "subscription($id: ID!) { deliveryUpdated(deliveryId: $id) { event } }"
        with pytest.raises((AssertionError, Exception)):
            async with aclosing(follow(document, {"id": made["id"]}, desk.people["other_driver"].principal)) as values:
                await first(values)
