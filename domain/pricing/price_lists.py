"""Price lists: other prices than the catalogue's for some region, customer, tier or quantity, and their history."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, AlreadyExists, Event, InvalidInput, NotFound, Work, event
from domain.money import CurrencyMismatch, Money, minor_digits
from domain.pricing.campaigns import owner_of, require_owner
from domain.pricing.quote import MAX_PRICE_MINOR
from domain.pricing.terms import PriceListKind, check_window, clean_name

MAX_PRICES = 1_000
_FINEST = Decimal("1e-12")
REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


@event("pricing.price_list_created")
@dataclass(frozen=True, kw_only=True)
class PriceListCreated(Event):
    title: str
    kind: str
    currency: str
    seller_id: UUID | None


@event("pricing.price_list_ended")
@dataclass(frozen=True, kw_only=True)
class PriceListEnded(Event):
    title: str


@event("price.changed")
@dataclass(frozen=True, kw_only=True)
class PriceChanged(Event):
    """A price by which goods are sold is another one; amounts in minor units, None where there is no price."""

    sku: str
    min_quantity: int
    currency: str
    old_minor: int | None
    new_minor: int | None


@dataclass(frozen=True, kw_only=True)
class ListPrice:
    """The price of a SKU in a list from `min_quantity` units on; without a price it is taken off the list."""

    sku: str
    price: Money | None
    min_quantity: int = 1


@dataclass(frozen=True, kw_only=True)
class PriceChange:
    """A line of the price history; amounts in minor units of `currency`, None where there was or is no price."""

    sku: str
    min_quantity: int = 1
    currency: str
    source: str
    source_id: UUID
    old_minor: int | None
    new_minor: int | None
    reason: str | None


@dataclass(eq=False, kw_only=True)
class PriceList(Aggregate):
    """Prices for an audience, in one currency, while the list is in force."""

    seller_id: UUID | None
    name: str
    kind: PriceListKind
    store_id: UUID | None = None
    customer_id: UUID | None = None
    tier: str | None = None
    region: str | None = None
    currency: str
    priority: int = 100
    starts_at: datetime
    ends_at: datetime | None = None
    is_active: bool = True

    def open(self) -> None:
        """Put the list into force.

        Raises: InvalidInput.
        """
        self.name = clean_name(self.name)
        minor_digits(self.currency)
        check_window(self.starts_at, self.ends_at)
        needed = {
            PriceListKind.CUSTOMER: "customer_id",
            PriceListKind.TIER: "tier",
            PriceListKind.REGIONAL: "region",
        }.get(self.kind)
        if needed and getattr(self, needed) is None:
            raise InvalidInput(field=needed, reason=f"a {self.kind} list is for one")
        if self.region is not None and not REGION.fullmatch(self.region):
            raise InvalidInput(field="region", reason="it is a country such as CA, or a part of one such as CA-ON")
        self.record(PriceListCreated(title=self.name, kind=self.kind, currency=self.currency, seller_id=self.seller_id))

    def check(self, prices: Sequence[ListPrice]) -> None:
        """Refuse prices that cannot stand in this list.

        Raises: InvalidInput, CurrencyMismatch, InvalidStateTransition.
        """
        if not 0 < len(prices) <= MAX_PRICES:
            raise InvalidInput(field="prices", reason=f"between 1 and {MAX_PRICES:,} are set at a time")
        if len({(each.sku, each.min_quantity) for each in prices}) < len(prices):
            raise InvalidInput(field="prices", reason="each SKU and quantity stands once")
        for each in prices:
            if not each.sku or not 1 <= each.min_quantity <= 1_000_000:
                raise InvalidInput(field="prices", reason="each has a SKU, and a quantity from 1 to 1,000,000")
            self._check_price(each.price)

    def _check_price(self, price: Money | None) -> None:
        if price is None:
            return
        if price.currency != self.currency:
            raise CurrencyMismatch(expected=self.currency, actual=price.currency)
        if not 0 <= price.amount_minor <= MAX_PRICE_MINOR:
            raise InvalidInput(field="price", reason=f"it lies between 0 and {MAX_PRICE_MINOR:,}")

    def note(self, changes: Sequence[PriceChange]) -> None:
        """Tell of prices that have changed."""
        for each in changes:
            self.record(
                PriceChanged(
                    sku=each.sku,
                    min_quantity=each.min_quantity,
                    currency=each.currency,
                    old_minor=each.old_minor,
                    new_minor=each.new_minor,
                )
            )

    def end(self, now: datetime) -> None:
        """Put the list out of force; one that is out of it already stays so."""
        if self.is_active:
            self.is_active = False
            self.ends_at = max(now, self.starts_at) if self.ends_at is None else min(now, self.ends_at)
            self.record(PriceListEnded(title=self.name))


class PriceLists(Protocol):
    """Price lists for change."""

    async def lock(self, list_id: UUID) -> PriceList | None: ...

    async def named(self, seller_id: UUID | None, name: str) -> PriceList | None:
        """Lock the list of that name among a seller's (or, None, the platform's)."""
        ...

    async def add(self, price_list: PriceList) -> None: ...

    async def put(
        self, price_list: PriceList, prices: Sequence[ListPrice], reason: str | None, work: Work
    ) -> Sequence[PriceChange]:
        """Set prices and write their history; gives those that are other than before."""
        ...


class ExchangeRates(Protocol):
    """Exchange rates, each from an instant on."""

    async def put(self, rate: "ExchangeRate") -> None: ...


@dataclass(frozen=True, kw_only=True)
class CreatePriceList:
    """Make a price list; a seller's is for the seller's own goods."""

    name: str
    kind: PriceListKind
    currency: str
    store_id: UUID | None = None
    customer_id: UUID | None = None
    tier: str | None = None
    region: str | None = None
    priority: int = 100
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class SetListPrices:
    """Set up to 1,000 prices of a list; a price of null takes the SKU off the list."""

    list_id: UUID
    prices: tuple[ListPrice, ...]
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class EndPriceList:
    """Put a price list out of force."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetRegionalPrice:
    """Set what a SKU costs in a region (a country or a part of it, ISO 3166), or take that price back."""

    sku: str
    region: str
    currency: str
    price: Money | None = None
    reason: str | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class UpsertPriceTier:
    """Set what a unit of a SKU costs from a quantity on, or take that price back."""

    sku: str
    min_quantity: int
    currency: str
    price: Money | None = None
    reason: str | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class ExchangeRate:
    """Units of `target` for one unit of `source`, from an instant on."""

    source: str
    target: str
    rate: Decimal
    valid_from: datetime


@dataclass(frozen=True, kw_only=True)
class SetExchangeRate:
    """Say how many units of a currency one unit of another is worth, from now or from an instant on."""

    source: str
    target: str
    rate: Decimal
    valid_from: datetime | None = None


async def create_price_list(command: CreatePriceList, work: Work, lists: PriceLists) -> PriceList:
    wanted = PriceList(
        tenant_id=work.tenant_id,
        seller_id=owner_of(work.actor, command.seller_id),
        name=command.name,
        kind=command.kind,
        store_id=command.store_id,
        customer_id=command.customer_id,
        tier=command.tier,
        region=command.region,
        currency=command.currency,
        priority=command.priority,
        starts_at=command.starts_at or work.now,
        ends_at=command.ends_at,
    )
    wanted.open()
    if await lists.named(wanted.seller_id, wanted.name) is not None:
        raise AlreadyExists(kind="PriceList", value=wanted.name)
    await lists.add(wanted)
    return wanted


async def set_list_prices(command: SetListPrices, work: Work, lists: PriceLists) -> PriceList:
    return await _put(await _owned(command.list_id, work, lists), command.prices, command.reason, work, lists)


async def end_price_list(command: EndPriceList, work: Work, lists: PriceLists) -> PriceList:
    found = await _owned(command.id, work, lists)
    found.expect_version(command.expected_version)
    found.end(work.now)
    return found


async def set_regional_price(command: SetRegionalPrice, work: Work, lists: PriceLists) -> PriceList:
    blank = CreatePriceList(
        name=f"Prices in {command.region} ({command.currency})",
        kind=PriceListKind.REGIONAL,
        region=command.region,
        currency=command.currency,
        seller_id=command.seller_id,
    )
    prices = (ListPrice(sku=command.sku, price=command.price),)
    return await _put(await _found_or_made(blank, work, lists), prices, command.reason, work, lists)


async def upsert_price_tier(command: UpsertPriceTier, work: Work, lists: PriceLists) -> PriceList:
    blank = CreatePriceList(
        name=f"Quantity prices ({command.currency})",
        kind=PriceListKind.VOLUME,
        currency=command.currency,
        seller_id=command.seller_id,
    )
    prices = (ListPrice(sku=command.sku, price=command.price, min_quantity=command.min_quantity),)
    return await _put(await _found_or_made(blank, work, lists), prices, command.reason, work, lists)


async def set_exchange_rate(command: SetExchangeRate, work: Work, rates: ExchangeRates) -> ExchangeRate:
    for currency in (command.source, command.target):
        minor_digits(currency)
    if command.source == command.target:
        raise InvalidInput(field="target", reason="it is another currency than the source")
    if not (command.rate.is_finite() and 0 < command.rate < 10**9) or command.rate != command.rate.quantize(_FINEST):
        raise InvalidInput(field="rate", reason="it is above zero, with at most twelve decimals")
    rate = ExchangeRate(
        source=command.source, target=command.target, rate=command.rate, valid_from=command.valid_from or work.now
    )
    await rates.put(rate)
    return rate


async def _owned(list_id: UUID, work: Work, lists: PriceLists) -> PriceList:
    found = await lists.lock(list_id)
    if found is None:
        raise NotFound(kind="PriceList", id=str(list_id))
    require_owner(work.actor, "PriceList", found)
    return found


async def _found_or_made(blank: CreatePriceList, work: Work, lists: PriceLists) -> PriceList:
    owned = replace(blank, seller_id=owner_of(work.actor, blank.seller_id))
    return await lists.named(owned.seller_id, owned.name) or await create_price_list(owned, work, lists)


async def _put(
    price_list: PriceList, prices: Sequence[ListPrice], reason: str | None, work: Work, lists: PriceLists
) -> PriceList:
    price_list.check(prices)
    price_list.note(await lists.put(price_list, prices, reason, work))
    return price_list
