"""Logging in by a provider, through the graph and a provider that really runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain.kernel import uuid7
from tests.identity_provider import BACK, Provider, missing, provider_running
from tests.schema.identity.sign_on import ENTER, LINK, LOCAL, MINE, PEOPLE, UNLINK, Traveller, travelling

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider_running(BACK) as started:
        yield started


@pytest.fixture(scope="module")
def rival() -> Iterator[Provider]:
    with provider_running(BACK) as started:
        started.calm(**PEOPLE)
        yield started


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.calm(**PEOPLE)
    return running


@pytest.fixture
async def traveller(house: Any, provider: Provider) -> AsyncIterator[Traveller]:
    async with travelling(house, provider) as made:
        yield made


class TestSocialLogin:
    async def test_registers_whoever_comes_first_and_knows_them_the_next_time(
        self, traveller: Traveller, house: Any
    ) -> None:
        first = await traveller.come_in()
        assert first["__typename"] == "Authentication", first
        assert first["user"] | {"id": ""} == {
            "id": "",
            "email": "ann@acme.example",
            "firstName": "Ann",
            "lastName": "Acre",
            "displayName": "Ann",
            "roles": [{"role": "buyer"}],
        }
        assert first["session"] == {"deviceName": "Phone"}
        assert (await house.do(house.ME, first["accessToken"]))["id"] == first["user"]["id"]
        again = await traveller.come_in()
        assert again["user"]["id"] == first["user"]["id"]
        assert len(await traveller.events("user.registered")) == 1
        assert await traveller.events("identity.social_identity_linked") == [
            {"user_id": first["user"]["id"], "provider": "acme"}
        ]
        refreshed = await house.do(house.REFRESH, given=again["refreshToken"])
        assert refreshed["__typename"] == "Authentication"

    async def test_leaves_no_password_that_would_open(self, traveller: Traveller, house: Any) -> None:
        await traveller.come_in()
        for password in ("", "anything at all", "a password that nobody has"):
            answer = await house.login(LOCAL, password)
            assert answer["__typename"] == "InvalidCredentials"

    @pytest.mark.parametrize(
        "tampered",
        [
            {"nonce": "another"},
            {"nonce": None},
            {"aud": "another"},
            {"aud": ["agora", "another"]},
            {"aud": ["agora", "another"], "azp": "another"},
            {"azp": "another"},
            {"exp": 1_700_000_000},
            {"exp": None},
            {"iat": 1_700_000_000},
            {"nbf": 4_000_000_000},
            {"iss": "https://another.example"},
            {"sub": None},
            {"sub": ""},
            {"sub": "x" * 256},
            {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        ],
        ids=str,
    )
    async def test_refuses_an_id_token_that_is_not_about_this_log_in(
        self, traveller: Traveller, provider: Provider, tampered: dict[str, Any]
    ) -> None:
        way, before = await traveller.way(), await traveller.kept()
        provider.tell(tamper=tampered)
        assert (await traveller.enter(way))["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before

    async def test_takes_further_audiences_if_we_are_the_party(self, traveller: Traveller, provider: Provider) -> None:
        provider.tell(tamper={"aud": ["agora", "another"], "azp": "agora"})
        assert (await traveller.come_in())["__typename"] == "Authentication"

    async def test_is_good_once(self, traveller: Traveller) -> None:
        way = await traveller.way()
        assert (await traveller.enter(way))["__typename"] == "Authentication"
        before = await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before

    async def test_of_two_returns_at_once_lets_one_in(self, traveller: Traveller) -> None:
        way = await traveller.way()
        kinds = sorted(each["__typename"] for each in await traveller.both(way, way))
        assert kinds == ["Authentication", "SocialLoginRefused"]

    async def test_is_bound_to_the_client_that_began(self, traveller: Traveller) -> None:
        way, another = await traveller.way(), await traveller.begin()
        before = await traveller.kept()
        for binding in ("", "guessed", another["binding"]):
            assert (await traveller.enter(way, binding=binding))["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before
        # A stranger's try with a state alone does not use it up.
        assert (await traveller.enter(way))["__typename"] == "Authentication"

    async def test_takes_no_code_of_another_way(self, traveller: Traveller) -> None:
        stolen, begun = await traveller.way(), await traveller.begin()
        before = await traveller.kept()
        answer = await traveller.enter(stolen, state=begun["state"], binding=begun["binding"])
        assert answer["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before

    async def test_ends_after_ten_minutes(self, traveller: Traveller, house: Any) -> None:
        way = await traveller.way()
        house.clock.now += timedelta(minutes=10)
        before = await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before

    async def test_keeps_state_and_verifier_from_whoever_reads_the_table(self, traveller: Traveller) -> None:
        begun = await traveller.begin()
        (row,) = await traveller.rows("SELECT s::text AS seen FROM identity.social_login AS s")
        for secret in (begun["state"], begun["binding"]):
            assert secret not in row.seen
            assert secret.encode().hex() not in row.seen

    async def test_is_of_one_tenant(self, traveller: Traveller, make_house: Any, make_tenant: Any) -> None:
        way = await traveller.way()
        async with travelling(make_house(make_tenant()), traveller.provider) as elsewhere:
            before = await elsewhere.kept()
            assert (await elsewhere.enter(way))["__typename"] == "SocialLoginRefused"
            assert await elsewhere.kept() == before
        assert (await traveller.enter(way))["__typename"] == "Authentication"

    async def test_makes_one_user_of_two_first_log_ins_at_once(self, traveller: Traveller) -> None:
        ways = [await traveller.way() for _ in range(4)]
        answers = await traveller.both(*ways)
        assert {each["__typename"] for each in answers} == {"Authentication"}, answers
        assert len({each["user"]["id"] for each in answers}) == 1
        assert len(await traveller.events("user.registered")) == 1

    async def test_tells_only_the_holder_that_an_account_is_locked(self, traveller: Traveller) -> None:
        user = (await traveller.come_in())["user"]
        await traveller.lock(user["id"])
        way, before = await traveller.way(), await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "AccountLocked"
        assert await traveller.kept() == before

    async def test_comes_back_to_listed_addresses_only(self, traveller: Traveller) -> None:
        for back in (
            "https://evil.example/",
            "javascript:alert(1)",
            "//evil.example",
            "",
            "https://[",
            "http://127.0.0.1@evil.example/back",
            "com.evil.app:/back",
        ):
            assert (await traveller.begin(back=back))["__typename"] == "InvalidInput", back
        assert await traveller.rows("SELECT 1 FROM identity.social_login") == []

    async def test_knows_no_other_providers(self, traveller: Traveller) -> None:
        assert (await traveller.begin("sso.acme"))["__typename"] == "NotFound"
        assert (await traveller.begin("nobody"))["__typename"] == "NotFound"

    async def test_of_a_suspended_tenant_lets_in_who_is_known(self, traveller: Traveller, suspend: Any) -> None:
        await traveller.come_in()
        suspend()
        assert (await traveller.come_in())["__typename"] == "Authentication"
        way, before = await traveller.way("bob"), await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "TenantReadOnly"
        assert await traveller.kept() == before


class TestAProviderThatFails:
    async def test_to_answer_at_the_beginning_leaves_nothing(self, traveller: Traveller, provider: Provider) -> None:
        provider.tell(down=["*"])
        before = await traveller.kept()
        assert (await traveller.begin())["__typename"] == "Unavailable"
        assert await traveller.kept() == before
        assert await traveller.rows("SELECT 1 FROM identity.social_login") == []

    @pytest.mark.parametrize("path", ["/token", "/me"])
    async def test_at_the_end_can_be_asked_again_with_the_same_code(
        self, traveller: Traveller, provider: Provider, path: str
    ) -> None:
        way, before = await traveller.way(), await traveller.kept()
        provider.tell(down=[path])
        assert (await traveller.enter(way))["__typename"] == "Unavailable"
        assert await traveller.kept() == before
        provider.tell(down=[])
        # Whether the provider takes the code once more is its own affair; ours is that nobody is locked out.
        answer = await traveller.enter(way)
        assert answer["__typename"] == ("Authentication" if path == "/token" else "SocialLoginRefused")

    async def test_and_has_other_keys_since_is_asked_for_them(self, traveller: Traveller, provider: Provider) -> None:
        first = await traveller.come_in()
        provider.tell(rotate=True)
        assert (await traveller.come_in())["user"]["id"] == first["user"]["id"]

    async def test_is_believed_for_a_while_about_what_it_said_before(
        self, traveller: Traveller, provider: Provider
    ) -> None:
        await traveller.come_in()
        party = traveller.providers._party(provider.connection())
        party._clock = lambda: time.monotonic() + 7_200
        provider.tell(down=["/.well-known/openid-configuration", "/jwks"])
        assert (await traveller.come_in())["__typename"] == "Authentication"
        party._clock = lambda: time.monotonic() + 90_000
        assert (await traveller.begin())["__typename"] == "Unavailable"

    @pytest.mark.parametrize("how", ["wait", "huge"])
    async def test_with_too_much_or_never_is_given_up(self, traveller: Traveller, provider: Provider, how: str) -> None:
        way, before = await traveller.way(), await traveller.kept()
        fetcher = traveller.providers._party(provider.connection())._fetcher
        fetcher._timeout = 0.5 if how == "wait" else 10
        provider.tell(**{how: "/jwks"})
        assert (await traveller.enter(way))["__typename"] == "Unavailable"
        assert await traveller.kept() == before


class TestTwoProviders:
    @pytest.fixture
    async def between(self, house: Any, provider: Provider, rival: Provider) -> AsyncIterator[Traveller]:
        async with travelling(house, provider, further=(rival.connection("rival"),)) as made:
            yield made

    async def test_are_not_mixed_up(self, between: Traveller, rival: Provider) -> None:
        """An answer of one is neither taken to the other nor for the other's. Source: RFC 9207."""
        way = await between.way()
        before = await between.kept()
        for changed in ({"provider": "rival"}, {"issuer": rival.issuer}, {"issuer": None}, {"issuer": ""}):
            another = await between.way()
            assert (await between.enter(another, **changed))["__typename"] == "SocialLoginRefused"
        assert await between.kept() == before
        assert (await between.enter(way))["__typename"] == "Authentication"

    async def test_mean_different_people_by_the_same_name(self, between: Traveller) -> None:
        one, other = await between.come_in("unverified"), await between.come_in("unverified", "rival")
        assert one["user"]["id"] != other["user"]["id"]

    async def test_are_listed(self, between: Traveller, house: Any) -> None:
        listed = (await house.ask("{ loginProviders { provider title kind } }")).data["loginProviders"]
        assert listed == [
            {"provider": "acme", "title": "Acme", "kind": "OIDC"},
            {"provider": "rival", "title": "Acme", "kind": "OIDC"},
        ]


class TestAnEmailAddress:
    async def test_that_both_sides_have_verified_is_one_persons(self, traveller: Traveller, house: Any) -> None:
        known = await house.member(LOCAL)
        await traveller.verify(LOCAL)
        assert (await traveller.come_in())["user"]["id"] == known["user"]["id"]
        assert len(await traveller.events("user.registered")) == 1

    async def test_that_nobody_has_verified_here_links_nothing(self, traveller: Traveller, house: Any) -> None:
        """Else whoever registered an address that is another's would have their account from the day they come."""
        await house.member(LOCAL)
        way, before = await traveller.way(), await traveller.kept()
        assert (await traveller.enter(way))["__typename"] == "LinkingRequired"
        assert await traveller.kept() == before

    async def test_that_the_provider_has_not_verified_tells_nothing(
        self, traveller: Traveller, house: Any, make_house: Any, make_tenant: Any
    ) -> None:
        known = await house.member(LOCAL)
        await traveller.verify(LOCAL)
        way = await traveller.way("unverified")
        taken = await house.ask(ENTER, **way)
        async with travelling(make_house(make_tenant()), traveller.provider) as elsewhere:
            free = await elsewhere.house.ask(ENTER, **await elsewhere.way("unverified"))
        one, other = (each.data["socialLogin"] for each in (taken, free))
        assert one["user"]["id"] != known["user"]["id"]
        for each in (one, other):
            assert each["user"]["email"].endswith("@no-address.invalid")
        assert one.keys() == other.keys()
        assert (taken.reads, taken.writes) == (free.reads, free.writes)


class TestLinking:
    async def test_gives_another_way_in(self, traveller: Traveller, house: Any) -> None:
        known = await house.member("somebody@example.com")
        linked = await traveller.link(known["accessToken"])
        assert linked["__typename"] == "ExternalIdentity", linked
        assert (linked["provider"], linked["email"]) == ("acme", "ann@acme.example")
        assert (await traveller.come_in())["user"]["id"] == known["user"]["id"]
        listed = await house.ask(MINE, known["accessToken"])
        assert [each["id"] for each in listed.data["myIdentities"]] == [linked["id"]]
        assert listed.reads == 1

    async def test_takes_nobody_elses(self, traveller: Traveller, house: Any) -> None:
        await traveller.come_in()
        other = await house.member("somebody@example.com")
        way = await traveller.way(token=other["accessToken"])
        before = await traveller.kept()
        answer = await house.do(LINK, other["accessToken"], **way)
        assert answer["__typename"] == "AlreadyExists"
        assert await traveller.kept() == before

    async def test_takes_no_way_that_somebody_else_began(self, traveller: Traveller, house: Any) -> None:
        one, other = await house.member("one@example.com"), await house.member("other@example.com")
        for token in (None, other["accessToken"]):
            way = await traveller.way(token=token)
            before = await traveller.kept()
            assert (await house.do(LINK, one["accessToken"], **way))["__typename"] == "SocialLoginRefused"
            assert await traveller.kept() == before

    async def test_needs_somebody(self, traveller: Traveller, house: Any) -> None:
        for document, given in ((LINK, await traveller.way()), (UNLINK, {"id": str(uuid7())}), (MINE, {})):
            assert (await house.ask(document, **given)).codes == ["UNAUTHENTICATED"]

    async def test_is_undone_but_for_the_last_way_in(self, traveller: Traveller, house: Any, rival: Provider) -> None:
        entered = await traveller.come_in()
        token = entered["accessToken"]
        (only,) = (await house.ask(MINE, token)).data["myIdentities"]
        before = await traveller.kept()
        assert (await house.do(UNLINK, token, id=only["id"]))["__typename"] == "LastWayToLogIn"
        assert await traveller.kept() == before
        async with travelling(house, traveller.provider, further=(rival.connection("rival"),)) as made:
            second = await made.link(token, provider="rival")
            assert (await house.do(UNLINK, token, id=only["id"]))["__typename"] == "ExternalIdentity"
            assert (await house.do(UNLINK, token, id=second["id"]))["__typename"] == "LastWayToLogIn"
        assert await traveller.events("identity.social_identity_unlinked") == [
            {"user_id": entered["user"]["id"], "provider": "acme"}
        ]

    async def test_of_the_last_two_at_once_undoes_one(self, traveller: Traveller, house: Any, rival: Provider) -> None:
        token = (await traveller.come_in())["accessToken"]
        async with travelling(house, traveller.provider, further=(rival.connection("rival"),)) as made:
            await made.link(token, provider="rival")
        ids = [each["id"] for each in (await house.ask(MINE, token)).data["myIdentities"]]
        answers = await asyncio.gather(*(house.do(UNLINK, token, id=each) for each in ids))
        assert sorted(each["__typename"] for each in answers) == ["ExternalIdentity", "LastWayToLogIn"]

    async def test_is_undone_where_there_is_a_password(self, traveller: Traveller, house: Any) -> None:
        token = (await house.member("somebody@example.com"))["accessToken"]
        linked = await traveller.link(token)
        assert (await house.do(UNLINK, token, id=linked["id"]))["__typename"] == "ExternalIdentity"
        assert (await house.ask(MINE, token)).data["myIdentities"] == []

    async def test_of_others_answers_like_one_that_never_was(self, traveller: Traveller, house: Any) -> None:
        one, other = await house.member("one@example.com"), await house.member("other@example.com")
        linked = await traveller.link(one["accessToken"])
        before = await traveller.kept()
        for each in (linked["id"], str(uuid7())):
            assert (await house.do(UNLINK, other["accessToken"], id=each))["__typename"] == "NotFound"
        assert await traveller.kept() == before
