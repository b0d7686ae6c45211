"""A generated catalogue of any size: the same number gives the same product, whatever the size of the catalogue around it.

Words, brands, categories and stores are drawn by Zipf's law, as they are in real catalogues: some are everywhere, most are rare, and a
larger catalogue has more different words.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate, product
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from data.database import asyncpg_url

CHUNK = 20_000
DEPARTMENTS, LEAVES = 20, 15
STORES = 25
BRANDS, ADJECTIVES, SERIES, PROSE = 2_000, 400, 200_000, 20_000
VARIANTS_EVERY, RATED_EVERY, REVIEWED_EVERY = 20, 3, 10
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
COLOURS = ("black", "white", "red", "blue", "green", "grey", "brown", "beige")
CURRENCY = "EUR"
SELLERS = 400
Rows = dict[str, list[tuple[Any, ...]]]

COLUMNS = {
    "catalog.product": (
        *("id", "tenant_id", "version", "created_at", "updated_at", "seller_id", "store_id", "category_id", "state"),
        *("name", "slug", "sku", "description", "brand", "price_minor", "currency", "attributes", "published_at"),
    ),
    "catalog.product_variant": ("id", "tenant_id", "product_id", "name", "sku", "position"),
    "inventory.stock_level": (
        *("id", "tenant_id", "version", "store_id", "sku", "product_id", "variant_id", "on_hand", "reserved"),
        *("reorder_point", "reorder_quantity"),
    ),
    "reviews.product_rating": ("id", "tenant_id", "version", "product_id", "one", "two", "three", "four", "five"),
    "reviews.review": (
        *("id", "tenant_id", "version", "product_id", "author_id", "rating", "title", "content", "state"),
        *("is_verified_purchase", "helpful_count", "unhelpful_count"),
    ),
}


def identity(kind: int, number: int) -> UUID:
    """Give a UUID of version 7 that follows from its number, and rises with it."""
    moment = int(EPOCH.timestamp() * 1000) + number
    mixed = (number * 0x9E3779B97F4A7C15 + kind * 0xD1B54A32D192ED03) & (2**62 - 1)
    return UUID(int=moment << 80 | 7 << 76 | kind << 64 | 2 << 62 | mixed)


def coined(count: int, seed: int) -> list[str]:
    """Make so many different words that can be pronounced."""
    chance = random.Random(seed)
    syllables = ["".join(each) for each in product("bcdfglmnprstvz", "aeiou", ("", "n", "r", "s"))]
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices(syllables, k=chance.choice((2, 2, 3, 3, 4))))] = None
    return list(words)


class Zipf:
    """Draws from a list so that the n-th of it comes in proportion to 1/n**steepness."""

    def __init__(self, values: Sequence[Any], steepness: float) -> None:
        self._values = values
        self._weights = list(accumulate(1 / place**steepness for place in range(1, len(values) + 1)))

    def draw(self, chance: random.Random, count: int) -> list[Any]:
        """Give so many of them."""
        return chance.choices(self._values, cum_weights=self._weights, k=count)


@dataclass(frozen=True)
class Leaf:
    """A category that holds products, and the word that they are called by."""

    id: UUID
    noun: str


@dataclass(frozen=True)
class LargeCatalogue:
    """`size` products of one tenant."""

    size: int
    tenant_id: UUID
    stores: tuple[UUID, ...]

    @cached_property
    def categories(self) -> list[tuple[Any, ...]]:
        """Departments and their leaves, as rows: id, tenant, version, parent, path, name, slug."""
        nouns, rows = coined(DEPARTMENTS * (LEAVES + 1), 1), []
        for place in range(DEPARTMENTS):
            top, name = identity(1, place), nouns[DEPARTMENTS * LEAVES + place]
            rows.append((top, self.tenant_id, 1, None, f"{top.hex}/", name.title(), f"d-{name}"))
            for leaf in range(place * LEAVES, (place + 1) * LEAVES):
                own = identity(2, leaf)
                path = f"{top.hex}/{own.hex}/"
                rows.append((own, self.tenant_id, 1, top, path, nouns[leaf].title(), nouns[leaf]))
        return rows

    @cached_property
    def leaves(self) -> list[Leaf]:
        """The categories that hold products, the fullest first; departments are mixed."""
        found = [Leaf(row[0], row[6]) for row in self.categories if row[3] is not None]
        random.Random(2).shuffle(found)
        return found

    @cached_property
    def _draws(self) -> dict[str, Zipf]:
        brands = [word.title() for word in coined(BRANDS, 3)]
        return {
            "leaf": Zipf(self.leaves, 0.8),
            "brand": Zipf(brands, 1.0),
            "adjective": Zipf(coined(ADJECTIVES, 4), 0.9),
            "series": Zipf(coined(SERIES, 5), 1.0),
            "prose": Zipf(coined(PROSE, 6), 1.0),
            "store": Zipf(self.stores, 0.7),
        }

    def chunks(self) -> Iterator[Rows]:
        """Give the rows of all tables, some products at a time."""
        for numbers in batched_numbers(self.size):
            yield self._chunk(numbers)

    def _chunk(self, numbers: Sequence[int]) -> Rows:
        chance = random.Random(numbers[0])
        drawn = {name: each.draw(chance, len(numbers)) for name, each in self._draws.items() if name != "prose"}
        prose = iter(self._draws["prose"].draw(chance, 25 * len(numbers)))
        rows: Rows = {table: [] for table in COLUMNS}
        for place, number in enumerate(numbers):
            text = " ".join(next(prose) for _ in range(10 + number % 16)).capitalize() + "."
            self._add(rows, number, {name: values[place] for name, values in drawn.items()}, text, chance)
        return rows

    def _add(self, rows: Rows, number: int, drawn: dict[str, Any], text: str, chance: random.Random) -> None:
        own, tenant, at = identity(3, number), self.tenant_id, EPOCH + timedelta(milliseconds=number)
        model = f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}{number}"
        name = f"{drawn['brand']} {drawn['series'].title()} {drawn['adjective']} {drawn['leaf'].noun} {model}"
        price = int(chance.lognormvariate(8, 1.1)) + 100
        extra = orjson.dumps({"colour": COLOURS[number % 8], "weight": 50 + number % 400}).decode()
        seller = identity(4, number % SELLERS)
        sku = f"L-{number:08d}"
        rows["catalog.product"].append(
            (
                *(own, tenant, 1, at, at, seller, drawn["store"], drawn["leaf"].id, "active"),
                *(name, f"{drawn['leaf'].noun}-{number}", sku, text, drawn["brand"], price, CURRENCY, extra, at),
            )
        )
        sold = [(sku, None)]
        if number % VARIANTS_EVERY == 0:
            variants = [(identity(5, number * 2 + each), f"{sku}-{each}") for each in range(2)]
            sold = [(code, variant) for variant, code in variants]
            rows["catalog.product_variant"] += [
                (variant, tenant, own, f"{name} {code[-1]}", code, place)
                for place, (variant, code) in enumerate(variants)
            ]
        rows["inventory.stock_level"] += [
            (identity(6, number * 2 + place), tenant, 1, drawn["store"], code, own, variant, number % 7 * 3, 0, 2, 10)
            for place, (code, variant) in enumerate(sold)
        ]
        if number % RATED_EVERY == 0:
            stars = tuple(chance.randint(0, most) for most in (2, 2, 5, 20, 30))
            rows["reviews.product_rating"].append((identity(7, number), tenant, 1, own, *stars))
        if number % REVIEWED_EVERY == 0:
            rows["reviews.review"].append(
                (
                    *(identity(8, number), tenant, 1, own, identity(9, number % 50_000), 1 + number % 5),
                    *(f"{1 + number % 5} of 5", text, "published", True, number % 9, 0),
                )
            )

    async def copy_into(self, database_url: str) -> None:
        """Fill the tables by COPY, and let PostgreSQL look at them; the URL's user must pass by row-level security."""
        connection = await asyncpg.connect(asyncpg_url(database_url))
        try:
            await connection.execute("SET synchronous_commit = off")
            columns = ("id", "tenant_id", "version", "parent_id", "path", "name", "slug")
            for top in (True, False):
                level = [row for row in self.categories if (row[3] is None) is top]
                await connection.copy_records_to_table(
                    "category", schema_name="catalog", records=level, columns=columns
                )
            for rows in self.chunks():
                for table, records in rows.items():
                    schema, name = table.split(".")
                    await connection.copy_records_to_table(
                        name, schema_name=schema, records=records, columns=COLUMNS[table]
                    )
            # What autovacuum does in its own time.
            for table in (*COLUMNS, "catalog.category", "catalog.sku"):
                await connection.execute(f"VACUUM (ANALYZE) {table}")
        finally:
            await connection.close()

    def names(self, count: int, among: int, seed: int) -> list[tuple[str, str, str]]:
        """Give brand, adjective and noun of so many products, drawn from the first `among`."""
        chance = random.Random(seed)
        wanted = chance.sample(range(among), count)
        found = []
        for first, numbers in {
            n - n % CHUNK: [m for m in wanted if m - m % CHUNK == n - n % CHUNK] for n in wanted
        }.items():
            rows = self._chunk(range(first, min(first + CHUNK, self.size)))["catalog.product"]
            for number in numbers:
                brand, _series, adjective, noun, _model = rows[number - first][9].split()
                found.append((brand, adjective, noun))
        return found


def batched_numbers(size: int) -> Iterator[range]:
    """Cut 0 … size into chunks."""
    for first in range(0, size, CHUNK):
        yield range(first, min(first + CHUNK, size))
