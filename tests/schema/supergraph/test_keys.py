"""Keys of several fields, nested keys, and `@requires` of what clients cannot see."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import strawberry
from strawberry.federation.schema_directives import Requires

from schema.supergraph import Subgraph, Supergraph, bulk


@strawberry.federation.type(shareable=True)
class Owner:
    id: int


async def shops(context: Any, keys: Sequence[tuple[int, str]]) -> list[Any]:
    context.append(list(keys))
    return [{"owner": {"id": n}, "code": code, "name": f"{code} of {n}", "area": n * 10} for n, code in keys]


async def rents(context: Any, keys: Sequence[tuple[str, int]]) -> list[Any]:
    context.append(list(keys))
    return [area * 5 for _, area in keys]


@strawberry.federation.type(keys=["owner { id } code"])
class Shop:
    __references__: ClassVar = {"owner { id } code": shops}
    owner: Owner
    code: str
    name: str
    area: int = strawberry.federation.field(inaccessible=True)


@strawberry.federation.type(keys=["owner { id } code"], name="Shop")
class RentedShop:
    owner: Owner
    code: str
    area: int = strawberry.federation.field(external=True)
    rent: int = bulk(rents, key=("code", "area"), directives=[Requires(fields="area")])

    @strawberry.field
    def label(self) -> str:
        return f"{self.owner.id}/{self.code}"

    @strawberry.federation.field(requires=["area"])
    def size(self) -> str:
        return f"{self.code} has {self.area}"


@strawberry.type
class ShopQuery:
    @strawberry.field
    async def shop(self, info: strawberry.Info) -> Shop:
        return (await shops(info.context, [(1, "a")]))[0]


@strawberry.type
class RentQuery:
    @strawberry.field
    def rented(self) -> list[RentedShop]:
        return [RentedShop(owner=Owner(id=n), code="b", area=0) for n in (1, 2)]


RENT = Subgraph(RentQuery)
GRAPH = Supergraph({"shops": Subgraph(ShopQuery), "rents": RENT})
BOTH = pytest.mark.parametrize("graph", [GRAPH, GRAPH.depth_first()], ids=["breadth_first", "depth_first"])


@BOTH
class TestNestedKeys:
    async def test_are_read_off_the_parent(self, graph: Any) -> None:
        calls: list[Any] = []
        result = await graph.execute("{ rented { name owner { id } } }", context_value=calls)
        assert result.data == {
            "rented": [{"name": "b of 1", "owner": {"id": 1}}, {"name": "b of 2", "owner": {"id": 2}}]
        }
        assert calls == [[(1, "b"), (2, "b")]]

    async def test_build_a_stub(self, graph: Any) -> None:
        result = await graph.execute("{ shop { label } }", context_value=[])
        assert (result.data, result.errors) == ({"shop": {"label": "1/a"}}, None)


@BOTH
class TestHiddenRequirements:
    async def test_are_fetched_from_their_owner(self, graph: Any) -> None:
        assert "area" not in graph.as_str()
        calls: list[Any] = []
        result = await graph.execute("{ rented { rent size } }", context_value=calls)
        assert (result.data, result.errors) == (
            {"rented": [{"rent": 50, "size": "b has 10"}, {"rent": 100, "size": "b has 20"}]},
            None,
        )
        assert calls == [[(1, "b"), (2, "b")], [("b", 10), ("b", 20)]]

    async def test_are_read_off_an_owner_at_hand(self, graph: Any) -> None:
        result = await graph.execute("{ shop { rent size } }", context_value=[])
        assert (result.data, result.errors) == ({"shop": {"rent": 50, "size": "a has 10"}}, None)


class TestEntities:
    async def test_parse_nested_keys_and_what_is_lent(self) -> None:
        query = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Shop { label rent size } } }"
        representation = {"__typename": "Shop", "owner": {"id": 3}, "code": "c", "area": 7}
        result = await RENT.execute(query, {"r": [representation]}, [])
        assert result.data == {"_entities": [{"label": "3/c", "rent": 35, "size": "c has 7"}]}
