from typing import Any
from uuid import uuid4

import pytest

from domain.kernel import NOBODY, Principal

LIST = (
    "query($first: Int, $filter: ProductFilterInput, $sort: ProductSort! = NEWEST) "
    "{ products(first: $first, filter: $filter, sort: $sort) { nodes { sku } totalCount } }"
)


async def skus(shop: Any, who: Principal = NOBODY, **given: Any) -> list[str]:
    found = await shop.get(LIST, who, **given)
    return [each["sku"] for each in found["products"]["nodes"]]


class TestVisibility:
    """Only active products are public, whichever way is tried; sellers see their own, admins all."""

    @pytest.fixture
    async def mugs(self, shop: Any) -> Any:
        return await shop.category("Mugs")

    @pytest.fixture
    async def draft(self, shop: Any, mugs: Any) -> Any:
        return await shop.product(
            publish=False, sku="D", slug="d", categoryId=mugs["id"], variants=[{"name": "One", "sku": "V"}]
        )

    WAYS = (
        "product(id: $id) { id }",
        'product(slug: "d") { id }',
        'product(sku: "D") { id }',
        "products { nodes { id } }",
        "products(filter: {state: DRAFT}) { nodes { id } }",
        "category(id: $category) { products { nodes { id } } }",
        "categoryTree { products { nodes { id } } }",
        "productVariants(productId: $id) { id }",
    )

    @pytest.mark.parametrize("way", WAYS)
    async def test_shows_a_draft_to_its_seller_and_to_admins_only(
        self, shop: Any, draft: Any, mugs: Any, way: str
    ) -> None:
        document = f"query($id: ID!, $category: ID!) {{ unused: category(id: $category) {{ id }} own: product(id: $id) {{ id }} found: {way} }}"

        async def sees(who: Principal) -> bool:
            found = (await shop.get(document, who, id=draft["id"], category=mugs["id"]))["found"]
            return "id" in str(found)

        people = {
            "public": NOBODY,
            "buyer": shop.person(),
            "rival": shop.rival,
            "own": shop.seller,
            "admin": shop.admin,
        }
        assert {name: await sees(who) for name, who in people.items()} == {
            "public": False,
            "buyer": False,
            "rival": False,
            "own": True,
            "admin": True,
        }

    @pytest.mark.parametrize("key", [{"id": None}, {"sku": "D"}])
    async def test_holds_for_references_from_other_subgraphs(self, shop: Any, draft: Any, key: Any) -> None:
        representation = {"__typename": "Product", **(key if key != {"id": None} else {"id": draft["id"]})}
        assert await self.entities(shop, NOBODY, representation) == [None]
        assert await self.entities(shop, shop.rival, representation) == [None]
        assert await self.entities(shop, shop.seller, representation) == [{"__typename": "Product", "sku": "D"}]

    async def test_holds_for_references_to_variants(self, shop: Any, draft: Any) -> None:
        representation = {"__typename": "ProductVariant", "sku": "V"}
        assert await self.entities(shop, NOBODY, representation) == [None]
        assert await self.entities(shop, shop.seller, representation) == [{"__typename": "ProductVariant", "sku": "V"}]

    async def test_gives_references_in_the_order_of_their_keys(self, shop: Any) -> None:
        first, second = await shop.product(sku="A"), await shop.product(sku="B", variants=[{"name": "x", "sku": "BV"}])
        found = await self.entities(
            shop,
            NOBODY,
            {"__typename": "Product", "sku": "B"},
            {"__typename": "Product", "id": str(uuid4())},
            {"__typename": "Product", "id": first["id"]},
            {"__typename": "ProductVariant", "sku": "BV"},
            {"__typename": "Product", "sku": "no\0pe"},
            {"__typename": "Product", "id": second["id"]},
        )
        assert [each and each["sku"] for each in found] == ["B", None, "A", "BV", None, "B"]

    async def test_ends_at_the_tenant(self, shop: Any, other_shop: Any) -> None:
        theirs = await other_shop.product(sku="T", slug="t")
        branch = await other_shop.category("Theirs")
        seen = await shop.get(
            'query($id: ID!, $branch: ID!) { a: product(id: $id) { id } b: product(sku: "T") { id } '
            'c: product(slug: "t") { id } products { totalCount } category(id: $branch) { id } '
            "categories(parentId: $branch) { id } filtered: products(filter: {categoryId: $branch}) { totalCount } }",
            shop.admin,
            id=theirs["id"],
            branch=branch["id"],
        )
        assert seen == {
            "a": None,
            "b": None,
            "c": None,
            "products": {"totalCount": 0},
            "category": None,
            "categories": [],
            "filtered": {"totalCount": 0},
        }

    async def test_hides_inactive_categories_from_the_public(self, shop: Any) -> None:
        hidden = await shop.category("Hidden", isActive=False)
        await shop.category("Below", hidden)
        product = await shop.product(categoryId=hidden["id"])
        document = "query($id: ID!, $p: ID!) { category(id: $id) { name } categoryTree { name } product(id: $p) { category { name } } }"
        assert await shop.get(document, id=hidden["id"], p=product["id"]) == {
            "category": None,
            "categoryTree": [],
            "product": {"category": None},
        }
        seen = await shop.get(document, shop.admin, id=hidden["id"], p=product["id"])
        assert [each["name"] for each in seen["categoryTree"]] == ["Hidden", "Below"]

    async def test_tells_what_a_product_costs_its_seller_to_nobody_else(self, shop: Any) -> None:
        product = await shop.product(unitCost={"amountMinor": 100, "currency": "EUR"})
        document = "query($id: ID!) { product(id: $id) { sku unitCost { amount } } }"
        own = await shop.get(document, shop.seller, id=product["id"])
        assert own["product"]["unitCost"] == {"amount": "1.00"}
        for who in (NOBODY, shop.rival):
            answer = await shop.ask(document, who, id=product["id"])
            assert answer.data["product"]["unitCost"] is None
            assert len(answer.errors) == 1

    @staticmethod
    async def entities(shop: Any, who: Principal, *representations: Any) -> Any:
        from resolvers.kernel import Context
        from schema.catalog import subgraph

        context = Context(
            reads=shop.database.reads(shop.tenant_id), transactions=None, principal=who, tenant_id=shop.tenant_id
        )
        result = await subgraph.execute(
            "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Product { sku } "
            "... on ProductVariant { sku } } }",
            variable_values={"r": list(representations)},
            context_value=context,
        )
        await context.forget()
        assert result.errors is None
        return result.data["_entities"]


class TestProducts:
    @pytest.fixture
    async def shelf(self, shop: Any) -> Any:
        home = await shop.category("Home")
        mugs = await shop.category("Mugs", home)
        price = [{"amountMinor": each, "currency": "EUR"} for each in (300, 100, 200)]
        await shop.product(sku="A", name="Zebra mug", price=price[0], categoryId=mugs["id"], brand="Acme")
        await shop.product(sku="B", name="apple mug", price=price[1], categoryId=home["id"], brand="Best")
        await shop.product(sku="C", name="Apple cup", price=price[2], brand="Acme", who=shop.rival)
        return {"home": home, "mugs": mugs}

    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("NEWEST", ["C", "B", "A"]),
            ("PRICE_ASC", ["B", "C", "A"]),
            ("PRICE_DESC", ["A", "C", "B"]),
            ("NAME", ["C", "B", "A"]),
        ],
    )
    async def test_sorts_and_pages_both_ways(self, shop: Any, shelf: Any, sort: str, order: list[str]) -> None:
        assert await skus(shop, sort=sort) == order
        document = (
            "query($sort: ProductSort!, $after: String, $before: String, $first: Int, $last: Int) { products(sort: $sort, "
            "first: $first, after: $after, last: $last, before: $before) { nodes { sku } "
            "pageInfo { endCursor startCursor hasNextPage hasPreviousPage } } }"
        )
        cursor, walked = None, []
        for _ in order:
            page = (await shop.get(document, sort=sort, first=1, after=cursor))["products"]
            walked += [each["sku"] for each in page["nodes"]]
            cursor = page["pageInfo"]["endCursor"]
        assert walked == order
        assert page["pageInfo"]["hasNextPage"] is False
        back = (await shop.get(document, sort=sort, last=2, before=cursor))["products"]
        assert [each["sku"] for each in back["nodes"]] == order[:2]
        other = await shop.ask(document, sort="NEWEST" if sort == "NAME" else "NAME", first=1, after=cursor)
        assert len(other.errors) == 1

    async def test_filters(self, shop: Any, shelf: Any) -> None:
        async def found(**wanted: Any) -> list[str]:
            return sorted(await skus(shop, filter=wanted))

        def eur(amount: int) -> Any:
            return {"amountMinor": amount, "currency": "EUR"}

        assert await found(categoryId=shelf["home"]["id"]) == ["A", "B"]
        assert await found(categoryId=shelf["mugs"]["id"]) == ["A"]
        assert await found(categoryId=str(uuid4())) == []
        assert await found(brands=["Acme"]) == ["A", "C"]
        assert await found(brands=["Acme", "Best"], categoryId=shelf["home"]["id"]) == ["A", "B"]
        assert await found(minPrice=eur(150), maxPrice=eur(250)) == ["C"]
        assert await found(minPrice={"amountMinor": 1, "currency": "USD"}) == []
        assert await found(namePrefix="APPLE") == ["B", "C"]
        assert await found(namePrefix="100%_") == []
        assert await found(sellerId=str(shop.rival.user_id)) == ["C"]
        assert await found(productType="ACCESSORY") == []
        assert await found(updatedSince="2020-01-01T00:00:00Z") == ["A", "B", "C"]
        assert await found(updatedSince="2999-01-01T00:00:00Z") == []

    async def test_counts_only_when_asked(self, shop: Any, shelf: Any) -> None:
        assert (await shop.ask("{ products { nodes { sku } } }")).statements == 1
        answer = await shop.ask("{ products(first: 1) { nodes { sku } totalCount } }")
        assert (answer.statements, answer.data["products"]["totalCount"]) == (2, 3)

    @pytest.mark.parametrize(
        "wanted",
        [
            {"namePrefix": "a\0"},
            {"brands": ["\0"]},
            {"minPrice": {"amountMinor": 1, "currency": "EUR"}, "maxPrice": {"amountMinor": 1, "currency": "USD"}},
            {"minPrice": {"amountMinor": 1, "currency": "nope"}},
        ],
    )
    async def test_refuses_a_filter_that_cannot_be_asked(self, shop: Any, wanted: Any) -> None:
        answer = await shop.ask(LIST, filter=wanted)
        assert (answer.data, len(answer.errors), answer.statements) == (None, 1, 0)

    async def test_wants_exactly_one_name_of_a_product(self, shop: Any) -> None:
        for arguments in ("", '(id: "0198c9c4-7c7b-7000-8000-000000000000", sku: "x")'):
            answer = await shop.ask(f"{{ product{arguments} {{ id }} }}")
            assert len(answer.errors) == 1


@pytest.fixture(scope="module")
async def big_shop(graph: Any, database: Any, make_tenant: Any) -> Any:
    from data.catalog import category, product, product_image, product_variant
    from domain.kernel import uuid7

    tenant_id = make_tenant()
    ids = [uuid7() for _ in range(100)]
    branches = [uuid7() for _ in range(10)]
    async with database.session(tenant_id) as session:
        own = {"tenant_id": tenant_id}
        root = {"id": uuid7(), "version": 1, "name": "Root", "slug": "root", **own}
        await session.execute(category.insert().values(**root, path=f"/{root['id'].hex}/"))
        for at, branch in enumerate(branches):
            values = {"id": branch, "version": 1, "name": f"B{at}", "slug": f"b{at}", "parent_id": root["id"], **own}
            await session.execute(category.insert().values(**values, path=f"/{root['id'].hex}/{branch.hex}/"))
        rows = [
            {
                "id": each,
                "version": 1,
                "seller_id": ids[0],
                "state": "active",
                "name": f"P{at}",
                "slug": f"p{at}",
                "sku": f"P{at}",
                "price_minor": at,
                "currency": "EUR",
                "category_id": branches[at % 10],
                **own,
            }
            for at, each in enumerate(ids)
        ]
        await session.execute(product.insert(), rows)
        parts = [{"id": uuid7(), "product_id": each, **own} for each in ids for _ in range(3)]
        variants = [{**part, "name": "v", "sku": f"V{at}", "position": at} for at, part in enumerate(parts)]
        await session.execute(product_variant.insert(), variants)
        images = [{**part, "id": uuid7(), "url": "https://a.example/x"} for part in parts]
        await session.execute(product_image.insert(), images)
    return type("BigShop", (), {"ask": _asking(graph, database, tenant_id)})


def _asking(graph: Any, database: Any, tenant_id: Any) -> Any:
    from resolvers.kernel import Context

    async def ask(document: str) -> tuple[Any, int]:
        reads = database.reads(tenant_id)
        context = Context(reads=reads, transactions=None, tenant_id=tenant_id)
        result = await graph.execute(document, context_value=context)
        await context.forget()
        assert result.errors is None
        return result.data, reads.statements

    return staticmethod(ask)


FIELDS = {
    "sku name price { amount }": 1,
    "sku category { name }": 2,
    "sku category { name parent { name } }": 3,
    "sku breadcrumbs { name }": 2,
    "sku variants { sku price { amount } options { value } }": 2,
    "sku images { url }": 2,
    "sku regulated { thcMax }": 2,
    "sku category { name } variants { sku price { amount } }": 3,
    "sku category { schema { name } productCount children { name } path { name } }": 6,
    "sku category { products(first: 2) { nodes { sku } } }": 3,
    "sku variants { product { name } }": 3,
}


class TestStatements:
    """A list costs the same number of statements however long it is."""

    @pytest.mark.parametrize("fields", FIELDS)
    @pytest.mark.parametrize("first", [20, 100])
    async def test_are_as_many_for_20_products_as_for_100(self, big_shop: Any, fields: str, first: int) -> None:
        data, statements = await big_shop.ask(f"{{ products(first: {first}) {{ nodes {{ {fields} }} }} }}")
        assert (len(data["products"]["nodes"]), statements) == (first, FIELDS[fields])

    async def test_are_two_for_the_tree_with_its_counts(self, big_shop: Any) -> None:
        data, statements = await big_shop.ask("{ categoryTree { name depth productCount } }")
        assert statements == 2
        assert [(each["name"], each["productCount"]) for each in data["categoryTree"]] == [
            ("Root", 100),
            *((f"B{at}", 10) for at in range(10)),
        ]

    async def test_are_two_for_the_first_products_of_all_categories(self, big_shop: Any) -> None:
        document = (
            "{ categoryTree { name products(first: 2, sort: PRICE_DESC) { nodes { sku } pageInfo { hasNextPage } } } }"
        )
        data, statements = await big_shop.ask(document)
        assert statements == 2
        tree = {
            each["name"]: [product["sku"] for product in each["products"]["nodes"]] for each in data["categoryTree"]
        }
        assert (tree["Root"], tree["B3"]) == (["P99", "P98"], ["P93", "P83"])
        assert all(each["products"]["pageInfo"]["hasNextPage"] for each in data["categoryTree"])

    async def test_walk_a_category_by_its_cursor(self, big_shop: Any) -> None:
        document = '{{ category(slug: "b3") {{ products(first: 6, after: {after}) {{ nodes {{ sku }} totalCount pageInfo {{ endCursor }} }} }} }}'
        data, _ = await big_shop.ask(document.format(after="null"))
        first = data["category"]["products"]
        data, _ = await big_shop.ask(document.format(after=f'"{first["pageInfo"]["endCursor"]}"'))
        second = data["category"]["products"]
        walked = [each["sku"] for each in (*first["nodes"], *second["nodes"])]
        assert walked == [f"P{at}3" for at in range(9, 0, -1)] + ["P3"]
        assert first["totalCount"] == 10
