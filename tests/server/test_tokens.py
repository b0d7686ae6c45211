"""Access tokens: what they say, who can read them, and which are refused."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from domain.kernel import Principal, Unauthenticated, uuid7
from server.tokens import JWKS_PATH, KeyRing, TokenService, jwks_endpoint

START = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC)
ANN = Principal(
    user_id=uuid7(),
    tenant_id=uuid7(),
    session_id=uuid7(),
    roles=frozenset({"buyer", "store_manager"}),
    permissions=frozenset({"inventory.adjust"}),
    store_ids=frozenset({uuid7()}),
)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now.timestamp()


def derive(secret: str) -> Callable[[str, int], bytes]:
    return lambda purpose, length: (f"{secret}:{purpose}:".encode() * length)[:length]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> KeyRing:
    return KeyRing(derive("ours"), clock=clock)


def service(keys: KeyRing, clock: Clock, **other: Any) -> TokenService:
    options = {"issuer": "https://shop.test", "audience": "agora", "lifetime": timedelta(minutes=15), **other}
    return TokenService(keys, clock=clock, **options)


@pytest.fixture
def tokens(keys: KeyRing, clock: Clock) -> TokenService:
    return service(keys, clock)


def parts(token: str) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def rewritten(token: str, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    """The token with other contents under the old signature."""
    old = parts(token)
    new = [{**old[0], **(header or {})}, {**old[1], **(claims or {})}]
    return ".".join([*map(encoded, new), token.rsplit(".", 1)[1]])


class TestIssue:
    def test_says_who_it_is_for(self, tokens: TokenService) -> None:
        issued = tokens.issue(ANN, START)
        verified = tokens.verify(issued.token)
        assert verified.principal == ANN
        assert verified.issued_at == START.timestamp()
        assert issued.expires_in == 900

    def test_is_readable_by_anybody_with_the_key_set(self, tokens: TokenService, keys: KeyRing) -> None:
        app = Starlette(routes=[Route(JWKS_PATH, jwks_endpoint(keys))])
        with TestClient(app) as client:
            answer = client.get(JWKS_PATH)
        assert answer.headers["cache-control"] == "public, max-age=3600"
        published = answer.json()
        assert all("d" not in key and key["alg"] == "ES256" and key["kid"] for key in published["keys"])
        claims = jwt.decode(
            tokens.issue(ANN, START).token, KeySet.import_key_set(published), algorithms=["ES256"]
        ).claims
        assert claims["sub"] == str(ANN.user_id)
        assert claims["exp"] - claims["iat"] == 900

    def test_never_repeats_a_token(self, tokens: TokenService) -> None:
        assert tokens.issue(ANN, START).token != tokens.issue(ANN, START).token


class TestVerify:
    def test_refuses_a_token_from_its_last_second_on(self, tokens: TokenService, clock: Clock) -> None:
        token = tokens.issue(ANN, START).token
        clock.now += timedelta(minutes=14, seconds=59)
        tokens.verify(token)
        clock.now += timedelta(seconds=1)
        with pytest.raises(Unauthenticated, match="expired"):
            tokens.verify(token)

    @pytest.mark.parametrize("claim", [{"sub": str(uuid7())}, {"permissions": ["*"]}, {"exp": 99999999999}])
    def test_refuses_changed_claims(self, tokens: TokenService, claim: dict[str, Any]) -> None:
        with pytest.raises(Unauthenticated):
            tokens.verify(rewritten(tokens.issue(ANN, START).token, claims=claim))

    @pytest.mark.parametrize("alg", ["none", "None", "HS256", "ES384", "EdDSA"])
    def test_refuses_every_other_algorithm(self, tokens: TokenService, alg: str) -> None:
        token = rewritten(tokens.issue(ANN, START).token, header={"alg": alg})
        for forged in (token, token.rsplit(".", 1)[0] + "."):
            with pytest.raises(Unauthenticated):
                tokens.verify(forged)

    def test_refuses_the_public_key_as_a_shared_secret(self, tokens: TokenService, keys: KeyRing) -> None:
        header, claims = parts(tokens.issue(ANN, START).token)
        signed = ".".join(encoded(part) for part in ({**header, "alg": "HS256"}, claims))
        mac = hmac.digest(keys.signing().as_pem(private=False), signed.encode(), "sha256")
        forged = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        with pytest.raises(Unauthenticated):
            tokens.verify(forged)

    def test_refuses_a_key_that_the_token_brings_along(self, tokens: TokenService) -> None:
        header, claims = parts(tokens.issue(ANN, START).token)
        own = ECKey.generate_key("P-256")
        for more in ({}, {"kid": own.thumbprint()}, {"jwk": own.as_dict(private=False)}):
            forged = jwt.encode({**header, **more}, claims, own, algorithms=["ES256"])
            with pytest.raises(Unauthenticated):
                tokens.verify(forged)

    @pytest.mark.parametrize("key_id", [None, 7, ["a"], {}, "", "unknown"])
    def test_refuses_a_key_that_it_does_not_know(self, tokens: TokenService, key_id: Any) -> None:
        with pytest.raises(Unauthenticated):
            tokens.verify(rewritten(tokens.issue(ANN, START).token, header={"kid": key_id}))

    def test_refuses_other_issuers_audiences_and_secrets(
        self, tokens: TokenService, keys: KeyRing, clock: Clock
    ) -> None:
        for other in (
            service(keys, clock, issuer="https://other.test"),
            service(keys, clock, audience="elsewhere"),
            service(KeyRing(derive("theirs"), clock=clock), clock),
        ):
            with pytest.raises(Unauthenticated):
                tokens.verify(other.issue(ANN, START).token)

    def test_refuses_other_kinds_of_token(self, tokens: TokenService, keys: KeyRing) -> None:
        header, claims = parts(tokens.issue(ANN, START).token)
        other = jwt.encode({**header, "typ": "JWT"}, claims, keys.signing(), algorithms=["ES256"])
        with pytest.raises(Unauthenticated):
            tokens.verify(other)

    def test_refuses_a_token_from_the_future(self, tokens: TokenService) -> None:
        with pytest.raises(Unauthenticated):
            tokens.verify(tokens.issue(ANN, START + timedelta(minutes=1)).token)

    @pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat_us", "tenant", "sid", "roles", "permissions"])
    def test_refuses_a_token_that_lacks_a_claim(self, tokens: TokenService, keys: KeyRing, claim: str) -> None:
        header, claims = parts(tokens.issue(ANN, START).token)
        del claims[claim]
        short = jwt.encode(header, claims, keys.signing(), algorithms=["ES256"])
        with pytest.raises(Unauthenticated):
            tokens.verify(short)

    @pytest.mark.parametrize(
        "rubbish", ["", ".", "..", "a.b.c", "\x00", "é.é.é", "\ud800", "x" * 10_000, "e30.e30.e30"]
    )
    def test_refuses_rubbish(self, tokens: TokenService, rubbish: str) -> None:
        with pytest.raises(Unauthenticated):
            tokens.verify(rubbish)


class TestKeyRing:
    def test_changes_the_key_and_still_knows_the_last_one(
        self, tokens: TokenService, keys: KeyRing, clock: Clock
    ) -> None:
        first, period = keys.signing().thumbprint(), timedelta(days=30).total_seconds()
        clock.now += timedelta(seconds=period - START.timestamp() % period - 60)
        token = tokens.issue(ANN, clock.now).token
        assert keys.signing().thumbprint() == first
        clock.now += timedelta(minutes=2)
        assert keys.signing().thumbprint() != first
        assert tokens.verify(token).principal == ANN
        clock.now += timedelta(days=31)
        assert keys.find(first) is None

    def test_publishes_the_next_key_before_it_signs(self, keys: KeyRing, clock: Clock) -> None:
        published = {key["kid"] for key in keys.public()["keys"]}
        assert len(published) == 3
        clock.now += timedelta(days=30)
        assert keys.signing().thumbprint() in published

    def test_is_the_same_in_every_process_with_the_secret(self, keys: KeyRing, clock: Clock) -> None:
        assert KeyRing(derive("ours"), clock=clock).public() == keys.public()
        assert KeyRing(derive("theirs"), clock=clock).public() != keys.public()
