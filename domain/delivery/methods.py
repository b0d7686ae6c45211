"""Ways to send something: by whom, how fast, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.delivery.states import ProofKind
from domain.delivery.zones import MAX_FEE_MINOR, MAX_NAME, Target
from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Work, event
from domain.money import Money

OWN_FLEET = "own_fleet"
MAX_STEPS = 50
MAX_DAYS = 120


class PriceBasis(StrEnum):
    """What the price of a way to send something depends on."""

    FLAT = "flat"
    WEIGHT = "weight"
    VALUE = "value"
    ZONE = "zone"


@event("delivery.method_created")
@dataclass(frozen=True, kw_only=True)
class ShippingMethodCreated(Event):
    method_name: str
    carrier: str


@event("delivery.method_changed")
@dataclass(frozen=True, kw_only=True)
class ShippingMethodChanged(Event):
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class PriceStep:
    """Up to so many grams, or minor units of value, it costs so much; the last step may be without an end."""

    up_to: int | None = None
    fee_minor: int


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What is to be sent from one store: what it costs after discounts, and what it weighs."""

    goods: Money
    weight_grams: int = 0


@dataclass(eq=False, kw_only=True)
class ShippingMethod(Aggregate):
    """A way to send something, of one store or of all; `steps` are of grams or of minor units, as the basis says.

    The store's own fleet drives where the store has zones, and with the basis ZONE it costs what the zone says. A carrier
    goes to `countries` (all where there are none).
    """

    store_id: UUID | None = None
    name: str
    carrier: str = OWN_FLEET
    basis: PriceBasis = PriceBasis.FLAT
    currency: str
    fee_minor: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    free_from_minor: int | None = None
    countries: list[str] = field(default_factory=list)
    min_transit_days: int = 0
    max_transit_days: int = 0
    proof: ProofKind = ProofKind.NONE
    is_active: bool = True

    @property
    def is_own_fleet(self) -> bool:
        return self.carrier == OWN_FLEET

    def reaches(self, target: Target) -> bool:
        """Say whether a carrier goes to the country or region of an address."""
        places = {target.country.upper(), (target.region or "").upper()}
        return not self.countries or not places.isdisjoint(self.countries)

    def cost(self, parcel: Parcel, zone_fee_minor: int | None) -> Money | None:
        """Give what a parcel costs; None where this way does not take it."""
        if parcel.goods.currency != self.currency:
            return None
        if self.free_from_minor is not None and parcel.goods.amount_minor >= self.free_from_minor:
            return Money(0, self.currency)
        fee = self._fee(parcel, zone_fee_minor)
        return None if fee is None else Money(fee, self.currency)

    def _fee(self, parcel: Parcel, zone_fee_minor: int | None) -> int | None:
        if self.basis is PriceBasis.FLAT:
            return self.fee_minor
        if self.basis is PriceBasis.ZONE:
            return None if zone_fee_minor is None else zone_fee_minor + self.fee_minor
        measure = parcel.weight_grams if self.basis is PriceBasis.WEIGHT else parcel.goods.amount_minor
        fits = (each["fee_minor"] for each in self.steps if each["up_to"] is None or measure <= each["up_to"])
        return next(fits, None)

    def set_active(self, *, is_active: bool) -> None:
        """Offer the method, or no longer."""
        self.is_active = is_active
        self.record(ShippingMethodChanged(is_active=is_active))


class ShippingMethods(Protocol):
    """Ways to send something, for change."""

    def add(self, method: ShippingMethod) -> None: ...

    async def lock(self, method_id: UUID) -> ShippingMethod | None: ...


@dataclass(frozen=True, kw_only=True)
class CreateShippingMethod:
    """Offer a way to send something; without a store it is offered by all stores of the tenant."""

    name: str
    currency: str
    store_id: UUID | None = None
    carrier: str = OWN_FLEET
    basis: PriceBasis = PriceBasis.FLAT
    fee_minor: int = 0
    steps: tuple[PriceStep, ...] = ()
    free_from_minor: int | None = None
    countries: tuple[str, ...] = ()
    min_transit_days: int = 0
    max_transit_days: int = 0
    proof: ProofKind = ProofKind.NONE


@dataclass(frozen=True, kw_only=True)
class SetShippingMethodActive:
    """Offer a way to send something, or no longer."""

    id: UUID
    is_active: bool


def new_method(command: CreateShippingMethod, work: Work, carriers: Sequence[str]) -> ShippingMethod:
    """Make a method. Raises: InvalidInput."""
    name = command.name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidInput(field="name", reason=f"it has between 1 and {MAX_NAME} characters")
    if command.carrier not in carriers:
        raise InvalidInput(field="carrier", reason=f"it is one of {', '.join(sorted(carriers))}")
    if not 0 <= command.min_transit_days <= command.max_transit_days <= MAX_DAYS:
        raise InvalidInput(field="maxTransitDays", reason=f"days go from the fewest to the most, {MAX_DAYS} at most")
    _check_prices(command)
    made = ShippingMethod(
        tenant_id=work.tenant_id,
        store_id=command.store_id,
        name=name,
        carrier=command.carrier,
        basis=command.basis,
        currency=Money(0, command.currency).currency,
        fee_minor=command.fee_minor,
        steps=[{"up_to": each.up_to, "fee_minor": each.fee_minor} for each in command.steps],
        free_from_minor=command.free_from_minor,
        countries=sorted({each.strip().upper() for each in command.countries}),
        min_transit_days=command.min_transit_days,
        max_transit_days=command.max_transit_days,
        proof=command.proof,
    )
    made.record(ShippingMethodCreated(method_name=made.name, carrier=made.carrier))
    return made


def _check_prices(command: CreateShippingMethod) -> None:
    fees = [command.fee_minor, command.free_from_minor or 0, *(each.fee_minor for each in command.steps)]
    if not all(0 <= each <= MAX_FEE_MINOR for each in fees):
        raise InvalidInput(field="feeMinor", reason=f"it must lie between 0 and {MAX_FEE_MINOR:,}")
    if (command.basis in {PriceBasis.WEIGHT, PriceBasis.VALUE}) != bool(command.steps) or len(
        command.steps
    ) > MAX_STEPS:
        raise InvalidInput(
            field="steps", reason=f"a price by weight or value has 1 to {MAX_STEPS} of them, others none"
        )
    if command.basis is PriceBasis.ZONE and command.carrier != OWN_FLEET:
        raise InvalidInput(field="basis", reason="zones are those of the store's own fleet")
    ends = [each.up_to for each in command.steps]
    limits = [end for end in ends if end is not None]
    if None in ends[:-1] or limits != sorted(set(limits)) or any(end < 1 for end in limits):
        raise InvalidInput(field="steps", reason="each goes farther than the one before, and only the last without end")


async def set_shipping_method_active(
    command: SetShippingMethodActive, work: Work, methods: ShippingMethods
) -> ShippingMethod:
    method = await methods.lock(command.id)
    if method is None or not manages(work, method.store_id):
        raise NotFound(kind="ShippingMethod", id=str(command.id))
    method.set_active(is_active=command.is_active)
    return method


def manages(work: Work, store_id: UUID | None) -> bool:
    """Say whether somebody acts for a store, or for all of them."""
    return work.actor.may("stores.any") if store_id is None else work.actor.works_at(store_id)
