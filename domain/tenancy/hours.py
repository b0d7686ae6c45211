"""When a store is open: spans of local time per day of the week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Self
from zoneinfo import ZoneInfo

from domain.kernel import InvalidInput

DAYS = 7
MAX_SPANS = 28


@dataclass(frozen=True, order=True)
class OpeningSpan:
    """From `opens` until `closes` on one day (1 is Monday); one that closes no later than it opens ends the day after.

    Raises: InvalidInput.
    """

    day: int
    opens: time
    closes: time

    def __post_init__(self) -> None:
        if not 1 <= self.day <= DAYS:
            raise InvalidInput(field="hours", reason="a day is a number from 1 (Monday) to 7 (Sunday)")

    @property
    def starts_minute(self) -> int:
        return (self.day - 1) * 1440 + self.opens.hour * 60 + self.opens.minute

    @property
    def minutes(self) -> int:
        length = (self.closes.hour - self.opens.hour) * 60 + self.closes.minute - self.opens.minute
        return length if length > 0 else length + 1440

    @property
    def plain(self) -> dict[str, Any]:
        """Give the span as JSON values."""
        return {"day": self.day, "opens": f"{self.opens:%H:%M}", "closes": f"{self.closes:%H:%M}"}

    @classmethod
    def parse(cls, day: int, opens: str, closes: str) -> Self:
        """Read times such as `09:00`.

        Raises: InvalidInput.
        """
        return cls(day, _clock(opens), _clock(closes))


def _clock(value: str) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 — a time of day has no zone.
    except ValueError as error:
        raise InvalidInput(field="hours", reason=f"{value!r} is not a time such as 09:30") from error


def check_hours(spans: Sequence[OpeningSpan]) -> tuple[OpeningSpan, ...]:
    """Give the spans of a week in order.

    Raises: InvalidInput when two of them overlap.
    """
    if len(spans) > MAX_SPANS:
        raise InvalidInput(field="hours", reason=f"a week has at most {MAX_SPANS} spans")
    week = tuple(sorted(spans))
    following = (*week[1:], *week[:1])
    for span, after in zip(week, following, strict=True):
        gap = (after.starts_minute - span.starts_minute) % (DAYS * 1440) or DAYS * 1440
        if gap < span.minutes:
            raise InvalidInput(field="hours", reason=f"two spans overlap on day {after.day}")
    return week


def is_open(spans: Sequence[OpeningSpan], timezone: str, at: datetime) -> bool:
    """Say whether one of the spans holds the instant, in the store's local time."""
    local = at.astimezone(ZoneInfo(timezone))
    minute = (local.isoweekday() - 1) * 1440 + local.hour * 60 + local.minute
    return any((minute - span.starts_minute) % (DAYS * 1440) < span.minutes for span in spans)
