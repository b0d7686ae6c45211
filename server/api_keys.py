"""API keys at the door: recognised by their form, looked up once in a few seconds, and admitted at the cost of one hash."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from domain.identity.api_keys import PREFIX, admits, fits, key_id_of, principal_of
from domain.identity.roles import PRESETS
from domain.identity.sessions import hash_token
from domain.kernel import Principal, Unauthenticated
from server.tokens import VerifiedToken

TTL_SECONDS = 5.0
REMEMBERED_KEYS = 4_096
FOR_EVER = float("inf")

LoadKeys = Callable[[Sequence[UUID]], Awaitable[Sequence[Any | None]]]


@dataclass(frozen=True, kw_only=True)
class VerifiedKey(VerifiedToken):
    """What a good key says, and how many requests it may make in a minute."""

    key_id: UUID
    secret_hash: bytes
    rate_limit_per_minute: int


@dataclass(slots=True)
class _Known:
    row: Any | None
    until: float
    verified: dict[bytes, VerifiedKey]


def is_api_key(credential: str) -> bool:
    """Whether a bearer token claims to be an API key."""
    return credential.startswith(PREFIX)


class KeyAuthenticator:
    """Turns an API key into a principal.

    What is known of a key, of its user and of the user's roles is read again when five seconds old: so long can a
    revocation, a lock or a lost role take elsewhere. Implements the domain's `ApiKeyDoor`.
    """

    def __init__(
        self,
        load: LoadKeys,
        note_use: Callable[[UUID], None],
        *,
        seconds: float = TTL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load = load
        self._note_use = note_use
        self._seconds = seconds
        self._clock = clock
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._loading: dict[UUID, asyncio.Task[_Known]] = {}
        self._withdrawals = 0
        # What sessions that are still open came with: it is looked at again though nobody sends it again.
        self._held: WeakValueDictionary[UUID, VerifiedKey] = WeakValueDictionary()
        self.version = 0

    async def check(self, clear: str) -> VerifiedKey:
        """Give who comes with a key.

        Raises: Unauthenticated.
        """
        key_id = key_id_of(clear)
        if key_id is None:
            raise Unauthenticated(reason="the API key is not valid")
        verified = self._verified(await self._fresh(key_id), hash_token(clear))
        self._note_use(key_id)
        return verified

    async def recheck(self, verified: VerifiedKey) -> None:
        """Make sure that a key is still good, and for no less than it was.

        Raises: Unauthenticated.
        """
        await self._fresh(verified.key_id)
        self.require_valid(verified)

    async def refresh(self) -> None:
        """Look again at the keys of open sessions, all in one statement, and count where one is no longer good."""
        stale = [each for each in self._held if not self._is_fresh(self._known.get(each))]
        if not stale:
            return
        began = self._clock()
        for key_id, row in zip(stale, await self._load(stale), strict=True):
            self._remember(key_id, _Known(row, began + self._seconds, {}))
        for verified in list(self._held.values()):
            try:
                self.require_valid(verified)
            except Unauthenticated:
                self.version += 1

    def require_valid(self, verified: VerifiedKey) -> None:
        """Make sure that a key is still good as far as is known.

        Raises: Unauthenticated.
        """
        known = self._known.get(verified.key_id)
        if known is not None and self._verified(known, verified.secret_hash).principal != verified.principal:
            raise Unauthenticated(reason="the rights of the API key have changed; connect again")

    def withdraw(self, key_id: UUID) -> None:
        """Look at a key anew at its next use; what is being read of it at the moment counts for nothing."""
        self._known.pop(key_id, None)
        self._loading.pop(key_id, None)
        self._withdrawals += 1

    def _verified(self, known: _Known, digest: bytes) -> VerifiedKey:
        row, now = known.row, datetime.fromtimestamp(self._clock(), UTC)
        # The times are compared at each use, for a key may run out between two looks at it.
        if row is None or not admits(row, now) or not fits(row, digest, now):
            raise Unauthenticated(reason="the API key is not valid")
        verified = known.verified.get(digest)
        if verified is None:
            verified = known.verified[digest] = self._held[row.id] = _made(row, digest)
        return verified

    async def _fresh(self, key_id: UUID) -> _Known:
        known = self._known.get(key_id)
        if known is not None and self._is_fresh(known):
            return known
        loading = self._loading.get(key_id)
        if loading is None:
            loading = self._loading[key_id] = asyncio.create_task(self._read(key_id))
        # Whoever stops waiting must not end the look for the others.
        return await asyncio.shield(loading)

    async def _read(self, key_id: UUID) -> _Known:
        task, withdrawals = asyncio.current_task(), self._withdrawals
        began = self._clock()
        try:
            (row,) = await self._load([key_id])
            known = _Known(row, began + self._seconds, {})
        finally:
            if self._loading.get(key_id) is task:
                del self._loading[key_id]
        if withdrawals == self._withdrawals:
            self._remember(key_id, known)
        return known

    def _is_fresh(self, known: _Known | None) -> bool:
        return known is not None and self._clock() < known.until

    def _remember(self, key_id: UUID, known: _Known) -> None:
        self._known[key_id] = known
        self._known.move_to_end(key_id)
        # Anybody can invent ids, so what is remembered of them has an end.
        while len(self._known) > REMEMBERED_KEYS:
            self._known.popitem(last=False)


def _made(row: Any, digest: bytes) -> VerifiedKey:
    permissions: set[str] = set(row.defined_permissions.split())
    for each in row.user_roles:
        permissions |= PRESETS.get(each, frozenset())
    principal: Principal = principal_of(row, permissions)
    expires_at = row.expires_at.timestamp() if row.expires_at else FOR_EVER
    return VerifiedKey(
        principal=principal,
        issued_at=row.created_at.timestamp(),
        expires_at=expires_at,
        key_id=row.id,
        secret_hash=digest,
        rate_limit_per_minute=row.rate_limit_per_minute,
    )
