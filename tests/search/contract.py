"""What every search engine must do; each engine's test module subclasses this.

It gives three fixtures: an empty `engine`, one `filled` with CATALOGUE, and a `catalogue` that is filled once and only read.
"""

import asyncio
from dataclasses import replace

import pytest

from domain.kernel import InvalidInput
from domain.search import (
    AttributeIn,
    AttributeRange,
    CompletionKind,
    Facet,
    FacetCount,
    Filters,
    IndexState,
    PriceBand,
    PriceRange,
    ProductChange,
    SearchEngine,
    SearchRequest,
    Sort,
)
from tests.search.catalogue import (
    BRUSH,
    CATALOGUE,
    EARBUDS,
    FOREIGN,
    HEADPHONES,
    OTHER_TENANT,
    SPEAKER,
    STORE,
    TENANT,
    THINKPAD,
    product,
    product_id,
    streamed,
)

NAMES = {document.product_id: document.name for document in CATALOGUE}


async def found(engine: SearchEngine, query: str = "", **wanted) -> list[str]:
    result = await engine.search(SearchRequest(tenant_id=wanted.pop("tenant_id", TENANT), query=query, **wanted))
    return [NAMES.get(hit.product_id, "?") for hit in result.hits]


class SearchEngineContract:
    class TestQueries:
        @pytest.mark.parametrize(
            ("query", "expected"),
            [
                ("wireless headphones", HEADPHONES),
                ("headphone", HEADPHONES),
                ("hedphones", HEADPHONES),
                ("haedphones", HEADPHONES),
                ("WIRELES HEADPHONES", HEADPHONES),
                ("headph", HEADPHONES),
                ("bluetooth spe", SPEAKER),
                ("sony speaker", SPEAKER),
                ("lenovo", THINKPAD),
                ("laptops", THINKPAD),
                ("notebook", THINKPAD),
                ("thinkpad", THINKPAD),
                ("kabellose kopfhorer", HEADPHONES),
                ("наушники", HEADPHONES),
                ("наушнеки", HEADPHONES),
                ("naushniki", HEADPHONES),
                ("ноутбук", THINKPAD),
                ("ноутбк", THINKPAD),
                ("noutbuk", THINKPAD),
                ("щетка", BRUSH),
                ("shchetka", BRUSH),
                ("сони", HEADPHONES),
            ],
        )
        async def test_find(self, catalogue, query, expected):
            assert expected.name in await found(catalogue, query)

        async def test_put_a_match_in_the_name_before_one_in_the_description(self, catalogue):
            assert (await found(catalogue, "wireless"))[:2] == [HEADPHONES.name, EARBUDS.name]

        async def test_prefer_products_that_match_every_word(self, catalogue):
            assert (await found(catalogue, "sony headphones"))[0] == HEADPHONES.name

        async def test_still_find_something_when_one_word_is_unknown(self, catalogue):
            assert HEADPHONES.name in await found(catalogue, "sony headphones zzyzx")

        async def test_find_nothing_for_words_that_no_product_has(self, catalogue):
            result = await catalogue.search(SearchRequest(tenant_id=TENANT, query="qqqqwwww"))
            assert (result.hits, result.total) == ((), 0)

        async def test_browse_when_empty(self, catalogue):
            result = await catalogue.search(SearchRequest(tenant_id=TENANT, query="  "))
            assert {hit.product_id for hit in result.hits} == {
                each.product_id for each in CATALOGUE if each.tenant_id == TENANT
            }
            assert result.total == 5
            assert result.processing_ms > 0

        @pytest.mark.parametrize(
            "query",
            [
                "AND",
                "a OR b",
                '"',
                "name:x",
                "*",
                "(",
                "[1 TO",
                "+-&&||!",
                "\\",
                "😀",
                "'\"; --",
                "x" * 1_000,
                "\t\n\r",
            ],
        )
        async def test_take_any_text_as_text(self, catalogue, query):
            result = await catalogue.search(SearchRequest(tenant_id=TENANT, query=query))
            assert result.total >= 0

    class TestTenants:
        async def test_never_see_each_other(self, catalogue):
            assert await found(catalogue, "headphones") == [HEADPHONES.name, EARBUDS.name]
            assert await found(catalogue, "headphones", tenant_id=OTHER_TENANT) == [FOREIGN.name]

        async def test_do_not_learn_each_others_words(self, catalogue):
            assert [each.text for each in await catalogue.autocomplete(TENANT, "zeni")] == []
            assert (await catalogue.suggest(TENANT, "zenitf")).did_you_mean is None
            result = await catalogue.search(SearchRequest(tenant_id=TENANT, query="", facets=frozenset({Facet.BRAND})))
            assert "Zenith" not in [each.value for each in result.facets.brands]

        async def test_cannot_change_each_others_products(self, filled):
            await filled.remove(OTHER_TENANT, [HEADPHONES.product_id])
            missing = await filled.update_partial(
                OTHER_TENANT, [ProductChange(product_id=HEADPHONES.product_id, price_minor=1)]
            )
            assert missing == [HEADPHONES.product_id]
            assert await found(filled, filters=Filters(price=PriceRange(29_900, 29_900))) == [HEADPHONES.name]

        async def test_may_use_the_same_product_id(self, filled):
            await filled.upsert([replace(FOREIGN, product_id=HEADPHONES.product_id)])
            assert (await filled.search(SearchRequest(tenant_id=OTHER_TENANT))).total == 2
            assert await found(filled, "WH-1000") == [HEADPHONES.name]

    class TestFilters:
        @pytest.mark.parametrize(
            ("filters", "expected"),
            [
                (Filters(category_path=("audio",)), [HEADPHONES, EARBUDS, SPEAKER]),
                (Filters(category_path=("audio", "speakers")), [SPEAKER]),
                (Filters(category_path=("headphones",)), []),
                (Filters(brands=("Sony", "Jabra")), [HEADPHONES, EARBUDS, SPEAKER]),
                (Filters(price=PriceRange(7_900, 12_000)), [EARBUDS, SPEAKER]),
                (Filters(price=PriceRange(None, 7_900)), [EARBUDS]),
                (Filters(price=PriceRange(13_000)), [HEADPHONES, THINKPAD]),
                (Filters(price=PriceRange(0, None, "USD")), []),
                (Filters(in_stock=True), [HEADPHONES, SPEAKER, THINKPAD]),
                (Filters(in_stock=False), [EARBUDS, BRUSH]),
                (Filters(minimum_rating=4.0), [HEADPHONES, THINKPAD]),
                (Filters(store_id=STORE), [HEADPHONES]),
                (Filters(attributes=(AttributeIn("colour", ("White", "Green")),)), [EARBUDS]),
                (Filters(attributes=(AttributeIn("noise_cancelling", (False,)),)), [EARBUDS]),
                (Filters(attributes=(AttributeIn("driver.size", (40,)),)), [HEADPHONES]),
                (Filters(attributes=(AttributeRange("driver.size", 12, 40.5),)), [HEADPHONES, EARBUDS]),
                (Filters(attributes=(AttributeRange("driver.size", 12.5, None),)), [HEADPHONES, SPEAKER]),
                (Filters(attributes=(AttributeRange("weight", -1e30, 254.5),)), [HEADPHONES]),
                (Filters(attributes=(AttributeRange("weight"),)), [HEADPHONES]),
                (Filters(attributes=(AttributeIn("nothing has it", ("x",)),)), []),
                (Filters(brands=("Sony",), in_stock=True, category_path=("audio", "headphones")), [HEADPHONES]),
                (Filters(brands=('"] OR tenant != "',)), []),
            ],
        )
        async def test_keep_what_fulfils_all(self, catalogue, filters, expected):
            assert set(await found(catalogue, filters=filters)) == {each.name for each in expected}

        async def test_apply_to_queries_too(self, catalogue):
            assert await found(catalogue, "wireless", filters=Filters(in_stock=False)) == [EARBUDS.name]

    class TestSorting:
        @pytest.mark.parametrize(
            ("sort", "expected"),
            [
                (Sort.PRICE_ASC, [EARBUDS, SPEAKER, HEADPHONES, THINKPAD]),
                (Sort.PRICE_DESC, [THINKPAD, HEADPHONES, SPEAKER, EARBUDS]),
                (Sort.RATING, [HEADPHONES, THINKPAD, EARBUDS]),
                (Sort.NEWEST, [HEADPHONES, EARBUDS]),
                (Sort.POPULARITY, [SPEAKER, HEADPHONES]),
            ],
        )
        async def test_puts_missing_values_last(self, catalogue, sort, expected):
            assert (await found(catalogue, sort=sort))[: len(expected)] == [each.name for each in expected]

        async def test_pages_without_gap_or_repeat(self, catalogue):
            pages = [await found(catalogue, sort=Sort.PRICE_ASC, offset=offset, limit=2) for offset in (0, 2, 4, 6)]
            assert [len(page) for page in pages] == [2, 2, 1, 0]
            assert len({name for page in pages for name in page}) == 5

    class TestFacets:
        async def test_count_everything(self, catalogue):
            facets = (await catalogue.search(SearchRequest(tenant_id=TENANT, facets=frozenset(Facet)))).facets
            assert facets.categories[0] == FacetCount("audio", 3, ("audio",))
            assert FacetCount("headphones", 2, ("audio", "headphones")) in facets.categories
            assert FacetCount("Sony", 2) in facets.brands
            assert facets.prices == (
                PriceBand(5_000, 10_000, 1),
                PriceBand(10_000, 20_000, 1),
                PriceBand(20_000, 50_000, 1),
                PriceBand(100_000, 200_000, 1),
            )
            assert (facets.in_stock, facets.out_of_stock) == (3, 2)
            assert [(band.minimum, band.count) for band in facets.ratings] == [(5, 0), (4, 2), (3, 3), (2, 3), (1, 3)]
            assert facets.attributes[0].name == "colour"
            assert facets.attributes[0].values == (FacetCount("Black", 3), FacetCount("White", 1))

        async def test_count_named_attributes_with_their_range(self, catalogue):
            request = SearchRequest(
                tenant_id=TENANT, facets=frozenset({Facet.ATTRIBUTES}), facet_attributes=("driver.size", "none")
            )
            size, none = (await catalogue.search(request)).facets.attributes
            assert (size.name, size.minimum, size.maximum) == ("driver.size", 12.0, 90.0)
            assert {value.value: value.count for value in size.values} == {"12": 1, "40": 1, "90": 1}
            assert (none.name, none.values, none.minimum) == ("none", (), None)

        async def test_count_only_what_matches(self, catalogue):
            request = SearchRequest(
                tenant_id=TENANT, query="wireless", filters=Filters(in_stock=True), facets=frozenset({Facet.BRAND})
            )
            assert (await catalogue.search(request)).facets.brands == (FacetCount("Sony", 1),)

        async def test_without_hits_answer_a_limit_of_zero(self, catalogue):
            result = await catalogue.search(
                SearchRequest(tenant_id=TENANT, limit=0, facets=frozenset({Facet.IN_STOCK}))
            )
            assert (result.hits, result.total, result.facets.in_stock) == ((), 5, 3)

        async def test_hold_nothing_that_was_not_asked_for(self, catalogue):
            facets = (await catalogue.search(SearchRequest(tenant_id=TENANT))).facets
            assert (facets.brands, facets.in_stock, facets.ratings) == ((), None, ())

    class TestCompletions:
        async def test_go_on_with_words_and_products(self, catalogue):
            completions = await catalogue.autocomplete(TENANT, "wireless hea")
            assert (completions[0].text, completions[0].kind) == ("wireless headphones", CompletionKind.QUERY)
            assert HEADPHONES.product_id in [each.product_id for each in completions]

        async def test_speak_the_language_asked_for(self, catalogue):
            texts = [each.text for each in await catalogue.autocomplete(TENANT, "науш", language="ru")]
            assert texts == ["наушники", "Беспроводные наушники WH-1000"]

        @pytest.mark.parametrize(("prefix", "limit"), [("", 10), ("   ", 10), ("!?", 10), ("wire", 0), ("wire", -3)])
        async def test_are_none_for_nothing(self, catalogue, prefix, limit):
            assert await catalogue.autocomplete(TENANT, prefix, limit) == []

        async def test_are_ten_at_most(self, engine):
            await engine.upsert([product(f"Panel {word}") for word in "abcdefghijklmnop"])
            assert len(await engine.autocomplete(TENANT, "pan", 500)) == 10

        async def test_refuse_what_cannot_be_searched(self, catalogue):
            with pytest.raises(InvalidInput):
                await catalogue.autocomplete(TENANT, "a\0b")

        async def test_suggest_related_queries(self, catalogue):
            suggestions = await catalogue.suggest(TENANT, "speaker")
            assert "speaker bluetooth" in suggestions.related

    class TestWriting:
        async def test_an_empty_index_answers(self, engine):
            assert (await engine.search(SearchRequest(tenant_id=TENANT, query="x", facets=frozenset(Facet)))).total == 0
            assert await engine.autocomplete(TENANT, "x") == []
            assert (await engine.status()).state is IndexState.EMPTY

        async def test_replaces_a_document(self, filled):
            await filled.upsert([replace(SPEAKER, name="Gramophone")])
            assert await found(filled, "bluetooth") == []
            result = await filled.search(SearchRequest(tenant_id=TENANT, query="gramophone"))
            assert [hit.product_id for hit in result.hits] == [SPEAKER.product_id]
            assert (await filled.status()).documents == 6

        async def test_the_last_of_two_versions_in_one_call_stays(self, engine):
            await engine.upsert(
                [product("Old", product_id=product_id("x")), product("New", product_id=product_id("x"))]
            )
            assert (await engine.search(SearchRequest(tenant_id=TENANT))).total == 1
            assert (await engine.search(SearchRequest(tenant_id=TENANT, query="new"))).total == 1

        async def test_removes(self, filled):
            await filled.remove(TENANT, [HEADPHONES.product_id, product_id("never was")])
            assert HEADPHONES.name not in await found(filled)
            assert (await filled.status()).documents == 5

        async def test_changes_parts_and_tells_what_is_missing(self, filled):
            unknown = product_id("unknown")
            missing = await filled.update_partial(
                TENANT,
                [
                    ProductChange(product_id=EARBUDS.product_id, in_stock=True, price_minor=6_500),
                    ProductChange(product_id=EARBUDS.product_id, rating=5.0),
                    ProductChange(product_id=unknown, in_stock=True),
                ],
            )
            assert missing == [unknown]
            kept = Filters(
                in_stock=True,
                price=PriceRange(6_500, 6_500),
                minimum_rating=5.0,
                attributes=(AttributeIn("colour", ("White",)),),
            )
            assert await found(filled, "earbuds", filters=kept) == [EARBUDS.name]

        async def test_of_nothing_is_nothing(self, filled):
            await filled.upsert([])
            await filled.remove(TENANT, [])
            assert await filled.update_partial(TENANT, []) == []
            assert (await filled.status()).documents == 6

        async def test_serves_concurrent_callers(self, engine):
            await asyncio.gather(*(engine.upsert([product(f"Lamp {number}")]) for number in range(40)))
            assert (await engine.search(SearchRequest(tenant_id=TENANT, query="lamp"))).total == 40

    class TestRebuilding:
        async def test_replaces_everything(self, filled):
            assert await filled.rebuild(streamed([product("Only One"), FOREIGN])) == 2
            assert (await filled.search(SearchRequest(tenant_id=TENANT))).total == 1
            assert (await filled.status()).documents == 2
            await filled.upsert([product("And Another")])
            assert (await filled.search(SearchRequest(tenant_id=TENANT))).total == 2

        async def test_keeps_what_is_written_meanwhile(self, filled):
            async def slowly():
                yield HEADPHONES
                await filled.upsert([product("Newcomer")])
                await filled.remove(TENANT, [SPEAKER.product_id])
                await filled.update_partial(TENANT, [ProductChange(product_id=EARBUDS.product_id, price_minor=1)])
                assert await found(filled, "thinkpad") == [THINKPAD.name]
                yield SPEAKER
                yield EARBUDS

            await filled.rebuild(slowly())
            assert set(await found(filled)) == {HEADPHONES.name, EARBUDS.name, "?"}
            assert await found(filled, filters=Filters(price=PriceRange(1, 1))) == [EARBUDS.name]

        async def test_comes_first_and_keeps_what_is_written_meanwhile(self, engine):
            async def slowly():
                yield HEADPHONES
                await engine.upsert([EARBUDS])
                yield HEADPHONES

            await engine.rebuild(slowly())
            assert set(await found(engine)) == {HEADPHONES.name, EARBUDS.name}
            await engine.upsert([SPEAKER])
            assert len(await found(engine)) == 3

        async def test_that_fails_changes_nothing(self, filled):
            async def failing():
                yield product("Only One")
                raise ConnectionResetError

            with pytest.raises(ConnectionResetError):
                await filled.rebuild(failing())
            assert await found(filled, "thinkpad") == [THINKPAD.name]
            assert (await filled.status()).documents == 6
            assert await filled.rebuild(streamed(CATALOGUE)) == 6

    class TestSettings:
        async def test_add_synonyms(self, filled):
            settings = await filled.settings()
            await filled.configure(replace(settings, synonyms=(*settings.synonyms, ("boombox", "speaker"))))
            assert await found(filled, "boombox") == [SPEAKER.name]
