"""How text becomes words: the same for documents and queries, so that they meet."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from domain.transliteration import has_cyrillic, sound

LONGEST_WORD = 40
_WORD = re.compile(r"[^\W_]+")
_UNITS = {
    "gb": "gb", "gbyte": "gb", "gigabyte": "gb", "gigabytes": "gb", "tb": "tb", "terabyte": "tb", "terabytes": "tb", "mb": "mb", "megabyte": "mb",
    "megabytes": "mb", "kg": "kg", "g": "g", "gram": "g", "grams": "g", "lb": "lb", "lbs": "lb", "oz": "oz", "ounce": "oz", "ounces": "oz",
    "ml": "ml", "l": "l", "liter": "l", "litre": "l", "liters": "l", "litres": "l", "mm": "mm", "cm": "cm", "m": "m", "meter": "m", "metre": "m",
    "meters": "m", "metres": "m", "in": "in", "inch": "in", "inches": "in", '"': "in", "”": "in", "″": "in", "''": "in", "ft": "ft", "feet": "ft",
    "w": "w", "watt": "w", "watts": "w", "v": "v", "volt": "v", "volts": "v", "mah": "mah", "wh": "wh", "hz": "hz", "mhz": "mhz", "ghz": "ghz",
    "mp": "mp", "megapixel": "mp", "megapixels": "mp", "гб": "gb", "тб": "tb", "мб": "mb", "кг": "kg", "г": "g", "мл": "ml", "л": "l", "см": "cm",
    "мм": "mm", "м": "m", "вт": "w", "дюйм": "in", "дюйма": "in", "дюймов": "in",
}  # fmt: skip
_MEASURE = re.compile(
    r"(?<![\w.,])(\d{1,6}(?:[.,]\d{1,3})?)[\s-]?("
    + "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
    + r")(?!\w)"
)


class _Plain(dict[int, str]):
    """Letters without their accents, worked out once each."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if has_cyrillic(letter):
            plain = "е" if letter == "ё" else letter
        else:
            parts = unicodedata.normalize("NFKD", letter).lower()
            plain = "".join(each for each in parts if not unicodedata.combining(each))
        self[code] = plain
        return plain


_PLAIN = _Plain()


def fold(text: str) -> str:
    """Lower case without accents; Cyrillic keeps its letters, but for ё, which is written е as often as not."""
    lowered = text.lower()
    return lowered if lowered.isascii() else unicodedata.normalize("NFC", lowered).translate(_PLAIN)


def words(text: str) -> list[str]:
    """The folded words of a text in order; overlong ones are cut, as nobody types them."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


def measures(text: str) -> set[str]:
    """Quantities in one spelling: `15.6"`, `15,6 inch` and `15.6-in` are all `15.6in`."""
    return {_measure(match) for match in _MEASURE.finditer(text.lower())}


def around_measures(text: str) -> Iterator[tuple[str, str | None]]:
    """The text in order, cut into stretches without a quantity and quantities with their one spelling."""
    lowered, done = text.lower(), 0
    for match in _MEASURE.finditer(lowered):
        yield lowered[done : match.start()], None
        yield match[0], _measure(match)
        done = match.end()
    yield lowered[done:], None


def _measure(match: re.Match[str]) -> str:
    return match[1].replace(",", ".") + _UNITS[match[2]]


def sounds(text: str) -> set[str]:
    """How the Cyrillic words of a text sound in Latin letters."""
    return {sound(word) for word in words(text) if has_cyrillic(word)} if has_cyrillic(text) else set()


@lru_cache(maxsize=20_000)
def attribute_key(name: str) -> str:
    """An attribute's name as a part of a path, in which dots, blanks and quotes would mean something."""
    return "".join(map(_path_letter, name)) or "--"


def _path_letter(letter: str) -> str:
    return letter if letter == "_" or (letter.isascii() and letter.isalnum()) else f"-{ord(letter):x}-"
