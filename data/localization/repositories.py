"""Languages, translations and batches for change."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Text, Uuid, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from data.localization.tables import (
    skip_word,
    translatable,
    translation,
    translation_batch_item,
)
from domain.localization import (
    BatchItem,
    Languages,
    Segment,
    SkipWord,
    SkipWords,
    SupportedLanguage,
    TranslatableTexts,
    TranslatableType,
    Translation,
    TranslationBatch,
    TranslationBatches,
    TranslationKey,
    TranslationOutcome,
    TranslationOverride,
    Translations,
    TranslationStatus,
    Translator,
    hash_of,
)


@implements(Languages)
class SqlLanguages:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, code: str) -> SupportedLanguage | None:
        return (await self._session.scalars(select(SupportedLanguage).filter_by(code=code))).one_or_none()

    async def default(self) -> SupportedLanguage | None:
        wanted = select(SupportedLanguage).filter_by(is_default=True).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def add(self, language: SupportedLanguage) -> None:
        self._session.add(language)

    async def settle(self) -> None:
        await self._session.flush()


@implements(Translations)
class SqlTranslations:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, key: TranslationKey) -> Translation | None:
        wanted = select(Translation).filter_by(**vars(key)).with_for_update()
        found = (await self._session.scalars(wanted)).all()
        return found[0] if found else None

    async def of_entities(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> Sequence[Translation]:
        wanted = select(Translation).where(
            translation.c.entity_type == entity_type, translation.c.entity_id == func.any(list(entity_ids))
        )
        return (await self._session.scalars(wanted.order_by(translation.c.id).with_for_update())).all()

    async def add(self, new: Translation) -> None:
        self._session.add(new)

    async def find_override(self, key: TranslationKey, store_id: UUID | None) -> TranslationOverride | None:
        wanted = select(TranslationOverride).filter_by(**vars(key), store_id=store_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def add_override(self, override: TranslationOverride) -> None:
        self._session.add(override)

    async def remove_override(self, override: TranslationOverride) -> None:
        await self._session.delete(override)


@implements(TranslatableTexts)
class SqlTranslatableTexts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> None:
        if not entity_ids:
            return
        ids = func.unnest(literal(list(entity_ids), ARRAY(Uuid)))
        rows = select(func.platform.tenant_id(), literal(str(entity_type), Text), ids)
        columns = ["tenant_id", "entity_type", "entity_id"]
        await self._session.execute(upsert(translatable).from_select(columns, rows).on_conflict_do_nothing())

    async def remove(self, entity_type: TranslatableType, entity_ids: Sequence[UUID]) -> None:
        if entity_ids:
            gone = translatable.c.entity_id == func.any(list(entity_ids))
            await self._session.execute(delete(translatable).where(translatable.c.entity_type == entity_type, gone))


@implements(TranslationBatches)
class SqlTranslationBatches:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, batch_id: UUID) -> TranslationBatch | None:
        wanted = select(TranslationBatch).filter_by(id=batch_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def add(self, batch: TranslationBatch, items: Sequence[BatchItem]) -> None:
        self._session.add(batch)
        await self._session.flush()
        self._session.add_all(items)

    async def pending(self, batch_id: UUID, limit: int) -> Sequence[BatchItem]:
        wanted = select(BatchItem).filter_by(batch_id=batch_id, outcome=TranslationOutcome.PENDING)
        return (await self._session.scalars(wanted.order_by(translation_batch_item.c.id).limit(limit))).all()

    async def settle(self, outcome: TranslationOutcome, item_ids: Sequence[UUID]) -> None:
        if item_ids:
            settled = translation_batch_item.c.id == func.any(list(item_ids))
            await self._session.execute(update(translation_batch_item).where(settled).values(outcome=outcome))


@implements(SkipWords)
class SqlSkipWords:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_language(self, language: str) -> Sequence[str]:
        wanted = select(skip_word.c.word).where(or_(skip_word.c.language.is_(None), skip_word.c.language == language))
        return (await self._session.scalars(wanted.order_by(skip_word.c.word))).all()

    async def exists(self, word: str, language: str | None) -> bool:
        found = select(skip_word.c.id).filter_by(word=word, language=language)
        return await self._session.scalar(found) is not None

    async def add(self, word: SkipWord) -> None:
        self._session.add(word)


@implements(Translator)
class DictionaryTranslator:
    """Translates a text as the tenant's own people have translated the same text before, and nothing else."""

    provider = "dictionary"

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def translate(self, segments: Sequence[Segment], source: str, target: str) -> Sequence[str | None]:  # noqa: ARG002 — every text of a tenant is written in its default language.
        hashes = [hash_of(each.text) for each in segments]
        known = select(translation.c.source_hash, translation.c.text).where(
            translation.c.language == target,
            translation.c.source_hash == func.any(hashes),
            translation.c.status == TranslationStatus.FRESH,
        )
        # Of several translations the last written one counts.
        rows = await self._session.execute(known.order_by(translation.c.updated_at, translation.c.id))
        dictionary = {row.source_hash: row.text for row in rows}
        return [dictionary.get(each) for each in hashes]
