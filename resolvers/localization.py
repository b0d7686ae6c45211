"""Verbs of languages and translations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import localization
from domain.kernel import InvalidInput
from domain.localization import (
    FIELDS,
    BatchReads,
    LanguageReads,
    TranslatableType,
    TranslationLevel,
    TranslationReads,
    fallbacks,
    parse_language,
    shown_text,
    tag_of,
)
from domain.paging import Page, PageRequest
from domain.processes import translating
from resolvers.kernel import Context, transacts

create_translation = transacts(translating.create_translation)
override_translation = transacts(translating.override_translation)
batch_translate = transacts(translating.batch_translate)
set_supported_language = transacts(localization.set_supported_language)
add_skip_word = transacts(localization.add_skip_word)


@dataclass(frozen=True, kw_only=True)
class TranslatedText:
    """A text with its language and where it comes from."""

    text: str
    language: str
    level: TranslationLevel


async def supported_languages(context: Context, active_only: bool = True) -> Sequence[Any]:
    return await context.read(LanguageReads).all(active_only=active_only)


async def skip_words(context: Context) -> Sequence[Any]:
    return await context.read(BatchReads).skip_words()


async def translations_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(TranslationReads).by_id(ids)


async def translations(
    context: Context, entity_type: TranslatableType, entity_id: UUID, language: str | None = None
) -> Sequence[Any]:
    wanted = None if language is None else tag_of(parse_language(language))
    return (await context.read(TranslationReads).of_entities(entity_type, [entity_id], wanted))[0]


async def translation_overrides(
    context: Context, entity_type: TranslatableType, entity_id: UUID, language: str | None = None
) -> Sequence[Any]:
    wanted = None if language is None else tag_of(parse_language(language))
    return (await context.read(TranslationReads).overrides_of_entities(entity_type, [entity_id], wanted))[0]


async def batches_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(BatchReads).by_id(ids)


async def items_of_batches(context: Context, batch_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(BatchReads).items(batch_ids)


async def translation_batch(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(batches_by_id, id)


async def missing_translations(
    context: Context, page: PageRequest, language: str, entity_type: TranslatableType = TranslatableType.PRODUCT
) -> Page[Any]:
    wanted = tag_of(parse_language(language))
    return await context.read(TranslationReads).missing(entity_type, wanted, page)


async def text_of_products(
    context: Context,
    product_ids: Sequence[UUID],
    *,
    field: str = "name",
    language: str | None = None,
    store_id: UUID | None = None,
) -> Sequence[TranslatedText | None]:
    return await _texts(context, TranslatableType.PRODUCT, product_ids, field, language, store_id)


async def text_of_categories(
    context: Context,
    category_ids: Sequence[UUID],
    *,
    field: str = "name",
    language: str | None = None,
    store_id: UUID | None = None,
) -> Sequence[TranslatedText | None]:
    return await _texts(context, TranslatableType.CATEGORY, category_ids, field, language, store_id)


async def _texts(
    context: Context,
    kind: TranslatableType,
    ids: Sequence[UUID],
    field: str,
    language: str | None,
    store_id: UUID | None,
) -> list[TranslatedText | None]:
    if field not in FIELDS:
        raise InvalidInput(field="field", reason=f"{' and '.join(FIELDS)} are translated, and nothing else")
    reads = context.read(TranslationReads)
    written = await reads.of_entities(kind, ids, None)
    overridden = await reads.overrides_of_entities(kind, ids, None)
    tags = fallbacks(language or context.locale)
    return [
        _best(
            [row for row in rows if row.field == field], [row for row in others if row.field == field], tags, store_id
        )
        for rows, others in zip(written, overridden, strict=True)
    ]


def _best(
    rows: Sequence[Any], overrides: Sequence[Any], tags: Sequence[str], store_id: UUID | None
) -> TranslatedText | None:
    for tag in tags:
        row = next((each for each in rows if each.language == tag), None)
        found = shown_text(row, [each for each in overrides if each.language == tag], store_id)
        if found is not None:
            return TranslatedText(text=found[0], language=tag, level=found[1])
    return None
