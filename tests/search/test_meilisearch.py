import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from meilisearch_python_sdk.models.client import Key

from domain.search import (
    AttributeFacet,
    AttributeIn,
    AttributeRange,
    Facet,
    FacetCount,
    Filters,
    Hit,
    IndexState,
    PriceBand,
    PriceRange,
    ProductChange,
    RatingBand,
    SearchRequest,
    SearchUnavailable,
    Sort,
)
from search.meilisearch import MeilisearchEngine, translation
from search.meilisearch.configuration import in_meilisearch_terms
from search.settings import DEFAULTS
from tests.search.catalogue import BRUSH, CATALOGUE, EARBUDS, HEADPHONES, STORE, TENANT
from tests.search.contract import SearchEngineContract

URL = os.environ.get("AGORA_MEILISEARCH_URL")
NOWHERE = "http://127.0.0.1:9"


@asynccontextmanager
async def at_server():
    engine = MeilisearchEngine(URL, os.environ.get("AGORA_MEILISEARCH_KEY"), index=f"agora-test-{uuid4().hex}")
    yield engine
    await engine._client.delete_index_if_exists(engine._uid)
    await engine.close()


@pytest.mark.skipif(
    not URL,
    reason="no Meilisearch server: set AGORA_MEILISEARCH_URL (and AGORA_MEILISEARCH_KEY) to run its contract tests",
)
class TestMeilisearch(SearchEngineContract):
    @pytest.fixture
    async def engine(self):
        async with at_server() as engine:
            yield engine

    @pytest.fixture
    async def filled(self, engine):
        await engine.upsert(CATALOGUE)
        return engine

    @pytest.fixture(scope="class")
    async def catalogue(self):
        async with at_server() as engine:
            await engine.upsert(CATALOGUE)
            yield engine


class TestDocuments:
    def test_hold_what_is_searched_filtered_counted_and_sorted(self):
        document = translation.to_document(HEADPHONES)
        assert document["id"] == f"{TENANT.hex}-{HEADPHONES.product_id.hex}"
        assert document["tenant"] == TENANT.hex
        assert document["store_ids"] == [STORE.hex]
        assert document["category"] == ["audio", "audio > headphones"]
        assert document["attributes"] == {
            "colour": "Black",
            "driver-2e-size": 40,
            "noise_cancelling": True,
            "weight": 254.5,
        }
        assert document["attribute_names"] == ["colour", "driver.size", "noise_cancelling", "weight"]
        assert (document["price"], document["price_band"]) == (29_900, 20_000)
        assert (document["rating"], document["rating_band"]) == (4.6, 4)
        assert document["created"] == 1_772_323_200

    def test_spell_cyrillic_in_latin_too(self):
        assert translation.to_document(BRUSH)["latin"].split()[:3] == ["Shchetka", "dlya", "klaviatury"]
        assert "setka" in translation.to_document(BRUSH)["latin"].split()
        assert translation.to_document(EARBUDS)["latin"] == ""

    def test_leave_out_what_is_unknown(self):
        assert not {"price", "price_band", "rating", "rating_band"} & set(translation.to_document(BRUSH))

    def test_change_in_parts(self):
        change = ProductChange(product_id=EARBUDS.product_id, in_stock=False, price_minor=99)
        assert translation.to_update(TENANT, change) == {
            "id": translation.document_id(TENANT, EARBUDS.product_id),
            "in_stock": False,
            "price": 99,
            "price_band": 0,
        }


class TestFilters:
    def test_always_begin_with_the_tenant(self):
        assert translation.to_filter(TENANT, Filters()) == [f'tenant = "{TENANT.hex}"']

    def test_are_conditions_in_their_language(self):
        filters = Filters(
            category_path=("audio", "headphones"),
            brands=("Sony", 'A "B" \\'),
            price=PriceRange(100, 200, "EUR"),
            in_stock=True,
            minimum_rating=4.0,
            store_id=STORE,
            attributes=(
                AttributeIn("driver.size", (40, True, "x")),
                AttributeRange("weight", 1.5, None),
                AttributeRange("depth"),
            ),
        )
        assert translation.to_filter(TENANT, filters)[1:] == [
            'category = "audio > headphones"',
            'brand IN ["Sony", "A \\"B\\" \\\\"]',
            "price >= 100",
            "price <= 200",
            'currency = "EUR"',
            "in_stock = true",
            "rating >= 4.0",
            f'store_ids = "{STORE.hex}"',
            'attributes.driver-2e-size IN [40, true, "x"]',
            "attributes.weight >= 1.5",
            "attributes.depth EXISTS",
        ]


class TestRequests:
    def test_sort_by_field_or_by_relevance(self):
        assert [translation.to_sort(sort) for sort in Sort] == [
            None,
            ["price:asc"],
            ["price:desc"],
            ["rating:desc"],
            ["created:desc"],
            ["popularity:desc"],
        ]

    def test_ask_for_facets(self):
        every = SearchRequest(tenant_id=TENANT, facets=frozenset(Facet))
        assert translation.to_facets(every) == [
            "category",
            "brand",
            "price_band",
            "in_stock",
            "rating_band",
            "attribute_names",
        ]
        named = SearchRequest(tenant_id=TENANT, facets=frozenset({Facet.ATTRIBUTES}), facet_attributes=("driver.size",))
        assert translation.to_facets(named) == ["attributes.driver-2e-size"]


class TestAnswers:
    def test_have_hits(self):
        assert translation.to_hits([{"product_id": EARBUDS.product_id.hex, "_rankingScore": 0.5}]) == (
            Hit(EARBUDS.product_id, 0.5),
        )

    def test_have_facet_counts(self):
        distribution = {
            "category": {"audio": 3, "audio > speakers": 1},
            "brand": {"Jabra": 1, "Sony": 2},
            "price_band": {"0": 1, "500000000": 0, "5000.0": 2},
            "in_stock": {"true": 2},
            "rating_band": {"4": 2, "3": 1},
            "attributes.driver-2e-size": {"12": 1, "40": 3},
        }
        counts = translation.to_facet_counts(
            distribution, {"attributes.driver-2e-size": {"min": 12.0, "max": 40.0}}, ["driver.size"], 20
        )
        assert counts.categories == (
            FacetCount("audio", 3, ("audio",)),
            FacetCount("speakers", 1, ("audio", "speakers")),
        )
        assert counts.brands == (FacetCount("Sony", 2), FacetCount("Jabra", 1))
        assert counts.prices == (
            PriceBand(None, 100, 1),
            PriceBand(5_000, 10_000, 2),
            PriceBand(500_000_000, 1_000_000_000, 0),
        )
        assert (counts.in_stock, counts.out_of_stock) == (2, 0)
        assert counts.ratings == (
            RatingBand(5, 0),
            RatingBand(4, 2),
            RatingBand(3, 3),
            RatingBand(2, 3),
            RatingBand(1, 3),
        )
        assert counts.attributes == (
            AttributeFacet("driver.size", (FacetCount("40", 3), FacetCount("12", 1)), 12.0, 40.0),
        )

    def test_tell_the_commonest_attributes(self):
        assert translation.common_attributes({"attribute_names": {"a": 1, "b": 5}}) == ["b", "a"]


class TestConfiguration:
    def test_is_what_the_server_takes(self):
        body = in_meilisearch_terms(DEFAULTS).model_dump(by_alias=True, exclude_none=True)
        assert body["searchableAttributes"] == [
            "name",
            "brand",
            "category_name",
            "translations",
            "description",
            "attribute_text",
            "latin",
        ]
        assert body["filterableAttributes"][0] == "tenant"
        assert body["typoTolerance"]["minWordSizeForTypos"] == {"oneTypo": 4, "twoTypos": 8}
        assert body["synonyms"]["tv"] == ["television", "телевизор"]
        assert body["synonyms"]["usb stick"][0] == "usb flash drive"
        assert body["pagination"] == {"maxTotalHits": 10_100}


class TestAServerThatIsAway:
    @pytest.fixture
    async def engine(self):
        engine = MeilisearchEngine(NOWHERE)
        yield engine
        await engine.close()

    async def test_is_unavailable(self, engine):
        with pytest.raises(SearchUnavailable):
            await engine.search(SearchRequest(tenant_id=TENANT))
        with pytest.raises(SearchUnavailable):
            await engine.upsert(CATALOGUE)

    async def test_is_reported(self, engine):
        assert (await engine.status()).state is IndexState.UNAVAILABLE

    async def test_still_gives_tokens_for_one_tenant(self, engine):
        secret = "a-search-key-that-is-long-enough-to-sign"
        now = datetime.now(tz=UTC)
        key = Key(uid="9aec34f4", actions=["search"], indexes=["products"], key=secret, created_at=now)
        token = engine.tenant_token(TENANT, key, now + timedelta(hours=1))
        claims = jwt.decode(token, OctKey.import_key(secret)).claims
        assert claims["searchRules"] == {"products": {"filter": f'tenant = "{TENANT.hex}"'}}
        assert claims["apiKeyUid"] == "9aec34f4"
