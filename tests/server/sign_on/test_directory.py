"""The installation's providers: Apple's secret, Telegram's signature, and what the settings name."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from domain.identity.identity_providers import Authorization, Connection, ProviderKind, Redemption, SocialLoginRefused
from domain.kernel import InvalidInput
from server.settings import OidcProvider, Settings
from server.sign_on import apple
from server.sign_on.directory import ConfiguredProviders, SignOnSettings
from server.sign_on.oidc import vouched_identity
from server.sign_on.wiring import sign_on_settings
from tests.server.sign_on.telegram import BOT, NOW, packed, signed

BACK = "https://shop.example/back"
WAY = Authorization(state="the state", nonce="n", verifier="v" * 43, redirect_uri=BACK)
TELEGRAM = Connection(provider="telegram", title="Telegram", kind=ProviderKind.TELEGRAM, client_id="1234", secret=BOT)


def providers(**more: Any) -> ConfiguredProviders:
    return ConfiguredProviders(SignOnSettings(**more), clock=lambda: NOW)


async def identify(result: str) -> Any:
    back = Redemption(code=result, nonce="n", verifier="v", redirect_uri=BACK)
    return await providers().identify(TELEGRAM, back)


class TestTelegram:
    async def test_is_believed_what_it_has_signed(self) -> None:
        found = await identify(signed(last_name="Ākre", username="ann", photo_url="https://t.me/i/ann.jpg"))
        assert (found.subject, found.first_name, found.last_name) == ("77", "Ann", "Ākre")
        assert (found.email, found.email_verified) == (None, False)
        assert len(found.proof) == 32

    @pytest.mark.parametrize("age", [-61, 601, 86_400])
    async def test_is_believed_for_ten_minutes(self, age: int) -> None:
        with pytest.raises(SocialLoginRefused, match="old"):
            await identify(signed(auth_date=NOW - age))

    @pytest.mark.parametrize(
        "result",
        [
            "",
            "%%%",
            packed([]),
            packed({}),
            packed({"id": 77, "auth_date": NOW}),
            packed({"id": 77, "auth_date": NOW, "hash": 7}),
            packed({"id": 77, "auth_date": NOW, "hash": "é"}),
            packed({"id": 77, "auth_date": NOW, "hash": "00" * 32}),
            packed({"id": {"a": 1}, "auth_date": NOW, "hash": "00" * 32}),
            signed(token="another bot's"),
            signed(id="not a number"),
            signed(auth_date="soon"),
            "A" * 9_000,
        ],
        ids=range(13),
    )
    async def test_is_not_believed_what_others_say(self, result: str) -> None:
        with pytest.raises(SocialLoginRefused):
            await identify(result)

    async def test_has_every_field_signed(self) -> None:
        told = json.loads(base64.urlsafe_b64decode(signed() + "=="))
        for changed in ({"id": 78}, {"first_name": "Bob"}, {"auth_date": NOW}, {"last_name": "Added"}):
            with pytest.raises(SocialLoginRefused, match="signature"):
                await identify(packed(told | changed))

    async def test_is_asked_on_its_own_page(self) -> None:
        url = urlsplit(await providers().authorization_url(TELEGRAM, WAY))
        asked = dict(parse_qsl(url.query))
        assert (url.hostname, asked["bot_id"], asked["origin"]) == (
            "oauth.telegram.org",
            "1234",
            "https://shop.example",
        )
        assert asked["return_to"] == f"{BACK}?state=the+state"
        assert "a token" not in url.query


class TestApple:
    KEY = ECKey.generate_key("P-256")

    @pytest.fixture
    def connection(self) -> Connection:
        pem = self.KEY.as_pem(private=True).decode().replace("\n", "\\n")
        return Connection(
            provider="apple",
            title="Apple",
            kind=ProviderKind.APPLE,
            issuer=apple.ISSUER,
            client_id="com.example.shop",
            secret=apple.sealed_key("TEAM", "KEY1", pem),
        )

    def test_is_shown_a_secret_that_is_made_for_the_moment(self, connection: Connection) -> None:
        made = jwt.decode(apple.client_secret(connection, NOW), self.KEY, algorithms=["ES256"])
        assert (made.header["kid"], made.header["alg"]) == ("KEY1", "ES256")
        assert made.claims == {
            "iss": "TEAM",
            "iat": NOW,
            "exp": NOW + 300,
            "aud": "https://appleid.apple.com",
            "sub": "com.example.shop",
        }

    def test_tells_a_name_once(self) -> None:
        told = '{"name": {"firstName": "Ann", "lastName": "Acre"}, "email": "ann@example.com"}'
        assert apple.name_told(told) == ("Ann", "Acre")
        for nothing in (None, "", "{", "[]", "{}", '{"name": "Ann"}', '{"name": {"firstName": 7}}', "x" * 5_000):
            assert apple.name_told(nothing) == (None, None)

    def test_writes_whether_an_address_is_verified_as_a_word(self, connection: Connection) -> None:
        for word, verified in (("true", True), (True, True), ("false", False), (1, False), (None, False)):
            claims = {"sub": "a", "email": "a@example.com", "email_verified": word}
            assert vouched_identity(connection, claims).email_verified is verified


class TestTheDirectory:
    def test_has_what_the_settings_name(self, tmp_path: Path) -> None:
        further = OidcProvider(
            name="keycloak",
            title="Keycloak",
            issuer="https://id.example/realms/a",
            client_id="a",
            client_secret="told to nobody",
        )
        settings = Settings(
            home=tmp_path,
            google_client_id="g",
            google_client_secret="told to nobody",
            apple_client_id="com.example.shop",
            telegram_bot_token=BOT,
            oidc_providers=(further,),
            login_redirect_uris="https://shop.example/back, com.example.app:/back",
        )
        made = sign_on_settings(settings)
        names = [(each.provider, each.kind) for each in ConfiguredProviders(made).offers()]
        kinds = (ProviderKind.OIDC, ProviderKind.APPLE, ProviderKind.TELEGRAM, ProviderKind.OIDC)
        assert names == list(zip(("google", "apple", "telegram", "keycloak"), kinds, strict=True))
        assert made.redirect_uris == ("https://shop.example/back", "com.example.app:/back")
        for each in made.connections:
            assert not each.secret or each.secret not in repr(each)

    def test_of_a_child_process_is_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = '[{"name": "id", "title": "I", "issuer": "https://id.example", "client_id": "a", "client_secret": "b"}]'
        monkeypatch.setenv("AGORA_OIDC_PROVIDERS", given)
        monkeypatch.setenv("AGORA_LOGIN_REDIRECT_URIS", "https://shop.example/back")
        parent = Settings(home=tmp_path)
        for name, value in parent.as_environment().items():
            monkeypatch.setenv(name, value)
        assert Settings(home=tmp_path).oidc_providers == parent.oidc_providers

    @pytest.mark.parametrize("name", ["google", "sso.acme", "Two", ""])
    def test_takes_no_name_that_is_anothers(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="name"):
            Settings(
                home=tmp_path,
                oidc_providers=[
                    {"name": name, "title": "A", "issuer": "https://a.example", "client_id": "a", "client_secret": "b"}
                ],
            )

    @pytest.mark.parametrize("address", ["http://127.0.0.1:3000/back", "http://localhost/", "https://shop.example/bac"])
    def test_is_strict_in_production(self, address: str) -> None:
        with pytest.raises(InvalidInput):
            providers(redirect_uris=[BACK]).accept_redirect(address, ())

    def test_takes_what_is_listed(self) -> None:
        made = providers(redirect_uris=[BACK, "com.example.app:/back"])
        for each in listed():
            assert made.accept_redirect(each, ["https://tenant.example/back"]) == each

    def test_calls_tenants_providers_by_https_in_production(self) -> None:
        assert providers().accept_issuer("https://id.example/realms/a") == "https://id.example/realms/a"
        with pytest.raises(InvalidInput):
            providers().accept_issuer("http://id.example")
        assert providers(sheltered=False).accept_issuer("http://id.example") == "http://id.example"


def listed() -> Iterator[str]:
    yield from (BACK, "com.example.app:/back", "https://tenant.example/back")
