"""A tenant with one of everything, made through the graph, and what its things are called."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from graphql import ExecutionResult

from data.dead_letters import Failure, Retries
from domain.identity.roles import PERMISSIONS
from domain.kernel import NOBODY, Principal, uuid7
from domain.notifications import UnsubscribeTokens
from domain.tenancy import PLATFORM_PERMISSION
from resolvers.kernel import Context
from server.services import Services
from tests.schema.buying_marketplace import bought_in
from tests.schema.delivery_marketplace import delivered_in
from tests.schema.documents import document
from tests.schema.factor_marketplace import secured_in
from tests.schema.recipes import SPARE_CATEGORIES, SPARE_SKUS, SPARE_SLUGS
from tests.schema.sign_on_marketplace import signed_in_by
from tests.schema.talking import talked_in

PASSWORD = "correct horse battery"
EVERYTHING = frozenset(PERMISSIONS) - {PLATFORM_PERMISSION}
"""What the administrator of a tenant may do at most: everything but run the platform."""

QUIET_SECONDS = 0.5
SILENCE = ExecutionResult(data={}, errors=None)


@dataclass
class Marketplace:
    """One tenant: `keys` are what its things are called, `admin` may do everything in it."""

    graph: Any
    services: Services
    tenant_id: UUID
    keys: dict[str, str] = field(default_factory=dict)
    admin: Principal = NOBODY

    async def ask(
        self, text: str, variables: dict[str, Any] | None = None, principal: Principal | None = None, graph: Any = None
    ) -> Any:
        """Execute an operation as somebody, by default as the administrator."""
        context = self.context(self.admin if principal is None else principal)
        try:
            return await (graph or self.graph).execute(text, variable_values=variables, context_value=context)
        finally:
            await context.reads.close()

    async def first_event(
        self, text: str, variables: dict[str, Any] | None = None, principal: Principal | None = None
    ) -> Any:
        """Subscribe, and give the first event, the error in its place, or `SILENCE` when there is neither for a while."""
        context = self.context(self.admin if principal is None else principal)
        events = await self.graph.subscribe(text, variable_values=variables, context_value=context)
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                return await anext(aiter(events))
        except TimeoutError:
            return SILENCE
        finally:
            await events.aclose()
            await context.reads.close()

    def context(self, principal: Principal) -> Context:
        return Context(
            reads=self.services.database.reads(self.tenant_id),
            transactions=self.services.transactions,
            services=self.services.by_port,
            principal=principal,
            tenant_id=self.tenant_id,
            address="192.0.2.7",
            correlation_id="marketplace",
        )

    async def do(self, name: str, principal: Principal | None = None, /, **arguments: Any) -> dict[str, Any]:
        """Call a root field and give what it answered; a refusal fails the test, but one of details that are others'."""
        result = await self.ask(document(name, arguments, depth=2), arguments, principal)
        assert {getattr(each.original_error, "code", "") for each in result.errors or ()} <= {"FORBIDDEN"}, (
            result.errors
        )
        answer: dict[str, Any] = result.data[name]
        assert "code" not in answer or answer["__typename"] in {"Store", "Tenant"}, (name, answer)
        kind = answer["__typename"]
        return {key.removeprefix(f"{kind}_"): value for key, value in answer.items()}

    async def make(self, name: str, principal: Principal | None = None, /, **fields: Any) -> dict[str, Any]:
        """Call a mutation that takes an input."""
        return await self.do(name, principal, input=fields)


async def furnished(graph: Any, services: Services, tenant_id: UUID, code: str) -> Marketplace:
    """Make a marketplace with one of everything in a tenant that is still empty."""
    market = Marketplace(graph, services, tenant_id)
    market.keys |= {"tenant": str(tenant_id), "tenant_code": code}
    mark = tenant_id.hex[-8:]
    everything = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=EVERYTHING)
    await _people(market, mark, everything)
    await secured_in(market)
    await _stores(market, mark)
    await _goods(market, mark)
    await _spares(market, mark)
    await _opinions(market, mark)
    await _texts(market)
    await _errands(market)
    await bought_in(market, mark)
    await _letters(market, mark)
    await talked_in(market)
    await delivered_in(market)
    await signed_in_by(market, mark)
    return market


async def _member(market: Marketplace, email: str) -> tuple[Principal, dict[str, Any]]:
    await market.do("register", NOBODY, email=email, password=PASSWORD)
    entry = await market.do("login", NOBODY, email=email, password=PASSWORD)
    ids = {name: UUID(entry[name]["id"]) for name in ("user", "session")}
    return Principal(user_id=ids["user"], tenant_id=market.tenant_id, session_id=ids["session"]), entry


async def _people(market: Marketplace, mark: str, everything: Principal) -> None:
    email = f"ann.{mark}@example.com"
    person, entry = await _member(market, email)
    market.admin = replace(person, roles=frozenset({"admin"}), permissions=everything.permissions)
    address = await market.make(
        "addAddress",
        streetLine1="2 Side Street",
        city="Ottawa",
        province="ON",
        postalCode="K1A 0A1",
        addressType="BILLING",
    )
    role = await market.make("defineRole", name=f"packer_{mark}", permissions=["inventory.read"])
    issued = await market.do("createApiKey", name="Ledger", scopes=["inventory.read"])
    market.keys |= {
        "api_key": issued["apiKey"]["id"],
        "user": str(person.user_id),
        "email": email,
        "session": str(person.session_id),
        "refresh_token": entry["refreshToken"],
        "address": address["id"],
        "role": role["name"],
    }


async def _stores(market: Marketplace, mark: str) -> None:
    code = f"store-{mark}"
    store = await market.make(
        "createStore",
        code=code,
        name="Corner",
        provinceCode="CA-ON",
        location={"latitude": 45.4, "longitude": -75.7},
        deliveryEnabled=True,
        pickupEnabled=True,
    )
    await market.make("activateStore", id=store["id"])
    await market.make("setStoreSetting", storeId=store["id"], key="till", value="1")
    await market.make("recordStoreCompliance", storeId=store["id"], requirement="exits", status="COMPLIANT")
    market.keys |= {"store": store["id"], "store_code": code}


async def _goods(market: Marketplace, mark: str) -> None:
    keys = market.keys
    root = await market.make("createCategory", name="Light", slug=f"light-{mark}")
    leaf = await market.make("createCategory", name="Lamps", slug=f"lamps-{mark}", parentId=root["id"])
    shades = await market.make("createCategory", name="Shades", slug=f"shades-{mark}", kind="ACCESSORY")
    price = {"amountMinor": 1250, "currency": "CAD"}
    sku = f"LAMP-{mark}"
    lamp = await market.make(
        "createProduct",
        name="Lamp",
        sku=sku,
        slug=f"lamp-{mark}",
        price=price,
        categoryId=leaf["id"],
        storeId=keys["store"],
        variants=[{"name": "Large", "sku": f"{sku}-L"}],
    )
    pictured = await market.make("addProductImage", productId=lamp["id"], url="https://img.example/1.jpg")
    await market.make("publishProduct", id=lamp["id"])
    herb = await market.make(
        "createProduct", name="Herb", sku=f"HERB-{mark}", price=price, productType="REGULATED", regulated={"pieces": 1}
    )
    await market.make("publishProduct", id=herb["id"])
    shade = await market.make(
        "createAccessory", name="Shade", sku=f"SHADE-{mark}", categoryId=shades["id"], retailPrice=price
    )
    await market.make("publishProduct", id=shade["id"])
    shelf = {"storeId": keys["store"], "sku": sku, "change": 5}
    stocked = await market.do("adjustStock", None, input=shelf, idempotencyKey=str(uuid7()))
    keys |= {
        "root_category": root["id"],
        "category": leaf["id"],
        "category_slug": leaf["slug"],
        "accessory_category": shades["id"],
        "product": lamp["id"],
        "product_slug": lamp["slug"],
        "sku": sku,
        "variant": lamp["variants"][0]["id"],
        "variant_sku": f"{sku}-L",
        "image": pictured["images"][0]["id"],
        "regulated_sku": herb["sku"],
        "accessory": shade["id"],
        "accessory_sku": shade["sku"],
        "stock_level": stocked["id"],
    }


async def _spares(market: Marketplace, mark: str) -> None:
    for number, name in enumerate(SPARE_SKUS):
        sku = f"SPARE-{mark}-{number}"
        await market.make("createProduct", name="Spare", sku=sku, price={"amountMinor": 1, "currency": "CAD"})
        market.keys[name] = sku
    for name in SPARE_SLUGS:
        slug = f"{name.replace('_', '-')}-{mark}"
        await market.make(
            "createProduct", name="Spare", sku=slug, slug=slug, price={"amountMinor": 1, "currency": "CAD"}
        )
        market.keys[name] = slug
    for name in SPARE_CATEGORIES:
        slug = f"{name.replace('_', '-')}-{mark}"
        await market.make("createCategory", name="Spare", slug=slug)
        market.keys[name] = slug
    spare = await market.make("createStore", code=f"spare-{mark}", name="Spare")
    market.keys |= {"spare_store_code": f"spare-{mark}", "other_store": spare["id"]}


async def _opinions(market: Marketplace, mark: str) -> None:
    reader, _ = await _member(market, f"bob.{mark}@example.com")
    review = await market.make(
        "createReview", reader, productId=market.keys["product"], rating=5, content="It gives light."
    )
    await market.make("voteReview", id=review["id"], vote="HELPFUL")
    await market.make("addToWishlist", reader, productId=market.keys["product"])
    own = await market.make("createReview", productId=market.keys["accessory"], rating=3)
    erasure = await market.make("eraseUser", userId=str(reader.user_id), reason="asked by letter")
    market.keys["erasure"] = erasure["id"]
    market.keys |= {"review": review["id"], "own_review": own["id"], "reader": str(reader.user_id)}


async def _texts(market: Marketplace) -> None:
    await market.make("setSupportedLanguage", code="en", isDefault=True)
    await market.make("setSupportedLanguage", code="fr")
    text = {"entityType": "PRODUCT", "entityId": market.keys["product"], "field": "name", "language": "fr"}
    await market.make("createTranslation", **text, text="Lampe")
    await market.make("overrideTranslation", **text, text="Luminaire", storeId=market.keys["store"])
    batch = await market.make("batchTranslate", entityType="PRODUCT", language="fr", entityIds=[market.keys["product"]])
    await market.make("addSkipWord", word="Agora")
    market.keys["batch"] = batch["id"]


async def _errands(market: Marketplace) -> None:
    row = {"sku": "LATER", "name": "Later"}
    job = await market.make("startBulkImport", storeId=market.keys["store"], rows=[row])
    found = await market.do("searchProducts", query="lamp")
    letter = {
        "event_id": str(uuid7()),
        "tenant_id": str(market.tenant_id),
        "aggregate_id": str(uuid7()),
        "sequence": 1,
        "name": "product.created",
    }
    now = datetime.now(UTC)
    failure = Failure(handler="example.on_created", envelope=letter, attempts=12, due_at=now, error="Poison()")
    async with market.services.database.session(None) as session:
        await Retries(session).bury(failure, now)
    letters = await market.do("deadLetters")
    market.keys |= {
        "job": job["id"],
        "file": job["source"],
        "search": found["searchId"],
        "letter": letters["nodes"][0]["id"],
    }


async def _letters(market: Marketplace, mark: str) -> None:
    code = f"greeting_{mark}"
    await market.make("upsertTemplate", code=code, channel="EMAIL", locale="en", subject="Hi", text="Hello {{ name }}")
    sent = await market.make("sendNotification", userId=market.keys["user"], template="welcome")
    endpoint = f"https://fcm.googleapis.com/{mark}"
    browser = await market.make("registerPushSubscription", endpoint=endpoint, p256dh="B" * 87, auth="y" * 22)
    segment = await market.make("createSegment", name=f"Readers {mark}", criteria={"locales": ["en"]})
    text = {"locale": "en", "subject": "Sale", "text": "Hello {{ name }}"}
    made = await market.make("createBroadcast", name="Sale", channel="EMAIL", texts=[text], segmentId=segment["id"])
    tokens = market.services.by_port[UnsubscribeTokens]
    market.keys |= {
        "template_code": code,
        "notification": sent["id"],
        "browser": browser["id"],
        "segment": segment["id"],
        "broadcast": made["id"],
        "unsubscribe_token": tokens.issue(market.tenant_id, UUID(sent["id"])),
    }
