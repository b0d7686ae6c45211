from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import strawberry
from strawberry.extensions import SchemaExtension
from strawberry.permission import BasePermission

from schema.supergraph import BreadthFirstExecutor, Subgraph, attribute, bulk


class Refused(Exception):
    pass


@dataclass
class Context:
    staff: bool = True
    calls: list[Any] = field(default_factory=list)


async def stock_of(context: Context, ids: Sequence[int], *, unit: str = "piece", least: int | None = None) -> list[Any]:
    context.calls.append(("stock_of", list(ids), unit, least))
    return [Refused(f"No stock of {n}.") if n == 3 else f"{n} {unit}" for n in ids]


async def makers_by_id(context: Context, ids: Sequence[int]) -> list[Any]:
    context.calls.append(("makers_by_id", list(ids)))
    return [{"id": n, "best_id": 9} for n in ids]


async def price_of(context: Context, keys: Sequence[tuple[int, str]]) -> list[Any]:
    context.calls.append(("price_of", list(keys)))
    return [number * 100 if currency == "EUR" else None for number, currency in keys]


async def short_of(context: Context, ids: Sequence[int]) -> list[Any]:
    return [1]


async def failing(context: Context, ids: Sequence[int]) -> list[Any]:
    raise Refused("All of it.")


def staff_only(context: Context, parent: Any) -> None:
    context.calls.append(("staff_only", parent))
    if not context.staff:
        raise Refused("Staff only.")


def only_even(context: Context, parent: Any) -> None:
    if parent.id % 2:
        raise Refused(f"{parent.id} is odd.")


only_even.per_object = True


class StaffPermission(BasePermission):
    message = "Staff permission."

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return info.context.staff


@dataclass
class Row:
    id: int
    maker_id: int | None = 1
    currency: str = "EUR"
    cost: int = 5
    parity: int = 0
    stock: None = None


async def products_by_id(context: Context, ids: Sequence[int]) -> list[Any]:
    context.calls.append(("products_by_id", list(ids)))
    return [Row(n) for n in ids]


@strawberry.type
class Maker:
    id: int
    best: "Product" = bulk(products_by_id, key="best_id")


@strawberry.type
class Product:
    id: int
    stock: str | None = bulk(stock_of, key="id", description="What is left.")
    maker: Maker | None = bulk(makers_by_id, key="maker_id")
    price: int | None = bulk(price_of, key=("id", "currency"))
    short: int | None = bulk(short_of, key="id")
    failing: int | None = bulk(failing, key="id")
    cost: int | None = attribute(guard=staff_only, name="costPrice")
    margin: str | None = bulk(stock_of, key="id", guard=staff_only)
    parity: int | None = attribute(guard=only_even)
    secret: str | None = bulk(stock_of, key="id", permission_classes=[StaffPermission])


@strawberry.type
class Query:
    @strawberry.field
    def products(self, ids: list[int]) -> list[Product]:
        return [Row(n, maker_id=None if n == 5 else n % 2) for n in ids]


SCHEMA = Subgraph(Query)
BOTH = pytest.mark.parametrize("schema", [SCHEMA, SCHEMA.depth_first()], ids=["breadth_first", "depth_first"])


async def run(schema: Any, query: str, context: Context | None = None) -> tuple[Any, list[Any], list[Any]]:
    context = context or Context()
    result = await schema.execute(query, context_value=context)
    data = result.data["products"] if result.data else None
    return data, sorted((e.message, e.path) for e in result.errors or ()), context.calls


@BOTH
class TestBulk:
    async def test_loads_a_level_in_one_call_with_each_key_once(self, schema: Any) -> None:
        data, errors, calls = await run(schema, "{ products(ids: [1, 2, 1]) { stock } }")
        assert (data, errors) == ([{"stock": "1 piece"}, {"stock": "2 piece"}, {"stock": "1 piece"}], [])
        assert calls == [("stock_of", [1, 2], "piece", None)]

    async def test_takes_its_arguments_from_the_function(self, schema: Any) -> None:
        assert 'stock(unit: String! = "piece", least: Int = null): String' in schema.as_str()
        data, _, calls = await run(schema, '{ products(ids: [1]) { stock(unit: "kg", least: 2) } }')
        assert data == [{"stock": "1 kg"}]
        assert calls == [("stock_of", [1], "kg", 2)]

    async def test_shares_a_call_among_fields_with_equal_arguments(self, schema: Any) -> None:
        query = '{ products(ids: [1, 2]) { stock again: stock(unit: "piece") other: stock(unit: "kg") } }'
        _, _, calls = await run(schema, query)
        assert sorted(calls, key=str) == [("stock_of", [1, 2], "kg", None), ("stock_of", [1, 2], "piece", None)]

    async def test_never_loads_a_key_twice_in_one_operation(self, schema: Any) -> None:
        _, _, calls = await run(
            schema,
            "{ products(ids: [9]) { maker { best { id maker { id } } } stock } x: products(ids: [9]) { stock } }",
        )
        assert calls.count(("stock_of", [9], "piece", None)) == 1
        assert [call for call in calls if call[0] == "makers_by_id"] == [("makers_by_id", [1])]

    async def test_gives_null_for_a_key_that_is_none_without_a_call(self, schema: Any) -> None:
        assert await run(schema, "{ products(ids: [5]) { maker { id } } }") == ([{"maker": None}], [], [])

    async def test_makes_tuples_of_several_names(self, schema: Any) -> None:
        data, _, calls = await run(schema, "{ products(ids: [1, 2]) { price } }")
        assert data == [{"price": 100}, {"price": 200}]
        assert calls == [("price_of", [(1, "EUR"), (2, "EUR")])]

    async def test_an_exception_as_element_is_the_error_of_its_position(self, schema: Any) -> None:
        data, errors, _ = await run(schema, "{ products(ids: [2, 3]) { stock } }")
        assert data == [{"stock": "2 piece"}, {"stock": None}]
        assert errors == [("No stock of 3.", ["products", 1, "stock"])]

    async def test_a_failed_call_is_the_error_of_every_position(self, schema: Any) -> None:
        _, errors, _ = await run(schema, "{ products(ids: [1, 2]) { failing } }")
        assert errors == [("All of it.", ["products", 0, "failing"]), ("All of it.", ["products", 1, "failing"])]

    async def test_refuses_a_batch_of_the_wrong_length(self, schema: Any) -> None:
        _, errors, _ = await run(schema, "{ products(ids: [1, 2]) { short } }")
        assert [message for message, _ in errors] == ["short_of returned 1 values for 2 keys."] * 2

    async def test_obeys_permission_classes(self, schema: Any) -> None:
        data, errors, calls = await run(schema, "{ products(ids: [1]) { secret } }", Context(staff=False))
        assert (data, calls) == ([{"secret": None}], [])
        assert errors == [("Staff permission.", ["products", 0, "secret"])]
        assert (await run(schema, "{ products(ids: [1]) { secret } }"))[0] == [{"secret": "1 piece"}]


@BOTH
class TestGuard:
    async def test_refuses_a_plain_field_and_a_bulk_field(self, schema: Any) -> None:
        data, errors, calls = await run(
            schema, "{ products(ids: [1, 2]) { costPrice margin id } }", Context(staff=False)
        )
        assert data == [{"costPrice": None, "margin": None, "id": 1}, {"costPrice": None, "margin": None, "id": 2}]
        assert {message for message, _ in errors} == {"Staff only."}
        assert len(errors) == 4
        assert all(name == "staff_only" for name, *_ in calls)

    async def test_lets_the_principal_pass(self, schema: Any) -> None:
        data, errors, _ = await run(schema, "{ products(ids: [1]) { costPrice margin } }")
        assert (data, errors) == ([{"costPrice": 5, "margin": "1 piece"}], [])

    async def test_sees_every_object_where_it_asks_to(self, schema: Any) -> None:
        data, errors, _ = await run(schema, "{ products(ids: [1, 2]) { parity } }")
        assert data == [{"parity": None}, {"parity": 0}]
        assert errors == [("1 is odd.", ["products", 0, "parity"])]


class TestGuardOfALevel:
    async def test_is_called_once(self) -> None:
        _, _, calls = await run(SCHEMA, "{ products(ids: [1, 2, 4]) { costPrice } }")
        assert calls == [("staff_only", None)]


class Keyed(tuple):
    """A row like asyncpg's: its items are reached by name, its attributes only through __getattr__."""

    __slots__ = ()
    __item_reads__ = True
    names: ClassVar = {"id": 0, "items": 1}

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(self.names[name])

    def items(self) -> None:
        raise AssertionError("A column of this name must be read by item.")

    @property
    def half(self) -> float:
        return self["id"] / 2


@strawberry.type
class Thing:
    id: int
    items: int
    half: float


@strawberry.type
class ThingQuery:
    @strawberry.field
    def keyed(self) -> list[Thing]:
        return [Keyed((1, 2)), Keyed((3, 4))]

    @strawberry.field
    def mixed(self) -> list[Thing]:
        return [Keyed((1, 2)), {"id": 5, "items": 6, "half": 2.5}, Thing(id=7, items=8, half=3.5)]


class TestReading:
    @pytest.mark.parametrize("name", ["keyed", "mixed"])
    async def test_reads_rows_by_item_and_objects_by_attribute(self, name: str) -> None:
        schema = Subgraph(ThingQuery)
        query = f"{{ {name} {{ id items half }} }}"
        expected = {
            "keyed": [{"id": 1, "items": 2, "half": 0.5}, {"id": 3, "items": 4, "half": 1.5}],
            "mixed": [
                {"id": 1, "items": 2, "half": 0.5},
                {"id": 5, "items": 6, "half": 2.5},
                {"id": 7, "items": 8, "half": 3.5},
            ],
        }
        for executed in (schema, schema.depth_first()):
            result = await executed.execute(query)
            assert (result.data, result.errors) == ({name: expected[name]}, None)


class TestExecutor:
    async def test_executes_a_plain_strawberry_schema(self) -> None:
        schema = strawberry.Schema(Query, execution_context_class=BreadthFirstExecutor)
        context = Context()
        result = await schema.execute("{ products(ids: [1, 2]) { stock } }", context_value=context)
        assert result.data == {"products": [{"stock": "1 piece"}, {"stock": "2 piece"}]}
        assert context.calls == [("stock_of", [1, 2], "piece", None)]

    async def test_tells_that_bulk_fields_need_it(self) -> None:
        result = await strawberry.Schema(Query).execute("{ products(ids: [1]) { stock } }", context_value=Context())
        assert "Bulk fields need" in result.errors[0].message

    async def test_calls_extensions_that_wrap_resolvers(self) -> None:
        seen = []

        class Seeing(SchemaExtension):
            async def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
                seen.append(info.field_name)
                value = _next(root, info, *args, **kwargs)
                return await value if hasattr(value, "__await__") else value

        schema = Subgraph(Query, extensions=[Seeing])
        result = await schema.execute("{ products(ids: [1]) { id stock } }", context_value=Context())
        assert result.data == {"products": [{"id": 1, "stock": "1 piece"}]}
        assert seen == ["products", "id", "stock"]
