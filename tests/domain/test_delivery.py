"""The rules of delivery: zones, prices, states, proofs, scans, and which positions are believed."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from domain.delivery.deliveries import Delivery, Proof, ProofRequired, WrongDeliveryCode
from domain.delivery.drivers import Driver, DriverNotAvailable, DriverStillBusy
from domain.delivery.geography import Area, Geometry, Ping, Position
from domain.delivery.methods import Parcel, PriceBasis, ShippingMethod
from domain.delivery.offers import (
    BeyondDeliveryRadius,
    MinimumOrderNotReached,
    OutsideDeliveryArea,
    StoreTerms,
    delivery_options,
)
from domain.delivery.positions import DevicePosition, Leg, PositionRefusal, crossings, judge, worth_keeping
from domain.delivery.slots import DeliverySlot, OpenDeliverySlots, SlotClosed, SlotFull, SlotSpell, slots_of
from domain.delivery.states import DeliveryMode, DeliveryState, DriverStatus, FailureReason, ProofKind
from domain.delivery.tracking import arrivals
from domain.delivery.zones import CreateDeliveryZone, DeliveryZone, Target, matches, open_zone
from domain.kernel import InvalidInput, InvalidStateTransition, Principal, Work, uuid7
from domain.money import Money

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
TENANT, STORE = uuid7(), uuid7()
WORK = Work(
    tenant_id=TENANT, actor=Principal(user_id=uuid7(), permissions=frozenset({"*"})), now=NOW, correlation_id="t"
)
TORONTO = Position(43.6426, -79.3871)


class Everywhere(Geometry):
    """Takes every drawing for an area, and every position for one inside of it."""

    def check(self, area: Area) -> Area:
        return area

    def contains(self, area: Area, position: Position) -> bool:
        return area.bounds.holds(position)


def zone(**more: Any) -> DeliveryZone:
    given: dict[str, Any] = {"store_id": STORE, "name": "Centre", "currency": "CAD", "postal_codes": ("M5*",), **more}
    return open_zone(CreateDeliveryZone(**given), WORK, Everywhere())


def method(**more: Any) -> ShippingMethod:
    return ShippingMethod(**{"tenant_id": TENANT, "name": "Post", "currency": "CAD", "carrier": "post", **more})


def offered(terms: StoreTerms, worth: int = 1_000, grams: int = 0, **target: Any) -> list[tuple[str, int]]:
    where = Target(**{"country": "CA", "postal_code": "M5H 2N2", **target})
    parcel = Parcel(goods=Money(worth, "CAD"), weight_grams=grams)
    return [(each.name, each.fee.amount_minor) for each in delivery_options(terms, where, parcel, Everywhere())]


def delivery(**more: Any) -> Delivery:
    made = Delivery(
        **{
            "tenant_id": TENANT, "order_id": uuid7(), "sub_order_id": uuid7(), "order_number": "ORD-1",
            "customer_id": uuid7(), "store_id": STORE, "address": {}, "currency": "CAD", "made_at": NOW, **more,
        }
    )  # fmt: skip
    made.create(WORK)
    return made


def under_way(**more: Any) -> Delivery:
    made = delivery(**more)
    made.assign(uuid7(), None, WORK)
    made.start(WORK)
    return made


class TestAPostalCode:
    @pytest.mark.parametrize(
        ("pattern", "code", "means_it"),
        [("M5*", "M5H2N2", True), ("M5H2N2", "M5H2N2", True), ("M5", "M5H2N2", False), ("M?H*", "M5H2N2", True),
         ("*", "M5H2N2", True), ("K1*", "M5H2N2", False)],
    )  # fmt: skip
    def test_is_meant_by_a_pattern(self, pattern: str, code: str, means_it: bool) -> None:
        assert matches(pattern, code) is means_it

    @pytest.mark.parametrize("code", ["M5(", "", "M*5", "M5" * 20])
    def test_that_is_none_is_refused(self, code: str) -> None:
        with pytest.raises(InvalidInput):
            zone(postal_codes=(code,))


class TestAZone:
    def test_has_postal_codes_or_an_area(self) -> None:
        with pytest.raises(InvalidInput):
            zone(postal_codes=())

    def test_takes_the_cheapest_that_is_active_and_whose_minimum_is_reached(self) -> None:
        terms = StoreTerms(
            store_id=STORE,
            zones=[zone(name="Cheap", fee_minor=100, minimum_order_minor=5_000), zone(name="Dear", fee_minor=700),
                   zone(name="Closed", fee_minor=1, is_active=False)],
        )  # fmt: skip
        assert offered(terms) == [("Dear", 700)]
        assert offered(terms, worth=5_000) == [("Cheap", 100)]

    def test_says_what_is_missing(self) -> None:
        terms = StoreTerms(store_id=STORE, zones=[zone(minimum_order_minor=5_000)], position=TORONTO, radius_km=10)
        with pytest.raises(MinimumOrderNotReached) as refused:
            offered(terms)
        assert refused.value.minimum_minor == 5_000
        with pytest.raises(OutsideDeliveryArea):
            offered(terms, postal_code="H2X 1Y4")
        with pytest.raises(BeyondDeliveryRadius) as far:
            offered(terms, position=Position(45.5019, -73.5674))
        assert far.value.radius_km == 10


class TestAPrice:
    def test_goes_by_weight_in_steps(self) -> None:
        steps = [{"up_to": 1_000, "fee_minor": 500}, {"up_to": 5_000, "fee_minor": 900}]
        terms = StoreTerms(store_id=STORE, methods=[method(basis=PriceBasis.WEIGHT, steps=steps)])
        assert [offered(terms, grams=grams) for grams in (1_000, 1_001)] == [[("Post", 500)], [("Post", 900)]]
        with pytest.raises(OutsideDeliveryArea):
            offered(terms, grams=5_001)

    def test_is_nothing_from_a_sum_on(self) -> None:
        terms = StoreTerms(store_id=STORE, methods=[method(fee_minor=500, free_from_minor=3_000)])
        assert offered(terms, worth=2_999) == [("Post", 500)]
        assert offered(terms, worth=3_000) == [("Post", 0)]

    def test_of_the_own_fleet_is_that_of_the_zone_and_more(self) -> None:
        own = method(name="Today", carrier="own_fleet", basis=PriceBasis.ZONE, fee_minor=300)
        terms = StoreTerms(store_id=STORE, zones=[zone(fee_minor=400)], methods=[own, method(fee_minor=650)])
        assert offered(terms) == [("Post", 650), ("Today", 700)]
        assert offered(terms, postal_code="H2X 1Y4") == [("Post", 650)]

    def test_is_offered_where_the_carrier_goes(self) -> None:
        terms = StoreTerms(store_id=STORE, methods=[method(countries=["US"])])
        with pytest.raises(OutsideDeliveryArea):
            offered(terms)


class TestASlot:
    def test_is_in_the_time_of_its_store(self) -> None:
        spell = SlotSpell(starts="22:00", ends="02:00", capacity=2)
        command = OpenDeliverySlots(
            store_id=STORE, first_day=date(2026, 7, 1), last_day=date(2026, 7, 2), spells=(spell,)
        )
        first, second = slots_of(command, "Europe/Dublin", WORK)
        assert first.starts_at == datetime(2026, 7, 1, 21, tzinfo=UTC)
        assert (first.ends_at - first.starts_at, second.day) == (timedelta(hours=4), date(2026, 7, 2))

    def test_takes_no_more_than_it_has_places_for_and_nobody_late(self) -> None:
        slot = DeliverySlot(
            tenant_id=TENANT, store_id=STORE, day=NOW.date(), starts_at=NOW + timedelta(hours=1),
            ends_at=NOW + timedelta(hours=2), capacity=1,
        )  # fmt: skip
        slot.book(NOW)
        with pytest.raises(SlotFull):
            slot.book(NOW)
        with pytest.raises(InvalidInput):
            slot.resize(0)
        slot.free()
        with pytest.raises(SlotClosed):
            slot.book(slot.starts_at)
        assert slot.booked == 0


class TestADriver:
    def test_takes_one_thing_at_a_time(self) -> None:
        driver = Driver(tenant_id=TENANT, user_id=uuid7())
        with pytest.raises(DriverNotAvailable):
            driver.engage(WORK)
        driver.report(DriverStatus.AVAILABLE, 0, WORK)
        driver.engage(WORK)
        with pytest.raises(DriverNotAvailable):
            driver.engage(WORK)
        with pytest.raises(DriverStillBusy):
            driver.report(DriverStatus.OFFLINE, 1, WORK)
        assert driver.status is DriverStatus.BUSY


class TestADelivery:
    def test_of_regulated_goods_asks_for_a_signature_or_a_photo(self) -> None:
        made = under_way(age_restricted=True)
        with pytest.raises(ProofRequired):
            made.complete(Proof(), WORK)
        assert made.state is DeliveryState.EN_ROUTE
        made.complete(Proof(photo_key="proofs/door.jpg"), WORK)
        assert made.state is DeliveryState.DELIVERED

    def test_with_a_code_asks_for_it(self) -> None:
        made = under_way(proof_kind=ProofKind.CODE)
        with pytest.raises(ProofRequired):
            made.complete(Proof(), WORK)
        with pytest.raises(WrongDeliveryCode):
            made.complete(Proof(code=f"{made.code}1"), WORK)
        made.complete(Proof(code=made.code), WORK)
        assert made.proof["code_given"] is True

    def test_is_not_cancelled_once_it_is_with_the_driver(self) -> None:
        made = under_way()
        with pytest.raises(InvalidStateTransition):
            made.cancel(None, WORK)

    def test_of_a_carrier_is_driven_by_nobody_of_ours(self) -> None:
        made = delivery(mode=DeliveryMode.CARRIER)
        for act in (lambda: made.assign(uuid7(), None, WORK), lambda: made.start(WORK)):
            with pytest.raises(InvalidStateTransition):
                act()

    def test_has_a_number_that_nobody_guesses(self) -> None:
        numbers = {delivery().tracking_number for _ in range(100)}
        assert len(numbers) == 100
        assert {len(each) for each in numbers} == {22}

    def test_is_rescheduled_only_into_the_future(self) -> None:
        made = under_way()
        made.fail(FailureReason.NOBODY_THERE, None, WORK)
        with pytest.raises(InvalidInput):
            made.schedule(NOW - timedelta(hours=2), NOW - timedelta(hours=1), None, WORK)
        assert made.state is DeliveryState.FAILED

    def test_comes_to_the_same_whatever_the_order_of_its_scans(self) -> None:
        scans = [
            (DeliveryState.PICKED_UP, NOW), (DeliveryState.EN_ROUTE, NOW + timedelta(hours=1)),
            (DeliveryState.FAILED, NOW + timedelta(hours=2)), (DeliveryState.EN_ROUTE, NOW + timedelta(hours=3)),
            (DeliveryState.DELIVERED, NOW + timedelta(hours=2, minutes=30)),
        ]  # fmt: skip
        for order in permutations(scans):
            made = delivery(mode=DeliveryMode.CARRIER, carrier="post")
            for state, at in (*order, *order):
                made.track(state, at)
            assert (made.state, made.delivered_at) == (DeliveryState.DELIVERED, scans[4][1])

    def test_tells_of_a_fence_and_of_arriving_once(self) -> None:
        made = under_way()
        for _ in range(2):
            made.arrive(WORK)
            made.cross("customer", inside=True, at=NOW)
        made.cross("store", inside=False, at=NOW)
        names = [each.event.name for each in made.release_events()][3:]
        assert names == ["delivery.arriving", "delivery.geofence_entered"]


def told(seconds: float, metres: float = 0.0, **more: Any) -> DevicePosition:
    return DevicePosition(
        at=NOW + timedelta(seconds=seconds), latitude=43.6426 + metres / 111_195, longitude=-79.3871, **more
    )


class TestAPosition:
    @pytest.mark.parametrize(
        ("position", "reason"),
        [
            (told(0), PositionRefusal.OUT_OF_ORDER),
            (told(-10), PositionRefusal.DUPLICATE),
            (told(31), PositionRefusal.IN_THE_FUTURE),
            (told(-3_600), PositionRefusal.TOO_OLD),
            (told(0, 1_000), PositionRefusal.IMPOSSIBLE_SPEED),
            (told(0, accuracy=501.0), PositionRefusal.INACCURATE),
            (told(0, accuracy=float("nan")), PositionRefusal.INACCURATE),
            (told(0, metres=float("nan")), PositionRefusal.NOT_ON_EARTH),
        ],
    )
    def test_is_refused_alone(self, position: DevicePosition, reason: PositionRefusal) -> None:
        last = Ping(TORONTO, NOW - timedelta(seconds=10))
        last = Ping(TORONTO, NOW + timedelta(seconds=5)) if reason is PositionRefusal.OUT_OF_ORDER else last
        judged = judge([position, told(10, 20)], last, NOW)
        assert [each.reason for each in judged.rejected] == [reason]
        assert judged.believed == [told(10, 20)]

    def test_is_kept_after_a_while_or_a_way(self) -> None:
        last = Ping(TORONTO, NOW)
        assert not worth_keeping(last, Ping(TORONTO, NOW + timedelta(seconds=14)))
        assert worth_keeping(last, Ping(TORONTO, NOW + timedelta(seconds=15)))
        assert worth_keeping(last, Ping(Position(43.6432, -79.3871), NOW + timedelta(seconds=1)))

    def test_crosses_fences_on_the_way(self) -> None:
        leg = Leg(delivery_id=uuid7(), door=Position(43.6526, -79.3871), store=TORONTO)
        away, near = Ping(Position(43.6466, -79.3871), NOW), Ping(Position(43.6500, -79.3871), NOW)
        assert [(each.fence, each.inside) for each in crossings(leg, None, Ping(TORONTO, NOW))] == [("store", True)]
        assert [(each.fence, each.inside) for each in crossings(leg, Ping(TORONTO, NOW), away)] == [("store", False)]
        assert [each.fence for each in crossings(leg, away, near)] == [None]
        assert crossings(leg, near, near) == []


class TestAnArrival:
    def test_follows_the_order_of_the_tour(self) -> None:
        made = [under_way(latitude=43.65 + place / 100, longitude=-79.38) for place in range(2)]
        known = arrivals(made, Ping(TORONTO, NOW), NOW)
        first, second = (known[each.id].expected for each in made)
        assert NOW < first < second

    def test_is_unknown_before_anybody_has_set_out(self) -> None:
        assert arrivals([delivery()], Ping(TORONTO, NOW), NOW) == {}
