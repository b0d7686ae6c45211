"""Buyers at four server processes of one database: of what there is one of, one of them gets it."""

from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from benchmarks._buyers import open_bazaar
from benchmarks._races import RACES, Crowd, Race, crowd
from benchmarks._system import Agora, attached

SERVERS, BUYERS, REPETITIONS = 4, 16, 2


@pytest.fixture(scope="module")
async def buyers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    home = tmp_path_factory.mktemp("races")
    with ExitStack() as stack:
        first = stack.enter_context(Agora(home, "--no-worker"))
        more = [stack.enter_context(attached(home, place)) for place in range(1, SERVERS)]
        async with crowd([first, *more], await open_bazaar(first), BUYERS) as gathered:
            yield gathered


@pytest.mark.parametrize("race", RACES.values(), ids=lambda race: race.__name__)
async def test_gives_the_last_one_once_and_tells_the_others_why(buyers: Crowd, race: Race) -> None:
    for number in range(REPETITIONS):
        ran = await race(buyers, f"{number:02d}")
        assert ran.wrong == [], ran.told
