from typing import Any
from uuid import uuid4

import pytest

from domain.kernel import NOBODY

EUR = {"amountMinor": 1250, "currency": "EUR"}
SEEN = "{ product(id: $id) { name sku version state price { amountMinor currency } } }"


async def state_of(shop: Any, product: Any) -> Any:
    """Read all that a refused change could have touched."""
    fields = (
        "id version name description sku slug state brand price { amount currency } compareAtPrice { amount } "
        "attributes { name value } category { id } variants { id sku price { amount } } images { id url }"
    )
    return (await shop.get(f"query($id: ID!) {{ product(id: $id) {{ {fields} }} }}", shop.admin, id=product["id"]))[
        "product"
    ]


class TestCreateProduct:
    async def test_makes_a_draft_with_its_variants_in_one_change(self, shop: Any) -> None:
        made = await shop.do(
            "createProduct",
            "... on Product { id slug state version sellerId price { amount amountMinor currency } "
            "variants { sku name price { amount } options { name value } } attributes { name value } }",
            name="  Кружка 0,3 л ",
            sku="MUG",
            price=EUR,
            attributes=[
                {"name": "colour", "texts": ["red", "blue"]},
                {"name": "volume", "number": 300.0},
                {"name": "dishwasher", "boolean": True},
            ],
            variants=[
                {"name": "Small", "sku": "MUG-S", "options": [{"name": "size", "value": "S"}]},
                {"name": "Large", "sku": "MUG-L", "price": {"amountMinor": 1500, "currency": "EUR"}},
            ],
        )
        assert made == {
            "__typename": "Product",
            "id": made["id"],
            "slug": "kruzhka-03-l",
            "state": "DRAFT",
            "version": 1,
            "sellerId": str(shop.seller.user_id),
            "price": {"amount": "12.50", "amountMinor": 1250, "currency": "EUR"},
            "variants": [
                {
                    "sku": "MUG-S",
                    "name": "Small",
                    "price": {"amount": "12.50"},
                    "options": [{"name": "size", "value": "S"}],
                },
                {"sku": "MUG-L", "name": "Large", "price": {"amount": "15.00"}, "options": []},
            ],
            "attributes": [
                {"name": "colour", "value": ["red", "blue"]},
                {"name": "dishwasher", "value": True},
                {"name": "volume", "value": 300},
            ],
        }
        assert await shop.events(made["id"]) == [
            (
                "product.created",
                {
                    "product_id": made["id"],
                    "sku": "MUG",
                    "variant_skus": ["MUG-S", "MUG-L"],
                    "seller_id": str(shop.seller.user_id),
                    "category_id": None,
                    "product_type": "general",
                    "state": "draft",
                    "title": "Кружка 0,3 л",
                    "price_minor": 1250,
                    "currency": "EUR",
                },
            )
        ]

    async def test_numbers_the_slugs_of_namesakes(self, shop: Any) -> None:
        slugs = [(await shop.product(name="Mug"))["slug"] for _ in range(3)]
        assert slugs == ["mug", "mug-2", "mug-3"]

    async def test_gives_the_stored_answer_to_a_repeated_key(self, shop: Any) -> None:
        document = (
            'mutation($input: CreateProductInput!) { createProduct(input: $input, idempotencyKey: "once") '
            "{ ... on Product { id variants { sku } regulated { thcMax } } } }"
        )
        given = {
            "name": "Oil",
            "sku": "OIL",
            "price": EUR,
            "productType": "REGULATED",
            "regulated": {"thcMin": "0.5", "thcMax": "1.5"},
            "variants": [{"name": "Small", "sku": "OIL-S"}],
        }
        first = await shop.get(document, shop.seller, input=given)
        assert await shop.get(document, shop.seller, input=given) == first
        assert first["createProduct"]["regulated"] == {"thcMax": "1.5"}

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"name": "   "}, "INVALID_INPUT"),
            ({"name": "a\0b"}, "INVALID_INPUT"),
            ({"name": "x" * 256}, "INVALID_INPUT"),
            ({"description": "x" * 20_001}, "INVALID_INPUT"),
            ({"sku": " padded"}, "INVALID_INPUT"),
            ({"sku": "x" * 65}, "INVALID_INPUT"),
            ({"sku": "a\0"}, "INVALID_INPUT"),
            ({"slug": "Not A Slug"}, "INVALID_INPUT"),
            ({"gtin": "4006381333932"}, "INVALID_INPUT"),
            ({"price": {"amountMinor": -1, "currency": "EUR"}}, "INVALID_INPUT"),
            ({"price": {"amountMinor": 1, "currency": "ZZZ"}}, "INVALID_INPUT"),
            ({"compareAtPrice": {"amountMinor": 1249, "currency": "EUR"}}, "INVALID_INPUT"),
            ({"compareAtPrice": {"amountMinor": 2000, "currency": "USD"}}, "CURRENCY_MISMATCH"),
            ({"weightGrams": -1}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a\0", "text": "x"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "text": "x\0"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "text": "x", "number": 1.0}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "text": "x"}, {"name": "a", "text": "y"}]}, "INVALID_INPUT"),
            ({"attributes": [{"name": "a", "number": 1e300}]}, "INVALID_ATTRIBUTE"),
            ({"regulated": {"pieces": 1}}, "INVALID_INPUT"),
            ({"productType": "REGULATED", "regulated": {"cbdMin": "2", "cbdMax": "1"}}, "INVALID_INPUT"),
            ({"productType": "REGULATED", "regulated": {"thcMin": "2", "thcMax": "1"}}, "INVALID_INPUT"),
            ({"productType": "REGULATED", "regulated": {"thcMin": "NaN"}}, "INVALID_INPUT"),
            ({"variants": [{"name": "S", "sku": "MINE"}]}, "ALREADY_EXISTS"),
            (
                {"variants": [{"name": "S", "sku": "S", "price": {"amountMinor": -5, "currency": "EUR"}}]},
                "INVALID_INPUT",
            ),
            ({"categoryId": str(uuid4())}, "NOT_FOUND"),
            ({"storeId": str(uuid4())}, "NOT_FOUND"),
            ({"sellerId": str(uuid4())}, "FORBIDDEN"),
        ],
    )
    async def test_refuses_what_no_product_may_have(self, shop: Any, wrong: Any, code: str) -> None:
        given = {"name": "Mug", "sku": "MINE", "price": EUR, **wrong}
        answer = await shop.do("createProduct", "", **given)
        assert answer["code"] == code
        found = await shop.get("{ products { totalCount } }", shop.admin)
        assert found["products"]["totalCount"] == 0

    async def test_refuses_whoever_may_not_write(self, shop: Any) -> None:
        for who, missing in ((shop.person("catalog.read"), "catalog.write"), (NOBODY, "log in")):
            document = "mutation($input: CreateProductInput!) { createProduct(input: $input) { __typename } }"
            answer = await shop.ask(document, who, input={"name": "Mug", "sku": "M", "price": EUR})
            assert answer.data is None
            assert missing in answer.errors[0].message
        assert (await shop.get("{ products { totalCount } }", shop.admin))["products"]["totalCount"] == 0

    @pytest.mark.parametrize("as_variant", [False, True])
    async def test_refuses_a_sku_that_a_product_or_a_variant_uses(self, shop: Any, as_variant: bool) -> None:
        await shop.product(sku="P", variants=[{"name": "One", "sku": "V"}])
        for taken in ("P", "V"):
            given = {"sku": "NEW", "variants": [{"name": "x", "sku": taken}]} if as_variant else {"sku": taken}
            answer = await shop.do("createProduct", "", name="Mug", price=EUR, **given)
            assert answer == {
                "__typename": "AlreadyExists",
                "code": "ALREADY_EXISTS",
                "message": f"SKU {taken} already exists.",
            }

    async def test_lets_two_tenants_use_the_same_sku(self, shop: Any, other_shop: Any) -> None:
        await shop.product(sku="SAME", slug="same")
        assert (await other_shop.product(sku="SAME", slug="same"))["sku"] == "SAME"


class TestUpdateProduct:
    async def test_changes_what_is_given_and_tells_which_fields(self, shop: Any) -> None:
        product = await shop.product(brand="Acme", compareAtPrice={"amountMinor": 2000, "currency": "EUR"})
        changed = await shop.do(
            "updateProduct",
            "... on Product { name brand version compareAtPrice { amount } }",
            id=product["id"],
            expectedVersion=product["version"],
            name="Cup",
            compareAtPrice=None,
        )
        assert changed == {
            "__typename": "Product",
            "name": "Cup",
            "brand": "Acme",
            "version": product["version"] + 1,
            "compareAtPrice": None,
        }
        name, data = (await shop.events(product["id"]))[-1]
        assert (name, sorted(data["changed"])) == ("product.updated", ["compare_at_price", "name"])

    async def test_says_nothing_when_nothing_changes(self, shop: Any) -> None:
        product = await shop.product(name="Mug")
        same = await shop.do("updateProduct", "... on Product { version }", id=product["id"], name=" Mug ")
        assert same["version"] == product["version"]

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"expectedVersion": 1}, "CONCURRENT_MODIFICATION"),
            ({"price": {"amountMinor": -1, "currency": "EUR"}}, "INVALID_INPUT"),
            ({"price": {"amountMinor": 1, "currency": "eur"}}, "INVALID_INPUT"),
            ({"price": {"amountMinor": 1, "currency": "USD"}}, "CURRENCY_MISMATCH"),
            ({"price": {"amountMinor": 9999, "currency": "EUR"}}, "INVALID_INPUT"),
            ({"price": None}, "INVALID_INPUT"),
            ({"name": None}, "INVALID_INPUT"),
            ({"slug": None}, "INVALID_INPUT"),
            ({"attributes": None}, "INVALID_INPUT"),
            ({"name": "a\0b"}, "INVALID_INPUT"),
            ({"sku": "TAKEN"}, "ALREADY_EXISTS"),
            ({"slug": "taken"}, "ALREADY_EXISTS"),
            ({"categoryId": str(uuid4())}, "NOT_FOUND"),
        ],
    )
    async def test_refuses_and_changes_nothing(self, shop: Any, wrong: Any, code: str) -> None:
        await shop.product(sku="TAKEN", slug="taken")
        product = await shop.product(
            compareAtPrice={"amountMinor": 2000, "currency": "EUR"}, variants=[{"name": "One", "sku": "ONE"}]
        )
        before, told = await state_of(shop, product), await shop.events(product["id"])
        assert (await shop.do("updateProduct", "", id=product["id"], **wrong))["code"] == code
        assert await state_of(shop, product) == before
        assert await shop.events(product["id"]) == told

    async def test_refuses_another_sellers_product(self, shop: Any) -> None:
        shown, draft = await shop.product(), await shop.product(publish=False)
        before = [await state_of(shop, each) for each in (shown, draft)]
        answers = [
            (await shop.do("updateProduct", "", shop.rival, id=each["id"], name="Mine"))["code"]
            for each in (shown, draft)
        ]
        assert answers == ["FORBIDDEN", "NOT_FOUND"]
        assert [await state_of(shop, each) for each in (shown, draft)] == before

    async def test_lets_an_admin_change_anybodys_product(self, shop: Any) -> None:
        product = await shop.product()
        changed = await shop.do("updateProduct", "... on Product { name }", shop.admin, id=product["id"], name="Cup")
        assert changed["name"] == "Cup"

    @pytest.mark.parametrize(
        ("mutation", "more"),
        [
            ("updateProduct", {"name": "Mine"}),
            ("deleteProduct", {}),
            ("publishProduct", {}),
            ("hideProduct", {}),
            ("archiveProduct", {}),
            ("approveProduct", {}),
            ("rejectProduct", {"reason": "no"}),
            ("markProductSuspicious", {"reason": "no"}),
            ("blockProduct", {"reason": "no"}),
            ("updateAccessory", {"name": "Mine"}),
            ("categorizeAccessory", {"categoryId": str(uuid4())}),
        ],
    )
    async def test_answers_another_tenants_id_like_one_that_never_was(
        self, shop: Any, other_shop: Any, mutation: str, more: Any
    ) -> None:
        theirs = await other_shop.product()
        before = await state_of(other_shop, theirs)
        answers = [await shop.do(mutation, "", shop.admin, id=each, **more) for each in (theirs["id"], str(uuid4()))]
        assert [each["code"] for each in answers] == ["NOT_FOUND", "NOT_FOUND"]
        assert await state_of(other_shop, theirs) == before

    @pytest.mark.parametrize(
        ("mutation", "more"),
        [
            ("addVariant", {"name": "S", "sku": "S"}),
            ("updateVariant", {"variantId": str(uuid4()), "name": "S"}),
            ("removeVariant", {"variantId": str(uuid4())}),
            ("addProductImage", {"url": "https://example.com/a.jpg"}),
            ("removeProductImage", {"imageId": str(uuid4())}),
            ("reorderImages", {"imageIds": []}),
            ("revertProductVersion", {"version": 1}),
        ],
    )
    async def test_answers_another_tenants_product_like_one_that_never_was_when_its_parts_change(
        self, shop: Any, other_shop: Any, mutation: str, more: Any
    ) -> None:
        theirs = await other_shop.product()
        before = await state_of(other_shop, theirs)
        answer = await shop.do(mutation, "", shop.admin, productId=theirs["id"], **more)
        assert answer["message"] == f"Product {theirs['id']} does not exist."
        assert await state_of(other_shop, theirs) == before


class TestDeleteProduct:
    async def test_takes_the_product_from_every_view_and_frees_its_names(self, shop: Any) -> None:
        product = await shop.product(sku="P", slug="p", variants=[{"name": "One", "sku": "V"}])
        gone = await shop.do("deleteProduct", "... on DeletedProduct { id sku slug }", id=product["id"])
        assert gone == {"__typename": "DeletedProduct", "id": product["id"], "sku": "P", "slug": "p"}
        seen = await shop.get(
            'query($id: ID!) { a: product(id: $id) { id } b: product(sku: "P") { id } c: product(slug: "p") { id } '
            "products { totalCount } productVariants(productId: $id) { id } }",
            shop.admin,
            id=product["id"],
        )
        assert seen == {"a": None, "b": None, "c": None, "products": {"totalCount": 0}, "productVariants": []}
        name, data = (await shop.events(product["id"]))[-1]
        assert (name, data["sku"], data["variant_skus"]) == ("product.deleted", "P", ["V"])
        again = await shop.product(sku="V", slug="p", variants=[{"name": "One", "sku": "P"}])
        assert again["slug"] == "p"

    async def test_refuses_a_stale_version(self, shop: Any) -> None:
        product = await shop.product()
        answer = await shop.do("deleteProduct", "", id=product["id"], expectedVersion=1)
        assert answer["code"] == "CONCURRENT_MODIFICATION"
        assert (await state_of(shop, product))["state"] == "ACTIVE"


class TestVariants:
    async def test_are_added_changed_and_removed_under_the_products_version(self, shop: Any) -> None:
        product = await shop.product()
        fields = "... on Product { version variants { id sku name barcode price { amount } options { name value } } }"
        added = await shop.do(
            "addVariant",
            fields,
            productId=product["id"],
            name="Large",
            sku="L",
            barcode="4006381333931",
            price={"amountMinor": 1500, "currency": "EUR"},
            options=[{"name": "size", "value": "L"}],
        )
        assert added["version"] == product["version"] + 1
        (variant,) = added["variants"]
        changed = await shop.do(
            "updateVariant", fields, productId=product["id"], variantId=variant["id"], price=None, name="Huge"
        )
        assert changed["variants"] == [
            {
                "id": variant["id"],
                "sku": "L",
                "name": "Huge",
                "barcode": "4006381333931",
                "price": {"amount": "12.50"},
                "options": [{"name": "size", "value": "L"}],
            }
        ]
        removed = await shop.do("removeVariant", fields, productId=product["id"], variantId=variant["id"])
        assert (removed["variants"], removed["version"]) == ([], product["version"] + 3)
        assert (await shop.product(sku="L"))["sku"] == "L"

    @pytest.mark.parametrize(
        ("mutation", "wrong", "code"),
        [
            ("addVariant", {"name": "S", "sku": "TAKEN"}, "ALREADY_EXISTS"),
            ("addVariant", {"name": "S", "sku": "ONE"}, "ALREADY_EXISTS"),
            ("addVariant", {"name": "S\0", "sku": "S"}, "INVALID_INPUT"),
            (
                "addVariant",
                {"name": "S", "sku": "S", "price": {"amountMinor": 1, "currency": "USD"}},
                "CURRENCY_MISMATCH",
            ),
            ("addVariant", {"name": "S", "sku": "S", "price": {"amountMinor": -1, "currency": "EUR"}}, "INVALID_INPUT"),
            ("addVariant", {"name": "S", "sku": "S", "barcode": "123"}, "INVALID_INPUT"),
            ("addVariant", {"name": "S", "sku": "S", "expectedVersion": 1}, "CONCURRENT_MODIFICATION"),
            ("updateVariant", {"variantId": str(uuid4()), "name": "S"}, "NOT_FOUND"),
            ("updateVariant", {"variantId": "ONE", "options": None}, "INVALID_INPUT"),
            ("updateVariant", {"variantId": "ONE", "sku": None}, "INVALID_INPUT"),
            ("removeVariant", {"variantId": str(uuid4())}, "NOT_FOUND"),
        ],
    )
    async def test_refuse_and_change_nothing(self, shop: Any, mutation: str, wrong: Any, code: str) -> None:
        await shop.product(sku="TAKEN")
        product = await shop.product(variants=[{"name": "One", "sku": "ONE"}])
        before = await state_of(shop, product)
        if wrong.get("variantId") == "ONE":
            wrong = {**wrong, "variantId": before["variants"][0]["id"]}
        assert (await shop.do(mutation, "", productId=product["id"], **wrong))["code"] == code
        assert await state_of(shop, product) == before


class TestImages:
    async def test_are_added_reordered_and_removed(self, shop: Any) -> None:
        product = await shop.product()
        fields = "... on Product { images { id url objectKey altText position } }"
        for given in (
            {"url": "https://example.com/a.jpg", "altText": "front"},
            {"objectKey": "b.jpg"},
            {"url": "https://example.com/c.jpg", "position": 0},
        ):
            shown = await shop.do("addProductImage", fields, productId=product["id"], **given)
        assert [(each["url"], each["objectKey"], each["position"]) for each in shown["images"]] == [
            ("https://example.com/c.jpg", None, 0),
            ("https://example.com/a.jpg", None, 1),
            (None, "b.jpg", 2),
        ]
        ids = [each["id"] for each in shown["images"]]
        turned = await shop.do("reorderImages", fields, productId=product["id"], imageIds=ids[::-1])
        assert [each["id"] for each in turned["images"]] == ids[::-1]
        left = await shop.do("removeProductImage", fields, productId=product["id"], imageId=ids[1])
        assert [each["id"] for each in left["images"]] == [ids[2], ids[0]]

    @pytest.mark.parametrize(
        ("mutation", "wrong", "code"),
        [
            ("addProductImage", {}, "INVALID_INPUT"),
            ("addProductImage", {"url": "https://a.example/a", "objectKey": "a"}, "INVALID_INPUT"),
            ("addProductImage", {"url": "javascript:alert(1)"}, "INVALID_INPUT"),
            ("addProductImage", {"url": "https://a.example/\0"}, "INVALID_INPUT"),
            ("addProductImage", {"url": "https://a.example/a", "position": 7}, "INVALID_INPUT"),
            ("reorderImages", {"imageIds": []}, "INVALID_INPUT"),
            ("reorderImages", {"imageIds": [str(uuid4())]}, "INVALID_INPUT"),
            ("removeProductImage", {"imageId": str(uuid4())}, "NOT_FOUND"),
        ],
    )
    async def test_refuse_and_change_nothing(self, shop: Any, mutation: str, wrong: Any, code: str) -> None:
        product = await shop.product()
        await shop.do("addProductImage", "", productId=product["id"], url="https://a.example/first")
        before = await state_of(shop, product)
        assert (await shop.do(mutation, "", productId=product["id"], **wrong))["code"] == code
        assert await state_of(shop, product) == before
