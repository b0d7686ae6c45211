"""What a name, a slug, a SKU or a bar code may look like."""

import re

from slugify import slugify

from domain.kernel import InvalidInput

NAME_LETTERS = 255
BRAND_LETTERS = 120
DESCRIPTION_LETTERS = 20_000
SKU_LETTERS = 64
SLUG_LETTERS = 100
URL_LETTERS = 2_000

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SKU = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?")
_GTIN = re.compile(r"\d{8}|\d{12,14}", re.ASCII)


def is_storable(text: str) -> bool:
    """Say whether PostgreSQL can hold the text; what it cannot hold, it cannot be asked for either."""
    return not _UNSTORABLE.search(text)


def checked_text(field: str, text: str, limit: int, *, required: bool = False) -> str:
    """Give a text without surrounding blanks; `limit` counts letters.

    Raises: InvalidInput when it is too long, empty though required, or holds what PostgreSQL cannot store.
    """
    text = text.strip()
    if not is_storable(text):
        raise InvalidInput(field=field, reason="a NUL character or half a surrogate pair cannot be stored")
    if len(text) > limit:
        raise InvalidInput(field=field, reason=f"at most {limit:,} letters are kept, not {len(text):,}")
    if required and not text:
        raise InvalidInput(field=field, reason="it must not be empty")
    return text


def checked_sku(field: str, sku: str) -> str:
    """Give a SKU as it came: it names the goods elsewhere too, so nothing is trimmed.

    Raises: InvalidInput.
    """
    if not _SKU.fullmatch(sku) or len(sku) > SKU_LETTERS or not is_storable(sku):
        raise InvalidInput(field=field, reason=f"a SKU has 1 to {SKU_LETTERS} printable letters, no blank at its ends")
    return sku


def checked_gtin(field: str, gtin: str | None) -> str | None:
    """Give a GTIN-8, -12, -13 or -14 whose check digit is right; None stays None.

    Raises: InvalidInput.
    Source: GS1 General Specifications, section 7.9 (modulo-10 check digit).
    """
    if gtin is None:
        return None
    if not _GTIN.fullmatch(gtin) or sum(int(digit) * (3, 1)[at % 2] for at, digit in enumerate(gtin[-2::-1])) % 10 != (
        -int(gtin[-1]) % 10
    ):
        raise InvalidInput(field=field, reason="a GTIN has 8, 12, 13 or 14 digits, the last of them a check digit")
    return gtin


def checked_url(field: str, url: str | None) -> str | None:
    """Give an http(s) address; None stays None.

    Raises: InvalidInput.
    """
    if url is None:
        return None
    url = checked_text(field, url, URL_LETTERS, required=True)
    if not url.startswith(("https://", "http://")):
        raise InvalidInput(field=field, reason="it is not an http or https address")
    return url


def slug_of(text: str, fallback: str) -> str:
    """Turn a name of any script into a slug of Latin letters; `fallback` where nothing is left of it."""
    return slugify(text, max_length=SLUG_LETTERS, word_boundary=True) or fallback


def checked_slug(field: str, slug: str) -> str:
    """Give a slug that somebody chose.

    Raises: InvalidInput.
    """
    if not slug or len(slug) > SLUG_LETTERS or slugify(slug) != slug:
        raise InvalidInput(
            field=field, reason=f"a slug has 1 to {SLUG_LETTERS} lower-case Latin letters, digits and single dashes"
        )
    return slug
