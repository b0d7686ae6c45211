"""Batch reads of languages, translations and batches."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, bindparam, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.kernel import implements
from data.localization.tables import (
    skip_word,
    supported_language,
    translatable,
    translation,
    translation_batch,
    translation_batch_item,
    translation_override,
)
from data.paging import Listing
from data.statements import Statement
from domain.localization import (
    BatchReads,
    LanguageReads,
    TranslatableType,
    TranslationReads,
    TranslationStatus,
)
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_TYPE = bindparam("entity_type", type_=Text)
_LANGUAGE = bindparam("language", type_=Text)
_LANGUAGE_ORDER = (supported_language.c.is_default.desc(), supported_language.c.code)

_ALL_LANGUAGES = Statement(select(supported_language).order_by(*_LANGUAGE_ORDER))
_ACTIVE_LANGUAGES = Statement(
    select(supported_language).where(supported_language.c.is_active).order_by(*_LANGUAGE_ORDER)
)
_LANGUAGES_OF_TENANTS = Statement(
    select(supported_language.c.tenant_id, supported_language.c.code, supported_language.c.is_default)
    .where(supported_language.c.tenant_id == func.any(_IDS), supported_language.c.is_active)
    .order_by(*_LANGUAGE_ORDER)
)
_TRANSLATION_BY_ID = Statement(select(translation).where(translation.c.id == func.any(_IDS)))
_BATCH_BY_ID = Statement(select(translation_batch).where(translation_batch.c.id == func.any(_IDS)))
_ITEMS = Statement(
    select(translation_batch_item)
    .where(translation_batch_item.c.batch_id == func.any(_IDS))
    .order_by(translation_batch_item.c.id)
)
_SKIP_WORDS = Statement(select(skip_word).order_by(skip_word.c.word, skip_word.c.language))


def _of_entities(table: Any) -> Statement:
    return Statement(
        select(table)
        .where(
            table.c.entity_type == _TYPE,
            table.c.entity_id == func.any(_IDS),
            or_(_LANGUAGE.is_(None), table.c.language == _LANGUAGE),
        )
        .order_by(table.c.language, table.c.field, table.c.id)
    )


_TRANSLATIONS = _of_entities(translation)
_OVERRIDES = _of_entities(translation_override)


@implements(LanguageReads)
class SqlLanguageReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def all(self, *, active_only: bool) -> Sequence[Any]:
        return await self._reads.rows(_ACTIVE_LANGUAGES if active_only else _ALL_LANGUAGES)

    async def of_tenants(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_LANGUAGES_OF_TENANTS, tenant_ids, "tenant_id")


@implements(TranslationReads)
class SqlTranslationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_TRANSLATION_BY_ID, ids)

    async def of_entities(
        self, entity_type: TranslatableType, entity_ids: Sequence[UUID], language: str | None
    ) -> list[list[Any]]:
        return await self._reads.grouped(
            _TRANSLATIONS, entity_ids, "entity_id", entity_type=str(entity_type), language=language
        )

    async def overrides_of_entities(
        self, entity_type: TranslatableType, entity_ids: Sequence[UUID], language: str | None
    ) -> list[list[Any]]:
        return await self._reads.grouped(
            _OVERRIDES, entity_ids, "entity_id", entity_type=str(entity_type), language=language
        )

    async def missing(self, entity_type: TranslatableType, language: str, page: PageRequest) -> Page[Any]:
        return await _MISSING.page(self._reads, page, entity_type=str(entity_type), language=language)


_here = and_(
    translation.c.tenant_id == translatable.c.tenant_id,
    translation.c.entity_id == translatable.c.entity_id,
    translation.c.entity_type == translatable.c.entity_type,
    translation.c.language == _LANGUAGE,
)
_stale = exists().where(_here, translation.c.status == TranslationStatus.STALE)
_MISSING = Listing(
    select(translatable.c.entity_type, translatable.c.entity_id, _stale.label("is_stale")).where(
        translatable.c.entity_type == _TYPE, or_(~exists().where(_here, translation.c.field == "name"), _stale)
    ),
    [translatable.c.entity_id],
)


@implements(BatchReads)
class SqlBatchReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BATCH_BY_ID, ids)

    async def items(self, batch_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ITEMS, batch_ids, "batch_id")

    async def skip_words(self) -> list[Any]:
        return await self._reads.rows(_SKIP_WORDS)
