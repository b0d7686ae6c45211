from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel import InvalidInput
from domain.money import CurrencyMismatch, Money
from domain.tax import (
    TaxKind,
    TaxLine,
    TaxPlace,
    TaxRate,
    built_in,
    check_tax_number,
    rates_in_force,
    required_age,
    tax_number_check,
    tax_quote,
)
from domain.tax.library import BUILT_IN
from domain.tax.numbers import InvalidTaxNumber

TODAY = date(2026, 3, 14)


def rate(
    kind: TaxKind, share: str, *, country: str = "CA", province: str | None = "CA-ON", category: str | None = None
) -> TaxRate:
    return TaxRate(
        country=country,
        province=province,
        kind=kind,
        category=category,
        rate=Decimal(share),
        valid_from=date(2020, 1, 1),
    )


def lines(*amounts: int, currency: str = "CAD", category: str | None = None) -> list[TaxLine]:
    return [
        TaxLine(key=str(number), amount=Money(amount, currency), category=category)
        for number, amount in enumerate(amounts)
    ]


def percentages(code: str, on: date, category: str | None = None) -> dict[str, Decimal]:
    found = built_in(TaxPlace.named(code), on)
    return {each.kind.value: each.rate * 100 for each in found if each.category == category}


class TestTaxPlace:
    @pytest.mark.parametrize("text", ["ON", "CA-ON", "on", "Ontario", " ontario "])
    def test_reads_a_province_as_people_write_it(self, text: str) -> None:
        assert TaxPlace.of("ca", text) == TaxPlace("CA", "CA-ON")

    def test_leaves_out_a_province_that_nobody_knows(self) -> None:
        assert TaxPlace.of("CA", "Atlantis") == TaxPlace("CA")

    @pytest.mark.parametrize(("country", "province"), [("XX", None), ("ca", None), ("CA", "US-NY"), ("CA", "ON")])
    def test_refuses_codes_outside_of_the_standards(self, country: str, province: str | None) -> None:
        with pytest.raises(InvalidInput):
            TaxPlace(country, province)


class TestBuiltIn:
    @pytest.mark.parametrize(
        ("code", "on", "expected"),
        [
            ("CA-ON", date(2026, 3, 14), {"hst": 13}),
            ("CA-QC", date(2026, 3, 14), {"gst": 5, "qst": Decimal("9.975")}),
            ("CA-AB", date(2026, 3, 14), {"gst": 5}),
            ("CA-BC", date(2026, 3, 14), {"gst": 5, "pst": 7}),
            ("CA-SK", date(2017, 3, 22), {"gst": 5, "pst": 5}),
            ("CA-SK", date(2017, 3, 23), {"gst": 5, "pst": 6}),
            ("CA-MB", date(2019, 6, 30), {"gst": 5, "pst": 8}),
            ("CA-MB", date(2019, 7, 1), {"gst": 5, "pst": 7}),
            ("CA-NS", date(2025, 3, 31), {"hst": 15}),
            ("CA-NS", date(2025, 4, 1), {"hst": 14}),
            ("CA-PE", date(2016, 9, 30), {"hst": 14}),
            ("CA-PE", date(2016, 10, 1), {"hst": 15}),
            ("CA", date(2026, 3, 14), {}),
            ("DE", date(2026, 3, 14), {"vat": 19}),
            ("FI", date(2024, 8, 31), {"vat": 24}),
            ("FI", date(2024, 9, 1), {"vat": Decimal("25.5")}),
            ("EE", date(2025, 7, 1), {"vat": 24}),
            ("LU", date(2023, 12, 31), {"vat": 16}),
            ("RO", date(2025, 8, 1), {"vat": 21}),
            ("SK", date(2025, 1, 1), {"vat": 23}),
            ("PT-30", date(2026, 3, 14), {"vat": 22}),
            ("ES-CN", date(2026, 3, 14), {"vat": 0}),
            ("US", date(2026, 3, 14), {}),
        ],
    )
    def test_are_those_of_the_law_on_the_day(self, code: str, on: date, expected: dict[str, Decimal]) -> None:
        found = {
            each.kind.value: each.rate * 100 for each in rates_in_force(TaxPlace.named(code), on) if not each.category
        }
        assert found == expected

    def test_know_reduced_rates_by_class(self) -> None:
        assert percentages("FR", TODAY, "reduced") == {"vat": 10}
        assert percentages("FR", TODAY, "second_reduced") == {"vat": Decimal("5.5")}
        assert percentages("FR", TODAY, "super_reduced") == {"vat": Decimal("2.1")}
        assert percentages("CA-ON", TODAY, "books") == {"hst": 5}

    def test_never_overlap(self) -> None:
        for rates in BUILT_IN.values():
            for one in rates:
                twins = [
                    each
                    for each in rates
                    if (each.kind, each.province, each.category) == (one.kind, one.province, one.category)
                    and each.in_force(one.valid_from)
                ]
                assert twins == [one]

    def test_hold_all_of_canada_and_all_of_the_union(self) -> None:
        assert len({each.province for each in BUILT_IN["CA"]}) == 13
        assert len(BUILT_IN.keys() - {"CA"}) == 27
        assert all(each.source for rates in BUILT_IN.values() for each in rates)


class TestRatesInForce:
    def test_take_a_tenants_own_rate_before_the_built_in_one(self) -> None:
        found = rates_in_force(TaxPlace("CA", "CA-ON"), TODAY, [rate(TaxKind.HST, "0.12")])
        assert [each.rate for each in found if each.category is None] == [Decimal("0.12")]

    def test_take_a_provinces_rate_before_its_countrys(self) -> None:
        own = [
            rate(TaxKind.SALES, "0.09", country="US", province="US-NY"),
            rate(TaxKind.SALES, "0.01", country="US", province=None),
        ]
        assert [each.rate for each in rates_in_force(TaxPlace("US", "US-NY"), TODAY, own)] == [Decimal("0.09")]
        assert [each.rate for each in rates_in_force(TaxPlace("US", "US-CA"), TODAY, own)] == [Decimal("0.01")]

    def test_never_levy_a_federal_tax_beside_a_harmonised_one(self) -> None:
        found = rates_in_force(TaxPlace("CA", "CA-ON"), TODAY, [rate(TaxKind.GST, "0.05", province=None)])
        assert {each.kind for each in found} == {TaxKind.HST}


class TestTaxQuote:
    def test_rounds_each_tax_of_each_line_by_itself(self) -> None:
        quote = tax_quote(lines(999, 999), built_in(TaxPlace("CA", "CA-QC"), TODAY), inclusive=False)
        assert [[part.tax.amount_minor for part in line.components] for line in quote.lines] == [[50, 100], [50, 100]]
        assert [(part.label, part.tax.amount_minor) for part in quote.components] == [
            ("GST 5 %", 100),
            ("QST 9.975 %", 200),
        ]
        assert (quote.net, quote.total, quote.gross) == (Money(1998, "CAD"), Money(300, "CAD"), Money(2298, "CAD"))

    def test_rounds_half_a_cent_away_from_zero(self) -> None:
        half = [rate(TaxKind.HST, "0.05")]
        assert tax_quote(lines(10), half, inclusive=False).total == Money(1, "CAD")
        assert tax_quote(lines(-10), half, inclusive=False).total == Money(-1, "CAD")
        assert tax_quote(lines(9), half, inclusive=False).total == Money(0, "CAD")

    def test_takes_the_taxes_out_of_an_amount_that_contains_them(self) -> None:
        quote = tax_quote(lines(11900, currency="EUR"), built_in(TaxPlace("DE"), TODAY), inclusive=True)
        assert (quote.net, quote.total, quote.gross) == (Money(10000, "EUR"), Money(1900, "EUR"), Money(11900, "EUR"))

    def test_takes_several_taxes_out_of_one_amount(self) -> None:
        quote = tax_quote(lines(11498), built_in(TaxPlace("CA", "CA-QC"), TODAY), inclusive=True)
        assert [part.tax.amount_minor for part in quote.components] == [500, 998]
        assert quote.lines[0].net == Money(10000, "CAD")

    def test_uses_the_rate_of_a_category_where_there_is_one(self) -> None:
        rates = built_in(TaxPlace("CA", "CA-BC"), TODAY)
        assert tax_quote(lines(1000, category="books"), rates, inclusive=False).total == Money(50, "CAD")
        assert tax_quote(lines(1000, category="zero_rated"), rates, inclusive=False).total == Money(0, "CAD")
        assert tax_quote(lines(1000, category="unheard_of"), rates, inclusive=False).total == Money(120, "CAD")

    def test_falls_back_only_where_no_rate_is_known(self) -> None:
        quote = tax_quote(lines(1000), [], inclusive=False, fallback=Decimal("0.08"))
        assert [(part.kind, part.tax) for part in quote.components] == [(TaxKind.SALES, Money(80, "CAD"))]
        assert tax_quote(lines(1000), [], inclusive=False).total == Money(0, "CAD")
        free = [rate(TaxKind.HST, "0")]
        assert tax_quote(lines(1000), free, inclusive=False, fallback=Decimal("0.08")).total == Money(0, "CAD")

    def test_knows_currencies_without_cents(self) -> None:
        quote = tax_quote(lines(105, currency="JPY"), [], inclusive=True, fallback=Decimal("0.10"))
        assert (quote.net, quote.total) == (Money(95, "JPY"), Money(10, "JPY"))

    def test_refuses_two_currencies_and_no_lines(self) -> None:
        with pytest.raises(CurrencyMismatch):
            tax_quote([*lines(1), *lines(1, currency="EUR")], [], inclusive=False)
        with pytest.raises(InvalidInput):
            tax_quote([], [], inclusive=False)

    @given(
        amounts=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=6),
        shares=st.lists(st.integers(0, 1_000_000), max_size=3),
        inclusive=st.booleans(),
    )
    def test_adds_up_to_the_cent(self, amounts: list[int], shares: list[int], inclusive: bool) -> None:
        kinds = (TaxKind.GST, TaxKind.PST, TaxKind.QST)
        rates = [rate(kind, str(Decimal(share) / 10**6)) for kind, share in zip(kinds, shares, strict=False)]
        quote = tax_quote(lines(*amounts), rates, inclusive=inclusive)
        assert (quote.gross if inclusive else quote.net).amount_minor == sum(amounts)
        assert quote.total.amount_minor == sum(line.tax.amount_minor for line in quote.lines)
        assert quote.total.amount_minor == sum(part.tax.amount_minor for part in quote.components)
        for line in quote.lines:
            assert line.net + line.tax == line.gross
            assert line.tax.amount_minor == sum(part.tax.amount_minor for part in line.components)


class TestRequiredAge:
    def test_is_that_of_the_strictest_line(self) -> None:
        young, old = (TaxLine(key=str(age), amount=Money(1, "CAD"), minimum_age=age) for age in (18, 21))
        assert required_age([*lines(1), young, old]) == 21
        assert required_age(lines(1)) is None


class TestTaxNumber:
    @pytest.mark.parametrize(
        ("country", "number", "written"),
        [
            ("CA", "12302 6635 RC 0001", "123026635RC0001"),
            ("DE", "DE 136,695 976", "136695976"),
            ("at", "AT U13585627", "U13585627"),
        ],
    )
    def test_is_written_as_registers_write_it(self, country: str, number: str, written: str) -> None:
        assert check_tax_number(country, number).number == written

    def test_is_refused_when_its_check_digit_is_wrong(self) -> None:
        with pytest.raises(InvalidTaxNumber):
            check_tax_number("DE", "136695978")
        assert not tax_number_check("CA", "123456789").is_valid

    @pytest.mark.parametrize("country", ["", "ZZ", "../x", "é1", "US"])
    def test_is_not_known_of_every_country(self, country: str) -> None:
        with pytest.raises(InvalidInput):
            tax_number_check(country, "1")
