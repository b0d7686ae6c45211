"""Discounts upon unit prices, in this order: promotions by their priority, codes, points."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from uuid import UUID

from domain.kernel import DomainError
from domain.money import Money
from domain.pricing.allowances import (
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    InsufficientPoints,
    Use,
    UseKind,
)
from domain.pricing.quote import (
    ActiveCode,
    ActivePromotion,
    Facts,
    PointsPurse,
    QuoteLine,
    QuoteRequest,
    StepKind,
)
from domain.pricing.resolving import LineInWork
from domain.pricing.terms import HUNDRED, DiscountKind, PriceConditions, PromotionKind

Lines = list[LineInWork]
Holds = Callable[[PriceConditions, UUID | None, QuoteLine], bool]


@dataclass(eq=False)
class UnknownDiscountCode(DomainError):
    """No valid discount code is called so: one that never was, that has ended, or another tenant's, all answer alike."""

    discount_code: str
    template = "The discount code {discount_code} is not valid."


@dataclass(eq=False)
class DiscountCodeNotApplicable(DomainError):
    """A code is valid, but takes nothing off these lines."""

    discount_code: str
    reason: str
    template = "The discount code {discount_code} cannot be used here: {reason}."


@dataclass(eq=False)
class MinimumPurchaseNotReached(DomainError):
    """A code asks for a larger purchase."""

    discount_code: str
    minimum: Decimal
    currency: str
    template = "The discount code {discount_code} needs a purchase of {minimum} {currency}."


def normal_code(code: str) -> str:
    """Give a code as it is kept: in capitals, without blanks around it."""
    return code.strip().upper()


class Discounts:
    """Takes discounts off the lines of one request, and notes what they use."""

    def __init__(self, request: QuoteRequest, facts: Facts, lines: Lines, holds: Holds) -> None:
        self._request = request
        self._currency = request.currency
        self._facts = facts
        self._lines = lines
        self._holds = holds
        self.uses: list[Use] = []

    def apply(self) -> None:
        """Take everything off.

        Raises: UnknownDiscountCode, DiscountCodeNotApplicable, MinimumPurchaseNotReached, DiscountCodeExhausted,
            DiscountCodeAlreadyUsed, InsufficientPoints.
        """
        for promotion in sorted(self._facts.promotions, key=lambda each: (each.priority, each.id)):
            self._promote(promotion)
        self._redeem_codes()
        self._spend_points()

    def _promote(self, promotion: ActivePromotion) -> None:
        """Apply a promotion to the lines that it is for; of those that do not stack, the first takes a line."""
        terms = promotion.terms
        if terms.currency not in {None, self._currency} or not promotion.limits.allows(1):
            return
        lines = [
            each
            for each in self._lines
            if (terms.stackable or not each.promoted)
            and each.net > 0
            and self._holds(terms.conditions, promotion.seller_id, each.line)
        ]
        if not lines or sum(each.net for each in lines) < terms.minimum_purchase_minor:
            return
        taken = 0
        for each, amount in _GIFTS[promotion.kind](promotion, lines):
            off = each.take_off(amount, StepKind.PROMOTION, promotion.id, promotion.name, self._currency)
            each.promoted = each.promoted or off > 0
            taken += off
        if taken:
            self._note(UseKind.PROMOTION, promotion.id, 1, taken)

    def _redeem_codes(self) -> None:
        wanted = {normal_code(code): code for code in self._request.codes}
        known = {code.code: code for code in self._facts.codes}
        for name, given in wanted.items():
            if name not in known:
                raise UnknownDiscountCode(discount_code=given)
            if len(wanted) > 1 and not known[name].terms.combinable:
                raise DiscountCodeNotApplicable(discount_code=name, reason="it stands alone")
        for name in wanted:
            self._redeem(known[name])

    def _redeem(self, code: ActiveCode) -> None:
        lines = self._lines_of(code)
        total = sum(each.net for each in lines)
        taken = 0
        for each, amount in self._off(code, lines, total):
            taken += each.take_off(amount, StepKind.CODE, code.id, code.code, self._currency)
        if not taken:
            raise DiscountCodeNotApplicable(discount_code=code.code, reason="it takes nothing off these items")
        self._note(UseKind.CODE, code.id, 1, taken)

    def _lines_of(self, code: ActiveCode) -> Lines:
        terms, limits = code.terms, code.limits
        if terms.members_only and self._request.customer_id is None:
            raise DiscountCodeNotApplicable(discount_code=code.code, reason="it is for those who are logged in")
        if terms.currency not in {None, self._currency}:
            raise DiscountCodeNotApplicable(discount_code=code.code, reason=f"it is for purchases in {terms.currency}")
        if limits.remaining is not None and limits.remaining < 1:
            raise DiscountCodeExhausted(discount_code=code.code)
        if not limits.allows(1):
            raise DiscountCodeAlreadyUsed(discount_code=code.code)
        lines = [
            each for each in self._lines if each.net > 0 and self._holds(terms.conditions, code.seller_id, each.line)
        ]
        if lines and sum(each.net for each in lines) < terms.minimum_purchase_minor:
            minimum = Money(terms.minimum_purchase_minor, self._currency).decimal
            raise MinimumPurchaseNotReached(discount_code=code.code, minimum=minimum, currency=self._currency)
        return lines

    def _off(self, code: ActiveCode, lines: Lines, total: int) -> list[tuple[LineInWork, int]]:
        if not lines:
            return []
        if code.kind is DiscountKind.FIXED:
            return spread(min(code.terms.amount_minor or 0, total), lines)
        off = _percent_of_each(code.terms.percent or Decimal(0), lines)
        maximum = code.terms.maximum_minor
        return off if maximum is None or sum(amount for _, amount in off) <= maximum else spread(maximum, lines)

    def _spend_points(self) -> None:
        """Pay with points, no more of them than the total needs."""
        wanted, purse = self._request.points, self._facts.purse
        if not wanted:
            return
        if purse is None or purse.balance < wanted:
            raise InsufficientPoints(requested=wanted, available=purse.balance if purse else 0)
        lines = [each for each in self._lines if each.net > 0]
        total = sum(each.net for each in lines)
        worth = self._worth(purse, wanted)
        spent = wanted if worth <= total else _points_for(total, purse)
        for each, amount in spread(min(worth, total), lines) if lines else ():
            each.take_off(amount, StepKind.POINTS, purse.program_id, f"{spent} points", self._currency)
        if lines and worth:
            self._note(UseKind.POINTS, purse.program_id, spent, min(worth, total))

    def _worth(self, purse: PointsPurse, points: int) -> int:
        if purse.currency != self._currency:
            raise InsufficientPoints(requested=points, available=0)
        # Part of a minor unit is nobody's: it is not rounded up in the buyer's favour.
        return int(points * purse.point_value)

    def _note(self, kind: UseKind, source_id: UUID, quantity: int, amount: int) -> None:
        self.uses.append(Use(kind, source_id, quantity, Money(amount, self._currency)))


Gift = list[tuple[LineInWork, int]]


def spread(amount: int, lines: Lines) -> Gift:
    """Share an amount out over lines in proportion to what is left of them, to the last cent."""
    currency = lines[0].steps[0].amount.currency
    shares = Money(amount, currency).allocate([each.net for each in lines])
    return [(each, share.amount_minor) for each, share in zip(lines, shares, strict=True)]


def _percent_of_each(percent: Decimal, lines: Lines) -> Gift:
    return [(each, _part(each.net, percent, each)) for each in lines]


def _part(amount: int, percent: Decimal, each: LineInWork) -> int:
    return (Money(amount, each.steps[0].amount.currency) * (percent / HUNDRED)).amount_minor


def _percentage(promotion: ActivePromotion, lines: Lines) -> Gift:
    return _percent_of_each(promotion.terms.percent or Decimal(0), lines)


def _fixed(promotion: ActivePromotion, lines: Lines) -> Gift:
    total = sum(each.net for each in lines)
    return spread(min(promotion.terms.amount_minor or 0, total), lines)


def _bogo(promotion: ActivePromotion, lines: Lines) -> Gift:
    """Give the cheapest units: of every `buy` + `get` units that are bought, `get` are reduced."""
    terms = promotion.terms
    units = sum(each.line.quantity for each in lines)
    given = units // (terms.buy + terms.get) * terms.get
    gift: Gift = []
    for each in sorted(lines, key=lambda each: (each.unit, each.line.key)):
        reduced = min(given, each.line.quantity)
        given -= reduced
        gift.append((each, _part(each.unit * reduced, terms.percent or HUNDRED, each)))
    return gift


def _bundle(promotion: ActivePromotion, lines: Lines) -> Gift:
    """Sell as many whole bundles as there are at the bundle's price; the saving is shared by what each part costs."""
    wanted = {item.sku: item.quantity for item in promotion.terms.items}
    units = _units(lines)
    sets = min(units.get(sku, 0) // quantity for sku, quantity in wanted.items())
    parts = list(_parts(lines, {sku: quantity * sets for sku, quantity in wanted.items()}))
    cost = sum(each.unit * used for each, used in parts)
    saving = cost - sets * (promotion.terms.amount_minor or 0)
    if saving <= 0:
        return []
    currency = lines[0].steps[0].amount.currency
    shares = Money(saving, currency).allocate([each.unit * used for each, used in parts])
    return [(each, share.amount_minor) for (each, _), share in zip(parts, shares, strict=True)]


def _units(lines: Lines) -> dict[str, int]:
    units: dict[str, int] = {}
    for each in lines:
        units[each.line.sku] = units.get(each.line.sku, 0) + each.line.quantity
    return units


def _parts(lines: Lines, needed: dict[str, int]) -> Iterable[tuple[LineInWork, int]]:
    for each in lines:
        used = min(needed.get(each.line.sku, 0), each.line.quantity)
        if used:
            needed[each.line.sku] -= used
            yield each, used


def _points_for(amount: int, purse: PointsPurse) -> int:
    return int((amount / purse.point_value).to_integral_value(rounding=ROUND_CEILING))


_GIFTS: dict[PromotionKind, Callable[[ActivePromotion, Lines], Gift]] = {
    PromotionKind.PERCENTAGE: _percentage,
    PromotionKind.FIXED: _fixed,
    PromotionKind.BOGO: _bogo,
    PromotionKind.BUNDLE: _bundle,
}
