"""Password hashes."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters

from data.passwords import Argon2Cost, Argon2Hasher
from domain.kernel import Unavailable

CHEAP = Argon2Cost(memory_kib=64, passes=1)


@pytest.fixture
def hasher() -> Iterator[Argon2Hasher]:
    made = Argon2Hasher(CHEAP, threads=1, queue=2)
    yield made
    made.close()


class TestArgon2Hasher:
    async def test_verifies_what_it_hashed(self, hasher: Argon2Hasher) -> None:
        kept = await hasher.hash("correct horse")
        assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert await hasher.verify(kept, "correct horse")
        assert not await hasher.verify(kept, "Correct horse")

    async def test_fits_nothing_without_a_hash(self, hasher: Argon2Hasher) -> None:
        assert not await hasher.verify(None, "a password that nobody has")
        assert not await hasher.verify("not a hash", "anything")
        # An account that came by a provider has an empty one.
        assert not await hasher.verify("", "a password that nobody has")

    async def test_works_as_hard_without_a_hash_as_with_one(self) -> None:
        tried: list[str] = []

        class Watched(Argon2Hasher):
            def _fits(self, password_hash: str, password: str) -> bool:
                tried.append(password_hash)
                return super()._fits(password_hash, password)

        dear = Watched(Argon2Cost(memory_kib=8_192, passes=2), threads=1)
        kept = await dear.hash("correct horse")
        for each in (kept, None):
            assert not await dear.verify(each, "wrong")
        assert tried[0] == kept != tried[1]
        assert extract_parameters(tried[0]) == extract_parameters(tried[1])
        dear.close()

    async def test_knows_hashes_of_another_cost(self, hasher: Argon2Hasher) -> None:
        dearer = Argon2Hasher(Argon2Cost(memory_kib=128, passes=1))
        assert dearer.is_outdated(await hasher.hash("correct horse"))
        assert not hasher.is_outdated(await hasher.hash("correct horse"))
        dearer.close()

    async def test_turns_callers_away_when_too_many_wait(self, hasher: Argon2Hasher) -> None:
        answers = await asyncio.gather(*(hasher.hash("correct horse") for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(each, Unavailable) for each in answers) == 7
        assert await hasher.verify(await hasher.hash("again"), "again")

    async def test_lets_the_attempts_on_one_account_pass_one_after_another(self, hasher: Argon2Hasher) -> None:
        inside: list[str] = []
        most: list[int] = []

        async def attempt(subject: str) -> None:
            async with hasher.in_turn(subject):
                inside.append(subject)
                most.append(inside.count(subject))
                await asyncio.sleep(0)
                inside.remove(subject)

        await asyncio.gather(*(attempt("ann") for _ in range(5)), *(attempt("bob") for _ in range(5)))
        assert max(most) == 1
