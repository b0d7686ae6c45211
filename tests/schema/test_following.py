"""Following topics, from the commit of a change to the value that a subscriber gets."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import Principal, Work, uuid7
from domain.topics import TopicEvent, followed
from resolvers.following import follow
from resolvers.kernel import Context, Feed
from server.services import Services
from tests.events import OpenTally, RaiseTally, open_tally, raise_tally


@followed("tally.raised", "tally.closed")
def tally_topics(aggregate_id: UUID, _data: Mapping[str, Any]) -> list[str]:
    return [f"tally:{aggregate_id}", "tallies"]


async def amounts(_context: Context, events: Sequence[TopicEvent]) -> list[tuple[int, str]]:
    return [(event.data["amount"], event.cursor) for event in events]


Following = Callable[[Feed], AsyncGenerator[Any]]


@pytest.fixture
async def context(services: Services, tenant_id: UUID, admin: Principal) -> AsyncIterator[Context]:
    reads = services.database.reads(tenant_id)
    yield Context(
        reads=reads,
        transactions=services.transactions,
        services=services.by_port,
        principal=admin,
        tenant_id=tenant_id,
    )
    await reads.end()


async def taken(values: AsyncGenerator[Any], count: int) -> list[Any]:
    return [await asyncio.wait_for(anext(values), 10) for _ in range(count)]


@pytest.mark.usefixtures("relay")
class TestFollowing:
    async def test_gives_what_happens_and_resumes_after_a_cursor_without_loss_or_repeat(
        self, services: Services, context: Context, work: Work
    ) -> None:
        tally_id = uuid7()
        await services.transactions.run(open_tally, OpenTally(amount=1, id=tally_id), work)
        feed = Feed(topics=[f"tally:{tally_id}", "tallies"], values=amounts, after="0")
        async with aclosing(follow(context, feed)) as values:
            ((one, cursor),) = await taken(values, 1)
            assert one == 1
            for amount in range(2, 12):
                await services.transactions.run(raise_tally, RaiseTally(id=tally_id, amount=amount), work)
            assert [amount for amount, _ in await taken(values, 10)] == list(range(2, 12))
        resumed = Feed(topics=[f"tally:{tally_id}"], values=amounts, after=cursor)
        async with aclosing(follow(context, resumed)) as values:
            assert [amount for amount, _ in await taken(values, 10)] == list(range(2, 12))
