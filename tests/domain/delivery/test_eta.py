from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.delivery.eta import Arrival, DrivenLeg, Pace, RemainingStop, estimate_arrivals, observed_pace
from domain.delivery.geography import Ping, Position
from domain.delivery.routing import StraightLineTravel

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HERE = Position(0, 0)
# A kilometre a minute, so that a hundredth of a degree takes 67 seconds.
TRAVEL = StraightLineTravel(detour_factor=1.0, speed_kmh=60)
CERTAIN = Pace(1.0, 0.0)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def stop(number: int, **values) -> RemainingStop:
    return RemainingStop(**{"id": UUID(int=number), "position": Position(0, 0.01 * number)} | values)


def estimate(stops, *, at=NOON, now=NOON, pace=CERTAIN) -> list[Arrival]:
    return estimate_arrivals(Ping(HERE, at), stops, now=now, pace=pace, travel=TRAVEL)


class TestObservedPace:
    def test_is_the_plan_before_anything_was_driven(self):
        assert observed_pace([]) == Pace(1.0, 0.25)

    def test_follows_the_day_as_it_grows_longer(self):
        assert observed_pace([DrivenLeg(600, 900)]).ratio == pytest.approx(2_100 / 1_800)
        assert observed_pace([DrivenLeg(600, 900)] * 18).ratio == pytest.approx(17_400 / 12_000)

    def test_grows_more_certain(self):
        assert observed_pace([DrivenLeg(600, 600)] * 6).uncertainty == pytest.approx(0.125)

    def test_stays_within_reason(self):
        assert observed_pace([DrivenLeg(600, 86_400)]).ratio == 3.0
        assert observed_pace([DrivenLeg(86_400, 0)]).ratio == 0.5


class TestEstimateArrivals:
    def test_of_nothing_is_nothing(self):
        assert estimate([]) == []

    def test_drives_from_the_last_position_and_serves_on_the_way(self):
        arrivals = estimate([stop(1, service_seconds=120), stop(2)])
        assert [each.expected for each in arrivals] == [after(67), after(67 + 120 + 67)]

    def test_has_a_band_that_widens(self):
        first, second = estimate([stop(1, service_seconds=120), stop(2)])
        # The deviations are a quarter of 67 s, then the same of two ways and half of 120 s of service; 1.2816 of them.
        assert (first.earliest, first.latest) == (after(67 - 21), after(67 + 21))
        assert (second.earliest, second.latest) == (after(254 - 83), after(254 + 83))

    def test_widens_by_the_doubt_about_the_pace(self):
        (sure,) = estimate([stop(1)])
        (unsure,) = estimate([stop(1)], pace=Pace(1.0, 0.25))
        assert unsure.latest - unsure.expected > sure.latest - sure.expected

    def test_takes_the_planned_ways_beyond_the_first(self):
        arrivals = estimate([stop(1, planned_seconds=5), stop(2, planned_seconds=600)])
        assert [each.expected for each in arrivals] == [after(67), after(667)]

    def test_goes_at_the_pace_of_the_driver(self):
        arrivals = estimate([stop(1), stop(2, planned_seconds=100)], pace=Pace(2.0, 0.0))
        assert [each.expected for each in arrivals] == [after(134), after(334)]

    def test_waits_for_a_window_before_the_next_way(self):
        arrivals = estimate([stop(1, opens_at=after(600), service_seconds=60), stop(2)])
        assert [each.expected for each in arrivals] == [after(67), after(600 + 60 + 67)]

    def test_counts_from_when_the_driver_was_seen(self):
        (arrival,) = estimate([stop(1)], now=after(30))
        assert arrival.expected == after(67)

    def test_never_promises_the_past(self):
        (arrival,) = estimate([stop(1)], now=after(600))
        assert (arrival.earliest, arrival.expected) == (after(600), after(600))

    def test_has_a_pace_and_a_speed_of_its_own(self):
        (arrival,) = estimate_arrivals(Ping(HERE, NOON), [stop(1)], now=NOON)
        assert arrival.expected == after(174)
