"""Search as shoppers and sellers meet it: every change takes the whole way through log, bus and index."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from domain.discovery import SearchLog
from domain.kernel import NOBODY, Principal, uuid7
from domain.paging import encode_cursor
from tests.events import eventually
from tests.indexing import index_fed

SEARCH = """
query Search(
  $query: String! = "", $filters: SearchFiltersInput, $facets: [Facet!]! = [], $sort: Sort! = RELEVANCE
  $first: Int, $after: String, $limit: Int, $offset: Int, $facetAttributes: [String!]! = []
) {
  searchProducts(
    query: $query, filters: $filters, facets: $facets, sort: $sort, first: $first, after: $after
    limit: $limit, offset: $offset, facetAttributes: $facetAttributes
  ) {
    searchId total correctedQuery processingMs
    hits { score product { id name } }
    facets {
      categories { value count path } brands { value count } prices { minimumMinor maximumMinor count }
      attributes { name minimum maximum values { value count } } inStock outOfStock ratings { minimum count }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


RESERVE = """mutation($input: ReserveStockInput!, $key: String!) {
  reserveStock(input: $input, idempotencyKey: $key) { __typename } }"""
RELEASE = """mutation($input: ReleaseStockInput!, $key: String!) {
  releaseStock(input: $input, idempotencyKey: $key) { __typename } }"""


@pytest.fixture(scope="module", autouse=True)
async def worker(services: Any, redis_url: str) -> AsyncIterator[Any]:
    async with index_fed(services, redis_url) as fed:
        yield fed


@dataclass
class Shop:
    """One tenant's staff, and the shoppers that search there."""

    graph: Any

    async def do(self, mutation: str, fields: str = "", *, key: str | None = None, **given: Any) -> Any:
        kind = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation($input: {kind}Input!{', $key: String!' if key else ''}) "
            f"{{ {mutation}(input: $input{', idempotencyKey: $key' if key else ''}) "
            f"{{ __typename {fields} ... on Error {{ code message }} }} }}"
        )
        answer = await self.graph(document, {"input": given, "key": key})
        assert answer.errors == []
        made = answer.data[mutation]
        assert "code" not in made, made
        return made

    async def product(self, name: str, *, price: int = 1_000, publish: bool = True, **given: Any) -> str:
        values = {"name": name, "sku": uuid7().hex, "price": {"amountMinor": price, "currency": "CAD"}, **given}
        made = await self.do("createProduct", "... on Product { id }", **values)
        if publish:
            await self.do("publishProduct", id=made["id"])
        return str(made["id"])

    async def category(self, name: str, parent: str | None = None) -> str:
        made = await self.do("createCategory", "... on Category { id }", name=name, parentId=parent)
        return str(made["id"])

    async def store(self) -> str:
        made = await self.do(
            "createStore", "... on Store { id }", code=f"s{uuid7().hex[-12:]}", name="A", provinceCode="CA-ON"
        )
        return str(made["id"])

    async def search(self, query: str = "", **given: Any) -> Any:
        answer = await self.graph(SEARCH, {"query": query, **given}, principal=NOBODY)
        assert answer.errors == []
        return answer.data["searchProducts"]

    async def found(self, query: str = "", **given: Any) -> list[str]:
        # A product that was taken off sale a moment ago may still be a hit, and then cannot be named.
        answer = await self.graph(SEARCH, {"query": query, **given}, principal=NOBODY)
        return [hit["product"] and hit["product"]["name"] for hit in answer.data["searchProducts"]["hits"]]

    async def finds(self, query: str, *names: str, **given: Any) -> None:
        """Wait until a search finds these names, in any order, and nothing else."""

        async def holds() -> bool:
            return sorted(await self.found(query, **given), key=str) == sorted(names)

        await eventually(holds)


@pytest.fixture
def shop(graph: Any) -> Shop:
    return Shop(graph)


class TestTheIndexFollows:
    async def test_a_product_through_its_life(self, shop: Shop) -> None:
        lamp = await shop.product("Copper lantern", publish=False)
        await shop.product("Walnut stool")
        await shop.finds("", "Walnut stool")
        await shop.do("publishProduct", id=lamp)
        await shop.finds("lantern", "Copper lantern")
        await shop.do("updateProduct", id=lamp, name="Brass chandelier")
        await shop.finds("chandelier", "Brass chandelier")
        assert await shop.found("lantern") == []
        await shop.do("archiveProduct", id=lamp)
        await shop.finds("chandelier")
        stool = (await shop.search("stool"))["hits"][0]["product"]["id"]
        await shop.do("deleteProduct", id=stool)
        await shop.finds("")

    async def test_stock(self, shop: Shop) -> None:
        sku, store = uuid7().hex, await shop.store()
        await shop.product("Kettle", sku=sku)
        await shop.finds("kettle", "Kettle", filters={"inStock": False})
        await shop.do("adjustStock", key="in", storeId=store, sku=sku, change=2)
        await shop.finds("kettle", "Kettle", filters={"inStock": True})
        found = await shop.search("kettle", facets=["IN_STOCK"], filters={"storeId": store})
        assert (found["facets"]["inStock"], found["facets"]["outOfStock"]) == (1, 0)
        await shop.do("adjustStock", key="out", storeId=store, sku=sku, change=-2)
        await shop.finds("kettle", "Kettle", filters={"inStock": False})
        found = await shop.search("kettle", facets=["IN_STOCK"])
        assert (found["facets"]["inStock"], found["facets"]["outOfStock"]) == (0, 1)

    async def test_what_is_promised_to_buyers(self, shop: Shop) -> None:
        sku, store, order = uuid7().hex, await shop.store(), str(uuid7())
        await shop.product("Samovar", sku=sku)
        await shop.do("adjustStock", key="in", storeId=store, sku=sku, change=1)
        await shop.finds("samovar", "Samovar", filters={"inStock": True})
        claims = [{"storeId": store, "sku": sku, "quantity": 1}]
        await shop.graph(RESERVE, {"input": {"orderId": order, "claims": claims}, "key": "reserve"})
        await shop.finds("samovar", "Samovar", filters={"inStock": False})
        await shop.graph(RELEASE, {"input": {"orderId": order}, "key": "release"})
        await shop.finds("samovar", "Samovar", filters={"inStock": True})

    async def test_ratings(self, shop: Shop) -> None:
        poor, fine = await shop.product("Pen one"), await shop.product("Pen two")
        await shop.product("Pen three")
        for product, rating in ((poor, 2), (fine, 5)):
            await shop.do("createReview", productId=product, rating=rating)
        await shop.finds("pen", "Pen two", filters={"minimumRating": 4})
        await shop.finds("pen", "Pen one", "Pen two", filters={"minimumRating": 1})
        found = await shop.search("pen", facets=["RATING"], sort="RATING")
        assert [hit["product"]["name"] for hit in found["hits"]][:2] == ["Pen two", "Pen one"]
        bands = {band["minimum"]: band["count"] for band in found["facets"]["ratings"]}
        assert (bands[5], bands[2], bands[1]) == (1, 2, 2)

    async def test_categories_that_are_renamed_and_moved(self, shop: Shop) -> None:
        home, garden = await shop.category("Home"), await shop.category("Garden")
        chairs = await shop.category("Chairs", home)
        await shop.product("Bench", categoryId=chairs)
        await shop.finds("bench", "Bench", filters={"categoryPath": ["home", "chairs"]})
        await shop.do("moveCategory", id=chairs, parentId=garden)
        await shop.finds("", "Bench", filters={"categoryPath": ["garden", "chairs"]})
        assert await shop.found("", filters={"categoryPath": ["home"]}) == []
        await shop.do("updateCategory", id=chairs, name="Seating")
        await shop.finds("seating", "Bench")
        found = await shop.search("bench", facets=["CATEGORY"])
        assert [(each["path"], each["count"]) for each in found["facets"]["categories"]] == [
            (["garden"], 1),
            (["garden", "chairs"], 1),
        ]

    async def test_translations_with_typos_and_in_latin_letters(self, shop: Shop) -> None:
        for code in ("en", "ru"):
            await shop.do("setSupportedLanguage", code=code)
        kettle = await shop.product("Electric kettle")
        await shop.product("Iron pan")
        await shop.do(
            "createTranslation",
            entityType="PRODUCT",
            entityId=kettle,
            field="name",
            language="ru",
            text="Электрический чайник",
        )
        await shop.finds("чайник", "Electric kettle")
        assert await shop.found("чайнек") == ["Electric kettle"]
        assert await shop.found("chainik") == ["Electric kettle"]
        assert await shop.found("elektricheskij chajnik") == ["Electric kettle"]


class TestSearchProducts:
    @pytest.fixture
    async def shelf(self, shop: Shop) -> Shop:
        computers = await shop.category("Computers")
        laptops, phones = await shop.category("Laptops", computers), await shop.category("Phones", computers)
        for number, (name, brand, category, price, size, colour) in enumerate(
            [
                ("Zenbook laptop", "Asus", laptops, 120_000, 14, "Black"),
                ("Thinkpad laptop", "Lenovo", laptops, 150_000, 15, "Black"),
                ("Swift laptop", "Acer", laptops, 80_000, 13, "Silver"),
                ("Pixel phone", "Google", phones, 60_000, 6, "Black"),
                ("Razr phone", "Motorola", phones, 70_000, 7, "Silver"),
            ]
        ):
            attributes = [
                {"name": "display", "number": size},
                {"name": "colour", "text": colour},
                {"name": "foldable", "boolean": number == 4},
            ]
            await shop.product(name, brand=brand, categoryId=category, price=price, attributes=attributes)

        async def complete() -> bool:
            return (await shop.search())["total"] == 5

        await eventually(complete)
        return shop

    async def test_counts_facets(self, shelf: Shop) -> None:
        found = await shelf.search("laptop", facets=["CATEGORY", "BRAND", "PRICE", "ATTRIBUTES", "IN_STOCK"])
        facets = found["facets"]
        assert (found["total"], found["correctedQuery"]) == (3, None)
        assert found["processingMs"] > 0
        assert {(tuple(each["path"]), each["count"]) for each in facets["categories"]} == {
            (("computers",), 3),
            (("computers", "laptops"), 3),
        }
        assert {(each["value"], each["count"]) for each in facets["brands"]} == {
            ("Asus", 1),
            ("Lenovo", 1),
            ("Acer", 1),
        }
        assert sum(each["count"] for each in facets["prices"]) == 3
        by_name = {each["name"]: each for each in facets["attributes"]}
        assert {(each["value"], each["count"]) for each in by_name["colour"]["values"]} == {("Black", 2), ("Silver", 1)}
        assert (by_name["display"]["minimum"], by_name["display"]["maximum"]) == (13, 15)
        assert (facets["inStock"], facets["outOfStock"]) == (0, 3)

    async def test_filters(self, shelf: Shop) -> None:
        for filters, names in [
            ({"brands": ["Asus", "Google"]}, ["Pixel phone", "Zenbook laptop"]),
            ({"categoryPath": ["computers", "phones"]}, ["Pixel phone", "Razr phone"]),
            (
                {"price": {"minimumMinor": 70_000, "maximumMinor": 120_000}},
                ["Razr phone", "Swift laptop", "Zenbook laptop"],
            ),
            ({"price": {"minimumMinor": 1, "currency": "USD"}}, []),
            ({"attributes": [{"name": "colour", "values": ["Silver"]}]}, ["Razr phone", "Swift laptop"]),
            (
                {"attributes": [{"name": "display", "minimum": 7, "maximum": 14}]},
                ["Razr phone", "Swift laptop", "Zenbook laptop"],
            ),
            ({"attributes": [{"name": "foldable", "flag": True}]}, ["Razr phone"]),
            ({"brands": ["Asus"], "categoryPath": ["computers", "phones"]}, []),
            ({"inStock": True}, []),
        ]:
            assert sorted(await shelf.found(filters=filters)) == names, filters

    async def test_sorts(self, shelf: Shop) -> None:
        by_price = ["Pixel phone", "Razr phone", "Swift laptop", "Zenbook laptop", "Thinkpad laptop"]
        assert await shelf.found(sort="PRICE_ASC") == by_price
        assert await shelf.found(sort="PRICE_DESC") == by_price[::-1]
        newest = ["Razr phone", "Pixel phone", "Swift laptop", "Thinkpad laptop", "Zenbook laptop"]
        assert await shelf.found(sort="NEWEST") == newest

    async def test_pages_by_cursor_without_gaps_or_repeats(self, shelf: Shop) -> None:
        everything, after, pages = await shelf.found(sort="PRICE_ASC"), None, []
        while True:
            found = await shelf.search(sort="PRICE_ASC", first=2, after=after)
            pages.append([hit["product"]["name"] for hit in found["hits"]])
            assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
            if not found["pageInfo"]["hasNextPage"]:
                break
            after = found["pageInfo"]["endCursor"]
        assert pages == [everything[:2], everything[2:4], everything[4:]]
        from_second = await shelf.search(sort="PRICE_ASC", first=2, after=found["pageInfo"]["startCursor"])
        assert from_second["hits"] == []

    async def test_pages_by_offset(self, shelf: Shop) -> None:
        everything = await shelf.found(sort="PRICE_ASC")
        assert await shelf.found(sort="PRICE_ASC", limit=2, offset=3) == everything[3:]
        beyond = await shelf.search(limit=2, offset=100)
        assert (beyond["hits"], beyond["total"], beyond["pageInfo"]["endCursor"]) == ([], 5, None)
        assert (await shelf.search(limit=0, facets=["BRAND"]))["hits"] == []

    async def test_forgives_a_typo(self, shelf: Shop) -> None:
        assert await shelf.found("zenbok") == ["Zenbook laptop"]

    async def test_takes_one_statement_however_many_are_found(self, shelf: Shop) -> None:
        for size in (1, 5):
            answer = await shelf.graph(SEARCH, {"first": size}, principal=NOBODY)
            assert (len(answer.data["searchProducts"]["hits"]), answer.statements) == (size, 1)

    async def test_never_finds_what_another_tenant_sells(self, shelf: Shop, make_tenant: Any) -> None:
        answer = await shelf.graph(SEARCH, {"query": "laptop"}, principal=NOBODY, tenant=make_tenant())
        assert answer.data["searchProducts"]["total"] == 0

    async def test_needs_a_tenant(self, shelf: Shop) -> None:
        answer = await shelf.graph(SEARCH, {}, principal=NOBODY, tenant=None)
        assert answer.codes == ["INVALID_INPUT"]

    @pytest.mark.parametrize(
        "given",
        [
            {"query": "a\0b"},
            {"query": "x" * 10_000},
            {"first": -1},
            {"first": 101},
            {"first": 2**31 - 1},
            {"limit": 101},
            {"limit": -1},
            {"first": 1, "limit": 1},
            {"offset": -1},
            {"offset": 10_001},
            {"offset": 1, "after": encode_cursor([1])},
            {"after": "rubbish!"},
            {"after": encode_cursor([str(UUID(int=7))])},
            {"after": encode_cursor([-1])},
            {"after": encode_cursor([2**63])},
            {"after": encode_cursor([True])},
            {"after": encode_cursor([1.5])},
            {"after": encode_cursor([1, str(UUID(int=7))])},
            {"filters": {"brands": ["a\0b"]}},
            {"filters": {"categoryPath": ["x" * 10_000]}},
            {"filters": {"attributes": [{"name": "colour", "values": ["Black"], "minimum": 1}]}},
            {"filters": {"attributes": [{"name": "colour", "minimum": 1, "flag": True}]}},
            {"filters": {"attributes": [{"name": "colour"}]}},
            {"facetAttributes": ["a\0b"]},
        ],
        ids=lambda given: str(given)[:60],
    )
    async def test_refuses_what_cannot_be_asked(self, shop: Shop, given: Any) -> None:
        answer = await shop.graph(SEARCH, given, principal=NOBODY)
        assert answer.codes == ["INVALID_INPUT"]


class TestAutocomplete:
    COMPLETE = """query($prefix: String!, $limit: Int! = 10) {
      autocomplete(prefix: $prefix, limit: $limit) { text kind count product { name } } }"""

    async def test_gives_ten_completions_at_most(self, shop: Shop) -> None:
        for number in range(12):
            await shop.product(f"Marble figure {number}", brand=f"Marbella {number}")

        async def complete() -> bool:
            return (await shop.search("marb"))["total"] == 12

        await eventually(complete)
        answer = await shop.graph(self.COMPLETE, {"prefix": "marb"}, principal=NOBODY)
        completions = answer.data["autocomplete"]
        assert len(completions) == 10
        assert all("marb" in each["text"].lower() for each in completions)
        products = [each["product"]["name"] for each in completions if each["kind"] == "PRODUCT"]
        assert all(name.startswith("Marble figure") for name in products)
        few = await shop.graph(self.COMPLETE, {"prefix": "marb", "limit": 2}, principal=NOBODY)
        assert len(few.data["autocomplete"]) == 2

    async def test_never_completes_with_what_another_tenant_sells(self, shop: Shop, make_tenant: Any) -> None:
        await shop.product("Obsidian mirror")
        await shop.finds("obsidian", "Obsidian mirror")
        answer = await shop.graph(self.COMPLETE, {"prefix": "obsi"}, principal=NOBODY, tenant=make_tenant())
        assert answer.data["autocomplete"] == []

    @pytest.mark.parametrize(
        "given", [{"limit": 11}, {"limit": 0}, {"prefix": "a\0"}, {"prefix": "x" * 10_000}], ids=str
    )
    async def test_refuses_what_cannot_be_asked(self, shop: Shop, given: Any) -> None:
        answer = await shop.graph(self.COMPLETE, {"prefix": "a", **given}, principal=NOBODY)
        assert answer.codes == ["INVALID_INPUT"]


class TestSearchSuggestions:
    SUGGEST = "query($query: String!, $limit: Int! = 5) { searchSuggestions(query: $query, limit: $limit) { didYouMean related } }"

    async def test_correct_what_occurs_nowhere(self, shop: Shop) -> None:
        await shop.product("Porcelain teapot")
        await shop.finds("porcelain", "Porcelain teapot")
        answer = await shop.graph(self.SUGGEST, {"query": "porcelan"}, principal=NOBODY)
        assert answer.data["searchSuggestions"]["didYouMean"] == "porcelain"

    async def test_refuse_an_absurd_limit(self, shop: Shop) -> None:
        answer = await shop.graph(self.SUGGEST, {"query": "a", "limit": 10_000}, principal=NOBODY)
        assert answer.codes == ["INVALID_INPUT"]


class TestTrendingSearches:
    TRENDING = "query($limit: Int! = 10) { trendingSearches(limit: $limit) { query searches } }"

    async def test_count_what_led_somewhere(self, shop: Shop, services: Any, make_tenant: Any) -> None:
        await shop.product("Velvet cushion")
        await shop.finds("velvet", "Velvet cushion")
        before = await self._trending(shop, services)
        for query in ("velvet", "Velvet", "cushion", "nothing-of-the-kind", ""):
            await shop.search(query)
        after = await self._trending(shop, services)
        assert after.pop("velvet") == before.pop("velvet") + 2
        assert after == before | {"cushion": 1}
        elsewhere = await shop.graph(self.TRENDING, principal=NOBODY, tenant=make_tenant())
        assert elsewhere.data["trendingSearches"] == []

    async def _trending(self, shop: Shop, services: Any) -> dict[str, int]:
        await services.by_port[SearchLog].flush()
        answer = await shop.graph(self.TRENDING, principal=NOBODY)
        return {each["query"]: each["searches"] for each in answer.data["trendingSearches"]}

    async def test_refuse_an_absurd_limit(self, shop: Shop) -> None:
        assert (await shop.graph(self.TRENDING, {"limit": 101}, principal=NOBODY)).codes == ["INVALID_INPUT"]


class TestTrackSearchClick:
    CLICK = """mutation($search: ID!, $product: ID!) {
      trackSearchClick(input: {searchId: $search, productId: $product}) {
        __typename ... on AcceptedJob { job } ... on Error { code } } }"""

    async def test_is_kept_once_for_a_result(self, shop: Shop, services: Any, tenant_id: UUID) -> None:
        product = await shop.product("Linen shirt")
        await shop.finds("linen", "Linen shirt")
        search = (await shop.search("linen"))["searchId"]
        for _ in range(2):
            answer = await shop.graph(self.CLICK, {"search": search, "product": product}, principal=NOBODY)
            assert answer.data["trackSearchClick"] == {"__typename": "AcceptedJob", "job": "search.click"}
        reads = services.database.reads(tenant_id)
        rows = await reads.text("SELECT search_id, product_id, user_id FROM search.click")
        await reads.close()
        assert [tuple(row) for row in rows] == [(UUID(search), UUID(product), None)]


class TestSearchIndexStatus:
    STATUS = "{ searchIndexStatus { engine state documents version sizeBytes reason rebuildRequestedAt } }"
    REBUILD = "mutation { rebuildSearchIndex { __typename ... on AcceptedJob { job } ... on Error { code } } }"

    async def test_tells_of_a_rebuild_until_it_is_done(self, shop: Shop) -> None:
        await shop.product("Amber ring")
        await shop.finds("amber", "Amber ring")
        asked = await shop.graph(self.REBUILD)
        assert asked.data["rebuildSearchIndex"] == {"__typename": "AcceptedJob", "job": "search.rebuild"}

        async def done() -> Any:
            status = (await shop.graph(self.STATUS)).data["searchIndexStatus"]
            return status if status["rebuildRequestedAt"] is None else None

        status = await eventually(done)
        assert (status["engine"], status["state"], status["reason"]) == ("embedded", "READY", "")
        assert status["documents"] >= 1
        assert await shop.found("amber") == ["Amber ring"]

    async def test_is_for_those_who_manage_search(self, shop: Shop, tenant_id: UUID) -> None:
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        for document in (self.STATUS, self.REBUILD):
            assert (await shop.graph(document, principal=shopper)).codes == ["FORBIDDEN"]
            assert (await shop.graph(document, principal=NOBODY)).codes == ["UNAUTHENTICATED"]


class TestUpdateSearchSettings:
    UPDATE = """mutation($groups: [SynonymGroupInput!]!, $stop: [String!]! = []) {
      updateSearchSettings(input: {synonyms: $groups, stopWords: $stop}) {
        __typename ... on AcceptedJob { job } ... on Error { code } } }"""

    async def test_makes_words_find_each_other(self, shop: Shop, services: Any) -> None:
        await shop.product("Leather sofa")
        await shop.finds("sofa", "Leather sofa")
        answer = await shop.graph(self.UPDATE, {"groups": [{"words": ["sofa", "davenport"]}]})
        assert answer.data["updateSearchSettings"] == {"__typename": "AcceptedJob", "job": "search.configure"}
        await shop.finds("davenport", "Leather sofa")
        await shop.graph(self.UPDATE, {"groups": []})
        await shop.finds("davenport")

    @pytest.mark.parametrize(
        "given",
        [
            {"groups": [{"words": ["alone"]}]},
            {"groups": [{"words": ["a", " "]}]},
            {"groups": [{"words": ["a", "b\0"]}]},
            {"groups": [{"words": ["a", "x" * 101]}]},
            {"groups": [{"words": ["a"] * 51}]},
            {"groups": [], "stop": [""]},
        ],
        ids=lambda given: str(given)[:60],
    )
    async def test_refuses_what_are_no_words(self, shop: Shop, given: Any) -> None:
        answer = await shop.graph(self.UPDATE, given)
        assert answer.data["updateSearchSettings"] == {"__typename": "InvalidInput", "code": "INVALID_INPUT"}
