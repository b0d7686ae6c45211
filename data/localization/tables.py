"""The tables of languages and translations."""

from functools import partial
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from data.kernel import TENANT_OWNED, Choice, map_aggregate, mapping, metadata, refuses, tenant_table, timestamp
from domain.kernel import AlreadyExists
from domain.localization import (
    BatchItem,
    SkipWord,
    SupportedLanguage,
    TranslatableType,
    Translation,
    TranslationBatch,
    TranslationBatchStatus,
    TranslationOutcome,
    TranslationOverride,
    TranslationStatus,
)


def _key() -> list[Column[Any]]:
    return [
        Column("entity_type", Choice(TranslatableType), nullable=False),
        Column("entity_id", Uuid, nullable=False),
        Column("field", Text, nullable=False),
        Column("language", Text, nullable=False),
    ]


supported_language = tenant_table(
    "localization",
    "supported_language",
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("native_name", Text, nullable=False),
    Column("rtl", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    CheckConstraint("is_active OR NOT is_default", name="default_is_active"),
    UniqueConstraint("tenant_id", "code"),
    Index("uq_supported_language_default", "tenant_id", unique=True, postgresql_where=text("is_default")),
)

translation = tenant_table(
    "localization",
    "translation",
    *_key(),
    Column("text", Text, nullable=False),
    Column("source_hash", Text, nullable=False),
    Column("status", Choice(TranslationStatus), nullable=False),
    Column("provider", Text, nullable=False),
    UniqueConstraint("tenant_id", "entity_id", "language", "field", "entity_type", name="uq_translation_key"),
    Index("ix_translation_source_hash", "tenant_id", "language", "source_hash"),
)

translation_override = tenant_table(
    "localization",
    "translation_override",
    *_key(),
    Column("store_id", Uuid),
    Column("text", Text, nullable=False),
    UniqueConstraint(
        "tenant_id",
        "entity_id",
        "language",
        "field",
        "entity_type",
        "store_id",
        name="uq_translation_override_key",
        postgresql_nulls_not_distinct=True,
    ),
)

translatable = Table(
    "translatable",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("entity_type", Choice(TranslatableType), nullable=False),
    Column("entity_id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entity_type", "entity_id"),
    schema="localization",
    info={TENANT_OWNED: True},
)

skip_word = tenant_table(
    "localization",
    "skip_word",
    Column("word", Text, nullable=False),
    Column("language", Text),
    UniqueConstraint("tenant_id", "word", "language", postgresql_nulls_not_distinct=True),
)

translation_batch = tenant_table(
    "localization",
    "translation_batch",
    Column("entity_type", Choice(TranslatableType), nullable=False),
    Column("language", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("translated", Integer, nullable=False),
    Column("remaining", Integer, nullable=False),
    Column("status", Choice(TranslationBatchStatus), nullable=False),
    Column("failure", Text),
    timestamp("requested_at"),
    timestamp("finished_at", nullable=True),
    CheckConstraint("remaining BETWEEN 0 AND total", name="remaining_within_total"),
)

translation_batch_item = tenant_table(
    "localization",
    "translation_batch_item",
    Column("batch_id", Uuid, nullable=False),
    Column("entity_id", Uuid, nullable=False),
    Column("field", Text, nullable=False),
    Column("outcome", Choice(TranslationOutcome), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "batch_id"], ["localization.translation_batch.tenant_id", "localization.translation_batch.id"]
    ),
    Index("ix_translation_batch_item_batch_id", "batch_id", "id"),
    root=False,
)

for _root, _table in (
    (SupportedLanguage, supported_language),
    (Translation, translation),
    (TranslationOverride, translation_override),
    (SkipWord, skip_word),
    (TranslationBatch, translation_batch),
):
    map_aggregate(_root, _table)
mapping.map_imperatively(BatchItem, translation_batch_item)


for _constraint, _kind in (
    ("uq_supported_language_tenant_id_code", "SupportedLanguage"),
    ("uq_supported_language_default", "SupportedLanguage"),
    ("uq_translation_key", "Translation"),
    ("uq_translation_override_key", "TranslationOverride"),
    ("uq_skip_word_tenant_id_word_language", "SkipWord"),
):
    refuses(_constraint, partial(lambda kind, _detail: AlreadyExists(kind=kind, value="of that key"), _kind))
