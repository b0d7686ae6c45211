"""Where deliveries are: positions, the distances between them, and the areas that a store or a geofence covers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from math import asin, atan2, cos, degrees, inf, isfinite, radians, sin, sqrt
from typing import Any, Protocol, Self

from domain.kernel import DomainError, InvalidInput

EARTH_RADIUS_METRES = 6_371_008.8
MAX_VERTICES = 2_000
MAX_SPEED_KMH = 200.0
# Two fixes of a telephone that stands still lie this far apart without anybody moving.
POSITION_NOISE_METRES = 50.0


@dataclass(frozen=True)
class Position:
    """A point on the globe; latitude -90 to 90 and longitude -180 to 180 degrees.

    Raises: InvalidInput.
    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        for name, limit in (("latitude", 90), ("longitude", 180)):
            value = getattr(self, name)
            if not isfinite(value) or abs(value) > limit:
                raise InvalidInput(field=name, reason=f"it must lie between -{limit} and {limit} degrees")


def distance_metres(a: Position, b: Position) -> float:
    """Give the great-circle distance.

    Source: haversine formula on the IUGG mean radius of 6,371,008.8 m.
    """
    half_latitude = radians(b.latitude - a.latitude) / 2
    half_longitude = radians(b.longitude - a.longitude) / 2
    latitudes = cos(radians(a.latitude)) * cos(radians(b.latitude))
    chord = sin(half_latitude) ** 2 + latitudes * sin(half_longitude) ** 2
    return 2 * EARTH_RADIUS_METRES * asin(sqrt(min(1.0, chord)))


def bearing_degrees(start: Position, end: Position) -> float:
    """Give the direction in which the great circle leaves `start`, clockwise from north, 0 to below 360.

    Source: forward azimuth on a sphere, atan2 of the east and north components.
    """
    turn = radians(end.longitude - start.longitude)
    from_latitude, to_latitude = radians(start.latitude), radians(end.latitude)
    east = sin(turn) * cos(to_latitude)
    north = cos(from_latitude) * sin(to_latitude) - sin(from_latitude) * cos(to_latitude) * cos(turn)
    return degrees(atan2(east, north)) % 360.0


@dataclass(frozen=True)
class Ping:
    """Where a driver said to be, and when."""

    position: Position
    at: datetime


def speed_kmh(earlier: Ping, later: Ping) -> float:
    """Give the speed that the straight way between two pings takes; infinite where no time has passed."""
    metres = distance_metres(earlier.position, later.position)
    seconds = (later.at - earlier.at).total_seconds()
    return metres / seconds * 3.6 if seconds > 0 else inf if metres else 0.0


def is_plausible(earlier: Ping, later: Ping, *, max_kmh: float = MAX_SPEED_KMH) -> bool:
    """Say whether somebody on wheels can have sent both pings, in this order; the noise of positions is allowed for."""
    if later.at < earlier.at:
        return False
    if distance_metres(earlier.position, later.position) <= POSITION_NOISE_METRES:
        return True
    return speed_kmh(earlier, later) <= max_kmh


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """Limits in degrees, edges included."""

    south: float
    north: float
    west: float
    east: float

    @classmethod
    def of(cls, positions: Iterable[Position]) -> Self:
        """Give the smallest box that holds all of at least one position."""
        held = list(positions)
        latitudes = [each.latitude for each in held]
        longitudes = [each.longitude for each in held]
        return cls(south=min(latitudes), north=max(latitudes), west=min(longitudes), east=max(longitudes))

    def holds(self, position: Position) -> bool:
        return self.south <= position.latitude <= self.north and self.west <= position.longitude <= self.east


@dataclass(eq=False)
class InvalidArea(DomainError):
    """A drawn area that cannot say of every position whether it lies inside."""

    reason: str
    longitude: float | None = None
    latitude: float | None = None
    template = "The area is not valid: {reason}."


Vertex = tuple[float, float]
Ring = tuple[Vertex, ...]


@dataclass(frozen=True)
class Area:
    """One or more polygons of closed rings of (longitude, latitude), the outer ring first and its holes after it.

    What a single ring can get wrong is refused here; what only geometry can see, `Geometry.check` refuses.

    Raises: InvalidArea.
    """

    polygons: tuple[tuple[Ring, ...], ...]

    def __post_init__(self) -> None:
        if not self.polygons or not all(self.polygons):
            raise InvalidArea("it has no ring")
        rings = [ring for polygon in self.polygons for ring in polygon]
        if sum(map(len, rings)) > MAX_VERTICES:
            raise InvalidArea(f"it has more than {MAX_VERTICES:,} vertices")
        for ring in rings:
            _check_ring(ring)

    @classmethod
    def from_geojson(cls, geometry: Mapping[str, Any]) -> Self:
        """Read a Polygon or MultiPolygon.

        Raises: InvalidArea.
        Source: RFC 7946, sections 3.1.6, 3.1.7 and 3.1.9.
        """
        coordinates = geometry.get("coordinates")
        match geometry.get("type"):
            case "Polygon":
                polygons = [coordinates]
            case "MultiPolygon" if isinstance(coordinates, list | tuple):
                polygons = list(coordinates)
            case _:
                raise InvalidArea("it must be a GeoJSON Polygon or MultiPolygon with coordinates")
        return cls(tuple(_rings(each) for each in polygons))

    def to_geojson(self) -> dict[str, Any]:
        """Write the area as GeoJSON: a Polygon where it is one, else a MultiPolygon."""
        polygons = [[[list(vertex) for vertex in ring] for ring in polygon] for polygon in self.polygons]
        if len(polygons) == 1:
            return {"type": "Polygon", "coordinates": polygons[0]}
        return {"type": "MultiPolygon", "coordinates": polygons}

    @cached_property
    def bounds(self) -> BoundingBox:
        outer = [vertex for polygon in self.polygons for vertex in polygon[0]]
        return BoundingBox.of(Position(latitude, longitude) for longitude, latitude in outer)


class Geometry(Protocol):
    """What takes computational geometry; pure computation, so nothing is awaited."""

    def check(self, area: Area) -> Area:
        """Give the area back where its rings neither cross nor touch themselves or each other wrongly.

        Raises: InvalidArea.
        """
        ...

    def contains(self, area: Area, position: Position) -> bool:
        """Say whether a position lies in the area; its border belongs to it, a hole does not."""
        ...


def _rings(polygon: Any) -> tuple[Ring, ...]:
    if not isinstance(polygon, list | tuple) or not all(isinstance(ring, list | tuple) for ring in polygon):
        raise InvalidArea("a polygon must be a list of rings")
    if sum(map(len, polygon)) > MAX_VERTICES:
        raise InvalidArea(f"it has more than {MAX_VERTICES:,} vertices")
    return tuple(tuple(_vertex(each) for each in ring) for ring in polygon)


def _vertex(value: Any) -> Vertex:
    if not isinstance(value, list | tuple) or len(value) < 2 or not all(_is_number(each) for each in value[:2]):
        raise InvalidArea("a vertex must be a longitude and a latitude")
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_ring(ring: Sequence[Vertex]) -> None:
    for longitude, latitude in ring:
        if not (isfinite(longitude) and abs(longitude) <= 180 and isfinite(latitude) and abs(latitude) <= 90):
            raise InvalidArea("a longitude must lie between -180 and 180 degrees, a latitude between -90 and 90")
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise InvalidArea("a ring needs at least four vertices, of which the last repeats the first")
    for (west, _), (east, latitude) in pairwise(ring):
        if abs(east - west) > 180:
            # Read on a plane, such an edge goes the long way around the world.
            raise InvalidArea("it crosses the antimeridian; draw one polygon on either side", east, latitude)
