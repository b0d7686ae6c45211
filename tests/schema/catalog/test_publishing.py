from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from data.catalog import product_version
from domain import catalog
from domain.kernel import SYSTEM, Envelope, Work, uuid7

STATE = "... on Product { state stateReason version }"


async def hear(transactions: Any, work: Work, name: str, **data: Any) -> None:
    """Deliver an event of another context, as the bus does."""
    envelope = Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=work.tenant_id,
        aggregate_id=uuid7(),
        aggregate_type="Anything",
        version=1,
        data=data,
        occurred_at=work.now,
        correlation_id="test",
    )
    (entry,) = [entry for entry in catalog.subscriptions.entries if name in entry.names]
    by_system = Work(tenant_id=work.tenant_id, actor=SYSTEM, now=work.now, correlation_id="test")
    await transactions.run(entry.handler, envelope, by_system)


async def state_of(shop: Any, product: Any) -> tuple[str, int]:
    document = "query($id: ID!) { product(id: $id) { state version } }"
    found = (await shop.get(document, shop.admin, id=product["id"]))["product"]
    return found["state"], found["version"]


class TestPublish:
    async def test_shows_the_product_and_says_so(self, shop: Any) -> None:
        product = await shop.product(publish=False)
        shown = await shop.do("publishProduct", "... on Product { state publishedAt }", id=product["id"])
        assert (shown["state"], shown["publishedAt"] is not None) == ("ACTIVE", True)
        assert [name for name, _ in await shop.events(product["id"])] == [
            "product.created",
            "product.updated",
            "product.published",
        ]
        hidden = await shop.do("hideProduct", STATE, id=product["id"])
        assert hidden["state"] == "HIDDEN"
        assert [name for name, _ in await shop.events(product["id"])][3:] == ["product.updated", "product.unpublished"]
        again = await shop.do("publishProduct", STATE, id=product["id"])
        assert again["state"] == "ACTIVE"
        retired = await shop.do("archiveProduct", STATE, id=product["id"])
        assert retired["state"] == "ARCHIVED"
        refused = await shop.do("publishProduct", "", id=product["id"])
        assert refused["code"] == "INVALID_STATE_TRANSITION"

    async def test_refuses_a_product_without_a_price(self, shop: Any) -> None:
        product = await shop.product(publish=False)
        await shop.do("updateProduct", "", id=product["id"], price=None)
        before = await state_of(shop, product)
        refused = await shop.do("publishProduct", "... on IncompleteProduct { missing }", id=product["id"])
        assert (refused["code"], refused["missing"]) == ("INCOMPLETE_PRODUCT", "price")
        assert await state_of(shop, product) == before

    async def test_needs_the_permission(self, shop: Any) -> None:
        clerk = shop.person("catalog.write")
        product = await shop.product(clerk, publish=False)
        document = "mutation($id: ID!) { publishProduct(input: {id: $id}) { __typename } }"
        answer = await shop.ask(document, clerk, id=product["id"])
        assert "catalog.publish" in answer.errors[0].message
        assert await state_of(shop, product) == ("DRAFT", 1)

    async def test_refuses_a_stale_version(self, shop: Any) -> None:
        product = await shop.product(publish=False)
        refused = await shop.do("publishProduct", "", id=product["id"], expectedVersion=9)
        assert refused["code"] == "CONCURRENT_MODIFICATION"
        assert await state_of(shop, product) == ("DRAFT", 1)


class TestModeration:
    @pytest.fixture
    async def strict(self, shop: Any) -> Any:
        answer = await shop.do(
            "setCatalogPolicy", "... on CatalogPolicy { moderationRequired }", shop.admin, moderationRequired=True
        )
        assert answer["moderationRequired"] is True
        assert (await shop.get("{ catalogPolicy { moderationRequired } }", shop.seller))["catalogPolicy"] == {
            "moderationRequired": True
        }
        return shop

    async def submitted(self, shop: Any) -> Any:
        product = await shop.product(publish=False)
        answer = await shop.do("publishProduct", STATE, id=product["id"])
        assert answer["state"] == "PENDING_MODERATION"
        return product

    async def test_stands_between_a_seller_and_the_public(self, strict: Any) -> None:
        product = await self.submitted(strict)
        assert (await strict.get("query($id: ID!) { product(id: $id) { id } }", id=product["id"]))["product"] is None
        again = await strict.do("publishProduct", "", id=product["id"])
        assert again["code"] == "INVALID_STATE_TRANSITION"
        approved = await strict.do("approveProduct", STATE, strict.admin, id=product["id"])
        assert approved["state"] == "ACTIVE"
        await strict.do("hideProduct", "", id=product["id"])
        assert (await strict.do("publishProduct", STATE, id=product["id"]))["state"] == "ACTIVE"

    async def test_lets_moderators_publish_at_once(self, strict: Any) -> None:
        assert (await strict.product(strict.admin))["state"] == "ACTIVE"

    async def test_tells_the_seller_why_it_refuses(self, strict: Any) -> None:
        product = await self.submitted(strict)
        await strict.do("rejectProduct", "", strict.admin, id=product["id"], reason="No picture")
        own = await strict.get(
            "query($id: ID!) { product(id: $id) { state stateReason } }", strict.seller, id=product["id"]
        )
        assert own["product"] == {"state": "REJECTED", "stateReason": "No picture"}
        corrected = await strict.do("updateProduct", STATE, id=product["id"], description="With a picture")
        assert (corrected["state"], corrected["stateReason"]) == ("DRAFT", None)

    async def test_is_not_done_by_sellers(self, strict: Any) -> None:
        product = await self.submitted(strict)
        before = await state_of(strict, product)
        document = "mutation($id: ID!) { approveProduct(input: {id: $id}) { __typename } }"
        answer = await strict.ask(document, strict.seller, id=product["id"])
        assert "catalog.moderate" in answer.errors[0].message
        assert await state_of(strict, product) == before

    async def test_hears_of_decisions(self, strict: Any, transactions: Any, work: Work) -> None:
        product = await self.submitted(strict)
        subject = {"subject_type": "product", "subject_id": product["id"]}
        await hear(transactions, work, "moderation.approved", **subject)
        state, version = await state_of(strict, product)
        assert state == "ACTIVE"
        await hear(transactions, work, "moderation.approved", **subject)
        assert await state_of(strict, product) == (state, version)
        await hear(transactions, work, "moderation.rejected", **subject, reason="Fake")
        assert (await state_of(strict, product))[0] == "SUSPICIOUS"
        await hear(transactions, work, "moderation.rejected", **subject, reason="Fake")
        assert (await state_of(strict, product))[0] == "BLOCKED"

    async def test_passes_over_decisions_about_what_is_not_ours(self, shop: Any, transactions: Any, work: Work) -> None:
        product = await shop.product()
        before = await state_of(shop, product)
        await hear(transactions, work, "moderation.rejected", subject_type="review", subject_id=product["id"])
        await hear(transactions, work, "moderation.rejected", subject_type="product", subject_id=str(uuid4()))
        assert await state_of(shop, product) == before

    async def test_lets_no_seller_clear_a_suspicion(self, shop: Any) -> None:
        product = await shop.product()
        held = await shop.do("markProductSuspicious", STATE, shop.admin, id=product["id"], reason="Counterfeit?")
        assert held["state"] == "SUSPICIOUS"
        assert (await shop.do("publishProduct", "", id=product["id"]))["code"] == "INVALID_STATE_TRANSITION"
        cleared = await shop.do("approveProduct", STATE, shop.admin, id=product["id"])
        assert cleared["state"] == "ACTIVE"
        await shop.do("markProductSuspicious", "", shop.admin, id=product["id"], reason="Counterfeit?")
        blocked = await shop.do("blockProduct", STATE, shop.admin, id=product["id"], reason="Counterfeit")
        assert blocked["state"] == "BLOCKED"


class TestHistory:
    VERSIONS = (
        "query($id: ID!) { productVersions(productId: $id) { nodes { version authorId "
        "changes { field old new } content } totalCount } }"
    )

    async def test_tells_what_changed_and_who_changed_it(self, shop: Any) -> None:
        product = await shop.product(publish=False, name="Mug")
        await shop.do(
            "updateProduct", "", shop.admin, id=product["id"], name="Cup", price={"amountMinor": 99, "currency": "EUR"}
        )
        history = (await shop.get(self.VERSIONS, shop.seller, id=product["id"]))["productVersions"]
        assert history["totalCount"] == 2
        newest, first = history["nodes"]
        assert (first["version"], first["changes"], first["authorId"]) == (1, [], str(shop.seller.user_id))
        assert (newest["version"], newest["authorId"]) == (2, str(shop.admin.user_id))
        assert newest["changes"] == [
            {"field": "name", "old": "Mug", "new": "Cup"},
            {
                "field": "price",
                "old": {"amount_minor": 1250, "currency": "EUR"},
                "new": {"amount_minor": 99, "currency": "EUR"},
            },
        ]
        assert newest["content"]["name"] == "Cup"

    async def test_is_for_those_who_may_change_the_product(self, shop: Any) -> None:
        product = await shop.product()
        answer = await shop.ask(self.VERSIONS, shop.rival, id=product["id"])
        assert (answer.data, answer.errors[0].message) == (None, f"Product {product['id']} does not exist.")

    async def test_brings_back_an_earlier_version_whole(self, shop: Any) -> None:
        mugs = await shop.category("Mugs")
        product = await shop.product(
            name="Oil",
            productType="REGULATED",
            regulated={"thcMax": "1.50", "pieces": 3},
            categoryId=mugs["id"],
            attributes=[{"name": "colour", "text": "green"}],
            variants=[{"name": "Small", "sku": "S"}, {"name": "Large", "sku": "L"}],
        )
        fields = (
            "... on Product { name state attributes { name value } category { name } regulated { thcMax pieces } "
            "variants { id sku name } images { id url } }"
        )
        await shop.do("addProductImage", "", productId=product["id"], url="https://a.example/1")
        before = await shop.do("updateProduct", fields + " ... on Product { version }", id=product["id"], brand="Acme")
        small, large = before["variants"]
        await shop.do("removeVariant", "", productId=product["id"], variantId=small["id"])
        await shop.do("updateVariant", "", productId=product["id"], variantId=large["id"], name="Huge")
        await shop.do("removeProductImage", "", productId=product["id"], imageId=before["images"][0]["id"])
        await shop.do(
            "updateProduct", "", id=product["id"], name="Water", categoryId=None, attributes=[], regulated=None
        )
        reverted = await shop.do("revertProductVersion", fields, productId=product["id"], version=before.pop("version"))
        assert reverted == before

    async def test_refuses_to_bring_back_a_sku_that_is_taken_since(self, shop: Any) -> None:
        product = await shop.product(sku="OLD")
        changed = await shop.do("updateProduct", "... on Product { version }", id=product["id"], sku="NEW")
        await shop.product(sku="OLD")
        refused = await shop.do("revertProductVersion", "", productId=product["id"], version=product["version"])
        assert refused["message"] == "SKU OLD already exists."
        assert (await state_of(shop, product))[1] == changed["version"]
        missing = await shop.do("revertProductVersion", "", productId=product["id"], version=77)
        assert missing["code"] == "NOT_FOUND"

    async def test_cannot_be_rewritten(self, shop: Any, database: Any) -> None:
        product = await shop.product()

        async def rewrite() -> None:
            async with database.session(shop.tenant_id) as session:
                await session.execute(
                    delete(product_version).where(product_version.c.product_id == UUID(product["id"]))
                )

        with pytest.raises(DBAPIError, match="permission denied"):
            await rewrite()


class TestTranslations:
    NAMES = (
        'query($id: ID!, $c: ID!) { product(id: $id) { name ru: name(language: "ru") de: name(language: "de") '
        'ca: name(language: "ru-UA") } category(id: $c) { name ru: name(language: "ru") } }'
    )

    async def test_are_heard_of_and_shown_by_language(self, shop: Any, transactions: Any, work: Work) -> None:
        mugs = await shop.category("Mugs")
        product = await shop.product(name="Mug")
        for kind, entity, text in (("product", product, "Кружка"), ("category", mugs, "Кружки")):
            change = {"entity_type": kind, "entity_id": entity["id"], "field": "name", "language": "ru"}
            await hear(transactions, work, "localization.translation_changed", **change, text=text)
        answer = await shop.ask(self.NAMES, id=product["id"], c=mugs["id"])
        assert answer.statements == 2
        assert answer.data == {
            "product": {"name": "Mug", "ru": "Кружка", "de": "Mug", "ca": "Кружка"},
            "category": {"name": "Mugs", "ru": "Кружки"},
        }
        assert (await shop.ask(self.NAMES, locale="ru", id=product["id"], c=mugs["id"])).data["product"][
            "name"
        ] == "Кружка"
        assert (await shop.events(product["id"]))[-1][1]["changed"] == ["translations"]
        await hear(
            transactions,
            work,
            "localization.translation_changed",
            **{**change, "entity_type": "product", "entity_id": product["id"]},
            text=None,
        )
        assert (await shop.ask(self.NAMES, id=product["id"], c=mugs["id"])).data["product"]["ru"] == "Mug"

    async def test_of_anything_else_are_passed_over(self, shop: Any, transactions: Any, work: Work) -> None:
        product = await shop.product()
        before = await state_of(shop, product)
        for kind, field in (("review", "name"), ("product", "title")):
            change = {"entity_type": kind, "entity_id": product["id"], "field": field, "language": "ru", "text": "x"}
            await hear(transactions, work, "localization.translation_changed", **change)
        assert await state_of(shop, product) == before
