"""Whether size matters: lists, details and searches among 2,000,000 generated SKUs beside the same ones among 100,000.

Two homes are filled by COPY and indexed, each is served by one process, and both are asked the same, in turns, so that whatever else the
machine does hits both alike. It needs about 12 GB of disk and half an hour, most of it for filling; what is kept in a folder is used again.
Run: python benchmarks/two_million.py [--keep FOLDER] [--rounds N] [--only NAME …] [--sizes SMALL LARGE]
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from _figures import Figure, number, percentile, table
from _figures import load as load_average
from _large_catalogue import CURRENCY, STORES, LargeCatalogue, identity
from _load import load, post
from _shop import open_shop
from _system import Agora, agora, run_measured

from domain.paging import encode_cursor
from server.services import open_services

SIZES = (100_000, 2_000_000)
TARGET = 1.3
ROUNDS = 12
REQUESTS = 40
WARM_UP = 60
ASKED = 120
PRICES = ((1_000, 4_000), (2_000, 10_000), (500, 1_500), (8_000, 60_000))

CARD = """id sku slug name brand price { amount currency } category { name } stock { available } rating { average }
    variants { id sku name price { amount } }"""
LIST = f"""query List($first: Int!, $after: String, $filter: ProductFilterInput, $sort: ProductSort! = NEWEST) {{
  products(first: $first, after: $after, filter: $filter, sort: $sort) {{ nodes {{ {CARD} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
COUNTED = f"query Counted($filter: ProductFilterInput) {{ products(first: 20, filter: $filter) {{ totalCount nodes {{ {CARD} }} }} }}"
DETAIL = """query Detail($sku: String!) { product(sku: $sku) {
  id sku name description brand price { amount currency } category { id name } stock { available onHand }
  variants { id sku name price { amount currency } availability { available } }
  rating { average total distribution }
  reviews(first: 10) { nodes { id rating title content helpfulCount isVerifiedPurchase createdAt } } } }"""
HITS = "total hits { score product { id sku name brand price { amount currency } } }"
SEARCH = f"query Search($query: String!) {{ searchProducts(query: $query, first: 20) {{ {HITS} }} }}"
FACETED = f"""query Faceted($query: String!, $filters: SearchFiltersInput) {{
  searchProducts(query: $query, first: 20, filters: $filters, facets: [CATEGORY, BRAND, PRICE, IN_STOCK, RATING]) {{ {HITS}
    facets {{ categories {{ value count }} brands {{ value count }} prices {{ minimumMinor maximumMinor count }}
      inStock outOfStock ratings {{ minimum count }} }} }} }}"""


@dataclass(frozen=True)
class Asked:
    """One kind of request, with the documents' variables that are asked in turn."""

    name: str
    document: str
    variables: Sequence[dict[str, Any]]


class Shelf:
    """One size of the catalogue: a home that is filled once, and a server for it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self.home = folder / f"{size}"
        self._noted = self.home / "filled.json"

    @property
    def tenant(self) -> str:
        """The code of the tenant."""
        return f"large-{self.size}"

    def fill(self) -> None:
        """Make the tenant, its goods and their index, unless that was done before."""
        if self._noted.exists():
            return
        began = time.perf_counter()
        with Agora(self.home, "--no-worker") as server:
            catalogue = asyncio.run(self._make(server))
            asyncio.run(catalogue.copy_into(server.settings().database_url))
            copied = time.perf_counter() - began
            run_measured(agora("rebuild-search", "--home", str(self.home)), self.home / "index.log")
        noted = {"tenant_id": catalogue.tenant_id, "stores": catalogue.stores}
        self._noted.write_bytes(orjson.dumps(noted))
        seconds = time.perf_counter() - began
        print(f"  {self.size:,} products: filled in {copied:.0f} s, indexed in {seconds - copied:.0f} s", flush=True)

    async def _make(self, server: Agora) -> LargeCatalogue:
        settings = server.settings()
        async with open_services(settings) as services:
            shop = await open_shop(settings, services, self.tenant, tuple(f"s{n:02d}" for n in range(STORES)), CURRENCY)
        return LargeCatalogue(self.size, shop.tenant_id, tuple(shop.stores.values()))

    @property
    def catalogue(self) -> LargeCatalogue:
        """What stands in it."""
        noted = orjson.loads(self._noted.read_bytes())
        return LargeCatalogue(self.size, UUID(noted["tenant_id"]), tuple(map(UUID, noted["stores"])))

    def disk_mb(self) -> float:
        """What the home takes on disk."""
        return sum(each.stat().st_size for each in self.home.rglob("*") if each.is_file()) / 1e6


def kinds(small: Shelf, catalogue: LargeCatalogue) -> list[Asked]:
    """What is asked; where it names a product, one of those that both sizes have, except for places deep in the list."""
    chance = random.Random(31)
    named = small.catalogue.names(ASKED, small.size, 32)
    leaves = small.catalogue.leaves
    ids = [leaf.id for leaf in chance.sample(leaves[:100], 30)]
    departments = [row[0] for row in small.catalogue.categories if row[3] is None]
    ranges = [_range(*chance.choice(PRICES)) for _ in ids]
    narrow = [{"categoryId": str(each), **prices} for each, prices in zip(ids, ranges, strict=True)]
    wide = [{"categoryId": str(each), **_range(*chance.choice(PRICES))} for each in departments]
    skus = [f"L-{n:08d}" for n in chance.sample(range(small.size), ASKED)]
    deep = [encode_cursor([identity(3, int(catalogue.size * share / 100))]) for share in range(5, 95, 3)]
    listed = {"first": 20}
    return [
        Asked("list, first page", LIST, [listed]),
        Asked("list, deep page by cursor", LIST, [{**listed, "after": each} for each in deep]),
        Asked("list of a category within prices", LIST, [{**listed, "filter": each} for each in narrow]),
        Asked("list of a department within prices", LIST, [{**listed, "filter": each} for each in wide]),
        Asked("list by price", LIST, [{**listed, "sort": sort} for sort in ("PRICE_ASC", "PRICE_DESC")]),
        Asked("list by name", LIST, [{**listed, "sort": "NAME"}]),
        Asked(
            "list of a category by price",
            LIST,
            [{**listed, "sort": sort, "filter": each} for each in narrow for sort in ("PRICE_ASC", "PRICE_DESC")],
        ),
        Asked("list of a category with its count", COUNTED, [{"filter": {"categoryId": str(each)}} for each in ids]),
        Asked("detail", DETAIL, [{"sku": each} for each in skus]),
        Asked("search, one word", SEARCH, [{"query": noun} for _, _, noun in named]),
        Asked("search, a brand", SEARCH, [{"query": brand} for brand, _, _ in named]),
        Asked("search, two words", SEARCH, [{"query": f"{adjective} {noun}"} for _, adjective, noun in named]),
        Asked("search, a typo", SEARCH, [{"query": _misspelled(noun, chance)} for _, _, noun in named]),
        Asked("search, two words with facets", FACETED, [{"query": f"{brand} {noun}"} for brand, _, noun in named]),
        Asked(
            "search, one word with filter and facets",
            FACETED,
            [{"query": noun, "filters": {"inStock": True}} for _, _, noun in named],
        ),
    ]


def _range(least: int, most: int) -> dict[str, Any]:
    bounds = {"minPrice": least, "maxPrice": most}
    return {name: {"amountMinor": bound, "currency": CURRENCY} for name, bound in bounds.items()}


def _misspelled(word: str, chance: random.Random) -> str:
    place = chance.randrange(1, len(word))
    return word[:place] + chance.choice("aeiost") + word[place + 1 :]


Samples = dict[tuple[str, int], list[float]]


class Bench:
    """Two servers, and the requests of each kind to each of them."""

    def __init__(self, shelves: Sequence[Shelf], stack: ExitStack, only: Sequence[str]) -> None:
        self._servers = {each.size: stack.enter_context(Agora(each.home, "--no-worker")) for each in shelves}
        small = shelves[0]
        self._requests: dict[tuple[str, int], list[bytes]] = {}
        for shelf in shelves:
            headers = {"X-Agora-Tenant": shelf.tenant}
            for asked in kinds(small, shelf.catalogue):
                if not only or any(each in asked.name for each in only):
                    every = [post("/graphql", asked.document, each, headers) for each in asked.variables]
                    self._requests[asked.name, shelf.size] = every

    def run(self, rounds: int) -> Samples:
        """Ask everything of both, in turns; the first round is not counted."""
        samples: Samples = {key: [] for key in self._requests}
        for key, requests in self._requests.items():
            self._ask(key, requests, WARM_UP)
        for turn in range(rounds):
            for key, requests in self._requests.items():
                start = turn * REQUESTS % len(requests)
                samples[key] += self._ask(key, requests[start:] + requests[:start], REQUESTS)
        return samples

    def _ask(self, key: tuple[str, int], requests: list[bytes], most: int) -> list[float]:
        run = load(self._servers[key[1]].port, requests, seconds=60, most=most)
        if run.errors or run.refused or not run.latencies:
            raise RuntimeError(f"{key}: {run.errors} answers with errors, statuses {run.statuses}")
        return run.latencies


def reported(samples: Samples, sizes: Sequence[int]) -> tuple[str, bool]:
    """Give the table, and whether every ratio is reached."""
    small, large = sizes
    rows, good = [], True
    for name in dict.fromkeys(name for name, _ in samples):
        cells = []
        for size in sizes:
            taken = samples[name, size]
            cells.append(f"{number(statistics.median(taken), '')}/{number(percentile(taken, 0.95), '')}")
        ratio = statistics.median(samples[name, large]) / statistics.median(samples[name, small])
        figure = Figure(name, ratio, "×", TARGET)
        good = good and figure.reached
        rows.append([name, *cells, *figure.cells()[1:4]])
    headings = ["what", *(f"{size:,}: p50/p95 ms" for size in sizes), "ratio of p50", "target", ""]
    return f"{load_average()}\n{table(headings, rows)}", good


def measure(folder: Path, options: argparse.Namespace) -> bool:
    """Fill what is missing, measure, print."""
    shelves = [Shelf(folder, size) for size in options.sizes]
    for each in shelves:
        each.fill()
        print(f"  {each.size:,} products take {each.disk_mb():,.0f} MB", flush=True)
    with ExitStack() as stack:
        samples = Bench(shelves, stack, options.only).run(options.rounds)
    text, good = reported(samples, options.sizes)
    print(text)
    return good


def main() -> int:
    """Measure, and say whether everything was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep what is generated in this folder, or use what is kept there")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="*", default=[], help="kinds whose name has one of these words")
    parser.add_argument("--sizes", nargs=2, type=int, default=SIZES)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        return 0 if measure(options.keep, options) else 1
    with tempfile.TemporaryDirectory(prefix="agora-large-") as folder:
        return 0 if measure(Path(folder), options) else 1


if __name__ == "__main__":
    sys.exit(main())
