"""API keys at the door of the running application."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from strawberry.types.field import StrawberryField
from websockets.exceptions import ConnectionClosed

from data.database import asyncpg_url
from domain.identity.administration import AssignRole, LockUser, RevokeRole, assign_role, lock_user, revoke_role
from domain.identity.api_keys import make_key
from domain.identity.sessions import hash_token
from domain.kernel import SYSTEM, Principal, SessionRequired, Unauthenticated, Work, uuid7
from schema.graph import subgraph
from schema.kernel import visibility_of
from server.api_keys import KeyAuthenticator
from server.services import Services
from tests.schema.marketplace import PASSWORD
from tests.server.application import LOGIN, Application, Reply, eventually, next_message

CREATE = """mutation($name: String! = "Ledger", $scopes: [String!]!, $stores: [ID!], $rate: Int) {
  createApiKey(name: $name, scopes: $scopes, storeIds: $stores, rateLimitPerMinute: $rate) {
    __typename ... on IssuedApiKey { key apiKey { id scopes beginsWith isWorking } } ... on Error { code message } } }"""
REVOKE = "mutation($id: ID!) { revokeApiKey(id: $id) { __typename ... on ApiKey { isWorking } } }"
ROTATE = """mutation($id: ID!, $grace: Int!) { rotateApiKey(id: $id, graceSeconds: $grace) {
  __typename ... on IssuedApiKey { key } ... on Error { code } } }"""
MINE = "{ myApiKeys { id name isWorking lastUsedAt } }"
RENAME = """mutation($id: ID!, $name: String!) { updateProduct(input: {id: $id, name: $name}) {
  __typename ... on Product { name } ... on Error { code } } }"""
CREATE_PRODUCT = """mutation($sku: String!) {
  createProduct(input: {name: "Rope", sku: $sku, price: {amountMinor: 900, currency: "CAD"}}) {
    __typename ... on Product { id } ... on Error { code } } }"""
ME = "{ me { id email } }"
STOCK = "query($store: ID!) { stockLevels(storeId: $store) { nodes { sku } } }"
ADDRESSES = "{ myAddresses { city } }"


@dataclass
class Trader:
    """A seller with a session and an account of their own."""

    application: Application
    workshop: Services
    shop: Any
    user_id: UUID
    token: str

    async def key(self, *scopes: str, **more: Any) -> SimpleNamespace:
        reply = await self.application.ask(CREATE, {"scopes": scopes, **more}, token=self.token)
        issued = reply.data["createApiKey"]
        assert issued["__typename"] == "IssuedApiKey", issued
        return SimpleNamespace(clear=issued["key"], id=issued["apiKey"]["id"])

    async def ask(self, key: Any, document: str, **variables: Any) -> Reply:
        return await self.application.ask(document, variables, token=key.clear)

    async def run(self, handler: Any, command: Any) -> None:
        work = Work(tenant_id=self.shop.market.tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id="test")
        await self.workshop.transactions.run(handler, command, work)


@pytest.fixture
async def make_trader(application: Application, workshop: Services) -> Any:
    async def make(shop: Any, *roles: str) -> Trader:
        email = f"trader-{uuid7().hex[-10:]}@example.com"
        register = """mutation($email: String!, $password: String!) {
          register(email: $email, password: $password) { __typename } }"""
        await application.ask(register, {"email": email, "password": PASSWORD}, tenant=shop.code)
        entry = (await application.ask(LOGIN, {"email": email, "password": PASSWORD}, tenant=shop.code)).data["login"]
        made = Trader(application, workshop, shop, UUID(entry["user"]["id"]), "")
        for each in roles:
            await made.run(assign_role, AssignRole(user_id=made.user_id, role=each))
        made.token = await application.log_in(email, PASSWORD, shop.code)
        return made

    return make


@pytest.fixture
async def trader(make_trader: Any, shop: Any) -> Trader:
    made: Trader = await make_trader(shop, "seller")
    return made


async def codes(reply: Reply) -> set[str]:
    inner = [each for each in (reply.body.get("data") or {}).values() if isinstance(each, dict)]
    return {*reply.codes, *(each["code"] for each in inner if "code" in each)}


class TestAKey:
    async def test_acts_as_its_user_within_its_scopes(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        made = await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")
        assert made.data["createProduct"]["__typename"] == "Product"
        publish = "mutation($id: ID!) { publishProduct(input: {id: $id}) { __typename } }"
        refused = await trader.ask(key, publish, id=made.data["createProduct"]["id"])
        assert refused.codes == ["FORBIDDEN"]

    async def test_comes_in_either_header_and_not_beside_a_token(self, trader: Trader) -> None:
        key = await trader.key("identity.self")
        own = {"email": (await trader.application.ask(ME, token=trader.token)).data["me"]["email"]}
        assert own["email"] is not None
        for headers in ({"authorization": f"Bearer {key.clear}"}, {"x_api_key": key.clear}):
            reply = await trader.application.ask(ME, **headers)
            assert reply.data["me"]["email"] == own["email"]
        both = await trader.application.ask(ME, token=trader.token, x_api_key=key.clear)
        assert (both.status, both.codes) == (401, ["UNAUTHENTICATED"])
        token_as_key = await trader.application.ask(ME, x_api_key=trader.token)
        assert (token_as_key.status, token_as_key.codes) == (401, ["UNAUTHENTICATED"])

    async def test_sees_and_changes_nothing_personal_unless_it_was_meant_to(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        assert (await trader.ask(key, ADDRESSES)).codes == ["FORBIDDEN"]
        reply = await trader.ask(key, ME)
        assert (reply.codes, reply.body["data"]["me"]["email"]) == (["FORBIDDEN"], None)
        assert (await trader.ask(key, "mutation { createCart { __typename } }")).codes == ["FORBIDDEN"]
        meant = await trader.key("identity.self")
        assert (await trader.ask(meant, ADDRESSES)).data == {"myAddresses": []}

    async def test_is_shown_once_and_listed_without_its_secret(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        listed = await trader.application.ask(MINE, token=trader.token)
        assert [(each["id"], each["isWorking"]) for each in listed.data["myApiKeys"]] == [(key.id, True)]
        everything = await trader.application.ask(
            "{ myApiKeys { id userId name beginsWith scopes storeIds rateLimitPerMinute createdAt } }",
            token=trader.token,
        )
        assert key.clear not in json.dumps(everything.body)
        assert key.clear.rpartition("_")[2] not in json.dumps(everything.body)

    async def test_is_noted_as_used(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        await trader.ask(key, "{ __typename }")

        async def noted() -> bool:
            listed = await trader.application.ask(MINE, token=trader.token)
            return listed.data["myApiKeys"][0]["lastUsedAt"] is not None

        assert await eventually(noted)

    async def test_works_in_its_own_tenant_only(self, trader: Trader, other_shop: Any) -> None:
        key = await trader.key("catalog.write")
        reply = await trader.application.ask(ME, token=key.clear, tenant=other_shop.code)
        assert (reply.status, reply.codes) == (401, ["UNAUTHENTICATED"])

    async def test_is_written_to_the_audit_trail(self, trader: Trader, shop: Any) -> None:
        key = await trader.key("catalog.write")
        made = await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")
        document = """query($id: ID!) { auditLog(filter: {apiKeyId: $id}) { nodes {
          aggregateId userId apiKeyId name } } }"""
        trail = await trader.application.ask(document, {"id": key.id}, token=shop.token)
        entries = trail.data["auditLog"]["nodes"]
        assert {each["aggregateId"] for each in entries} == {made.data["createProduct"]["id"]}
        assert {(each["apiKeyId"], each["userId"]) for each in entries} == {(key.id, str(trader.user_id))}


class TestScopes:
    async def test_are_never_more_than_the_maker_has(self, trader: Trader) -> None:
        reply = await trader.application.ask(CREATE, {"scopes": ["catalog.moderate"]}, token=trader.token)
        assert await codes(reply) == {"FORBIDDEN"}
        assert (await trader.application.ask(MINE, token=trader.token)).data == {"myApiKeys": []}

    async def test_shrink_with_the_roles_of_the_user(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        assert (await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")).codes == []
        await trader.run(revoke_role, RevokeRole(user_id=trader.user_id, role="seller"))

        async def shrunk() -> bool:
            return (await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")).codes == ["FORBIDDEN"]

        assert await eventually(shrunk)

    async def test_end_at_the_stores_of_the_key(self, make_trader: Any, shop: Any) -> None:
        boss = await make_trader(shop, "admin")
        key = await boss.key("inventory.read", stores=[shop.keys["other_store"]])
        assert (await boss.ask(key, STOCK, store=shop.keys["other_store"])).data == {"stockLevels": {"nodes": []}}
        elsewhere = await boss.ask(key, STOCK, store=shop.keys["store"])
        never = await boss.ask(key, STOCK, store=str(uuid7()))
        assert shop.keys["sku"] not in json.dumps(elsewhere.body)
        assert await codes(elsewhere) == await codes(never)


class TestWhatGovernsAccounts:
    PERSONAL = frozenset({"updatePreferences", "addAddress", "updateAddress", "setDefaultAddress", "deleteAddress"})

    def test_is_closed_to_keys_with_all_scopes(self) -> None:
        key = Principal(user_id=uuid7(), tenant_id=uuid7(), permissions=frozenset({"*"}), api_key_id=uuid7())
        schema, let_through = subgraph("identity"), set()
        mutation = schema.schema_converter.type_map["Mutation"].definition
        for field in mutation.fields:  # type: ignore[union-attr]
            who = visibility_of(field) if isinstance(field, StrawberryField) else None
            assert who is not None
            with suppress(SessionRequired):
                who(SimpleNamespace(principal=key))  # type: ignore[arg-type]
                let_through.add(schema.config.name_converter.get_graphql_name(field))
        assert let_through == self.PERSONAL

    async def test_is_refused_and_nothing_changes(self, trader: Trader) -> None:
        key = await trader.key("identity.self", "catalog.write")
        before = await trader.application.ask(MINE, token=trader.token)
        for document, variables in (
            (CREATE, {"scopes": ["catalog.write"]}),
            (REVOKE, {"id": key.id}),
            (ROTATE, {"id": key.id, "grace": 0}),
            (LOGIN, {"email": "ann@example.com", "password": PASSWORD}),
        ):
            assert (await trader.ask(key, document, **variables)).codes == ["SESSION_REQUIRED"]
        assert (await trader.ask(key, MINE)).codes == ["SESSION_REQUIRED"]
        after = await trader.application.ask("{ myApiKeys { id name isWorking } }", token=trader.token)
        assert after.data["myApiKeys"] == [
            {name: each[name] for name in ("id", "name", "isWorking")} for each in before.data["myApiKeys"]
        ]


class TestRevoking:
    async def test_ends_a_key_at_once_here(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        assert (await trader.ask(key, "{ __typename }")).status == 200
        revoked = await trader.application.ask(REVOKE, {"id": key.id}, token=trader.token)
        assert revoked.data["revokeApiKey"] == {"__typename": "ApiKey", "isWorking": False}
        assert (await trader.ask(key, "{ __typename }")).status == 401

    async def test_while_it_is_used_leaves_nothing_done_after(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        begun = asyncio.Event()
        done: list[int] = []

        async def use() -> None:
            while not done or done[-1] == 200:
                reply = await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")
                done.append(reply.status)
                begun.set()

        users = [asyncio.create_task(use()) for _ in range(4)]
        await begun.wait()
        await trader.application.ask(REVOKE, {"id": key.id}, token=trader.token)
        later = await trader.ask(key, CREATE_PRODUCT, sku=f"SKU-{uuid7().hex[-12:]}")
        assert (later.status, later.codes) == (401, ["UNAUTHENTICATED"])
        await asyncio.gather(*users)
        assert set(done) == {200, 401}

    async def test_a_lock_of_its_user_ends_it_too(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        assert (await trader.ask(key, "{ __typename }")).status == 200
        await trader.run(lock_user, LockUser(user_id=trader.user_id))

        async def refused() -> bool:
            return (await trader.ask(key, "{ __typename }")).status == 401

        assert await eventually(refused)

    async def test_rotation_with_no_grace_ends_the_former_secret(self, trader: Trader) -> None:
        key = await trader.key("catalog.write")
        rotated = await trader.application.ask(ROTATE, {"id": key.id, "grace": 0}, token=trader.token)
        fresh = SimpleNamespace(clear=rotated.data["rotateApiKey"]["key"])
        assert (await trader.ask(key, "{ __typename }")).status == 401
        assert (await trader.ask(fresh, "{ __typename }")).status == 200
        graced = await trader.application.ask(ROTATE, {"id": key.id, "grace": 600}, token=trader.token)
        assert graced.data["rotateApiKey"]["__typename"] == "IssuedApiKey"
        assert (await trader.ask(fresh, "{ __typename }")).status == 200

    async def test_is_not_for_the_keys_of_others(self, trader: Trader, make_trader: Any, other_shop: Any) -> None:
        key, stranger = await trader.key("catalog.write"), await make_trader(other_shop, "admin")
        document = "mutation($id: ID!) { revokeApiKey(id: $id) { __typename ... on Error { code } } }"
        for token in (stranger.token, (await make_trader(trader.shop, "seller")).token):
            answers = [
                await trader.application.ask(document, {"id": each}, token=token) for each in (key.id, str(uuid7()))
            ]
            assert [await codes(each) for each in answers] == [{"NOT_FOUND"}, {"NOT_FOUND"}]
        assert (await trader.ask(key, "{ __typename }")).status == 200


class TestOverAWebSocket:
    @pytest.mark.parametrize("form", ["authorization", "apiKey"])
    async def test_a_key_opens_the_socket(self, trader: Trader, form: str) -> None:
        key = await trader.key("identity.self")
        given = f"Bearer {key.clear}" if form == "authorization" else key.clear
        async with trader.application.socket(**{form: given}) as opened:
            assert (await next_message(opened))["type"] == "connection_ack"
            await opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": ME}}))
            told = await next_message(opened)
            assert told["payload"]["data"]["me"]["id"] == str(trader.user_id)

    async def test_a_wrong_one_does_not(self, trader: Trader) -> None:
        async with trader.application.socket(apiKey=make_key(uuid7())) as opened:
            with pytest.raises(ConnectionClosed) as closed:
                await next_message(opened)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


class TestTheRate:
    async def test_is_counted_exactly_under_parallel_calls(self, trader: Trader) -> None:
        key = await trader.key("catalog.write", rate=3)
        replies = await asyncio.gather(*(trader.ask(key, "{ __typename }") for _ in range(24)))
        refused = [each for each in replies if each.status == 429]
        assert [each.status for each in replies if each.status != 429] == [200] * 3
        assert {each.codes[0] for each in refused} == {"RATE_LIMITED"}
        assert all(0 < int(each.response.headers["retry-after"]) <= 20 for each in refused)

    async def test_is_each_keys_own(self, trader: Trader) -> None:
        spent, other = await trader.key("catalog.write", rate=1), await trader.key("catalog.write", rate=1)
        assert [(await trader.ask(spent, "{ __typename }")).status for _ in range(2)] == [200, 429]
        assert (await trader.ask(other, "{ __typename }")).status == 200

    async def test_refuses_before_anything_is_changed(self, trader: Trader) -> None:
        key = await trader.key("catalog.write", rate=1)
        assert (await trader.ask(key, "{ __typename }")).status == 200
        sku = f"SKU-{uuid7().hex[-12:]}"
        assert (await trader.ask(key, CREATE_PRODUCT, sku=sku)).status == 429
        connection = await asyncpg.connect(asyncpg_url(trader.workshop.database.url))
        try:
            assert await connection.fetchval("SELECT count(*) FROM catalog.product WHERE sku = $1", sku) == 0
        finally:
            await connection.close()


class Desk:
    """An authenticator whose keys are a dictionary, with the looks at them counted."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
        self.rows: dict[UUID, Any] = {}
        self.looks = 0
        self.used: list[UUID] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.keys = KeyAuthenticator(self.load, self.used.append, clock=self.clock)

    def clock(self) -> float:
        return self.now.timestamp()

    async def load(self, key_ids: Any) -> list[Any]:
        self.looks += 1
        found = [self.rows.get(each) for each in key_ids]
        self.begun.set()
        await self.gate.wait()
        return found

    def made(self, **changes: Any) -> str:
        key_id = uuid7()
        clear = make_key(key_id)
        row = {
            "id": key_id, "user_id": uuid7(), "tenant_id": uuid7(), "secret_hash": hash_token(clear),
            "scopes": ["catalog.write"], "store_ids": [], "rate_limit_per_minute": 60, "created_at": self.now,
            "expires_at": None, "revoked_at": None, "previous_hash": None, "previous_good_until": None,
            "user_status": "active", "user_roles": ["seller"], "user_stores": [], "defined_permissions": "",
        }  # fmt: skip
        self.rows[key_id] = SimpleNamespace(**row | changes)
        return clear


class TestTheAuthenticator:
    async def test_looks_once_in_five_seconds_however_many_ask(self) -> None:
        desk = Desk()
        clear = desk.made()
        seen = await asyncio.gather(*(desk.keys.check(clear) for _ in range(50)))
        assert (desk.looks, len({id(each) for each in seen})) == (1, 1)
        desk.now += timedelta(seconds=5)
        await desk.keys.check(clear)
        assert desk.looks == 2

    async def test_looks_at_nothing_for_what_cannot_be_a_key(self) -> None:
        desk = Desk()
        for wrong in ("agora_", make_key(uuid7())[:-1] + "!", make_key(uuid7())[:-6] + "000000"):
            with pytest.raises(Unauthenticated):
                await desk.keys.check(wrong)
        assert desk.looks == 0

    async def test_refuses_another_secret_with_a_known_id(self) -> None:
        desk = Desk()
        clear = desk.made()
        await desk.keys.check(clear)
        with pytest.raises(Unauthenticated):
            await desk.keys.check(make_key(UUID(hex=clear.split("_")[1])))
        assert len(desk.used) == 1

    async def test_hears_of_a_revocation_elsewhere_within_five_seconds(self) -> None:
        desk = Desk()
        clear = desk.made()
        verified = await desk.keys.check(clear)
        desk.rows[verified.key_id].revoked_at = None
        desk.rows[verified.key_id] = SimpleNamespace(**vars(desk.rows[verified.key_id]) | {"revoked_at": desk.now})
        assert await desk.keys.check(clear)
        desk.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await desk.keys.check(clear)

    async def test_does_not_remember_what_was_read_before_a_withdrawal(self) -> None:
        desk = Desk()
        clear = desk.made()
        desk.gate.clear()
        early = asyncio.create_task(desk.keys.check(clear))
        await desk.begun.wait()
        (key_id,) = desk.rows
        desk.rows[key_id] = SimpleNamespace(**vars(desk.rows[key_id]) | {"revoked_at": desk.now})
        desk.keys.withdraw(key_id)
        desk.gate.set()
        await early
        with pytest.raises(Unauthenticated):
            await desk.keys.check(clear)

    async def test_ends_open_sessions_of_keys_that_have_ended_or_shrunk(self) -> None:
        desk = Desk()
        clear = desk.made()
        held = await desk.keys.check(clear)
        await desk.keys.refresh()
        assert (desk.looks, desk.keys.version) == (1, 0)
        desk.now += timedelta(seconds=5)
        desk.rows[held.key_id] = SimpleNamespace(**vars(desk.rows[held.key_id]) | {"user_roles": []})
        await desk.keys.refresh()
        assert desk.keys.version == 1
        with pytest.raises(Unauthenticated, match="rights"):
            desk.keys.require_valid(held)
        with pytest.raises(Unauthenticated, match="rights"):
            await desk.keys.recheck(held)

    async def test_lets_a_key_run_out_between_two_looks(self) -> None:
        desk = Desk()
        clear = desk.made(expires_at=desk.now + timedelta(seconds=2))
        await desk.keys.check(clear)
        desk.now += timedelta(seconds=2)
        with pytest.raises(Unauthenticated):
            await desk.keys.check(clear)
