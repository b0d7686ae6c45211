"""What is personal in the log is sealed with keys of the person's own: to destroy the keys is to erase it, in backups too.

A sealed event reads `[erased]` wherever something personal stood, and has the sealed values beside: whoever does not open
them, or comes after the key was destroyed, goes on with that.

A process makes a key for a person when it first writes something personal about them, in the same statement as the event,
and goes on using it for a while. A person may therefore have several keys, and no write ever has to read one.
"""

import base64
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, Index, Table, Text, Uuid, event, func
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import PERSON_KEYS, RecordingSession
from data.direct import direct
from data.kernel import TENANT_OWNED, metadata, timestamp
from data.writes import later
from domain.kernel import SEALED, unopened, uuid7

ERASED = "[erased]"
KEPT_SECONDS = 60.0
"""A key that was destroyed may be remembered by a process for this long."""
REMEMBERED = 10_000
NONCE_BYTES = 12
KEY_BITS = 256

_MADE = "person_keys_made"
_KEEP = "INSERT INTO identity.person_key (id, tenant_id, person_id, sealed) VALUES ($1, $2, $3, $4)"
_KEYS = "SELECT id, sealed FROM identity.person_key WHERE id = ANY($1::uuid[])"

Data = Mapping[str, Any]
Path = tuple[str, ...]
Select = Callable[..., Awaitable[Sequence[Any]]]
Person = tuple[UUID, UUID]
"""A tenant, and a person in it."""

person_key = Table(
    "person_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("person_id", Uuid, nullable=False),
    Column("sealed", Text, nullable=False),
    timestamp("created_at", server_default=func.now()),
    Index("ix_person_key_person_id", "tenant_id", "person_id"),
    schema="identity",
    info={TENANT_OWNED: True},
)


class Wraps(Protocol):
    """Seals keys with the instance's own, as settings are sealed."""

    def encrypt(self, text: str, place: str) -> str: ...

    def decrypt(self, sealed: str, place: str) -> str: ...


@dataclass(frozen=True)
class Key:
    """A key under its id, good until `until` by the process's clock; without a cipher it was destroyed."""

    id: str
    cipher: AESGCM | None
    until: float


class PersonKeys:
    """Makes, remembers and finds the keys of people."""

    def __init__(self, cipher: Wraps, clock: Callable[[], float] = monotonic) -> None:
        self._cipher = cipher
        self._clock = clock
        self._own: OrderedDict[Person, Key] = OrderedDict()
        self._found: OrderedDict[str, Key] = OrderedDict()

    def seal(self, session: AsyncSession, person: Person, data: Data, personal: Collection[str]) -> Data:
        """Give data with what is personal sealed; a key that has to be made is written with the session's next writes."""
        paths = [tuple(each.split(".")) for each in sorted(personal)]
        values = {".".join(path): value for path in paths if (value := _at(data, path))}
        if not values:
            return data
        key = self._key_of(session, person)
        for path in paths:
            data = _with(data, path, placeholder(_at(data, path)))
        return {**data, SEALED: {"key": key.id, "box": _boxed(key, orjson.dumps(values, default=str))}}

    async def open(self, select: Select, sealed: Sequence[Data]) -> list[Data]:
        """Give data with what is personal as far as its key still exists; `select` runs SQL."""
        wanted = {each[SEALED]["key"] for each in sealed if SEALED in each}
        keys = {each: known for each in wanted if (known := self._known(each))}
        if missing := wanted - keys.keys():
            rows = {str(row["id"]): row["sealed"] for row in await select(_KEYS, [UUID(each) for each in missing])}
            keys |= {each: self._unwrapped(each, rows.get(each)) for each in missing}
        return [_opened(each, keys[each[SEALED]["key"]]) if SEALED in each else each for each in sealed]

    def remember(self, made: Mapping[Person, Key]) -> None:
        """Go on using keys whose rows have been committed."""
        for person, key in made.items():
            _keep(self._own, person, key)
            _keep(self._found, key.id, key)

    def _key_of(self, session: AsyncSession, person: Person) -> Key:
        made: dict[Person, Key] = session.info.setdefault(_MADE, {})
        if person in made:
            return made[person]
        known = self._own.get(person)
        if known is not None and self._clock() < known.until:
            return known
        raw, key_id = AESGCM.generate_key(KEY_BITS), uuid7()
        made[person] = key = Key(str(key_id), AESGCM(raw), self._clock() + KEPT_SECONDS)
        wrapped = self._cipher.encrypt(base64.b64encode(raw).decode(), _place(key.id))
        later(session, _KEEP, key_id, *person, wrapped)
        return key

    def _known(self, key_id: str) -> Key | None:
        known = self._found.get(key_id)
        return known if known is not None and self._clock() < known.until else None

    def _unwrapped(self, key_id: str, wrapped: str | None) -> Key:
        raw = None if wrapped is None else base64.b64decode(self._cipher.decrypt(wrapped, _place(key_id)))
        key = Key(key_id, AESGCM(raw) if raw else None, self._clock() + KEPT_SECONDS)
        _keep(self._found, key_id, key)
        return key


async def opened(session: AsyncSession, sealed: Sequence[Data]) -> list[Data]:
    """Open what events say, in the session's transaction."""
    keys: PersonKeys | None = session.info.get(PERSON_KEYS)
    if not any(SEALED in each for each in sealed):
        return [*sealed]
    if keys is None:
        return [unopened(each) for each in sealed]

    async def select(statement: str, *arguments: Any) -> Sequence[Any]:
        return await direct(session, statement, *arguments)

    return await keys.open(select, sealed)


def nameless(data: Data, personal: Iterable[str]) -> Data:
    """Give data without anything personal, sealed or not."""
    for each in personal:
        path = tuple(each.split("."))
        if _at(data, path):
            data = _with(data, path, placeholder(_at(data, path)))
    return unopened(data)


def placeholder(value: Any) -> Any:
    """Give what stands where something personal stood, of the same shape."""
    match value:
        case str() if value:
            return ERASED
        case list():
            return []
        case dict():
            return {}
        case _:
            return value if not value else None


@event.listens_for(RecordingSession, "after_commit")
def _remember(session: RecordingSession) -> None:
    # A key of a transaction that was rolled back exists nowhere else, hence it must not be used again.
    if made := session.info.pop(_MADE, None):
        session.info[PERSON_KEYS].remember(made)


def _place(key_id: str) -> str:
    return f"identity.person_key:{key_id}"


def _keep(kept: "OrderedDict[Any, Key]", name: Any, key: Key) -> None:
    kept[name] = key
    kept.move_to_end(name)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _boxed(key: Key, content: bytes) -> str:
    if key.cipher is None:
        raise RuntimeError("a key that was destroyed seals nothing")
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + key.cipher.encrypt(nonce, content, key.id.encode())).decode()


def _opened(sealed: Data, key: Key) -> Data:
    data = unopened(sealed)
    if key.cipher is None:
        return data
    raw = base64.b64decode(sealed[SEALED]["box"])
    values = orjson.loads(key.cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], key.id.encode()))
    for path, value in values.items():
        data = _with(data, tuple(path.split(".")), value)
    return data


def _at(data: Any, path: Path) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _with(data: Any, path: Path, value: Any) -> Any:
    """Give a copy with another value at a path; where the path leads nowhere, the data as it is."""
    name, *rest = path
    if not isinstance(data, Mapping) or name not in data:
        return data
    return {**data, name: _with(data[name], tuple(rest), value) if rest else value}
