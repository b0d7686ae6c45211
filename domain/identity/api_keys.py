"""API keys: what a program acts with in its user's name, within scopes that only ever narrow what the user may."""

import re
import secrets
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, ClassVar, Protocol
from uuid import UUID

from domain.identity.events import AboutUser
from domain.identity.roles import PERMISSIONS, require_all
from domain.identity.sessions import hash_token
from domain.identity.text import clean
from domain.identity.users import User, Users, UserStatus
from domain.kernel import (
    SELF_SCOPE,
    Aggregate,
    DomainError,
    InvalidInput,
    NotFound,
    Principal,
    Work,
    also_when_suspended,
    event,
)
from domain.paging import Page, PageRequest

PREFIX = "agora_"
MAX_KEYS = 50
MAX_SCOPES = 100
MAX_STORES = 50
DEFAULT_RATE_PER_MINUTE = 600
MAX_RATE_PER_MINUTE = 60_000
DEFAULT_GRACE_SECONDS = 24 * 3_600
MAX_GRACE_SECONDS = 7 * 24 * 3_600
MANAGE = "identity.manage"
ALL_STORES = "stores.any"
ALL_TENANTS = "tenancy.platform"
SECRET_CHARACTERS = 43
"""62 to the power of 43 is a little more than 2 to the power of 256."""
CHECKSUM_CHARACTERS = 6
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{32}})_[0-9A-Za-z]{{{SECRET_CHARACTERS + CHECKSUM_CHARACTERS}}}", re.ASCII)


@dataclass(eq=False)
class ApiKeyLimitReached(DomainError):
    """A user has as many keys as one may have that work."""

    limit: int
    template = "A user has at most {limit} API keys that work; revoke one first."


@event("identity.api_key_created")
@dataclass(frozen=True, kw_only=True)
class ApiKeyCreated(AboutUser):
    api_key_id: UUID
    scopes: Sequence[str]
    store_ids: Sequence[UUID]
    expires_at: datetime | None


@event("identity.api_key_rotated")
@dataclass(frozen=True, kw_only=True)
class ApiKeyRotated(AboutUser):
    api_key_id: UUID
    previous_good_until: datetime


@event("identity.api_key_revoked")
@dataclass(frozen=True, kw_only=True)
class ApiKeyRevoked(AboutUser):
    api_key_id: UUID


def _checksum(text: str) -> str:
    number, letters = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, place = divmod(number, len(LETTERS))
        letters = LETTERS[place] + letters
    return letters


def make_key(key_id: UUID) -> str:
    """Make a key in clear: prefix, id, 256 random bits, and a checksum by which secret scanners know one from its like.

    Source: the format of GitHub's tokens; the checksum is CRC-32 of all before it, in base 62.
    """
    head = f"{PREFIX}{key_id.hex}_" + "".join(secrets.choice(LETTERS) for _ in range(SECRET_CHARACTERS))
    return head + _checksum(head)


def key_id_of(clear: str) -> UUID | None:
    """Give the id that a well-formed key names; None for what cannot be one, which costs no look at the database."""
    found = _KEY.fullmatch(clear)
    if found is None or _checksum(clear[:-CHECKSUM_CHARACTERS]) != clear[-CHECKSUM_CHARACTERS:]:
        return None
    return UUID(hex=found[1])


@dataclass(eq=False, kw_only=True)
class ApiKey(Aggregate):
    """A user's key for a program. Only hashes are kept: of its secret, and for a while of the one before."""

    SUBJECT: ClassVar[str] = "ApiKey"

    user_id: UUID
    name: str
    secret_hash: bytes
    scopes: list[str] = field(default_factory=list)
    store_ids: list[UUID] = field(default_factory=list)
    rate_limit_per_minute: int = DEFAULT_RATE_PER_MINUTE
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_hash: bytes | None = None
    previous_good_until: datetime | None = None

    def rotate(self, secret_hash: bytes, grace: timedelta, now: datetime) -> None:
        """Take another secret; the present one stays good for the grace time, one before it ends at once.

        Raises: NotFound for a key that does not work any more.
        """
        if not self.works(now):
            raise NotFound(kind=self.SUBJECT, id=str(self.id))
        self.previous_hash, self.previous_good_until = self.secret_hash, now + grace
        self.secret_hash = secret_hash
        self.record(
            ApiKeyRotated(user_id=self.user_id, api_key_id=self.id, previous_good_until=self.previous_good_until)
        )

    def revoke(self, now: datetime) -> None:
        """End the key; ending it twice is ending it once."""
        if self.revoked_at is None:
            self.revoked_at = now
            self.record(ApiKeyRevoked(user_id=self.user_id, api_key_id=self.id))

    def works(self, now: datetime) -> bool:
        """Say whether the key was neither revoked nor has run out."""
        return works(self, now)


def works(key: Any, now: datetime) -> bool:
    """Say whether a key, or a row of one, was neither revoked nor has run out."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def fits(key: Any, token_hash: bytes, now: datetime) -> bool:
    """Say whether a hash is that of the key's secret, or of the one before while that is still good."""
    if compare_digest(key.secret_hash, token_hash):
        return True
    previous, until = key.previous_hash, key.previous_good_until
    return previous is not None and now < until and compare_digest(previous, token_hash)


def narrowed(scopes: Collection[str], granted: Collection[str]) -> frozenset[str]:
    """Give what both the scopes of a key and the grants of its user permit, wildcards included."""
    holder, key = Principal(permissions=frozenset(granted)), Principal(permissions=frozenset(scopes))
    return frozenset({*filter(holder.may, scopes), *filter(key.may, granted)})


def check_scopes(scopes: Collection[str], store_ids: Collection[UUID], actor: Principal) -> list[str]:
    """Accept what a key may be good for: what its maker may do now, in one tenant, and where stores are named in those.

    Raises: InvalidInput, Forbidden.
    """
    if not 0 < len(scopes) <= MAX_SCOPES:
        raise InvalidInput(field="scopes", reason=f"a key has 1 to {MAX_SCOPES}")
    areas = {f"{name.partition('.')[0]}.*" for name in PERMISSIONS}
    if unknown := sorted(set(scopes) - PERMISSIONS.keys() - areas):
        raise InvalidInput(field="scopes", reason=f"there is no permission {unknown[0][:80]!r}")
    asked = Principal(permissions=frozenset(scopes))
    if asked.may(ALL_TENANTS):
        raise InvalidInput(field="scopes", reason="a key works in one tenant only")
    if store_ids and asked.may(ALL_STORES):
        raise InvalidInput(field="scopes", reason="a key for some stores cannot act for every store")
    require_all(actor, set(scopes) - {SELF_SCOPE})
    return sorted(set(scopes))


def _stores(store_ids: Collection[UUID], actor: Principal) -> list[UUID]:
    if len(store_ids) > MAX_STORES:
        raise InvalidInput(field="storeIds", reason=f"a key names at most {MAX_STORES} stores")
    for each in store_ids:
        if not actor.works_at(each):
            raise NotFound(kind="Store", id=str(each))
    return sorted(set(store_ids))


def _between(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidInput(field=field, reason=f"it lies between {least} and {most}")
    return value


@dataclass(frozen=True, kw_only=True)
class CreateApiKey:
    """Make a key; without stores it is good for all that its user works at, without an end until it is revoked."""

    name: str
    scopes: Sequence[str]
    store_ids: Sequence[UUID] = ()
    rate_limit_per_minute: int = DEFAULT_RATE_PER_MINUTE
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RotateApiKey:
    """Give one's key another secret."""

    id: UUID
    grace_seconds: int = DEFAULT_GRACE_SECONDS


@dataclass(frozen=True, kw_only=True)
class RevokeApiKey:
    """End a key: one's own, or anybody's for those who manage users."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class IssuedApiKey:
    """A key with its secret in clear, which is shown this once and kept nowhere."""

    api_key: ApiKey
    key: str


class ApiKeys(Protocol):
    """Keys for change: what is given is locked until the transaction ends."""

    async def get(self, key_id: UUID) -> ApiKey | None: ...

    async def count_working(self, user_id: UUID, now: datetime) -> int: ...

    def add(self, key: ApiKey) -> None: ...


class ApiKeyReads(Protocol):
    """Keys in lists, and over all tenants what the door needs to know of one."""

    async def of_users(self, user_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def listed(self, user_id: UUID | None, working_at: datetime | None, page: PageRequest) -> Page[Any]: ...

    async def presented(self, key_ids: Sequence[UUID]) -> list[Any | None]:
        """Give keys with their user's status, roles, stores and what the tenant's own roles among them permit."""
        ...


class ApiKeyDoor(Protocol):
    """Admits keys in this process."""

    def withdraw(self, key_id: UUID) -> None:
        """Look at a key anew at its next use here; other processes do within seconds."""
        ...


async def create_api_key(command: CreateApiKey, work: Work, users: Users, keys: ApiKeys) -> IssuedApiKey:
    """Make a key that may do nothing that its maker may not.

    Raises: InvalidInput, Forbidden, NotFound, ApiKeyLimitReached.
    """
    stores = _stores(command.store_ids, work.actor)
    scopes = check_scopes(command.scopes, stores, work.actor)
    if command.expires_at is not None and command.expires_at <= work.now:
        raise InvalidInput(field="expiresAt", reason="it lies in the past")
    # The user's row is locked, so that two at once cannot both be the last that may be made.
    user: User = await users.get(work.actor.require_user())
    if await keys.count_working(user.id, work.now) >= MAX_KEYS:
        raise ApiKeyLimitReached(limit=MAX_KEYS)
    key = ApiKey(
        tenant_id=work.tenant_id,
        user_id=user.id,
        name=clean("name", command.name),
        secret_hash=b"",
        scopes=scopes,
        store_ids=stores,
        rate_limit_per_minute=_between("rateLimitPerMinute", command.rate_limit_per_minute, 1, MAX_RATE_PER_MINUTE),
        created_at=work.now,
        expires_at=command.expires_at,
    )
    clear = make_key(key.id)
    key.secret_hash = hash_token(clear)
    key.record(
        ApiKeyCreated(
            user_id=user.id, api_key_id=key.id, scopes=scopes, store_ids=stores, expires_at=command.expires_at
        )
    )
    keys.add(key)
    return IssuedApiKey(api_key=key, key=clear)


async def rotate_api_key(command: RotateApiKey, work: Work, keys: ApiKeys) -> IssuedApiKey:
    """Give one's own key another secret: who has authority over others may end their keys, but not come to know them.

    Raises: NotFound, InvalidInput, Forbidden when the key is good for more than its user may hand on now.
    """
    grace = _between("graceSeconds", command.grace_seconds, 0, MAX_GRACE_SECONDS)
    key = await keys.get(command.id)
    if key is None or key.user_id != work.actor.require_user():
        raise NotFound(kind=ApiKey.SUBJECT, id=str(command.id))
    require_all(work.actor, set(key.scopes) - {SELF_SCOPE})
    clear = make_key(key.id)
    key.rotate(hash_token(clear), timedelta(seconds=grace), work.now)
    return IssuedApiKey(api_key=key, key=clear)


@also_when_suspended
async def revoke_api_key(command: RevokeApiKey, work: Work, keys: ApiKeys) -> ApiKey:
    key = await keys.get(command.id)
    if key is None or not (key.user_id == work.actor.user_id or work.actor.may(MANAGE)):
        raise NotFound(kind=ApiKey.SUBJECT, id=str(command.id))
    key.revoke(work.now)
    return key


def principal_of(key: Any, granted: Collection[str]) -> Principal:
    """Say who a caller with a key is: its user, who may now do what both the key's scopes and the user's grants permit."""
    may = narrowed(key.scopes, {*granted, SELF_SCOPE})
    own = frozenset(key.user_stores)
    everywhere = Principal(permissions=frozenset(granted)).may(ALL_STORES)
    stores = frozenset(key.store_ids) if everywhere else own & frozenset(key.store_ids)
    return Principal(
        user_id=key.user_id,
        tenant_id=key.tenant_id,
        roles=frozenset(key.user_roles),
        permissions=may,
        store_ids=stores if key.store_ids else own,
        api_key_id=key.id,
    )


def admits(key: Any, now: datetime) -> bool:
    """Say whether a key works and its user may log in."""
    return works(key, now) and key.user_status == UserStatus.ACTIVE
