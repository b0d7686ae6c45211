"""Comparing answers of two runs that make ids of their own."""

import base64
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)")
DEFAULT_NAME = re.compile(r"Customer [0-9a-f]{6}")
"""The display name of somebody who gave none: the end of their id."""
CURSOR = re.compile(r"[A-Za-z0-9_-]{8,}")


class Names:
    """Gives every id that only one run knows a name: its number in the order of appearance.

    `shared` are the ids that both runs had from the beginning; they must be the same in both answers, and so must all
    instants but those at which the database itself wrote a row.
    """

    def __init__(self, shared: frozenset[str], since: datetime) -> None:
        self._shared, self._since = shared, since
        self._names: dict[str, str] = {}

    def plain(self, result: Any) -> Any:
        """Give a result in which own ids are replaced, ready to be compared."""
        data = self._value(result.data)
        errors = [
            SimpleNamespace(path=error.path, message=self._text(error.message), locations=error.locations)
            for error in sorted(result.errors or (), key=lambda error: str(error.path))
        ]
        return SimpleNamespace(data=data, errors=errors)

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        named = UUID_TEXT.sub(lambda match: self._name(match[0]), _opened(text))
        named = DEFAULT_NAME.sub("Customer", named)
        return INSTANT.sub(lambda match: self._instant(match[0]), named)

    def _name(self, found: str) -> str:
        return found if found in self._shared else self._names.setdefault(found, f"#{len(self._names) + 1}")

    def _instant(self, found: str) -> str:
        return "just now" if self._since <= datetime.fromisoformat(found) <= datetime.now(UTC) else found


def _opened(text: str) -> str:
    """Give what a cursor holds, for it may hold an id; other texts as they are."""
    if not CURSOR.fullmatch(text):
        return text
    try:
        values = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return text
    return f"cursor {values}" if isinstance(values, list) else text
