from typing import Any

import pytest

from domain.importing import ImportMap, RowError
from domain.kernel import InvalidInput

PLAIN = {
    "columns": {
        "sku": "sku",
        "name": "name",
        "price": "price",
        "compare_at_price": "was",
        "currency": "currency",
        "stock": "stock",
        "category": "category",
        "description": "description",
    }
}


def read(description: dict[str, Any] = PLAIN, **values: Any) -> Any:
    return ImportMap(description, currency="CAD").row(7, {"sku": "a", "name": "A mug", **values})


class TestImportMap:
    def test_reads_a_price_in_units_of_its_currency(self) -> None:
        assert (read(price="12.50").price_minor, read(price="12.50").currency) == (1250, "CAD")
        assert read(price="1250", currency="JPY").price_minor == 1250

    def test_reads_a_price_in_minor_units_where_the_map_says_so(self) -> None:
        columns = {"sku": "sku", "name": "name", "price": {"column": "price", "unit": "minor"}}
        assert read({"columns": columns}, price=4995).price_minor == 4995

    def test_leaves_a_product_without_a_price_without_a_currency(self) -> None:
        assert (read().price_minor, read().currency) == (None, None)

    @pytest.mark.parametrize(
        ("values", "column", "reason"),
        [
            ({"sku": ""}, "sku", "it is missing"),
            ({"name": "  "}, "name", "it is missing"),
            ({"price": "-1"}, "price", "a price must not be negative"),
            ({"price": "cheap"}, "price", "'cheap' is not a number"),
            ({"price": "1.234"}, "price", "'1.234' has more decimals than CAD has"),
            ({"price": "NaN"}, "price", "'NaN' has more decimals than CAD has"),
            ({"price": "1", "currency": "DOLLARS"}, "currency", "'DOLLARS' is not an ISO 4217 currency code"),
            ({"price": "5", "was": "4"}, "compare_at_price", "it is lower than the price"),
            ({"stock": "1.5"}, "stock", "'1.5' is not a whole number"),
            ({"stock": "-2"}, "stock", "it must lie between 0 and 1,000,000,000"),
            ({"name": "a\x00b"}, "name", "it contains a NUL character"),
            ({"sku": "x" * 65}, "sku", "it is longer than 64 characters"),
        ],
    )
    def test_says_of_a_bad_row_which_column_and_why(self, values: dict[str, Any], column: str, reason: str) -> None:
        with pytest.raises(RowError) as refusal:
            read(**values)
        assert (refusal.value.line, refusal.value.column, refusal.value.reason) == (7, column, reason)

    def test_splits_a_category_path_written_with_arrows(self) -> None:
        assert read(category="Home > Kitchen >Mugs").category == ("Home", "Kitchen", "Mugs")

    def test_puts_a_path_together_from_columns_and_constants(self) -> None:
        columns = {"sku": "sku", "name": "name", "category": {"path": [{"value": "Grocery"}, "aisle", "shelf"]}}
        assert read({"columns": columns}, aisle="Tea", shelf="").category == ("Grocery", "Tea")

    def test_fills_a_template_or_takes_the_first_column_that_says_something(self) -> None:
        columns = {"sku": "sku", "name": {"template": "{kind} {size}", "otherwise": ["aisle"]}}
        assert read({"columns": columns}, kind="TEA", size="20 BAGS").name == "TEA 20 BAGS"
        assert read({"columns": columns}, kind="", size="", aisle="Drinks").name == "Drinks"

    def test_takes_attributes_by_prefix_with_their_kind(self) -> None:
        description = {**PLAIN, "attributes": {"prefixes": {"text": "t_", "number": "n_", "boolean": "b_"}}}
        found = read(description, t_colour="red", n_weight=1.5, b_new=True, other="x").attributes
        assert found == {"colour": "red", "weight": 1.5, "new": True}

    @pytest.mark.parametrize(
        "description",
        [
            {"columns": {"sku": "sku"}},
            {"columns": {"sku": "sku", "name": "name", "colour": "c"}},
            {"columns": {"sku": "sku", "name": {"colum": "name"}}},
            {"columns": {"sku": "sku", "name": "name"}, "prices": {}},
            {"columns": {"sku": "sku", "name": "name"}, "attributes": {"prefixes": {"date": "d_"}}},
        ],
    )
    def test_refuses_a_map_that_asks_for_what_there_is_not(self, description: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            ImportMap(description, currency="CAD")
