"""What may be written in a message. It is text, whatever it looks like: kept as sent, and never taken for markup."""

import hashlib
import re
import unicodedata

from domain.kernel import InvalidInput

MAX_BODY = 4_000
MAX_CLIENT_ID = 64
MAX_REASON = 1_000
MAX_NAME = 120
_LAYOUT = frozenset("\n\r\t")
_UNSTORABLE = frozenset({"Cc", "Cs"})
_CLIENT_ID = re.compile(r"[!-~]{1,64}")
# Where a message wants to lead its reader to. Every repetition has an end, so that no text keeps a processor busy.
_LINK = re.compile(
    r"https?://|\bwww\.|\b[a-z0-9][a-z0-9-]{0,62}\.(?:com|net|org|info|biz|io|me|ru|cn|top|xyz|shop|click|link|site|online)\b",
    re.IGNORECASE,
)


def check_text(field: str, value: str, limit: int, *, required: bool = True) -> None:
    """Accept a text that can be kept and shown.

    Raises: InvalidInput.
    """
    if len(value) > limit:
        raise InvalidInput(field=field, reason=f"it has more than {limit:,} characters")
    if required and not value.strip():
        raise InvalidInput(field=field, reason="it is empty")
    # Plain letters, by far the most frequent, are recognised without looking at each of them.
    if value.isprintable():
        return
    if any(letter not in _LAYOUT and unicodedata.category(letter) in _UNSTORABLE for letter in value):
        raise InvalidInput(field=field, reason="it holds a control character")


def check_client_id(value: str) -> None:
    """Accept the name that a client gives its message.

    Raises: InvalidInput.
    """
    if not _CLIENT_ID.fullmatch(value):
        raise InvalidInput(field="clientId", reason=f"1 to {MAX_CLIENT_ID} visible ASCII characters")


def file_name(value: str) -> str:
    """Give the last part of what a client calls a file.

    Raises: InvalidInput.
    """
    name = value.replace("\\", "/").rpartition("/")[2].strip()
    check_text("name", name, MAX_NAME)
    if not name.isprintable():
        raise InvalidInput(field="name", reason="it holds a character that cannot be shown")
    return name


def has_link(body: str) -> bool:
    """Say whether a message leads elsewhere."""
    return _LINK.search(body) is not None


def fingerprint(body: str) -> str:
    """Digest what a message says, so that the same words in other dress are recognised."""
    words = " ".join(body.casefold().split())
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()
