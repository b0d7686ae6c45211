"""The generated catalogue of the graph benchmark: 5,000 products with three variants, stock, and reviews of the newest."""

import asyncio
import csv
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import UUID

from _shop import open_shop
from _system import Agora, Shop, agora, ask, run_measured

from domain.kernel import Principal, Work, uuid7
from domain.processes.reviewing import create_review
from domain.reviews import CreateReview
from server.services import Services, open_services

PRODUCTS = 5_000
REVIEWED = 220
REVIEWS_EACH = 3
MATERIALS = ("Oak", "Walnut", "Ash", "Linen", "Brass", "Marble", "Cork", "Wool", "Steel", "Bamboo")
THINGS = ("Lamp", "Chair", "Table", "Shelf", "Rug", "Mirror", "Stool", "Clock", "Vase", "Desk")
BRANDS = ("Norrland", "Casa Lume", "Fjord & Co", "Hearth", "Studio Vale", "Kiln", "Atelier Nord", "Bright Oak")
SIZES = ("Small", "Medium", "Large")
COLUMNS = ("sku", "name", "description", "brand", "category", "price", "currency", "stock", "variant_of")
NEWEST = (
    "query Newest($after: String) { products(first: 100, after: $after) { nodes { id sku } pageInfo { endCursor } } }"
)
INDEXED = "query Indexed { searchProducts(first: 1) { total } }"


def rows() -> Iterator[tuple[object, ...]]:
    """The lines of the import file, seeded: every product is followed by its variants."""
    chance = random.Random(20)
    names = [f"{material} {thing}" for material, thing in product(MATERIALS, THINGS)]
    for number in range(PRODUCTS):
        name, sku = f"{names[number % len(names)]} {number:04d}", f"G-{number:05d}"
        thing = name.split()[1]
        text = f"A {name.lower()} for rooms that are lived in. " * chance.randint(1, 4)
        price = f"{chance.randint(900, 90_000) / 100:.2f}"
        yield sku, name, text, chance.choice(BRANDS), f"Home > {thing}", price, "EUR", "", ""
        for size in SIZES:
            dearer = f"{float(price) * chance.choice((1, 1.1, 1.25)):.2f}"
            yield f"{sku}-{size[0]}", f"{name} {size}", "", "", "", dearer, "EUR", chance.randint(0, 40), sku


def fill(server: Agora) -> Shop:
    """Make the shop and its goods through the importer, wait until they are found, and have some of them reviewed."""
    file = server.home / "generated.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(rows())
    return asyncio.run(_fill(server, file))


async def _fill(server: Agora, file: Path) -> Shop:
    settings = server.settings()
    async with open_services(settings) as services:
        shop = await open_shop(settings, services, "storefront", ("home",), "EUR")
        options = ("--store", "home", "--tenant", shop.tenant, "--home", str(server.home))
        await asyncio.to_thread(
            run_measured, agora("import", "products", str(file), *options), server.home / "import.log"
        )
        await _review(server, shop, services)
    await asyncio.to_thread(_await_index, server, shop)
    return shop


async def _review(server: Agora, shop: Shop, services: Services) -> None:
    chance = random.Random(21)
    after: str | None = None
    found: list[str] = []
    while len(found) < REVIEWED:
        page = (await asyncio.to_thread(ask, server.port, NEWEST, {"after": after}, **shop.headers))["products"]
        found += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    for number in range(REVIEWS_EACH):
        for start in range(0, REVIEWED, 10):
            reviewed = found[start : start + 10]
            await asyncio.gather(
                *(_one_review(shop, services, each, chance.randint(1, 5), number) for each in reviewed)
            )


async def _one_review(shop: Shop, services: Services, product_id: str, stars: int, number: int) -> None:
    author = Principal(user_id=uuid7(), tenant_id=shop.tenant_id, session_id=uuid7())
    work = Work(tenant_id=shop.tenant_id, actor=author, now=datetime.now(UTC), correlation_id="benchmark")
    words = f"Opinion {number}: it came well packed, and it stands where it should. " * 2
    command = CreateReview(product_id=UUID(product_id), rating=stars, title=f"{stars} of 5", content=words)
    await services.transactions.run(create_review, command, work)


def _await_index(server: Agora, shop: Shop) -> None:
    deadline = time.monotonic() + 120
    while ask(server.port, INDEXED, None, **shop.headers)["searchProducts"]["total"] < PRODUCTS:
        if time.monotonic() > deadline:
            raise RuntimeError("the generated products are not searchable after two minutes")
        time.sleep(0.2)
    time.sleep(2)


def newest(server: Agora, shop: Shop) -> tuple[str, str]:
    """The cursor behind the hundredth product, and the SKU of a product with reviews."""
    page = ask(server.port, NEWEST, None, **shop.headers)["products"]
    return page["pageInfo"]["endCursor"], page["nodes"][5]["sku"]
