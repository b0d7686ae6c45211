"""The words of one tenant's products: how often they occur, what is spelled like them, how they go on."""

from dataclasses import dataclass
from typing import Any

import tantivy
from tantivy import Occur, Query

from domain.search import SearchSettings
from domain.transliteration import has_cyrillic, to_latin
from search.embedded.fields import named_words
from search.embedded.ranking import Ranking
from search.interpretation import synonyms_of

ENOUGH = 3
"""A word in more names, brands or categories than this is a word; only rarer ones are looked at closely."""

_LOOKED_AT, _ROUNDS = 30, 4
"""Products looked at per correction, and how often others are looked at because all of these had the same words."""

_CANDIDATES = 500
"""Words looked at per correction: those of the products that hold something similar, commonest first."""


@dataclass(frozen=True, slots=True)
class Correction:
    word: str
    distance: int
    count: int


@dataclass(frozen=True)
class Vocabulary:
    searcher: tantivy.Searcher
    ranking: Ranking
    tenant: Query

    def count(self, word: str, *, goes_on: bool = False) -> int:
        """How many products would match the word in any field; more than `ENOUGH` are not counted to the end."""
        named = self._named(word)
        return (
            named if named > ENOUGH else count_of(self.searcher, self._only(self.ranking.word(word, goes_on=goes_on)))
        )

    def contains(self, word: str) -> bool:
        """Whether a name, brand or category has the word as it stands."""
        return self._named(word) > 0

    def corrections(self, word: str, settings: SearchSettings, most: int = 3) -> list[Correction]:
        """The words that were probably meant, all equally near, commonest first."""
        allowed = allowed_typos(word, settings)
        if not allowed:
            return []
        known = synonyms_of(settings.synonyms).words
        for distance in range(1, allowed + 1):
            similar = self._similar(word, distance)
            near = {each for each in known | similar if edit_distance(word, each, distance) == distance}
            if near:
                counted = [Correction(each, distance, self._named(each) if each in similar else 0) for each in near]
                return sorted(counted, key=lambda each: (-each.count, each.word))[:most]
        return []

    def completions(self, prefix: str, within: Query, most: int) -> list[tuple[str, int]]:
        """Words that begin like this in products `within`, with how many products have them."""
        found: dict[str, int] = {}
        for spelling in {prefix, to_latin(prefix)} if has_cyrillic(prefix) else {prefix}:
            found |= dict(self.searcher.terms_with_prefix("words", spelling, self._only(within), most))
        return sorted(found.items(), key=lambda each: (-each[1], each[0]))[:most]

    def similar_beginnings(self, prefix: str, settings: SearchSettings, most: int) -> list[str]:
        """Words whose beginning is one typo away from this."""
        if not allowed_typos(prefix, settings):
            return []
        query = Query.fuzzy_term_query(self.ranking.schema, "words", prefix, distance=1, prefix=True)
        return [word for word in self._common(query) if _begins_like(word, prefix)][:most]

    def companions(self, query: Query, most: int) -> list[str]:
        """The words that occur most with what a query finds."""
        return list(self._common(query))[:most]

    def _named(self, word: str) -> int:
        """How many products have the word in name, brand or category."""
        if not self.searcher.doc_freq("words", word):
            return 0
        return count_of(self.searcher, self._only(self.ranking.term("words", word)))

    def _similar(self, word: str, distance: int) -> set[str]:
        """The words that are spelled like this, read off some of the products that have one; then off those that have another."""
        fuzzy = Query.fuzzy_term_query(self.ranking.schema, "words", word, distance=distance)
        found: set[str] = set()
        for _ in range(_ROUNDS):
            others = [(Occur.MustNot, self.ranking.term("words", each)) for each in found]
            query = Query.boolean_query([(Occur.Must, self._only(fuzzy)), *others])
            hits = self.searcher.search(query, _LOOKED_AT, count=False).hits
            seen = {each for _, address in hits for each in named_words(self.searcher.doc(address)["source"][0])}
            fresh = {each for each in seen - found if edit_distance(word, each, distance) <= distance}
            found |= fresh
            if len(hits) < _LOOKED_AT or not fresh:
                break
        return found

    def _common(self, query: Query) -> dict[str, int]:
        counted = self.searcher.aggregate(
            self._only(query), {"words": {"terms": {"field": "words", "size": _CANDIDATES}}}
        )
        return {str(bucket["key"]): bucket["doc_count"] for bucket in counted["words"]["buckets"]}

    def _only(self, query: Query) -> Query:
        return Query.boolean_query([(Occur.Must, self.tenant), (Occur.Must, query)])


def count_of(searcher: tantivy.Searcher, query: Query) -> int:
    found: Any = searcher.search(query, 1)
    # The attribute is there, but the published stub forgets it.
    return int(found.count or 0)


def allowed_typos(word: str, settings: SearchSettings) -> int:
    """Words with digits are model numbers: one letter more or less is another product."""
    if any(letter.isdigit() for letter in word) or len(word) < settings.one_typo_letters:
        return 0
    return 2 if len(word) >= settings.two_typos_letters else 1


def edit_distance(left: str, right: str, most: int) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours; anything above `most` is `most` + 1.

    Source: optimal string alignment, the restricted Damerau-Levenshtein distance.
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        above, before, row = before, row, [i]
        for j, other in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            return most + 1
    return min(row[-1], most + 1)


def _begins_like(word: str, prefix: str) -> bool:
    return any(edit_distance(prefix, word[:length], 1) <= 1 for length in range(len(prefix) - 1, len(prefix) + 2))
