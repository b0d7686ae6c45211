"""The same operations give the same answers from the whole graph, from a part of it, and from each subgraph by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema

from schema.graph import CONTEXTS, subgraph
from server.settings import Settings
from tests.gateway.entities import Entity, entities, origin
from tests.gateway.processes import Caller, agora, stock
from tests.gateway.routing import AsRouter
from tests.schema.fuzz.shop import FERNHILL, Shop, email_of

STOREFRONT = "catalog,search,inventory,reviews,identity"
INDEXED_SECONDS = 30
UNKNOWN = "01890000-0000-7000-8000-00000000dead"

NONSENSE = "qwxzqwxzqwxzqwxz"

BROWSE = """{ categoryTree { name slug depth productCount parent { slug } children { name(language: "ru") } } }"""
LIST = """query($after: String) {
  products(first: 10, sort: NAME, after: $after) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes {
      id sku name(language: "fr") brand price { amount currency } category { name path { slug } }
      stock { onHand available stores } rating { average total distribution } isWishlisted
      variants { sku name price { amountMinor } availability { available } } } } }"""
SEARCH = """query($query: String!) {
  searchProducts(query: $query, facets: [CATEGORY, BRAND, IN_STOCK], first: 5) {
    total correctedQuery pageInfo { hasNextPage endCursor }
    facets { brands { value count } categories { path count } inStock outOfStock }
    hits { product { sku name stock { available } rating { average } } } } }"""
AUTOCOMPLETE = (
    """query($prefix: String!) { autocomplete(prefix: $prefix, limit: 5) { text kind count product { sku name } } }"""
)
REGISTER = """mutation($email: String!) {
  register(email: $email, password: "a long enough password", displayName: "Ada") {
    __typename ... on Registration { email } ... on Error { code message } } }"""
LOGIN = """mutation($email: String!, $password: String!) {
  login(email: $email, password: $password) {
    __typename ... on Authentication { accessToken user { displayName email status } session { isCurrent } }
    ... on Error { code message } } }"""
REVIEW = """mutation($product: ID!, $rating: Int!) {
  createReview(input: {productId: $product, rating: $rating, title: "Good"}) {
    __typename ... on Review { rating title product { sku name rating { total } } } ... on Error { code message } } }"""
RATING = """query($product: ID!) { product(id: $product) { rating { total } reviews(first: 3) { nodes { title rating } } } }"""
ME = "{ me { displayName email } }"


@dataclass
class Parts:
    """The whole graph, a part of it, and who asks."""

    whole: str
    part: str
    shop: Shop
    caller: Caller
    router: AsRouter

    async def both(self, document: str, variables: Any = None, *, person: str = "guest", language: str = "en") -> Any:
        """Ask the whole and the part; give the answer that both agree on."""
        whole, part = [
            await self.caller.send(f"{url}/graphql", document, variables, person=person, language=language)
            for url in (self.whole, self.part)
        ]
        assert part == whole
        assert "errors" not in whole, whole
        return whole["data"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("subsets") / "home"


@pytest.fixture(scope="module")
def whole(home: Path) -> Iterator[str]:
    with agora(home) as url:
        yield url


@pytest.fixture(scope="module")
async def parts(home: Path, whole: str) -> AsyncIterator[Parts]:
    with agora(home, "--only", STOREFRONT) as part:
        shop, _ = await stock(home)
        async with httpx.AsyncClient(timeout=30) as client:
            caller = Caller(client, {})
            await caller.log_in(f"{whole}/graphql", buyer="buyer", admin="admin", seller="seller1")
            made = Parts(whole, part, shop, caller, AsRouter(Settings(home=home).router_key))
            await indexed(made)
            yield made


async def indexed(parts: Parts) -> None:
    """Wait until the worker has put every product into the search index, and both processes see it."""
    deadline = time.monotonic() + INDEXED_SECONDS
    for url in (parts.whole, parts.part):
        total = 0
        while total < FERNHILL.products:
            assert time.monotonic() < deadline, f"{total} products are searchable"
            answer = await parts.caller.send(f"{url}/graphql", "{ searchProducts(first: 1) { total } }")
            total = answer["data"]["searchProducts"]["total"]
            await asyncio.sleep(0.1)


class TestPartOfTheGraph:
    async def test_browses_the_tree(self, parts: Parts) -> None:
        tree = (await parts.both(BROWSE))["categoryTree"]
        assert {each["depth"] for each in tree} == {1, 2, 3}
        assert tree[0]["children"][0]["name"] == "Аудио"

    async def test_lists_products_with_stock_and_rating(self, parts: Parts) -> None:
        first = (await parts.both(LIST, person="buyer"))["products"]
        assert first["totalCount"] == FERNHILL.products
        assert sum(each["rating"]["total"] for each in first["nodes"] if each["rating"]) > 0
        assert all(each["stock"]["onHand"] >= 0 for each in first["nodes"])
        second = (await parts.both(LIST, {"after": first["pageInfo"]["endCursor"]}))["products"]
        assert not {each["sku"] for each in first["nodes"]} & {each["sku"] for each in second["nodes"]}

    @pytest.mark.parametrize(("query", "language"), [("hedphones", "en"), ("наушнки", "ru"), (NONSENSE, "en")])
    async def test_searches(self, parts: Parts, query: str, language: str) -> None:
        found = (await parts.both(SEARCH, {"query": query}, language=language))["searchProducts"]
        assert bool(found["total"]) == (query != NONSENSE)

    async def test_completes_what_is_typed(self, parts: Parts) -> None:
        assert (await parts.both(AUTOCOMPLETE, {"prefix": "hea"}))["autocomplete"]

    async def test_takes_a_newcomer_from_registration_to_a_review(self, parts: Parts) -> None:
        answers = []
        for number, url in enumerate((parts.whole, parts.part)):
            product, email = str(parts.shop.ids["product"][number]), email_of(f"newcomer{number}")
            answers.append(await self.newcomer(parts, f"{url}/graphql", email, product))
        whole, part = answers
        assert whole == part == ["Registration", "Authentication", "Ada", True, "Review", 5, 1]
        assert (await parts.both(ME, person="newcomer"))["me"]["displayName"] == "Ada"

    async def newcomer(self, parts: Parts, url: str, email: str, product: str) -> list[Any]:
        send, wanted = parts.caller.send, {"product": product}
        before = (await send(url, RATING, wanted))["data"]["product"]
        registered = (await send(url, REGISTER, {"email": email}))["data"]["register"]
        entered = await send(url, LOGIN, {"email": email, "password": "a long enough password"})
        login = entered["data"]["login"]
        assert login["user"]["email"] == email
        parts.caller.tokens["newcomer"] = login["accessToken"]
        review = (await send(url, REVIEW, {**wanted, "rating": 5}, person="newcomer"))["data"]["createReview"]
        again = (await send(url, REVIEW, {**wanted, "rating": 1}, person="newcomer"))["data"]["createReview"]
        assert again["code"] == "ALREADY_REVIEWED"
        after = (await send(url, RATING, wanted))["data"]["product"]
        assert after["reviews"]["nodes"][0] == {"title": "Good", "rating": 5}
        grown = after["rating"]["total"] - (before["rating"] or {"total": 0})["total"]
        told = [registered["__typename"], login["__typename"], login["user"]["displayName"]]
        return [*told, login["session"]["isCurrent"], review["__typename"], review["rating"], grown]

    async def test_knows_nothing_of_the_other_contexts(self, parts: Parts) -> None:
        answer = await parts.caller.send(f"{parts.part}/graphql", "{ stores { totalCount } }")
        assert "Cannot query field 'stores' on type 'Query'" in answer["errors"][0]["message"]
        missing = await parts.caller.client.get(f"{parts.part}/subgraphs/tenancy/graphql")
        assert missing.status_code == 404


WAYS = {
    "Product": ("product(id: $id)", "product"),
    "Category": ("category(id: $id)", "category"),
    "Store": ("store(id: $id)", "store"),
    "Tenant": ("tenant(id: $id)", "tenant"),
    "User": ("user(id: $id)", "user"),
    "Review": ("review(id: $id)", "review"),
    "TranslationBatch": ("translationBatch(id: $id)", "batch"),
    "ImportJob": ("importJob(id: $id)", "import"),
    "FlashSale": ("flashSale(id: $id)", "flash"),
    "Promotion": ("promotion(id: $id)", "promotion"),
    "Cart": ("cart(id: $id)", "cart"),
    "Conversation": ("conversation(id: $id)", "conversation"),
    "Order": ("order(id: $id)", "order"),
    "Payment": ("payment(id: $id)", "payment"),
}
"""How the whole graph finds an entity by its id, and what such ids are called in the shop."""
SURROUNDED = {
    "ProductVariant": "products(first: 8) { nodes { variants { ...Wanted } } }",
    "StockLevel": "stockLevels(storeId: $id, first: 8) { nodes { ...Wanted } }",
    "Delivery": "deliveries(first: 8) { nodes { ...Wanted } }",
    "DiscountCode": "discountCodes(first: 8) { nodes { ...Wanted } }",
    "PriceList": "priceLists(first: 8) { nodes { ...Wanted } }",
    "PricingRule": "pricingRules(first: 8) { nodes { ...Wanted } }",
    "SubOrder": "sellerOrders(first: 8) { nodes { ...Wanted } }",
    "Message": "messagesForReview(first: 8) { nodes { ...Wanted } }",
    "LiveSession": "liveSessions(first: 8) { nodes { ...Wanted } }",
    "Studio": "studios(first: 8) { nodes { ...Wanted } }",
    "Payout": "allPayouts(first: 8) { nodes { ...Wanted } }",
}
"""What has no such field, and a list that it stands in."""


class TestSubgraph:
    @pytest.mark.parametrize("context", CONTEXTS)
    async def test_tells_its_schema(self, parts: Parts, context: str) -> None:
        url = f"{parts.whole}/subgraphs/{context}/graphql"
        answer = await parts.caller.send(url, "{ _service { sdl } }", auth=parts.router)
        assert answer["data"]["_service"]["sdl"].strip() == subgraph(context).as_str().strip()
        build_schema(answer["data"]["_service"]["sdl"], assume_valid_sdl=True)

    @pytest.mark.parametrize("entity", list(entities()), ids=str)
    async def test_finds_its_entities_by_key_all_at_once(self, parts: Parts, entity: Entity) -> None:
        expected = [each for each in await known(parts, entity) if each]
        assert expected
        keys = entity.key.split()
        representations = [{"__typename": entity.type_name, **{key: each[key] for key in keys}} for each in expected]
        found = await ask(parts, entity, representations)
        assert found == [{"__typename": entity.type_name, **pick(each, entity)} for each in expected]
        shuffled = [representations[-1], *representations[:-1], representations[0]]
        assert await ask(parts, entity, shuffled) == [found[-1], *found[:-1], found[0]]

    @pytest.mark.parametrize("entity", [each for each in entities() if "__references__" in vars(origin(each))], ids=str)
    async def test_gives_null_for_what_there_is_not(self, parts: Parts, entity: Entity) -> None:
        key = dict.fromkeys(entity.key.split(), UNKNOWN)
        assert await ask(parts, entity, [{"__typename": entity.type_name, **key}]) == [None]


def pick(found: dict[str, Any], entity: Entity) -> dict[str, Any]:
    names = [field.partition(" ")[0] for field in entity.fields]
    return {name: found[name] for name in names}


async def ask(parts: Parts, entity: Entity, representations: list[dict[str, Any]]) -> list[Any]:
    document = f"""query($of: [_Any!]!) {{
      _entities(representations: $of) {{ __typename ... on {entity.type_name} {{ {" ".join(entity.fields)} }} }} }}"""
    url = f"{parts.whole}/subgraphs/{entity.context}/graphql"
    answer = await parts.caller.send(
        url, document, {"of": representations}, person="admin", language="fr", auth=parts.router
    )
    assert "errors" not in answer, answer["errors"]
    found: list[Any] = answer["data"]["_entities"]
    return found


async def known(parts: Parts, entity: Entity) -> list[Any]:
    """Ask the whole graph for some entities of the type: the fields that the subgraph has, and the key."""
    fragment = f"fragment Wanted on {entity.type_name} {{ {' '.join({*entity.key.split(), *entity.fields})} }}"
    if entity.type_name in SURROUNDED:
        document = f"query($id: ID!) {{ found: {SURROUNDED[entity.type_name]} }} {fragment}"
        document = document if "$id" in SURROUNDED[entity.type_name] else document.replace("($id: ID!)", "")
        answer = await send(parts, document, {"id": str(parts.shop.ids["store"][0])})
        nodes = answer["found"]["nodes"]
        return [each for node in nodes for each in node.get("variants", [node])]
    way, kind = WAYS[entity.type_name]
    document = f"query($id: ID!) {{ found: {way} {{ ...Wanted }} }} {fragment}"
    ids = parts.shop.ids[kind]
    return [(await send(parts, document, {"id": str(each)}))["found"] for each in ids[:: max(1, len(ids) // 7)]]


async def send(parts: Parts, document: str, variables: Any) -> Any:
    answer = await parts.caller.send(f"{parts.whole}/graphql", document, variables, person="admin", language="fr")
    assert "errors" not in answer, answer["errors"]
    return answer["data"]
