"""Zones: where a store delivers to, for how much, and from which sum of goods on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from domain.delivery.geography import Area, Geometry, Position
from domain.kernel import UNCHANGED, Aggregate, Event, InvalidInput, NotFound, Unchanged, Work, event
from domain.money import Money

MAX_POSTAL_CODES = 5_000
MAX_NAME = 120
MAX_MINUTES = 60 * 24 * 30
MAX_FEE_MINOR = 10**12
_PATTERN = re.compile(r"[A-Z0-9?]{1,12}\*?")


@event("delivery.zone_created")
@dataclass(frozen=True, kw_only=True)
class ZoneCreated(Event):
    store_id: UUID
    zone_name: str


@event("delivery.zone_changed")
@dataclass(frozen=True, kw_only=True)
class ZoneChanged(Event):
    fields: tuple[str, ...]


@event("delivery.boundaries_updated")
@dataclass(frozen=True, kw_only=True)
class BoundariesUpdated(Event):
    postal_codes: int
    has_area: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where something is to be delivered, as far as zones care."""

    country: str
    region: str | None = None
    postal_code: str | None = None
    position: Position | None = None


@dataclass(eq=False, kw_only=True)
class DeliveryZone(Aggregate):
    """A part of the map of one store; amounts in minor units, `area` as GeoJSON.

    A postal code is written as in letters, with `?` for any one character and `*` at the end for any rest: `M5V*`, `K1A0B1`.
    """

    store_id: UUID
    name: str
    postal_codes: list[str] = field(default_factory=list)
    area: dict[str, Any] | None = None
    fee_minor: int = 0
    minimum_order_minor: int = 0
    currency: str
    estimated_minutes: int = 60
    is_active: bool = True

    def bound(self, postal_codes: Sequence[str], area: Mapping[str, Any] | None, geometry: Geometry) -> None:
        """Say where the zone lies.

        Raises: InvalidInput, InvalidArea.
        """
        if len(postal_codes) > MAX_POSTAL_CODES:
            raise InvalidInput(field="postalCodes", reason=f"a zone has at most {MAX_POSTAL_CODES:,}")
        codes = sorted({_pattern(each) for each in postal_codes})
        drawn = None if area is None else geometry.check(Area.from_geojson(area)).to_geojson()
        if not codes and drawn is None:
            raise InvalidInput(field="area", reason="a zone has postal codes, an area, or both")
        self.postal_codes, self.area = codes, drawn
        self.record(BoundariesUpdated(postal_codes=len(codes), has_area=drawn is not None))

    def price(self, command: "ZoneTerms") -> None:
        """Change what the command mentions. Raises: InvalidInput."""
        given = {name: getattr(command, name) for name in _LIMITS}
        given = {name: value for name, value in given.items() if not isinstance(value, Unchanged)}
        for name, value in given.items():
            _check(name, value)
            setattr(self, name, value.strip() if isinstance(value, str) else value)
        if given:
            self.record(ZoneChanged(fields=tuple(sorted(given))))

    def covers(self, target: Target, geometry: Geometry) -> bool:
        """Say whether an address lies in the zone: by its postal code, or by its position."""
        code = plain_code(target.postal_code or "")
        if code and any(matches(pattern, code) for pattern in self.postal_codes):
            return True
        return (
            self.area is not None
            and target.position is not None
            and geometry.contains(Area.from_geojson(self.area), target.position)
        )


def plain_code(code: str) -> str:
    """Write a postal code without what people put between its characters."""
    return re.sub(r"[\s-]", "", code).upper()


@lru_cache(maxsize=8_192)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("?", ".").replace("*", ".*"))


def matches(pattern: str, code: str) -> bool:
    """Say whether a plain code is one that the pattern means."""
    return _compiled(pattern).fullmatch(code) is not None


def _pattern(text: str) -> str:
    pattern = plain_code(text)
    if not _PATTERN.fullmatch(pattern):
        raise InvalidInput(
            field="postalCodes", reason=f"{text!r} is no code: letters, digits, ? for one and * at the end for the rest"
        )
    return pattern


_LIMITS: Mapping[str, tuple[str, int]] = {
    "name": ("name", MAX_NAME),
    "fee_minor": ("feeMinor", MAX_FEE_MINOR),
    "minimum_order_minor": ("minimumOrderMinor", MAX_FEE_MINOR),
    "estimated_minutes": ("estimatedMinutes", MAX_MINUTES),
    "is_active": ("isActive", 1),
}


def _check(name: str, value: Any) -> None:
    shown, most = _LIMITS[name]
    if isinstance(value, str):
        if not 0 < len(value.strip()) <= most:
            raise InvalidInput(field=shown, reason=f"it has between 1 and {most} characters")
    elif value is None or not 0 <= value <= most:
        raise InvalidInput(field=shown, reason=f"it must lie between 0 and {most:,}")


class DeliveryZones(Protocol):
    """Zones for change."""

    def add(self, zone: DeliveryZone) -> None: ...

    async def lock(self, zone_id: UUID) -> DeliveryZone | None: ...


@dataclass(frozen=True, kw_only=True)
class ZoneTerms:
    """What can be said about a zone beside where it lies."""

    name: str | Unchanged = UNCHANGED
    fee_minor: int | Unchanged = UNCHANGED
    minimum_order_minor: int | Unchanged = UNCHANGED
    estimated_minutes: int | Unchanged = UNCHANGED
    is_active: bool | Unchanged = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class CreateDeliveryZone:
    """Let a store deliver somewhere: to postal codes, into an area drawn as GeoJSON, or both."""

    store_id: UUID
    name: str
    currency: str
    postal_codes: tuple[str, ...] = ()
    area: Mapping[str, Any] | None = None
    fee_minor: int = 0
    minimum_order_minor: int = 0
    estimated_minutes: int = 60
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class UpdateDeliveryZone(ZoneTerms):
    """Change what a zone costs and whether it is served."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateZoneBoundaries:
    """Redraw a zone."""

    id: UUID
    postal_codes: tuple[str, ...] = ()
    area: Mapping[str, Any] | None = None
    expected_version: int | None = None


async def update_delivery_zone(command: UpdateDeliveryZone, work: Work, zones: DeliveryZones) -> DeliveryZone:
    zone = await _own(command.id, work, zones)
    zone.expect_version(command.expected_version)
    zone.price(command)
    return zone


async def update_zone_boundaries(
    command: UpdateZoneBoundaries, work: Work, zones: DeliveryZones, geometry: Geometry
) -> DeliveryZone:
    zone = await _own(command.id, work, zones)
    zone.expect_version(command.expected_version)
    zone.bound(command.postal_codes, command.area, geometry)
    return zone


def open_zone(command: CreateDeliveryZone, work: Work, geometry: Geometry) -> DeliveryZone:
    """Make a zone. Raises: InvalidInput, InvalidArea."""
    terms = {name: getattr(command, name) for name in _LIMITS}
    for name, value in terms.items():
        _check(name, value)
    currency = Money(0, command.currency).currency
    zone = DeliveryZone(tenant_id=work.tenant_id, store_id=command.store_id, currency=currency, **terms)
    zone.record(ZoneCreated(store_id=zone.store_id, zone_name=zone.name))
    zone.bound(command.postal_codes, command.area, geometry)
    return zone


async def _own(zone_id: UUID, work: Work, zones: DeliveryZones) -> DeliveryZone:
    zone = await zones.lock(zone_id)
    if zone is None or not work.actor.works_at(zone.store_id):
        raise NotFound(kind="DeliveryZone", id=str(zone_id))
    return zone
