from typing import Any

import pytest

from tests.schema.supergraph.toy import Context, subgraphs

SUBGRAPHS = subgraphs()
BOTH = pytest.mark.parametrize("depth_first", [False, True], ids=["breadth_first", "depth_first"])
QUERY = "query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on %s { %s } } }"


async def entities(
    name: str, depth_first: bool, fields: str, *representations: Any
) -> tuple[Any, list[Any], list[Any]]:
    schema: Any = SUBGRAPHS[name].depth_first() if depth_first else SUBGRAPHS[name]
    context = Context()
    query = QUERY % (representations[0]["__typename"], fields)
    result = await schema.execute(query, {"r": list(representations)}, context)
    return result.data["_entities"], sorted((e.message, e.path) for e in result.errors or ()), context.calls


def item(**keys: Any) -> dict[str, Any]:
    return {"__typename": "Item", **keys}


@BOTH
class TestEntities:
    async def test_are_found_in_one_call_per_key_set_in_their_order(self, depth_first: bool) -> None:
        found, errors, calls = await entities(
            "catalog", depth_first, "id name", item(id=3), item(sku="sku-1"), item(id=2), item(id=3)
        )
        assert [entity["id"] for entity in found] == [3, 1, 2, 3]
        assert errors == []
        assert calls == [("products_by_id", [3, 2]), ("products_by_sku", ["sku-1"])]

    async def test_are_built_from_their_keys_where_there_are_no_references(self, depth_first: bool) -> None:
        found, _, calls = await entities("reviews", depth_first, "id reviews { id }", item(id=1), item(id=2))
        assert [entity["reviews"][0]["id"] for entity in found] == [10, 20]
        assert calls == [("reviews_of_products", [1, 2])]

    async def test_borrow_the_external_fields_of_their_representation(self, depth_first: bool) -> None:
        found, errors, _ = await entities(
            "inventory", depth_first, "level freight fee", item(sku="sku-1", grams=10), item(sku="sku-3", grams=200)
        )
        assert found == [
            {"__typename": "Item", "level": 5, "freight": "sku-1 weighs 10", "fee": 20},
            {"__typename": "Item", "level": 5, "freight": "sku-3 weighs 200", "fee": None},
        ]
        assert errors == [("Too heavy.", ["_entities", 1, "fee"])]

    async def test_fail_each_for_itself(self, depth_first: bool) -> None:
        found, errors, _ = await entities(
            "catalog",
            depth_first,
            "id",
            item(id=1),
            item(id=11),
            item(id=99),
            item(id="one"),
            item(name="x"),
            {"__typename": "Nothing"},
        )
        assert found == [{"__typename": "Item", "id": 1}, None, None, None, None, None]
        assert errors == [
            ("'one' is no value of type Int.", ["_entities", 3]),
            ("Product 11 is broken.", ["_entities", 1]),
            ("The representation of 'Item' has no key that this subgraph can resolve.", ["_entities", 4]),
            ("The representation of 'Nothing' has no key that this subgraph can resolve.", ["_entities", 5]),
        ]


class TestService:
    async def test_tells_the_subgraphs_own_sdl(self) -> None:
        result = await SUBGRAPHS["inventory"].execute("{ _service { sdl } }")
        sdl = result.data["_service"]["sdl"]
        assert 'type Item @key(fields: "sku")' in sdl
        assert 'fee: Int @requires(fields: "grams")' in sdl
        assert "grams: Int! @external" in sdl
