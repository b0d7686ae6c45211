"""The rules of the specification's execution chapter, one case each, the same in both executions."""

import asyncio
import enum
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
import strawberry

from schema.supergraph import Subgraph, Typed


class Broken(Exception):
    pass


@strawberry.enum
class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


@strawberry.interface
class Animal:
    name: str


@strawberry.type
class Dog(Animal):
    barks: bool = True


@strawberry.type
class Cat(Animal):
    lives: int = 9

    @strawberry.field
    def prey(self) -> "Dog":
        raise Broken("No prey.")


@strawberry.type
class Stone:
    weight: float


Thing = Annotated[Dog | Stone, strawberry.union("Thing")]


@strawberry.type
class Box:
    label: str | None = "box"
    inner: "Box | None" = None

    @strawberry.field
    def strict(self) -> str:
        raise Broken("Strict.")

    @strawberry.field
    async def strict_later(self) -> str:
        return None

    @strawberry.field
    async def slow(self) -> str:
        await asyncio.sleep(0)
        return "slow"

    @strawberry.field
    def loose(self) -> str | None:
        raise Broken("Loose.")

    @strawberry.field
    def required(self) -> "Box":
        return Box()


@strawberry.type
class Query:
    @strawberry.field
    def box(self) -> Box | None:
        return Box(inner=Box(label=None))

    @strawberry.field
    def must_box(self) -> Box:
        return Box()

    @strawberry.field
    def boxes(self) -> list[Box | None]:
        return [Box(label="a"), None, Broken("Third."), Box(label="d")]

    @strawberry.field
    def strict_boxes(self) -> list[Box] | None:
        return [Box(), Box()]

    @strawberry.field
    def grid(self) -> list[list[int | None] | None]:
        return [[1, None], None, [], [2]]

    @strawberry.field
    def holes(self) -> list[list[int]] | None:
        return [[1], [None]]

    @strawberry.field
    def animals(self) -> list[Animal]:
        return [Dog(name="Rex"), Cat(name="Tom"), Typed({"name": "Fido", "barks": False}, "Dog")]

    @strawberry.field
    def things(self) -> list[Thing | None]:
        return [Stone(weight=1), object(), Dog(name="Rex")]

    @strawberry.field
    def colours(self) -> list[Colour | None]:
        return [Colour.RED, "b", "green", None]

    @strawberry.field
    def no_list(self) -> list[int] | None:
        return 5

    @strawberry.field
    def text(self) -> list[str] | None:
        return "text"

    @strawberry.field
    async def stream(self) -> list[int]:
        async def numbers() -> AsyncIterator[int]:
            yield 1
            yield 2

        return numbers()

    @strawberry.field
    async def promises(self) -> list[int | None]:
        async def number(value: int) -> int:
            if value == 2:
                raise Broken("Two.")
            return value

        return [number(1), number(2), 3]

    @strawberry.field
    def scalars(self) -> "Scalars":
        return Scalars()

    @strawberry.field
    def echo(self, text: str = "default", number: int | None = None, colour: Colour = Colour.RED) -> str:
        return f"{text} {number} {colour.name}"

    @strawberry.field
    def returned_error(self) -> str | None:
        return Broken("Returned.")


@strawberry.type
class Scalars:
    whole: float = 1
    text: str = 5
    yes: bool = 1
    id: strawberry.ID = 7
    big: int | None = 2**31
    nan: float | None = float("nan")
    words: str | None = ("no", "string")


LOG: list[str] = []


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def note(self, text: str) -> str | None:
        LOG.append(f"begin {text}")
        LOG.append(f"end {text}")
        return text

    @strawberry.mutation
    async def refuse(self) -> str:
        raise Broken("Refused.")


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, count: int) -> AsyncIterator[Box]:
        for number in range(count):
            yield Box(label=f"tick {number}")

    @strawberry.subscription
    async def broken(self) -> AsyncIterator[Box]:
        raise Broken("No stream.")
        yield Box()


SCHEMA = Subgraph(Query, mutation=Mutation, subscription=Subscription, types=[Dog, Cat])
BOTH = pytest.mark.parametrize("schema", [SCHEMA, SCHEMA.depth_first()], ids=["breadth_first", "depth_first"])


async def run(schema: Any, query: str, **variables: Any) -> tuple[Any, list[Any]]:
    result = await schema.execute(query, variables)
    errors = [(error.message, error.path) for error in result.errors or ()]
    return result.data, sorted(errors, key=str)


@BOTH
class TestSelection:
    async def test_writes_keys_in_the_order_of_the_request(self, schema: Any) -> None:
        data, _ = await run(
            schema,
            "{ mustBox { z: label } box { b: label a: label ...F label } } fragment F on Box { c: label b: label }",
        )
        assert list(data) == ["mustBox", "box"]
        assert list(data["box"]) == ["b", "a", "c", "label"]

    async def test_merges_the_selections_of_equal_keys(self, schema: Any) -> None:
        data, _ = await run(schema, "{ box { inner { label } } ... on Query { box { label inner { x: label } } } }")
        assert data == {"box": {"inner": {"label": None, "x": None}, "label": "box"}}

    @pytest.mark.parametrize(
        ("skip", "include", "shown"), [(False, True, True), (True, True, False), (False, False, False)]
    )
    async def test_skips_and_includes(self, schema: Any, skip: bool, include: bool, shown: bool) -> None:
        query = "query ($s: Boolean!, $i: Boolean!) { box { label @skip(if: $s) @include(if: $i) __typename } }"
        data, _ = await run(schema, query, s=skip, i=include)
        assert ("label" in data["box"]) is shown

    async def test_writes_an_empty_object_where_everything_is_skipped(self, schema: Any) -> None:
        assert await run(schema, "{ box { label @skip(if: true) } }") == ({"box": {}}, [])

    async def test_applies_fragments_by_runtime_type(self, schema: Any) -> None:
        query = (
            "{ animals { __typename ... on Dog { barks } ... on Animal { name } ...C } } fragment C on Cat { lives }"
        )
        data, errors = await run(schema, query)
        assert errors == []
        assert data["animals"] == [
            {"__typename": "Dog", "barks": True, "name": "Rex"},
            {"__typename": "Cat", "name": "Tom", "lives": 9},
            {"__typename": "Dog", "barks": False, "name": "Fido"},
        ]


@BOTH
class TestArguments:
    @pytest.mark.parametrize(
        ("query", "variables", "answer"),
        [
            ("{ echo }", {}, "default None RED"),
            ('{ echo(text: "x", number: 3, colour: BLUE) }', {}, "x 3 BLUE"),
            ("query ($n: Int = 4) { echo(number: $n) }", {}, "default 4 RED"),
            ("query ($n: Int = 4) { echo(number: $n) }", {"n": None}, "default None RED"),
            ('query ($t: String! = "v", $c: Colour!) { echo(text: $t, colour: $c) }', {"c": "BLUE"}, "v None BLUE"),
        ],
    )
    async def test_are_coerced(self, schema: Any, query: str, variables: dict[str, Any], answer: str) -> None:
        assert await run(schema, query, **variables) == ({"echo": answer}, [])

    async def test_a_faulty_variable_is_a_request_error(self, schema: Any) -> None:
        data, errors = await run(schema, "query ($n: Int) { echo(number: $n) box { label } }", n="three")
        assert data is None
        assert [path for _, path in errors] == [None]


@BOTH
class TestNulls:
    async def test_an_error_nulls_its_nullable_field_alone(self, schema: Any) -> None:
        assert await run(schema, "{ box { loose label } }") == (
            {"box": {"loose": None, "label": "box"}},
            [("Loose.", ["box", "loose"])],
        )

    async def test_a_returned_exception_is_an_error(self, schema: Any) -> None:
        assert await run(schema, "{ returnedError }") == ({"returnedError": None}, [("Returned.", ["returnedError"])])

    async def test_a_failed_non_null_field_nulls_its_parent(self, schema: Any) -> None:
        assert await run(schema, "{ box { label inner { strict } } }") == (
            {"box": {"label": "box", "inner": None}},
            [("Strict.", ["box", "inner", "strict"])],
        )

    async def test_a_missing_non_null_value_is_an_error(self, schema: Any) -> None:
        message = "Cannot return null for non-nullable field Box.strictLater."
        assert await run(schema, "{ box { strictLater } }") == ({"box": None}, [(message, ["box", "strictLater"])])

    async def test_null_rises_through_non_null_parents(self, schema: Any) -> None:
        assert await run(schema, "{ box { required { required { strict } } } }") == (
            {"box": None},
            [("Strict.", ["box", "required", "required", "strict"])],
        )

    async def test_null_rises_to_the_root(self, schema: Any) -> None:
        assert await run(schema, "{ mustBox { strict } }") == (None, [("Strict.", ["mustBox", "strict"])])

    async def test_a_failed_item_nulls_itself_where_it_may(self, schema: Any) -> None:
        assert await run(schema, "{ boxes { label } }") == (
            {"boxes": [{"label": "a"}, None, None, {"label": "d"}]},
            [("Third.", ["boxes", 2])],
        )

    async def test_a_failed_non_null_item_nulls_its_list(self, schema: Any) -> None:
        data, errors = await run(schema, "{ strictBoxes { strict } }")
        assert data == {"strictBoxes": None}
        assert errors == [("Strict.", ["strictBoxes", 0, "strict"])]

    async def test_lists_of_lists_keep_their_nulls(self, schema: Any) -> None:
        message = "Cannot return null for non-nullable field Query.holes."
        assert await run(schema, "{ grid holes }") == (
            {"grid": [[1, None], None, [], [2]], "holes": None},
            [(message, ["holes", 1, 0])],
        )

    async def test_an_error_says_where_it_is_in_the_document(self, schema: Any) -> None:
        result = await schema.execute("{\n  box {\n    label\n    x: loose\n  }\n}")
        assert [(error.line, error.column) for error in result.errors[0].locations] == [(4, 5)]


@BOTH
class TestValues:
    async def test_scalars_are_serialised(self, schema: Any) -> None:
        data, errors = await run(schema, "{ scalars { whole text yes id big nan words } }")
        assert data["scalars"] == {
            "whole": 1.0,
            "text": "5",
            "yes": True,
            "id": "7",
            "big": None,
            "nan": None,
            "words": None,
        }
        assert {path[1] for _, path in errors} == {"big", "nan", "words"}

    async def test_enums_are_written_by_name(self, schema: Any) -> None:
        data, errors = await run(schema, "{ colours }")
        assert data == {"colours": ["RED", "BLUE", None, None]}
        assert [path for _, path in errors] == [["colours", 2]]

    async def test_what_is_no_list_is_an_error(self, schema: Any) -> None:
        assert await run(schema, "{ noList text }") == (
            {"noList": None, "text": None},
            [
                ("Expected Iterable, but did not find one for field 'Query.noList'.", ["noList"]),
                ("Expected Iterable, but did not find one for field 'Query.text'.", ["text"]),
            ],
        )

    async def test_asynchronous_lists_are_awaited(self, schema: Any) -> None:
        assert await run(schema, "{ stream promises }") == (
            {"stream": [1, 2], "promises": [1, None, 3]},
            [("Two.", ["promises", 1])],
        )

    async def test_a_value_of_unknown_type_is_an_error(self, schema: Any) -> None:
        data, errors = await run(schema, "{ things { ... on Stone { weight } ... on Dog { name } } }")
        assert data == {"things": [{"weight": 1.0}, None, {"name": "Rex"}]}
        assert [path for _, path in errors] == [["things", 1]]


@BOTH
class TestMutation:
    async def test_runs_root_fields_in_series(self, schema: Any) -> None:
        LOG.clear()
        data, _ = await run(schema, 'mutation { a: note(text: "1") b: note(text: "2") }')
        assert data == {"a": "1", "b": "2"}
        assert LOG == ["begin 1", "end 1", "begin 2", "end 2"]

    async def test_stops_once_the_whole_response_is_null(self, schema: Any) -> None:
        LOG.clear()
        data, errors = await run(schema, 'mutation { note(text: "1") refuse c: note(text: "3") }')
        assert (data, errors) == (None, [("Refused.", ["refuse"])])
        assert LOG == ["begin 1", "end 1"]


@BOTH
class TestSubscription:
    async def test_executes_every_event(self, schema: Any) -> None:
        stream = await schema.subscribe("subscription { ticks(count: 2) { label loose } }")
        results = [result async for result in stream]
        assert [result.data for result in results] == [
            {"ticks": {"label": "tick 0", "loose": None}},
            {"ticks": {"label": "tick 1", "loose": None}},
        ]
        assert [[error.path for error in result.errors] for result in results] == [[["ticks", "loose"]]] * 2

    async def test_tells_when_the_stream_cannot_start(self, schema: Any) -> None:
        results = [result async for result in await schema.subscribe("subscription { broken { label } }")]
        assert [error.message for error in results[0].errors] == ["No stream."]


@BOTH
class TestIntrospection:
    async def test_answers_beside_other_fields(self, schema: Any) -> None:
        query = '{ box { label } __type(name: "Animal") { possibleTypes { name } } __typename }'
        data, errors = await run(schema, query)
        assert errors == []
        assert data["box"] == {"label": "box"}
        assert sorted(t["name"] for t in data["__type"]["possibleTypes"]) == ["Cat", "Dog"]
        assert data["__typename"] == "Query"


class TestSynchronously:
    def test_executes_what_has_nothing_to_await(self) -> None:
        result = SCHEMA.execute_sync("{ box { label loose } }")
        assert result.data == {"box": {"label": "box", "loose": None}}
        assert [error.path for error in result.errors] == [["box", "loose"]]

    def test_refuses_what_has_to_await(self) -> None:
        result = SCHEMA.execute_sync("{ box { slow } }")
        assert result.data is None
        assert result.errors[0].message == "GraphQL execution failed to complete synchronously."


class TestIncrementalDelivery:
    @pytest.mark.parametrize("query", ["{ ... @defer { box { label } } }", "{ boxes @stream { label } }"])
    async def test_is_refused_by_validation(self, query: str) -> None:
        result = await SCHEMA.execute(query)
        assert result.data is None
        assert result.errors[0].message.startswith("Unknown directive")
