"""A small catalogue that search tests share."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from domain.search import SearchDocument

TENANT = UUID("018f0000-0000-7000-8000-00000000000a")
OTHER_TENANT = UUID("f18f0000-0000-7000-8000-00000000000b")
STORE = UUID("018f0000-0000-7000-8000-00000000000c")


def product_id(name: str) -> UUID:
    return uuid5(TENANT, name)


def product(name: str, tenant_id: UUID = TENANT, **values: Any) -> SearchDocument:
    given = {"created_at": datetime(2026, 1, 1, tzinfo=UTC)} | values
    if "product_id" not in given:
        given["product_id"] = product_id(name)
    return SearchDocument(tenant_id=tenant_id, name=name, **given)


HEADPHONES = product(
    "Wireless Headphones WH-1000",
    brand="Sony",
    description="Over-ear noise cancelling with a carrying pouch",
    category="Headphones",
    category_path=("audio", "headphones"),
    attributes={"colour": "Black", "driver.size": 40, "noise_cancelling": True, "weight": 254.5},
    price_minor=29_900,
    currency="EUR",
    in_stock=True,
    rating=4.6,
    popularity=50.0,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    store_ids=(STORE,),
    names={"ru": "Беспроводные наушники WH-1000", "de": "Kabellose Kopfhörer WH-1000"},
)
EARBUDS = product(
    "Earbuds Mini",
    brand="Jabra",
    description="Wireless earbuds with a charging box",
    category="Headphones",
    category_path=("audio", "headphones"),
    attributes={"colour": "White", "driver.size": 12, "noise_cancelling": False},
    price_minor=7_900,
    currency="EUR",
    in_stock=False,
    rating=3.2,
    created_at=datetime(2026, 2, 1, tzinfo=UTC),
)
SPEAKER = product(
    "Bluetooth Speaker",
    brand="Sony",
    category="Speakers",
    category_path=("audio", "speakers"),
    attributes={"colour": "Black", "driver.size": 90},
    price_minor=12_000,
    currency="EUR",
    in_stock=True,
    popularity=5_000.0,
)
THINKPAD = product(
    'ThinkPad X1 15.6" 512 GB',
    brand="Lenovo",
    category="Laptops",
    category_path=("computers", "laptops"),
    attributes={"colour": "Black", "memory": 16},
    price_minor=180_000,
    currency="EUR",
    in_stock=True,
    rating=4.0,
    names={"ru": "Ноутбук ThinkPad X1"},
)
BRUSH = product("Щётка для клавиатуры", brand="Чистюля", category="Аксессуары", category_path=("computers", "care"))
FOREIGN = product("Foreign Headphones", tenant_id=OTHER_TENANT, brand="Zenith", price_minor=100, currency="EUR")

CATALOGUE = (HEADPHONES, EARBUDS, SPEAKER, THINKPAD, BRUSH, FOREIGN)


async def streamed(documents: Iterable[SearchDocument]) -> AsyncIterator[SearchDocument]:
    for document in documents:
        yield document
