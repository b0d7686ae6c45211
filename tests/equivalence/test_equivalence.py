"""The graph answers alike in one process and in parts: the same data, and the same refusals."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from graphql import OperationType

from schema.graph import build
from tests.equivalence.comparing import Comparison, codes
from tests.equivalence.following import FOLLOWED, Followed
from tests.equivalence.reading import Asked, filled, operations
from tests.equivalence.sockets import opened
from tests.equivalence.splitting import alone
from tests.equivalence.worlds import World, Worlds, open_worlds
from tests.gateway.processes import missing
from tests.schema.fuzz.generating import MEASURED, generator
from tests.schema.supergraph.operations import Operation

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")
OPERATIONS = int(os.environ.get("AGORA_FUZZ", "1000"))
SEEDS = 4
PEOPLE = ("guest", "buyer", "seller", "admin", "admin", "platform", "platform", "platform")


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    async for made in open_worlds(tmp_path_factory.mktemp("equivalence")):
        yield made


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison()


LIMITS = frozenset({"COST_LIMIT_EXCEEDED", "PAGE_SIZE_OUT_OF_RANGE", "DEPTH_LIMIT_EXCEEDED", "ALIAS_LIMIT_EXCEEDED"})
"""What each part of a document is measured by when it is asked in parts; the whole may exceed what no part does."""
CREDENTIALS = frozenset({"UNAUTHENTICATED"})
"""What each part refuses for itself, so that there are nulls where one process has no data at all."""


def agree(whole: Any, parts: Any) -> bool:
    """Say whether two answers are the same, but for what is the router's by design."""
    if "data" not in whole and set(codes(whole)) <= LIMITS:
        return set(codes(parts)) <= LIMITS
    same = codes(whole) == codes(parts)
    return same and (
        refused_in_parts(whole, parts) or not list(Comparison().differences(whole.get("data"), parts.get("data")))
    )


def refused_in_parts(whole: Any, parts: Any) -> bool:
    """Say whether the one refused the credentials, and the other did so in each part."""
    nothing = not any((parts.get("data") or {}).values())
    return "data" not in whole and nothing and set(codes(whole)) == set(codes(parts)) == CREDENTIALS


class TestGenerated:
    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_queries_are_answered_alike(self, worlds: Worlds, seed: int) -> None:
        random, outcomes, wrong = Random(seed), Counter[str](), []
        schema: Any = build()._schema
        made = generator(
            schema, worlds.shop, worlds.neighbour, worlds.cursors, random, kinds=(OperationType.QUERY,), distinct=True,
            skip=lambda *place: place in MEASURED,
        )  # fmt: skip
        for operation in made.operations(OPERATIONS // SEEDS):
            person, language = random.choice(PEOPLE), random.choice(("en", "ru", "fr-CA"))
            whole, parts = await worlds.both(operation.document, operation.variables, person=person, language=language)
            outcomes["answered" if whole.get("data") else "refused"] += 1
            if not await self._alike(worlds, operation, whole, parts, person=person, language=language):
                wrong.append(f"{person}\n{operation.document}\n{operation.variables}\n{whole}\n{parts}")
        assert not wrong, f"{len(wrong)}\n" + "\n\n".join(wrong[:5])
        assert outcomes["answered"] > outcomes["refused"], outcomes

    async def _alike(self, worlds: Worlds, operation: Operation, whole: Any, parts: Any, **asked: Any) -> bool:
        """Compare, and where the same place is null for several reasons, look at each: which is told is left to the server."""
        if agree(whole, parts):
            return True
        if not whole.get("errors") or whole.get("data") is not None:
            return False
        split = list(alone(operation.document, operation.variables))
        each = [await worlds.both(document, variables, **asked) for document, variables in split]
        return len(split) > 1 and all(agree(*answers) for answers in each)


class TestWritten:
    @pytest.mark.parametrize("asked", list(operations()), ids=str)
    async def test_operation_is_answered_alike(self, worlds: Worlds, comparison: Comparison, asked: Asked) -> None:
        answers = []
        for world in (worlds.whole, worlds.parts):
            variables = filled(asked.variables, worlds.shop, worlds.neighbour, world.answers)
            answers.append(
                await world.ask(
                    asked.document, variables, person=asked.person, language=asked.language, operation=asked.named
                )
            )
            world.answers[asked.name] = answers[-1].get("data")
        whole, parts = answers
        assert codes(whole) == asked.refused, whole
        assert codes(parts) == codes(whole), parts["errors"]
        if not refused_in_parts(whole, parts):
            assert list(comparison.differences(whole.get("data"), parts.get("data"))) == []


class TestFollowed:
    @pytest.mark.parametrize("followed", FOLLOWED, ids=lambda each: each.name)
    async def test_events_are_alike(self, worlds: Worlds, comparison: Comparison, followed: Followed) -> None:
        whole, parts = [await events(worlds, world, followed) for world in (worlds.whole, worlds.parts)]
        assert [codes(each) for each in whole] == [codes(each) for each in parts], (whole, parts)
        assert {code for each in whole for code in codes(each)} == set(followed.refused), whole
        seen = [[each.get("data") for each in some] for some in (whole, parts)]
        assert list(comparison.differences(*seen)) == []


async def events(worlds: Worlds, world: World, followed: Followed) -> list[Any]:
    """Follow in one world, make the changes there, and give the events."""
    position = (await world.ask("{ liveCursor }"))["data"]["liveCursor"]

    def given(variables: Any) -> Any:
        return filled(variables, worlds.shop, worlds.neighbour, {"position": position})

    token, variables = world.caller.tokens.get(followed.person), given(followed.variables)
    async with opened(world.url, token) as socket:
        await socket.subscribe(followed.document, variables)
        for person, mutation, changed in followed.changes:
            answer = await world.ask(mutation, given(changed), person=person)
            assert "errors" not in answer, answer
        found = [await socket.next() for _ in range(followed.events)]
    if followed.resumes:
        (root,) = found[0]["data"].values()
        async with opened(world.url, token) as socket:
            await socket.subscribe(followed.document, variables | {"after": root["cursor"]})
            assert [await socket.next() for _ in found[1:]] == found[1:]
    return found
