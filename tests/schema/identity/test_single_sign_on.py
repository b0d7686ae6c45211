"""A tenant's own provider: who comes in by it, what they may do then, and for whom it is the only way."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from data.encryption import AesCipher
from data.transactions import SqlTransactions
from domain.kernel import SYSTEM, Work
from domain.processes.configuring import reseal_secrets
from domain.tenancy import Cipher, ResealSettings
from tests.identity_provider import BACK, CLIENT_SECRET, Provider, missing, provider_running
from tests.schema.identity.sign_on import (
    BEGIN,
    CONFIGURE,
    LINK,
    LOCAL,
    MINE,
    PEOPLE,
    REMOVE,
    UNLINK,
    Traveller,
    travelling,
)

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")
STAFF = [{"group": "desk", "role": "support_agent"}, {"group": "bosses", "role": "admin"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider_running(BACK) as started:
        yield started


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.calm(**PEOPLE)
    return running


@pytest.fixture
async def traveller(house: Any, provider: Provider) -> AsyncIterator[Traveller]:
    async with travelling(house, provider) as made:
        yield made


class TestSingleSignOn:
    OWN = "sso.acme"
    LISTED = "{ singleSignOns { provider title issuer clientId domains groupsClaim roles { group role } isEnforced provedAt } }"

    @pytest.fixture
    async def admin(self, house: Any) -> str:
        return str((await house.member("admin@example.com", "admin"))["accessToken"])

    def people(self, provider: Provider, **groups: list[str]) -> None:
        given = {name: PEOPLE[name] | {"groups": groups.get(name, [])} for name in PEOPLE}
        provider.calm(**given)

    async def test_is_set_up_and_its_secret_told_to_nobody(self, traveller: Traveller, house: Any, admin: str) -> None:
        made = await traveller.configure(admin, domains=["ACME.example"], roles=STAFF)
        assert made == {
            "__typename": "SingleSignOn",
            "provider": self.OWN,
            "domains": ["acme.example"],
            "isEnforced": False,
            "roles": STAFF,
            "scopes": ["openid", "email", "profile", "groups"],
        }
        listed = await house.ask(self.LISTED, admin)
        assert [each["provider"] for each in listed.data["singleSignOns"]] == [self.OWN]
        assert listed.reads == 1
        assert "secret" not in str(house.graph._schema.type_map["SingleSignOn"].fields.keys()).lower()
        (row,) = await traveller.rows("SELECT s::text AS seen FROM identity.single_sign_on AS s")
        assert "not told to anybody" not in row.seen
        offered = (await house.ask("{ loginProviders { provider } }")).data["loginProviders"]
        assert offered == [{"provider": "acme"}, {"provider": self.OWN}]

    async def test_lets_staff_in_with_the_roles_of_their_groups(
        self, traveller: Traveller, provider: Provider, admin: str
    ) -> None:
        await traveller.configure(admin, roles=STAFF)
        self.people(provider, ann=["desk", "unheard of"])
        first = await traveller.come_in(provider=self.OWN)
        assert [each["role"] for each in first["user"]["roles"]] == ["buyer", "support_agent"]
        self.people(provider, ann=["bosses"])
        second = await traveller.come_in(provider=self.OWN)
        assert [each["role"] for each in second["user"]["roles"]] == ["buyer", "admin"]
        assert (await traveller.house.auth.check(second["accessToken"])).principal.may("identity.sso")

    async def test_takes_back_no_role_that_somebody_gave_by_hand(
        self, traveller: Traveller, provider: Provider, house: Any, admin: str
    ) -> None:
        await traveller.configure(admin, roles=STAFF)
        entered = await traveller.come_in(provider=self.OWN)
        assign = 'mutation($id: ID!) { assignRole(input: {userId: $id, role: "support_agent"}) { __typename } }'
        assert await house.do(assign, admin, id=entered["user"]["id"]) == {"__typename": "User"}
        self.people(provider, ann=["desk"])
        await traveller.come_in(provider=self.OWN)
        self.people(provider)
        again = await traveller.come_in(provider=self.OWN)
        assert [each["role"] for each in again["user"]["roles"]] == ["buyer", "support_agent"]

    async def test_hands_on_no_more_than_its_administrator_may(
        self, traveller: Traveller, house: Any, admin: str, provider: Provider
    ) -> None:
        define = """mutation($name: String!, $may: [String!]!) { defineRole(input: {name: $name, permissions: $may}) {
          __typename } }"""
        for name, may in (("connector", ["identity.sso", "inventory.read"]), ("grower", ["inventory.read"])):
            assert await house.do(define, admin, name=name, may=may) == {"__typename": "Role"}
        lesser = (await house.member("lesser@example.com", "connector"))["accessToken"]
        before = await traveller.kept()
        refused = await traveller.configure(lesser, roles=STAFF)
        assert (refused["__typename"], refused["code"]) == ("Forbidden", "FORBIDDEN")
        unknown = await traveller.configure(lesser, roles=[{"group": "a", "role": "nobody"}])
        assert unknown["__typename"] == "NotFound"
        assert await traveller.kept() == before
        # A role that has grown since gives no more than its mapper could have given.
        made = await traveller.configure(lesser, roles=[{"group": "desk", "role": "grower"}])
        assert made["__typename"] == "SingleSignOn"
        assert await house.do(define, admin, name="grower", may=["orders.read"]) == {"__typename": "Role"}
        self.people(provider, ann=["desk"])
        entered = await traveller.come_in(provider=self.OWN)
        assert [each["role"] for each in entered["user"]["roles"]] == ["buyer"]

    async def test_of_somebody_greater_is_not_for_lesser_ones_to_change(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        define = 'mutation { defineRole(input: {name: "connector", permissions: ["identity.sso"]}) { __typename } }'
        await house.do(define, admin)
        lesser = (await house.member("lesser@example.com", "connector"))["accessToken"]
        await traveller.configure(admin, roles=STAFF)
        before = await traveller.kept()
        assert (await traveller.configure(lesser))["__typename"] == "Forbidden"
        assert (await house.do(REMOVE, lesser, provider=self.OWN))["__typename"] == "Forbidden"
        assert await traveller.kept() == before

    async def test_brings_nobody_into_an_account_that_may_do_more(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        define = 'mutation { defineRole(input: {name: "connector", permissions: ["identity.sso"]}) { __typename } }'
        await house.do(define, admin)
        lesser = (await house.member("lesser@example.com", "connector"))["accessToken"]
        await house.member(LOCAL, "admin")
        await traveller.verify(LOCAL)
        await traveller.configure(lesser)
        way = await traveller.way(provider=self.OWN)
        before = await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "LinkingRequired"
        assert await traveller.kept() == before

    async def test_vouches_for_nobody_who_may_do_more(self, traveller: Traveller, house: Any, admin: str) -> None:
        """Whoever rules the provider would be them."""
        define = 'mutation { defineRole(input: {name: "connector", permissions: ["identity.sso"]}) { __typename } }'
        await house.do(define, admin)
        lesser = (await house.member("lesser@example.com", "connector"))["accessToken"]
        await traveller.configure(lesser)
        way, before = await traveller.way(provider=self.OWN, token=admin), await traveller.kept()
        assert (await house.do(LINK, admin, **way))["__typename"] == "SingleSignOnRefused"
        assert await traveller.kept() == before
        entered = await traveller.come_in(provider=self.OWN)
        promote = 'mutation($id: ID!) { assignRole(input: {userId: $id, role: "finance"}) { __typename } }'
        assert await house.do(promote, admin, id=entered["user"]["id"]) == {"__typename": "User"}
        way, before = await traveller.way(provider=self.OWN), await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "SingleSignOnRefused"
        assert await traveller.kept() == before

    @pytest.mark.parametrize("person", ["eve", "unverified"])
    async def test_is_for_the_addresses_of_the_organisation(
        self, traveller: Traveller, admin: str, person: str
    ) -> None:
        await traveller.configure(admin, domains=["acme.example"])
        way = await traveller.way(person, self.OWN)
        before = await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "SingleSignOnRefused"
        assert await traveller.kept() == before
        assert (await traveller.come_in("ann", self.OWN))["__typename"] == "Authentication"

    async def test_becomes_the_only_way_when_it_has_been_tried(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        ann = await house.member(LOCAL, "support_agent")
        await house.register("bob@acme.example")
        terms = {"domains": ["acme.example"], "isEnforced": True}
        await traveller.configure(admin, domains=["acme.example"])
        before = await traveller.kept()
        assert (await traveller.configure(admin, **terms))["__typename"] == "SingleSignOnUntried"
        assert await traveller.kept() == before
        linked = await traveller.link(ann["accessToken"], provider=self.OWN)
        assert linked["__typename"] == "ExternalIdentity"
        assert (await traveller.come_in(provider=self.OWN))["user"]["id"] == ann["user"]["id"]
        assert (await traveller.configure(admin, **terms))["isEnforced"] is True
        before = await traveller.kept()
        refused = await house.login(LOCAL)
        assert (refused["__typename"], refused["code"]) == ("SingleSignOnRequired", "SINGLE_SIGN_ON_REQUIRED")
        assert (await house.login(LOCAL, "wrong"))["__typename"] == "InvalidCredentials"
        # Neither customers with such an address nor staff with another are meant.
        assert (await house.login("bob@acme.example"))["__typename"] == "Authentication"
        assert (await house.login("admin@example.com"))["__typename"] == "Authentication"
        unlink = await house.do(UNLINK, ann["accessToken"], id=linked["id"])
        assert unlink["__typename"] == "LastWayToLogIn"
        assert await house.do(REMOVE, admin, provider=self.OWN) == {"__typename": "SingleSignOn", "provider": self.OWN}
        assert (await house.login(LOCAL))["__typename"] == "Authentication"

    async def test_binds_nobody_who_may_do_more_or_runs_the_platform(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        await house.member(LOCAL, "super_admin")
        await traveller.configure(admin, domains=["acme.example"])
        assert (await traveller.come_in("bob", self.OWN))["__typename"] == "Authentication"
        enforced = await traveller.configure(admin, domains=["acme.example"], isEnforced=True)
        assert enforced["isEnforced"] is True
        assert (await house.login(LOCAL))["__typename"] == "Authentication"

    async def test_is_removed_with_the_identities_that_came_by_it(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        await traveller.configure(admin)
        way = await traveller.way("bob", self.OWN)
        entered = await traveller.come_in(provider=self.OWN)
        assert await house.do(REMOVE, admin, provider=self.OWN) == {"__typename": "SingleSignOn", "provider": self.OWN}
        assert (await house.ask(MINE, entered["accessToken"])).data["myIdentities"] == []
        assert (await traveller.enter(way))["__typename"] == "NotFound"
        assert (await house.do(REMOVE, admin, provider=self.OWN))["__typename"] == "NotFound"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": "Not A Name"},
            {"name": ""},
            {"title": " "},
            {"issuer": "ftp://idp.example"},
            {"issuer": "https://user@idp.example"},
            {"issuer": "https://idp.example?tenant=1"},
            {"issuer": "https://idp.example/#"},
            {"issuer": "https://idp.example/ a"},
            {"clientId": ""},
            {"clientSecret": ""},
            {"clientSecret": None},
            {"clientSecret": "x" * 20_000},
            {"domains": ["not a domain"]},
            {"domains": ["a.example"] * 3 + [f"a{n}.example" for n in range(101)]},
            {"scopes": ["two words"]},
            {"isEnforced": True},
            {"redirectUris": ["http://shop.example/back"]},
            {"redirectUris": ["javascript:alert(1)"]},
            {"roles": [{"group": "", "role": "host"}]},
        ],
        ids=lambda wrong: str(wrong)[:60],
    )
    async def test_refuses_what_does_not_fit(self, traveller: Traveller, admin: str, wrong: dict[str, Any]) -> None:
        before = await traveller.kept()
        assert (await traveller.configure(admin, **wrong))["__typename"] == "InvalidInput"
        assert await traveller.kept() == before

    async def test_keeps_its_secret_and_its_issuer(self, traveller: Traveller, admin: str) -> None:
        await traveller.configure(admin)
        renamed = await traveller.configure(admin, title="Acme Inc.", clientSecret=None)
        assert renamed["__typename"] == "SingleSignOn"
        before = await traveller.kept()
        moved = await traveller.configure(admin, issuer="https://another.example")
        assert moved["__typename"] == "InvalidInput"
        assert await traveller.kept() == before
        assert (await traveller.come_in(provider=self.OWN))["__typename"] == "Authentication"

    async def test_has_its_secret_sealed_anew_when_the_key_changes(
        self, traveller: Traveller, house: Any, admin: str
    ) -> None:
        await traveller.configure(admin)
        old, new = bytes(32), bytes(range(32))
        both = SqlTransactions(house.database, {Cipher: AesCipher([new, old])})
        work = Work(tenant_id=house.tenant_id, actor=SYSTEM, now=house.clock.now, correlation_id="test")
        assert [await both.run(reseal_secrets, ResealSettings(), work) for _ in range(2)] == [1, 0]
        (row,) = await traveller.rows("SELECT sealed FROM identity.single_sign_on")
        place = f"{house.tenant_id}/identity/{self.OWN}"
        assert AesCipher([new]).decrypt(row.sealed, place) == CLIENT_SECRET

    async def test_is_for_those_who_may(self, traveller: Traveller, house: Any) -> None:
        token = (await house.member())["accessToken"]
        given = {"name": "acme", "title": "A", "issuer": "https://idp.example", "clientId": "a", "clientSecret": "b"}
        before = await traveller.kept()
        assert (await house.ask(CONFIGURE, token, input=given)).codes == ["FORBIDDEN"]
        assert (await house.ask(REMOVE, token, provider=self.OWN)).codes == ["FORBIDDEN"]
        assert (await house.ask(self.LISTED, token)).codes == ["FORBIDDEN"]
        assert (await house.ask(BEGIN, token, provider=self.OWN, back=BACK)).errors == []
        assert await traveller.kept() == before
