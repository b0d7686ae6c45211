"""What people tell about themselves, and how it is held to a shape."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from domain.identity.text import MAX_NAME, MAX_TEXT, clean, clean_optional, clean_phone, clean_url
from domain.kernel import UNCHANGED, InvalidInput, Unchanged

MAX_PREFERENCES = 100
MAX_PREFERENCES_BYTES = 16_384
OLDEST_BIRTH_YEAR = 1900
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What people tell about themselves; a field that is not mentioned stays, null clears it."""

    display_name: str | Unchanged = UNCHANGED
    first_name: str | Unchanged | None = UNCHANGED
    last_name: str | Unchanged | None = UNCHANGED
    phone: str | Unchanged | None = UNCHANGED
    date_of_birth: date | Unchanged | None = UNCHANGED
    bio: str | Unchanged | None = UNCHANGED
    avatar_url: str | Unchanged | None = UNCHANGED
    locale: str | Unchanged | None = UNCHANGED

    def cleaned(self, now: datetime) -> dict[str, Any]:
        """Give the fields that were mentioned, each in the form that is kept.

        Raises: InvalidInput.
        """
        given = {name: getattr(self, name) for name in _CLEANERS}
        return {name: _CLEANERS[name](value, now) for name, value in given.items() if not isinstance(value, Unchanged)}


def _display_name(value: str | None, _now: datetime) -> str:
    return clean("displayName", value or "")


def _date_of_birth(value: date | None, now: datetime) -> date | None:
    if value is not None and (value.year < OLDEST_BIRTH_YEAR or value > now.date()):
        raise InvalidInput(field="dateOfBirth", reason="it lies in the future, or too far back")
    return value


def _locale(value: str | None, _now: datetime) -> str | None:
    text = clean_optional("locale", value, longest=35)
    if text is not None and not _LOCALE.fullmatch(text):
        raise InvalidInput(field="locale", reason="it is not a language tag such as en or fr-CA")
    return text


_CLEANERS: dict[str, Callable[[Any, datetime], Any]] = {
    "display_name": _display_name,
    "first_name": lambda value, _: clean_optional("firstName", value),
    "last_name": lambda value, _: clean_optional("lastName", value),
    "phone": lambda value, _: clean_phone(value),
    "date_of_birth": _date_of_birth,
    "bio": lambda value, _: clean_optional("bio", value, longest=MAX_TEXT, lines=True),
    "avatar_url": lambda value, _: clean_url("avatarUrl", value),
    "locale": _locale,
}


def check_preferences(preferences: Any) -> None:
    """Hold free preferences to a size.

    Raises: InvalidInput.
    """
    if not isinstance(preferences, dict):
        raise InvalidInput(field="preferences", reason="they are an object")
    if len(preferences) > MAX_PREFERENCES or any(not 0 < len(key) <= MAX_NAME for key in preferences):
        raise InvalidInput(field="preferences", reason=f"there are at most {MAX_PREFERENCES}, each with a short name")
    try:
        text = orjson.dumps(preferences)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(field="preferences", reason="they are not JSON") from error
    # PostgreSQL's JSONB has no way to keep a NUL.
    if len(text) > MAX_PREFERENCES_BYTES or rb"\u0000" in text:
        raise InvalidInput(field="preferences", reason=f"they may take {MAX_PREFERENCES_BYTES:,} bytes, without a NUL")
