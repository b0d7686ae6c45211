"""Olist's orders as the files tell them: what was bought of whom, for how much, what its delivery cost and how it was paid.

Source: the Brazilian E-Commerce Public Dataset by Olist; amounts are Brazilian reais.
"""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from uuid import UUID, uuid5

from benchmarks._system import DATA
from domain.money import decimal_text

FOLDER = DATA / "olist" / "sample_before_2018"
CURRENCY = "BRL"
OLIST = UUID("6f6c6973-7400-4000-8000-000000000000")
NO_ITEMS = "the data names no items"
NO_PAYMENT = "the data names no payment"


@dataclass(frozen=True)
class Item:
    """One unit of a product, in minor units; a product has a SKU for each price that its seller asked for it."""

    product: str
    seller: str
    category: str
    price_minor: int
    freight_minor: int

    @property
    def sku(self) -> str:
        return f"{self.product}-{self.seller[:8]}-{self.price_minor}"


@dataclass(frozen=True)
class Freight:
    """What a seller asks for delivering, as a service on sale: `amount_minor` is for all items of one order."""

    seller: str
    amount_minor: int

    @property
    def sku(self) -> str:
        return f"freight-{self.seller}-{self.amount_minor}"


@dataclass(frozen=True)
class Purchase:
    """One order; `trouble` says why nobody can buy it again.

    A boleto, which is paid at a bank, is bought by bank transfer; all else, in however many parts, by one card. What was
    cancelled is bought by card too: a transfer goes back by somebody's hand only.
    """

    id: str
    customer: str
    state: str
    city: str = ""
    region: str = ""
    postal_code: str = ""
    items: tuple[Item, ...] = ()
    paid_minor: int = 0
    parts: int = 0
    by_transfer: bool = False
    trouble: str | None = None

    @property
    def buyer_id(self) -> UUID:
        return uuid5(OLIST, self.customer)

    @property
    def total_minor(self) -> int:
        """Items and freight."""
        return sum(item.price_minor + item.freight_minor for item in self.items)

    @property
    def by_seller(self) -> dict[str, int]:
        """What each seller gets for items and freight."""
        sums: Counter[str] = Counter()
        for item in self.items:
            sums[item.seller] += item.price_minor + item.freight_minor
        return dict(sums)

    @property
    def freights(self) -> list[Freight]:
        """The delivery of each seller's items, where it is not free."""
        sums: Counter[str] = Counter()
        for item in self.items:
            sums[item.seller] += item.freight_minor
        return [Freight(seller, amount) for seller, amount in sums.items() if amount]

    @property
    def lines(self) -> dict[str, int]:
        """How many units of which SKUs go into the cart."""
        return dict(Counter([item.sku for item in self.items] + [each.sku for each in self.freights]))

    @property
    def difference(self) -> str | None:
        """Say how the payment of the data differs from its items and freight."""
        more = self.paid_minor - self.total_minor
        if self.trouble or not more:
            return None
        # The files name neither: what is a few cents or more than that has these explanations as a rule.
        why = "freight rounded item by item" if abs(more) <= 3 else "nothing that an item names, such as interest"
        return f"{decimal_text(abs(more), CURRENCY)} {'more' if more > 0 else 'less'} paid than items and freight cost: {why}"


class _Dirty(Exception):
    """A row that cannot be used; its text says why."""


@dataclass
class Tables:
    """The rows of the files that orders are made of, by the ids that join them."""

    customers: dict[str, dict[str, str]] = field(default_factory=dict)
    products: dict[str, dict[str, str]] = field(default_factory=dict)
    sellers: dict[str, dict[str, str]] = field(default_factory=dict)
    items: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    payments: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        made = cls()
        for kind, key in (("customers", "customer_id"), ("products", "product_id"), ("sellers", "seller_id")):
            getattr(made, kind).update((row[key], row) for row in _rows(folder, kind))
        for kind, into in (("order_items", made.items), ("order_payments", made.payments)):
            for row in _rows(folder, kind):
                into[row["order_id"]].append(row)
        return made

    def purchase(self, row: dict[str, str]) -> Purchase:
        """Put an order together; what is wrong with it is said in `trouble`."""
        blank = Purchase(row["order_id"], row["customer_id"], row["order_status"])
        try:
            customer = _known(self.customers, row["customer_id"], "customer")
            items = tuple(map(self._item, self.items[blank.id]))
            paid = [_minor(each["payment_value"], each) for each in self.payments[blank.id]]
        except _Dirty as dirty:
            return Purchase(blank.id, blank.customer, blank.state, trouble=str(dirty))
        by_transfer = {each["payment_type"] for each in self.payments[blank.id]} == {"boleto"}
        trouble = NO_ITEMS if not items else NO_PAYMENT if not paid else None
        return Purchase(
            blank.id, customer["customer_unique_id"], blank.state, customer["customer_city"], customer["customer_state"],
            customer["customer_zip_code_prefix"], items, sum(paid), len(paid),
            by_transfer and blank.state != "canceled", trouble,
        )  # fmt: skip

    def _item(self, row: dict[str, str]) -> Item:
        product = _known(self.products, row["product_id"], "product")
        _known(self.sellers, row["seller_id"], "seller")
        price, freight = (_minor(row[name], row) for name in ("price", "freight_value"))
        return Item(row["product_id"], row["seller_id"], product["product_category_name"], price, freight)


def read(folder: Path = FOLDER) -> list[Purchase]:
    """Give all orders in the order in which they were placed."""
    tables = Tables.read(folder)
    rows = sorted(_rows(folder, "orders"), key=lambda row: (row["order_purchase_timestamp"], row["order_id"]))
    return [tables.purchase(row) for row in rows]


def sample(purchases: Sequence[Purchase], most: int) -> list[Purchase]:
    """Give some orders, as many of every kind as there are and find room: the rare kinds are not left out."""
    kinds: dict[tuple[object, ...], list[Purchase]] = defaultdict(list)
    for each in purchases:
        several = (len(each.by_seller) > 1, len(each.lines) > 2, each.parts > 1, each.by_transfer)
        kinds[several, each.state, bool(each.trouble), bool(each.difference)].append(each)
    chosen: list[Purchase] = []
    for at in range(len(purchases)):
        chosen += [kind[at] for kind in kinds.values() if at < len(kind)]
        if len(chosen) >= most:
            break
    return chosen[:most]


def goods(purchases: Iterable[Purchase]) -> tuple[dict[str, Item], dict[str, Freight]]:
    """Give everything that the purchases need on sale, by SKU."""
    bought = [each for each in purchases if not each.trouble]
    items = {item.sku: item for each in bought for item in each.items}
    return items, {freight.sku: freight for each in bought for freight in each.freights}


def _rows(folder: Path, kind: str) -> Iterator[dict[str, str]]:
    with gzip.open(folder / f"olist_{kind}_dataset.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _known(rows: dict[str, dict[str, str]], key: str, what: str) -> dict[str, str]:
    if key not in rows:
        raise _Dirty(f"the {what} {key} is not among the data")
    return rows[key]


def _minor(amount: str, row: dict[str, str]) -> int:
    if row.get("currency", CURRENCY) != CURRENCY:
        raise _Dirty(f"an amount is in {row['currency']}, not in {CURRENCY}")
    try:
        minor = Decimal(amount).scaleb(2)
    except InvalidOperation:
        raise _Dirty(f"{amount!r} is no amount") from None
    if not minor.is_finite() or minor != minor.to_integral_value() or minor < 0:
        raise _Dirty(f"{amount!r} is no amount of whole centavos")
    return int(minor)
