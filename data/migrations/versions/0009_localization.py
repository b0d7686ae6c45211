"""Localization: languages, translations, overrides, skip words and batches."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import create_schema, isolate

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    create_schema("localization")
    _create_languages()
    _create_translations()
    _create_batches()


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def _key() -> list[sa.Column]:
    return [
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
    ]


def _create_languages() -> None:
    op.create_table(
        "supported_language",
        *_root(),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("native_name", sa.Text, nullable=False),
        sa.Column("rtl", sa.Boolean, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.CheckConstraint("is_active OR NOT is_default", name="default_is_active"),
        sa.UniqueConstraint("tenant_id", "code", name="uq_supported_language_tenant_id_code"),
        sa.Index(
            "uq_supported_language_default", "tenant_id", unique=True, postgresql_where=sa.text("is_default")
        ),
        schema="localization",
    )
    isolate("localization.supported_language")
    op.create_table(
        "skip_word",
        *_root(),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.UniqueConstraint(
            "tenant_id",
            "word",
            "language",
            name="uq_skip_word_tenant_id_word_language",
            postgresql_nulls_not_distinct=True,
        ),
        schema="localization",
    )
    isolate("localization.skip_word")


def _create_translations() -> None:
    op.create_table(
        "translation",
        *_root(),
        *_key(),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("source_hash", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.UniqueConstraint("tenant_id", "entity_id", "language", "field", "entity_type", name="uq_translation_key"),
        sa.Index("ix_translation_source_hash", "tenant_id", "language", "source_hash"),
        schema="localization",
    )
    isolate("localization.translation")
    op.create_table(
        "translation_override",
        *_root(),
        *_key(),
        sa.Column("store_id", sa.Uuid),
        sa.Column("text", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "entity_id",
            "language",
            "field",
            "entity_type",
            "store_id",
            name="uq_translation_override_key",
            postgresql_nulls_not_distinct=True,
        ),
        schema="localization",
    )
    isolate("localization.translation_override")
    op.create_table(
        "translatable",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "entity_type", "entity_id", name="pk_translatable"),
        schema="localization",
    )
    isolate("localization.translatable")


def _create_batches() -> None:
    op.create_table(
        "translation_batch",
        *_root(),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("translated", sa.Integer, nullable=False),
        sa.Column("remaining", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("remaining BETWEEN 0 AND total", name="remaining_within_total"),
        schema="localization",
    )
    isolate("localization.translation_batch")
    op.create_table(
        "translation_batch_item",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column(
            "batch_id",
            sa.Uuid,
            sa.ForeignKey("localization.translation_batch.id", name="fk_translation_batch_item_batch_id"),
            nullable=False,
        ),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Index("ix_translation_batch_item_batch_id", "batch_id", "id"),
        schema="localization",
    )
    isolate("localization.translation_batch_item")
