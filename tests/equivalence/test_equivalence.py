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
from tests.equivalence.reading import Asked, filled, operations
from tests.equivalence.worlds import Worlds, open_worlds
from tests.gateway.processes import missing
from tests.schema.fuzz.generating import MEASURED, generator

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
            found = list(Comparison().differences(whole.get("data"), parts.get("data")))
            if found or codes(whole) != codes(parts):
                told = f"{person}\n{operation.document}\n{operation.variables}\n{found}\n{whole.get('errors')}\n{parts.get('errors')}"
                wrong.append(told)
        assert not wrong, f"{len(wrong)}\n" + "\n\n".join(wrong[:5])
        assert outcomes["answered"] > outcomes["refused"], outcomes


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
        assert list(comparison.differences(whole.get("data"), parts.get("data"))) == []
