"""The texts that Agora brings along, by language; a tenant may write its own over each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

DEFAULT_LOCALE = "en"


@dataclass(frozen=True)
class Text:
    """One message: the subject is also the title of what is short, `text` is for letters, `short` for everything else."""

    subject: str
    text: str
    short: str


def built_in(code: str, locale: str) -> Text | None:
    """Give our own text of a kind in exactly this language."""
    return _all().get(locale, {}).get(code)


def languages() -> list[str]:
    """Give the languages that all texts are written in."""
    return sorted(_all())


@cache
def _all() -> Mapping[str, Mapping[str, Text]]:
    from domain.notifications.texts import en, fr, ru  # noqa: PLC0415 — the texts are made of what this module declares.

    return {"en": en.TEXTS, "fr": fr.TEXTS, "ru": ru.TEXTS}
