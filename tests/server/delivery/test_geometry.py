import math
from random import Random

import pytest

from domain.delivery.geography import Area, InvalidArea, Position
from server.delivery.geometry import ShapelyGeometry, _prepared

GEOMETRY = ShapelyGeometry()

# The island of Montreal, roughly, without the town of Mount Royal in its middle.
ISLAND = [
    [-73.976, 45.404], [-73.87, 45.401], [-73.74, 45.43], [-73.63, 45.412], [-73.53, 45.45], [-73.53, 45.54],
    [-73.48, 45.70], [-73.60, 45.63], [-73.72, 45.54], [-73.88, 45.51], [-73.976, 45.404],
]  # fmt: skip
TOWN = [[-73.66, 45.50], [-73.66, 45.53], [-73.63, 45.53], [-73.63, 45.50], [-73.66, 45.50]]
DOWNTOWN = Position(45.5019, -73.5674)


def polygon(*rings) -> Area:
    return Area.from_geojson({"type": "Polygon", "coordinates": list(rings)})


def square(west: float, south: float, side: float) -> list[list[float]]:
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


class TestCheck:
    def test_gives_a_real_area_back(self):
        area = polygon(ISLAND, TOWN)
        assert GEOMETRY.check(area) is area

    def test_does_not_mind_which_way_a_ring_goes(self):
        area = polygon(ISLAND[::-1], TOWN[::-1])
        assert GEOMETRY.check(area) is area

    def test_refuses_a_ring_that_crosses_itself_and_says_where(self):
        with pytest.raises(InvalidArea, match="self intersection") as refusal:
            GEOMETRY.check(polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]))
        assert (refusal.value.longitude, refusal.value.latitude) == (1, 1)

    @pytest.mark.parametrize(
        "rings",
        [
            [square(0, 0, 2), square(3, 3, 1)],
            [square(0, 0, 2), square(1, 1, 2)],
            [square(0, 0, 9), square(1, 1, 4), square(2, 2, 1)],
            [square(0, 0, 2), square(0, 0, 2)],
        ],
        ids=["hole outside", "hole across the border", "hole in a hole", "hole as large as all"],
    )
    def test_refuses_wrong_holes(self, rings):
        with pytest.raises(InvalidArea):
            GEOMETRY.check(polygon(*rings))

    def test_refuses_an_area_without_an_inside(self):
        with pytest.raises(InvalidArea):
            GEOMETRY.check(polygon([[0, 0], [1, 1], [2, 2], [0, 0]]))

    def test_refuses_polygons_that_overlap(self):
        overlapping = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 2)], [square(1, 1, 2)]]}
        with pytest.raises(InvalidArea):
            GEOMETRY.check(Area.from_geojson(overlapping))

    def test_takes_several_polygons_apart_from_each_other(self):
        area = Area.from_geojson({"type": "MultiPolygon", "coordinates": [[square(0, 0, 2)], [square(5, 5, 2)]]})
        assert GEOMETRY.check(area) is area


class TestContains:
    @pytest.mark.parametrize(
        ("latitude", "longitude", "inside"),
        [
            (45.5019, -73.5674, True),
            (45.515, -73.645, False),
            (45.57, -73.75, False),
            (45.46, -73.80, True),
            (43.65, -79.38, False),
        ],
        ids=["downtown", "in the hole", "Laval, across the river", "the west of the island", "Toronto"],
    )
    def test_knows_inside_from_outside(self, latitude, longitude, inside):
        assert GEOMETRY.contains(polygon(ISLAND, TOWN), Position(latitude, longitude)) is inside

    def test_counts_the_border_in(self):
        area = polygon(square(0, 0, 2))
        assert GEOMETRY.contains(area, Position(0, 1))
        assert GEOMETRY.contains(area, Position(2, 2))
        assert not GEOMETRY.contains(area, Position(2.000001, 2))

    def test_looks_into_every_polygon(self):
        area = Area.from_geojson({"type": "MultiPolygon", "coordinates": [[square(0, 0, 2)], [square(5, 5, 2)]]})
        found = [GEOMETRY.contains(area, Position(each, each)) for each in (1, 3, 6)]
        assert found == [True, False, True]

    def test_agrees_with_arithmetic_on_a_circle(self):
        ring = [[math.cos(turn * math.tau / 360), math.sin(turn * math.tau / 360)] for turn in range(360)]
        area, random = polygon([*ring, ring[0]]), Random(7)
        for _ in range(500):
            x, y = random.uniform(-1.2, 1.2), random.uniform(-1.2, 1.2)
            # Between the circle and its polygon of 360 corners nobody has to decide.
            if abs(math.hypot(x, y) - 1) > 1e-4:
                assert GEOMETRY.contains(area, Position(y, x)) is (math.hypot(x, y) < 1)

    def test_builds_the_index_of_an_area_once(self):
        _prepared.cache_clear()
        for _ in range(3):
            GEOMETRY.contains(polygon(ISLAND, TOWN), DOWNTOWN)
        assert _prepared.cache_info().misses == 1

    def test_does_not_load_a_shape_for_a_position_far_away(self):
        _prepared.cache_clear()
        GEOMETRY.contains(polygon(ISLAND, TOWN), Position(0, 0))
        assert _prepared.cache_info().misses == 0
