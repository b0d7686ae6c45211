"""How well search ranks: nDCG@10 over the judged queries of the Icecat set.

Linear gain, as trec_eval's ndcg_cut: sum of grade / log2(rank + 1) over the ideal of the judged grades; unjudged products count 0.
Queries without a single relevant product have no ideal and are left out; their number is printed, and the mean with them as zeros.

With `--cross-validate`: weights are drawn at random, the best for one half of the queries is measured on the other half, many times over.
What that reaches is what tuning itself is worth; the gap between the halves is how much it over-fits.
"""

import asyncio
import csv
import gzip
import math
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Any
from uuid import UUID, uuid5

import orjson

from domain.search import SearchDocument, SearchRequest
from search.embedded import EmbeddedSearchEngine
from search.embedded.ranking import TUNING, Tuning
from search.embedded.searching import Searching
from search.embedded.storage import IndexHome, IndexReader, View
from search.settings import WEIGHTS

DATA = Path(os.environ.get("AGORA_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
TENANT = UUID("018f0000-0000-7000-8000-000000000001")
PRODUCTS = UUID("018f0000-0000-7000-8000-000000000002")
TARGET = 0.74

Judgements = dict[str, dict[UUID, int]]


def icecat() -> Iterator[SearchDocument]:
    with gzip.open(DATA / "icecat" / "products.jsonl.gz") as lines:
        for line in lines:
            yield _icecat_product(orjson.loads(line))


def _icecat_product(row: Mapping[str, Any]) -> SearchDocument:
    return SearchDocument(
        product_id=icecat_id(row["id"]),
        tenant_id=TENANT,
        name=row.get("title") or row.get("name", ""),
        created_at=datetime.fromisoformat(row.get("date_released") or "2000-01-01T00:00:00Z").astimezone(UTC),
        description=row.get("short_description", ""),
        brand=row.get("supplier", ""),
        attributes={name.split("_", 2)[2]: value for name, value in row.items() if name.startswith("attr_")},
        price_minor=row.get("price"),
        currency="EUR",
        in_stock=int(row["id"]) % 5 != 0,
        rating=int(row["id"]) % 50 / 10,
    )


def icecat_id(number: str) -> UUID:
    return uuid5(PRODUCTS, number)


def judgements() -> Judgements:
    judged: Judgements = defaultdict(dict)
    with (DATA / "icecat" / "relevance_ratings.csv").open() as file:
        for row in csv.DictReader(file):
            judged[row["query"]][icecat_id(row["docid"])] = int(row["rating"])
    return judged


def linear(grade: int) -> float:
    return grade


def exponential(grade: int) -> float:
    return float(2**grade - 1)


def ndcg(
    ranked: list[UUID], grades: Mapping[UUID, int], gain: Callable[[int], float] = linear, depth: int = 10
) -> float | None:
    """None where nothing is relevant."""

    def discounted(found: list[int]) -> float:
        return sum(gain(grade) / math.log2(place + 2) for place, grade in enumerate(found[:depth]))

    ideal = discounted(sorted(grades.values(), reverse=True))
    return discounted([grades.get(product_id, 0) for product_id in ranked]) / ideal if ideal else None


async def stream(documents: Iterator[SearchDocument]) -> AsyncIterator[SearchDocument]:
    for document in documents:
        yield document


async def measure(home: Path) -> float:
    engine = EmbeddedSearchEngine(home)
    judged = judgements()
    try:
        await engine.rebuild(stream(icecat()))
        ranked = {
            query: await engine.search(SearchRequest(tenant_id=TENANT, query=query, limit=10)) for query in judged
        }
    finally:
        await engine.close()
    found = {query: [hit.product_id for hit in result.hits] for query, result in ranked.items()}
    return _report(judged, found)


def _report(judged: Judgements, found: Mapping[str, list[UUID]]) -> float:
    means = {}
    for gain in (linear, exponential):
        scores = [score for query in judged if (score := ndcg(found[query], judged[query], gain)) is not None]
        means[gain.__name__] = sum(scores) / len(scores)
        print(
            f"nDCG@10, {gain.__name__} gain: {means[gain.__name__]:.4f} over {len(scores)} queries with a relevant product"
            f" ({sum(scores) / len(judged):.4f} with the other {len(judged) - len(scores)} as zeros)"
        )
    return means["linear"]


def cross_validate(home: Path, settings: int = 60, splits: int = 100) -> None:
    """Prints the mean of the halves tuned on, of the halves held out, and of the shipped settings on the same held-out halves."""
    chance = random.Random(1)
    view = IndexReader(IndexHome(home)).view()
    assert view
    judged = {query: grades for query, grades in judgements().items() if any(grades.values())}
    drawn = [(WEIGHTS, TUNING), *(_drawn(chance) for _ in range(settings))]
    scores = [_scores(view, weights, tuning, judged) for weights, tuning in drawn]
    tuned, held_out, shipped = [], [], []
    for _ in range(splits):
        queries = chance.sample(list(judged), len(judged))
        seen, unseen = queries[::2], queries[1::2]
        best = max(scores[1:], key=lambda each: mean(each[query] for query in seen))
        tuned.append(mean(best[query] for query in seen))
        held_out.append(mean(best[query] for query in unseen))
        shipped.append(mean(scores[0][query] for query in unseen))
    print(
        f"{settings} random settings, {splits} splits: tuned half {mean(tuned):.4f}, held-out half {mean(held_out):.4f}, shipped {mean(shipped):.4f}"
    )
    overall = sorted(mean(each.values()) for each in scores[1:])
    print(
        f"random settings over all queries: worst {overall[0]:.4f}, median {median(overall):.4f}, best {overall[-1]:.4f}"
    )


def _drawn(chance: random.Random) -> tuple[dict[str, float], Tuning]:
    weights = {name: weight * chance.choice((0.5, 1.0, 1.5, 2.0)) for name, weight in WEIGHTS.items()}
    factor = {each.name: chance.choice((0.5, 1.0, 1.5, 2.0)) for each in fields(Tuning) if each.name != "relaxed_share"}
    return weights, replace(TUNING, **{name: getattr(TUNING, name) * value for name, value in factor.items()})


def _scores(view: View, weights: dict[str, float], tuning: Tuning, judged: Judgements) -> dict[str, float]:
    searching = Searching(replace(view, settings=replace(view.settings, weights=weights)), tuning)
    found = {query: searching.search(SearchRequest(tenant_id=TENANT, query=query, limit=10)).hits for query in judged}
    return {query: ndcg([hit.product_id for hit in hits], judged[query]) or 0.0 for query, hits in found.items()}


def main() -> int:
    if not (DATA / "icecat").is_dir():
        print(f"Left out: no Icecat data at {DATA} (set AGORA_DATA).")
        return 0
    with tempfile.TemporaryDirectory() as home:
        reached = asyncio.run(measure(Path(home)))
        if "--cross-validate" in sys.argv:
            cross_validate(Path(home))
    print(f"target {TARGET}: {'reached' if reached >= TARGET else 'MISSED'}")
    return 0 if reached >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
