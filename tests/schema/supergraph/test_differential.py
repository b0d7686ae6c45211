"""Breadth-first and depth-first execution give the same answers."""

import asyncio
import gc
import logging
import os
from random import Random
from typing import Any

import pytest
from graphql import OperationType

from tests.schema.supergraph.operations import Generator, Operation, differences
from tests.schema.supergraph.toy import Context, supergraph

# graphql-core cancels the siblings of a failed non-null field before some of their coroutines ever started.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
OPERATIONS = int(os.environ.get("AGORA_FUZZ", "240"))
SEEDS = 8


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


async def events(schema: Any, operation: Operation, context: Context) -> list[Any]:
    stream = await schema.subscribe(operation.document, operation.variables, context)
    return [event async for event in stream]


async def compare(graph: Any, operation: Operation, staff: bool) -> list[str]:
    first, second = Context(staff=staff), Context(staff=staff)
    if operation.kind is OperationType.SUBSCRIPTION:
        ours = await events(graph, operation, first)
        theirs = await events(graph.depth_first(), operation, second)
        assert len(ours) == len(theirs)
        return [d for one, other in zip(ours, theirs, strict=True) for d in differences(one, other)]
    ours = await graph.execute(operation.document, operation.variables, first)
    theirs = await graph.depth_first().execute(operation.document, operation.variables, second)
    return differences(ours, theirs)


class TestEngine:
    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_answers_generated_operations_like_graphql_core(self, seed: int) -> None:
        graph = supergraph()
        random = Random(seed)
        generator = Generator(graph._schema, random, kinds=tuple(OperationType))
        for operation in generator.operations(OPERATIONS // SEEDS):
            found = await asyncio.wait_for(compare(graph, operation, random.random() < 0.8), 20)
            assert not found, f"{operation.document}\n{operation.variables}\n" + "\n".join(found)
