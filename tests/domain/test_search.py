from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.kernel import InvalidInput
from domain.search import (
    AttributeIn,
    AttributeRange,
    CircuitBreaker,
    Filters,
    IndexNeedsRebuild,
    PriceRange,
    SearchDocument,
    SearchRequest,
    SearchUnavailable,
)
from domain.transliteration import has_cyrillic, sound, to_cyrillic, to_latin

TENANT = UUID("018f0000-0000-7000-8000-00000000000a")
PLAIN = SearchRequest(tenant_id=TENANT)
LAMP = SearchDocument(product_id=TENANT, tenant_id=TENANT, name="Lamp", created_at=datetime(2026, 1, 1, tzinfo=UTC))


class TestSearchRequest:
    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"query": "x" * 1_001}, "query"),
            ({"query": "a\0b"}, "query"),
            ({"query": "\ud83d"}, "query"),
            ({"limit": -1}, "limit"),
            ({"limit": 101}, "limit"),
            ({"offset": -1}, "offset"),
            ({"offset": 10**12}, "offset"),
            ({"facet_values": 0}, "facetValues"),
            ({"facet_values": 101}, "facetValues"),
            ({"facet_attributes": ("a\0",)}, "facetAttributes"),
            ({"filters": Filters(brands=("a\0",))}, "filters"),
            ({"filters": Filters(minimum_rating=float("nan"))}, "filters"),
            ({"filters": Filters(attributes=(AttributeRange("x", float("-inf")),))}, "filters"),
            ({"filters": Filters(attributes=(AttributeIn("x", (float("inf"),)),))}, "filters"),
            ({"filters": Filters(attributes=(AttributeIn("x", (2**70,)),))}, "filters"),
            ({"filters": Filters(price=PriceRange(2**63))}, "filters"),
            ({"category_weights": {("a",): float("nan")}}, "categoryWeights"),
        ],
    )
    def test_refuses_what_no_engine_could_serve(self, values, field):
        with pytest.raises(InvalidInput) as refusal:
            replace(PLAIN, **values)
        assert refusal.value.field == field

    def test_takes_the_limits_themselves(self):
        request = replace(PLAIN, query="x" * 1_000, limit=100, offset=10_000, facet_values=100)
        assert (request.limit, request.offset) == (100, 10_000)


class TestSearchDocument:
    @pytest.mark.parametrize(
        "values",
        [
            {"price_minor": 2**63},
            {"rating": 5.1},
            {"rating": float("nan")},
            {"popularity": -1.0},
            {"popularity": float("inf")},
        ],
    )
    def test_refuses_numbers_outside_their_range(self, values):
        with pytest.raises(InvalidInput):
            replace(LAMP, **values)


class TestErrors:
    def test_have_codes_and_sentences(self):
        error = IndexNeedsRebuild("its pointer is damaged")
        assert isinstance(error, SearchUnavailable)
        assert (error.code, error.message) == (
            "INDEX_NEEDS_REBUILD",
            "The search index has to be rebuilt: its pointer is damaged.",
        )


class TestCircuitBreaker:
    @pytest.fixture
    def breaker(self):
        return CircuitBreaker(failures_to_open=2, cool_down_seconds=10)

    def test_opens_after_failures_in_a_row(self, breaker):
        breaker.failed(0.0)
        breaker.succeeded()
        breaker.failed(1.0)
        assert breaker.allows(1.0)
        breaker.failed(2.0)
        assert not breaker.allows(11.9)

    def test_lets_one_trial_through_at_a_time(self, breaker):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert [breaker.allows(10.0), breaker.allows(10.0), breaker.allows(19.9), breaker.allows(20.0)] == [
            True,
            False,
            False,
            True,
        ]

    def test_closes_with_the_first_success(self, breaker):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
        assert breaker.is_closed
        assert breaker.allows(0.0)


class TestTransliteration:
    @pytest.mark.parametrize(
        ("cyrillic", "latin"),
        [
            ("Щётка", "Shchetka"),
            ("ноутбук", "noutbuk"),
            ("Київ", "Kiyiv"),
            ("холодильник", "kholodilnik"),
            ("Sony", "Sony"),
            ("объём 5 л", "obem 5 l"),
        ],
    )
    def test_writes_cyrillic_in_latin(self, cyrillic, latin):
        assert to_latin(cyrillic) == latin

    @pytest.mark.parametrize(
        ("latin", "cyrillic"),
        [("noutbuk", "ноутбук"), ("naushniki", "наушники"), ("shchetka", "щетка"), ("mysh", "мыш"), ("5", "5")],
    )
    def test_writes_latin_in_cyrillic(self, latin, cyrillic):
        assert to_cyrillic(latin) == cyrillic

    @pytest.mark.parametrize(
        ("word", "spellings"),
        [
            ("щётка", ["shchetka", "schetka", "shhetka"]),
            ("холодильник", ["kholodilnik", "holodilnik"]),
            ("клавиатура", ["klaviatura", "klavyatura"]),
            ("цена", ["tsena", "cena"]),
            ("юбка", ["yubka", "jubka"]),
        ],
    )
    def test_knows_the_ways_in_which_a_word_is_spelled(self, word, spellings):
        assert {sound(spelling) for spelling in spellings} <= {sound(word)}

    def test_knows_cyrillic_when_it_sees_it(self):
        assert [has_cyrillic(text) for text in ("Sony", "Crème", "Sony мышь")] == [False, False, True]
