from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel import InvalidInput, uuid7
from domain.money import CurrencyMismatch, Money
from domain.pricing import (
    ActiveCode,
    ActivePromotion,
    ActiveRule,
    BundleItem,
    CodeTerms,
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    DiscountCodeNotApplicable,
    DiscountKind,
    Facts,
    FlashOffer,
    InsufficientPoints,
    Limits,
    ListedPrice,
    MinimumPurchaseNotReached,
    PointsPurse,
    PriceConditions,
    PriceListKind,
    PriceQuote,
    PromotionKind,
    PromotionTerms,
    QuantityStep,
    QuoteLine,
    QuoteRequest,
    RuleKind,
    RuleTerms,
    UnknownDiscountCode,
    UseKind,
    price_quote,
)

SELLER, CUSTOMER = uuid7(), uuid7()
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def cad(minor: int) -> Money:
    return Money(minor, "CAD")


def line(sku: str = "mug", quantity: int = 1, base: int | Money = 1000, **more: Any) -> QuoteLine:
    price = base if isinstance(base, Money) else cad(base)
    facts: dict[str, Any] = {"product_id": uuid7(), "seller_id": SELLER, "store_id": uuid7(), "base": price}
    return QuoteLine(**{"key": sku, "sku": sku, "quantity": quantity, **facts, **more})


def request(*lines: QuoteLine, **more: Any) -> QuoteRequest:
    return QuoteRequest(lines=lines or (line(),), currency="CAD", at=NOON, **more)


def listed(kind: PriceListKind, minor: int, **more: Any) -> ListedPrice:
    return ListedPrice(list_id=uuid7(), name=str(kind), kind=kind, **{"sku": "mug", "price": cad(minor), **more})


def flash(minor: int = 800, **limits: Any) -> FlashOffer:
    return FlashOffer(id=uuid7(), sale_id=uuid7(), name="Flash", sku="mug", price=cad(minor), limits=Limits(**limits))


def rule(kind: RuleKind = RuleKind.DISCOUNT, *, priority: int = 100, **terms: Any) -> ActiveRule:
    return ActiveRule(id=uuid7(), name=f"rule {priority}", kind=kind, priority=priority, terms=RuleTerms(**terms))


def promotion(kind: PromotionKind = PromotionKind.PERCENTAGE, **more: Any) -> ActivePromotion:
    outer = {name: more.pop(name) for name in ("seller_id", "priority", "limits") if name in more}
    return ActivePromotion(id=uuid7(), name=str(kind), kind=kind, terms=PromotionTerms(**more), **outer)


def code(name: str = "TEN", **more: Any) -> ActiveCode:
    outer = {each: more.pop(each) for each in ("seller_id", "limits") if each in more}
    terms = more or {"percent": Decimal(10)}
    kind = DiscountKind.FIXED if "amount_minor" in terms else DiscountKind.PERCENTAGE
    return ActiveCode(id=uuid7(), code=name, kind=kind, terms=CodeTerms(**terms), **outer)


def purse(balance: int = 1000, value: str = "1", currency: str = "CAD", tier: str | None = None) -> PointsPurse:
    return PointsPurse(program_id=uuid7(), balance=balance, tier=tier, point_value=Decimal(value), currency=currency)


def steps(quote: PriceQuote, index: int = 0) -> list[tuple[str, int]]:
    return [(str(step.kind), step.amount.amount_minor) for step in quote.lines[index].steps]


class TestUnitPrices:
    def test_are_those_of_the_catalogue_where_nothing_else_is_known(self) -> None:
        quote = price_quote(request(line(quantity=3, base=333)), Facts())
        assert (quote.subtotal, quote.discount, quote.total, quote.uses) == (cad(999), cad(0), cad(999), ())
        assert steps(quote) == [("base", 999)]

    def test_follow_the_order_of_precedence(self) -> None:
        facts = {
            "prices": [
                listed(PriceListKind.OVERRIDE, 100),
                listed(PriceListKind.CUSTOMER, 300, customer_id=CUSTOMER),
                listed(PriceListKind.TIER, 400, tier="gold"),
                listed(PriceListKind.VOLUME, 500),
                listed(PriceListKind.REGIONAL, 700, region="CA"),
            ],
            "flash": [flash(200)],
            "rules": [rule(amount_minor=100, currency="CAD")],
        }
        asked = request(customer_id=CUSTOMER, tier="gold", region="CA-ON")
        found = []
        for gone in ("override", "flash", "customer", "tier", "volume", "rules", "regional", None):
            found.append(price_quote(asked, Facts(**facts)).total.amount_minor)
            if gone in facts:
                facts[str(gone)] = []
            facts["prices"] = [each for each in facts["prices"] if each.kind != gone]
        # The rule takes 1.00 off what holds in the region.
        assert found == [100, 200, 300, 400, 500, 600, 700, 1000]

    def test_leave_out_lists_for_somebody_else(self) -> None:
        prices = [
            listed(PriceListKind.CUSTOMER, 1, customer_id=uuid7()),
            listed(PriceListKind.TIER, 1, tier="gold"),
            listed(PriceListKind.VOLUME, 1, min_quantity=2),
            listed(PriceListKind.VOLUME, 1, seller_id=uuid7()),
            listed(PriceListKind.VOLUME, 1, store_id=uuid7()),
            listed(PriceListKind.REGIONAL, 1, region="CA-QC"),
            listed(PriceListKind.REGIONAL, 1, region="C"),
            listed(PriceListKind.OVERRIDE, 1, price=Money(1, "EUR")),
            listed(PriceListKind.OVERRIDE, 1, sku="cup"),
        ]
        quote = price_quote(request(customer_id=CUSTOMER, tier="silver", region="CA-ON"), Facts(prices=prices))
        assert quote.total == cad(1000)

    def test_take_the_narrower_region_and_the_larger_quantity(self) -> None:
        regional = [
            listed(PriceListKind.REGIONAL, 800, region="CA"),
            listed(PriceListKind.REGIONAL, 900, region="CA-ON"),
        ]
        assert price_quote(request(region="CA-ON"), Facts(prices=regional)).total == cad(900)
        tiers = [listed(PriceListKind.VOLUME, 1000 - each, min_quantity=each) for each in (1, 10, 100)]
        assert price_quote(request(line(quantity=12)), Facts(prices=tiers)).lines[0].unit == cad(990)

    def test_know_the_tier_from_the_customers_account(self) -> None:
        facts = Facts(prices=[listed(PriceListKind.TIER, 400, tier="gold")], purse=purse(tier="gold"))
        assert price_quote(request(customer_id=CUSTOMER), facts).total == cad(400)

    def test_are_exchanged_where_a_rate_is_known(self) -> None:
        foreign = request(line(quantity=3, base=Money(999, "EUR")))
        quote = price_quote(foreign, Facts(rates={"EUR": Decimal("1.4767")}))
        assert (steps(quote), quote.lines[0].unit) == ([("exchange", 4425)], cad(1475))
        yen = request(line(base=Money(1500, "JPY")))
        assert price_quote(yen, Facts(rates={"JPY": Decimal("0.0091")})).total == cad(1365)

    def test_refuse_another_currency_without_a_rate_or_a_price_of_their_own(self) -> None:
        foreign = request(line(base=Money(999, "EUR")))
        with pytest.raises(CurrencyMismatch):
            price_quote(foreign, Facts())
        quote = price_quote(foreign, Facts(prices=[listed(PriceListKind.OVERRIDE, 1234)]))
        assert steps(quote) == [("override", 1234)]


class TestFlashSales:
    def test_count_their_units(self) -> None:
        offer = flash(800, remaining=5)
        quote = price_quote(request(line(quantity=4)), Facts(flash=[offer]))
        assert steps(quote) == [("base", 4000), ("flash_sale", -800)]
        [use] = quote.uses
        assert (use.kind, use.id, use.quantity, use.amount) == (UseKind.FLASH_SALE, offer.id, 4, cad(800))

    def test_are_shared_by_the_lines_of_a_request(self) -> None:
        lines = [line(key=key, quantity=3) for key in "abc"]
        quote = price_quote(request(*lines), Facts(flash=[flash(800, remaining=7)]))
        assert [each.unit for each in quote.lines] == [cad(800), cad(800), cad(1000)]
        assert [use.quantity for use in quote.uses] == [6]

    def test_hold_each_customer_to_a_share(self) -> None:
        offer = flash(800, remaining=100, per_customer=3, taken=2)
        quote = price_quote(request(line(quantity=2), customer_id=CUSTOMER), Facts(flash=[offer]))
        assert (quote.total, quote.uses) == (cad(2000), ())


class TestRules:
    def test_apply_the_first_that_fits_by_priority(self) -> None:
        other = rule(priority=1, percent=Decimal(90), conditions=PriceConditions(brands=("Other",)))
        rules = [rule(priority=3, percent=Decimal(30)), rule(priority=2, percent=Decimal(20)), other]
        assert price_quote(request(), Facts(rules=rules)).total == cad(800)

    def test_stay_between_floor_and_ceiling(self) -> None:
        low = rule(percent=Decimal(90), floor_minor=700, currency="CAD")
        high = rule(RuleKind.MARKUP, percent=Decimal(90), ceiling_minor=1200, currency="CAD")
        assert price_quote(request(), Facts(rules=[low])).total == cad(700)
        assert price_quote(request(), Facts(rules=[high])).total == cad(1200)

    def test_never_make_a_price_negative(self) -> None:
        assert price_quote(request(), Facts(rules=[rule(amount_minor=5000, currency="CAD")])).total == cad(0)

    def test_look_at_one_line_or_at_all_lines(self) -> None:
        ladder = (QuantityStep(min_quantity=5, percent=Decimal(5)), QuantityStep(min_quantity=10, percent=Decimal(10)))
        lines = (line(quantity=6), line("cup", 4))
        tiered = price_quote(request(*lines), Facts(rules=[rule(RuleKind.TIERED, steps=ladder)]))
        assert [each.unit for each in tiered.lines] == [cad(950), cad(1000)]
        volume = price_quote(request(*lines), Facts(rules=[rule(RuleKind.VOLUME, steps=ladder)]))
        assert [each.unit for each in volume.lines] == [cad(900), cad(900)]

    @pytest.mark.parametrize(
        ("conditions", "holds"),
        [
            ({"skus": ("mug",), "brands": ("Acme",), "regions": ("CA",)}, True),
            ({"customer_ids": (CUSTOMER,), "weekdays": (6,), "from_hour": 12, "until_hour": 13}, True),
            ({"skus": ("cup",)}, False),
            ({"category_ids": (uuid7(),)}, False),
            ({"min_quantity": 2}, False),
            ({"regions": ("CA-QC", "US")}, False),
            ({"weekdays": (1, 2)}, False),
            ({"from_hour": 13}, False),
            ({"tiers": ("gold",)}, False),
        ],
    )
    def test_hold_under_their_conditions_only(self, conditions: dict[str, Any], holds: bool) -> None:
        off = rule(percent=Decimal(50), conditions=PriceConditions(**conditions))
        asked = request(line(brand="Acme"), customer_id=CUSTOMER, region="CA-ON")
        assert price_quote(asked, Facts(rules=[off])).total == cad(500 if holds else 1000)


class TestPromotions:
    def test_round_each_line_half_up(self) -> None:
        lines = (line(base=1050), line("cup", base=1150), line("jar", base=3))
        quote = price_quote(request(*lines), Facts(promotions=[promotion(percent=Decimal(5))]))
        # 52.5, 57.5 and 0.15 cents.
        assert [each.discount.amount_minor for each in quote.lines] == [53, 58, 0]

    def test_share_a_fixed_amount_out_to_the_last_cent(self) -> None:
        lines = [line(key=key, base=333) for key in "abc"]
        fixed = promotion(PromotionKind.FIXED, amount_minor=100, currency="CAD")
        quote = price_quote(request(*lines), Facts(promotions=[fixed]))
        assert [each.discount.amount_minor for each in quote.lines] == [34, 33, 33]
        assert (quote.discount, quote.total) == (cad(100), cad(899))

    def test_give_the_cheapest_of_what_is_bought(self) -> None:
        lines = (line(quantity=2, base=1000), line("cup", 3, base=400))
        quote = price_quote(request(*lines), Facts(promotions=[promotion(PromotionKind.BOGO, buy=1, get=1)]))
        assert [each.discount.amount_minor for each in quote.lines] == [0, 800]
        half = promotion(PromotionKind.BOGO, buy=2, get=1, percent=Decimal(50))
        assert price_quote(request(*lines), Facts(promotions=[half])).discount == cad(200)

    def test_sell_whole_bundles_only(self) -> None:
        items = (BundleItem(sku="mug", quantity=1), BundleItem(sku="cup", quantity=2))
        bundle = promotion(PromotionKind.BUNDLE, items=items, amount_minor=1500, currency="CAD")
        lines = (line(quantity=3, base=1000), line("cup", 5, base=400), line("jar", 1, base=50))
        quote = price_quote(request(*lines), Facts(promotions=[bundle]))
        # Two bundles cost 36.00 one by one and 30.00 together; the saving is shared 20 : 16.
        assert [each.discount.amount_minor for each in quote.lines] == [333, 267, 0]

    def test_do_not_stack_unless_they_say_so(self) -> None:
        first = promotion(percent=Decimal(10), priority=1)
        second = promotion(percent=Decimal(50), priority=2)
        extra = promotion(percent=Decimal(10), priority=3, stackable=True)
        quote = price_quote(request(), Facts(promotions=[second, extra, first]))
        assert steps(quote) == [("base", 1000), ("promotion", -100), ("promotion", -90)]
        assert [use.id for use in quote.uses] == [first.id, extra.id]

    def test_are_for_their_sellers_goods(self) -> None:
        lines = (line(), line("cup", seller_id=uuid7()))
        quote = price_quote(request(*lines), Facts(promotions=[promotion(percent=Decimal(50), seller_id=SELLER)]))
        assert [each.net for each in quote.lines] == [cad(500), cad(1000)]

    def test_are_left_out_when_used_up_or_when_too_little_is_bought(self) -> None:
        spent = promotion(percent=Decimal(50), limits=Limits(remaining=0))
        own = promotion(percent=Decimal(50), limits=Limits(per_customer=1, taken=1))
        large = promotion(percent=Decimal(50), minimum_purchase_minor=1001, currency="CAD")
        foreign = promotion(PromotionKind.FIXED, amount_minor=100, currency="EUR")
        assert price_quote(request(), Facts(promotions=[spent, own, large, foreign])).total == cad(1000)


class TestCodes:
    def test_come_after_promotions(self) -> None:
        facts = Facts(promotions=[promotion(percent=Decimal(10))], codes=[code()])
        quote = price_quote(request(codes=(" ten ", "TEN")), facts)
        assert steps(quote) == [("base", 1000), ("promotion", -100), ("code", -90)]
        assert [(use.kind, use.amount) for use in quote.uses] == [("promotion", cad(100)), ("code", cad(90))]

    def test_take_off_no_more_than_they_may(self) -> None:
        capped = code(percent=Decimal(50), maximum_minor=301, currency="CAD")
        quote = price_quote(request(line(), line("cup"), codes=("TEN",)), Facts(codes=[capped]))
        assert [each.discount.amount_minor for each in quote.lines] == [151, 150]
        large = code(amount_minor=99_999, currency="CAD")
        assert price_quote(request(codes=("TEN",)), Facts(codes=[large])).total == cad(0)

    @pytest.mark.parametrize(
        ("found", "refusal"),
        [
            ([], UnknownDiscountCode),
            ([code("OTHER")], UnknownDiscountCode),
            ([code(limits=Limits(remaining=0))], DiscountCodeExhausted),
            ([code(limits=Limits(remaining=5, per_customer=1, taken=1))], DiscountCodeAlreadyUsed),
            ([code(percent=Decimal(5), minimum_purchase_minor=1001, currency="CAD")], MinimumPurchaseNotReached),
            ([code(percent=Decimal(5), members_only=True)], DiscountCodeNotApplicable),
            ([code(amount_minor=5, currency="EUR")], DiscountCodeNotApplicable),
            ([code(seller_id=uuid7())], DiscountCodeNotApplicable),
            ([code(percent=Decimal("0.01"))], DiscountCodeNotApplicable),
        ],
    )
    def test_refuse_what_they_are_not_for(self, found: list[ActiveCode], refusal: type[Exception]) -> None:
        with pytest.raises(refusal):
            price_quote(request(codes=("TEN",)), Facts(codes=found))

    def test_stand_alone_unless_they_say_so(self) -> None:
        pair = [code("A1", percent=Decimal(10), combinable=True), code("B1", percent=Decimal(10), combinable=True)]
        assert price_quote(request(codes=("A1", "B1")), Facts(codes=pair)).total == cad(810)
        with pytest.raises(DiscountCodeNotApplicable):
            price_quote(request(codes=("A1", "B1")), Facts(codes=[pair[0], code("B1")]))


class TestPoints:
    def test_pay_for_what_they_are_worth(self) -> None:
        held = purse(1000, "0.5")
        quote = price_quote(request(points=333, customer_id=CUSTOMER), Facts(purse=held))
        assert steps(quote) == [("base", 1000), ("points", -166)]
        [use] = quote.uses
        assert (use.kind, use.id, use.quantity, use.amount) == (UseKind.POINTS, held.program_id, 333, cad(166))

    def test_are_not_spent_beyond_the_total(self) -> None:
        quote = price_quote(request(points=900, customer_id=CUSTOMER), Facts(purse=purse(1000, "3")))
        assert quote.total == cad(0)
        assert [(use.quantity, use.amount) for use in quote.uses] == [(334, cad(1000))]

    @pytest.mark.parametrize("held", [None, purse(99), purse(1000, currency="EUR")])
    def test_are_refused_where_there_are_too_few(self, held: PointsPurse | None) -> None:
        with pytest.raises(InsufficientPoints):
            price_quote(request(points=100, customer_id=CUSTOMER), Facts(purse=held))


class TestPriceQuote:
    @pytest.mark.parametrize(
        "asked",
        [
            request(line(quantity=0)),
            request(line(quantity=-1)),
            request(line(quantity=10**9)),
            request(line(base=-1)),
            request(line(base=10**15)),
            request(line(), line()),
            request(points=-1),
            request(codes=tuple("ABCDEF")),
            replace(request(), currency="XYZ"),
        ],
    )
    def test_refuses_what_nobody_could_mean(self, asked: QuoteRequest) -> None:
        with pytest.raises(InvalidInput):
            price_quote(asked, Facts())

    def test_prices_nothing_at_nothing(self) -> None:
        quote = price_quote(
            QuoteRequest(lines=(), currency="CAD", at=NOON), Facts(promotions=[promotion(percent=Decimal(5))])
        )
        assert (quote.lines, quote.total) == ((), cad(0))

    @settings(max_examples=150, deadline=None)
    @given(
        baskets=st.lists(
            st.tuples(st.sampled_from("abcd"), st.integers(1, 9), st.integers(0, 9999)), min_size=1, max_size=6
        ),
        percent=st.decimals("0.01", "100", places=2),
        fixed=st.integers(1, 30_000),
        points=st.integers(0, 5_000),
    )
    def test_adds_up_to_the_last_cent_whatever_is_taken_off(
        self, baskets: list[tuple[str, int, int]], percent: Decimal, fixed: int, points: int
    ) -> None:
        lines = [line(sku, units, base, key=str(index)) for index, (sku, units, base) in enumerate(baskets)]
        facts = Facts(
            flash=[replace(flash(100, remaining=4), sku="a")],
            rules=[rule(percent=percent, conditions=PriceConditions(skus=("b", "c")))],
            promotions=[
                promotion(percent=percent, priority=1, conditions=PriceConditions(skus=("a",))),
                promotion(PromotionKind.BOGO, priority=2),
                promotion(PromotionKind.FIXED, priority=3, amount_minor=fixed, currency="CAD", stackable=True),
            ],
            purse=purse(5_000, "0.7"),
        )
        quote = price_quote(request(*lines, points=points, customer_id=CUSTOMER), facts)
        assert sum(each.net.amount_minor for each in quote.lines) == quote.total.amount_minor
        assert quote.subtotal - quote.discount == quote.total
        for each in quote.lines:
            assert 0 <= each.net.amount_minor <= each.gross.amount_minor == each.unit.amount_minor * each.quantity
            assert sum(step.amount.amount_minor for step in each.steps) == each.net.amount_minor
        taken = sum(use.amount.amount_minor for use in quote.uses if use.kind is not UseKind.FLASH_SALE)
        assert taken == quote.discount.amount_minor
