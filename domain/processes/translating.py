"""Translating texts that the catalogue owns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.catalog import Categories, Category, Product, Products
from domain.kernel import Envelope, NotFound, Subscriptions, Work
from domain.localization import (
    FIELDS,
    HUMAN,
    ITEMS_AT_ONCE,
    BatchItem,
    BatchTranslate,
    CreateTranslation,
    Languages,
    OverrideTranslation,
    Segment,
    SkipWords,
    TranslatableType,
    Translation,
    TranslationBatch,
    TranslationBatches,
    TranslationBatchStatus,
    TranslationKey,
    TranslationOutcome,
    TranslationOverride,
    Translations,
    TranslationStatus,
    Translator,
    faithful,
    is_untranslatable,
    new_batch,
    put_override,
    require_translatable,
    segment,
    withdraw_override,
    write_translation,
)
from domain.tenancy import Stores, existing_store

subscriptions = Subscriptions("localization")


async def create_translation(
    command: CreateTranslation,
    work: Work,
    languages: Languages,
    products: Products,
    categories: Categories,
    translations: Translations,
) -> Translation:
    """Write the translation of a text that the tenant's catalogue has.

    Raises: NotFound, InvalidInput, ConcurrentModification.
    """
    language = await require_translatable(languages, command.language)
    owner = await _owner(command.entity_type, command.entity_id, products, categories)
    key = replace(command.key, language=language)
    source = getattr(owner, key.field, None)
    return await write_translation(key, command.text, source, HUMAN, work, translations, command.expected_version)


async def override_translation(
    command: OverrideTranslation,
    work: Work,
    languages: Languages,
    products: Products,
    categories: Categories,
    stores: Stores,
    translations: Translations,
) -> TranslationOverride:
    """Say a text differently in one store, or in the whole tenant; without a text the override goes.

    Raises: NotFound, InvalidInput.
    """
    if command.store_id is not None:
        await existing_store(stores, command.store_id, work)
    language = await require_translatable(languages, command.language)
    await _owner(command.entity_type, command.entity_id, products, categories)
    key = replace(command.key, language=language)
    if command.text is None:
        return await withdraw_override(key, command.store_id, translations)
    return await put_override(key, command.store_id, command.text, work, translations)


async def batch_translate(
    command: BatchTranslate, work: Work, languages: Languages, batches: TranslationBatches
) -> TranslationBatch:
    """Order translations; they are made in the background.

    Raises: InvalidInput.
    """
    language = await require_translatable(languages, command.language)
    batch, items = new_batch(command, language, work)
    await batches.add(batch, items)
    return batch


@subscriptions.on("localization.batch_requested", "localization.batch_advanced")
async def translate_part(
    envelope: Envelope,
    work: Work,
    languages: Languages,
    batches: TranslationBatches,
    words: SkipWords,
    translator: Translator,
    products: Products,
    categories: Categories,
    translations: Translations,
) -> None:
    """Translate the next part of a batch; the event that this records leads to the part after it."""
    batch = await batches.lock(envelope.aggregate_id)
    if batch is None or batch.status in {TranslationBatchStatus.COMPLETED, TranslationBatchStatus.FAILED}:
        return
    batch.start()
    default = await languages.default()
    if default is None or default.code == batch.language:
        batch.fail(f"{batch.language} became the default language", work.now)
        return
    items = await batches.pending(batch.id, ITEMS_AT_ONCE)
    desk = _Desk(batch, work, products, categories, translations)
    parts = await desk.gather(items, await words.of_language(batch.language))
    asked = [part for part in parts.values() if not is_untranslatable(part)]
    answers = dict(zip(asked, await translator.translate(asked, default.code, batch.language), strict=True))
    for item_id, part in parts.items():
        await desk.settle(item_id, part, answers.get(part, part.text), translator.provider)
    for outcome in TranslationOutcome:
        await batches.settle(outcome, [each for each, found in desk.outcomes.items() if found is outcome])
    done = sum(outcome is TranslationOutcome.TRANSLATED for outcome in desk.outcomes.values())
    batch.advance(len(items), done, work.now)


@dataclass
class _Desk:
    """The part of a batch that is being worked on."""

    batch: TranslationBatch
    work: Work
    products: Products
    categories: Categories
    translations: Translations

    def __post_init__(self) -> None:
        self.outcomes: dict[UUID, TranslationOutcome] = {}
        self._keys: dict[UUID, TranslationKey] = {}

    async def gather(self, items: Sequence[BatchItem], words: Sequence[str]) -> dict[UUID, Segment]:
        """Give the texts to translate by item; what is gone, empty or translated by a human is settled at once."""
        parts = {}
        for item in items:
            key = TranslationKey(
                entity_type=self.batch.entity_type,
                entity_id=item.entity_id,
                field=item.field,
                language=self.batch.language,
            )
            owner = await _find(key.entity_type, key.entity_id, self.products, self.categories)
            known = await self.translations.find(key)
            if owner is None or not getattr(owner, item.field):
                self.outcomes[item.id] = TranslationOutcome.NOT_FOUND
            elif known is not None and known.status is TranslationStatus.FRESH:
                self.outcomes[item.id] = TranslationOutcome.TRANSLATED
            else:
                parts[item.id] = segment(getattr(owner, item.field), words)
                self._keys[item.id] = key
        return parts

    async def settle(self, item_id: UUID, part: Segment, answer: str | None, provider: str) -> None:
        """Keep an answer that lost nothing."""
        text = faithful(part, answer)
        self.outcomes[item_id] = TranslationOutcome.UNMATCHED if text is None else TranslationOutcome.TRANSLATED
        if text is not None:
            await write_translation(self._keys[item_id], text, part.text, provider, self.work, self.translations)


@subscriptions.on("product.updated", "category.updated", batch=True)
async def outdate_translations(
    envelopes: list[Envelope], products: Products, categories: Categories, translations: Translations
) -> None:
    """Mark translations stale whose source text has changed; to look twice changes nothing."""
    for kind in TranslatableType:
        touched = [
            each.aggregate_id
            for each in envelopes
            if each.name == f"{kind}.updated" and FIELDS.keys() & set(each.data.get("changed", ()))
        ]
        if not touched:
            continue
        for translation in await translations.of_entities(kind, list(dict.fromkeys(touched))):
            owner = await _find(kind, translation.entity_id, products, categories)
            if owner is not None:
                translation.compare(getattr(owner, translation.field))


async def _find(
    kind: TranslatableType, entity_id: UUID, products: Products, categories: Categories
) -> Product | Category | None:
    return await (products.get(entity_id) if kind is TranslatableType.PRODUCT else categories.get(entity_id))


async def _owner(
    kind: TranslatableType, entity_id: UUID, products: Products, categories: Categories
) -> Product | Category:
    owner = await _find(kind, entity_id, products, categories)
    if owner is None:
        raise NotFound(kind=kind.capitalize(), id=str(entity_id))
    return owner
