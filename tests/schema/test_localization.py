import pytest
from sqlalchemy import text

from data.transactions import SqlTransactions
from domain import catalog
from domain.catalog import CreateProduct
from domain.kernel import NOBODY, Principal, Work, uuid7
from domain.localization import SetSupportedLanguage, note_texts, set_supported_language
from domain.money import Money
from resolvers.kernel import Context
from schema.graph import build
from tests.conftest import NOW
from tests.data.test_localization import envelope_of

TRANSLATE = """
mutation ($input: CreateTranslationInput!) { createTranslation(input: $input) { __typename
  ... on Translation { text language status version } ... on Error { code message } } }
"""
OVERRIDE = """
mutation ($input: OverrideTranslationInput!) { overrideTranslation(input: $input) { __typename
  ... on TranslationOverride { text storeId } ... on Error { code } } }
"""


@pytest.fixture(scope="module")
def graph():
    return build(["localization", "catalog", "tenancy"])


@pytest.fixture
def ask(graph, database, tenant_id):
    async def run(document, principal=NOBODY, tenant=tenant_id, locale="en", **variables):
        context = Context(
            reads=database.reads(tenant),
            transactions=SqlTransactions(database),
            principal=principal,
            tenant_id=tenant,
            locale=locale,
            now=lambda: NOW,
        )
        result = await graph.execute(document, variable_values=variables, context_value=context)
        run.statements = context.reads.statements
        await context.reads.close()
        return result

    return run


@pytest.fixture
def editor(tenant_id):
    return Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"localization.*", "stores.any"}))


@pytest.fixture
async def languages(transactions, work):
    for code in ("en", "ru"):
        await transactions.run(set_supported_language, SetSupportedLanguage(code=code), work)


@pytest.fixture
def make_product(transactions, work, languages, database):
    """Make a product that the public sees, and let localization hear of it."""

    async def make(name="Lamp"):
        command = CreateProduct(name=name, sku=uuid7().hex, price=Money(1_000, "CAD"))
        product = await transactions.run(catalog.create_product, command, work)
        await transactions.run(catalog.publish_product, catalog.PublishProduct(id=product.id), work)
        return str(product.id)

    return make


def of(product_id, **more):
    return {"entityType": "PRODUCT", "entityId": product_id, "field": "name", "language": "ru", **more}


class TestTranslations:
    async def test_are_written_and_read(self, ask, editor, make_product):
        product_id = await make_product()
        written = await ask(TRANSLATE, editor, input=of(product_id, text="Лампа"))
        read = await ask(
            "query ($id: ID!) { translations(entityType: PRODUCT, entityId: $id) { text provider } }",
            editor,
            id=product_id,
        )
        assert written.errors is None
        assert written.data["createTranslation"] == {
            "__typename": "Translation",
            "text": "Лампа",
            "language": "ru",
            "status": "FRESH",
            "version": 2,
        }
        assert read.data["translations"] == [{"text": "Лампа", "provider": "human"}]

    async def test_of_a_foreign_product_answer_like_of_none(self, ask, editor, make_product, make_tenant, transactions):
        product_id, elsewhere = await make_product(), make_tenant()
        stranger = Principal(user_id=uuid7(), tenant_id=elsewhere, permissions=editor.permissions)
        theirs = Work(tenant_id=elsewhere, actor=stranger, now=NOW, correlation_id="test")
        for code in ("en", "ru"):
            await transactions.run(set_supported_language, SetSupportedLanguage(code=code), theirs)
        taken = await ask(TRANSLATE, stranger, elsewhere, input=of(product_id, text="Моё"))
        never = await ask(TRANSLATE, stranger, elsewhere, input=of(str(uuid7()), text="Моё"))
        assert taken.data["createTranslation"]["code"] == never.data["createTranslation"]["code"] == "NOT_FOUND"
        assert taken.data["createTranslation"]["message"] == f"Product {product_id} does not exist."

    @pytest.mark.parametrize(
        "wrong", [{"text": ""}, {"text": "a\x00b"}, {"language": "de"}, {"language": "en"}, {"field": "sku"}]
    )
    async def test_refuse_bad_input(self, ask, editor, make_product, wrong):
        product_id = await make_product()
        result = await ask(TRANSLATE, editor, input=of(product_id, **{"text": "Лампа", **wrong}))
        read = await ask(
            "query ($id: ID!) { translations(entityType: PRODUCT, entityId: $id) { text } }", editor, id=product_id
        )
        assert result.data["createTranslation"]["code"] == "INVALID_INPUT"
        assert read.data["translations"] == []

    async def test_are_for_editors_only(self, ask, make_product, tenant_id):
        product_id = await make_product()
        buyer = Principal(user_id=uuid7(), tenant_id=tenant_id)
        result = await ask(TRANSLATE, buyer, input=of(product_id, text="Лампа"))
        assert result.errors[0].message == "The permission localization.write is required."


class TestProductTranslation:
    async def test_comes_from_the_strongest_level(self, ask, editor, make_product):
        product_id, made = await make_product(), await ask_for_store(ask, editor)
        await ask(TRANSLATE, editor, input=of(product_id, text="Лампа"))
        first = await self._texts(ask, product_id, made)
        await ask(OVERRIDE, editor, input=of(product_id, text="Светильник"))
        second = await self._texts(ask, product_id, made)
        await ask(OVERRIDE, editor, input=of(product_id, text="Люстра", storeId=made))
        third = await self._texts(ask, product_id, made)
        assert first == [("Лампа", "TRANSLATION"), ("Лампа", "TRANSLATION")]
        assert second == [("Светильник", "TENANT_OVERRIDE"), ("Светильник", "TENANT_OVERRIDE")]
        assert third == [("Светильник", "TENANT_OVERRIDE"), ("Люстра", "STORE_OVERRIDE")]

    async def test_follows_the_callers_language(self, ask, editor, make_product):
        product_id = await make_product()
        await ask(TRANSLATE, editor, input=of(product_id, text="Лампа"))
        document = "query ($id: ID!) { product(id: $id) { translation { text language } } }"
        russian = await ask(document, locale="ru-RU", id=product_id)
        english = await ask(document, locale="en", id=product_id)
        assert russian.data["product"]["translation"] == {"text": "Лампа", "language": "ru"}
        assert english.data["product"]["translation"] is None

    @staticmethod
    async def _texts(ask, product_id, store_id):
        document = """query ($id: ID!, $store: ID) { product(id: $id) {
            a: translation(language: "ru") { text level }
            b: translation(language: "ru", storeId: $store) { text level } } }"""
        result = await ask(document, id=product_id, store=store_id)
        found = result.data["product"]
        return [(found[name]["text"], found[name]["level"]) for name in ("a", "b")]


async def ask_for_store(ask, editor):
    manager = Principal(
        user_id=editor.user_id, tenant_id=editor.tenant_id, permissions=frozenset({"tenancy.manage", "stores.any"})
    )
    document = "mutation ($code: String!) { createStore(input: {code: $code, name: $code}) { ... on Store { id } } }"
    return (await ask(document, manager, code=f"S{uuid7().hex}")).data["createStore"]["id"]


class TestMissingTranslations:
    async def test_name_products_across_subgraphs_at_a_fixed_cost(
        self, ask, editor, make_product, transactions, work, database
    ):
        products = [await make_product(name) for name in ("Lamp", "Chair", "Table")]
        async with database.session(None) as session:
            rows = await session.execute(
                text("SELECT * FROM platform.event_log WHERE tenant_id = :id AND name = 'product.created'"),
                {"id": work.tenant_id},
            )
            events = [envelope_of(row) for row in rows]
        await transactions.run(note_texts, events, work)
        await ask(TRANSLATE, editor, input=of(products[0], text="Лампа"))
        document = """query ($first: Int) { missingTranslations(language: "ru", first: $first) {
            nodes { isStale category { id } product { id name } } pageInfo { hasNextPage } totalCount } }"""
        one = await ask(document, editor, first=1)
        of_one = ask.statements
        both = await ask(document, editor, first=10)
        assert one.errors is None
        assert one.data["missingTranslations"] == {
            "nodes": [{"isStale": False, "category": None, "product": {"id": products[1], "name": "Chair"}}],
            "pageInfo": {"hasNextPage": True},
            "totalCount": 2,
        }
        assert [each["product"]["name"] for each in both.data["missingTranslations"]["nodes"]] == ["Chair", "Table"]
        assert (of_one, ask.statements) == (3, 3)


class TestSupportedLanguages:
    SET = """mutation ($input: SetSupportedLanguageInput!) { setSupportedLanguage(input: $input) { __typename
        ... on SupportedLanguage { code name nativeName rtl isDefault } ... on DefaultLanguageRequired { language } } }"""

    async def test_are_told_to_everybody(self, ask, editor):
        first = await ask(self.SET, editor, input={"code": "ar"})
        listed = await ask("{ supportedLanguages { code isDefault } }")
        assert first.data["setSupportedLanguage"] == {
            "__typename": "SupportedLanguage",
            "code": "ar",
            "name": "Arabic",
            "nativeName": "العربية",
            "rtl": True,
            "isDefault": True,
        }
        assert listed.data["supportedLanguages"] == [{"code": "ar", "isDefault": True}]
        assert ask.statements == 1

    async def test_keep_their_default(self, ask, editor):
        await ask(self.SET, editor, input={"code": "en"})
        refused = await ask(self.SET, editor, input={"code": "en", "isActive": False})
        listed = await ask("{ supportedLanguages { code isDefault } }")
        assert refused.data["setSupportedLanguage"] == {"__typename": "DefaultLanguageRequired", "language": "en"}
        assert listed.data["supportedLanguages"] == [{"code": "en", "isDefault": True}]


class TestBatchTranslate:
    async def test_is_ordered_and_followed(self, ask, editor, make_product):
        product_id = await make_product()
        document = """mutation ($ids: [ID!]!) { batchTranslate(
            input: {entityType: PRODUCT, language: "ru", entityIds: $ids}) {
            ... on TranslationBatch { id status total remaining } ... on Error { code } } }"""
        ordered = (await ask(document, editor, ids=[product_id])).data["batchTranslate"]
        followed = await ask(
            "query ($id: ID!) { translationBatch(id: $id) { status items { outcome } } }", editor, id=ordered["id"]
        )
        refused = await ask(document, editor, ids=[])
        assert (ordered["status"], ordered["total"], ordered["remaining"]) == ("PENDING", 1, 1)
        assert followed.data["translationBatch"] == {"status": "PENDING", "items": [{"outcome": "PENDING"}]}
        assert refused.data["batchTranslate"] == {"code": "INVALID_INPUT"}
