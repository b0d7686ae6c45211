"""Breadth-first and depth-first execution of the whole graph give the same answers, on a real shop."""

import asyncio
import gc
import logging
import os
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import asyncpg
import pytest
from graphql import OperationType
from sqlalchemy import make_url

from data.database import asyncpg_url
from data.migrations import upgrade
from domain.discovery import SearchLog
from domain.kernel import AlreadyExists, Forbidden, InvalidStateTransition
from schema.kernel import COMMON_ERRORS
from server.services import Services, open_services
from server.settings import Settings
from tests.schema.fuzz.failing import FailingReads, Snapshot
from tests.schema.fuzz.furnishing import furnish
from tests.schema.fuzz.generating import CURSORS, MEASURED, cursor_variables, cursors_in, generator
from tests.schema.fuzz.shop import FERNHILL, QUARRYBANK, Shop, all_ids, context_of, fill, survey
from tests.schema.fuzz.twins import Names
from tests.schema.supergraph.operations import Operation, differences

# graphql-core cancels the siblings of a failed non-null field before some of their coroutines ever started.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
OPERATIONS = int(os.environ.get("AGORA_FUZZ", "240"))
SEEDS = 8
SECONDS = 60
QUIET_SECONDS = 1.0
"""After which a subscription has nothing more to say; those that watch for changes never end."""
PEOPLE = ("guest", "buyer", "seller", "admin", "admin", "platform", "platform", "platform")
LOCALES = ("en", "ru", "fr-CA", "de")


class Unlogged:
    """A search log that forgets, so that a search changes nothing that a later one could read."""

    def note(self, search: Any) -> None:
        del search


@dataclass
class Ground:
    """The shop in a database of its own, which both executions read and clones of which they change."""

    url: str
    settings: Settings
    shop: Shop
    neighbour: Shop
    cursors: dict[str, list[str]] = field(default_factory=dict)

    def generator(self, graph: Any, random: Random, *kinds: OperationType, **options: Any) -> Any:
        return generator(
            graph._schema, self.shop, self.neighbour, self.cursors, random,
            kinds=kinds, skip=lambda *place: place in MEASURED, **options,
        )  # fmt: skip


def database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def create_database(url: str, name: str, template: str = "template0") -> str:
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return database(url, name)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings, writes_index=True) as services:
        services.by_port[SearchLog] = Unlogged()
        yield services


@pytest.fixture(scope="module")
async def ground(engines: Any, supergraph: Any, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    url = await create_database(engines.database_url, "fuzz")
    upgrade(url)
    home = tmp_path_factory.mktemp("fuzz")
    settings = Settings(
        home=home,
        database_url=url,
        redis_url=engines.redis_url,
        secret_key="long enough for a test " * 2,
        telegram_bot_token="1234:a bot",
    )
    async with opened(settings) as services:
        await fill(services)
        await furnish(supergraph, services, await survey(url, FERNHILL), url)
        made = Ground(url, settings, await survey(url, FERNHILL), await survey(url, QUARRYBANK))
        made.cursors = await known_cursors(supergraph, services, made.shop)
    return made


async def known_cursors(graph: Any, services: Services, shop: Shop) -> dict[str, list[str]]:
    context = context_of(services, shop, "admin")
    try:
        result = await graph.execute(CURSORS, cursor_variables(shop), context)
    finally:
        await context.reads.close()
    assert not result.errors, result.errors
    return cursors_in(result.data)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Any:
    """Thousands of errors are provoked here on purpose; none of them is news."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def swept() -> Any:
    """The coroutines that graphql-core never started are swept while the marks above still speak for them."""
    yield
    gc.collect()


async def execute(graph: Any, operation: Operation, context: Any) -> Any:
    async with asyncio.timeout(SECONDS):
        return await graph.execute(operation.document, operation.variables, context)


def explained(operation: Operation, found: list[str], person: str) -> str:
    return "\n".join([person, operation.document, str(operation.variables), *found])


class TestQueries:
    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_are_answered_like_graphql_core_from_one_snapshot(
        self, ground: Ground, supergraph: Any, seed: int
    ) -> None:
        random, outcomes = Random(seed), Counter[str]()
        graphs = supergraph, supergraph.depth_first()
        made = ground.generator(supergraph, random, OperationType.QUERY)
        async with opened(ground.settings) as services:
            for number, operation in enumerate(made.operations(OPERATIONS // SEEDS)):
                person, locale = random.choice(PEOPLE), random.choice(LOCALES)
                snapshot = Snapshot(services.database.snapshots, ground.shop.tenant_id)
                reads = FailingReads(snapshot, number) if random.random() < 0.3 else snapshot
                context = partial(context_of, services, ground.shop, person, reads=reads, locale=locale)
                try:
                    ours, theirs = [await execute(graph, operation, context()) for graph in graphs]
                finally:
                    await snapshot.end()
                outcomes["answered" if ours.data else "refused"] += 1
                found = differences(ours, theirs)
                assert not found, explained(operation, found, person)
        assert outcomes["answered"] > 0, outcomes


class TestSubscriptions:
    async def test_send_the_same_events_as_graphql_core(self, ground: Ground, supergraph: Any) -> None:
        random, outcomes = Random(0), Counter[int]()
        made = ground.generator(supergraph, random, OperationType.SUBSCRIPTION)
        async with opened(ground.settings) as services:
            for operation in made.operations(OPERATIONS // 10):
                person = random.choice(PEOPLE)
                both = (supergraph, supergraph.depth_first())
                received = await asyncio.gather(
                    *(heard(graph, operation, services, ground.shop, person) for graph in both)
                )
                outcomes[sum(1 for event in received[0] if event.data)] += 1
                for ours, theirs in zip(*received, strict=True):
                    found = differences(ours, theirs)
                    assert not found, explained(operation, found, person)
        assert outcomes[1] > 0, outcomes


class TestMutations:
    """Each execution changes a clone of its own; ids made on the way and the database's own clock are told apart."""

    @pytest.mark.parametrize("seed", range(2))
    async def test_are_answered_like_graphql_core_by_equal_clones(
        self, ground: Ground, engines: Any, supergraph: Any, seed: int
    ) -> None:
        since, shared = datetime.now(UTC), await all_ids(ground.url)
        names = Names(shared, since), Names(shared, since)
        random, outcomes = Random(seed), Counter[str]()
        changes = ground.generator(supergraph, random, OperationType.MUTATION, fields=60)
        looks = ground.generator(supergraph, random, OperationType.QUERY, fields=25)
        async with AsyncExitStack() as stack:
            twins = [await stack.enter_async_context(clone(ground, engines, f"{seed}{side}")) for side in "ab"]
            for operation in mixed(changes, looks, OPERATIONS // 8):
                person, locale = random.choice(PEOPLE), random.choice(LOCALES)
                answers = []
                for graph, services in zip((supergraph, supergraph.depth_first()), twins, strict=True):
                    reads = Snapshot(services.database.snapshots, ground.shop.tenant_id)
                    try:
                        context = context_of(services, ground.shop, person, reads=reads, locale=locale)
                        answers.append(await execute(graph, operation, context))
                    finally:
                        await reads.end()
                ours, theirs = (name.plain(answer) for name, answer in zip(names, answers, strict=True))
                outcomes.update(members(ours.data))
                found = differences(ours, theirs)
                assert not found, explained(operation, found, person)
        changed = outcomes.keys() - REFUSALS
        assert len(changed) > 3, outcomes


REFUSALS = {each.__name__ for each in (*COMMON_ERRORS, Forbidden, InvalidStateTransition, AlreadyExists)}


def members(data: Any) -> list[str]:
    """Name the members of unions that the root fields answered."""
    return [each["__typename"] for each in (data or {}).values() if isinstance(each, dict) and "__typename" in each]


async def heard(graph: Any, operation: Operation, services: Services, shop: Shop, person: str) -> list[Any]:
    snapshot = Snapshot(services.database.snapshots, shop.tenant_id)
    try:
        return await events(graph, operation, context_of(services, shop, person, reads=snapshot))
    finally:
        await snapshot.end()


async def events(graph: Any, operation: Operation, context: Any) -> list[Any]:
    """Give the events until the last, or until nothing more comes: nobody changes anything here."""
    async with asyncio.timeout(SECONDS):
        stream = await graph.subscribe(operation.document, operation.variables, context)
    if not isinstance(stream, AsyncIterable):
        return [stream]
    received: list[Any] = []
    iterator: Any = aiter(stream)
    try:
        while True:
            async with asyncio.timeout(QUIET_SECONDS):
                received.append(await anext(iterator))
    except (StopAsyncIteration, TimeoutError):
        return received
    finally:
        await iterator.aclose()


def mixed(changes: Any, looks: Any, number: int) -> Iterator[Operation]:
    """Give four changes for every look at what they left."""
    looked = looks.operations(number)
    for place, change in enumerate(changes.operations(number)):
        yield change
        if place % 4 == 3:
            yield next(looked)


@asynccontextmanager
async def clone(ground: Ground, engines: Any, name: str) -> AsyncIterator[Services]:
    url = await create_database(engines.database_url, f"fuzz_{name}", "fuzz")
    home = ground.settings.home / name
    settings = ground.settings.model_copy(update={"database_url": url, "home": home})
    async with opened(settings) as services:
        yield services
