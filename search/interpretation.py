"""What a query means before any index is asked: words, phrases that count as the same, quantities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from domain.search import SearchSettings
from search.analysis import around_measures, words

MOST_WORDS = 12
"""Concepts after these are dropped: no shopper types them, and each costs time."""

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing asked for: the words as typed, and other ways to say it; `measure` is a quantity in its one spelling."""

    typed: Phrase
    alternatives: tuple[Phrase, ...] = ()
    may_go_on: bool = False
    measure: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but one word, which may be misspelled."""
        return len(self.typed) == 1 and not self.alternatives and not self.measure


@dataclass(frozen=True, slots=True)
class Interpretation:
    concepts: tuple[Concept, ...]

    @property
    def typed(self) -> Phrase:
        return tuple(word for concept in self.concepts for word in concept.typed)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(concept.measure for concept in self.concepts if concept.measure)


class Synonyms:
    """Groups of phrases that find each other, by any of their phrases."""

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        self._others: dict[Phrase, tuple[Phrase, ...]] = {}
        for group in groups:
            phrases = [phrase for text in group if (phrase := tuple(words(text)))]
            for phrase in phrases:
                known = self._others.get(phrase, ())
                self._others[phrase] = known + tuple(each for each in phrases if each != phrase and each not in known)
        self.longest = max((len(phrase) for phrase in self._others), default=1)
        self.words = frozenset(phrase[0] for phrase in self._others if len(phrase) == 1)

    def of(self, phrase: Phrase) -> tuple[Phrase, ...]:
        found = self._others.get(phrase)
        if found is None and phrase[-1].endswith("s"):
            found = self._others.get((*phrase[:-1], phrase[-1][:-1]))
        return found or ()


@lru_cache(maxsize=8)
def synonyms_of(settings_synonyms: tuple[tuple[str, ...], ...]) -> Synonyms:
    return Synonyms(settings_synonyms)


def interpret(query: str, settings: SearchSettings) -> Interpretation:
    """Split a query into concepts; stop words go, unless there is nothing else."""
    synonyms = synonyms_of(settings.synonyms)
    concepts = list(islice(_read(query, settings.stop_words, synonyms), MOST_WORDS))
    concepts = concepts or list(islice(_read(query, frozenset(), synonyms), MOST_WORDS))
    if concepts and query[-1:].isalnum() and not concepts[-1].measure:
        concepts[-1] = replace(concepts[-1], may_go_on=True)
    return Interpretation(tuple(concepts))


def _read(query: str, stop_words: frozenset[str], synonyms: Synonyms) -> Iterator[Concept]:
    for stretch, measure in around_measures(query):
        typed = [word for word in words(stretch) if measure or word not in stop_words]
        if measure:
            yield Concept(tuple(typed), measure=measure)
        else:
            yield from _concepts(typed, synonyms)


def _concepts(typed: list[str], synonyms: Synonyms) -> Iterator[Concept]:
    start = 0
    while start < len(typed):
        for length in range(min(synonyms.longest, len(typed) - start), 0, -1):
            phrase = tuple(typed[start : start + length])
            others = synonyms.of(phrase)
            if others or length == 1:
                yield Concept(phrase, others)
                start += length
                break
