import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from domain import catalog
from domain.catalog import CreateCategory, CreateProduct, UpdateProduct, create_category, update_product
from domain.kernel import Envelope, InvalidInput, NotFound, Principal, Work, uuid7
from domain.localization import (
    AddSkipWord,
    BatchReads,
    BatchTranslate,
    CreateTranslation,
    LanguageReads,
    OverrideTranslation,
    SetSupportedLanguage,
    TranslatableType,
    TranslationReads,
    add_skip_word,
    greet_tenant,
    note_texts,
    set_supported_language,
)
from domain.money import Money
from domain.paging import PageRequest
from domain.processes.translating import (
    batch_translate,
    create_translation,
    outdate_translations,
    override_translation,
    translate_part,
)
from domain.tenancy import CreateStore, create_store
from tests.conftest import NOW

PRODUCT = TranslatableType.PRODUCT


@pytest.fixture
def run(transactions, work):
    async def run(handler, command, as_work=work):
        return await transactions.run(handler, command, as_work)

    return run


@pytest.fixture
async def languages(run):
    for code in ("en", "ru", "fr-CA"):
        await run(set_supported_language, SetSupportedLanguage(code=code))


@pytest.fixture
def make_product(run, languages):
    async def make(name="Lamp", **details):
        command = CreateProduct(name=name, sku=uuid7().hex, price=Money(1_000, "CAD"), **details)
        return await run(catalog.create_product, command)

    return make


@pytest.fixture
def translate(run):
    async def write(product, text_, language="ru", field="name", **more):
        command = CreateTranslation(
            entity_type=PRODUCT, entity_id=product.id, field=field, language=language, text=text_, **more
        )
        return await run(create_translation, command)

    return write


@pytest.fixture
def log(database):
    async def log(aggregate_id, name=None):
        async with database.session(None) as session:
            rows = await session.execute(
                text(
                    "SELECT * FROM platform.event_log WHERE aggregate_id = :id AND name = coalesce(:name, name) "
                    "ORDER BY version"
                ),
                {"id": aggregate_id, "name": name},
            )
            return [envelope_of(row) for row in rows]

    return log


def envelope_of(row):
    return Envelope(
        event_id=row.event_id,
        name=row.name,
        tenant_id=row.tenant_id,
        aggregate_id=row.aggregate_id,
        aggregate_type=row.aggregate_type,
        version=row.version,
        data=row.data,
        occurred_at=row.occurred_at,
        correlation_id="test",
    )


@pytest.fixture
def other_work(make_tenant):
    tenant_id = make_tenant()
    actor = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"*"}))
    return Work(tenant_id=tenant_id, actor=actor, now=NOW, correlation_id="test")


class TestLanguages:
    async def test_are_listed_with_the_default_first_in_one_statement(
        self, run, languages, database, work, other_work, log
    ):
        await run(set_supported_language, SetSupportedLanguage(code="ru", is_default=True))
        await run(set_supported_language, SetSupportedLanguage(code="fr-CA", is_active=False))
        reads = database.reads(work.tenant_id)
        rows = await reads.port(LanguageReads).all(active_only=True)
        everything = await reads.port(LanguageReads).all(active_only=False)
        own, foreign = await reads.port(LanguageReads).of_tenants([work.tenant_id, other_work.tenant_id])
        assert reads.statements == 3
        await reads.close()
        assert [(row.code, row.is_default) for row in rows] == [("ru", True), ("en", False)]
        assert [row.code for row in everything] == ["ru", "en", "fr-CA"]
        english = next(row for row in rows if row.code == "en")
        assert [each.data["is_default"] for each in await log(english.id)] == [True, False]
        assert ([row.code for row in own], foreign) == (["ru", "en"], [])

    async def test_have_one_default_even_in_a_race(self, run, languages, database, work):
        await asyncio.gather(
            *(
                run(set_supported_language, SetSupportedLanguage(code=code, is_default=True))
                for code in ("ru", "fr-CA", "ru", "fr-CA")
            ),
            return_exceptions=True,
        )
        reads = database.reads(work.tenant_id)
        rows = await reads.port(LanguageReads).all(active_only=True)
        await reads.close()
        assert [row.is_default for row in rows] == [True, False, False]

    async def test_of_a_new_tenant_begin_with_its_own(self, run, database, work):
        envelope = Envelope(
            event_id=uuid7(),
            name="tenancy.tenant_created",
            tenant_id=work.tenant_id,
            aggregate_id=work.tenant_id,
            aggregate_type="Tenant",
            version=1,
            data={"locale": "fr-CA"},
            occurred_at=NOW,
            correlation_id="test",
        )
        for _ in range(2):
            await run(greet_tenant, envelope)
        reads = database.reads(work.tenant_id)
        rows = await reads.port(LanguageReads).all(active_only=True)
        await reads.close()
        assert [(row.code, row.is_default, row.version) for row in rows] == [("fr-CA", True, 1)]


class TestTranslations:
    async def test_are_kept_and_told(self, make_product, translate, log):
        product = await make_product()
        kept = await translate(product, "Лампа")
        (changed,) = await log(kept.id, "localization.translation_changed")
        assert changed.data == {
            "entity_type": "product",
            "entity_id": str(product.id),
            "field": "name",
            "language": "ru",
            "text": "Лампа",
        }

    async def test_are_written_once_per_text_even_in_a_race(self, make_product, translate, database, work):
        product = await make_product()
        await asyncio.gather(*(translate(product, f"Лампа {n}") for n in range(5)), return_exceptions=True)
        reads = database.reads(work.tenant_id)
        (rows,) = await reads.port(TranslationReads).of_entities(PRODUCT, [product.id], "ru")
        await reads.close()
        assert len(rows) == 1

    async def test_of_a_foreign_product_are_refused_like_of_none(
        self, make_product, translate, run, other_work, database
    ):
        product = await make_product()
        for code in ("en", "ru"):
            await run(set_supported_language, SetSupportedLanguage(code=code), other_work)
        for entity_id in (product.id, uuid7()):
            command = CreateTranslation(
                entity_type=PRODUCT, entity_id=entity_id, field="name", language="ru", text="Моё"
            )
            with pytest.raises(NotFound) as refusal:
                await run(create_translation, command, other_work)
            assert refusal.value.message == f"Product {entity_id} does not exist."
        await translate(product, "Лампа")
        reads = database.reads(other_work.tenant_id)
        assert await reads.port(TranslationReads).of_entities(PRODUCT, [product.id], None) == [[]]
        await reads.close()

    @pytest.mark.parametrize(
        ("language", "field", "wrong"), [("de", "name", "language"), ("en", "name", "language"), ("ru", "sku", "field")]
    )
    async def test_refuse_what_is_not_translated(self, make_product, translate, language, field, wrong):
        product = await make_product()
        with pytest.raises(InvalidInput) as refusal:
            await translate(product, "Лампа", language, field)
        assert refusal.value.field == wrong

    async def test_of_categories_are_kept_too(self, run, languages):
        category = await run(create_category, CreateCategory(name="Lamps"))
        command = CreateTranslation(
            entity_type=TranslatableType.CATEGORY, entity_id=category.id, field="name", language="ru", text="Лампы"
        )
        assert (await run(create_translation, command)).text == "Лампы"

    async def test_go_stale_with_their_source(self, make_product, translate, run, log, database, work):
        lamp, chair = await make_product("Lamp"), await make_product("Chair")
        await translate(lamp, "Лампа")
        await translate(chair, "Стул")
        await run(update_product, UpdateProduct(id=lamp.id, name="Desk lamp"))
        await run(update_product, UpdateProduct(id=chair.id, brand="Oak"))
        events = await log(lamp.id) + await log(chair.id)
        for _ in range(2):
            await run(outdate_translations, events)
        reads = database.reads(work.tenant_id)
        groups = await reads.port(TranslationReads).of_entities(PRODUCT, [lamp.id, chair.id], "ru")
        assert reads.statements == 1
        await reads.close()
        assert [[(row.status, row.version) for row in rows] for rows in groups] == [[("stale", 3)], [("fresh", 2)]]


class TestOverrides:
    async def test_of_a_tenant_are_told_and_withdrawn(self, make_product, translate, run, log, database, work):
        product = await make_product()
        await translate(product, "Лампа")
        command = OverrideTranslation(entity_type=PRODUCT, entity_id=product.id, field="name", language="ru")
        kept = await run(override_translation, replace(command, text="Светильник"))
        await run(override_translation, command)
        told = [each.data["text"] for each in await log(kept.id, "localization.translation_changed")]
        reads = database.reads(work.tenant_id)
        (rows,) = await reads.port(TranslationReads).overrides_of_entities(PRODUCT, [product.id], None)
        await reads.close()
        assert (told, rows) == (["Светильник", "Лампа"], [])

    async def test_of_a_store_need_the_store(self, make_product, run, database, work):
        product = await make_product()
        store = await run(create_store, CreateStore(code="S1", name="One"))
        command = OverrideTranslation(
            entity_type=PRODUCT, entity_id=product.id, field="name", language="ru", text="Светильник"
        )
        with pytest.raises(NotFound):
            await run(override_translation, replace(command, store_id=uuid7()))
        await run(override_translation, replace(command, store_id=store.id))
        reads = database.reads(work.tenant_id)
        (rows,) = await reads.port(TranslationReads).overrides_of_entities(PRODUCT, [product.id], "ru")
        await reads.close()
        assert [(row.store_id, row.text) for row in rows] == [(store.id, "Светильник")]


class TestMissing:
    async def test_are_names_that_a_language_lacks_and_stale_texts(
        self, make_product, translate, run, log, database, work
    ):
        products = [await make_product(name) for name in ("Lamp", "Chair", "Table")]
        await translate(products[0], "Лампа")
        await translate(products[1], "Стул")
        await run(update_product, UpdateProduct(id=products[1].id, name="Armchair"))
        events = [each for product in products for each in await log(product.id)]
        await run(note_texts, events)
        await run(note_texts, events)
        await run(outdate_translations, events)
        reads = database.reads(work.tenant_id)
        page = await reads.port(TranslationReads).missing(PRODUCT, "ru", PageRequest(first=10))
        french = await reads.port(TranslationReads).missing(PRODUCT, "fr-CA", PageRequest(first=2))
        following = await reads.port(TranslationReads).missing(
            PRODUCT, "fr-CA", PageRequest(first=2, after=french.end_cursor)
        )
        total = await french.count()
        assert reads.statements == 4
        await reads.close()
        assert [(row.entity_id, row.is_stale) for row in page.nodes] == [
            (products[1].id, True),
            (products[2].id, False),
        ]
        assert ([row.entity_id for row in following.nodes], total) == ([products[2].id], 3)

    async def test_forget_what_is_gone(self, make_product, run, log, database, work):
        product = await make_product()
        events = await log(product.id)
        gone = replace(events[0], name="product.deleted")
        await run(note_texts, events)
        await run(note_texts, [gone])
        await run(note_texts, [*events, gone])
        reads = database.reads(work.tenant_id)
        page = await reads.port(TranslationReads).missing(PRODUCT, "ru", PageRequest(first=10))
        await reads.close()
        assert page.nodes == []


class TestBatch:
    @pytest.fixture
    def order(self, run, log):
        """Order a batch and let it run as the bus would: each event leads to the next part."""

        async def order(products, **more):
            ids = tuple(each if isinstance(each, type(uuid7())) else each.id for each in products)
            batch = await run(
                batch_translate, BatchTranslate(entity_type=PRODUCT, language="ru", entity_ids=ids, **more)
            )
            seen = 0
            while True:
                events = [
                    each
                    for each in await log(batch.id)
                    if each.name in {"localization.batch_requested", "localization.batch_advanced"}
                ]
                if len(events) == seen:
                    return batch.id
                seen += 1
                await run(translate_part, events[seen - 1])
                await run(translate_part, events[seen - 1])

        return order

    async def test_translates_what_the_tenant_has_translated_before(
        self, make_product, translate, run, order, database, work, log
    ):
        known, same, unknown, own = [await make_product(name) for name in ("Lamp", "Lamp", "Chair", "Table")]
        brand = await make_product("Nokia 3310")
        await translate(known, "Лампа")
        await translate(own, "Столик")
        await run(add_skip_word, AddSkipWord(word="Nokia"))
        gone = uuid7()
        batch_id = await order([same, unknown, own, brand, gone])
        reads = database.reads(work.tenant_id)
        (batch,) = await reads.port(BatchReads).by_id([batch_id])
        (items,) = await reads.port(BatchReads).items([batch_id])
        groups = await reads.port(TranslationReads).of_entities(PRODUCT, [same.id, unknown.id, own.id, brand.id], "ru")
        await reads.close()
        assert (batch.status, batch.total, batch.translated, batch.remaining) == ("completed", 5, 3, 0)
        assert {item.entity_id: item.outcome for item in items} == {
            same.id: "translated",
            unknown.id: "unmatched",
            own.id: "translated",
            brand.id: "translated",
            gone: "not_found",
        }
        assert [[(row.text, row.status, row.provider) for row in rows] for rows in groups] == [
            [("Лампа", "machine", "dictionary")],
            [],
            [("Столик", "fresh", "human")],
            [("Nokia 3310", "machine", "dictionary")],
        ]
        (told,) = await log(groups[0][0].id, "localization.translation_changed")
        assert told.data["text"] == "Лампа"

    async def test_is_done_in_parts(self, make_product, order, database, work, log):
        product = await make_product()
        batch_id = await order([product, *(uuid7() for _ in range(149))])
        reads = database.reads(work.tenant_id)
        (batch,) = await reads.port(BatchReads).by_id([batch_id])
        await reads.close()
        names = [each.name.partition(".")[2] for each in await log(batch_id)]
        assert (batch.status, batch.remaining) == ("completed", 0)
        assert names == ["batch_requested", "batch_advanced", "batch_processed"]

    async def test_never_looks_into_the_dictionary_of_others(
        self, make_product, translate, run, order, other_work, database, work
    ):
        for code in ("en", "ru"):
            await run(set_supported_language, SetSupportedLanguage(code=code), other_work)
        command = CreateProduct(name="Lamp", sku="L1", price=Money(1_000, "CAD"))
        theirs = await run(catalog.create_product, command, other_work)
        await run(
            create_translation,
            CreateTranslation(entity_type=PRODUCT, entity_id=theirs.id, field="name", language="ru", text="Лампа"),
            other_work,
        )
        product = await make_product("Lamp")
        await order([product])
        reads = database.reads(work.tenant_id)
        assert await reads.port(TranslationReads).of_entities(PRODUCT, [product.id], "ru") == [[]]
        await reads.close()
