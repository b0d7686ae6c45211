"""Rooms: who watches a session, and what they think of it; counted while it happens, kept in groups."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID

PLACE = "live:"


class ReactionKind(StrEnum):
    """What a viewer can say without words."""

    HEART = "heart"
    CLAP = "clap"
    FIRE = "fire"
    LAUGH = "laugh"
    WOW = "wow"


def room_of(session_id: object) -> str:
    """Name the place where the viewers of a session are."""
    return f"{PLACE}{session_id}"


def count_signal(session_id: object) -> str:
    """Name the signal of how many people watch a session."""
    return f"live-count:{session_id}"


def reactions_signal(session_id: object) -> str:
    """Name the signal of a session's reactions."""
    return f"live-reactions:{session_id}"


@dataclass(frozen=True, kw_only=True)
class RoomPage:
    """What is to be kept of a room: viewers who came, the most who were there at once, and all reactions so far."""

    tenant_id: UUID
    session_id: UUID
    viewers: Collection[str] = ()
    peak: int = 0
    reactions: Mapping[str, int] = field(default_factory=dict)


class RoomBooks(Protocol):
    """Keeps what happened in rooms; to keep the same again changes nothing."""

    async def keep(self, pages: Sequence[RoomPage]) -> None: ...


class LiveRooms(Protocol):
    """The rooms at this moment, over all processes."""

    def react(self, tenant_id: UUID, session_id: UUID, kind: ReactionKind) -> None:
        """Count a reaction; whoever follows the room is told within a second or two."""
        ...

    async def reactions(self, tenant_id: UUID, session_id: UUID) -> Mapping[str, int]:
        """Give how many reactions of each kind there were."""
        ...
