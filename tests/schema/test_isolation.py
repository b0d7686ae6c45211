"""Another tenant's id answers exactly like one that never was, wherever the graph takes an id."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
from graphql import ObjectTypeDefinitionNode, ObjectTypeExtensionNode, StringValueNode, parse

from data.database import asyncpg_url
from data.kernel import TENANT_OWNED, metadata
from domain.discovery import SearchLog
from domain.kernel import uuid7
from schema.graph import CONTEXTS, subgraph
from tests.schema.documents import OPERATIONS, argument_paths, document, fields_of, root_fields
from tests.schema.marketplace import Marketplace, furnished
from tests.schema.recipes import NAMING, NOT_OWNED, ONCE_A_PERSON, RECIPES, filled, keys_in, ways

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKEN_LETTERS = 43
"""How long the random part of a token of 256 bits is; a prefix may say what it is for."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.+Z-]+")
FRESH = re.compile(r"(SKU-|slug-|st-|word|[Ll]amp[- ])[0-9a-f]{12}|CODE-[0-9A-F]{12}")
FIELDS = root_fields(*OPERATIONS)


@dataclass(frozen=True)
class Case:
    """A way to call a root field in which one key, or every key, is somebody else's."""

    field: str
    way: int
    foreign: tuple[str, ...]

    @property
    def recipe(self) -> dict[str, Any]:
        return ways(self.field)[self.way]

    def __str__(self) -> str:
        return f"{self.field}-{self.way}-{'+'.join(self.foreign)}"


def cases() -> Iterator[Case]:
    for name in FIELDS:
        for way, recipe in enumerate(ways(name)):
            paths = tuple(keys_in(recipe))
            if len(paths) > 1:
                yield Case(name, way, paths)
            for path in paths:
                yield Case(name, way, (path,))


CASES = list(cases())
# How deep to look where each call adds to the caller's own things.
SHALLOW = {"addVariant": 1}


def ghost(value: str) -> str:
    """Make a key of the same shape that never was."""
    if UUID_TEXT.fullmatch(value):
        return str(uuid7())
    if len(value) > TOKEN_LETTERS:
        return value[:-TOKEN_LETTERS] + uuid7().hex + uuid7().hex[: TOKEN_LETTERS - 32]
    made = re.sub(r"[0-9a-fA-F]{6,}|[0-9a-z]{6,}", lambda found: uuid7().hex[-len(found[0]) :], value)
    return made.upper() if value.isupper() else made


@pytest.fixture(scope="module")
async def markets(supergraph: Any, services: Any, make_tenant: Any, database_url: str) -> AsyncIterator[Any]:
    """Two marketplaces with one of everything each; whatever the tests ask, the first must stay as it is."""
    made = []
    for name in ("victim", "intruder"):
        code = f"{name}-{uuid7().hex[-8:]}"
        made.append(await furnished(supergraph, services, make_tenant(code=code), code))
        await services.by_port[SearchLog].flush()
    connection = await asyncpg.connect(asyncpg_url(database_url))
    before = await rows_of(connection, made[0])
    yield *made, connection
    assert await rows_of(connection, made[0]) == before
    await connection.close()


async def rows_of(connection: asyncpg.Connection, market: Marketplace) -> dict[str, str]:
    """Give a digest of all rows that a tenant has, by table."""
    digests = {}
    for table in metadata.tables.values():
        if table.info.get(TENANT_OWNED):
            name = '"."'.join(table.fullname.split("."))
            digests[table.fullname] = await connection.fetchval(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM \"{name}\" AS t "
                "WHERE tenant_id = $1",
                market.tenant_id,
            )
    return digests


async def events_of(connection: asyncpg.Connection, market: Marketplace) -> int:
    statement = "SELECT count(*) FROM platform.event_log WHERE tenant_id = $1"
    return int(await connection.fetchval(statement, market.tenant_id))


async def answer(market: Marketplace, case: Case, keys: dict[str, str]) -> Any:
    """Call a field and give what it answered as JSON text; of a subscription, its first event."""
    arguments = filled(case.recipe, keys)
    text = document(case.field, arguments, depth=SHALLOW.get(case.field, 2))
    if case.field in root_fields("Subscription"):
        return told(await market.first_event(text, arguments))
    person = replace(market.admin, user_id=uuid7()) if case.field in ONCE_A_PERSON else None
    return told(await market.ask(text, arguments, person))


def told(result: Any) -> str:
    # An exception without a code is a fault and no answer.
    errors = [{"code": each.original_error.code, "message": each.message} for each in result.errors or ()]
    return json.dumps({"data": result.data, "errors": errors}, default=str, sort_keys=True)


def without(text: str, keys: dict[str, str], foreign: tuple[str, ...]) -> str:
    """Take out what was asked for, and what every call makes anew."""
    for path in foreign:
        text = text.replace(json.dumps(keys[path])[1:-1], f"<{path}>")
    text = re.sub(r'"(Authentication_(access|refresh|device)Token|IssuedApiKey_key)": "[^"]*"', "", text)
    text = re.sub(r"agora_[0-9a-f]{32}_", "agora_<id>_", text)
    text = re.sub(r'"\w*(processingMs|[vV]ersion)": [0-9.e-]+', "", text)
    return MOMENT.sub("<moment>", UUID_TEXT.sub("<id>", FRESH.sub("<fresh>", text)))


class TestARootField:
    @pytest.mark.parametrize("case", CASES, ids=str)
    async def test_answers_for_another_tenants_key_as_for_one_that_never_was(self, markets: Any, case: Case) -> None:
        victim, intruder, connection = markets
        own = {path: intruder.keys[key] for path, key in keys_in(case.recipe).items()}
        foreign = own | {path: victim.keys[keys_in(case.recipe)[path]] for path in case.foreign}
        never = own | {path: ghost(foreign[path]) for path in case.foreign}
        before = await events_of(connection, victim)
        seen, unseen = await answer(intruder, case, foreign), await answer(intruder, case, never)
        assert without(seen, foreign, case.foreign) == without(unseen, never, case.foreign)
        assert not secrets(victim, foreign, case) & set(UUID_TEXT.findall(seen))
        assert await events_of(connection, victim) == before

    @pytest.mark.parametrize("name", FIELDS)
    def test_has_a_recipe_for_whatever_it_takes_that_names_something(self, name: str) -> None:
        known = {path for recipe in ways(name) for path in keys_in(recipe)}
        unknown = [
            f"{name}.{path}"
            for path, kind in argument_paths(FIELDS[name])
            if (kind == "ID" or (kind == "String" and path.rpartition(".")[2] in NAMING))
            and path not in known
            and f"{name}.{path}" not in NOT_OWNED
        ]
        assert unknown == [], (
            f"{', '.join(unknown)}: say in tests/schema/recipes.py which key of a marketplace belongs there, "
            "so that isolation between tenants is tested for it (or in NOT_OWNED why no tenant owns it)"
        )

    def test_is_known_where_there_is_a_recipe(self) -> None:
        assert set(RECIPES) - set(FIELDS) == set()


def secrets(victim: Marketplace, given: dict[str, str], case: Case) -> set[str]:
    """Give the ids of the other tenant that the caller did not name."""
    named = {given[path] for path in case.foreign}
    return {each for each in victim.keys.values() if UUID_TEXT.fullmatch(each)} - named


# How the process is concerns all tenants, and only those who run the platform.
KEYLESS = [name for name in root_fields("Query") if not keys_in(ways(name)[0]) and name != "systemHealth"]


class TestAList:
    """Lists without any key: what they show is the caller's own."""

    @pytest.mark.parametrize("name", KEYLESS)
    async def test_shows_nothing_of_another_tenant(self, markets: Any, name: str) -> None:
        victim, intruder, _ = markets
        arguments = ways(name)[0]
        seen = told(await intruder.ask(document(name, arguments, depth=3), arguments))
        assert [key for key, value in victim.keys.items() if value in seen and not key.startswith("spare")] == []


# What the keys of entities are called in a marketplace.
ENTITY_KEYS = {
    ("Cart", "id"): "cart",
    ("Conversation", "id"): "conversation",
    ("Message", "id"): "message",
    ("Delivery", "id"): "delivery",
    ("DiscountCode", "id"): "discount_code_id",
    ("FlashSale", "id"): "flash_sale",
    ("LiveSession", "id"): "live_session",
    ("Studio", "id"): "studio",
    ("Order", "id"): "order",
    ("Order", "orderNumber"): "order_number",
    ("Payment", "id"): "payment",
    ("Payout", "id"): "payout",
    ("PriceList", "id"): "price_list",
    ("PricingRule", "id"): "pricing_rule",
    ("Promotion", "id"): "promotion",
    ("SubOrder", "id"): "sub_order",
    ("Category", "id"): "category",
    ("ImportJob", "id"): "job",
    ("Product", "id"): "product",
    ("Product", "sku"): "sku",
    ("ProductVariant", "id"): "variant",
    ("ProductVariant", "sku"): "variant_sku",
    ("Review", "id"): "review",
    ("StockLevel", "id"): "stock_level",
    ("StockLevel", "sku"): "sku",
    ("StockLevel", "storeId"): "store",
    ("Store", "id"): "store",
    ("Tenant", "id"): "tenant",
    ("TranslationBatch", "id"): "batch",
    ("User", "id"): "user",
}


def entities() -> Iterator[tuple[str, str, str]]:
    for context in CONTEXTS:
        for definition in parse(subgraph(context).as_str()).definitions:
            if isinstance(definition, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
                for directive in definition.directives or ():
                    if directive.name.value == "key":
                        (fields,) = (each.value for each in directive.arguments if each.name.value == "fields")
                        assert isinstance(fields, StringValueNode)
                        yield context, definition.name.value, fields.value


ENTITIES = list(entities())


class TestAnEntityReference:
    @pytest.mark.parametrize(("context", "kind", "key"), ENTITIES)
    async def test_to_another_tenant_is_resolved_as_one_to_nothing(
        self, markets: Any, context: str, kind: str, key: str
    ) -> None:
        victim, intruder, _ = markets
        missing = {f"{kind}.{name}" for name in key.split() if (kind, name) not in ENTITY_KEYS}
        assert not missing, f"say in ENTITY_KEYS which key of a marketplace is {', '.join(missing)}"
        theirs = {name: victim.keys[ENTITY_KEYS[kind, name]] for name in key.split()}
        never = {name: ghost(value) for name, value in theirs.items()}
        fields = fields_of(subgraph(context)._schema.type_map[kind], depth=2)
        text = f"query($of: [_Any!]!) {{ _entities(representations: $of) {{ ... on {kind} {{ {fields} }} }} }}"
        seen, unseen = [
            without(
                told(await intruder.ask(text, {"of": [{"__typename": kind, **keys}]}, graph=subgraph(context))),
                keys,
                tuple(keys),
            )
            for keys in (theirs, never)
        ]
        assert seen == unseen
