"""Servers behind a balancer that are restarted one after the other: no request fails, and every socket resumes."""

from pathlib import Path

import pytest

from benchmarks._reconnecting import Faults
from benchmarks._rolling import COMPLETE, missing, restart_all, shift

CLIENTS, VISITORS = 60, 3
NOTHING = Faults(lost=0, repeated=0, disordered=0, foreign=0)


@pytest.mark.skipif(bool(missing()), reason=str(missing()))
@pytest.mark.timeout(300)
async def test_no_request_fails_and_every_socket_resumes(tmp_path: Path) -> None:
    async with shift(tmp_path, CLIENTS) as made:
        await restart_all(made, VISITORS)
        assert made.visits.told.keys() == {COMPLETE}
        assert made.party.talk.refused == []
        faults = await made.party.verdict()
        assert {who: each for who, each in faults.items() if each != NOTHING} == {}
        assert all(each.connections > 1 for each in made.party.followers)
