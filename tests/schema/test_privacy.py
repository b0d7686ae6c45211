"""Copies of what is held about people, and their erasure, asked for through the graph and done by the worker's jobs."""

import io
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.identity.administration import AssignRole, assign_role
from domain.identity.erasing import advance_erasure
from domain.identity.exporting import expire_export, export_key, make_export
from domain.identity.privacy import PersonalData
from domain.kernel import SYSTEM, Principal, Work, uuid7
from domain.objects import ObjectStore
from domain.orders import Orders
from server.export_tickets import PATH
from server.exports import export_routes
from tests.orders import Place, place

# What is made expires by the clock of the server that is asked for it.
NOW = datetime.now(UTC)
PASSWORD = "correct horse"
REGISTER = """mutation($email: String!) {
  register(email: $email, password: "correct horse", firstName: "Ann", phone: "+14165550123") { __typename } }"""
LOGIN = """mutation($email: String!) { login(email: $email, password: "correct horse") {
  ... on Authentication { accessToken user { id } session { id } } ... on Error { code } } }"""
ADDRESS = """mutation { addAddress(input: {addressType: SHIPPING, streetLine1: "7 Secret Street", city: "Ottawa",
  country: "CA", postalCode: "K1A 0A1", province: "ON"}) { __typename } }"""
EXPORT = "mutation { requestDataExport { ... on DataExport { id state link } ... on Error { code } } }"
EXPORTS = "{ myDataExports { id state link sizeBytes } }"
ERASE = """mutation($password: String!) { requestErasure(password: $password) {
  ... on Erasure { id state dueAt } ... on Error { code message } } }"""
CANCEL = "mutation($id: ID!) { cancelErasure(input: {id: $id}) { ... on Erasure { state } ... on Error { code } } }"
MINE = "{ myErasure { id state } }"
ERASE_USER = """mutation($id: ID!) { eraseUser(input: {userId: $id, reason: "asked by letter"}) {
  ... on Erasure { id userId state } ... on Error { code } } }"""


class Office:
    """A tenant whose people exercise their rights."""

    def __init__(self, graph: Any, services: Any, tenant_id: UUID) -> None:
        self.graph, self.services, self.tenant_id = graph, services, tenant_id

    async def ask(self, document: str, who: Principal | None = None, **variables: Any) -> Any:
        answer = await self.graph(document, variables, principal=who)
        assert answer.errors == []
        (found,) = answer.data.values()
        return found

    async def person(self, email: str = "ann@example.com") -> Principal:
        await self.ask(REGISTER, email=email)
        found = await self.ask(LOGIN, email=email)
        return Principal(
            user_id=UUID(found["user"]["id"]), tenant_id=self.tenant_id, session_id=UUID(found["session"]["id"])
        )

    async def job(self, handler: Callable[..., Awaitable[Any]], who: Principal, **payload: str) -> None:
        await self.services.transactions.run(handler, payload, self.work(who))

    async def dying_job(self, handler: Callable[..., Awaitable[Any]], who: Principal, **payload: str) -> None:
        """Do all of a job but the commit."""

        async def steps(session: AsyncSession, _writable: bool) -> None:
            await self.services.transactions.perform(session, handler, payload, self.work(who))
            raise Died

        await self.services.transactions.transaction(steps, self.work(who))

    def work(self, who: Principal) -> Work:
        actor = Principal(user_id=who.user_id, tenant_id=self.tenant_id, permissions=SYSTEM.permissions)
        return Work(tenant_id=self.tenant_id, actor=actor, now=NOW, correlation_id="test")

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.services.database.session(self.tenant_id) as session:
            return list(await session.execute(text(statement), parameters))

    async def erase(self, who: Principal, erasure_id: str) -> None:
        for _ in range(30):
            await self.job(advance_erasure, who, erasure_id=erasure_id)

    async def traces(self, *words: str) -> list[str]:
        """Give the tables in which a word is still to be read."""
        tables = await self.rows(
            "SELECT table_schema || '.\"' || table_name || '\"' AS name FROM information_schema.columns "
            "WHERE column_name = 'tenant_id' AND table_schema <> 'jobs'"
        )
        found = []
        for each in tables:
            statement = f"SELECT 1 AS one FROM {each.name} t WHERE to_jsonb(t)::text LIKE ANY(:words) LIMIT 1"
            if await self.rows(statement, words=[f"%{word}%" for word in words]):
                found.append(each.name)
        return found


@pytest.fixture
def office(graph: Any, services: Any, tenant_id: UUID) -> Office:
    return Office(graph, services, tenant_id)


class TestAnExport:
    async def test_gives_what_is_held_about_the_person_and_no_secrets(self, office: Office) -> None:
        ann, bob = await office.person(), await office.person("bob@example.com")
        await office.ask(ADDRESS, ann)
        asked = await office.ask(EXPORT, ann)
        assert (asked["state"], asked["link"]) == ("REQUESTED", None)
        await office.job(make_export, ann, export_id=asked["id"])
        [mine] = await office.ask(EXPORTS, ann)
        assert (mine["state"], mine["link"].startswith(f"{PATH}?ticket=")) == ("READY", True)
        parts = await unpacked(office, asked["id"])
        assert parts["index.json"]["user_id"] == str(ann.user_id)
        assert parts["identity.json"]["user"][0]["email"] == "ann@example.com"
        assert parts["identity.json"]["address"][0]["street_line1"] == "7 Secret Street"
        assert {"user.registered", "identity.address_added"} & {
            each["name"] for each in parts["platform.json"]["activity"]
        }
        assert "password_hash" not in orjson.dumps(parts).decode()
        assert "bob@example.com" not in orjson.dumps(parts).decode()
        assert await office.ask(EXPORTS, bob) == []

    async def test_runs_out(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(EXPORT, ann)
        await office.job(make_export, ann, export_id=asked["id"])
        await office.job(expire_export, ann, export_id=asked["id"])
        [mine] = await office.ask(EXPORTS, ann)
        assert (mine["state"], mine["link"]) == ("EXPIRED", None)

    async def test_is_fetched_by_the_person_alone(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(EXPORT, ann)
        await office.job(make_export, ann, export_id=asked["id"])
        [mine] = await office.ask(EXPORTS, ann)
        [route] = export_routes(_Sessions(office.services))
        good = await route.endpoint(_Request(mine["link"].partition("ticket=")[2]))
        bad = await route.endpoint(_Request("forged"))
        assert (good.status_code, good.headers["cache-control"], bad.status_code) == (200, "private, no-store", 404)

    async def test_is_made_for_a_user_by_those_in_charge_who_never_see_it(
        self, office: Office, admin: Principal
    ) -> None:
        ann = await office.person()
        document = """mutation($id: ID!) { exportUserData(input: {userId: $id, reason: "asked by letter"}) {
          ... on DataExport { id link } ... on Error { code } } }"""
        made = await office.ask(document, admin, id=str(ann.user_id))
        await office.job(make_export, admin, export_id=made["id"])
        assert made["link"] is None
        assert await office.ask(EXPORTS, admin) == []
        assert [each["id"] for each in await office.ask(EXPORTS, ann)] == [made["id"]]


class _Sessions:
    def __init__(self, services: Any) -> None:
        self.services = services


class _Request:
    def __init__(self, ticket: str) -> None:
        self.query_params = {"ticket": ticket}


async def unpacked(office: Office, export_id: str) -> dict[str, Any]:
    store = office.services.by_port[ObjectStore]
    pieces = [piece async for piece in await store.read(export_key(office.tenant_id, UUID(export_id)))]
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        return {name: orjson.loads(archive.read(name)) for name in archive.namelist()}


class TestAnErasure:
    async def test_needs_the_password(self, office: Office) -> None:
        ann = await office.person()
        assert (await office.ask(ERASE, ann, password="a wrong password"))["code"] == "INVALID_CREDENTIALS"
        assert await office.ask(MINE, ann) is None

    async def test_can_be_taken_back_until_it_begins(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        assert (await office.ask(CANCEL, ann, id=asked["id"]))["state"] == "CANCELLED"
        await office.erase(ann, asked["id"])
        assert (await office.ask(MINE, ann))["state"] == "CANCELLED"
        assert len(await office.rows('SELECT 1 AS one FROM identity."user" WHERE email = :e', e="ann@example.com")) == 1

    async def test_is_nobody_elses_to_take_back(self, office: Office) -> None:
        ann, bob = await office.person(), await office.person("bob@example.com")
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        assert (await office.ask(CANCEL, bob, id=asked["id"]))["code"] == "NOT_FOUND"
        assert (await office.ask(MINE, ann))["state"] == "SCHEDULED"

    async def test_is_asked_for_once(self, office: Office) -> None:
        ann = await office.person()
        await office.ask(ERASE, ann, password=PASSWORD)
        assert (await office.ask(ERASE, ann, password=PASSWORD))["code"] == "ALREADY_EXISTS"

    async def test_waits_for_open_orders(self, office: Office) -> None:
        ann = await office.person()
        await office.services.transactions.run(place, Place(steps=1), office.work(ann))
        refused = await office.ask(ERASE, ann, password=PASSWORD)
        assert refused == {
            "code": "ERASURE_HINDERED",
            "message": "Erasure is not possible yet: an order is on its way.",
        }
        assert await office.ask(MINE, ann) is None

    async def test_is_put_off_for_an_order_that_came_meanwhile(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        await office.services.transactions.run(place, Place(steps=1), office.work(ann))
        await office.job(advance_erasure, ann, erasure_id=asked["id"])
        [row] = await office.rows("SELECT state, due_at FROM identity.erasure WHERE id = :id", id=asked["id"])
        assert (row.state, row.due_at) == ("scheduled", NOW + timedelta(days=1))

    async def test_leaves_no_trace_in_clear_in_any_table(self, office: Office) -> None:
        ann = await office.person()
        await office.ask(ADDRESS, ann)
        order = await office.services.transactions.run(place, Place(steps=6), office.work(ann))
        await office.services.transactions.run(_complete, order.id, office.work(ann))
        assert await office.traces("ann@example.com", "Secret Street", "4165550123")
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        await office.erase(ann, asked["id"])
        assert await office.traces("ann@example.com", "Secret Street", "4165550123", "1 King St") == []
        [row] = await office.rows('SELECT total_minor, address FROM orders."order" WHERE id = :id', id=order.id)
        assert (row.total_minor, row.address["country"]) == (3001, "CA")

    async def test_ends_with_a_certificate_and_without_keys(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        await office.erase(ann, asked["id"])
        [certificate] = await office.rows("SELECT data FROM platform.event_log WHERE name = 'identity.person_erased'")
        assert certificate.data["user_id"] == str(ann.user_id)
        assert certificate.data["rows"]["identity"] >= 3
        assert await office.rows("SELECT id FROM identity.person_key WHERE person_id = :p", p=ann.user_id) == []
        assert (await office.ask(LOGIN, email="ann@example.com"))["code"] == "INVALID_CREDENTIALS"

    async def test_ends_all_sessions_when_it_begins(self, office: Office) -> None:
        ann = await office.person()
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        await office.job(advance_erasure, ann, erasure_id=asked["id"])
        [row] = await office.rows("SELECT revoked_reason FROM identity.session WHERE user_id = :u", u=ann.user_id)
        assert row.revoked_reason == "account_closed"

    async def test_goes_on_where_a_crash_left_it(self, office: Office) -> None:
        ann = await office.person()
        await office.ask(ADDRESS, ann)
        asked = await office.ask(ERASE, ann, password=PASSWORD)
        steps = len(office.services.transactions._inject(PersonalData, None, None).contexts()) + 2
        for _ in range(steps):
            with pytest.raises(Died):
                await office.dying_job(advance_erasure, ann, erasure_id=asked["id"])
            await office.job(advance_erasure, ann, erasure_id=asked["id"])
        [row] = await office.rows("SELECT state, done FROM identity.erasure WHERE id = :id", id=asked["id"])
        assert (row.state, len(row.done)) == ("completed", steps - 2)
        said = await office.rows("SELECT data FROM platform.event_log WHERE name = 'identity.data_erased'")
        assert len(said) == steps - 2
        assert await office.traces("ann@example.com", "Secret Street") == []

    async def test_by_those_in_charge_stops_at_those_who_may_do_more(self, office: Office) -> None:
        boss, ann = await office.person("boss@example.com"), await office.person()
        work = office.work(boss)
        grown = AssignRole(user_id=boss.user_id or uuid7(), role="admin")
        await office.services.transactions.run(assign_role, grown, work)
        clerk = Principal(user_id=uuid7(), tenant_id=office.tenant_id, permissions=frozenset({"identity.privacy"}))
        refused = await office.graph(ERASE_USER, {"id": str(boss.user_id)}, principal=clerk)
        assert refused.data["eraseUser"] == {"code": "FORBIDDEN"}
        done = await office.ask(ERASE_USER, clerk, id=str(ann.user_id))
        assert (done["userId"], done["state"]) == (str(ann.user_id), "SCHEDULED")


class Died(Exception):
    """The worker is gone before it could commit."""


async def _complete(command: UUID, work: Work, orders: Orders) -> None:
    order = await orders.get(command)
    assert order is not None
    order.complete(work)
