"""Passkeys: keys that a device keeps for one site, and what checks what they have signed."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self
from uuid import UUID

import orjson

from domain.identity.events import PasskeyAdded, PasskeyDeleted, PasskeyRenamed
from domain.identity.text import clean
from domain.kernel import Aggregate, DomainError, Work

MAX_PASSKEYS = 20


@dataclass(eq=False)
class InvalidPasskey(DomainError):
    """What the device answered does not fit the challenge, the site or the key."""

    template = "This passkey did not fit. Please begin again."


@dataclass(eq=False)
class PasskeyLimitReached(DomainError):
    """There are as many passkeys as an account may have."""

    limit: int
    template = "An account has at most {limit} passkeys."


@dataclass(frozen=True, kw_only=True)
class RelyingParty:
    """The site that a passkey is for: its id, its name for people, and the web origins that are it."""

    id: str
    name: str
    origins: tuple[str, ...]


class RelyingParties(Protocol):
    """The sites that a tenant is found at."""

    async def at(self, tenant_id: UUID, origin: str | None) -> RelyingParty:
        """Give the site of an origin; without one, the first that the tenant has.

        Raises: InvalidInput for an origin that is none of the tenant's.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class NewCredential:
    """What a device says of the key that it has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: Sequence[str] = ()
    backed_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """What a device signed, as far as it tells by itself: with which key, and for whom."""

    credential_id: bytes
    user_handle: bytes | None
    credential: Mapping[str, Any]


class PasskeyChecks(Protocol):
    """Makes what browsers ask their devices for, and checks what comes back.

    Source: W3C Web Authentication, level 3, §7.
    """

    def creation_options(
        self, party: RelyingParty, user_id: UUID, email: str, nonce: bytes, known: Sequence[bytes]
    ) -> Mapping[str, Any]: ...

    def request_options(self, party: RelyingParty, nonce: bytes, known: Sequence[bytes]) -> Mapping[str, Any]: ...

    def new_credential(self, party: RelyingParty, nonce: bytes, credential: Mapping[str, Any]) -> NewCredential:
        """Check the answer to creation options.

        Raises: InvalidPasskey.
        """
        ...

    def assertion(self, credential: Mapping[str, Any]) -> Assertion:
        """Read the answer to request options, unchecked.

        Raises: InvalidPasskey.
        """
        ...

    def sign_count(self, party: RelyingParty, nonce: bytes, assertion: Assertion, passkey: "Passkey") -> int:
        """Check the answer to request options; gives how often the key has signed.

        Raises: InvalidPasskey, also where the count has not grown, as when a key was copied.
        """
        ...


def origin_of(credential: Mapping[str, Any]) -> str:
    """Give the web origin that a browser says it answered at; what it signed is checked against that origin later.

    Raises: InvalidPasskey where it says none.
    """
    try:
        data = credential["response"]["clientDataJSON"]
        said = orjson.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))
        return str(said["origin"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidPasskey from error


@dataclass(eq=False, kw_only=True)
class Passkey(Aggregate):
    """A key that one of the user's devices keeps."""

    user_id: UUID
    rp_id: str
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str] = field(default_factory=list)
    backed_up: bool = False
    created_at: datetime
    last_used_at: datetime | None = None

    @classmethod
    def add(cls, user_id: UUID, rp_id: str, name: str, made: NewCredential, work: Work) -> Self:
        """Take a new key over.

        Raises: InvalidInput.
        """
        added = cls(
            tenant_id=work.tenant_id,
            user_id=user_id,
            rp_id=rp_id,
            name=clean("name", name),
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=sorted(made.transports),
            backed_up=made.backed_up,
            created_at=work.now,
        )
        added.record(PasskeyAdded(user_id=user_id, passkey_id=added.id))
        return added

    def rename(self, name: str) -> None:
        """Call it by another name.

        Raises: InvalidInput.
        """
        self.name = clean("name", name)
        self.record(PasskeyRenamed(user_id=self.user_id, passkey_id=self.id))

    def use(self, sign_count: int, now: datetime) -> None:
        """Note that it was used."""
        self.sign_count = sign_count
        self.last_used_at = now

    def delete(self) -> None:
        """Note that it goes."""
        self.record(PasskeyDeleted(user_id=self.user_id, passkey_id=self.id))
