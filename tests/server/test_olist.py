"""Real orders of a marketplace: bought again they cost what was paid, and dirty ones are named with what is wrong."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks._olist import FOLDER, NO_ITEMS, NO_PAYMENT, Purchase, read, sample
from benchmarks._olist_market import expected_balances, market, seller_id
from benchmarks._system import Agora

ORDERS = 60
FILES = {
    "customers": [{"customer_id": "c", "customer_unique_id": "u", "customer_city": "sao paulo", "customer_state": "SP",
                   "customer_zip_code_prefix": "01027"}],
    "products": [{"product_id": "p", "product_category_name": "audio"}],
    "sellers": [{"seller_id": "s"}],
    "orders": [{"order_id": "o", "customer_id": "c", "order_status": "delivered",
                "order_purchase_timestamp": "2017-07-09 21:57:05"}],
    "order_items": [{"order_id": "o", "product_id": "p", "seller_id": "s", "price": "21.99", "freight_value": "11.85"}],
    "order_payments": [{"order_id": "o", "payment_value": "33.84", "payment_type": "credit_card"}],
}  # fmt: skip

Told = Callable[..., Purchase]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    def read_one(**changes: list[dict[str, str]]) -> Purchase:
        for kind, rows in {**FILES, **changes}.items():
            with gzip.open(tmp_path / f"olist_{kind}_dataset.csv.gz", "wt", encoding="utf-8", newline="") as file:
                sheet = csv.DictWriter(file, list((rows or FILES[kind])[0]))
                sheet.writeheader()
                sheet.writerows(rows)
        (purchase,) = read(tmp_path)
        return purchase

    return read_one


def changed(kind: str, **to: str) -> list[dict[str, str]]:
    return [FILES[kind][0] | to]


class TestReading:
    def test_puts_an_order_together_in_minor_units(self, told: Told) -> None:
        purchase = told()
        assert (purchase.total_minor, purchase.paid_minor, purchase.trouble, purchase.difference) == (
            3384,
            3384,
            None,
            None,
        )
        assert purchase.lines == {"p-s-2199": 1, "freight-s-1185": 1}

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"order_items": []}, NO_ITEMS),
            ({"order_payments": []}, NO_PAYMENT),
            ({"order_items": changed("order_items", product_id="gone")}, "the product gone is not among the data"),
            ({"order_items": changed("order_items", seller_id="gone")}, "the seller gone is not among the data"),
            ({"orders": changed("orders", customer_id="gone")}, "the customer gone is not among the data"),
            ({"order_items": changed("order_items", price="free")}, "'free' is no amount"),
            ({"order_items": changed("order_items", price="-1.00")}, "'-1.00' is no amount of whole centavos"),
            ({"order_items": changed("order_items", price="0.005")}, "'0.005' is no amount of whole centavos"),
            ({"order_payments": changed("order_payments", currency="USD")}, "an amount is in USD, not in BRL"),
        ],
    )
    def test_says_what_is_wrong_with_a_dirty_order(
        self, told: Told, changes: dict[str, list[dict[str, str]]], reason: str
    ) -> None:
        assert told(**changes).trouble == reason

    @pytest.mark.parametrize(("paid", "words"), [("33.85", "0.01 more paid"), ("33.00", "0.84 less paid")])
    def test_says_by_how_much_a_payment_differs(self, told: Told, paid: str, words: str) -> None:
        difference = told(order_payments=changed("order_payments", payment_value=paid)).difference
        assert difference is not None
        assert difference.startswith(words)

    def test_expects_commission_of_what_was_delivered_and_fees_of_what_was_charged(self, told: Told) -> None:
        # 2.9 % of 33.84 and 0.30 are 1.28; 10 % of 33.84 are 3.38.
        assert expected_balances([told()]) == {
            "provider_fees": 128,
            "buyer_clearing": 3384 - 128,
            "platform_fees": -338,
            f"seller_payable:{seller_id('s')}": -3046,
        }

    def test_expects_no_fee_of_a_transfer(self, told: Told) -> None:
        purchase = told(
            order_payments=changed("order_payments", payment_type="boleto"),
            orders=changed("orders", order_status="shipped"),
        )
        assert expected_balances([purchase]) == {"buyer_clearing": 3384, f"escrow:{seller_id('s')}": -3384}


class TestBuyingAgain:
    async def test_costs_what_was_paid_and_puts_every_cent_on_its_account(self, tmp_path: Path) -> None:
        if not FOLDER.is_dir():
            pytest.skip(f"the orders of {FOLDER} are absent; AGORA_DATA names another place for all data")
        purchases = sample(read(), ORDERS)
        with Agora(tmp_path) as server:
            async with market(server, purchases) as opened:
                done = await opened.replay(purchases)
        usable = [each for each in purchases if not each.trouble]
        assert done.wrong == []
        assert done.bought.keys() == {each.id for each in usable}
        assert done.refused.keys() == {each.id for each in purchases if each.trouble}
        assert done.differing.keys() == {each.id for each in usable if each.difference}
        assert done.equal == len(usable) - len(done.differing) > 0
        assert done.sub_orders > len(usable)
