"""Facet counts by tantivy's aggregations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tantivy import Occur, Query

from domain.search import AttributeFacet, Facet, FacetCount, FacetCounts, PriceBand, RatingBand, SearchRequest
from search.analysis import attribute_key
from search.embedded.fields import SAMPLE, SEPARATOR
from search.embedded.filtering import Condition, all_but, owner_of
from search.embedded.storage import View
from search.settings import COMMON_ATTRIBUTES, PRICE_BOUNDS

LARGE = 5_000
"""Results above which facets are counted in a sample: what they cost does not grow with the catalogue then."""

_PRICE_RANGES = [{"from": low, "to": high} for low, high in pairwise(PRICE_BOUNDS)]
_RATING_RANGES = [{"from": star, "to": star + 1} for star in range(1, 5)] + [{"from": 5}]

Aggregation = dict[str, Any]
Counted = Mapping[str, Any]
Wanted = dict[str, tuple[str, Aggregation]]
"""What to count, by name: whose condition it ignores where facets widen, and tantivy's words for it."""


@dataclass(frozen=True)
class FacetCounter:
    """Counts what a request wants over what it matches; a facet that widens is counted without its own condition."""

    view: View
    request: SearchRequest
    matching: Query
    imposed: list[Condition]

    def count(self, total: int) -> FacetCounts:
        if not self.request.facets:
            return FacetCounts()
        sampled = total > LARGE
        attributes = self._attributes(sampled=sampled) if Facet.ATTRIBUTES in self.request.facets else []
        counted = self._counted(self._plain() | self._of_attributes(attributes), sampled=sampled)
        return replace(_read(counted, attributes), estimated=sampled)

    def _plain(self) -> Wanted:
        size = self.request.facet_values
        offered: dict[str, Aggregation] = {
            Facet.CATEGORY: _terms("category", size),
            Facet.BRAND: _terms("brand", size),
            Facet.PRICE: {"range": {"field": "price", "ranges": _PRICE_RANGES}},
            Facet.IN_STOCK: _terms("in_stock", 2),
            Facet.RATING: {"range": {"field": "rating", "ranges": _RATING_RANGES}},
        }
        return {facet: (facet, how) for facet, how in offered.items() if facet in self.request.facets}

    def _of_attributes(self, names: Sequence[str]) -> Wanted:
        wanted: Wanted = {}
        for place, name in enumerate(names):
            path = f"attributes.{attribute_key(name)}"
            wanted[f"values{place}"] = (owner_of(name), _terms(path, self.request.facet_values))
            wanted[f"range{place}"] = (owner_of(name), {"stats": {"field": path}})
        return wanted

    def _attributes(self, *, sampled: bool) -> list[str]:
        """Those asked for, or the commonest; in a large result a sample tells which these are, at an eighth of the cost."""
        if self.request.facet_attributes:
            return list(dict.fromkeys(self.request.facet_attributes))
        over = Query.boolean_query([*self._sample(sampled), *all_but(self.imposed), (Occur.Must, self.matching)])
        counted = self.view.searcher.aggregate(over, {"names": _terms("attribute_names", COMMON_ATTRIBUTES)})
        return [str(bucket["key"]) for bucket in counted["names"]["buckets"]]

    def _sample(self, sampled: bool) -> list[tuple[Occur, Query]]:
        return [(Occur.Must, Query.term_query(self.view.index.schema, "sample", "1"))] if sampled else []

    def _counted(self, wanted: Wanted, *, sampled: bool) -> Counted:
        filtered = {owner for owner, _ in self.imposed} if self.request.widening_facets else set()
        passes: dict[str, dict[str, Aggregation]] = defaultdict(dict)
        for name, (owner, how) in wanted.items():
            passes[owner if owner in filtered else ""][name] = how
        counted: dict[str, Any] = {}
        for owner, aggregations in passes.items():
            over = Query.boolean_query(
                [*self._sample(sampled), *all_but(self.imposed, owner), (Occur.Must, self.matching)]
            )
            counted |= self.view.searcher.aggregate(over, aggregations)
        return _extrapolated(counted) if sampled else counted


def _extrapolated(counted: Counted) -> Counted:
    """What the whole result has, if it is like its sample."""
    for facet in counted.values():
        for bucket in facet.get("buckets", ()):
            bucket["doc_count"] *= SAMPLE
    return counted


def _terms(field: str, size: int) -> Aggregation:
    return {"terms": {"field": field, "size": size}}


def _read(counted: Counted, attributes: list[str]) -> FacetCounts:
    stock = {int(bucket["key"]): bucket["doc_count"] for bucket in _buckets(counted, Facet.IN_STOCK)}
    wants_stock = Facet.IN_STOCK in counted
    return FacetCounts(
        categories=tuple(_category(bucket) for bucket in _buckets(counted, Facet.CATEGORY)),
        brands=tuple(FacetCount(str(bucket["key"]), bucket["doc_count"]) for bucket in _buckets(counted, Facet.BRAND)),
        prices=tuple(_price_bands(_buckets(counted, Facet.PRICE))),
        attributes=tuple(
            _attribute(name, counted[f"values{place}"], counted[f"range{place}"])
            for place, name in enumerate(attributes)
        ),
        in_stock=stock.get(1, 0) if wants_stock else None,
        out_of_stock=stock.get(0, 0) if wants_stock else None,
        ratings=_rating_bands(_buckets(counted, Facet.RATING)),
    )


def _buckets(counted: Counted, facet: Facet) -> list[dict[str, Any]]:
    return list(counted[facet]["buckets"]) if facet in counted else []


def _category(bucket: Mapping[str, Any]) -> FacetCount:
    path = tuple(bucket["key"].split(SEPARATOR))
    return FacetCount(path[-1], bucket["doc_count"], path)


def _price_bands(buckets: Iterable[Mapping[str, Any]]) -> Iterable[PriceBand]:
    for bucket in buckets:
        if bucket["doc_count"]:
            yield PriceBand(_whole(bucket.get("from")), _whole(bucket.get("to")), bucket["doc_count"])


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def _rating_bands(buckets: list[dict[str, Any]]) -> tuple[RatingBand, ...]:
    """Each band holds the better ones too, as "4 stars and up" does."""
    counts = {int(bucket["from"]): bucket["doc_count"] for bucket in buckets if "from" in bucket}
    return tuple(
        RatingBand(star, sum(count for at, count in counts.items() if at >= star))
        for star in sorted(counts, reverse=True)
    )


def _attribute(name: str, values: Mapping[str, Any], span: Mapping[str, Any]) -> AttributeFacet:
    counts = tuple(FacetCount(_shown(bucket), bucket["doc_count"]) for bucket in values["buckets"])
    return AttributeFacet(name, counts, span["min"], span["max"])


def _shown(bucket: Mapping[str, Any]) -> str:
    key = bucket.get("key_as_string", bucket["key"])
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)
