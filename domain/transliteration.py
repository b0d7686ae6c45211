"""Cyrillic and Latin spellings of the same word, so that either finds the other."""

import re

_LETTERS = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z", "и": "i", "й": "y", "к": "k",
    "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
    "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
    "є": "ye", "і": "i", "ї": "yi", "ґ": "g", "ў": "u", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz", "ѓ": "g", "ќ": "k", "ѕ": "dz",
}  # fmt: skip
_TO_LATIN = str.maketrans(_LETTERS | {cyrillic.upper(): latin.capitalize() for cyrillic, latin in _LETTERS.items()})

_CLUSTERS = {
    "shch": "щ", "sch": "щ", "sh": "ш", "ch": "ч", "zh": "ж", "kh": "х", "ts": "ц", "yu": "ю", "ju": "ю", "ya": "я", "ja": "я",
    "yo": "ё", "jo": "ё", "ye": "е", "je": "е", "a": "а", "b": "б", "c": "к", "d": "д", "e": "е", "f": "ф", "g": "г", "h": "х",
    "i": "и", "j": "й", "k": "к", "l": "л", "m": "м", "n": "н", "o": "о", "p": "п", "q": "к", "r": "р", "s": "с", "t": "т",
    "u": "у", "v": "в", "w": "в", "x": "кс", "y": "й", "z": "з",
}  # fmt: skip
_CLUSTER = re.compile("|".join(sorted(_CLUSTERS, key=len, reverse=True)))
_VOWEL_Y = re.compile(r"(?<![аеиоуыэюя])й(?![аеиоуыэюя])")

_SOUNDS = {
    "shch": "s", "shh": "s", "sch": "s", "tch": "c", "sh": "s", "ch": "c", "zh": "z", "kh": "h", "ts": "c", "tz": "c", "ph": "f", "ck": "k",
    "yu": "u", "iu": "u", "ju": "u", "ya": "a", "ia": "a", "ja": "a", "ye": "e", "ie": "e", "je": "e", "yo": "o", "jo": "o",
    "yi": "i", "iy": "i", "yy": "i", "ij": "i", "y": "i", "j": "i", "w": "v", "x": "ks", "q": "k",
}  # fmt: skip
_SOUND = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))
_DOUBLED = re.compile(r"(.)\1+")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")


def has_cyrillic(text: str) -> bool:
    return not text.isascii() and _CYRILLIC.search(text) is not None


def to_latin(text: str) -> str:
    """Cyrillic letters in Latin ones; everything else unchanged.

    Source: BGN/PCGN romanisation of Russian without its apostrophes, with Ukrainian, Belarusian, Serbian and Macedonian letters.
    """
    return text if text.isascii() else text.translate(_TO_LATIN)


def to_cyrillic(text: str) -> str:
    """Latin letters of a lower-case text in Russian ones, as a Russian reader would first try."""
    spelled = _CLUSTER.sub(lambda match: _CLUSTERS[match[0]], text.lower())
    return _VOWEL_Y.sub("ы", spelled)


def sound(word: str) -> str:
    """One spelling for all the ways in which a Cyrillic word is written in Latin letters: `naushniki`, `naušniki`, `naushnyky`.

    Only good for comparing: the result is not meant to be read.
    """
    latin = to_latin(word.lower())
    return _DOUBLED.sub(r"\1", _SOUND.sub(lambda match: _SOUNDS[match[0]], latin))
