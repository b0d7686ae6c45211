from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from domain.delivery.geography import (
    MAX_VERTICES,
    Area,
    BoundingBox,
    InvalidArea,
    Ping,
    Position,
    bearing_degrees,
    distance_metres,
    is_plausible,
    speed_kmh,
)
from domain.kernel import InvalidInput

MONTREAL = Position(45.5019, -73.5674)
TORONTO = Position(43.6532, -79.3832)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SQUARE = [[-73.6, 45.5], [-73.5, 45.5], [-73.5, 45.6], [-73.6, 45.6], [-73.6, 45.5]]


def ping(position: Position, seconds: float) -> Ping:
    return Ping(position, NOON + timedelta(seconds=seconds))


class TestPosition:
    @pytest.mark.parametrize(
        ("latitude", "longitude", "field"),
        [(90.1, 0, "latitude"), (nan, 0, "latitude"), (0, -180.1, "longitude"), (0, inf, "longitude")],
    )
    def test_lies_on_the_globe(self, latitude, longitude, field):
        with pytest.raises(InvalidInput) as refusal:
            Position(latitude, longitude)
        assert refusal.value.field == field

    def test_may_be_a_pole_or_the_date_line(self):
        assert Position(-90, 180).latitude == -90


class TestDistance:
    def test_is_that_of_the_great_circle(self):
        # Source: Vincenty's ellipsoid gives 504.3 km; the sphere is within half a percent of it.
        assert distance_metres(MONTREAL, TORONTO) == pytest.approx(504_260, rel=0.005)

    def test_of_a_degree_on_the_equator_is_a_part_of_the_circumference(self):
        assert distance_metres(Position(0, 0), Position(0, 1)) == pytest.approx(111_195.08, abs=0.01)

    def test_is_short_across_the_date_line(self):
        assert distance_metres(Position(0, 179.5), Position(0, -179.5)) == pytest.approx(111_195.08, abs=0.01)

    def test_to_the_antipode_is_half_around(self):
        assert distance_metres(Position(90, 0), Position(-90, 0)) == pytest.approx(20_015_114.4, abs=0.1)

    def test_to_itself_is_nothing(self):
        assert distance_metres(MONTREAL, MONTREAL) == 0


class TestBearing:
    @pytest.mark.parametrize(("end", "degrees"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)])
    def test_is_clockwise_from_north(self, end, degrees):
        assert bearing_degrees(Position(0, 0), Position(*end)) == pytest.approx(degrees)

    def test_follows_the_great_circle(self):
        assert bearing_degrees(Position(50, 0), Position(50, 90)) == pytest.approx(52.55, abs=0.01)


class TestPlausibility:
    def test_speed_is_distance_by_time(self):
        degree = distance_metres(Position(0, 0), Position(0, 1))
        assert speed_kmh(ping(Position(0, 0), 0), ping(Position(0, 1), 3600)) == pytest.approx(degree / 1000)

    def test_speed_without_time_is_infinite_unless_nobody_moved(self):
        assert speed_kmh(ping(MONTREAL, 0), ping(TORONTO, 0)) == inf
        assert speed_kmh(ping(MONTREAL, 0), ping(MONTREAL, 0)) == 0

    def test_allows_a_drive(self):
        assert is_plausible(ping(MONTREAL, 0), ping(TORONTO, 5 * 3600))

    def test_refuses_a_flight(self):
        assert not is_plausible(ping(MONTREAL, 0), ping(TORONTO, 3600))

    def test_refuses_the_past(self):
        assert not is_plausible(ping(MONTREAL, 10), ping(MONTREAL, 9))

    def test_allows_for_the_noise_of_positions(self):
        jumped = Position(MONTREAL.latitude + 0.0004, MONTREAL.longitude)
        assert is_plausible(ping(MONTREAL, 0), ping(jumped, 0.1))


class TestBoundingBox:
    def test_holds_its_positions_and_its_edges(self):
        box = BoundingBox.of([MONTREAL, TORONTO])
        assert box == BoundingBox(south=43.6532, north=45.5019, west=-79.3832, east=-73.5674)
        assert box.holds(MONTREAL)
        assert box.holds(Position(44, -75))
        assert not box.holds(Position(46, -75))


class TestArea:
    def test_reads_and_writes_a_polygon(self):
        geojson = {"type": "Polygon", "coordinates": [SQUARE]}
        area = Area.from_geojson(geojson)
        assert area.to_geojson() == geojson
        assert area.bounds == BoundingBox(south=45.5, north=45.6, west=-73.6, east=-73.5)

    def test_reads_and_writes_several_polygons(self):
        other = [[longitude + 1, latitude] for longitude, latitude in SQUARE]
        geojson = {"type": "MultiPolygon", "coordinates": [[SQUARE], [other]]}
        area = Area.from_geojson(geojson)
        assert area.to_geojson() == geojson
        assert area.bounds.east == -72.5

    def test_drops_altitudes(self):
        high = [[*vertex, 30.0] for vertex in SQUARE]
        assert Area.from_geojson({"type": "Polygon", "coordinates": [high]}).polygons[0][0][0] == (-73.6, 45.5)

    def test_is_the_same_as_another_of_the_same_vertices(self):
        geojson = {"type": "Polygon", "coordinates": [SQUARE]}
        assert {Area.from_geojson(geojson), Area.from_geojson(geojson)} == {Area.from_geojson(geojson)}

    @pytest.mark.parametrize(
        "geojson",
        [
            {},
            {"type": "Point", "coordinates": [0, 0]},
            {"type": "Polygon"},
            {"type": "Polygon", "coordinates": []},
            {"type": "MultiPolygon", "coordinates": []},
            {"type": "MultiPolygon", "coordinates": [[]]},
            {"type": "MultiPolygon", "coordinates": "everywhere"},
            {"type": "Polygon", "coordinates": ["ring"]},
            {"type": "Polygon", "coordinates": [[]]},
            {"type": "Polygon", "coordinates": [[1, 2, 3, 4]]},
            {"type": "Polygon", "coordinates": [[["a", "b"]] * 4]},
            {"type": "Polygon", "coordinates": [[[True, False]] * 4]},
            {"type": "Polygon", "coordinates": [[[1]] * 4]},
        ],
    )
    def test_refuses_what_is_no_polygon(self, geojson):
        with pytest.raises(InvalidArea):
            Area.from_geojson(geojson)

    @pytest.mark.parametrize(
        ("ring", "reason"),
        [
            (SQUARE[:-1], "the last repeats the first"),
            ([SQUARE[0], SQUARE[1], SQUARE[0]], "at least four vertices"),
            ([[181, 0], *SQUARE[1:-1], [181, 0]], "between -180 and 180"),
            ([[0, 91], *SQUARE[1:-1], [0, 91]], "between -90 and 90"),
            ([[nan, 0], *SQUARE[1:-1], [nan, 0]], "between -180 and 180"),
        ],
    )
    def test_refuses_a_wrong_ring(self, ring, reason):
        with pytest.raises(InvalidArea, match=reason):
            Area.from_geojson({"type": "Polygon", "coordinates": [ring]})

    def test_refuses_a_wrong_hole(self):
        with pytest.raises(InvalidArea, match="the last repeats the first"):
            Area.from_geojson({"type": "Polygon", "coordinates": [SQUARE, SQUARE[:-1]]})

    def test_refuses_to_cross_the_antimeridian(self):
        fiji = [[177, -19], [-178, -19], [-178, -16], [177, -16], [177, -19]]
        with pytest.raises(InvalidArea, match="antimeridian") as refusal:
            Area.from_geojson({"type": "Polygon", "coordinates": [fiji]})
        assert (refusal.value.longitude, refusal.value.latitude) == (-178, -19)

    def test_may_touch_the_antimeridian_from_either_side(self):
        west = [[177, -19], [180, -19], [180, -16], [177, -16], [177, -19]]
        east = [[-180, -19], [-178, -19], [-178, -16], [-180, -16], [-180, -19]]
        assert Area.from_geojson({"type": "MultiPolygon", "coordinates": [[west], [east]]}).bounds.west == -180

    def test_has_no_more_vertices_than_can_be_drawn(self):
        step = 0.1 / MAX_VERTICES
        coast = [[-73.6 + number * step, 45.5] for number in range(MAX_VERTICES)]
        with pytest.raises(InvalidArea, match="2,000 vertices"):
            Area.from_geojson({"type": "Polygon", "coordinates": [[*coast, coast[0]]]})
