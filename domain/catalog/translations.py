"""Translated texts as they stand in their owner's row: by language, then by field."""

from collections.abc import Mapping

from domain.catalog.texts import DESCRIPTION_LETTERS, NAME_LETTERS, checked_text
from domain.kernel import InvalidInput

_LIMITS = {"name": NAME_LETTERS, "description": DESCRIPTION_LETTERS}

Translations = dict[str, dict[str, str]]


def with_text(translations: Translations, language: str, name: str, text: str | None) -> Translations:
    """Give the translations with one field's text set in one language; None drops it.

    Raises: InvalidInput for a field that is not translated, or a text that cannot be kept.
    """
    if name not in _LIMITS:
        raise InvalidInput(field="field", reason=f"{name} is not translated")
    texts = {key: value for key, value in translations.get(language, {}).items() if key != name}
    if text:
        texts[name] = checked_text(name, text, _LIMITS[name])
    others = {key: value for key, value in translations.items() if key != language}
    return {**others, language: texts} if texts else others


def translated(translations: Mapping[str, Mapping[str, str]], language: str, name: str) -> str | None:
    """Give a field's text in a language, or in the language that it is a region's form of (`fr-CA` → `fr`)."""
    for code in (language, language.partition("-")[0]):
        text = translations.get(code, {}).get(name)
        if text:
            return text
    return None
