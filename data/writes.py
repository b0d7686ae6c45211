"""Writes that nobody waits for: a transaction keeps them, and sends them as one statement before it commits.

Each is an INSERT, UPDATE or DELETE with numbered parameters that returns nothing. They see none of each other's effects,
hence no two of them may be about one row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.util import await_

from data.database import RecordingSession
from data.direct import TENANT, WAITING, direct, violated
from data.statements import of_tenant
from domain.kernel import DomainError

_PARAMETER = re.compile(r"\$(\d+)")
_SHAPES_KEPT = 2_048


@dataclass(frozen=True)
class Write:
    """A statement with its arguments, the one row that it must change, if so, and what violated constraints stand for."""

    text: str
    arguments: tuple[Any, ...]
    must_hit: bool
    refusals: Mapping[str, DomainError]


class Waiting:
    """The writes that a session keeps."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self.writes: list[Write] = []

    async def send(self) -> None:
        """Send them, in one statement.

        Raises: StaleDataError, IntegrityError; the refusal of a violated constraint.
        """
        writes, self.writes = self.writes, []
        if not writes:
            return
        together = _together(tuple((each.text, each.must_hit) for each in writes))
        try:
            answer = await direct(self._session, together, *(value for each in writes for value in each.arguments))
        except IntegrityError as error:
            refusals = {name: refusal for each in writes for name, refusal in each.refusals.items()}
            if (refusal := refusals.get(violated(error))) is not None:
                raise refusal from error
            raise
        if any(changed != 1 for changed in (answer[0] if answer else ())):
            raise StaleDataError("somebody else has changed a row meanwhile")


def later(
    session: AsyncSession,
    text: str,
    *arguments: Any,
    must_hit: bool = False,
    refusals: Mapping[str, DomainError] | None = None,
) -> None:
    """Keep a write until the transaction commits, or runs something directly.

    With `must_hit` StaleDataError is raised then where it does not change exactly one row.
    """
    waiting: Waiting = session.info.setdefault(WAITING, Waiting(session))
    text, arguments = of_tenant(text, arguments, session.info.get(TENANT))  # type: ignore[assignment]
    waiting.writes.append(Write(text, tuple(arguments), must_hit, refusals or {}))


async def send(session: AsyncSession) -> None:
    """Send the writes that wait, if any.

    Raises: StaleDataError, IntegrityError; the refusal of a violated constraint.
    """
    if (waiting := session.info.get(WAITING)) is not None:
        await waiting.send()


@event.listens_for(RecordingSession, "before_commit")
def _send_at_last(session: RecordingSession) -> None:
    waiting = session.info.get(WAITING)
    if waiting is not None and waiting.writes:
        await_(waiting.send())


@lru_cache(_SHAPES_KEPT)
def _together(parts: tuple[tuple[str, bool], ...]) -> str:
    if len(parts) == 1 and not parts[0][1]:
        return parts[0][0]
    tables, counts, taken = [], [], 0
    for place, (text, must_hit) in enumerate(parts):
        tables.append(f"w{place} AS ({_moved(text, taken)}{' RETURNING 1' if must_hit else ''})")
        taken += max((int(number) for number in _PARAMETER.findall(text)), default=0)
        if must_hit:
            counts.append(f"(SELECT count(*) FROM w{place})")  # noqa: S608 — a name of our own.
    return f"WITH {', '.join(tables)} SELECT {', '.join(counts)}"


def _moved(text: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", text) if by else text
