import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.kernel import InvalidInput
from domain.search import (
    AttributeIn,
    AttributeRange,
    Facet,
    Filters,
    IndexIsWrittenElsewhere,
    IndexNeedsRebuild,
    IndexState,
    PriceRange,
    SearchRequest,
    Sort,
)
from search.embedded import EmbeddedSearchEngine
from search.settings import DEFAULTS
from tests.search.catalogue import CATALOGUE, EARBUDS, HEADPHONES, SPEAKER, TENANT, product, streamed
from tests.search.contract import SearchEngineContract

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def engine(tmp_path):
    engine = EmbeddedSearchEngine(tmp_path / "index")
    yield engine
    await engine.close()


@pytest.fixture
async def filled(engine):
    await engine.upsert(CATALOGUE)
    return engine


@pytest.fixture(scope="module")
async def catalogue(tmp_path_factory):
    engine = EmbeddedSearchEngine(tmp_path_factory.mktemp("catalogue") / "index")
    await engine.upsert(CATALOGUE)
    yield engine
    await engine.close()


async def total(engine, query="", **wanted):
    return (await engine.search(SearchRequest(tenant_id=TENANT, query=query, **wanted))).total


class TestEmbedded(SearchEngineContract):
    pass


class TestCorrections:
    async def test_name_the_query_that_was_searched(self, catalogue):
        result = await catalogue.search(SearchRequest(tenant_id=TENANT, query="Sony hedphones"))
        assert result.corrected_query == "sony headphones"

    @pytest.mark.parametrize("query", ["headphones", "headph", "sony", "naushniki", "x1", ""])
    async def test_leave_known_words_alone(self, catalogue, query):
        assert (await catalogue.search(SearchRequest(tenant_id=TENANT, query=query))).corrected_query is None

    async def test_leave_short_words_and_model_numbers_alone(self, catalogue):
        assert await total(catalogue, "wh-1001x") == await total(catalogue, "wh")
        assert await total(catalogue, "sny") == 0

    async def test_split_and_join_words(self, engine):
        await engine.upsert([product("Power Bank 20000"), product("PlayStation Console")])
        assert await total(engine, "powerbanks") == 1
        assert await total(engine, "play station") == 1

    async def test_are_suggested(self, catalogue):
        assert (await catalogue.suggest(TENANT, "blutooth")).did_you_mean == "bluetooth"

    async def test_complete_a_misspelled_beginning(self, catalogue):
        assert (await catalogue.autocomplete(TENANT, "blutoo"))[0].text == "bluetooth"


class TestMeasures:
    @pytest.mark.parametrize("query", ['15.6"', "15,6 inch", "512gb", "512 GB"])
    async def test_are_found_in_any_spelling(self, filled, query):
        await filled.upsert([product("Laptop 512 piece puzzle 15 6")])
        result = await filled.search(SearchRequest(tenant_id=TENANT, query=query))
        assert result.hits[0].product_id == CATALOGUE[3].product_id


class TestPopularity:
    async def test_lifts_equals_and_is_neutral_at_zero(self, engine):
        await engine.upsert(
            [
                product("Lamp", product_id=HEADPHONES.product_id),
                product("Lamp", product_id=SPEAKER.product_id, popularity=1_000.0),
            ]
        )
        popular, plain = (await engine.search(SearchRequest(tenant_id=TENANT, query="lamp"))).hits
        assert popular.product_id == SPEAKER.product_id
        assert popular.score == pytest.approx(plain.score * 1.3, rel=1e-3)


class TestCategoryWeights:
    async def test_turn_the_order(self, catalogue):
        plain = await catalogue.search(SearchRequest(tenant_id=TENANT, query="sony"))
        speakers, headphones = {("audio", "speakers"): 50.0}, {("audio", "headphones"): 50.0}
        first = [
            (await catalogue.search(SearchRequest(tenant_id=TENANT, query="sony", category_weights=weights)))
            .hits[0]
            .product_id
            for weights in (speakers, headphones)
        ]
        assert first == [SPEAKER.product_id, HEADPHONES.product_id]
        assert {hit.product_id for hit in plain.hits} == set(first)


class TestAccessories:
    async def test_come_after_what_they_are_for(self, engine):
        await engine.upsert([product("Camera Bag"), product("Kodak Sports Camera Waterproof")])
        first = (await engine.search(SearchRequest(tenant_id=TENANT, query="camera"))).hits[0]
        assert first.product_id == product("Kodak Sports Camera Waterproof").product_id
        first = (await engine.search(SearchRequest(tenant_id=TENANT, query="camera bag"))).hits[0]
        assert first.product_id == product("Camera Bag").product_id


class TestWideningFacets:
    async def test_ignore_their_own_filter_only(self, catalogue):
        filters = Filters(brands=("Sony",), attributes=(AttributeIn("colour", ("Black",)),))
        wanted = SearchRequest(
            tenant_id=TENANT,
            filters=filters,
            facets=frozenset({Facet.BRAND, Facet.ATTRIBUTES, Facet.IN_STOCK}),
            facet_attributes=("colour",),
            widening_facets=True,
        )
        facets = (await catalogue.search(wanted)).facets
        assert {each.value: each.count for each in facets.brands} == {"Sony": 2, "Lenovo": 1}
        assert {each.value: each.count for each in facets.attributes[0].values} == {"Black": 2}
        assert (facets.in_stock, facets.out_of_stock) == (2, 0)


class TestReaders:
    async def test_in_other_processes_see_commits_swaps_and_settings(self, filled, tmp_path):
        reader = EmbeddedSearchEngine(tmp_path / "index", writable=False)
        assert await total(reader, "headphones") == 2
        await filled.upsert([product("Headphones Two")])
        assert await total(reader, "headphones") == 3
        await filled.rebuild(streamed([HEADPHONES]))
        assert await total(reader) == 1
        await reader.close()

    async def test_do_not_write(self, filled, tmp_path):
        reader = EmbeddedSearchEngine(tmp_path / "index", writable=False)
        with pytest.raises(IndexIsWrittenElsewhere):
            await reader.upsert([EARBUDS])
        assert await total(reader) == 5
        await reader.close()

    async def test_may_come_before_the_writer(self, engine, tmp_path):
        reader = EmbeddedSearchEngine(tmp_path / "index", writable=False)
        assert await total(reader) == 0
        await engine.upsert([EARBUDS])
        assert await total(reader) == 1
        await reader.close()


class TestOneWriter:
    async def test_refuses_a_second_until_it_closes(self, filled, tmp_path):
        second = EmbeddedSearchEngine(tmp_path / "index")
        with pytest.raises(IndexIsWrittenElsewhere):
            await second.upsert([product("Intruder")])
        assert await total(second, "intruder") == 0
        await filled.close()
        await second.upsert([product("Successor")])
        assert await total(second, "successor") == 1
        await second.close()


class TestCrashes:
    def test_lose_nothing_that_was_acknowledged(self, tmp_path):
        script = textwrap.dedent("""
            import asyncio, sys
            from pathlib import Path
            from search.embedded import EmbeddedSearchEngine
from search.settings import DEFAULTS
            from tests.search.catalogue import product

            async def write():
                engine = EmbeddedSearchEngine(Path(sys.argv[1]))
                for number in range(100_000):
                    await engine.upsert([product(f"Item {number}")])
                    print(number, flush=True)

            asyncio.run(write())
        """)
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "index")], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        acknowledged = [process.stdout.readline() for _ in range(25)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        count = len([line for line in acknowledged if line.endswith("\n")])

        async def look() -> tuple[int, int]:
            engine = EmbeddedSearchEngine(tmp_path / "index")
            before = await total(engine)
            await engine.upsert([product("After The Crash")])
            after = await total(engine)
            await engine.close()
            return before, after

        before, after = asyncio.run(look())
        assert before >= count
        assert after == before + 1

    async def test_in_a_rebuild_leave_the_old_index_and_no_rubbish(self, filled, tmp_path):
        await filled.close()
        (tmp_path / "index" / "generation-abandoned").mkdir()
        engine = EmbeddedSearchEngine(tmp_path / "index")
        await engine.upsert([product("Next")])
        assert await total(engine) == 6
        assert len(list((tmp_path / "index").glob("generation-*"))) == 1
        await engine.close()


class TestDamage:
    @pytest.fixture
    async def home(self, filled, tmp_path):
        await filled.close()
        return tmp_path / "index"

    @staticmethod
    def lose_segments(home):
        for file in home.glob("generation-*/*.term"):
            file.write_bytes(b"")

    @staticmethod
    def break_meta(home):
        next(home.glob("generation-*/meta.json")).write_text("{")

    @staticmethod
    def break_pointer(home):
        (home / "current.json").write_text("[]")

    @staticmethod
    def lose_generation(home):
        for folder in home.glob("generation-*"):
            folder.rename(home / "elsewhere")

    @staticmethod
    def become_older(home):
        pointer = home / "current.json"
        pointer.write_text(pointer.read_text().replace('"layout":"', '"layout":"0.'))

    @pytest.mark.parametrize("damage", [lose_segments, break_meta, break_pointer, lose_generation, become_older])
    async def test_is_reported_and_healed_by_a_rebuild(self, home, damage):
        damage(home)
        engine = EmbeddedSearchEngine(home)
        status = await engine.status()
        assert status.state is IndexState.NEEDS_REBUILD
        assert status.reason
        with pytest.raises(IndexNeedsRebuild):
            await engine.search(SearchRequest(tenant_id=TENANT))
        with pytest.raises(IndexNeedsRebuild):
            await engine.upsert([EARBUDS])
        assert await engine.rebuild(streamed(CATALOGUE)) == 6
        assert (await engine.status()).state is IndexState.READY
        assert await total(engine) == 5
        await engine.upsert([product("Later")])
        assert await total(engine) == 6
        await engine.close()


class TestUnreadableSettings:
    async def test_give_way_to_the_defaults(self, filled, tmp_path):
        (tmp_path / "index" / "settings.json").write_text("{}")
        assert await total(filled, "notebook") == 1
        (tmp_path / "index" / "settings.json").write_text("{")
        assert await filled.settings() == DEFAULTS


class TestFailedWrites:
    async def test_of_one_caller_do_not_hurt_another(self, engine):
        bad = product("Bad \ud800", product_id=EARBUDS.product_id)
        outcomes = await asyncio.gather(engine.upsert([product("Good")]), engine.upsert([bad]), return_exceptions=True)
        assert outcomes[0] is None
        assert isinstance(outcomes[1], InvalidInput)
        assert await total(engine) == 1


WORDS = st.text(max_size=60).filter(lambda text: "\0" not in text)
NUMBERS = st.none() | st.integers(-(2**62), 2**62)
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
ATTRIBUTES = st.one_of(
    st.builds(
        AttributeIn,
        WORDS,
        st.lists(st.one_of(WORDS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False)), max_size=3).map(
            tuple
        ),
    ),
    st.builds(
        AttributeRange,
        st.sampled_from(["driver.size", "colour", "weight", "noise_cancelling", ""]) | WORDS,
        FLOATS,
        FLOATS,
    ),
)
FILTERS = st.builds(
    Filters,
    category_path=st.lists(WORDS, max_size=2).map(tuple),
    brands=st.lists(WORDS, max_size=2).map(tuple),
    price=st.none() | st.builds(PriceRange, NUMBERS, NUMBERS, st.sampled_from(["", "EUR", "x"])),
    attributes=st.lists(ATTRIBUTES, max_size=2).map(tuple),
    in_stock=st.none() | st.booleans(),
    minimum_rating=FLOATS,
)
ANYTHING = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    home = tmp_path_factory.mktemp("fuzz") / "index"

    async def fill():
        engine = EmbeddedSearchEngine(home)
        await engine.upsert(CATALOGUE)
        await engine.close()

    asyncio.run(fill())
    return home


def ask(home, question):
    async def answer():
        engine = EmbeddedSearchEngine(home, writable=False)
        try:
            return await question(engine)
        finally:
            await engine.close()

    return asyncio.run(answer())


class TestAnyInput:
    @ANYTHING
    @given(
        query=st.text(max_size=200),
        sort=st.sampled_from(Sort),
        offset=st.integers(-5, 20_000),
        limit=st.integers(-5, 200),
    )
    def test_of_a_request_is_answered_or_refused(self, shared, query, sort, offset, limit):
        try:
            request = SearchRequest(
                tenant_id=TENANT, query=query, sort=sort, offset=offset, limit=limit, facets=frozenset(Facet)
            )
        except InvalidInput:
            return
        result = ask(shared, lambda engine: engine.search(request))
        assert 0 <= result.total <= 5
        assert len(result.hits) <= limit

    @ANYTHING
    @given(filters=FILTERS, widening=st.booleans())
    def test_of_filters_is_answered_or_refused(self, shared, filters, widening):
        try:
            request = SearchRequest(
                tenant_id=TENANT, filters=filters, facets=frozenset(Facet), widening_facets=widening
            )
        except InvalidInput:
            return
        assert 0 <= ask(shared, lambda engine: engine.search(request)).total <= 5

    @ANYTHING
    @given(text=st.text(max_size=100))
    def test_of_a_prefix_is_answered_or_refused(self, shared, text):
        try:
            completions = ask(shared, lambda engine: engine.autocomplete(TENANT, text))
            ask(shared, lambda engine: engine.suggest(TENANT, text))
        except InvalidInput:
            return
        assert len(completions) <= 10

    @settings(max_examples=20, deadline=None)
    @given(
        name=st.text(max_size=80),
        attributes=st.dictionaries(
            st.text(max_size=20),
            st.one_of(st.text(max_size=150), st.booleans(), st.floats(), st.integers()),
            max_size=4,
        ),
        price=st.integers(),
    )
    def test_of_a_document_is_indexed_or_refused(self, tmp_path_factory, name, attributes, price):
        async def write():
            engine = EmbeddedSearchEngine(tmp_path_factory.mktemp("any") / "index")
            try:
                await engine.upsert(
                    [product(name, product_id=EARBUDS.product_id, attributes=attributes, price_minor=price)]
                )
                assert await total(engine, facets=frozenset(Facet)) == 1
            except InvalidInput:
                assert await total(engine) == 0
            finally:
                await engine.close()

        asyncio.run(write())
