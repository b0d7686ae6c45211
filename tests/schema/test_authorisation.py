"""The matrix of roles and operations: what it says on paper, what it means, and what really happens."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis.asyncio import Redis

from data.bus import RedisBus
from data.database import asyncpg_url
from domain.identity.roles import PERMISSIONS, PRESETS
from domain.kernel import NOBODY, Principal, uuid7
from domain.platform import HealthReads
from server.authorisation_matrix import CALLERS, GUEST, PAGE, Declared, page, roots
from server.health import Health, LiveHealth
from tests.schema.documents import document, root_fields
from tests.schema.marketplace import Marketplace
from tests.schema.recipes import filled, keys_in, ways

ROOTS = {each.field: each for each in roots()}
CALLED_AS = (GUEST, "buyer", "seller", "store_manager", "admin", "super_admin")
REFUSALS = {"FORBIDDEN", "UNAUTHENTICATED"}
CODE_ROOT = Path(__file__).parents[2]


class TestThePage:
    def test_says_what_the_code_says(self) -> None:
        written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        assert written == page(), "run `python -m server.authorisation_matrix`"

    def test_covers_every_operation_of_the_public_schema(self) -> None:
        assert set(ROOTS) == set(root_fields("Query", "Mutation", "Subscription"))


class TestThePermissions:
    def test_that_the_code_asks_for_are_all_described(self) -> None:
        asked = {
            name
            for folder in ("schema", "resolvers", "domain", "server")
            for path in (CODE_ROOT / folder).rglob("*.py")
            for name in re.findall(
                r"(?:permission|owner_or|may|Forbidden\(permission=)\(?\"([a-z]+(?:\.[a-z]+)+)\"", path.read_text()
            )
        }
        assert asked <= set(PERMISSIONS)

    def test_that_roles_grant_are_all_described(self) -> None:
        granted = {each for permissions in PRESETS.values() for each in permissions}
        areas = {name.split(".")[0] + ".*" for name in PERMISSIONS} | {"*"}
        assert granted <= set(PERMISSIONS) | areas


def may(role: str, operation: str) -> bool:
    return ROOTS[operation].allows(CALLERS[role])


class TestTheRoles:
    """The access outline of the specification, §4.2, as far as its contexts are there."""

    @pytest.mark.parametrize(
        ("role", "operations"),
        [
            (
                GUEST,
                (
                    "product products category categoryTree searchProducts autocomplete reviews productRating stores "
                    "nearbyStores provinces supportedLanguages checkStock register login refreshToken"
                ),
            ),
            (
                "buyer",
                (
                    "myAddresses addAddress updateProfile changePassword mySessions revokeSession myWishlist addToWishlist "
                    "createReview updateReview deleteReview voteReview myReviews startConversation sendMessage conversations "
                    "messages markMessagesRead unreadCount setTyping requestAttachmentUpload messageReceived presence"
                ),
            ),
            (
                "seller",
                (
                    "createProduct updateProduct publishProduct addVariant createAccessory startBulkImport importJobs "
                    "importProgress cancelImport adjustStock stockLevels updateStockThresholds respondToReview"
                ),
            ),
            ("store_manager", "stockLevels adjustStock lowStockItems respondToReview storeSettings startBulkImport"),
            ("warehouse_operator", "stockLevels adjustStock inventoryTransactions"),
            (
                "moderator",
                "approveProduct rejectProduct blockProduct pendingReviews moderateReview moderateMessage messagesForReview",
            ),
            ("support_agent", "users loginLog"),
            ("finance", "storeSettings storeCompliance"),
            ("super_admin", " ".join(ROOTS)),
        ],
    )
    def test_may_do_what_they_are_for(self, role: str, operations: str) -> None:
        assert [each for each in operations.split() if not may(role, each)] == []

    @pytest.mark.parametrize(
        ("role", "operations"),
        [
            (
                GUEST,
                "createReview startConversation conversations messages addToWishlist myAddresses stockLevels auditLog users createProduct",
            ),
            (
                "buyer",
                "createProduct adjustStock stockLevels moderateReview moderateMessage respondToReview users storeSettings",
            ),
            (
                "seller",
                "createCategory moderateReview moderateMessage messagesForReview approveProduct users assignRole createStore auditLog",
            ),
            ("store_manager", "createStore assignRole users moderateReview createTenant setStoreSetting"),
            ("warehouse_operator", "createProduct startBulkImport users storeSettings"),
            ("moderator", "createProduct adjustStock assignRole users createStore"),
            ("support_agent", "lockUser assignRole adjustStock createProduct moderateReview"),
            ("finance", "adjustStock updateStore assignRole users"),
            ("driver", "stockLevels createProduct users"),
        ],
    )
    def test_may_not_do_what_is_others_to_do(self, role: str, operations: str) -> None:
        assert [each for each in operations.split() if may(role, each)] == []

    def test_of_a_tenant_never_run_the_platform(self) -> None:
        platform = {each.field for each in ROOTS.values() if each.who.name in OF_THE_PLATFORM}
        assert {"createTenant", "suspendTenant", "tenants", "systemHealth", "rebuildSearchIndex"} <= platform
        assert {
            (role, each) for role in PRESETS for each in platform if role != "super_admin" and may(role, each)
        } == set()

    def test_let_an_administrator_do_everything_inside_the_tenant(self) -> None:
        refused = {each.field for each in ROOTS.values() if not may("admin", each.field)}
        assert refused == {each.field for each in ROOTS.values() if each.who.name in OF_THE_PLATFORM}


# What reaches beyond one tenant: tenants themselves, the bus and its consumers, the one search index.
OF_THE_PLATFORM = frozenset({"tenancy.platform", "platform.operate", "search.manage"})


async def events_of(connection: asyncpg.Connection, tenant: UUID) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM platform.event_log WHERE tenant_id = $1", tenant))


@pytest.fixture(scope="module")
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(asyncpg_url(database_url))
    yield opened
    await opened.close()


@pytest.fixture(scope="module", autouse=True)
async def health(services: Any, redis_url: str) -> AsyncIterator[None]:
    """Offer what the application offers beside the services of every process."""
    async with Redis.from_url(redis_url) as redis:
        services.by_port[HealthReads] = LiveHealth(Health({}), services.database, RedisBus(redis))
        yield
        del services.by_port[HealthReads]


class TestACall:
    """Every operation is called by every role, with keys of nothing that exists."""

    @pytest.mark.parametrize("operation", ROOTS.values(), ids=ROOTS)
    async def test_is_refused_or_let_through_as_the_matrix_says(
        self, supergraph: Any, services: Any, tenant_id: UUID, connection: asyncpg.Connection, operation: Declared
    ) -> None:
        market = Marketplace(supergraph, services, tenant_id)
        recipe = ways(operation.field)[0]
        arguments = filled(recipe, dict.fromkeys(keys_in(recipe), str(uuid7())))
        text = document(operation.field, arguments, depth=0)

        async def outcome(role: str) -> str:
            caller = CALLERS[role]
            who = caller if caller is NOBODY else replace(caller, user_id=uuid7(), tenant_id=tenant_id)
            return await call(market, text, arguments, who)

        refused = [role for role in CALLED_AS if not operation.allows(CALLERS[role])]
        before = await events_of(connection, tenant_id)
        outcomes = {role: await outcome(role) for role in refused}
        assert await events_of(connection, tenant_id) == before
        outcomes |= {role: await outcome(role) for role in CALLED_AS if role not in refused}
        assert outcomes == {role: expected(operation, role) for role in CALLED_AS}


def expected(operation: Declared, role: str) -> str:
    if operation.allows(CALLERS[role]):
        return "let through"
    return "UNAUTHENTICATED" if role == GUEST else "FORBIDDEN"


async def call(market: Marketplace, text: str, arguments: dict[str, Any], who: Principal) -> str:
    """Say how a call was met: by a refusal of the caller, or by whatever answer there was."""
    result = await (market.first_event if text.startswith("subscription") else market.ask)(text, arguments, who)
    inner = [each for each in (result.data or {}).values() if isinstance(each, dict)]
    codes = {*(each.original_error.code for each in result.errors or ()), *(each.get("code") for each in inner)}
    return (codes & REFUSALS or {"let through"}).pop()


class TestASeller:
    """Whose permissions hold where they work, and for what is theirs."""

    ADJUST = """mutation($store: ID!, $sku: String!) { adjustStock(
      input: {storeId: $store, sku: $sku, change: 3}, idempotencyKey: $sku) {
      __typename ... on StockLevel { onHand } ... on Error { code } } }"""
    RENAME = """mutation($id: ID!) { updateProduct(input: {id: $id, name: "Mine"}) {
      __typename ... on Product { name } ... on Error { code } } }"""

    @pytest.fixture
    def seller(self, tenant_id: UUID, goods: Any) -> Principal:
        return replace(
            CALLERS["seller"], user_id=uuid7(), tenant_id=tenant_id, store_ids=frozenset({UUID(goods.store)})
        )

    async def test_adjusts_the_stock_of_the_store(self, graph: Any, goods: Any, seller: Principal) -> None:
        answer = await graph(self.ADJUST, {"store": goods.store, "sku": goods.sku}, principal=seller)
        assert answer.data["adjustStock"] == {"__typename": "StockLevel", "onHand": 3}

    async def test_finds_no_other_store(self, graph: Any, goods: Any, seller: Principal) -> None:
        elsewhere = replace(seller, store_ids=frozenset())
        answer = await graph(self.ADJUST, {"store": goods.store, "sku": goods.sku}, principal=elsewhere)
        assert answer.data["adjustStock"] == {"__typename": "NotFound", "code": "NOT_FOUND"}

    async def test_leaves_the_products_of_others_alone(self, graph: Any, goods: Any, seller: Principal) -> None:
        answer = await graph(self.RENAME, {"id": goods.product}, principal=seller)
        refused = (answer.data or {}).get("updateProduct") or {}
        assert (refused.get("code") or answer.codes[0]) in {"FORBIDDEN", "NOT_FOUND"}
        seen = await graph("query($id: ID!) { product(id: $id) { name } }", {"id": goods.product})
        assert seen.data["product"]["name"] == "Mug"
