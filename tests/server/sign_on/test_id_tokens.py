"""Whose signature on an ID token counts."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from domain.identity.identity_providers import SocialLoginRefused
from server.sign_on.id_tokens import UnknownKey, read_id_token

NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {
    "iss": "https://idp.example",
    "aud": "agora",
    "sub": "ann",
    "nonce": "once",
    "iat": NOW,
    "exp": NOW + 300,
}
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
KEYS = KeySet([KEY])


def read(token: Any, keys: KeySet = KEYS, now: int = NOW) -> dict[str, Any]:
    return read_id_token(
        token, keys, issuer="https://idp.example", client_id="agora", nonce="once", access_token=None, now=now
    )


def signed(algorithm: str = "RS256", key: Any = KEY, **changed: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": "one"}, {**CLAIMS, **changed}, key, algorithms=[algorithm])


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class TestAnIdToken:
    @pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256"])
    def test_by_the_providers_key_is_read(self, algorithm: str) -> None:
        assert read(signed(algorithm))["sub"] == "ann"

    def test_by_a_key_on_a_curve_is_read(self) -> None:
        curve = ECKey.generate_key("P-256", {"kid": "one"})
        assert read(signed("ES256", curve), KeySet([curve]))["sub"] == "ann"

    def test_that_nobody_signed_is_refused(self) -> None:
        for algorithm in ("none", "None", "NONE"):
            with pytest.raises(SocialLoginRefused):
                read(f"{part({'alg': algorithm, 'kid': 'one'})}.{part(CLAIMS)}.")

    def test_signed_with_the_public_key_as_if_it_were_a_secret_is_refused(self) -> None:
        signed_part = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(CLAIMS)}"
        digest = hmac.new(KEY.as_pem(private=False), signed_part.encode(), hashlib.sha256).digest()
        with pytest.raises(SocialLoginRefused):
            read(f"{signed_part}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")

    def test_by_another_key_is_unknown(self) -> None:
        other = RSAKey.generate_key(2048, {"kid": "one"})
        with pytest.raises(UnknownKey):
            read(signed(key=other))
        with pytest.raises(UnknownKey):
            read(signed(), KeySet([RSAKey.generate_key(2048, {"kid": "two"})]))

    @pytest.mark.parametrize("token", [None, 7, "", "a.b.c", "a" * 70_000, f"{part([])}.{part(CLAIMS)}.AA"])
    def test_that_is_none_is_refused(self, token: Any) -> None:
        with pytest.raises(SocialLoginRefused):
            read(token)

    def test_is_good_until_a_minute_after_it_has_run_out(self) -> None:
        assert read(signed(), now=NOW + 359)["sub"] == "ann"
        with pytest.raises(SocialLoginRefused):
            read(signed(), now=NOW + 361)

    @pytest.mark.parametrize(
        "changed",
        [{"iat": "soon"}, {"iat": NOW + 3_600}, {"exp": "later"}, {"aud": []}, {"aud": {"agora": 1}}, {"nonce": 1}],
        ids=str,
    )
    def test_that_says_nonsense_is_refused(self, changed: dict[str, Any]) -> None:
        with pytest.raises(SocialLoginRefused):
            read(signed(**changed))
