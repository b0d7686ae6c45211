import enum
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
import strawberry
from graphql import get_introspection_query
from strawberry.federation.schema_directives import Requires

from schema.supergraph import MergeError, Subgraph, Supergraph, bulk
from tests.schema.supergraph.toy import Context, supergraph

GRAPH = supergraph()
BOTH = pytest.mark.parametrize("graph", [GRAPH, GRAPH.depth_first()], ids=["breadth_first", "depth_first"])


async def run(graph: Any, query: str) -> tuple[Any, list[Any], list[Any]]:
    context = Context()
    result = await graph.execute(query, context_value=context)
    return result.data, sorted((e.message, e.path) for e in result.errors or ()), context.calls


class TestPublicSchema:
    def test_unites_the_fields_of_all_subgraphs(self) -> None:
        user = GRAPH.as_str().split("type User implements Named {")[1].split("}")[0]
        assert user.split() == [
            "name:",
            "String",
            "id:",
            "Int!",
            "email:",
            "String!",
            "friends(first:",
            "Int!",
            "=",
            "2):",
            "[User!]",
            "secretName:",
            "String",
            "shout(times:",
            "Int!",
            "=",
            "1):",
            "String!",
            "reviews:",
            "[Review!]!",
            "initials:",
            "String!",
        ]

    def test_shows_nothing_of_federation(self) -> None:
        sdl = GRAPH.as_str()
        assert not [word for word in ("@", "_entities", "_service", "_Any", "FieldSet", "link__") if word in sdl]

    async def test_introspects_nothing_of_federation(self) -> None:
        result = await GRAPH.execute(get_introspection_query())
        names = {type_["name"] for type_ in result.data["__schema"]["types"]}
        assert not [name for name in names if name.startswith("_") and not name.startswith("__")]
        directives = {directive["name"] for directive in result.data["__schema"]["directives"]}
        assert directives == {"include", "skip", "deprecated", "specifiedBy", "oneOf"}

    def test_leaves_out_what_is_inaccessible(self) -> None:
        @strawberry.federation.type(inaccessible=True)
        class Hidden:
            id: int

        @strawberry.type
        class Query:
            shown: int = 1
            secret: int = strawberry.federation.field(inaccessible=True)
            hidden: Hidden | None = strawberry.federation.field(inaccessible=True)

        assert Supergraph({"one": Subgraph(Query)}).as_str() == "type Query {\n  shown: Int!\n}"


@BOTH
class TestHops:
    async def test_reads_a_key_off_the_parent_without_a_hop(self, graph: Any) -> None:
        data, errors, calls = await run(graph, "{ products(first: 2) { reviews(first: 1) { id } } }")
        assert (data, errors) == ({"products": [{"reviews": [{"id": 10}]}, {"reviews": [{"id": 20}]}]}, [])
        assert calls == [("reviews_of_products", [1, 2])]

    async def test_finds_the_owner_once_per_key_and_level(self, graph: Any) -> None:
        data, _, calls = await run(
            graph, "{ latest(first: 2) { author { name email } again: author { name } item { sku } } }"
        )
        assert data["latest"][1] == {
            "author": {"name": "User 2", "email": "u2@x.io"},
            "again": {"name": "User 2"},
            "item": {"sku": "sku-2"},
        }
        assert sorted(calls) == [("products_by_id", [1, 2]), ("users_by_id", [1, 2])]

    async def test_builds_a_stub_from_its_keys_without_a_call(self, graph: Any) -> None:
        data, _, calls = await run(graph, "{ users(first: 2) { initials } }")
        assert data == {"users": [{"initials": "U1"}, {"initials": "U2"}]}
        assert calls == [("users_by_id", [1, 2])]

    async def test_takes_two_hops_where_no_key_is_shared(self, graph: Any) -> None:
        data, _, calls = await run(graph, "{ latest(first: 1) { item { level } } }")
        assert data == {"latest": [{"item": {"level": 5}}]}
        assert calls == [("products_by_id", [1]), ("stock_by_sku", ["sku-1"])]

    async def test_takes_another_key_from_another_subgraph(self, graph: Any) -> None:
        data, _, calls = await run(graph, "{ search(first: 2) { ... on User { id name } } }")
        assert data == {"search": [{}, {"id": 2, "name": "User 2"}]}
        assert calls[0] == ("users_by_email", ["u2@x.io"])

    async def test_an_entity_that_is_not_found_has_null_fields(self, graph: Any) -> None:
        data, errors, _ = await run(graph, "{ search(first: 4) { ... on Item { id name } } }")
        assert data["search"][3] == {"id": 99, "name": None}
        assert errors == []

    async def test_an_entity_that_fails_is_the_error_of_each_of_its_fields(self, graph: Any) -> None:
        data, errors, _ = await run(graph, "{ search(first: 3) { ... on Page { item { id name reviewCount } } } }")
        assert data["search"][2] == {"item": {"id": 11, "name": None, "reviewCount": 2}}
        assert errors == [("Product 11 is broken.", ["search", 2, "item", "name"])]

    async def test_goes_round_between_subgraphs(self, graph: Any) -> None:
        query = (
            "{ users(first: 1) { reviews { item { reviews(first: 1) { author { reviews { item { title } } } } } } } }"
        )
        data, errors, _ = await run(graph, query)
        assert errors == []
        item = data["users"][0]["reviews"][0]["item"]
        assert item == {"reviews": [{"author": {"reviews": [{"item": {"title": "Product 1"}}]}}]}


@BOTH
class TestRequires:
    async def test_reads_what_is_required_off_the_owner(self, graph: Any) -> None:
        data, errors, calls = await run(graph, "{ scarce { freight fee } }")
        assert data["scarce"][:2] == [{"freight": "sku-1 weighs 10", "fee": 20}, None]
        assert errors == [("Too heavy.", ["scarce", 3, "fee"])]
        assert ("products_by_sku", ["sku-1", "sku-3", "sku-10"]) in calls

    async def test_lends_it_to_a_resolver_of_another_subgraph(self, graph: Any) -> None:
        data, errors, _ = await run(graph, "{ products(first: 1) { freight fee } }")
        assert (data, errors) == ({"products": [{"freight": "sku-1 weighs 10", "fee": 20}]}, [])


@BOTH
class TestMemo:
    async def test_is_dropped_before_each_root_field_of_a_mutation(self, graph: Any) -> None:
        query = 'mutation { a: touch(id: 1) { reviews { author { name } } } rename(input: {id: 1, name: "New"}) { id } b: touch(id: 1) { reviews { author { name } } } }'
        data, _, _ = await run(graph, query)
        assert data["a"]["reviews"][0]["author"]["name"] == "User 1"
        assert data["b"]["reviews"][0]["author"]["name"] == "New"

    async def test_is_dropped_before_each_event(self, graph: Any) -> None:
        context = Context()
        stream = await graph.subscribe(
            "subscription { userChanges(count: 2) { friends { id } reviews { id } } }", context_value=context
        )
        assert [event.data["userChanges"]["reviews"][0]["id"] async for event in stream] == [100, 200]
        query = "subscription { userChanges(count: 1) { friends(first: 1) { name reviews { author { name } } } } }"
        for _ in range(2):
            context = Context()
            events = [event async for event in await graph.subscribe(query, context_value=context)]
            assert events[0].data["userChanges"]["friends"][0]["reviews"][0]["author"] == {"name": "User 2"}
            assert ("users_by_id", [2]) in context.calls


async def things_by_id(context: Any, ids: Sequence[int]) -> list[Any]:
    return []


def merged(**queries: type) -> Supergraph:
    return Supergraph({name: Subgraph(query) for name, query in queries.items()})


def root(name: str, type_: Any) -> type:
    return strawberry.type(type("Query", (), {"__annotations__": {name: type_}}))


class TestChecks:
    def test_refuse_a_field_with_two_owners(self) -> None:
        @strawberry.federation.type(name="Thing")
        class One:
            size: int

        @strawberry.federation.type(name="Thing")
        class Two:
            size: int

        with pytest.raises(MergeError) as refused:
            merged(a=root("one", One | None), b=root("two", Two | None))
        assert refused.value.problems == [
            "Thing.size is owned by a and b: mark it @shareable, or @external where it is not owned."
        ]

    def test_accept_a_field_that_both_share(self) -> None:
        @strawberry.federation.type(name="Thing", shareable=True)
        class One:
            size: int

        @strawberry.federation.type(name="Thing", shareable=True)
        class Two:
            size: int | None

        graph = merged(a=root("one", One | None), b=root("two", Two | None))
        assert "type Thing {\n  size: Int\n}" in graph.as_str()

    def test_refuse_unknown_names_in_field_sets(self) -> None:
        @strawberry.federation.type(keys=["id code"], name="Thing")
        class One:
            __references__ = {"id colour": things_by_id}  # noqa: RUF012
            id: int
            size: int = bulk(things_by_id, key="id", directives=[Requires(fields="wait")])

        with pytest.raises(MergeError) as refused:
            merged(a=root("one", One | None))
        assert refused.value.problems == [
            'a: @key of Thing names "code", which Thing does not have.',
            'a: __references__ of Thing names "colour", which Thing does not have.',
            'a: @requires of Thing.size names "wait", which Thing does not have.',
        ]

    def test_refuse_an_external_of_another_nullability(self) -> None:
        @strawberry.federation.type(keys=["id"], name="Thing")
        class Owner:
            __references__ = {"id": things_by_id}  # noqa: RUF012
            id: int
            grams: int | None

        @strawberry.federation.type(keys=["id"], name="Thing")
        class Stub:
            id: int
            grams: int = strawberry.federation.field(external=True)
            fee: int = bulk(things_by_id, key=("id", "grams"), directives=[Requires(fields="grams")])

        with pytest.raises(MergeError) as refused:
            merged(a=root("one", Owner | None), b=root("two", Stub | None))
        assert refused.value.problems == ["Thing.grams is Int! as @external in b, but Int in a."]

    def test_refuse_an_entity_without_an_owner(self) -> None:
        @strawberry.federation.type(keys=["id"], name="Thing")
        class One:
            id: int
            size: int = bulk(things_by_id, key="id")

        @strawberry.federation.type(keys=["id"], name="Thing")
        class Two:
            id: int
            colour: int = bulk(things_by_id, key="id")

        with pytest.raises(MergeError) as refused:
            merged(a=root("one", One | None), b=root("two", Two | None))
        assert refused.value.problems == ["Entity Thing of a, b has no owner: none of them declares __references__."]

    def test_refuse_a_plain_field_that_no_reference_can_fill(self) -> None:
        @strawberry.federation.type(keys=["id"], name="Thing")
        class Owner:
            __references__ = {"id": things_by_id}  # noqa: RUF012
            id: int

        @strawberry.federation.type(keys=["id"], name="Thing")
        class Stub:
            id: int
            colour: str

        with pytest.raises(MergeError) as refused:
            merged(a=root("one", Owner | None), b=root("two", Stub | None))
        assert refused.value.problems == [
            "Thing.colour is a plain field of b, which cannot find a Thing that came from a: it declares no __references__."
        ]

    def test_refuse_two_enums_of_one_name(self) -> None:
        first = strawberry.enum(enum.Enum("Hue", "RED"))
        second = strawberry.enum(enum.Enum("Hue", "RED"))
        with pytest.raises(MergeError, match=r"Enum Hue is one Python class in a and another in b\."):
            merged(a=root("one", first), b=root("two", second))

    def test_refuse_a_root_of_another_name(self) -> None:
        @strawberry.type
        class Changes:
            @strawberry.mutation
            def change(self) -> int:
                return 1

        with pytest.raises(MergeError, match=r"a: name the mutation type Mutation, not Changes\."):
            Supergraph({"a": Subgraph(root("one", int), mutation=Changes)})


@strawberry.interface
class Node:
    id: int


@strawberry.federation.type(keys=["id"], name="Leaf")
class OwnedLeaf(Node):
    __references__ = {"id": things_by_id}  # noqa: RUF012
    id: int


@strawberry.federation.type(keys=["id"], name="Leaf")
class KnownLeaf:
    id: int


@strawberry.type
class Branch:
    length: int


class TestAbstractTypes:
    def test_unite_members_and_interfaces(self) -> None:
        left = Annotated[OwnedLeaf | Branch, strawberry.union("Part")]
        right = Annotated[KnownLeaf, strawberry.union("Part")]
        sdl = merged(a=root("one", left | None), b=root("two", right | None)).as_str()
        assert "union Part = Leaf | Branch" in sdl
        assert "type Leaf implements Node {" in sdl
