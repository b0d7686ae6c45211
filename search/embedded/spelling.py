"""Words that the tenant's products do not know: joined, split or misspelled."""

from dataclasses import dataclass, replace
from itertools import pairwise

from domain.search import SearchSettings
from search.embedded.vocabulary import ENOUGH, Vocabulary
from search.interpretation import Concept, Interpretation, interpret

MUCH_COMMONER = 20
"""A rare word may be a misspelling in the catalogue itself; one so many times as common is then searched beside it."""
_SHORTEST_HALF = 3


@dataclass(frozen=True)
class Spelling:
    vocabulary: Vocabulary
    settings: SearchSettings

    def checked(self, meaning: Interpretation) -> tuple[Interpretation, str | None]:
        """What was probably meant, and its text where that differs from what was typed."""
        meant = [self._meant(concept) for concept in meaning.concepts]
        better = replace(meaning, concepts=tuple(meant))
        if better.typed == meaning.typed:
            return self._with_compounds(better), None
        # A corrected word may have synonyms that the typed one did not.
        again = interpret(" ".join(better.typed), self.settings)
        alternatives = {concept.typed: concept.alternatives for concept in meant}
        widened = [
            replace(each, alternatives=tuple(dict.fromkeys((*each.alternatives, *alternatives.get(each.typed, ())))))
            for each in again.concepts
        ]
        return replace(better, concepts=tuple(widened)), " ".join(better.typed)

    def _meant(self, concept: Concept) -> Concept:
        if not concept.is_plain:
            return concept
        word = concept.typed[0]
        count = self.vocabulary.count(word, goes_on=concept.may_go_on)
        if count > ENOUGH:
            return concept
        return self._corrected(concept, word) if not count else self._widened(concept, word, count)

    def _corrected(self, concept: Concept, word: str) -> Concept:
        near = self.vocabulary.corrections(word, self.settings)
        if near and near[0].distance == 1:
            return Concept((near[0].word,), tuple((each.word,) for each in near[1:]))
        halves = self._halves(word)
        if halves:
            return Concept(halves)
        return Concept((near[0].word,), tuple((each.word,) for each in near[1:])) if near else concept

    def _widened(self, concept: Concept, word: str, count: int) -> Concept:
        near = [each for each in self.vocabulary.corrections(word, self.settings) if each.count > count * MUCH_COMMONER]
        return replace(concept, alternatives=tuple((each.word,) for each in near[:1]))

    def _halves(self, word: str) -> tuple[str, str] | None:
        """`powerbank` where the products say `power bank`."""
        for cut in range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1):
            left, right = word[:cut], word[cut:]
            if self.vocabulary.contains(left) and self.vocabulary.contains(right):
                return left, right
        return None

    def _with_compounds(self, meaning: Interpretation) -> Interpretation:
        """`play station` also finds `playstation`."""
        concepts = list(meaning.concepts)
        for place, (left, right) in enumerate(pairwise(meaning.concepts)):
            compound = left.typed[-1] + right.typed[0]
            if left.is_plain and right.is_plain and self.vocabulary.contains(compound):
                joint = Concept((*left.typed, *right.typed), ((compound,),), may_go_on=right.may_go_on)
                return replace(meaning, concepts=(*concepts[:place], joint, *concepts[place + 2 :]))
        return meaning
