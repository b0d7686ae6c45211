"""Passkeys through the graph: with keys in software that lie as told, and with the authenticator of a real Chromium."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.async_api import async_playwright

from data.tenancy import SqlPlatform
from domain.identity.passkeys import RelyingParties
from server.identity.sites import TenantSites
from tests.schema.identity.factors import COMPLETE, SoftKey, rows_of, with_app

CHROMIUM = "/usr/bin/chromium"
BEGIN = """mutation($origin: String) { beginPasskey(origin: $origin) {
  __typename ... on PasskeyOptions { challenge options expiresAt } ... on Error { code } } }"""
ADD = """mutation($challenge: String!, $credential: JSON!, $name: String!) {
  addPasskey(challenge: $challenge, credential: $credential, name: $name) {
    __typename ... on Passkey { id name rpId lastUsedAt } ... on Error { code } } }"""
BEGIN_LOGIN = """mutation($origin: String, $challenge: String) {
  beginPasskeyLogin(origin: $origin, challenge: $challenge) {
    __typename ... on PasskeyOptions { challenge options } ... on Error { code } } }"""
LOGIN = """mutation($challenge: String!, $credential: JSON!) {
  loginWithPasskey(challenge: $challenge, credential: $credential) {
    __typename ... on Authentication { accessToken user { email } session { secondFactorAt } } ... on Error { code } } }"""
RENAME = """mutation($id: ID!, $name: String!) { renamePasskey(input: {id: $id, name: $name}) {
  __typename ... on Passkey { name } ... on Error { code } } }"""
DELETE = "mutation($id: ID!) { deletePasskey(input: {id: $id}) { __typename ... on Error { code } } }"
PASSWORD_LOGIN = """mutation($email: String!, $password: String!) { login(email: $email, password: $password) {
  __typename ... on SecondFactorRequired { challenge methods } } }"""
MINE = "{ myPasskeys { id name lastUsedAt } }"


async def add(house: Any, token: str, key: SoftKey, name: str = "Phone") -> dict[str, Any]:
    begun = await house.do(BEGIN, token)
    credential = key.make(begun["options"])
    return dict(await house.do(ADD, token, challenge=begun["challenge"], credential=credential, name=name))


async def log_in(house: Any, key: SoftKey) -> dict[str, Any]:
    begun = await house.do(BEGIN_LOGIN)
    return dict(await house.do(LOGIN, challenge=begun["challenge"], credential=key.sign(begun["options"])))


class TestLoggingInWithAPasskey:
    async def test_takes_nothing_else_and_counts_as_a_second_factor(self, house: Any) -> None:
        entry, key = await house.member(), SoftKey()
        made = await add(house, entry["accessToken"], key)
        assert (made["name"], made["rpId"], made["lastUsedAt"]) == ("Phone", "shop.test", None)
        entered = await log_in(house, key)
        assert entered["user"] == {"email": "ann@example.com"}
        assert entered["session"]["secondFactorAt"] is not None
        (listed,) = (await house.ask(MINE, entered["accessToken"])).data["myPasskeys"]
        assert listed["lastUsedAt"] is not None

    async def test_is_a_second_factor_after_a_password(self, house: Any) -> None:
        _, _, entry = await with_app(house)
        fresh = (await house.do(house.REFRESH, given=entry["refreshToken"]))["accessToken"]
        key = SoftKey()
        await add(house, fresh, key)
        asked = await house.do(PASSWORD_LOGIN, email="ann@example.com", password=house.PASSWORD)
        assert asked["methods"] == ["TOTP", "RECOVERY_CODE", "PASSKEY"]
        begun = await house.do(BEGIN_LOGIN, challenge=asked["challenge"])
        assert len(begun["options"]["allowCredentials"]) == 1
        signed = key.sign(begun["options"])
        done = await house.do(COMPLETE, challenge=asked["challenge"], passkey=signed)
        assert done["__typename"] == "Authentication"

    async def test_is_asked_for_where_a_role_demands_a_second_factor(self, house: Any) -> None:
        admin, key = await house.member("admin@example.com", "admin"), SoftKey()
        demand = 'mutation { updateSignInPolicy(input: {secondFactorRoles: ["admin"]}) { __typename } }'
        await add(house, admin["accessToken"], key)
        await house.do(demand, admin["accessToken"])
        asked = await house.do(PASSWORD_LOGIN, email="admin@example.com", password=house.PASSWORD)
        assert asked["methods"] == ["PASSKEY"]
        entered = await log_in(house, key)
        assert (await house.ask("{ roles { name } }", entered["accessToken"])).errors == []

    async def test_refuses_another_users_key_as_a_second_factor(self, house: Any) -> None:
        bob, key = await house.member("bob@example.com"), SoftKey()
        await add(house, bob["accessToken"], key)
        await with_app(house)
        asked = await house.do(PASSWORD_LOGIN, email="ann@example.com", password=house.PASSWORD)
        begun = await house.do(BEGIN_LOGIN, challenge=asked["challenge"])
        before = await rows_of(house, "session")
        signed = key.sign(begun["options"])
        refused = await house.do(COMPLETE, challenge=asked["challenge"], passkey=signed)
        assert refused["code"] == "INVALID_SECOND_FACTOR"
        assert await rows_of(house, "session") == before

    @pytest.mark.parametrize(
        ("lie", "code"),
        [
            ({"origin": "https://evil.test"}, "INVALID_INPUT"),
            ({"rp_id": "evil.test"}, "INVALID_PASSKEY"),
            ({"verified": False}, "INVALID_PASSKEY"),
            ({"count": 0}, "INVALID_PASSKEY"),
            ({"key": SoftKey().key}, "INVALID_PASSKEY"),
            ({"credential_id": b"another"}, "INVALID_PASSKEY"),
            ({"user_handle": b"another"}, "INVALID_PASSKEY"),
        ],
        ids=["origin", "site", "unverified", "copied", "key", "credential", "user"],
    )
    async def test_refuses_what_does_not_fit(self, house: Any, lie: dict[str, Any], code: str) -> None:
        entry, key = await house.member(), SoftKey(count=5)
        await add(house, entry["accessToken"], key)
        for name, value in lie.items():
            setattr(key, name, value)
        sessions, passkeys = await rows_of(house, "session"), await rows_of(house, "passkey")
        assert (await log_in(house, key))["code"] == code
        assert (await rows_of(house, "session"), await rows_of(house, "passkey")) == (sessions, passkeys)

    @pytest.mark.parametrize("junk", [{}, [], "text", 1, {"response": {}}, {"response": {"clientDataJSON": "e30"}}])
    async def test_refuses_what_is_no_credential(self, house: Any, junk: Any) -> None:
        begun = await house.do(BEGIN_LOGIN)
        assert (await house.do(LOGIN, challenge=begun["challenge"], credential=junk))["code"] == "INVALID_PASSKEY"

    async def test_takes_a_challenge_once_and_in_time(self, house: Any) -> None:
        entry, key = await house.member(), SoftKey()
        await add(house, entry["accessToken"], key)
        begun = await house.do(BEGIN_LOGIN)
        signed = [key.sign(begun["options"]) for _ in range(3)]
        tries = (house.do(LOGIN, challenge=begun["challenge"], credential=each) for each in signed)
        answers = [each["__typename"] for each in await asyncio.gather(*tries)]
        assert answers.count("InvalidChallenge") == 2
        late = await house.do(BEGIN_LOGIN)
        house.clock.now += timedelta(minutes=5)
        refused = await house.do(LOGIN, challenge=late["challenge"], credential=key.sign(late["options"]))
        assert refused["code"] == "INVALID_CHALLENGE"

    async def test_is_not_for_another_tenant(self, house: Any, make_house: Any, make_tenant: Any) -> None:
        entry, key = await house.member(), SoftKey()
        await add(house, entry["accessToken"], key)
        other = make_house(make_tenant())
        assert (await log_in(other, key))["code"] == "INVALID_PASSKEY"


class TestKeepingPasskeys:
    async def test_needs_a_fresh_log_in_an_own_challenge_and_a_new_key(self, house: Any) -> None:
        ann, bob, key = await house.member(), await house.member("bob@example.com"), SoftKey()
        begun = await house.do(BEGIN, ann["accessToken"])
        credential = key.make(begun["options"])
        given = {"challenge": begun["challenge"], "credential": credential, "name": "Phone"}
        assert (await house.do(ADD, bob["accessToken"], **given))["code"] == "INVALID_CHALLENGE"
        assert (await house.do(ADD, ann["accessToken"], **{**given, "name": " "}))["code"] == "INVALID_INPUT"
        assert await rows_of(house, "passkey") == []
        assert (await house.do(ADD, ann["accessToken"], **given))["__typename"] == "Passkey"
        assert (await house.do(ADD, ann["accessToken"], **given))["code"] == "INVALID_CHALLENGE"
        house.clock.now += timedelta(minutes=14)
        fresh = await house.do(house.REFRESH, given=ann["refreshToken"])
        house.clock.now += timedelta(minutes=2)
        assert (await house.do(BEGIN, fresh["accessToken"]))["code"] == "FRESH_LOGIN_REQUIRED"

    async def test_lets_their_owner_alone_rename_and_delete_them(self, house: Any) -> None:
        ann, bob, key = await house.member(), await house.member("bob@example.com"), SoftKey()
        made = await add(house, ann["accessToken"], key)
        before = await rows_of(house, "passkey")
        assert (await house.do(RENAME, bob["accessToken"], id=made["id"], name="Mine"))["code"] == "NOT_FOUND"
        assert (await house.do(DELETE, bob["accessToken"], id=made["id"]))["code"] == "NOT_FOUND"
        assert await rows_of(house, "passkey") == before
        assert (await house.do(RENAME, ann["accessToken"], id=made["id"], name="Key"))["name"] == "Key"
        assert (await house.do(DELETE, ann["accessToken"], id=made["id"]))["__typename"] == "Passkey"
        assert (await log_in(house, key))["code"] == "INVALID_PASSKEY"

    async def test_lists_them_in_one_statement(self, house: Any) -> None:
        entry = await house.member()
        for name in ("Phone", "Laptop"):
            await add(house, entry["accessToken"], SoftKey(), name)
        answer = await house.ask(MINE, entry["accessToken"])
        assert [each["name"] for each in answer.data["myPasskeys"]] == ["Phone", "Laptop"]
        assert answer.reads == 1


class Page(BaseHTTPRequestHandler):
    """A page of a shop, with nothing on it."""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Shop</title>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


CREATE = """async options => (await navigator.credentials.create({
  publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })).toJSON()"""
GET = """async options => (await navigator.credentials.get({
  publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) })).toJSON()"""
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class TestARealBrowser:
    async def test_makes_a_passkey_and_logs_in_with_it(self, house: Any, shop_url: str) -> None:
        platform = SqlPlatform(house.database, {})
        house.services[RelyingParties] = TenantSites(platform, shop_url, (), "Shop")
        entry = await house.member()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page()
            devices = await page.context.new_cdp_session(page)
            await devices.send("WebAuthn.enable")
            await devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
            await page.goto(shop_url)

            begun = await house.do(BEGIN, entry["accessToken"], origin=shop_url)
            made = await page.evaluate(CREATE, begun["options"])
            keep = partial(house.do, ADD, entry["accessToken"], challenge=begun["challenge"], name="Chromium")
            assert (await keep(credential=made))["rpId"] == "localhost"

            for _ in range(2):
                asked = await house.do(BEGIN_LOGIN, origin=shop_url)
                signed = await page.evaluate(GET, asked["options"])
                entered = await house.do(LOGIN, challenge=asked["challenge"], credential=signed)
                assert entered["user"] == {"email": "ann@example.com"}
            await browser.close()
        (kept,) = await rows_of(house, "passkey")
        assert kept["sign_count"] > 1
        assert kept["transports"] == ["internal"]

    async def test_is_not_asked_for_a_site_that_is_none_of_the_tenants(self, house: Any) -> None:
        platform = SqlPlatform(house.database, {})
        house.services[RelyingParties] = TenantSites(platform, "https://agora.test", (), "Shop")
        for wrong in ("https://evil.test", "http://agora.test", "null", "//", "https://[", "https://agora.test:8443"):
            assert (await house.do(BEGIN_LOGIN, origin=wrong))["code"] == "INVALID_INPUT"
        assert (await house.do(BEGIN_LOGIN))["options"]["rpId"] == "agora.test"
