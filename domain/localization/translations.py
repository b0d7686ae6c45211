"""Translations of texts that other contexts own, and what a tenant or a store would rather say."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Envelope, Event, InvalidInput, NotFound, Work, event
from domain.localization.languages import subscriptions
from domain.paging import Page, PageRequest

HUMAN = "human"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class TranslatableType(StrEnum):
    """Whose text it is."""

    PRODUCT = "product"
    CATEGORY = "category"


class TranslationStatus(StrEnum):
    """How far a translation can be relied on."""

    FRESH = "fresh"
    STALE = "stale"
    MACHINE = "machine"


class TranslationLevel(StrEnum):
    """Where a text comes from, the strongest first."""

    STORE_OVERRIDE = "store_override"
    TENANT_OVERRIDE = "tenant_override"
    TRANSLATION = "translation"


# Letters that a text may have, by field; other fields are not translated.
FIELDS: Mapping[str, int] = {"name": 255, "description": 20_000}


@dataclass(frozen=True, kw_only=True)
class TranslationKey:
    """Which text in which language."""

    entity_type: TranslatableType
    entity_id: UUID
    field: str
    language: str


@dataclass(frozen=True, kw_only=True)
class _TranslationEvent(Event):
    entity_type: str
    entity_id: UUID
    field: str
    language: str


@event("localization.translation_created")
@dataclass(frozen=True, kw_only=True)
class TranslationCreated(_TranslationEvent):
    pass


@event("localization.translation_changed")
@dataclass(frozen=True, kw_only=True)
class TranslationChanged(_TranslationEvent):
    """The text that the whole tenant shows is another one now; None: there is none any more."""

    text: str | None


@event("localization.translation_outdated")
@dataclass(frozen=True, kw_only=True)
class TranslationOutdated(_TranslationEvent):
    pass


@event("localization.override_applied")
@dataclass(frozen=True, kw_only=True)
class OverrideApplied(_TranslationEvent):
    store_id: UUID | None
    text: str | None


def checked_text(field: str, text: str) -> str:
    """Give a translated text without the space around it.

    Raises: InvalidInput.
    """
    longest = FIELDS.get(field)
    if longest is None:
        raise InvalidInput(field="field", reason=f"{field!r} is not translated, but {' and '.join(FIELDS)} are")
    trimmed = text.strip()
    if not 0 < len(trimmed) <= longest:
        raise InvalidInput(field="text", reason=f"a {field} has between 1 and {longest:,} letters")
    if _UNSTORABLE.search(trimmed):
        raise InvalidInput(field="text", reason="a NUL character or half a surrogate pair cannot be stored")
    return trimmed


def hash_of(source: str | None) -> str:
    """Digest a source text; space alone makes no difference.

    Source: SHA-256 in hexadecimal.
    """
    return hashlib.sha256(" ".join((source or "").split()).encode(errors="replace")).hexdigest()


@dataclass(eq=False, kw_only=True)
class Translation(Aggregate):
    """One text in one language; `source_hash` says which source text it translates."""

    entity_type: TranslatableType
    entity_id: UUID
    field: str
    language: str
    text: str = ""
    source_hash: str = ""
    status: TranslationStatus = TranslationStatus.FRESH
    provider: str = HUMAN

    def write(self, text: str, source: str | None, provider: str, *, overridden: bool) -> None:
        """Keep a text; `overridden` says that the tenant shows another one in its place.

        Raises: InvalidInput.
        """
        checked = checked_text(self.field, text)
        if self.version == 0:
            self.record(TranslationCreated(**self._key()))
        self.text, self.source_hash, self.provider = checked, hash_of(source), provider
        self.status = TranslationStatus.FRESH if provider == HUMAN else TranslationStatus.MACHINE
        if not overridden:
            self.record(TranslationChanged(**self._key(), text=self.text))

    def compare(self, source: str | None) -> None:
        """Mark the translation stale if it translates another source text than this."""
        if self.status is not TranslationStatus.STALE and hash_of(source) != self.source_hash:
            self.status = TranslationStatus.STALE
            self.record(TranslationOutdated(**self._key()))

    def _key(self) -> dict[str, Any]:
        return {
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "field": self.field,
            "language": self.language,
        }


@dataclass(eq=False, kw_only=True)
class TranslationOverride(Aggregate):
    """What a store, or the whole tenant where `store_id` is empty, says instead of the translation."""

    entity_type: TranslatableType
    entity_id: UUID
    field: str
    language: str
    store_id: UUID | None
    text: str = ""

    def put(self, text: str) -> None:
        """Say it so.

        Raises: InvalidInput.
        """
        self.text = checked_text(self.field, text)
        self._tell(self.text, self.text)

    def withdraw(self, fallback: str | None) -> None:
        """Say it as the translation has it, which is `fallback`."""
        self._tell(None, fallback)

    def _tell(self, text: str | None, shown: str | None) -> None:
        key: dict[str, Any] = {
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "field": self.field,
            "language": self.language,
        }
        self.record(OverrideApplied(**key, store_id=self.store_id, text=text))
        if self.store_id is None:
            self.record(TranslationChanged(**key, text=shown))


def shown_text(
    translation: Any | None, overrides: Sequence[Any], store_id: UUID | None
) -> tuple[str, TranslationLevel] | None:
    """Give the text to show and where it comes from; None: show the owner's own text, in the default language.

    The store's override comes before the tenant's, and that before the translation.
    """
    by_store = {each.store_id: each.text for each in overrides}
    if store_id is not None and store_id in by_store:
        return by_store[store_id], TranslationLevel.STORE_OVERRIDE
    if None in by_store:
        return by_store[None], TranslationLevel.TENANT_OVERRIDE
    return None if translation is None else (translation.text, TranslationLevel.TRANSLATION)


class Translations(Protocol):
    """Translations and overrides for change."""

    async def find(self, key: TranslationKey) -> Translation | None: ...

    async def of_entities(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> Sequence[Translation]: ...

    async def add(self, translation: Translation) -> None: ...

    async def find_override(self, key: TranslationKey, store_id: UUID | None) -> TranslationOverride | None: ...

    async def add_override(self, override: TranslationOverride) -> None: ...

    async def remove_override(self, override: TranslationOverride) -> None: ...


class TranslatableTexts(Protocol):
    """Which entities have texts at all, as their owners' events tell."""

    async def add(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> None: ...

    async def remove(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> None: ...


class TranslationReads(Protocol):
    """Batch reads, each in the order of its keys; a language of None stands for all."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def of_entities(
        self, entity_type: TranslatableType, entity_ids: Sequence[UUID], language: str | None
    ) -> list[list[Any]]: ...

    async def overrides_of_entities(
        self, entity_type: TranslatableType, entity_ids: Sequence[UUID], language: str | None
    ) -> list[list[Any]]: ...

    async def missing(self, entity_type: TranslatableType, language: str, page: PageRequest) -> Page[Any]:
        """Give the entities whose name a language lacks, or of which it has a text that is stale."""
        ...


@dataclass(frozen=True, kw_only=True)
class CreateTranslation:
    """Write the translation of one text, in place of an earlier one if there is any."""

    entity_type: TranslatableType
    entity_id: UUID
    field: str
    language: str
    text: str
    expected_version: int | None = None

    @property
    def key(self) -> TranslationKey:
        return TranslationKey(
            entity_type=self.entity_type, entity_id=self.entity_id, field=self.field, language=self.language
        )


@dataclass(frozen=True, kw_only=True)
class OverrideTranslation:
    """Say a text differently in one store, or in the whole tenant; without a text the override goes."""

    entity_type: TranslatableType
    entity_id: UUID
    field: str
    language: str
    store_id: UUID | None = None
    text: str | None = None

    @property
    def key(self) -> TranslationKey:
        return TranslationKey(
            entity_type=self.entity_type, entity_id=self.entity_id, field=self.field, language=self.language
        )


async def write_translation(
    key: TranslationKey,
    text: str,
    source: str | None,
    provider: str,
    work: Work,
    translations: Translations,
    expected_version: int | None = None,
) -> Translation:
    """Keep a translation under its key.

    Raises: InvalidInput, ConcurrentModification.
    """
    translation = await translations.find(key)
    if translation is None:
        translation = Translation(
            tenant_id=work.tenant_id,
            entity_type=key.entity_type,
            entity_id=key.entity_id,
            field=key.field,
            language=key.language,
        )
        await translations.add(translation)
    translation.expect_version(expected_version)
    override = await translations.find_override(key, None)
    translation.write(text, source, provider, overridden=override is not None)
    return translation


async def put_override(
    key: TranslationKey, store_id: UUID | None, text: str, work: Work, translations: Translations
) -> TranslationOverride:
    """Keep an override.

    Raises: InvalidInput.
    """
    override = await translations.find_override(key, store_id)
    if override is None:
        override = TranslationOverride(
            tenant_id=work.tenant_id,
            entity_type=key.entity_type,
            entity_id=key.entity_id,
            field=key.field,
            language=key.language,
            store_id=store_id,
        )
        await translations.add_override(override)
    override.put(text)
    return override


async def withdraw_override(
    key: TranslationKey, store_id: UUID | None, translations: Translations
) -> TranslationOverride:
    """Remove an override.

    Raises: NotFound.
    """
    override = await translations.find_override(key, store_id)
    if override is None:
        raise NotFound(kind="TranslationOverride", id=f"{key.entity_type} {key.entity_id} {key.field} {key.language}")
    translation = await translations.find(key)
    override.withdraw(None if translation is None else translation.text)
    await translations.remove_override(override)
    return override


@subscriptions.on("product.created", "category.created", "product.deleted", "category.deleted", batch=True)
async def note_texts(envelopes: list[Envelope], texts: TranslatableTexts) -> None:
    """Keep in mind what there is to translate; what came and went again is not there."""
    for kind in TranslatableType:
        gone = {each.aggregate_id for each in envelopes if each.name == f"{kind}.deleted"}
        here = [each.aggregate_id for each in envelopes if each.name == f"{kind}.created"]
        await texts.add(kind, [entity_id for entity_id in here if entity_id not in gone])
        await texts.remove(kind, list(gone))
