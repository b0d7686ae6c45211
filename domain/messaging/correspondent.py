"""How much one person writes, over all conversations: what was sent lately decides about what may be sent now."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from uuid import UUID

from domain.kernel import DomainError
from domain.messaging.texts import fingerprint

MESSAGES_PER_WINDOW = 20
WINDOW_SECONDS = 60
REPEATS_ALLOWED = 2
REPEATS_SECONDS = 600
SHORTEST_REPEATED = 12
"""Thanks and goodbyes, in characters, are not what spam consists of."""


@dataclass(eq=False)
class RateLimited(DomainError):
    """Somebody does something more often than a person would."""

    retry_after_seconds: int
    template = "That is too much at once; try again in {retry_after_seconds} s."


@dataclass(eq=False, kw_only=True)
class Correspondent:
    """A person who writes; `recent` are the latest messages as (unix seconds, fingerprint), oldest first."""

    tenant_id: UUID
    user_id: UUID
    recent: list[Sequence[float | str]] = field(default_factory=list)

    def admit(self, body: str, now: datetime) -> bool:
        """Count a message; says whether it repeats what was written before too often.

        Raises: RateLimited.
        """
        at = now.timestamp()
        if len(self.recent) >= MESSAGES_PER_WINDOW:
            wait = float(self.recent[-MESSAGES_PER_WINDOW][0]) + WINDOW_SECONDS - at
            if wait > 0:
                # Of messages that come together, the first to be counted may be the last that was written.
                raise RateLimited(retry_after_seconds=ceil(min(wait, WINDOW_SECONDS)))
        mark = fingerprint(body)
        before = sum(1 for sent, said in self.recent if said == mark and float(sent) > at - REPEATS_SECONDS)
        self.recent = [*self.recent, (at, mark)][-MESSAGES_PER_WINDOW:]
        return before >= REPEATS_ALLOWED and len(body) >= SHORTEST_REPEATED
