from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel import InvalidInput
from domain.money import CurrencyMismatch, Money, Quantity, decimal_text


class TestMoney:
    def test_reads_a_decimal_in_the_currencys_own_digits(self) -> None:
        assert Money.parse("12.5", "CAD") == Money(1250, "CAD")
        assert Money.parse("1250", "JPY") == Money(1250, "JPY")
        assert Money.parse("1.234", "KWD") == Money(1234, "KWD")

    @pytest.mark.parametrize("text", ["12.345", "abc", "", "NaN", "Infinity", "1e-3"])
    def test_refuses_what_is_no_amount(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            Money.parse(text, "CAD")

    def test_refuses_a_currency_that_there_is_not(self) -> None:
        with pytest.raises(InvalidInput) as refusal:
            Money(1, "XXY")
        assert refusal.value.field == "currency"

    def test_refuses_to_add_apples_to_pears(self) -> None:
        with pytest.raises(CurrencyMismatch):
            Money(1, "CAD") + Money(1, "EUR")

    def test_rounds_half_up_when_multiplied(self) -> None:
        assert Money(105, "CAD") * Decimal("0.5") == Money(53, "CAD")

    def test_shows_itself_as_a_decimal(self) -> None:
        assert Money(1205, "EUR").decimal == Decimal("12.05")

    def test_shares_out_the_cents_that_do_not_divide(self) -> None:
        assert [part.amount_minor for part in Money(100, "EUR").allocate([1, 1, 1])] == [34, 33, 33]

    @given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
    def test_never_loses_a_cent_when_shared_out(self, amount: int, weights: list[int]) -> None:
        if sum(weights) == 0:
            with pytest.raises(InvalidInput):
                Money(amount, "EUR").allocate(weights)
        else:
            assert sum(part.amount_minor for part in Money(amount, "EUR").allocate(weights)) == amount


class TestDecimalText:
    @given(st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
    def test_writes_what_the_decimal_is(self, amount: int, currency: str) -> None:
        assert decimal_text(amount, currency) == f"{Money(amount, currency).decimal:f}"


class TestQuantity:
    def test_refuses_to_fall_below_zero(self) -> None:
        with pytest.raises(InvalidInput):
            Quantity(2) - Quantity(3)

    def test_adds_up(self) -> None:
        assert Quantity(2) + Quantity(3) == Quantity(5)
