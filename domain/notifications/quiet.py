"""Hours in which somebody does not want to be disturbed, by the clock on their wall."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.kernel import InvalidInput

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)
# From the finest to nothing: a gap of the clocks is found to the second.
_STEPS = [timedelta(seconds=2**power) for power in range(13, -1, -1)]


def parse_clock(field: str, text: str) -> time:
    """Read a time of day, `22:30`.

    Raises: InvalidInput.
    """
    if not _CLOCK.fullmatch(text):
        raise InvalidInput(field=field, reason="it is a time of day such as 22:30")
    return time.fromisoformat(text)


def parse_zone(name: str) -> ZoneInfo:
    """Find a time zone by its name in the IANA database.

    Raises: InvalidInput.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(field="timezone", reason="it is not a time zone such as America/Toronto") from error


@dataclass(frozen=True)
class QuietHours:
    """From one time of day to another, over midnight where the second comes first."""

    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, choice: Mapping[str, str | None], zone: str) -> "QuietHours | None":
        """Give the hours that were chosen, if any."""
        begin, end = choice.get("begin"), choice.get("end")
        if not begin or not end:
            return None
        return cls(time.fromisoformat(begin), time.fromisoformat(end), ZoneInfo(zone))

    def until(self, now: datetime) -> datetime | None:
        """Give the instant at which the quiet ends that there is now, or None where there is none.

        A day on which clocks are put forward or back has its hours too: what the clock leaps over begins and ends with the
        leap, and of an hour that comes twice, the first one begins and the second one ends the quiet.
        """
        today = now.astimezone(self.zone).date()
        for day in (today - _DAY, today):
            last = day if self.begin < self.end else day + _DAY
            if self._instant(day, self.begin, fold=0) <= now < (end := self._instant(last, self.end, fold=1)):
                return end
        return None

    def _instant(self, day: date, clock: time, *, fold: int) -> datetime:
        wall = datetime.combine(day, clock)
        before, after = (wall.replace(tzinfo=self.zone, fold=each).astimezone(UTC) for each in (0, 1))
        if before <= after:
            return after if fold else before
        # The clock never shows it: of what it leaps over, the first instant after the leap remains.
        for step in _STEPS:
            if after + step <= before and (after + step).astimezone(self.zone).replace(tzinfo=None) < wall:
                after += step
        return after + _STEPS[-1]
