"""Parts that are killed under load: the rest answers, with typed errors where it cannot, and nothing is lost."""

from pathlib import Path

import pytest

from benchmarks._outages import MASKED, PARTS, Town, live_through, town

SHOPPERS, AWAY_SECONDS = 4, 1.0


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_every_error_says_what_it_is(tmp_path: Path) -> None:
    async with town(tmp_path) as made:
        outages = await live_through(made, PARTS, SHOPPERS, AWAY_SECONDS)
        assert [each.part for each in outages] == list(PARTS)
        assert await made.contradictions() == []
        assert masked(made) == []
        assert [each.refusals for each in made.shoppers] == [[]] * SHOPPERS
        assert sum(len(each.orders) for each in made.shoppers) > SHOPPERS


def masked(made: Town) -> list[tuple[str, ...]]:
    return [each.codes for each in (*made.looks, *made.purchases) if each.what == MASKED]
