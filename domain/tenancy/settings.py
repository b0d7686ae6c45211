"""Settings of a tenant or of one store; secret ones are encrypted and never given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self
from uuid import UUID

from domain.kernel import Aggregate, Event, Work, event
from domain.tenancy import rules
from domain.tenancy.stores import Stores, existing_store

LONGEST_VALUE = 16_384


@event("tenancy.setting_changed")
@dataclass(frozen=True, kw_only=True)
class SettingChanged(Event):
    store_id: UUID | None
    key: str
    category: str
    is_encrypted: bool


@event("tenancy.setting_resealed")
@dataclass(frozen=True, kw_only=True)
class SettingResealed(Event):
    store_id: UUID | None
    key: str


class Cipher(Protocol):
    """Authenticated encryption of texts; `place` says where a text belongs, and it opens nowhere else."""

    def encrypt(self, text: str, place: str) -> str: ...

    def decrypt(self, sealed: str, place: str) -> str: ...

    def rotate(self, sealed: str, place: str) -> str: ...


@dataclass(eq=False, kw_only=True)
class StoreSetting(Aggregate):
    """One value under a key, for a store, or for the whole tenant where `store_id` is empty.

    `sealed` holds a secret's ciphertext; `value` is then empty.
    """

    store_id: UUID | None
    key: str
    category: str = "general"
    value: str | None = None
    sealed: str | None = None
    is_encrypted: bool = False

    @property
    def place(self) -> str:
        return f"{self.tenant_id}/{self.store_id or ''}/{self.key}"

    @classmethod
    def blank(cls, tenant_id: UUID, store_id: UUID | None, key: str) -> Self:
        """Make a setting without a value.

        Raises: InvalidInput.
        """
        return cls(tenant_id=tenant_id, store_id=store_id, key=rules.text("key", key, longest=128))

    def put(self, value: str, category: str, cipher: Cipher | None) -> None:
        """Keep a value, encrypted when a cipher is given.

        Raises: InvalidInput.
        """
        checked = rules.text("value", value, longest=LONGEST_VALUE)
        self.category = rules.short("category", category)
        self.is_encrypted = cipher is not None
        self.value = None if cipher else checked
        self.sealed = cipher.encrypt(checked, self.place) if cipher else None
        self.record(
            SettingChanged(store_id=self.store_id, key=self.key, category=self.category, is_encrypted=self.is_encrypted)
        )

    def reseal(self, cipher: Cipher) -> bool:
        """Seal a secret anew with the present key; says whether there was anything to do."""
        fresh = None if self.sealed is None else cipher.rotate(self.sealed, self.place)
        changed, self.sealed = fresh != self.sealed, fresh
        if changed:
            self.record(SettingResealed(store_id=self.store_id, key=self.key))
        return changed

    def reveal(self, cipher: Cipher) -> str | None:
        """Give the value in clear, for the code that uses it and for nobody else."""
        return self.value if self.sealed is None else cipher.decrypt(self.sealed, self.place)


class StoreSettings(Protocol):
    """Settings for change."""

    async def find(self, store_id: UUID | None, key: str) -> StoreSetting | None: ...

    async def secret(self) -> Sequence[StoreSetting]: ...

    async def add(self, setting: StoreSetting) -> None: ...


class StoreSettingReads(Protocol):
    """Settings of a store (or of the whole tenant: None), by key; secrets come without their value."""

    async def of_store(self, store_id: UUID | None, category: str | None) -> Sequence[Any]: ...


@dataclass(frozen=True, kw_only=True)
class SetStoreSetting:
    """Keep a setting of a store, or of the whole tenant; an expected version of 0 says that it is new."""

    store_id: UUID | None
    key: str
    value: str
    category: str = "general"
    is_encrypted: bool = False
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ResealSettings:
    """Seal all secrets of the tenant anew after the key was rotated."""


async def set_store_setting(
    command: SetStoreSetting, work: Work, stores: Stores, settings: StoreSettings, cipher: Cipher
) -> StoreSetting:
    if command.store_id is not None:
        await existing_store(stores, command.store_id, work)
    setting = await settings.find(command.store_id, command.key)
    if setting is None:
        setting = StoreSetting.blank(work.tenant_id, command.store_id, command.key)
        await settings.add(setting)
    setting.expect_version(command.expected_version)
    setting.put(command.value, command.category, cipher if command.is_encrypted else None)
    return setting


async def reseal_settings(command: ResealSettings, settings: StoreSettings, cipher: Cipher) -> int:  # noqa: ARG001 — the command has no fields.
    """Give the number of secrets that were sealed anew."""
    return sum([setting.reseal(cipher) for setting in await settings.secret()])
