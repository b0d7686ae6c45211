"""Whether two servers that live through the same on the same data answer alike."""

import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
OWN = frozenset(
    {"accessToken", "refreshToken", "token", "cursor", "startCursor", "endCursor", "liveCursor", "processingMs", "reference"}
)  # fmt: skip
"""What every server makes by itself: only whether it is there is compared."""
APART_SECONDS = 300.0
"""One server is asked after the other, so that moments differ by less than this."""


class Comparison:
    """Compares answers; what the servers have made meanwhile has other ids, and each id one counterpart for good."""

    def __init__(self) -> None:
        self._counterparts: dict[str, str] = {}

    def differences(self, one: Any, other: Any, at: str = "data", name: str = "") -> Iterator[str]:
        """Tell where two values differ."""
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                yield f"{at}: {sorted(one)} against {sorted(other)}"
            for key in one.keys() & other.keys():
                yield from self.differences(one[key], other[key], f"{at}.{key}", key)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                yield f"{at}: {len(one)} against {len(other)} items"
            for number, (left, right) in enumerate(zip(one, other, strict=False)):
                yield from self.differences(left, right, f"{at}[{number}]", name)
        elif one != other and not self._alike(one, other, name):
            yield f"{at}: {one!r} against {other!r}"

    def _alike(self, one: Any, other: Any, name: str) -> bool:
        if not isinstance(one, str) or not isinstance(other, str):
            return name in OWN and type(one) is type(other)
        known = name in OWN or self._are_counterparts(_opened(one), _opened(other))
        return known or _are_close(one, other)

    def _are_counterparts(self, one: str, other: str) -> bool:
        """Tell whether two texts differ in ids alone, and whether these have always stood for each other."""
        if ID.sub("", one) != ID.sub("", other):
            return False
        known, pairs = self._counterparts, zip(ID.findall(one), ID.findall(other), strict=True)
        return all(known.setdefault(f"1 {a}", b) == b and known.setdefault(f"2 {b}", a) == a for a, b in pairs)


def codes(answer: Any) -> list[str]:
    """Give the codes of an answer's errors, each once: how often a refusal is told is the executor's to choose."""
    return sorted({str(each.get("extensions", {}).get("code")) for each in answer.get("errors", ())})


def _opened(text: str) -> str:
    """Give what stands in the cursor of a list, or the text itself."""
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        return text


def _are_close(one: str, other: str) -> bool:
    try:
        apart = _moment(one) - _moment(other)
    except (ValueError, TypeError):
        return False
    return abs(apart.total_seconds()) < APART_SECONDS


def _moment(text: str) -> datetime:
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        raise ValueError
    return datetime.fromisoformat(text)
