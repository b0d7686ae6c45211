import asyncio
from collections.abc import Sequence
from typing import Any

import strawberry
from strawberry.extensions import SchemaExtension

from schema.supergraph import Limits, Subgraph, bulk

CANCELLED: list[str] = []


async def slowly(context: Any, ids: Sequence[int]) -> list[Any]:
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        CANCELLED.append("bulk")
        raise
    return list(ids)


@strawberry.type
class Item:
    id: int
    slow: int | None = bulk(slowly, key="id")

    @strawberry.field
    async def slower(self) -> int:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            CANCELLED.append("resolver")
            raise
        return 1

    @strawberry.field
    async def impatient(self) -> int | None:
        raise TimeoutError("My own.")


@strawberry.type
class Query:
    @strawberry.field
    def items(self, count: int = 2) -> list[Item]:
        return [Item(id=n) for n in range(count)]


@strawberry.type
class Mutation:
    @strawberry.mutation
    def make(self, count: int) -> list[Item]:
        return [Item(id=n) for n in range(count)]


def limits_for(context: Any) -> Limits:
    return context


SCHEMA = Subgraph(Query, mutation=Mutation, limits=limits_for)


async def run(query: str, limits: Limits) -> Any:
    return await SCHEMA.execute(query, context_value=limits)


class TestDeadline:
    async def test_stops_the_operation_and_cancels_what_it_awaits(self) -> None:
        CANCELLED.clear()
        result = await run("{ items { id slow slower } }", Limits(seconds=0.05))
        assert result.data is None
        assert [(e.message, e.extensions) for e in result.errors] == [
            ("The operation took longer than 0.05 seconds.", {"code": "DEADLINE_EXCEEDED"})
        ]
        await asyncio.sleep(0)
        assert sorted(CANCELLED) == ["bulk", "resolver", "resolver"]

    async def test_leaves_an_operation_alone_that_keeps_it(self) -> None:
        assert (await run("{ items { id } }", Limits(seconds=5))).data == {"items": [{"id": 0}, {"id": 1}]}

    async def test_holds_under_extensions_that_wrap_resolvers(self) -> None:
        class Wrapping(SchemaExtension):
            def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
                return _next(root, info, *args, **kwargs)

        schema = Subgraph(Query, limits=Limits(seconds=0.05), extensions=[Wrapping])
        result = await schema.execute("{ items { slower } }")
        assert result.data is None
        assert [e.extensions for e in result.errors] == [{"code": "DEADLINE_EXCEEDED"}]

    async def test_is_not_mistaken_for_a_timeout_of_a_resolver(self) -> None:
        result = await run("{ items(count: 1) { impatient } }", Limits(seconds=5))
        assert result.data == {"items": [{"impatient": None}]}
        assert [e.message for e in result.errors] == ["My own."]


class TestResultSize:
    async def test_refuses_a_result_that_grows_too_large(self) -> None:
        result = await run("{ items(count: 50) { id slower } }", Limits(values=100))
        assert result.data is None
        assert [(e.message, e.extensions) for e in result.errors] == [
            ("The result has more than 100 values.", {"code": "RESULT_TOO_LARGE"})
        ]

    async def test_is_that_of_all_root_fields_of_a_mutation_together(self) -> None:
        query = "mutation { a: make(count: 5) { id } b: make(count: 5) { id } }"
        assert (await run(query, Limits(values=22))).errors is None
        assert (await run(query, Limits(values=21))).data is None

    async def test_counts_fields_and_items(self) -> None:
        query = "{ items(count: 3) { id again: id } }"
        assert (await run(query, Limits(values=10))).errors is None
        assert (await run(query, Limits(values=9))).data is None
