"""What tests of second factors and codes need: letters that were queued, authenticator apps, and software passkeys."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import cbor2
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from domain.identity.factors import Secrets
from domain.kernel import SYSTEM, Envelope, Work
from domain.notifications import place_of
from domain.processes import recovering

_ASKED = text("SELECT * FROM platform.event_log WHERE name = :name ORDER BY sequence")
_QUEUED = text("SELECT template, channel, address, data FROM notifications.notification ORDER BY queued_at, id")


async def hear(house: Any, name: str, handler: Any) -> None:
    """Let a handler hear all events of a name, as the worker would."""
    async with house.database.session(house.tenant_id) as session:
        rows = (await session.execute(_ASKED, {"name": name})).mappings().all()
    for row in rows:
        envelope = Envelope(
            event_id=row["event_id"],
            name=name,
            tenant_id=row["tenant_id"],
            aggregate_id=row["aggregate_id"],
            aggregate_type=row["aggregate_type"],
            version=row["version"],
            data=row["data"],
            occurred_at=row["occurred_at"],
            correlation_id="test",
        )
        work = Work(tenant_id=house.tenant_id, actor=SYSTEM, now=house.clock.now, correlation_id="test")
        await house.transactions.run(handler, envelope, work)


async def letters(house: Any) -> list[Any]:
    """Send the codes that were asked for; gives the messages that are queued, what is sealed in them in clear."""
    await hear(house, "identity.code_requested", recovering.send_code)
    async with house.database.session(house.tenant_id) as session:
        rows = (await session.execute(_QUEUED)).mappings().all()
    vault = house.services[Secrets]
    for row in rows:
        for name in {"code", "token"} & row["data"].keys():
            row["data"][name] = vault.decrypt(row["data"][name], place_of(house.tenant_id, row["template"]))
    return list(rows)


async def sent_secret(house: Any) -> str:
    """Give the code or token that was sent last."""
    data = (await letters(house))[-1]["data"]
    return str(data.get("code") or data.get("token"))


@dataclass
class App:
    """An authenticator app."""

    secret: str
    house: Any

    def code(self, steps: int = 0) -> str:
        return str(pyotp.TOTP(self.secret).at(self.house.clock.now + timedelta(seconds=30 * steps)))


BEGIN = """mutation { beginTwoFactor { __typename
  ... on AuthenticatorSecret { secret otpauthUrl } ... on Error { code message } } }"""
ENABLE = """mutation($code: String!) { enableTwoFactor(code: $code) { __typename
  ... on TwoFactor { enabled recoveryCodes } ... on Error { code message } } }"""
COMPLETE = """mutation($challenge: String!, $code: String, $recovery: String, $passkey: JSON, $device: String) {
  completeLogin(challenge: $challenge, code: $code, recoveryCode: $recovery, passkey: $passkey, deviceToken: $device) {
    __typename ... on Authentication { accessToken refreshToken deviceToken withheldRoles session { id secondFactorAt } }
    ... on Error { code message } ... on TooManyAttempts { retryAfterSeconds } } }"""


async def with_app(house: Any, email: str = "ann@example.com", *roles: str) -> tuple[App, list[str], dict[str, Any]]:
    """Turn the second factor of a member on; gives the app, the recovery codes and the log-in."""
    entry = await house.member(email, *roles)
    app = App((await house.do(BEGIN, entry["accessToken"]))["secret"], house)
    made = await house.do(ENABLE, entry["accessToken"], code=app.code())
    assert made["__typename"] == "TwoFactor", made
    return app, made["recoveryCodes"], entry


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftKey:
    """A passkey in software, which signs as a device would, or lies as told."""

    origin: str = "https://shop.test"
    rp_id: str = "shop.test"
    count: int = 1
    verified: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = b""
    user_handle: bytes = b""

    def _authenticator_data(self, attested: bytes = b"") -> bytes:
        flags = 0x01 | (0x04 if self.verified else 0) | (0x40 if attested else 0)
        digest = hashlib.sha256(self.rp_id.encode()).digest()
        return digest + bytes([flags]) + self.count.to_bytes(4, "big") + attested

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer creation options."""
        self.credential_id = hashlib.sha256(unb64(options["challenge"])).digest()
        self.user_handle = unb64(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cose
        data = {"fmt": "none", "attStmt": {}, "authData": self._authenticator_data(attested)}
        return self._credential(
            clientDataJSON=b64(self._client_data("webauthn.create", options["challenge"])),
            attestationObject=b64(cbor2.dumps(data)),
        )

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer request options."""
        self.count += 1
        client, data = self._client_data("webauthn.get", options["challenge"]), self._authenticator_data()
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            clientDataJSON=b64(client),
            authenticatorData=b64(data),
            signature=b64(signature),
            userHandle=b64(self.user_handle),
        )

    def _credential(self, **response: str) -> dict[str, Any]:
        return {
            "id": b64(self.credential_id),
            "rawId": b64(self.credential_id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }


async def rows_of(house: Any, table: str) -> list[dict[str, Any]]:
    """Give all rows of a table of the tenant, to prove that nothing changed."""
    async with house.database.session(house.tenant_id) as session:
        found = await session.execute(text(f"SELECT * FROM identity.{table} ORDER BY 1"))
        return [dict(row) for row in found.mappings()]


async def user_id_of(house: Any, token: str) -> UUID:
    return UUID((await house.do(house.ME, token))["id"])
