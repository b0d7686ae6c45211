import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from data.catalog import category, product, product_variant, sku
from data.database import Database
from data.transactions import SqlTransactions
from domain import catalog
from domain.catalog import CreateProduct, SkuRef, Skus, UpdateProduct, create_product, update_product
from domain.kernel import AlreadyExists, ConcurrentModification, DomainError, Work, uuid7
from domain.money import Money

PRICE = Money(100, "EUR")


def row(tenant_id: UUID, name: str, **more: Any) -> dict[str, Any]:
    values = {"id": uuid7(), "tenant_id": tenant_id, "version": 1, "seller_id": tenant_id, "state": "active"}
    return {**values, "name": name, "slug": name.lower(), "sku": name, **more}


async def registered(database: Database, tenant_id: UUID) -> list[str]:
    async with database.session(tenant_id) as session:
        return list(await session.scalars(select(sku.c.sku).order_by(sku.c.sku)))


async def find(transactions: SqlTransactions, work: Work, wanted: str) -> SkuRef | None:
    async def ask(command: str, skus: Skus) -> SkuRef | None:
        return await skus.find(command)

    return await transactions.run(ask, wanted, work)


class TestSkus:
    async def test_are_found_for_products_and_variants(
        self, database: Database, transactions: SqlTransactions, work: Work
    ) -> None:
        async with database.session(work.tenant_id) as session:
            mug = row(work.tenant_id, "MUG")
            large = {"id": uuid7(), "tenant_id": work.tenant_id, "product_id": mug["id"], "name": "L", "sku": "MUG-L"}
            await session.execute(insert(product), [mug, row(work.tenant_id, "CUP")])
            await session.execute(insert(product_variant).values(large))
        assert await find(transactions, work, "MUG") == SkuRef(product_id=mug["id"], variant_id=None)
        assert await find(transactions, work, "MUG-L") == SkuRef(product_id=mug["id"], variant_id=large["id"])
        assert await find(transactions, work, "mug") is None

    async def test_are_not_found_in_another_tenant(
        self, database: Database, transactions: SqlTransactions, work: Work, make_tenant: Any
    ) -> None:
        other = make_tenant()
        async with database.session(other) as session:
            await session.execute(insert(product).values(row(other, "THEIRS")))
        assert await find(transactions, work, "THEIRS") is None

    async def test_follow_every_way_of_writing(self, database: Database, tenant_id: UUID) -> None:
        mug, cup = row(tenant_id, "MUG"), row(tenant_id, "CUP")
        part = {"id": uuid7(), "tenant_id": tenant_id, "product_id": mug["id"], "name": "L", "sku": "MUG-L"}
        async with database.session(tenant_id) as session:
            await session.execute(insert(product), [mug, cup])
            await session.execute(insert(product_variant).values(part))
        async with database.session(tenant_id) as session:
            await session.execute(update(product).where(product.c.id == cup["id"]).values(sku="BOWL", name="Bowl"))
            await session.execute(delete(product_variant).where(product_variant.c.id == part["id"]))
        assert await registered(database, tenant_id) == ["BOWL", "MUG"]
        async with database.session(tenant_id) as session:
            await session.execute(delete(product).where(product.c.id == mug["id"]))
        assert await registered(database, tenant_id) == ["BOWL"]

    @pytest.mark.parametrize("way", ["product", "variant", "rename"])
    async def test_are_used_once_whatever_the_application_forgets(
        self, database: Database, tenant_id: UUID, way: str
    ) -> None:
        mug, cup = row(tenant_id, "MUG"), row(tenant_id, "CUP")
        async with database.session(tenant_id) as session:
            await session.execute(insert(product), [mug, cup])
        part = {"id": uuid7(), "tenant_id": tenant_id, "product_id": mug["id"], "name": "L", "sku": "CUP"}
        statements = {
            "product": insert(product).values(row(tenant_id, "CUP", slug="other")),
            "variant": insert(product_variant).values(part),
            "rename": update(product).where(product.c.id == mug["id"]).values(sku="CUP"),
        }
        with pytest.raises(IntegrityError):
            async with database.session(tenant_id) as session:
                await session.execute(statements[way])
        assert await registered(database, tenant_id) == ["CUP", "MUG"]

    async def test_go_to_one_of_many_who_want_them_at_once(
        self, database: Database, transactions: SqlTransactions, work: Work
    ) -> None:
        wanted = CreateProduct(name="Mug", sku="MUG", price=PRICE)
        outcomes = await asyncio.gather(
            *(transactions.run(create_product, wanted, work) for _ in range(8)), return_exceptions=True
        )
        refusals = [each for each in outcomes if isinstance(each, BaseException)]
        assert [type(each) for each in refusals] == [AlreadyExists] * 7
        assert await registered(database, work.tenant_id) == ["MUG"]


class TestProducts:
    async def test_get_different_slugs_when_made_at_once(self, transactions: SqlTransactions, work: Work) -> None:
        commands = [CreateProduct(name="Mug", sku=f"M{at}", price=PRICE) for at in range(8)]
        made = await asyncio.gather(*(transactions.run(create_product, each, work) for each in commands))
        assert sorted(each.slug for each in made) == ["mug", *(f"mug-{at}" for at in range(2, 9))]

    async def test_lose_no_update_of_two_at_once(self, transactions: SqlTransactions, work: Work) -> None:
        made = await transactions.run(create_product, CreateProduct(name="Mug", sku="M", price=PRICE), work)
        await asyncio.gather(
            transactions.run(update_product, UpdateProduct(id=made.id, brand="Acme"), work),
            transactions.run(update_product, UpdateProduct(id=made.id, gtin="4006381333931"), work),
        )
        last = await transactions.run(update_product, UpdateProduct(id=made.id, weight_grams=3), work)
        assert (last.brand, last.gtin, last.weight_grams, last.version) == ("Acme", "4006381333931", 3, 4)

    async def test_let_one_of_two_through_who_saw_the_same_version(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        made = await transactions.run(create_product, CreateProduct(name="Mug", sku="M", price=PRICE), work)
        commands = [UpdateProduct(id=made.id, expected_version=1, brand=brand) for brand in ("A", "B")]
        outcomes = await asyncio.gather(
            *(transactions.run(update_product, each, work) for each in commands), return_exceptions=True
        )
        assert [type(each) for each in outcomes if isinstance(each, DomainError)] == [ConcurrentModification]

    async def test_cannot_hang_in_a_category_of_another_tenant(
        self, database: Database, tenant_id: UUID, make_tenant: Any
    ) -> None:
        other, branch = make_tenant(), uuid7()
        async with database.session(other) as session:
            values = {"id": branch, "tenant_id": other, "version": 1, "name": "B", "slug": "b"}
            await session.execute(insert(category).values(**values, path=f"/{branch.hex}/"))
        with pytest.raises(IntegrityError):
            async with database.session(tenant_id) as session:
                await session.execute(insert(product).values(row(tenant_id, "MUG", category_id=branch)))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"price_minor": -1, "currency": "EUR"},
            {"price_minor": 1},
            {"price_minor": 2, "compare_at_minor": 1, "currency": "EUR"},
        ],
    )
    async def test_keep_their_prices_sane_whatever_the_application_forgets(
        self, database: Database, tenant_id: UUID, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(IntegrityError):
            async with database.session(tenant_id) as session:
                await session.execute(insert(product).values(row(tenant_id, "MUG", **wrong)))
        assert await registered(database, tenant_id) == []


class TestCategories:
    async def test_cannot_be_written_with_a_path_that_is_not_theirs(self, database: Database, tenant_id: UUID) -> None:
        values = {"id": uuid7(), "tenant_id": tenant_id, "version": 1, "name": "B", "slug": "b"}
        with pytest.raises(IntegrityError):
            async with database.session(tenant_id) as session:
                await session.execute(insert(category).values(**values, path=f"/{uuid7().hex}/"))


class TestTransitions:
    def test_are_drawn_from_the_table(self) -> None:
        drawing = catalog.TRANSITIONS.mermaid().splitlines()
        assert drawing[:2] == ["stateDiagram-v2", "  [*] --> draft"]
        assert "  suspicious --> blocked" in drawing
        assert "  archived --> active" not in drawing
