"""Languages and translations in PostgreSQL."""

from data.localization.reads import SqlBatchReads, SqlLanguageReads, SqlTranslationReads
from data.localization.repositories import (
    DictionaryTranslator,
    SqlLanguages,
    SqlSkipWords,
    SqlTranslatableTexts,
    SqlTranslationBatches,
    SqlTranslations,
)

__all__ = [
    "DictionaryTranslator",
    "SqlBatchReads",
    "SqlLanguageReads",
    "SqlLanguages",
    "SqlSkipWords",
    "SqlTranslatableTexts",
    "SqlTranslationBatches",
    "SqlTranslationReads",
    "SqlTranslations",
]
