"""Streams: where a host sends pictures to, and where viewers see them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import DomainError


@dataclass(eq=False)
class StreamingRefused(DomainError):
    """The streaming platform opens no stream."""

    reason: str
    template = "The streaming platform refused: {reason}."


@dataclass(frozen=True, kw_only=True)
class StreamId:
    """One preparation of one session: a stream that was given up and prepared again is another one."""

    tenant_id: UUID
    session_id: UUID
    preparation_id: UUID


@dataclass(frozen=True, kw_only=True)
class Stream:
    """An open stream; whoever has the key can send pictures in the host's name."""

    ingest_url: str
    ingest_key: str
    playback_url: str


class StreamUse(StrEnum):
    """What somebody wants of a stream: to send it, or to see it."""

    PUBLISH = "publish"
    PLAY = "play"


class StreamingPlatform(Protocol):
    """Receives streams by RTMP and shows them by HLS."""

    async def open(self, stream: StreamId) -> Stream:
        """Prepare a stream; asked again for the same one, the answer is the same.

        Raises: StreamingRefused, Unavailable.
        """
        ...

    async def allows(self, name: str, key: str, use: StreamUse) -> bool:
        """Say whether a stream of that name may be sent with the key, or seen, at this moment."""
        ...

    async def close(self, stream: StreamId) -> None:
        """End a stream, its key with it; one that is not open stays so.

        Raises: Unavailable.
        """
        ...
