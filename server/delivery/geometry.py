"""Areas on the map, by shapely: which drawings are areas at all, and which positions lie in them."""

import re
from functools import lru_cache
from typing import Any

from domain.delivery.geography import Area, InvalidArea, Position

CACHED_AREAS = 512
_WHERE = re.compile(r"(?P<reason>[^\[]+)(?:\[(?P<longitude>\S+) (?P<latitude>\S+)\])?")


class ShapelyGeometry:
    """Implements `Geometry`; degrees are read as a plane, as GeoJSON says that its edges are straight on the map."""

    def check(self, area: Area) -> Area:
        from shapely import is_valid_reason  # noqa: PLC0415 — numpy comes with it; see _prepared.

        reason = is_valid_reason(_shape(area))
        if reason != "Valid Geometry":
            raise _invalid(reason)
        return area

    def contains(self, area: Area, position: Position) -> bool:
        # Most positions lie far from most areas, and comparing four numbers says so.
        if not area.bounds.holds(position):
            return False
        from shapely import intersects_xy  # noqa: PLC0415 — see _prepared.

        return bool(intersects_xy(_prepared(area), position.longitude, position.latitude))


def _shape(area: Area) -> Any:
    from shapely import MultiPolygon  # noqa: PLC0415 — see _prepared.

    return MultiPolygon([(polygon[0], polygon[1:]) for polygon in area.polygons])


@lru_cache(maxsize=CACHED_AREAS)
def _prepared(area: Area) -> Any:
    """Give the shape with its index of edges, which is built once and answers for many positions."""
    # A server whose stores draw no areas never holds shapely and numpy in its memory.
    from shapely import prepare  # noqa: PLC0415

    shape = _shape(area)
    prepare(shape)
    return shape


def _invalid(reason: str) -> InvalidArea:
    """Say in words what GEOS says as `Self-intersection[-73.5 45.5]`."""
    found = _WHERE.fullmatch(reason)
    if found is None or found["longitude"] is None:
        return InvalidArea(reason.lower())
    longitude, latitude = float(found["longitude"]), float(found["latitude"])
    words = found["reason"].lower().replace("-", " ")
    return InvalidArea(f"{words} at longitude {longitude:g}, latitude {latitude:g}", longitude, latitude)
