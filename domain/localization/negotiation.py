"""Which language somebody gets who states preferences."""

import re
from collections.abc import Iterable, Sequence

LONGEST_HEADER = 1_000
_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)


def preferences(header: str) -> list[tuple[str, float]]:
    """Read an Accept-Language header as language ranges with their weights, the most wanted first.

    Source: RFC 9110, section 12.5.4. What does not parse is passed over, as section 5.6.1 asks of recipients.
    """
    matches = (_RANGE.fullmatch(part) for part in header[:LONGEST_HEADER].split(","))
    ranges = [(each[1].lower(), float(each[2] or 1)) for each in matches if each]
    return sorted(ranges, key=lambda each: -each[1])


def negotiate(header: str | None, supported: Sequence[str], default: str) -> str:
    """Give the supported language that suits an Accept-Language header best, or the default.

    A wanted `fr-CA` is met by `fr-CA`, else by `fr`; a wanted `fr` is met by the first `fr-…` too. `*` takes the default,
    and a weight of 0 rules a language out.
    Source: RFC 4647, section 3.4 (lookup), with its note on ranges that are shorter than any tag.
    """
    wanted = preferences(header or "")
    refused = {language for language, weight in wanted if weight == 0}
    offered = {tag.lower(): tag for tag in supported if tag.lower() not in refused}
    for language, weight in wanted:
        if weight == 0:
            continue
        if language == "*":
            return default if default.lower() not in refused else next(iter(offered.values()), default)
        found = _lookup(language, offered)
        if found is not None:
            return offered[found]
    return default


def _lookup(language: str, offered: Iterable[str]) -> str | None:
    tags = list(offered)
    for candidate in fallbacks(language):
        if candidate in tags:
            return candidate
    return next((tag for tag in tags if tag.startswith(f"{language}-")), None)


def fallbacks(language: str) -> list[str]:
    """Give a language tag and what it falls back to, from the most to the least special: `zh-hant-tw`, `zh-hant`, `zh`."""
    parts = language.split("-")
    tags = ["-".join(parts[:size]) for size in range(len(parts), 0, -1)]
    # RFC 4647 drops a single letter together with what follows it: `x` alone says nothing.
    return [tag for tag in tags if len(tag.rpartition("-")[2]) > 1]
