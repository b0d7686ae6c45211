"""Text that people type about themselves, made fit to be kept and compared."""

import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from domain.kernel import InvalidInput

MAX_EMAIL = 254
MAX_NAME = 100
MAX_TEXT = 2000
MAX_URL = 2048
_ALLOWED_CONTROLS = frozenset("\n\t")


def clean(field: str, value: str, *, longest: int = MAX_NAME, lines: bool = False) -> str:
    """Trim a text and bring it into Unicode's composed form.

    Raises: InvalidInput when it is empty, too long, or holds control characters (a NUL cannot be stored at all).
    """
    if len(value) > longest:
        raise InvalidInput(field=field, reason=f"it is longer than {longest} characters")
    text = unicodedata.normalize("NFC", value).strip()
    allowed = _ALLOWED_CONTROLS if lines else frozenset()
    if any(unicodedata.category(each) in {"Cc", "Cs"} and each not in allowed for each in text):
        raise InvalidInput(field=field, reason="it holds control characters")
    if not text:
        raise InvalidInput(field=field, reason="it is empty")
    return text


def clean_optional(field: str, value: str | None, *, longest: int = MAX_NAME, lines: bool = False) -> str | None:
    """Do as `clean` does; a text of nothing but blanks is no text."""
    if value is None or not value.strip():
        return None
    return clean(field, value, longest=longest, lines=lines)


def clean_email(value: str) -> str:
    """Give the one spelling under which an e-mail address is unique: normalised, in lower case.

    Raises: InvalidInput.
    Source: RFC 5321 and 6531; whether the domain receives mail is found out by sending, never by asking DNS.
    """
    if len(value) > MAX_EMAIL:
        raise InvalidInput(field="email", reason=f"it is longer than {MAX_EMAIL} characters")
    try:
        # RFC 2606 keeps `.test` for trials, and a shop is tried out before it opens.
        found = validate_email(value.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidInput(field="email", reason="it is not an e-mail address") from error
    return found.normalized.lower()


def clean_phone(value: str | None) -> str | None:
    """Give a telephone number in E.164 form, `+14165550123`.

    Raises: InvalidInput when it is not written internationally, or cannot exist.
    """
    text = clean_optional("phone", value, longest=40)
    if text is None:
        return None
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidInput(field="phone", reason="write it with its country code, such as +1 416 555 0123") from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput(field="phone", reason="no such number can exist")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def clean_url(field: str, value: str | None) -> str | None:
    """Accept an absolute https or http address.

    Raises: InvalidInput.
    """
    text = clean_optional(field, value, longest=MAX_URL)
    if text is not None and not text.startswith(("https://", "http://")):
        raise InvalidInput(field=field, reason="it must start with https:// or http://")
    return text
