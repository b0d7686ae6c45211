import asyncio
from dataclasses import dataclass, field

import pytest

from domain.search import (
    CircuitBreaker,
    Completion,
    CompletionKind,
    IndexState,
    IndexStatus,
    SearchRequest,
    SearchResult,
    SearchUnavailable,
    Suggestions,
)
from search.fallback import FallbackSearchEngine
from tests.search.catalogue import EARBUDS, TENANT

REQUEST = SearchRequest(tenant_id=TENANT)


@dataclass
class Engine:
    """A search engine in a dictionary, which can be told to fail or to hang."""

    total: int
    failing: bool = False
    state: IndexState = IndexState.READY
    hanging: bool = False
    documents: dict = field(default_factory=dict)
    asked: int = 0

    async def search(self, request):
        await self._answer()
        return SearchResult(total=self.total)

    async def autocomplete(self, tenant_id, prefix, limit=10, language=""):
        await self._answer()
        return [Completion(f"{prefix} {self.total}", CompletionKind.QUERY, 1)]

    async def suggest(self, tenant_id, query, limit=5):
        await self._answer()
        return Suggestions(did_you_mean=f"{query} {self.total}")

    async def upsert(self, documents):
        await self._answer()
        self.documents |= {each.product_id: each for each in documents}

    async def status(self):
        return IndexStatus(engine="dictionary", state=self.state)

    async def close(self):
        self.total = -1

    async def _answer(self):
        self.asked += 1
        if self.failing:
            raise SearchUnavailable("told to")
        if self.hanging:
            await asyncio.sleep(10)


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(clock):
    breaker = CircuitBreaker(failures_to_open=2, cool_down_seconds=10)
    return FallbackSearchEngine(Engine(1), Engine(2), breaker, patience_seconds=0.01, clock=clock)


class TestFallback:
    async def test_is_not_asked_while_the_engine_answers(self, engine):
        assert (await engine.search(REQUEST)).total == 1
        assert engine.secondary.asked == 0

    async def test_answers_when_the_engine_fails(self, engine):
        engine.primary.failing = True
        assert (await engine.search(REQUEST)).total == 2
        assert (await engine.autocomplete(TENANT, "x"))[0].text == "x 2"
        assert (await engine.suggest(TENANT, "x")).did_you_mean == "x 2"

    async def test_answers_when_the_engine_is_slow(self, engine):
        engine.primary.hanging = True
        assert (await engine.search(REQUEST)).total == 2

    async def test_spares_an_engine_that_keeps_failing(self, engine):
        engine.primary.failing = True
        for _ in range(5):
            await engine.search(REQUEST)
        assert engine.primary.asked == 2
        assert (await engine.status()).reason == "answered by the fallback"

    async def test_goes_back_once_the_engine_recovers(self, engine, clock):
        engine.primary.failing = True
        for _ in range(3):
            await engine.search(REQUEST)
        engine.primary.failing = False
        clock.seconds = 10.0
        assert [(await engine.search(REQUEST)).total for _ in range(2)] == [1, 1]
        assert (await engine.status()).reason == ""

    async def test_never_hides_that_a_write_failed(self, engine):
        engine.primary.failing = True
        with pytest.raises(SearchUnavailable):
            await engine.upsert([EARBUDS])
        assert engine.secondary.documents == {}

    async def test_is_asked_when_nothing_was_ever_indexed(self, engine):
        engine.primary.total, engine.primary.state = 0, IndexState.EMPTY
        assert (await engine.search(REQUEST)).total == 2

    async def test_is_not_asked_when_an_index_finds_nothing(self, engine):
        engine.primary.total = 0
        assert (await engine.search(REQUEST)).total == 0
        assert engine.secondary.asked == 0

    async def test_is_left_open_to_whoever_made_it(self, engine):
        await engine.close()
        assert (engine.primary.total, engine.secondary.total) == (-1, 2)
