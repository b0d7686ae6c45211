"""Second factors: codes of an authenticator app, recovery codes for when it is lost, and the challenges that ask for one."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import pyotp

from domain.identity.events import (
    RecoveryCodesRenewed,
    RecoveryCodeUsed,
    TwoFactorDisabled,
    TwoFactorEnabled,
)
from domain.identity.passkeys import Passkey
from domain.identity.sessions import Client, hash_token, printable
from domain.identity.text import clean_optional
from domain.kernel import Aggregate, DomainError, Work, uuid7

STEP_SECONDS = 30
DRIFT_STEPS = 1
RECOVERY_CODES = 10
RECOVERY_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
RECOVERY_LENGTH = 12
CHALLENGE_BYTES = 32


@dataclass(eq=False)
class InvalidSecondFactor(DomainError):
    """The code, the recovery code or the passkey does not fit, or was used before."""

    template = "That did not fit. Try another code."


@dataclass(eq=False)
class InvalidChallenge(DomainError):
    """The challenge is unknown, used up or run out: begin again."""

    template = "This took too long. Please begin again."


class SecondFactorMethod(StrEnum):
    """With what somebody can show that they are who the password says."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


class Secrets(Protocol):
    """What is done with secrets that are kept: sealed where they are needed in clear, else digested with a key.

    `place` says where a secret belongs; it opens, and fits, nowhere else.
    """

    def encrypt(self, text: str, place: str) -> str: ...

    def decrypt(self, sealed: str, place: str) -> str: ...

    def rotate(self, sealed: str, place: str) -> str: ...

    def digest(self, text: str, place: str) -> bytes: ...


@dataclass(eq=False, kw_only=True)
class RecoveryCode:
    """One code for when the authenticator is lost; only its digest is kept."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    authenticator_id: UUID
    digest: bytes
    used_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Authenticator(Aggregate):
    """A user's authenticator app: a shared secret, the last step in which a code of it was used, and the recovery codes."""

    user_id: UUID
    sealed: str
    confirmed_at: datetime | None = None
    last_step: int = 0
    created_at: datetime
    recovery_codes: list[RecoveryCode] = field(default_factory=list)

    @classmethod
    def blank(cls, user_id: UUID, vault: Secrets, work: Work) -> "tuple[str, Authenticator]":
        """Make one with a new secret; gives the secret in clear, for the app alone."""
        made = cls(tenant_id=work.tenant_id, user_id=user_id, sealed="", created_at=work.now)
        secret = pyotp.random_base32()
        made.sealed = vault.encrypt(secret, made.place)
        return secret, made

    @property
    def place(self) -> str:
        return f"{self.tenant_id}/identity.authenticator/{self.id}"

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def codes_left(self) -> int:
        return sum(each.used_at is None for each in self.recovery_codes)

    def accept(self, code: str, vault: Secrets, now: datetime) -> bool:
        """Use a code of the app up, and say whether it was good: of this step or a neighbour, and later than the last one used.

        Source: RFC 6238 §5.2, a code is accepted once; §6, one step of drift.
        """
        totp = pyotp.TOTP(vault.decrypt(self.sealed, self.place))
        present = int(now.timestamp()) // STEP_SECONDS
        given = "".join(code.split()).encode("utf-8", "surrogatepass")
        for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
            if step > self.last_step and hmac.compare_digest(totp.generate_otp(step).encode(), given):
                self.last_step = step
                self.sealed = vault.rotate(self.sealed, self.place)
                return True
        return False

    def confirm(self, vault: Secrets, now: datetime) -> list[str]:
        """Put the app into force; gives the first recovery codes in clear."""
        self.confirmed_at = now
        self.record(TwoFactorEnabled(user_id=self.user_id))
        return self._new_codes(vault)

    def renew_codes(self, vault: Secrets) -> list[str]:
        """Replace all recovery codes; gives the new ones in clear."""
        self.record(RecoveryCodesRenewed(user_id=self.user_id))
        return self._new_codes(vault)

    def redeem(self, code: str, vault: Secrets, now: datetime) -> bool:
        """Use a recovery code up, and say whether it was good."""
        digest = vault.digest(_typed(code), self.place)
        for each in self.recovery_codes:
            if each.used_at is None and hmac.compare_digest(each.digest, digest):
                each.used_at = now
                self.record(RecoveryCodeUsed(user_id=self.user_id, left=self.codes_left))
                return True
        return False

    def retire(self) -> None:
        """Note that the second factor goes."""
        self.record(TwoFactorDisabled(user_id=self.user_id))

    def _new_codes(self, vault: Secrets) -> list[str]:
        fresh = [
            "".join(secrets.choice(RECOVERY_LETTERS) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)
        ]
        self.recovery_codes[:] = [
            RecoveryCode(tenant_id=self.tenant_id, authenticator_id=self.id, digest=vault.digest(each, self.place))
            for each in fresh
        ]
        return ["-".join(each[start : start + 4] for start in range(0, RECOVERY_LENGTH, 4)) for each in fresh]


def _typed(code: str) -> str:
    """Give a recovery code as it was made, however it was typed."""
    return "".join(each for each in code.lower() if each.isalnum())


def otpauth_url(secret: str, email: str, issuer: str) -> str:
    """Give what a QR code for an authenticator app says."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer))


class ChallengePurpose(StrEnum):
    """What a challenge is answered for."""

    SECOND_FACTOR = "second_factor"
    PASSKEY_LOGIN = "passkey_login"
    PASSKEY_REGISTRATION = "passkey_registration"


@dataclass(eq=False, kw_only=True)
class Challenge:
    """Something to be answered once, soon, and by whom it was put to; only the hash of its token is kept.

    `nonce` is what a passkey signs, for the site `rp_id` alone.
    """

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    purpose: ChallengePurpose
    user_id: UUID | None
    token_hash: bytes
    nonce: bytes
    rp_id: str | None = None
    address: str = ""
    user_agent: str | None = None
    device_name: str | None = None
    expires_at: datetime

    @classmethod
    def put(
        cls,
        purpose: ChallengePurpose,
        user_id: UUID | None,
        lifetime: timedelta,
        work: Work,
        client: Client | None = None,
        rp_id: str | None = None,
    ) -> "tuple[str, Challenge]":
        """Make a challenge; gives its token in clear, for the client alone."""
        token, client = secrets.token_urlsafe(CHALLENGE_BYTES), client or Client()
        made = cls(
            tenant_id=work.tenant_id,
            purpose=purpose,
            user_id=user_id,
            token_hash=hash_token(token),
            nonce=secrets.token_bytes(CHALLENGE_BYTES),
            rp_id=rp_id,
            address=client.address,
            user_agent=printable(client.user_agent),
            device_name=clean_optional("deviceName", client.device_name),
            expires_at=work.now + lifetime,
        )
        return token, made


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """Which second factors a user has."""

    totp: bool = False
    recovery_codes: int = 0
    passkeys: Sequence[bytes] = ()

    @property
    def methods(self) -> tuple[SecondFactorMethod, ...]:
        named = {
            SecondFactorMethod.TOTP: self.totp,
            SecondFactorMethod.RECOVERY_CODE: self.totp and self.recovery_codes > 0,
            SecondFactorMethod.PASSKEY: bool(self.passkeys),
        }
        return tuple(method for method, there in named.items() if there)


class Factors(Protocol):
    """Second factors for change: what is given is locked until the transaction ends."""

    async def enrolled(self, user_id: UUID) -> Enrolled: ...

    async def authenticator(self, user_id: UUID) -> Authenticator | None: ...

    async def challenge(self, token_hash: bytes, purpose: ChallengePurpose, now: datetime) -> Challenge | None:
        """Give a challenge that has not run out."""
        ...

    def add(self, factor: Authenticator | Passkey | Challenge) -> None: ...

    async def remove(self, factor: Authenticator | Passkey | Challenge) -> None: ...

    async def passkey(self, credential_id: bytes) -> Passkey | None: ...

    async def own_passkey(self, user_id: UUID, passkey_id: UUID) -> Passkey | None: ...

    async def forget_all(self, user_id: UUID) -> None:
        """Remove whatever second factors a user has."""
        ...


class FactorReads(Protocol):
    """Batch reads, each in the order of its keys; no secret is among them."""

    async def passkeys(self, user_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def authenticators(self, user_ids: Sequence[UUID]) -> list[Any | None]: ...
