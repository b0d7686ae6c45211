"""A hundred followers of a server that crashes while people talk: each hears everything once, and in order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks._reconnecting import Faults, Party, live_through, own_valkey, party
from benchmarks._system import Agora

CLIENTS, CRASHES, BETWEEN = 100, 3, 25
CHATS_PER_SECOND, LINES_PER_SECOND = 10.0, 4.0
NOTHING = Faults(lost=0, repeated=0, disordered=0, foreign=0)


@pytest.fixture(scope="module")
async def gathered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Party, Any]]:
    home: Path = tmp_path_factory.mktemp("reconnecting")
    with own_valkey(home / "own-valkey") as (address, restart):
        keeper = Agora(home / "home")
        keeper.environment["AGORA_REDIS_URL"] = address
        with keeper:
            async with party(keeper, CLIENTS, CHATS_PER_SECOND, LINES_PER_SECOND) as made:
                yield made, restart


async def test_hears_everything_once_and_in_order_though_server_and_valkey_crash(gathered: tuple[Party, Any]) -> None:
    made, restart = gathered

    async def valkey_crashes() -> None:
        await asyncio.to_thread(restart)

    await live_through(made, [made.crash, valkey_crashes, *[made.crash] * (CRASHES - 1)], BETWEEN)
    assert made.talk.refused == []
    told = await made.committed()
    assert set(made.talk.said) == {body for heard in told.values() for _, body in heard}
    faults = await made.verdict()
    assert {who: each for who, each in faults.items() if each != NOTHING} == {}
    assert all(each.connections > CRASHES for each in made.followers)
