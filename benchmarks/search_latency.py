"""How fast search answers over 111,737 real products, how long they take to index, and what it costs in memory."""

import asyncio
import csv
import gzip
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from time import perf_counter, process_time

from search_relevance import DATA, TENANT, icecat, icecat_id, judgements, stream

from domain.search import Facet, Filters, PriceRange, ProductChange, SearchDocument, SearchRequest, Sort
from search.embedded import EmbeddedSearchEngine

SEARCHES = 2_000
CHANGES = 200
TARGET_P95_MS = 20.0
TARGET_LAG_P95_MS = 500.0
TARGET_RESIDENT_MB = 200.0


def completejourney() -> Iterator[SearchDocument]:
    with gzip.open(DATA / "completejourney" / "products.csv.gz", "rt") as file:
        for number, row in enumerate(csv.DictReader(file)):
            yield SearchDocument(
                product_id=icecat_id(f"completejourney {row['product_id']}"),
                tenant_id=TENANT,
                name=f"{row['product_type'] or row['product_category'] or row['department']} {row['package_size']}".strip().title(),
                created_at=datetime(2020, 1, 1, tzinfo=UTC),
                brand=row["brand"],
                category=row["product_category"].title(),
                category_path=tuple(filter(None, (row["department"], row["product_category"]))),
                attributes={"package_size": row["package_size"]} if row["package_size"] else {},
                price_minor=99 + number * 37 % 4_900,
                currency="EUR",
                in_stock=number % 7 != 0,
                rating=number % 50 / 10,
            )


def queries() -> Iterator[str]:
    """Real queries, names from the catalogue, and both with a typo; seeded, so that every run asks the same."""
    chance = random.Random(7)
    names = [
        document.name for document in chain(islice(icecat(), 0, None, 40), islice(completejourney(), 0, None, 200))
    ]
    texts = [*judgements(), *(" ".join(name.split()[: chance.randint(1, 4)]) for name in names)]
    while True:
        text = chance.choice(texts)
        yield _misspelled(text, chance) if chance.random() < 0.3 else text


def _misspelled(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return chance.choice(
        (
            text[:place] + text[place + 1 :],
            text[:place] + chance.choice("aeionrst") + text[place + 1 :],
            text[:place] + "e" + text[place:],
        )
    )


def requests() -> Iterator[SearchRequest]:
    chance = random.Random(11)
    for query in islice(queries(), SEARCHES):
        yield SearchRequest(
            tenant_id=TENANT,
            query=query,
            filters=Filters(in_stock=True, price=PriceRange(0, chance.choice((1_000, 5_000, 50_000, 500_000)))),
            facets=frozenset(Facet),
            sort=chance.choice((Sort.RELEVANCE, Sort.RELEVANCE, Sort.RELEVANCE, Sort.PRICE_ASC)),
            language="en",
        )


def percentile(samples: list[float], share: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


async def timed(engine: EmbeddedSearchEngine) -> list[float]:
    samples = []
    for request in requests():
        began = perf_counter()
        await engine.search(request)
        samples.append((perf_counter() - began) * 1000)
    return samples


async def index(home: Path) -> None:
    engine = EmbeddedSearchEngine(home)
    began, cpu = perf_counter(), process_time()
    count = await engine.rebuild(stream(chain(icecat(), completejourney())))
    took, used = perf_counter() - began, process_time() - cpu
    size = (await engine.status()).size_bytes or 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"indexed {count:,} products in {took:.1f} s ({used:.1f} s of CPU, reading the files included), {size / 1e6:.0f} MB on disk, writer's peak {peak:.0f} MB"
    )
    await engine.close()


async def serve(home: Path) -> bool:
    engine = EmbeddedSearchEngine(home, writable=False)
    before = _resident_mb()
    cpu = process_time()
    samples = await timed(engine)
    cpu_ms = (process_time() - cpu) * 1000 / len(samples)
    await engine.close()
    p95 = percentile(samples, 0.95)
    print(
        f"search with two filters and six facets: p50 {statistics.median(samples):.1f} ms, p95 {p95:.1f} ms,"
        f" p99 {percentile(samples, 0.99):.1f} ms (target p95 {TARGET_P95_MS:.0f}); {cpu_ms:.1f} ms of CPU each"
    )
    print(
        f"resident memory of a reading process: {_resident_mb():.0f} MB, mapped index included ({before:.0f} MB before the first search; target {TARGET_RESIDENT_MB:.0f})"
    )
    return p95 <= TARGET_P95_MS and _resident_mb() <= TARGET_RESIDENT_MB


async def lag(home: Path) -> bool:
    """From the call of a change until another reader of the same folder finds it."""
    writer, reader = EmbeddedSearchEngine(home), EmbeddedSearchEngine(home, writable=False)
    samples = []
    for number, document in enumerate(islice(icecat(), CHANGES)):
        began = perf_counter()
        await writer.update_partial(
            TENANT, [ProductChange(product_id=document.product_id, price_minor=10_000_000 + number)]
        )
        request = SearchRequest(
            tenant_id=TENANT, filters=Filters(price=PriceRange(10_000_000 + number, 10_000_000 + number))
        )
        while not (await reader.search(request)).total:  # noqa: ASYNC110 - polling is what is measured.
            await asyncio.sleep(0.001)
        samples.append((perf_counter() - began) * 1000)
    await writer.close()
    await reader.close()
    p95 = percentile(samples, 0.95)
    print(
        f"change to searchable in another reader: p50 {statistics.median(samples):.0f} ms, p95 {p95:.0f} ms (target p95 {TARGET_LAG_P95_MS:.0f})"
    )
    return p95 <= TARGET_LAG_P95_MS


def _resident_mb() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


STEPS: dict[str, Callable[[Path], bool]] = {
    "index": lambda home: asyncio.run(index(home)) is None,
    "serve": lambda home: asyncio.run(serve(home)),
    "lag": lambda home: asyncio.run(lag(home)),
}


def main() -> int:
    if not all((DATA / name).is_dir() for name in ("icecat", "completejourney")):
        print(f"Left out: no data at {DATA} (set AGORA_DATA).")
        return 0
    if len(sys.argv) == 3:
        return 0 if STEPS[sys.argv[1]](Path(sys.argv[2])) else 1
    with tempfile.TemporaryDirectory() as home:
        # Each step is a process of its own, so that its memory is only its own.
        return max(subprocess.run([sys.executable, __file__, step, home], check=False).returncode for step in STEPS)


if __name__ == "__main__":
    sys.exit(main())
