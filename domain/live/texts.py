"""Texts that people are shown: one line each, and nothing in them that is no text."""

import unicodedata

from domain.kernel import InvalidInput

# Those that turn the direction of what is around them round; a joiner of emoji is of the same category, and welcome.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def clean_line(name: str, value: str, longest: int) -> str:
    """Give a line of text without the blanks around it.

    Raises: InvalidInput.
    """
    line = value.strip(" ")
    if any(unicodedata.category(each) in _NO_TEXT or each in _TURNING for each in line):
        raise InvalidInput(field=name, reason="it is one line of text without control characters")
    if not line.strip() or len(line) > longest:
        raise InvalidInput(field=name, reason=f"it has between 1 and {longest} characters")
    return line
