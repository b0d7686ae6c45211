"""The main job on real input: 111,737 products are imported, indexed and found through one running server.

Starts `agora serve` with its worker in a home of its own, imports the Icecat and Complete Journey files from the command line,
and measures what a seller and a shopper notice. It takes about three minutes.
Run: python benchmarks/marketplace.py [searches] [memory] [lag] [relevance] (all of them, unless some are named; imports always)
"""

import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from _figures import Figure, percentile, report
from _load import Run, load, post
from _shop import open_shop
from _system import DATA, Agora, Shop, agora, ask, cpu_seconds, peak_mb, private_mb, run_measured
from search_latency import queries
from search_relevance import icecat_id, judgements, ndcg

from domain.search import Facet, Filters, PriceRange, SearchRequest
from search.embedded import EmbeddedSearchEngine
from server.services import open_services

FILES = {"electronics": "icecat/products.jsonl.gz", "grocery": "completejourney/products.csv.gz"}
PRODUCTS = 111_737
IMPORT_LIMIT_SECONDS = 400.0
LAG_LIMIT_SECONDS = 20.0
SEARCHES = 800
CHANGES = 100
PRICES = (1_000, 5_000, 50_000, 500_000)

SEARCH = """query Search($query: String!, $filters: SearchFiltersInput) {
  searchProducts(query: $query, filters: $filters, facets: [CATEGORY, BRAND, PRICE, IN_STOCK, RATING], first: 20) {
    total
    hits { score product { id name sku brand price { amount currency } } }
    facets { categories { value count } brands { value count } prices { minimumMinor maximumMinor count }
      inStock outOfStock ratings { minimum count } } } }"""
RANKED = "query Ranked($query: String!, $filters: SearchFiltersInput) { searchProducts(query: $query, filters: $filters, first: 10) { hits { product { sku } } } }"
TOTAL = 'query Total($query: String! = "") { searchProducts(query: $query, first: 1) { total } }'
LIST = """query List { products(first: 20) { nodes { id name brand category { name } price { amount currency }
  stock { available } rating { average total } variants { id sku name price { amount } } } } }"""
CREATE = """mutation Create($input: CreateProductInput!) { createProduct(input: $input) {
  __typename ... on Product { id version } ... on Error { code message } } }"""
PUBLISH = """mutation Publish($input: PublishProductInput!) { publishProduct(input: $input) {
  __typename ... on Product { id version } ... on Error { code message } } }"""
UPDATE = """mutation Update($input: UpdateProductInput!) { updateProduct(input: $input) {
  __typename ... on Product { id version } ... on Error { code message } } }"""


async def opened(server: Agora) -> Shop:
    """Make the tenant and a store for each file."""
    settings = server.settings()
    async with open_services(settings) as services:
        return await open_shop(settings, services, "market", tuple(FILES), "USD")


def total(server: Agora, shop: Shop, query: str = "") -> int:
    """How many products the index finds."""
    return int(ask(server.port, TOTAL, {"query": query}, **shop.headers)["searchProducts"]["total"])


def imports(server: Agora, shop: Shop) -> list[Figure]:
    """Import both files, one after the other, and wait until every product is found."""
    began, created, runs, notes = time.perf_counter(), 0, [], []
    log, before = server.home / "import.log", _cpu(server)
    for store, name in FILES.items():
        file = str(DATA / name)
        options = ("--store", store, "--tenant", shop.tenant, "--home", str(server.home))
        runs.append(run_measured(agora("import", "products", file, *options), log))
        summary = log.read_text().strip().splitlines()[-1]
        created += int(re.findall(r"([\d,]+) created", summary)[-1].replace(",", ""))
        notes.append(f"{store} {runs[-1].seconds:.1f} s")
        print(f"  {store}: {summary} {runs[-1]}; {total(server, shop):,} found so far", flush=True)
    imported = time.perf_counter() - began
    searchable = _await_all(server, shop, created, began)
    worker = server.worker.pid
    used = {"importer": sum(run.cpu_seconds for run in runs)}
    used |= {name: seconds - before[name] for name, seconds in _cpu(server).items()}
    shares = ", ".join(f"{name} {seconds:.0f}" for name, seconds in used.items())
    return [
        Figure("products imported", created, "", PRODUCTS, at_least=True),
        Figure("import until every product is searchable", searchable, "s", 60.0, note=", ".join(notes)),
        Figure("indexing behind the end of the import", searchable - imported, "s"),
        Figure("CPU of all of it", sum(used.values()), "s", note=shares),
        Figure("peak memory of the importing process", max(run.peak_mb for run in runs), "MB", 400.0),
        Figure("peak memory of the worker", peak_mb(worker), "MB", 400.0, note=f"{private_mb(worker):.0f} MB private"),
    ]


def _cpu(server: Agora) -> dict[str, float]:
    parts = {"worker": [server.worker], "PostgreSQL": server.postgres, "Valkey": server.valkey}
    return {name: cpu_seconds(processes) for name, processes in parts.items()}


def _await_all(server: Agora, shop: Shop, created: int, began: float) -> float:
    while (found := total(server, shop)) < created:
        if time.perf_counter() - began > IMPORT_LIMIT_SECONDS:
            raise RuntimeError(f"only {found:,} of {created:,} products are found after {IMPORT_LIMIT_SECONDS:.0f} s")
        time.sleep(0.2)
    return time.perf_counter() - began


def filters(shop: Shop) -> Iterator[dict[str, Any]]:
    """Conditions as shoppers set them: a price, a store, both."""
    while True:
        for price in PRICES:
            yield {"price": {"minimumMinor": 1, "maximumMinor": price}}
            yield {"storeId": str(shop.stores["grocery"])}
            yield {"storeId": str(shop.stores["electronics"]), "price": {"minimumMinor": 1, "maximumMinor": price}}


async def searches_in_process(server: Agora, shop: Shop) -> list[float]:
    """Search in this process over the same index; milliseconds each."""
    engine, samples = EmbeddedSearchEngine(server.home / "search", writable=False), []
    facets = frozenset({Facet.CATEGORY, Facet.BRAND, Facet.PRICE, Facet.IN_STOCK, Facet.RATING})
    for query, wanted in islice(zip(queries(), filters(shop), strict=False), SEARCHES):
        price = wanted.get("price")
        conditions = Filters(
            price=PriceRange(price["minimumMinor"], price["maximumMinor"]) if price else None,
            store_id=next((each for each in shop.stores.values() if str(each) == wanted.get("storeId")), None),
        )
        request = SearchRequest(tenant_id=shop.tenant_id, query=query, filters=conditions, facets=facets, language="en")
        began = time.perf_counter()
        await engine.search(request)
        samples.append((time.perf_counter() - began) * 1000)
    await engine.close()
    return samples


def searches(server: Agora, shop: Shop) -> list[Figure]:
    """Search with filter and facets, over a mix of real queries of which every third is misspelled."""
    asked = islice(zip(queries(), filters(shop), strict=False), SEARCHES)
    requests = [post("/graphql", SEARCH, {"query": q, "filters": f}, shop.headers) for q, f in asked]
    load(server.port, requests, seconds=5, most=100)
    over_http = load(server.port, requests, seconds=60, most=SEARCHES)
    _check(over_http)
    inside = asyncio.run(searches_in_process(server, shop))
    return [
        Figure("search in process, p50", statistics.median(inside), "ms"),
        Figure("search in process, p95", percentile(inside, 0.95), "ms", 20.0, note=f"{len(inside)} searches"),
        Figure("search over HTTP, p50", statistics.median(over_http.latencies), "ms"),
        Figure("search over HTTP, p95", percentile(over_http.latencies, 0.95), "ms", 40.0, note="with 20 products"),
    ]


def _check(run: Run) -> None:
    if run.errors or run.refused:
        raise RuntimeError(f"{run.errors} answers with errors, statuses {run.statuses}")


def memory(server: Agora, shop: Shop) -> list[Figure]:
    """What the serving process holds while shoppers list and search."""
    asked = islice(zip(queries(), filters(shop), strict=False), 200)
    requests = [post("/graphql", SEARCH, {"query": q, "filters": f}, shop.headers) for q, f in asked]
    requests += [post("/graphql", LIST, None, shop.headers)] * 200
    run = load(server.port, requests, connections=16, seconds=8)
    _check(run)
    own = f"{private_mb(server.pid):.0f} MB private, the rest is the mapped index"
    return [
        Figure("memory of the serving process under load", server.resident_mb(), "MB", 200.0, note=own),
        Figure("lists and searches at 16 connections", run.per_second, "/s"),
    ]


def lag(server: Agora, shop: Shop) -> list[Figure]:
    """From a mutation's answer until the change is found; every second one makes a product, the others rename one."""
    samples = [sample for number in range(CHANGES // 2) for sample in _changes(server, shop, f"zq{number:04d}x")]
    note = f"{len(samples)} changes, polled every 5 ms"
    return [
        Figure("commit to searchable, p50", statistics.median(samples), "ms"),
        Figure("commit to searchable, p95", percentile(samples, 0.95), "ms", 500.0, note=note),
    ]


def _changes(server: Agora, shop: Shop, word: str) -> Iterator[float]:
    def change(document: str, **values: Any) -> Any:
        (result,) = ask(server.port, document, {"input": values}, **shop.staff_headers).values()
        if result["__typename"] != "Product":
            raise RuntimeError(f"{document[:40]}: {result}")
        return result

    price = {"amountMinor": 1_250, "currency": "USD"}
    made = change(CREATE, name=f"Lamp {word}a", sku=f"LAG-{word}", price=price, storeId=str(shop.stores["grocery"]))
    change(PUBLISH, id=made["id"])
    yield _until_found(server, shop, f"{word}a")
    change(UPDATE, id=made["id"], name=f"Lamp {word}b")
    yield _until_found(server, shop, f"{word}b")


def _until_found(server: Agora, shop: Shop, word: str) -> float:
    began = time.perf_counter()
    while _names(server, shop, word) == 0:
        if time.perf_counter() - began > LAG_LIMIT_SECONDS:
            raise RuntimeError(f"{word} is not found after {LAG_LIMIT_SECONDS:.0f} s")
        time.sleep(0.005)
    return (time.perf_counter() - began) * 1000


def _names(server: Agora, shop: Shop, word: str) -> int:
    # The word before differs by one letter only, and a typo is forgiven: the name itself has to be there.
    found = ask(server.port, NAMES, {"query": word}, **shop.headers)["searchProducts"]["hits"]
    return sum(word in (hit["product"] or {"name": ""})["name"] for hit in found)


NAMES = "query Names($query: String!) { searchProducts(query: $query, first: 5) { hits { product { name } } } }"


def relevance(server: Agora, shop: Shop) -> list[Figure]:
    """nDCG@10 of the judged Icecat queries, in the store that sells them and in the whole marketplace."""
    own = _ndcg(server, shop, {"storeId": str(shop.stores["electronics"])})
    return [
        Figure("nDCG@10, in the electronics store", own, "nDCG", 0.74, at_least=True, note="unjudged counted 0"),
        Figure("nDCG@10, among all products", _ndcg(server, shop, {}), "nDCG", note="92,331 unjudged groceries beside"),
    ]


def _ndcg(server: Agora, shop: Shop, conditions: dict[str, Any]) -> float:
    scores = []
    for query, grades in judgements().items():
        found = ask(server.port, RANKED, {"query": query, "filters": conditions}, **shop.headers)
        skus = [hit["product"]["sku"] for hit in found["searchProducts"]["hits"] if hit["product"]]
        score = ndcg([icecat_id(sku.removeprefix("ICE-")) for sku in skus], grades)
        if score is not None:
            scores.append(score)
    return statistics.mean(scores)


PARTS = (searches, memory, lag, relevance)


def measure(home: Path, names: Sequence[str]) -> Sequence[Figure]:
    """Run the parts of these names, or all of them, against one server."""
    figures: list[Figure] = []
    with Agora(home) as server:
        shop = asyncio.run(opened(server))
        for part in (imports, *(each for each in PARTS if each.__name__ in names or not names)):
            try:
                found = part(server, shop)
            except Exception:
                print(server.log.read_text()[-4_000:], file=sys.stderr)
                raise
            print(report(part.__name__.capitalize(), found), flush=True)
            figures += found
    return figures


def main() -> int:
    """Measure, print the table, and say whether everything was reached."""
    missing = [name for name in FILES.values() if not (DATA / name).is_file()]
    if missing:
        print(f"Left out: {', '.join(missing)} not found in {DATA} (set AGORA_DATA).")
        return 0
    with tempfile.TemporaryDirectory(prefix="agora-marketplace-") as home:
        figures = measure(Path(home), sys.argv[1:])
    print(report("Marketplace", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
