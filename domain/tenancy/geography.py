"""Where stores are: provinces as reference data, points on the globe and the distances between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, cos, degrees, isfinite, radians, sin, sqrt
from typing import Any, Protocol

from domain.kernel import InvalidInput, Unchanged

EARTH_RADIUS_KM = 6371.0088
MAX_RADIUS_KM = 1_000.0


@dataclass(frozen=True)
class GeoLocation:
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


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """Limits in degrees that hold every point of a circle; `west` is greater than `east` across the date line."""

    south: float
    north: float
    west: float
    east: float

    @property
    def crosses_date_line(self) -> bool:
        return self.west > self.east


def distance_km(a: GeoLocation, b: GeoLocation) -> float:
    """Give the great-circle distance.

    Source: haversine formula on the IUGG mean radius of 6371.0088 km.
    """
    half_latitude = radians(b.latitude - a.latitude) / 2
    half_longitude = radians(b.longitude - a.longitude) / 2
    latitudes = cos(radians(a.latitude)) * cos(radians(b.latitude))
    chord = sin(half_latitude) ** 2 + latitudes * sin(half_longitude) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord)))


def bounding_box(center: GeoLocation, radius_km: float) -> BoundingBox:
    """Give the box around a circle, so that an index narrows the search before any distance is computed.

    Raises: InvalidInput.
    Source: J. P. Matuschek, "Finding Points Within a Distance of a Latitude/Longitude Using Bounding Coordinates".
    """
    if not 0 < radius_km <= MAX_RADIUS_KM:
        raise InvalidInput(field="radiusKm", reason=f"it must be more than 0 and at most {MAX_RADIUS_KM:,.0f}")
    angle = radius_km / EARTH_RADIUS_KM
    latitude = radians(center.latitude)
    south, north = degrees(latitude - angle), degrees(latitude + angle)
    if south <= -90 or north >= 90:
        # A circle over a pole meets every meridian.
        return BoundingBox(south=max(south, -90.0), north=min(north, 90.0), west=-180.0, east=180.0)
    width = degrees(asin(sin(angle) / cos(latitude)))
    return BoundingBox(
        south=south, north=north, west=_meridian(center.longitude - width), east=_meridian(center.longitude + width)
    )


def _meridian(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


class Provinces(Protocol):
    """Provinces and territories by code (ISO 3166-2), for whoever changes a store."""

    async def get(self, code: str) -> Any | None: ...


class ProvinceReads(Protocol):
    """Reference data that every tenant sees."""

    async def all(self, country: str | None) -> Sequence[Any]: ...

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]: ...


async def check_province(provinces: Provinces, code: str | Unchanged | None) -> Any | None:
    """Give the province of that code, or None where none is named.

    Raises: InvalidInput.
    """
    if not code or isinstance(code, Unchanged):
        return None
    province = await provinces.get(code)
    if province is None:
        raise InvalidInput(field="provinceCode", reason=f"{code!r} is no province or territory that we know")
    return province
