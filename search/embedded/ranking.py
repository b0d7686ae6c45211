"""A search as a tantivy query: which products match, and how well."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import tantivy
from tantivy import Occur, Query

from domain.search import SearchSettings
from domain.transliteration import has_cyrillic, sound, to_latin
from search.embedded.fields import SEPARATOR
from search.interpretation import Concept, Interpretation, Phrase
from search.settings import ACCESSORIES

FIELD_OF_WEIGHT = {
    "name": "name",
    "brand": "brand_text",
    "category": "category_text",
    "translations": "translations",
    "description": "description",
    "attributes": "attribute_text",
}
SHORTEST_PREFIX = 2
COMPLETE = 100.0
"""Added to what matches every concept: more than any sum of weights, so that such products come first."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Ranking constants, chosen where a range of neighbours ranks as well; benchmarks/search_relevance.py measures them.

    `tie` is what a match in a second field adds; `exact`, `sound` and `prefix` are worth of an unstemmed, a transliterated and an unfinished
    word; `phrase` weighs neighbouring words, `measure` an equal quantity, `synonym` another way to say it; `main` favours products over
    their accessories; `relaxed_share` of the concepts must match where hardly any product matches all.
    """

    tie: float = 0.2
    exact: float = 0.5
    sound: float = 1.0
    prefix: float = 0.2
    phrase: float = 1.0
    measure: float = 2.0
    synonym: float = 0.5
    main: float = 2.0
    relaxed_share: float = 0.65


TUNING = Tuning()


@dataclass(frozen=True)
class Ranking:
    schema: tantivy.Schema
    analyzer: tantivy.TextAnalyzer
    settings: SearchSettings
    tuning: Tuning = TUNING

    @cached_property
    def _weights(self) -> dict[str, float]:
        weights = {field: float(self.settings.weights.get(name, 1.0)) for name, field in FIELD_OF_WEIGHT.items()}
        return {field: weight for field, weight in weights.items() if weight > 0}

    def all_of(self, meaning: Interpretation) -> Query:
        """Products that match every concept."""
        return self._scored([(Occur.Must, self.concept(each)) for each in meaning.concepts], meaning)

    def most_of(self, meaning: Interpretation, share: float) -> Query:
        """Products that match a share of the concepts; those that match all come first."""
        wanted = [self.concept(each) for each in meaning.concepts]
        enough = max(1, round(len(wanted) * share))
        some = Query.boolean_query([(Occur.Should, each) for each in wanted], minimum_number_should_match=enough)
        every = Query.const_score_query(_every(wanted), COMPLETE)
        return self._scored([(Occur.Must, some), (Occur.Should, every)], meaning)

    def plainly(self, meaning: Interpretation) -> Query:
        """Products that have every typed word in their names, brands or categories, those first that have it in their names.

        They are the cheapest to find of all: tantivy skips through a single list of products, and reads a union of lists as a whole.
        """
        query = _every([Query.const_score_query(self.term("words", word), self.tuning.exact) for word in meaning.typed])
        for word in meaning.typed if "name" in self._weights else ():
            for stem in self.analyzer.analyze(word)[:1]:
                query = _preferring(query, Query.boost_query(self.term("name", stem), self._weights["name"]))
        for bonus in self._bonuses(meaning):
            query = _preferring(query, bonus)
        return query

    def concept(self, concept: Concept) -> Query:
        options = [self._phrase(concept.typed, goes_on=concept.may_go_on)]
        # A longer phrase collects more scores; it must not outrank what was typed by that.
        worth = {phrase: self.tuning.synonym * len(concept.typed) / len(phrase) for phrase in concept.alternatives}
        options += [Query.boost_query(self._phrase(phrase), each) for phrase, each in worth.items()]
        if concept.measure:
            options.append(Query.const_score_query(self.term("measures", concept.measure), self.tuning.measure))
        return _best(options)

    def word(self, word: str, *, goes_on: bool = False) -> Query:
        ways = [
            Query.boost_query(self.term(field, stem), weight)
            for stem in self._stems(word)
            for field, weight in self._weights.items()
        ]
        ways.append(Query.const_score_query(self.term("words", word), self.tuning.exact))
        ways.append(Query.const_score_query(self.term("sounds", sound(word)), self.tuning.sound))
        if goes_on and len(word) >= SHORTEST_PREFIX:
            ways.append(Query.const_score_query(self.starting_with(word), self.tuning.prefix))
        return _best(ways, self.tuning.tie)

    def starting_with(self, prefix: str) -> Query:
        beginnings = {"words": [prefix, to_latin(prefix)] if has_cyrillic(prefix) else [prefix]}
        if len(prefix) > SHORTEST_PREFIX:
            beginnings["sounds"] = [sound(prefix)]
        return _best(
            [
                Query.fuzzy_term_query(self.schema, field, beginning, distance=0, prefix=True)
                for field, each in beginnings.items()
                for beginning in each
            ]
        )

    def favouring(self, query: Query, category_weights: Mapping[tuple[str, ...], float]) -> Query:
        """The same products, their scores multiplied by the weight of the category that they are in."""
        if not category_weights:
            return query
        inside = {path: self.term("category", SEPARATOR.join(path)) for path in category_weights}
        ways = [Query.boolean_query([(Occur.Must, query), *((Occur.MustNot, each) for each in inside.values())])]
        for path, weight in category_weights.items():
            within = _every([query, Query.const_score_query(inside[path], 0.0)])
            ways.append(Query.boost_query(within, float(weight)))
        return _best(ways)

    def term(self, field: str, value: str | int) -> Query:
        return Query.term_query(self.schema, field, value)

    def _phrase(self, phrase: Phrase, *, goes_on: bool = False) -> Query:
        last = len(phrase) - 1
        return _every([self.word(word, goes_on=goes_on and place == last) for place, word in enumerate(phrase)])

    def _stems(self, word: str) -> list[str]:
        spellings = [word, to_latin(word)] if has_cyrillic(word) else [word]
        return [stem for spelling in spellings for stem in self.analyzer.analyze(spelling)]

    def _scored(self, matching: list[tuple[Occur, Query]], meaning: Interpretation) -> Query:
        return Query.boolean_query([*matching, *((Occur.Should, bonus) for bonus in self._bonuses(meaning))])

    def _bonuses(self, meaning: Interpretation) -> Iterator[Query]:
        for each in meaning.measures:
            yield Query.const_score_query(self.term("measures", each), self.tuning.measure)
        if ACCESSORIES.isdisjoint(meaning.typed):
            yield Query.const_score_query(self.term("kind", "main"), self.tuning.main)
        stems: list[str | tuple[int, str]] = [stem for word in meaning.typed for stem in self.analyzer.analyze(word)]
        for field in ("name", "description") if len(stems) > 1 else ():
            yield Query.boost_query(Query.phrase_query(self.schema, field, stems, slop=1), self.tuning.phrase)


def _preferring(query: Query, bonus: Query) -> Query:
    return Query.boolean_query([(Occur.Must, query), (Occur.Should, bonus)])


def _every(queries: Sequence[Query]) -> Query:
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, each) for each in queries])


def _best(queries: Sequence[Query], tie: float = 0.0) -> Query:
    return queries[0] if len(queries) == 1 else Query.disjunction_max_query(list(queries), float(tie))
