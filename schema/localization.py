"""The localization subgraph: languages, translations, and the texts that a store or a tenant prefers."""

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from domain import localization as domain
from domain.kernel import AlreadyExists
from resolvers import localization as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, Node, bulk, command, computed, connection, make_subgraph, permission, query

WRITE = permission("localization.write")
MANAGE = permission("localization.manage")

for _choices in (
    domain.TranslatableType,
    domain.TranslationStatus,
    domain.TranslationLevel,
    domain.TranslationBatchStatus,
    domain.TranslationOutcome,
):
    enum_of(_choices)


@strawberry.type(description="A language that the tenant speaks.")
class SupportedLanguage:
    __reads__ = (domain.SupportedLanguage,)

    id: UUID
    version: int
    code: str = strawberry.field(description="A language tag, such as en, fr-CA or zh-Hant.")
    name: str = strawberry.field(description="In English.")
    native_name: str = strawberry.field(description="In the language itself.")
    rtl: bool = strawberry.field(description="Written from right to left.")
    is_active: bool
    is_default: bool = strawberry.field(description="The language in which the tenant's texts are written.")


@strawberry.type(description="A text of the catalogue in another language.")
class Translation:
    __reads__ = (domain.Translation,)

    id: UUID
    version: int
    entity_type: domain.TranslatableType
    entity_id: UUID
    field: str
    language: str
    text: str
    status: domain.TranslationStatus = strawberry.field(description="Stale: the source text has changed since.")
    provider: str = strawberry.field(description="Who translated: human, or the name of a translator.")


@strawberry.type(description="What a store, or the whole tenant, says instead of the translation.")
class TranslationOverride:
    __reads__ = (domain.TranslationOverride,)

    id: UUID
    version: int
    entity_type: domain.TranslatableType
    entity_id: UUID
    field: str
    language: str
    store_id: UUID | None
    text: str


@strawberry.type(description="One text of a batch and what became of it.")
class TranslationBatchItem:
    __reads__ = (domain.BatchItem,)

    id: UUID
    entity_id: UUID
    field: str
    outcome: domain.TranslationOutcome


@strawberry.federation.type(keys=["id"], description="An order to translate many texts.")
class TranslationBatch(Node):
    __references__ = {"id": resolvers.batches_by_id}
    __reads__ = (domain.TranslationBatch,)

    id: UUID
    entity_type: domain.TranslatableType
    language: str
    status: domain.TranslationBatchStatus
    total: int
    translated: int
    remaining: int
    failure: str | None
    requested_at: datetime
    finished_at: datetime | None
    items: list[TranslationBatchItem] = bulk(resolvers.items_of_batches, key="id", who=MANAGE)


@strawberry.type(description="A word that every translation keeps as it is.")
class SkipWord:
    __reads__ = (domain.SkipWord,)

    id: UUID
    word: str
    language: str | None


@strawberry.type(description="A text to show.")
class TranslatedText:
    text: str
    language: str
    level: domain.TranslationLevel = strawberry.field(description="Where the text comes from.")


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID
    translation: TranslatedText | None = bulk(
        resolvers.text_of_products,
        key="id",
        who=PUBLIC,
        description="The store's text, else the tenant's, else the translation; null: show the product's own text.",
    )


@strawberry.federation.type(keys=["id"])
class Category:
    id: UUID
    translation: TranslatedText | None = bulk(
        resolvers.text_of_categories,
        key="id",
        who=PUBLIC,
        description="The store's text, else the tenant's, else the translation; null: show the category's own text.",
    )


def _product(row: Any, _context: Any) -> Product | None:
    return Product(id=row.entity_id) if row.entity_type == domain.TranslatableType.PRODUCT else None


def _category(row: Any, _context: Any) -> Category | None:
    return Category(id=row.entity_id) if row.entity_type == domain.TranslatableType.CATEGORY else None


@strawberry.type(description="Something whose name a language lacks, or of which it has a stale text.")
class MissingTranslation:
    entity_type: domain.TranslatableType
    entity_id: UUID
    is_stale: bool
    product = computed(_product, Product | None)
    category = computed(_category, Category | None)


@strawberry.type
class Query:
    supported_languages = query(resolvers.supported_languages, list[SupportedLanguage], who=PUBLIC, stale_ok=True)
    translations = query(resolvers.translations, list[Translation], who=WRITE)
    translation_overrides = query(resolvers.translation_overrides, list[TranslationOverride], who=WRITE)
    missing_translations = query(resolvers.missing_translations, connection(MissingTranslation), who=WRITE)
    translation_batch = query(resolvers.translation_batch, TranslationBatch | None, who=MANAGE)
    skip_words = query(resolvers.skip_words, list[SkipWord], who=WRITE)


@strawberry.type
class Mutation:
    create_translation = command(resolvers.create_translation, Translation, who=WRITE)
    override_translation = command(resolvers.override_translation, TranslationOverride, who=WRITE)
    batch_translate = command(resolvers.batch_translate, TranslationBatch, who=MANAGE)
    set_supported_language = command(
        resolvers.set_supported_language, SupportedLanguage, errors=[domain.DefaultLanguageRequired], who=MANAGE
    )
    add_skip_word = command(resolvers.add_skip_word, SkipWord, errors=[AlreadyExists], who=MANAGE)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product, Category])
