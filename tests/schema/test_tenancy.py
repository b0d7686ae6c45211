from datetime import UTC, datetime

import pytest

from data.encryption import AesCipher
from data.tenancy import SqlPlatform
from data.transactions import SqlTransactions
from domain.kernel import NOBODY, Principal, uuid7
from domain.tenancy import Cipher, Platform
from resolvers.kernel import Context
from schema.graph import build

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
CIPHER = {Cipher: AesCipher([bytes(32)])}


@pytest.fixture(scope="module")
def graph():
    return build(["tenancy"])


@pytest.fixture
def ask(graph, database, tenant_id):
    """Run an operation; `statements` of the last one counts what the operation's own snapshot was asked."""

    async def run(document, principal=NOBODY, tenant=tenant_id, **variables):
        context = Context(
            reads=database.reads(tenant),
            transactions=SqlTransactions(database, CIPHER),
            services={Platform: SqlPlatform(database, CIPHER)},
            principal=principal,
            tenant_id=tenant,
            now=lambda: NOW,
        )
        result = await graph.execute(document, variable_values=variables, context_value=context)
        run.statements = context.reads.statements
        await context.reads.close()
        return result

    return run


@pytest.fixture
def manager(tenant_id):
    permissions = frozenset({"tenancy.read", "tenancy.manage", "stores.any"})
    return Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=permissions)


@pytest.fixture
def governor():
    return Principal(user_id=uuid7(), permissions=frozenset({"tenancy.read", "tenancy.manage", "tenancy.platform"}))


CREATE_STORE = """
mutation ($input: CreateStoreInput!) {
  createStore(input: $input) {
    __typename
    ... on Store { id code name status version timezone taxRate location { latitude longitude }
      hours { day opens closes } isOpen province { name minimumAge } }
    ... on Error { code message }
    ... on InvalidInput { field }
  }
}
"""
ACTIVATE = """
mutation ($id: ID!) { activateStore(input: {id: $id}) { __typename ... on Store { status }
  ... on Error { code } ... on LicenceExpired { storeCode expiredOn } } }
"""


@pytest.fixture
def open_store(ask, manager):
    async def make(code, **details):
        made = await ask(CREATE_STORE, manager, input={"code": code, "name": f"Store {code}", **details})
        await ask(ACTIVATE, manager, id=made.data["createStore"]["id"])
        return made.data["createStore"]["id"]

    return make


class TestCreateStore:
    async def test_answers_with_the_store(self, ask, manager):
        hours = [{"day": 6, "opens": "09:00:00", "closes": "18:30:00"}]
        wanted = {
            "code": "S001",
            "name": "Queen Street",
            "provinceCode": "CA-ON",
            "hours": hours,
            "location": {"latitude": 43.65, "longitude": -79.38},
        }
        result = await ask(CREATE_STORE, manager, input=wanted)
        made = result.data["createStore"]
        made.pop("id")
        assert result.errors is None
        assert made == {
            "__typename": "Store",
            "code": "S001",
            "name": "Queen Street",
            "status": "INACTIVE",
            "version": 1,
            "timezone": "America/Toronto",
            "taxRate": "0.13000",
            "location": {"latitude": 43.65, "longitude": -79.38},
            "hours": [{"day": 6, "opens": "09:00", "closes": "18:30"}],
            "isOpen": False,
            "province": {"name": "Ontario", "minimumAge": 19},
        }

    @pytest.mark.parametrize(
        ("details", "field"),
        [
            ({"name": "a\x00b"}, "name"),
            ({"name": "x" * 256}, "name"),
            ({"location": {"latitude": 91, "longitude": 0}}, "latitude"),
            ({"taxRate": "1.5"}, "taxRate"),
            ({"provinceCode": "CA-XX"}, "provinceCode"),
            ({"hours": [{"day": 9, "opens": "09:00", "closes": "10:00"}]}, "hours"),
            ({"code": "no spaces"}, "code"),
        ],
    )
    async def test_answers_bad_input_with_its_field(self, ask, manager, details, field):
        result = await ask(CREATE_STORE, manager, input={"code": "S001", "name": "One", **details})
        listed = await ask("{ stores { nodes { code } } }", manager)
        assert result.errors is None
        assert (result.data["createStore"]["__typename"], result.data["createStore"]["field"]) == (
            "InvalidInput",
            field,
        )
        assert listed.data == {"stores": {"nodes": []}}

    async def test_is_for_managers_only(self, ask, tenant_id):
        wanted = {"code": "S001", "name": "One"}
        nobody = await ask(CREATE_STORE, input=wanted)
        buyer = await ask(CREATE_STORE, Principal(user_id=uuid7(), tenant_id=tenant_id), input=wanted)
        assert nobody.errors[0].message == "Authentication is required: log in first."
        assert buyer.errors[0].message == "The permission tenancy.manage is required."


class TestActivateStore:
    async def test_names_the_day_on_which_the_licence_ran_out(self, ask, manager):
        wanted = {"code": "S001", "name": "One", "licenceExpiry": "2026-03-13"}
        made = await ask(CREATE_STORE, manager, input=wanted)
        result = await ask(ACTIVATE, manager, id=made.data["createStore"]["id"])
        assert result.data["activateStore"] == {
            "__typename": "LicenceExpired",
            "code": "LICENCE_EXPIRED",
            "storeCode": "S001",
            "expiredOn": "2026-03-13",
        }

    async def test_of_another_tenant_answers_like_none(self, ask, manager, make_tenant, open_store):
        store_id = await open_store("S001")
        stranger = Principal(user_id=uuid7(), permissions=manager.permissions)
        taken = await ask(ACTIVATE, stranger, make_tenant(), id=store_id)
        never = await ask(ACTIVATE, stranger, make_tenant(), id=str(uuid7()))
        assert taken.data == never.data == {"activateStore": {"__typename": "NotFound", "code": "NOT_FOUND"}}


class TestStores:
    async def test_list_costs_the_same_for_any_length(self, ask, open_store):
        document = """query ($first: Int) { stores(first: $first) { nodes { code isOpen province { name }
            tenant { name stores(first: 1) { nodes { code } } } } pageInfo { hasNextPage } } }"""
        for number in range(4):
            await open_store(f"S{number}", provinceCode="CA-QC")
        two = await ask(document, first=2)
        of_two = ask.statements
        four = await ask(document, first=4)
        assert two.errors is None
        assert [node["code"] for node in two.data["stores"]["nodes"]] == ["S0", "S1"]
        assert two.data["stores"]["pageInfo"] == {"hasNextPage": True}
        assert len(four.data["stores"]["nodes"]) == 4
        assert (of_two, ask.statements) == (4, 4)

    async def test_public_list_shows_open_ones_only(self, ask, manager, open_store):
        await open_store("OPEN")
        await ask(CREATE_STORE, manager, input={"code": "CLOSED", "name": "Closed"})
        public = await ask("{ stores { nodes { code } } }")
        staff = await ask("{ stores { nodes { code } } }", manager)
        assert public.data["stores"]["nodes"] == [{"code": "OPEN"}]
        assert staff.data["stores"]["nodes"] == [{"code": "CLOSED"}, {"code": "OPEN"}]

    async def test_nearby_are_ordered_by_distance(self, ask, open_store):
        await open_store("FAR", location={"latitude": 43.2557, "longitude": -79.8711})
        await open_store("NEAR", location={"latitude": 43.6532, "longitude": -79.3832})
        document = """{ nearbyStores(latitude: 43.65, longitude: -79.38, radiusKm: 100) {
            distanceKm store { code } } }"""
        result = await ask(document)
        found = [(each["store"]["code"], round(each["distanceKm"])) for each in result.data["nearbyStores"]]
        assert found == [("NEAR", 0), ("FAR", 59)]
        assert ask.statements == 1

    @pytest.mark.parametrize("arguments", ["latitude: 91, longitude: 0", "latitude: 0, longitude: 0, radiusKm: -1", "latitude: 0, longitude: 0, limit: 101"])  # fmt: skip
    async def test_nearby_refuse_what_makes_no_circle(self, ask, arguments):
        result = await ask(f"{{ nearbyStores({arguments}) {{ distanceKm }} }}")
        assert result.data is None
        assert type(result.errors[0].original_error).__name__ == "InvalidInput"

    async def test_are_told_by_id_or_by_code(self, ask, open_store):
        store_id = await open_store("S001")
        result = await ask('query ($id: ID) { a: store(id: $id) { code } b: store(code: "S001") { id } }', id=store_id)
        both = await ask('query ($id: ID) { store(id: $id, code: "S001") { code } }', id=store_id)
        assert result.data == {"a": {"code": "S001"}, "b": {"id": store_id}}
        assert both.errors[0].message == "id: name the store by id or by code."

    async def test_hide_their_licence_from_the_public(self, ask, open_store):
        store_id = await open_store("S001", licenceNumber="CRSA-1")
        result = await ask("query ($id: ID) { store(id: $id) { name licenceNumber } }", id=store_id)
        assert result.data["store"] == {"name": "Store S001", "licenceNumber": None}
        assert result.errors[0].path == ["store", "licenceNumber"]


SET = """
mutation ($input: SetStoreSettingInput!) { setStoreSetting(input: $input) { __typename
  ... on StoreSetting { key value isEncrypted version } ... on Error { code } } }
"""


class TestStoreSettings:
    async def test_never_tell_a_secret(self, ask, manager, open_store):
        store_id = await open_store("S001")
        secret = {
            "storeId": store_id,
            "key": "stripe",
            "value": "sk_live_1",
            "isEncrypted": True,
            "category": "payments",
        }
        kept = await ask(SET, manager, input=secret)
        read = await ask("query ($id: ID) { storeSettings(storeId: $id) { key value isEncrypted category } }", manager, id=store_id)  # fmt: skip
        assert kept.data["setStoreSetting"] == {
            "__typename": "StoreSetting", "key": "stripe", "value": None, "isEncrypted": True, "version": 1,
        }  # fmt: skip
        assert read.data["storeSettings"] == [
            {"key": "stripe", "value": None, "isEncrypted": True, "category": "payments"}
        ]

    async def test_of_a_foreign_store_are_not_kept(self, ask, manager, make_tenant, open_store):
        store_id = await open_store("S001")
        stranger = Principal(user_id=uuid7(), permissions=manager.permissions)
        kept = await ask(SET, stranger, make_tenant(), input={"storeId": store_id, "key": "a", "value": "b"})
        read = await ask("query ($id: ID) { storeSettings(storeId: $id) { key } }", manager, id=store_id)
        assert kept.data["setStoreSetting"] == {"__typename": "NotFound", "code": "NOT_FOUND"}
        assert read.data["storeSettings"] == []


CREATE_TENANT = """
mutation ($input: CreateTenantInput!) { createTenant(input: $input) { __typename
  ... on Tenant { id code status currency hosts subscriptionTier maxStores stores { nodes { code } } }
  ... on Error { code message } } }
"""
SUSPEND = """
mutation ($id: ID!) { suspendTenant(input: {id: $id, reason: "unpaid"}) { __typename
  ... on Tenant { status statusReason stores { nodes { code status } totalCount } }
  ... on InvalidStateTransition { current requested } ... on Error { code } } }
"""


class TestTenants:
    async def test_are_taken_on_by_the_platform(self, ask, governor):
        code = f"t{uuid7().hex}"
        wanted = {"code": code, "name": "Maple", "hosts": [f"{code}.example"], "tier": "STANDARD", "currency": "EUR"}
        result = await ask(CREATE_TENANT, governor, None, input=wanted)
        made = result.data["createTenant"]
        made.pop("id")
        assert result.errors is None
        assert made == {
            "__typename": "Tenant",
            "code": code,
            "status": "TRIAL",
            "currency": "EUR",
            "hosts": [f"{code}.example"],
            "subscriptionTier": "STANDARD",
            "maxStores": 5,
            "stores": {"nodes": []},
        }

    async def test_are_not_taken_on_by_tenants(self, ask, manager):
        result = await ask(CREATE_TENANT, manager, input={"code": f"t{uuid7().hex}", "name": "Maple"})
        assert result.data is None
        assert result.errors[0].message == "The permission tenancy.platform is required."

    async def test_once_suspended_can_be_read_but_not_changed(self, ask, manager, governor, open_store, tenant_id):
        await open_store("S001")
        suspended = await ask(SUSPEND, governor, None, id=str(tenant_id))
        refused = await ask(CREATE_STORE, manager, input={"code": "S002", "name": "Two"})
        readable = await ask("{ stores { nodes { code status } } }", manager)
        again = await ask(SUSPEND, governor, None, id=str(tenant_id))
        assert suspended.errors is None
        assert suspended.data["suspendTenant"] == {
            "__typename": "Tenant",
            "status": "SUSPENDED",
            "statusReason": "unpaid",
            "stores": {"nodes": [{"code": "S001", "status": "SUSPENDED"}], "totalCount": 1},
        }
        assert refused.data["createStore"]["code"] == "TENANT_READ_ONLY"
        assert readable.data["stores"]["nodes"] == [{"code": "S001", "status": "SUSPENDED"}]
        assert again.data["suspendTenant"]["current"] == "suspended"

    async def test_work_again_after_reactivation(self, ask, manager, governor, open_store, tenant_id):
        await open_store("S001")
        await ask(SUSPEND, governor, None, id=str(tenant_id))
        document = "mutation ($id: ID!) { reactivateTenant(input: {id: $id}) { ... on Tenant { status } } }"
        result = await ask(document, governor, None, id=str(tenant_id))
        readable = await ask("{ stores { nodes { code status } } }", manager)
        assert result.data["reactivateTenant"] == {"status": "ACTIVE"}
        assert readable.data["stores"]["nodes"] == [{"code": "S001", "status": "ACTIVE"}]

    async def test_see_themselves_and_nobody_else(self, ask, manager, make_tenant, tenant_id):
        document = "query ($id: ID, $other: ID) { own: tenant(id: $id) { id } other: tenant(id: $other) { id } }"
        result = await ask(document, manager, id=str(tenant_id), other=str(make_tenant()))
        assert result.data == {"own": {"id": str(tenant_id)}, "other": None}

    async def test_are_all_seen_by_the_platform(self, ask, governor, make_tenant):
        code = f"zzz{uuid7().hex}"
        other = make_tenant("trial", code)
        listed = await ask("{ tenants(last: 1, status: TRIAL) { nodes { id code } totalCount } }", governor, None)
        named = await ask("query ($code: String) { tenant(code: $code) { id } }", governor, None, code=code)
        assert listed.data["tenants"]["nodes"] == [{"id": str(other), "code": code}]
        assert listed.data["tenants"]["totalCount"] >= 1
        assert named.data == {"tenant": {"id": str(other)}}

    async def test_change_their_own_details_but_no_hosts(self, ask, manager, tenant_id):
        document = """mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) { __typename
            ... on Tenant { name website version } ... on ConcurrentModification { kind } } }"""
        changed = await ask(document, manager, input={"id": str(tenant_id), "name": "Maple", "expectedVersion": 1})
        stale = await ask(document, manager, input={"id": str(tenant_id), "name": "Oak", "expectedVersion": 1})
        hosts = await ask(document, manager, input={"id": str(tenant_id), "hosts": ["maple.example"]})
        assert changed.data["updateTenant"] == {"__typename": "Tenant", "name": "Maple", "website": None, "version": 2}
        assert stale.data["updateTenant"] == {"__typename": "ConcurrentModification", "kind": "Tenant"}
        assert hosts.errors[0].message == "The permission tenancy.platform is required."

    async def test_show_no_business_to_the_public(self, ask, tenant_id):
        result = await ask("query ($id: ID) { tenant(id: $id) { name contactEmail } }", id=str(tenant_id))
        assert result.data == {"tenant": {"name": "A tenant", "contactEmail": None}}
        assert len(result.errors) == 1


class TestProvinces:
    async def test_are_told_to_everybody(self, ask):
        result = await ask('{ provinces(country: "CA") { code minimumAge defaultTax } }', NOBODY, None)
        assert len(result.data["provinces"]) == 13
        assert {"code": "CA-QC", "minimumAge": 21, "defaultTax": "0.14975"} in result.data["provinces"]


class TestStoreCompliance:
    async def test_keeps_the_last_check_of_a_requirement(self, ask, manager, open_store):
        store_id = await open_store("S001")
        document = """mutation ($id: ID!, $status: ComplianceStatus!) { recordStoreCompliance(
            input: {storeId: $id, requirement: "fire safety", status: $status}) { __typename } }"""
        for status in ("VIOLATED", "COMPLIANT"):
            await ask(document, manager, id=store_id, status=status)
        read = "query ($id: ID!) { storeCompliance(storeId: $id) { requirement status checkedAt } }"
        result = await ask(read, manager, id=store_id)
        assert result.data["storeCompliance"] == [
            {"requirement": "fire safety", "status": "COMPLIANT", "checkedAt": "2026-03-14T15:09:26+00:00"}
        ]
