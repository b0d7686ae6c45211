"""What holders of permissions do leaves a line, whatever comes of it, and lines cannot be changed unnoticed."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis.asyncio import Redis

from data.audit import SqlAuditTrail
from data.bus import RedisBus
from data.database import Database, asyncpg_url
from domain.auditing import PrivilegedUse, UseKind, UseOutcome
from domain.kernel import Principal, uuid7
from domain.platform import HealthReads
from schema.kernel import is_noted
from server.authorisation_matrix import CALLERS, Declared, roots
from server.health import Health, LiveHealth
from tests.conftest import NOW
from tests.schema.documents import document
from tests.schema.keys import filled, keys_in
from tests.schema.marketplace import Marketplace
from tests.schema.recipes import ways

KINDS = {"Query": UseKind.QUERY, "Mutation": UseKind.MUTATION}
NOTED = [each for each in roots() if each.type in KINDS and is_noted(KINDS[each.type], each.who)]
KEY = b"k" * 32
ACTIONS = """query($filter: UseFilterInput) { privilegedActions(filter: $filter) {
  nodes { operation kind outcome code actorId permission ids } } }"""
LOCK = 'mutation($id: ID!) { lockUser(input: {userId: $id, reason: "a secret reason"}) { ... on Error { code } } }'


@pytest.fixture(scope="module")
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(asyncpg_url(database_url))
    yield opened
    await opened.close()


@pytest.fixture(scope="module", autouse=True)
async def health(services: Any, redis_url: str) -> AsyncIterator[None]:
    async with Redis.from_url(redis_url) as redis:
        services.by_port[HealthReads] = LiveHealth(Health({}), services.database, RedisBus(redis))
        yield
        del services.by_port[HealthReads]


async def lines(connection: asyncpg.Connection, tenant: UUID) -> list[tuple[str, str, UUID]]:
    rows = await connection.fetch(
        "SELECT operation, outcome, actor_id FROM platform.audit_line WHERE tenant_id = $1 ORDER BY sequence", tenant
    )
    return [(row["operation"], row["outcome"], row["actor_id"]) for row in rows]


class TestEveryPrivilegedAction:
    @pytest.mark.parametrize("operation", NOTED, ids=lambda each: each.field)
    async def test_leaves_a_line_done_or_refused(
        self, supergraph: Any, services: Any, tenant_id: UUID, connection: asyncpg.Connection, operation: Declared
    ) -> None:
        market = Marketplace(supergraph, services, tenant_id)
        recipe = ways(operation.field)[0]
        arguments = filled(recipe, dict.fromkeys(keys_in(recipe), str(uuid7())))
        text = document(operation.field, arguments, depth=0)
        buyer = replace(CALLERS["buyer"], user_id=uuid7(), tenant_id=tenant_id)
        root = replace(CALLERS["super_admin"], user_id=uuid7(), tenant_id=tenant_id)
        for caller in (buyer, root):
            await market.ask(text, arguments, caller)
        found = await lines(connection, tenant_id)
        assert found[0] == (operation.field, "refused", buyer.user_id)
        assert [(name, actor) for name, _, actor in found] == [
            (operation.field, buyer.user_id),
            (operation.field, root.user_id),
        ]

    def test_is_every_change_that_needs_a_permission(self) -> None:
        changes = {each.field for each in roots() if each.type == "Mutation" and "." in each.who.name}
        assert changes <= {each.field for each in NOTED}
        assert {"users", "loginLog", "auditLog", "privilegedActions", "erasures"} <= {each.field for each in NOTED}


class TestALine:
    async def test_holds_ids_and_no_words(self, graph: Any, admin: Principal, tenant_id: UUID, connection: Any) -> None:
        gone = str(uuid7())
        await graph(LOCK, {"id": gone}, principal=replace(admin, impersonator_id=None))
        answer = await graph(ACTIONS, {"filter": {"operation": "lockUser"}})
        assert answer.errors == []
        assert answer.data["privilegedActions"]["nodes"] == [
            {
                "operation": "lockUser",
                "kind": "MUTATION",
                "outcome": "REFUSED",
                "code": "NOT_FOUND",
                "actorId": str(admin.user_id),
                "permission": "identity.manage",
                "ids": {"input.user_id": gone},
            }
        ]
        kept = await connection.fetchval(
            "SELECT string_agg(to_jsonb(l)::text, '') FROM platform.audit_line l WHERE tenant_id = $1", tenant_id
        )
        assert "secret reason" not in kept

    async def test_is_found_by_what_became_of_it(self, graph: Any) -> None:
        await graph("{ users { totalCount } }")
        await graph(LOCK, {"id": str(uuid7())})
        done = await graph(ACTIONS, {"filter": {"outcome": "DONE", "kind": "QUERY"}})
        assert [each["operation"] for each in done.data["privilegedActions"]["nodes"]] == ["users"]

    async def test_names_who_acted_as_somebody(
        self, graph: Any, admin: Principal, connection: Any, tenant_id: UUID
    ) -> None:
        helper = uuid7()
        await graph("{ users { totalCount } }", principal=replace(admin, impersonator_id=helper))
        named = await connection.fetchval(
            "SELECT impersonator_id FROM platform.audit_line WHERE tenant_id = $1", tenant_id
        )
        assert named == helper

    async def test_is_not_left_by_what_needs_no_permission(self, graph: Any, connection: Any, tenant_id: UUID) -> None:
        await graph("{ me { id } stores { totalCount } }")
        assert await lines(connection, tenant_id) == []


def used(tenant_id: UUID, operation: str) -> PrivilegedUse:
    return PrivilegedUse(
        tenant_id=tenant_id,
        at=NOW,
        kind=UseKind.MUTATION,
        operation=operation,
        permission="identity.manage",
        outcome=UseOutcome.DONE,
        code=None,
        actor_id=uuid7(),
        impersonator_id=None,
        session_id=None,
        address="192.0.2.7",
        correlation_id="test",
        ids={},
        digest="",
    )


@pytest.fixture(scope="module")
async def apart(new_database: Callable[[str], str]) -> AsyncIterator[Database]:
    """A database of its own, for whoever verifies looks at everything."""
    async with Database(new_database("audit")) as opened:
        yield opened


class TestTheChain:
    @pytest.fixture
    async def trail(self, apart: Database) -> SqlAuditTrail:
        return SqlAuditTrail(apart, KEY)

    @pytest.fixture
    async def owner(self, apart: Database) -> AsyncIterator[asyncpg.Connection]:
        opened = await asyncpg.connect(asyncpg_url(apart.url))
        yield opened
        await opened.close()

    async def sealed(self, trail: SqlAuditTrail) -> UUID:
        """Write two batches of two lines each, of a tenant of their own."""
        tenant_id = uuid7()
        for batch in ("first", "second"):
            for number in (1, 2):
                await trail.note(used(tenant_id, f"{batch}{number}"))
            await trail.seal()
        return tenant_id

    async def faults(self, trail: SqlAuditTrail, tenant_id: UUID) -> list[tuple[int, str]]:
        return [(each.seal, each.fault) for each in await trail.verify() if each.tenant_id == tenant_id]

    async def test_holds_while_nothing_is_touched(self, trail: SqlAuditTrail) -> None:
        tenant_id = await self.sealed(trail)
        assert await self.faults(trail, tenant_id) == []
        assert await trail.seal() == 0

    @pytest.mark.parametrize(
        ("forgery", "faults"),
        [
            (
                "UPDATE platform.audit_line SET operation = 'nothing' WHERE tenant_id = $1 AND operation = 'first2'",
                [(1, "a line or the seal was changed")],
            ),
            (
                "DELETE FROM platform.audit_line WHERE tenant_id = $1 AND operation = 'second1'",
                [(2, "2 lines were sealed, 1 are there")],
            ),
            (
                "UPDATE platform.audit_seal SET digest = '\\x00' WHERE tenant_id = $1 AND number = 1",
                [(1, "a line or the seal was changed"), (2, "a line or the seal was changed")],
            ),
            (
                "DELETE FROM platform.audit_seal WHERE tenant_id = $1 AND number = 1",
                [(1, "the seal is missing"), (1, "the seal is missing")],
            ),
            (
                "DELETE FROM platform.audit_seal WHERE tenant_id = $1 AND number = 2",
                [(2, "the seal is missing")],
            ),
        ],
    )
    async def test_shows_what_was_forged(
        self, trail: SqlAuditTrail, owner: asyncpg.Connection, forgery: str, faults: list[tuple[int, str]]
    ) -> None:
        tenant_id = await self.sealed(trail)
        await owner.execute(forgery, tenant_id)
        assert await self.faults(trail, tenant_id) == faults

    async def test_needs_the_key(self, trail: SqlAuditTrail, apart: Database) -> None:
        tenant_id = await self.sealed(trail)
        assert len(await self.faults(SqlAuditTrail(apart, b"x" * 32), tenant_id)) == 2

    async def test_is_not_the_applications_to_change(self, trail: SqlAuditTrail, apart: Database) -> None:
        tenant_id = await self.sealed(trail)
        async with apart.session(tenant_id) as session:
            connection = await session.connection()
            with pytest.raises(Exception, match="permission denied"):
                await connection.exec_driver_sql("DELETE FROM platform.audit_line")
            await session.rollback()
