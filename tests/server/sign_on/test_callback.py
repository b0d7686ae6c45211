"""The whole way through the application as it is served: a browser, a provider, and the client that began."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from data.embedded import Engines
from domain.identity.identity_providers import Authorization, ProviderKind
from domain.kernel import uuid7
from server.settings import OidcProvider, Settings
from server.sign_on.directory import ConfiguredProviders, SignOnSettings
from tests.conftest import tenant_maker
from tests.identity_provider import ANN, BACK, CLIENT_ID, CLIENT_SECRET, Provider, come_back, missing, provider_running
from tests.schema.identity.sign_on import BEGIN, ENTER
from tests.server.application import Application, served

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")
CALLBACK = "/auth/callback/acme"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_running(BACK) as started:
        started.calm(ann=ANN)
        yield started


@pytest.fixture(scope="module")
async def shop(
    engines: Engines,
    new_database: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    provider: Provider,
) -> AsyncIterator[Application]:
    acme = OidcProvider(
        name="acme", title="Acme", issuer=provider.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET
    )
    settings = Settings(
        home=tmp_path_factory.mktemp("sign_on"),
        database_url=new_database("sign_on"),
        redis_url=engines.redis_url,
        redis_namespace="sign_on",
        secret_key="a secret that is long enough for tests",
        oidc_providers=(acme,),
        login_redirect_uris=("com.example.app:/back",),
    )
    with served(settings) as running:
        yield running
        await running.client.aclose()


@pytest.fixture
def code(shop: Application) -> str:
    made = f"t{uuid7().hex}"
    tenant_maker(shop.settings.database_url)(code=made)
    return made


def kept(shop: Application) -> list[Any]:
    engine = create_engine(
        shop.settings.database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool
    )
    with engine.begin() as connection:
        found = connection.execute(
            text("SELECT first_name, last_name FROM identity.social_login WHERE used_at IS NULL")
        )
        return [tuple(row) for row in found]


async def begin(shop: Application, code: str, back: str = BACK) -> dict[str, Any]:
    answer = await shop.ask(BEGIN, {"provider": "acme", "back": back}, tenant=code)
    return dict(answer.data["beginSocialLogin"])


class TestABrowser:
    async def test_goes_to_the_provider_and_comes_back_to_be_logged_in(self, shop: Application, code: str) -> None:
        begun = await begin(shop, code)
        back = await come_back(begun["authorizationUrl"], "ann")
        given = {
            "provider": "acme",
            "code": back["code"],
            "state": back["state"],
            "binding": begun["binding"],
            "issuer": back["iss"],
        }
        entered = (await shop.ask(ENTER, given, tenant=code)).data["socialLogin"]
        assert entered["__typename"] == "Authentication", entered
        me = await shop.ask("{ me { email displayName } }", tenant=code, token=entered["accessToken"])
        assert me.data["me"] == {"email": "ann@acme.example", "displayName": "Ann"}
        again = (await shop.ask(ENTER, given, tenant=code)).data["socialLogin"]
        assert again["__typename"] == "SocialLoginRefused"


class TestApple:
    async def test_posts_a_form_to_this_server(self, provider: Provider) -> None:
        apple = replace(provider.connection("apple"), kind=ProviderKind.APPLE)
        providers = ConfiguredProviders(SignOnSettings(public_url="https://shop.example", sheltered=False))
        way = Authorization(state="s", nonce="n", verifier="v" * 43, redirect_uri="com.example.app:/back")
        asked = dict(parse_qsl(urlsplit(await providers.authorization_url(apple, way)).query))
        await providers.close()
        assert asked["response_mode"] == "form_post"
        assert asked["redirect_uri"] == "https://shop.example/auth/callback/apple"
        assert (asked["state"], asked["nonce"], asked["code_challenge_method"]) == ("s", "n", "S256")


class TestTheCallback:
    async def test_sends_a_posted_form_on_to_the_client_that_began(self, shop: Application, code: str) -> None:
        begun = await begin(shop, code, "com.example.app:/back")
        form = {
            "code": "the code",
            "state": begun["state"],
            "id_token": "is not passed on",
            "user": json.dumps({"name": {"firstName": "Ann\n", "lastName": "A" * 200}}),
        }
        answer = await shop.client.post(CALLBACK, data=form)
        assert answer.status_code == 303
        target = urlsplit(answer.headers["location"])
        assert f"{target.scheme}:{target.path}" == "com.example.app:/back"
        assert dict(parse_qsl(target.query)) == {"code": "the code", "state": begun["state"]}
        assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
        assert "set-cookie" not in answer.headers
        assert ("Ann", "A" * 100) in kept(shop)

    async def test_passes_a_refusal_on(self, shop: Application, code: str) -> None:
        begun = await begin(shop, code)
        answer = await shop.client.get(CALLBACK, params={"error": "access_denied", "state": begun["state"]})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{BACK}?state={begun['state']}&error=access_denied"

    async def test_leads_nowhere_else(self, shop: Application, code: str) -> None:
        begun = await begin(shop, code)
        before = kept(shop)
        for path, form in (
            (CALLBACK, {"code": "c"}),
            (CALLBACK, {"code": "c", "state": ""}),
            (CALLBACK, {"code": "c", "state": "made up", "redirect_uri": "https://evil.example"}),
            ("/auth/callback/apple", {"code": "c", "state": begun["state"]}),
            (CALLBACK, {f"field{number}": "x" for number in range(50)}),
        ):
            answer = await shop.client.post(path, data=form)
            assert (answer.status_code, "location" in answer.headers) == (400, False)
        broken = await shop.client.post(CALLBACK, content=b"\xff\xfe=%zz")
        assert broken.status_code == 400
        assert kept(shop) == before
