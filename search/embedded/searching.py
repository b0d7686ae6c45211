"""Answers to questions about one view of the index."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any
from uuid import UUID

import tantivy
from tantivy import Occur, Order, Query

from domain.search import (
    Completion,
    CompletionKind,
    Facet,
    Filters,
    Hit,
    SearchDocument,
    SearchRequest,
    SearchResult,
    Sort,
    Suggestions,
)
from search.analysis import words
from search.embedded.facets import FacetCounter
from search.embedded.fields import from_source, product_id_of
from search.embedded.filtering import Condition, all_but, conditions
from search.embedded.ranking import TUNING, Ranking, Tuning
from search.embedded.spelling import Spelling
from search.embedded.storage import View
from search.embedded.vocabulary import Vocabulary
from search.interpretation import MOST_WORDS, Concept, Interpretation, interpret

PLENTY = 100
"""Where so many products have every word in their names, those that match in some other way are left out: nobody would see them."""

ENOUGH = 10
"""Products that match every word must be this many before products that match only some are left out."""

_ORDERS = {
    Sort.PRICE_ASC: ("price", Order.Asc),
    Sort.PRICE_DESC: ("price", Order.Desc),
    Sort.RATING: ("rating", Order.Desc),
    Sort.NEWEST: ("created", Order.Desc),
    Sort.POPULARITY: ("popularity", Order.Desc),
}


@dataclass(frozen=True)
class Found:
    """A page of what a query finds, and the query for counting facets over all of it."""

    query: Query
    hits: tuple[Hit, ...]
    total: int
    corrected: str | None = None


class Searching:
    """One operation on one view; blocking, for a worker thread."""

    def __init__(self, view: View, tuning: Tuning = TUNING) -> None:
        self._view = view
        self._searcher = view.searcher
        self._ranking = Ranking(view.index.schema, view.analyzer, view.settings, tuning)

    def search(self, request: SearchRequest) -> SearchResult:
        began = perf_counter()
        imposed = conditions(self._view.index, request.tenant_id, request.filters)
        found = self._find(request, imposed)
        facets = FacetCounter(self._view, request, found.query, imposed).count(found.total)
        took_ms = (perf_counter() - began) * 1000
        return SearchResult(
            hits=found.hits, total=found.total, facets=facets, processing_ms=took_ms, corrected_query=found.corrected
        )

    def probe(self) -> int:
        """How many documents there are, having read a little of every kind of file."""
        facets = frozenset({Facet.BRAND, Facet.PRICE, Facet.ATTRIBUTES})
        self.search(SearchRequest(tenant_id=UUID(int=0), query="probe", facets=facets))
        self._searcher.aggregate(Query.all_query(), {"brands": {"terms": {"field": "brand"}}})
        return self._searcher.num_docs

    def autocomplete(self, tenant_id: UUID, prefix: str, limit: int, language: str) -> list[Completion]:
        typed = words(prefix)[:MOST_WORDS]
        if not typed or not limit:
            return []
        queries = self._going_on(typed, self._vocabulary(tenant_id), limit)
        products = self._products(tenant_id, words(queries[0].text) if queries else typed, limit, language)
        share = max(limit - len(products), (limit + 1) // 2)
        return [*queries[:share], *products][:limit]

    def suggest(self, tenant_id: UUID, query: str, limit: int) -> Suggestions:
        vocabulary = self._vocabulary(tenant_id)
        meaning = interpret(query, self._view.settings)
        if not meaning.concepts or limit < 1:
            return Suggestions()
        meaning, corrected = Spelling(vocabulary, self._view.settings).checked(meaning)
        common = vocabulary.companions(self._ranking.all_of(meaning), limit + MOST_WORDS * 3)
        added = [word for word in common if word not in meaning.typed and word.isalpha() and len(word) > 2]
        related = [f"{' '.join(meaning.typed)} {word}" for word in added if word not in self._view.settings.stop_words]
        return Suggestions(did_you_mean=corrected, related=tuple(related[:limit]))

    def _going_on(self, typed: list[str], vocabulary: Vocabulary, limit: int) -> list[Completion]:
        *head, last = typed
        before = (
            self._ranking.all_of(Interpretation(tuple(Concept((word,)) for word in head)))
            if head
            else Query.all_query()
        )
        found = vocabulary.completions(last, before, limit)
        if not found:
            similar = vocabulary.similar_beginnings(last, self._view.settings, limit)
            found = [each for word in similar[:1] for each in vocabulary.completions(word, before, limit)]
        return [Completion(" ".join((*head, word)), CompletionKind.QUERY, count) for word, count in found]

    def _products(self, tenant_id: UUID, typed: list[str], limit: int, language: str) -> list[Completion]:
        concepts = [Concept((word,)) for word in typed]
        concepts[-1] = replace(concepts[-1], may_go_on=True)
        imposed = conditions(self._view.index, tenant_id, Filters())
        query = _within(imposed, self._ranking.all_of(Interpretation(tuple(concepts))))
        sources = [self._source(address) for _, address in self._searcher.search(query, limit, count=False).hits]
        return [
            Completion(each.names.get(language) or each.name, CompletionKind.PRODUCT, 1, each.product_id)
            for each in sources
        ]

    def _source(self, address: tantivy.DocAddress) -> SearchDocument:
        return from_source(self._searcher.doc(address)["source"][0])

    def _find(self, request: SearchRequest, imposed: list[Condition]) -> Found:
        meaning = interpret(request.query, self._view.settings)
        if not meaning.concepts:
            return self._page(request, imposed, Query.all_query())
        found = self._page(request, imposed, self._ranking.plainly(meaning))
        if found.total >= PLENTY:
            return found
        typed = meaning
        meaning, corrected = Spelling(self._vocabulary(request.tenant_id), self._view.settings).checked(meaning)
        if meaning.typed != typed.typed:
            found = self._page(request, imposed, self._ranking.plainly(meaning))
            if found.total >= PLENTY:
                return replace(found, corrected=corrected)
        found = self._page(request, imposed, self._ranking.all_of(meaning))
        for fewest, share in ((ENOUGH, self._ranking.tuning.relaxed_share), (1, 0.0)):
            if found.total < fewest and len(meaning.concepts) > 1:
                found = self._page(request, imposed, self._ranking.most_of(meaning, share))
        return replace(found, corrected=corrected)

    def _page(self, request: SearchRequest, imposed: list[Condition], query: Query) -> Found:
        wanted = _within(imposed, self._ranking.favouring(query, request.category_weights))
        field, order = _ORDERS.get(request.sort, (None, Order.Desc))
        weight = "boost" if field is None else None
        # tantivy panics on a limit of 0, so one hit is asked for and dropped.
        page: Any = self._searcher.search(
            wanted,
            max(request.limit, 1),
            offset=request.offset,
            order_by_field=field,
            order=order,
            weight_by_field=weight,
        )
        scored = page.hits[: request.limit]
        product_ids = self._product_ids([address for _, address in scored])
        hits = tuple(
            Hit(each, score if field is None else 0.0) for each, (score, _) in zip(product_ids, scored, strict=True)
        )
        return Found(query, hits, int(page.count or 0))

    def _product_ids(self, addresses: list[tantivy.DocAddress]) -> list[UUID]:
        highs, lows = (self._searcher.fast_field_values(name, addresses) for name in ("id_high", "id_low"))
        return [product_id_of(int(high or 0), int(low or 0)) for high, low in zip(highs, lows, strict=True)]

    def _vocabulary(self, tenant_id: UUID) -> Vocabulary:
        return Vocabulary(self._searcher, self._ranking, self._ranking.term("tenant", tenant_id.hex))


def _within(imposed: list[Condition], query: Query) -> Query:
    return Query.boolean_query([*all_but(imposed), (Occur.Must, query)])
