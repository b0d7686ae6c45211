"""The unit price of each line: override, else flash sale, else customer's or tier's list, else rules upon regional or base."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from domain.money import CurrencyMismatch, Money, minor_digits
from domain.pricing.allowances import Use, UseKind
from domain.pricing.quote import (
    ActiveRule,
    Facts,
    FlashOffer,
    ListedPrice,
    QuoteLine,
    QuoteRequest,
    Step,
    StepKind,
)
from domain.pricing.terms import HUNDRED, PriceConditions, PriceListKind, RuleKind

# Lists for one customer go before those for a tier, and these before quantity prices for everybody.
_AUDIENCE = (PriceListKind.CUSTOMER, PriceListKind.TIER, PriceListKind.VOLUME)


@dataclass(eq=False)
class LineInWork:
    """A line while its price is being worked out; amounts in minor units of the request's currency."""

    line: QuoteLine
    unit: int = 0
    net: int = 0
    steps: list[Step] = field(default_factory=list)
    promoted: bool = False

    @property
    def gross(self) -> int:
        return self.unit * self.line.quantity

    def set_unit(self, unit: int, kind: StepKind, source_id: UUID | None, label: str, currency: str) -> None:
        """Go to another unit price, and note what it changes for the line."""
        change = (unit - self.unit) * self.line.quantity
        self.unit = unit
        self.net += change
        self.steps.append(Step(kind, source_id, label, Money(change, currency)))

    def take_off(self, amount: int, kind: StepKind, source_id: UUID | None, label: str, currency: str) -> int:
        """Take an amount off, never more than is left; gives what was taken."""
        taken = min(amount, self.net)
        if taken > 0:
            self.net -= taken
            self.steps.append(Step(kind, source_id, label, Money(-taken, currency)))
        return taken


class UnitPrices:
    """Resolves the unit prices of a request, and keeps count of what the lines take of flash sales."""

    def __init__(self, request: QuoteRequest, facts: Facts) -> None:
        self._request = request
        self._facts = facts
        self._tier = tier_of(request, facts)
        self._prices: dict[str, list[ListedPrice]] = {}
        for price in facts.prices:
            self._prices.setdefault(price.sku, []).append(price)
        self._offers = sorted(facts.flash, key=lambda offer: (offer.price.amount_minor, offer.id))
        self._free = {offer.id: offer.limits.free for offer in facts.flash}
        self._rules = sorted(facts.rules, key=lambda rule: (rule.priority, rule.id))
        self.uses: dict[UUID, Use] = {}

    def resolve(self) -> list[LineInWork]:
        """Give every line with its unit price."""
        lines = [LineInWork(line) for line in self._request.lines]
        for each in lines:
            self._resolve(each)
        return lines

    def _resolve(self, each: LineInWork) -> None:
        listed = self._listed(each.line)
        override = self._of_kind(listed, PriceListKind.OVERRIDE)
        offer = None if override else self._offer(each.line)
        price = override or (None if offer else self._first(listed, _AUDIENCE))
        self._base(each, needed=not (price or offer or self._of_kind(listed, PriceListKind.REGIONAL)))
        if price:
            self._go_to(each, price.price, StepKind(price.kind), price.list_id, price.name)
        elif offer:
            self._sell(each, offer)
        else:
            regional = self._of_kind(listed, PriceListKind.REGIONAL)
            if regional:
                self._go_to(each, regional.price, StepKind.REGIONAL, regional.list_id, regional.name)
            self._apply_rule(each)

    def _base(self, each: LineInWork, *, needed: bool) -> None:
        """Begin at the catalogue's price; in another currency it counts only as far as an exchange rate is known."""
        base, currency = each.line.base, self._request.currency
        if base.currency == currency:
            self._go_to(each, base, StepKind.BASE, None, "Catalogue price")
        elif base.currency in self._facts.rates:
            exchanged = exchange(base, currency, self._facts.rates[base.currency])
            self._go_to(each, exchanged, StepKind.EXCHANGE, None, f"Catalogue price in {base.currency}")
        elif needed:
            raise CurrencyMismatch(expected=currency, actual=base.currency)

    def _listed(self, line: QuoteLine) -> list[ListedPrice]:
        return [price for price in self._prices.get(line.sku, ()) if self._is_for(price, line)]

    def _is_for(self, price: ListedPrice, line: QuoteLine) -> bool:
        request = self._request
        return (
            price.price.currency == request.currency
            and price.min_quantity <= line.quantity
            and price.seller_id in {None, line.seller_id}
            and price.store_id in {None, line.store_id}
            and (price.customer_id is None or price.customer_id == request.customer_id)
            and (price.tier is None or price.tier == self._tier)
            and (price.region is None or covers(price.region, request.region))
        )

    def _first(self, listed: list[ListedPrice], kinds: Iterable[PriceListKind]) -> ListedPrice | None:
        return next((found for kind in kinds if (found := self._of_kind(listed, kind))), None)

    @staticmethod
    def _of_kind(listed: list[ListedPrice], kind: PriceListKind) -> ListedPrice | None:
        return min((price for price in listed if price.kind is kind), key=_precedence, default=None)

    def _offer(self, line: QuoteLine) -> FlashOffer | None:
        for offer in self._offers:
            free = self._free[offer.id]
            if (
                offer.sku == line.sku
                and offer.price.currency == self._request.currency
                and offer.seller_id in {None, line.seller_id}
                and (free is None or free >= line.quantity)
            ):
                return offer
        return None

    def _sell(self, each: LineInWork, offer: FlashOffer) -> None:
        before, quantity, free = each.gross, each.line.quantity, self._free[offer.id]
        self._go_to(each, offer.price, StepKind.FLASH_SALE, offer.id, offer.name)
        if free is not None:
            self._free[offer.id] = free - quantity
        saved = max(before - each.gross, 0)
        earlier = self.uses.get(offer.id)
        if earlier:
            quantity, saved = quantity + earlier.quantity, saved + earlier.amount.amount_minor
        self.uses[offer.id] = Use(UseKind.FLASH_SALE, offer.id, quantity, Money(saved, self._request.currency))

    def _apply_rule(self, each: LineInWork) -> None:
        for rule in self._rules:
            changed = self._ruled(rule, each)
            if changed is not None:
                price = Money(changed, self._request.currency)
                self._go_to(each, price, StepKind.DYNAMIC, rule.id, rule.name)
                return

    def _ruled(self, rule: ActiveRule, each: LineInWork) -> int | None:
        """Give the unit price that a rule makes; None where it is not for this line."""
        terms, currency = rule.terms, self._request.currency
        if terms.currency not in {None, currency} or not self.holds(terms.conditions, rule.seller_id, each.line):
            return None
        part = self._part(rule, each.line)
        if part is None:
            return None
        price = each.unit + (terms.amount_minor or 0) * (1 if rule.kind is RuleKind.MARKUP else -1)
        if part:
            price = (Money(each.unit, currency) * (1 + part / HUNDRED)).amount_minor
        price = max(price, terms.floor_minor or 0)
        return price if terms.ceiling_minor is None else min(price, terms.ceiling_minor)

    def _part(self, rule: ActiveRule, line: QuoteLine) -> Decimal | None:
        """Give by how many percent a rule changes a price; 0 where it does so by an amount, None where not at all."""
        if rule.kind is RuleKind.MARKUP:
            return rule.terms.percent or Decimal(0)
        if rule.kind is RuleKind.DISCOUNT:
            return -(rule.terms.percent or Decimal(0))
        units = line.quantity if rule.kind is RuleKind.TIERED else self._volume(rule)
        reached = [step.percent for step in rule.terms.steps if step.min_quantity <= units]
        return -reached[-1] if reached else None

    def _volume(self, rule: ActiveRule) -> int:
        return sum(
            line.quantity for line in self._request.lines if self.holds(rule.terms.conditions, rule.seller_id, line)
        )

    def holds(self, conditions: PriceConditions, seller_id: UUID | None, line: QuoteLine) -> bool:
        """Say whether the terms of a seller (or, None, of the platform) are for a line of this request."""
        return seller_id in {None, line.seller_id} and is_for(conditions, line, self._request, self._tier)

    def _go_to(self, each: LineInWork, price: Money, kind: StepKind, source_id: UUID | None, label: str) -> None:
        each.set_unit(price.amount_minor, kind, source_id, label, self._request.currency)


def tier_of(request: QuoteRequest, facts: Facts) -> str | None:
    """Give the customer's loyalty tier: the request's, else the purse's."""
    return request.tier or (facts.purse.tier if facts.purse else None)


def covers(region: str, place: str | None) -> bool:
    """Say whether a region, a country or one of its parts, holds a place: CA covers CA-ON."""
    return place is not None and (place == region or place.startswith(f"{region}-"))


def is_for(conditions: PriceConditions, line: QuoteLine, request: QuoteRequest, tier: str | None) -> bool:
    """Say whether terms are for a line of a request."""
    return (
        line.quantity >= conditions.min_quantity
        and _among(conditions.skus, line.sku)
        and _among(conditions.product_ids, line.product_id)
        and _among(conditions.category_ids, line.category_id)
        and _among(conditions.brands, line.brand)
        and _among(conditions.store_ids, line.store_id)
        and _among(conditions.tiers, tier)
        and _among(conditions.customer_ids, request.customer_id)
        and (not conditions.regions or any(covers(region, request.region) for region in conditions.regions))
        and _among(conditions.weekdays, request.at.isoweekday())
        and conditions.from_hour <= request.at.hour < conditions.until_hour
    )


def exchange(price: Money, currency: str, rate: Decimal) -> Money:
    """Give a price in another currency, rounded half up to its minor unit."""
    return Money(1, currency) * (price.decimal * rate).scaleb(minor_digits(currency))


def _among(wanted: Sequence[object], value: object) -> bool:
    return not wanted or value in wanted


def _precedence(price: ListedPrice) -> tuple[int, int, int, int, UUID]:
    """Order prices of one kind: the list that goes first, the narrower region, the larger quantity, the lower price."""
    return (price.priority, -len(price.region or ""), -price.min_quantity, price.price.amount_minor, price.list_id)
