"""Our search settings in Meilisearch's terms."""

from itertools import permutations

from meilisearch_python_sdk.models.settings import (
    Faceting,
    MeilisearchSettings,
    MinWordSizeForTypos,
    Pagination,
    TypoTolerance,
)

from domain.search import MAX_FACET_VALUES, MAX_OFFSET, MAX_PAGE, SearchSettings
from search.analysis import words

FIELD_OF_WEIGHT = {
    "name": "name",
    "brand": "brand",
    "category": "category_name",
    "translations": "translations",
    "description": "description",
    "attributes": "attribute_text",
}
FILTERABLE = (
    "tenant",
    "store_ids",
    "category",
    "brand",
    "price",
    "currency",
    "in_stock",
    "rating",
    "price_band",
    "rating_band",
    "attribute_names",
    "attributes",
)
SORTABLE = ("price", "rating", "created", "popularity")
RANKING_RULES = ("words", "typo", "proximity", "attribute", "sort", "exactness", "popularity:desc")


def in_meilisearch_terms(settings: SearchSettings) -> MeilisearchSettings:
    """Weights become a ranked order of fields, which is all that Meilisearch knows of weights."""
    return MeilisearchSettings(
        searchable_attributes=searchable(settings),
        filterable_attributes=list(FILTERABLE),
        sortable_attributes=list(SORTABLE),
        ranking_rules=list(RANKING_RULES),
        displayed_attributes=["*"],
        synonyms=synonyms(settings),
        stop_words=sorted(settings.stop_words),
        typo_tolerance=TypoTolerance(
            disable_on_numbers=True,
            min_word_size_for_typos=MinWordSizeForTypos(
                one_typo=settings.one_typo_letters, two_typos=settings.two_typos_letters
            ),
        ),
        faceting=Faceting(max_values_per_facet=MAX_FACET_VALUES, sort_facet_values_by={"*": "count"}),
        pagination=Pagination(max_total_hits=MAX_OFFSET + MAX_PAGE),
    )


def searchable(settings: SearchSettings) -> list[str]:
    """Fields from the heaviest to the lightest; transliterations come last, so that the native spelling ranks first."""
    weights = {name: settings.weights.get(name, 1.0) for name in FIELD_OF_WEIGHT}
    ranked = sorted((name for name, weight in weights.items() if weight > 0), key=lambda name: -weights[name])
    return [*(FIELD_OF_WEIGHT[name] for name in ranked), "latin"]


def synonyms(settings: SearchSettings) -> dict[str, list[str]]:
    others: dict[str, list[str]] = {}
    for group in settings.synonyms:
        phrases = [" ".join(words(phrase)) for phrase in group]
        for phrase, other in permutations(phrases, 2):
            others.setdefault(phrase, []).append(other)
    return others
