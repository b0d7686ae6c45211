"""What every value that tenants type in must satisfy."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import available_timezones

from domain.kernel import UNCHANGED, InvalidInput
from domain.money import minor_digits

Rule = Callable[[str, Any], Any]

_TENANT_CODE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
_STORE_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,49})")
_EMAIL = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00.]+(?:\.[^@\s\x00.]+)+")
_URL = re.compile(r"https?://[^\s\x00/]+(?:/[^\s\x00]*)?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")
_LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|\d{3}))?")
_TIMEZONES = frozenset(available_timezones())


def camel(name: str) -> str:
    """Give the name under which a client knows a field."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def refuse(name: str, reason: str) -> InvalidInput:
    """Make the refusal of one field."""
    return InvalidInput(field=camel(name), reason=reason)


def text(name: str, value: Any, *, longest: int = 255) -> str:
    """Give the text without the space around it.

    Raises: InvalidInput when nothing is left, when it is too long, or holds what PostgreSQL cannot store.
    """
    trimmed = value.strip() if isinstance(value, str) else ""
    if not 0 < len(trimmed) <= longest:
        raise refuse(name, f"it must have between 1 and {longest} characters")
    if "\x00" in trimmed or any("\ud800" <= character <= "\udfff" for character in trimmed):
        raise refuse(name, "it holds a character that is not text")
    return trimmed


def optional(rule: Rule) -> Rule:
    """Let nothing, or an empty text, pass as nothing."""
    return lambda name, value: None if value is None or value == "" else rule(name, value)


def matching(pattern: re.Pattern[str], reason: str) -> Rule:
    def check(name: str, value: Any) -> str:
        trimmed = text(name, value)
        if not pattern.fullmatch(trimmed):
            raise refuse(name, reason)
        return trimmed

    return check


def within(low: int, high: int) -> Rule:
    def check(name: str, value: Any) -> int:
        if value is None or not low <= value <= high:
            raise refuse(name, f"it must lie between {low:,} and {high:,}")
        return int(value)

    return check


def currency(name: str, value: Any) -> str:
    code = text(name, value)
    try:
        minor_digits(code)
    except InvalidInput as error:
        raise refuse(name, error.reason) from error
    return code


def timezone(name: str, value: Any) -> str:
    if value not in _TIMEZONES:
        raise refuse(name, f"{value!r} is not a time zone of the IANA database")
    return str(value)


def rate(name: str, value: Any) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value < 1 or value != round(value, 5):
        raise refuse(name, "a rate is a fraction of one with at most 5 decimals, such as 0.13 for 13 %")
    return value


def flag(name: str, value: Any) -> bool:
    if value is None:
        raise refuse(name, "it is either true or false")
    return bool(value)


def anything(_name: str, value: Any) -> Any:
    return value


def host(name: str, value: Any) -> str:
    """Give a host name as it is compared: lower case, punycode, no port and no final dot."""
    try:
        plain = text(name, value).rstrip(".").lower().encode("idna").decode()
    except UnicodeError as error:
        raise refuse(name, f"{value!r} is not a host name") from error
    if not _HOST.fullmatch(plain):
        raise refuse(name, f"{value!r} is not a host name")
    return plain


tenant_code = matching(_TENANT_CODE, "lower-case letters, digits and inner dashes only, at most 50")
store_code = matching(_STORE_CODE, "letters, digits, dots, dashes and underscores only, at most 50")
email = matching(_EMAIL, "it is not an e-mail address")
url = matching(_URL, "it is not a web address")
locale = matching(_LOCALE, "it is not a language tag such as en or fr-CA")
short = partial(text, longest=64)
long = partial(text, longest=4_096)


def checked(details: Any, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Give the fields of a command that the caller mentioned, each by its rule.

    Raises: InvalidInput.
    """
    given = {name: getattr(details, name) for name in rules}
    return {name: rules[name](name, value) for name, value in given.items() if value is not UNCHANGED}
