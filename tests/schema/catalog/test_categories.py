import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.catalog import CreateCategory, MoveCategory, create_category, move_category
from domain.kernel import DomainError, Work

TREE = "{ categoryTree { id name depth parentId slug version sortOrder path { name } } }"


async def names(shop: Any) -> list[tuple[str, int]]:
    tree = (await shop.get(TREE, shop.admin))["categoryTree"]
    return [(each["name"], each["depth"]) for each in tree]


async def paths(shop: Any) -> dict[str, list[str]]:
    tree = (await shop.get(TREE, shop.admin))["categoryTree"]
    return {each["name"]: [step["name"] for step in each["path"]] for each in tree}


class TestCreateCategory:
    async def test_hangs_it_below_its_parent(self, shop: Any) -> None:
        home = await shop.category("Дом")
        kitchen = await shop.category("Kitchen", home, sortOrder=2)
        await shop.category("Bath", home, sortOrder=1)
        assert (home["slug"], home["depth"], kitchen["depth"]) == ("dom", 1, 2)
        assert await names(shop) == [("Дом", 1), ("Bath", 2), ("Kitchen", 2)]
        assert await shop.events(kitchen["id"]) == [
            (
                "category.created",
                {"category_id": kitchen["id"], "parent_id": home["id"], "title": "Kitchen", "slug": "kitchen"},
            )
        ]

    async def test_numbers_the_slugs_of_namesakes(self, shop: Any) -> None:
        assert [(await shop.category("Mugs"))["slug"] for _ in range(2)] == ["mugs", "mugs-2"]

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"name": ""}, "INVALID_INPUT"),
            ({"name": "a\0"}, "INVALID_INPUT"),
            ({"name": "x" * 256}, "INVALID_INPUT"),
            ({"slug": "taken"}, "ALREADY_EXISTS"),
            ({"slug": "A B"}, "INVALID_INPUT"),
            ({"imageUrl": "ftp://a"}, "INVALID_INPUT"),
            ({"sortOrder": 2_000_000}, "INVALID_INPUT"),
            ({"parentId": str(uuid4())}, "NOT_FOUND"),
            ({"attributes": [{"name": "Bad Name", "type": "TEXT"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "type": "TEXT"}, {"name": "a", "type": "TEXT"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "type": "ENUM"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "type": "TEXT", "allowedValues": ["x"]}]}, "INVALID_INPUT"),
        ],
    )
    async def test_refuses_and_makes_nothing(self, shop: Any, wrong: Any, code: str) -> None:
        await shop.category("Taken", slug="taken")
        assert (await shop.do("createCategory", "", shop.admin, **{"name": "New", **wrong}))["code"] == code
        assert await names(shop) == [("Taken", 1)]

    async def test_refuses_more_levels_than_a_shopper_can_follow(self, shop: Any) -> None:
        last = None
        for level in range(10):
            last = await shop.category(f"L{level}", last)
        answer = await shop.do("createCategory", "", shop.admin, name="L10", parentId=last["id"])
        assert answer["message"] == "The tree would have 11 levels; at most 10 are allowed."
        assert len(await names(shop)) == 10

    async def test_refuses_a_parent_of_another_tenant(self, shop: Any, other_shop: Any) -> None:
        theirs = await other_shop.category("Theirs")
        answer = await shop.do("createCategory", "", shop.admin, name="Mine", parentId=theirs["id"])
        assert answer["message"] == f"Category {theirs['id']} does not exist."
        assert await names(shop) == []

    async def test_is_not_for_sellers(self, shop: Any) -> None:
        document = 'mutation { createCategory(input: {name: "Mine"}) { __typename } }'
        answer = await shop.ask(document, shop.seller)
        assert "catalog.manage" in answer.errors[0].message
        assert await names(shop) == []


class TestUpdateCategory:
    async def test_changes_what_is_given(self, shop: Any) -> None:
        made = await shop.category("Mugs", description="For tea")
        changed = await shop.do(
            "updateCategory",
            "... on Category { name description version isActive }",
            shop.admin,
            id=made["id"],
            expectedVersion=1,
            name="Cups",
            isActive=False,
        )
        assert changed == {
            "__typename": "Category",
            "name": "Cups",
            "description": "For tea",
            "version": 2,
            "isActive": False,
        }
        name, data = (await shop.events(made["id"]))[-1]
        assert (name, data["changed"]) == ("category.updated", ["name", "is_active"])

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"expectedVersion": 7}, "CONCURRENT_MODIFICATION"),
            ({"name": "a\0"}, "INVALID_INPUT"),
            ({"slug": "taken"}, "ALREADY_EXISTS"),
            ({"name": None}, "INVALID_INPUT"),
            ({"attributes": None}, "INVALID_INPUT"),
        ],
    )
    async def test_refuses_and_changes_nothing(self, shop: Any, wrong: Any, code: str) -> None:
        await shop.category("Taken", slug="taken")
        made = await shop.category("Mugs")
        before = await shop.get(TREE, shop.admin)
        assert (await shop.do("updateCategory", "", shop.admin, id=made["id"], **wrong))["code"] == code
        assert await shop.get(TREE, shop.admin) == before

    @pytest.mark.parametrize("mutation", ["updateCategory", "moveCategory", "deleteCategory"])
    async def test_answers_another_tenants_category_like_none(self, shop: Any, other_shop: Any, mutation: str) -> None:
        theirs = await other_shop.category("Theirs")
        before = await other_shop.get(TREE, other_shop.admin)
        codes = [(await shop.do(mutation, "", shop.admin, id=each))["code"] for each in (theirs["id"], str(uuid4()))]
        assert codes == ["NOT_FOUND", "NOT_FOUND"]
        assert await other_shop.get(TREE, other_shop.admin) == before


class TestMoveCategory:
    async def test_takes_all_below_it_along(self, shop: Any) -> None:
        home = await shop.category("Home")
        kitchen = await shop.category("Kitchen", home)
        mugs = await shop.category("Mugs", kitchen)
        await shop.category("Tea mugs", mugs)
        garden = await shop.category("Garden")
        moved = await shop.do(
            "moveCategory", "... on Category { depth version }", shop.admin, id=kitchen["id"], parentId=garden["id"]
        )
        assert moved == {"__typename": "Category", "depth": 2, "version": 2}
        assert await paths(shop) == {
            "Home": ["Home"],
            "Garden": ["Garden"],
            "Kitchen": ["Garden", "Kitchen"],
            "Mugs": ["Garden", "Kitchen", "Mugs"],
            "Tea mugs": ["Garden", "Kitchen", "Mugs", "Tea mugs"],
        }
        name, data = (await shop.events(kitchen["id"]))[-1]
        assert (name, data["parent_id"]) == ("category.moved", garden["id"])
        top = await shop.do("moveCategory", "... on Category { depth }", shop.admin, id=mugs["id"])
        assert top["depth"] == 1
        assert (await paths(shop))["Tea mugs"] == ["Mugs", "Tea mugs"]

    async def test_refuses_a_cycle(self, shop: Any) -> None:
        home = await shop.category("Home")
        kitchen = await shop.category("Kitchen", home)
        before = await shop.get(TREE, shop.admin)
        for target in (home, kitchen):
            answer = await shop.do("moveCategory", "", shop.admin, id=home["id"], parentId=target["id"])
            assert answer["code"] == "CATEGORY_CYCLE"
        assert await shop.get(TREE, shop.admin) == before

    async def test_refuses_a_tree_that_would_be_too_deep(self, shop: Any) -> None:
        last = None
        for level in range(9):
            last = await shop.category(f"L{level}", last)
        top = await shop.category("Top")
        await shop.category("Below", top)
        before = await shop.get(TREE, shop.admin)
        answer = await shop.do("moveCategory", "", shop.admin, id=top["id"], parentId=last["id"])
        assert answer["code"] == "CATEGORY_TOO_DEEP"
        assert await shop.get(TREE, shop.admin) == before

    async def test_refuses_a_stale_version_and_a_foreign_parent(self, shop: Any, other_shop: Any) -> None:
        made, theirs = await shop.category("Mine"), await other_shop.category("Theirs")
        before = await shop.get(TREE, shop.admin)
        stale = await shop.do("moveCategory", "", shop.admin, id=made["id"], expectedVersion=9)
        foreign = await shop.do("moveCategory", "", shop.admin, id=made["id"], parentId=theirs["id"])
        assert (stale["code"], foreign["code"]) == ("CONCURRENT_MODIFICATION", "NOT_FOUND")
        assert await shop.get(TREE, shop.admin) == before

    async def test_lets_two_moves_at_once_make_no_cycle(self, shop: Any, transactions: Any, work: Work) -> None:
        for _ in range(10):
            left = await transactions.run(create_category, CreateCategory(name="Left"), work)
            right = await transactions.run(create_category, CreateCategory(name="Right"), work)
            outcomes = await asyncio.gather(
                transactions.run(move_category, MoveCategory(id=left.id, parent_id=right.id), work),
                transactions.run(move_category, MoveCategory(id=right.id, parent_id=left.id), work),
                return_exceptions=True,
            )
            refusals = [each.code for each in outcomes if isinstance(each, DomainError)]
            assert refusals == ["CATEGORY_CYCLE"]
        assert sorted(depth for _, depth in await names(shop)) == [1] * 10 + [2] * 10

    async def test_keeps_every_path_true_when_parent_and_child_move_at_once(
        self, shop: Any, transactions: Any, work: Work
    ) -> None:
        async def make(name: str, parent: UUID | None = None) -> UUID:
            made = await transactions.run(create_category, CreateCategory(name=name, parent_id=parent), work)
            return UUID(str(made.id))

        a, b = await make("A"), await make("B")
        middle = await make("Middle", a)
        leaf = await make("Leaf", middle)
        await asyncio.gather(
            transactions.run(move_category, MoveCategory(id=middle, parent_id=b), work),
            transactions.run(move_category, MoveCategory(id=leaf, parent_id=a), work),
            transactions.run(create_category, CreateCategory(name="New", parent_id=middle), work),
        )
        assert await paths(shop) == {
            "A": ["A"],
            "Leaf": ["A", "Leaf"],
            "B": ["B"],
            "Middle": ["B", "Middle"],
            "New": ["B", "Middle", "New"],
        }


class TestDeleteCategory:
    async def test_removes_an_empty_one_only(self, shop: Any) -> None:
        home = await shop.category("Home")
        mugs = await shop.category("Mugs", home)
        product = await shop.product(categoryId=mugs["id"])
        for each in (home, mugs):
            answer = await shop.do("deleteCategory", "", shop.admin, id=each["id"])
            assert answer["code"] == "CATEGORY_IN_USE"
        assert len(await names(shop)) == 2
        await shop.do("deleteProduct", "", id=product["id"])
        gone = await shop.do("deleteCategory", "... on DeletedCategory { slug }", shop.admin, id=mugs["id"])
        assert gone == {"__typename": "DeletedCategory", "slug": "mugs"}
        assert await names(shop) == [("Home", 1)]


class TestAttributeSchema:
    async def shelves(self, shop: Any) -> Any:
        colours = {"name": "colour", "type": "ENUM", "allowedValues": ["red", "blue"], "facetable": True}
        home = await shop.category("Home", attributes=[colours])
        volume = {"name": "volume", "type": "NUMBER", "unit": "ml", "required": True}
        return await shop.category("Mugs", home, attributes=[volume, {"name": "lid", "type": "BOOLEAN"}])

    async def test_is_inherited_from_the_root_down(self, shop: Any) -> None:
        mugs = await self.shelves(shop)
        seen = await shop.get(
            "query($id: ID!) { category(id: $id) { attributes { name } "
            "schema { name type unit required allowedValues facetable } } }",
            id=mugs["id"],
        )
        assert seen["category"] == {
            "attributes": [{"name": "volume"}, {"name": "lid"}],
            "schema": [
                {
                    "name": "colour",
                    "type": "ENUM",
                    "unit": None,
                    "required": False,
                    "allowedValues": ["red", "blue"],
                    "facetable": True,
                },
                {
                    "name": "volume",
                    "type": "NUMBER",
                    "unit": "ml",
                    "required": True,
                    "allowedValues": [],
                    "facetable": False,
                },
                {
                    "name": "lid",
                    "type": "BOOLEAN",
                    "unit": None,
                    "required": False,
                    "allowedValues": [],
                    "facetable": False,
                },
            ],
        }

    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ([], "Attribute volume: it is required in this category."),
            ([{"name": "volume", "text": "300"}], "Attribute volume: a number is expected."),
            ([{"name": "volume", "boolean": True}], "Attribute volume: a number is expected."),
            (
                [{"name": "volume", "number": 300.0}, {"name": "colour", "text": "green"}],
                "Attribute colour: 'green' is not one of red, blue.",
            ),
            (
                [{"name": "volume", "number": 300.0}, {"name": "weight", "text": "x"}],
                "Attribute weight: the category does not have it.",
            ),
            (
                [{"name": "volume", "number": 300.0}, {"name": "lid", "texts": ["yes"]}],
                "Attribute lid: one value is expected, not a list.",
            ),
        ],
    )
    async def test_refuses_a_product_that_does_not_keep_to_it(self, shop: Any, attributes: Any, message: str) -> None:
        mugs = await self.shelves(shop)
        given = {"name": "Mug", "sku": "M", "price": {"amountMinor": 1, "currency": "EUR"}, "categoryId": mugs["id"]}
        answer = await shop.do("createProduct", "", **given, attributes=attributes)
        assert answer == {"__typename": "InvalidAttribute", "code": "INVALID_ATTRIBUTE", "message": message}
        assert (await shop.get("{ products { totalCount } }", shop.admin))["products"]["totalCount"] == 0

    async def test_accepts_a_product_that_keeps_to_it(self, shop: Any) -> None:
        mugs = await self.shelves(shop)
        attributes = [{"name": "volume", "number": 0.3}, {"name": "colour", "texts": ["red", "blue"]}]
        made = await shop.product(categoryId=mugs["id"], attributes=attributes)
        assert made["state"] == "ACTIVE"

    async def test_lets_a_product_stay_as_it_is_when_the_schema_tightens(self, shop: Any) -> None:
        mugs = await shop.category("Mugs")
        product = await shop.product(categoryId=mugs["id"])
        needed = [{"name": "volume", "type": "NUMBER", "required": True}]
        await shop.do("updateCategory", "", shop.admin, id=mugs["id"], attributes=needed)
        renamed = await shop.do("updateProduct", "... on Product { name }", id=product["id"], name="Cup")
        assert renamed["name"] == "Cup"


class TestAccessories:
    async def test_live_in_categories_of_their_own(self, shop: Any) -> None:
        general, grinders = await shop.category("Mugs"), await shop.category("Grinders", kind="ACCESSORY")
        papers = await shop.category("Papers", kind="ACCESSORY")
        price = {"amountMinor": 900, "currency": "CAD"}
        given = {"sku": "GR", "name": "Grinder", "retailPrice": price, "unitCost": {**price, "amountMinor": 400}}
        wrong = await shop.do("createAccessory", "", **given, categoryId=general["id"])
        assert wrong["code"] == "INVALID_INPUT"
        made = await shop.do(
            "createAccessory",
            "... on Product { id productType unitCost { amount } images { url } }",
            **given,
            categoryId=grinders["id"],
            imageUrl="https://a.example/g.jpg",
        )
        assert made == {
            "__typename": "Product",
            "id": made["id"],
            "productType": "ACCESSORY",
            "unitCost": {"amount": "4.00"},
            "images": [{"url": "https://a.example/g.jpg"}],
        }
        renamed = await shop.do("updateAccessory", "... on Product { name }", id=made["id"], name="Mill")
        assert renamed["name"] == "Mill"
        moved = await shop.do(
            "categorizeAccessory", "... on Product { category { name } }", id=made["id"], categoryId=papers["id"]
        )
        assert moved["category"] == {"name": "Papers"}
        refused = await shop.do("categorizeAccessory", "", id=made["id"], categoryId=general["id"])
        assert refused["code"] == "INVALID_INPUT"
        product = await shop.product()
        assert (await shop.do("updateAccessory", "", id=product["id"], name="x"))["code"] == "NOT_FOUND"
        seen = await shop.get(
            "query($id: ID!, $other: ID!) { accessories { nodes { name } } accessory(id: $id) { name } "
            "no: accessory(id: $other) { name } }",
            shop.seller,
            id=made["id"],
            other=product["id"],
        )
        assert seen == {"accessories": {"nodes": [{"name": "Mill"}]}, "accessory": {"name": "Mill"}, "no": None}
