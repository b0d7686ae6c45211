"""What happens in live sessions. An event about a session says how it stands afterwards; amounts are in minor units."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from domain.kernel import Event, Transitions, event
from domain.topics import followed


class LiveSessionStatus(StrEnum):
    """Where a session is between its announcement and its end."""

    SCHEDULED = "scheduled"
    READY = "ready"
    LIVE = "live"
    ENDED = "ended"
    CANCELLED = "cancelled"


_S = LiveSessionStatus
LIVE_STATES = Transitions(
    "LiveSession",
    _S.SCHEDULED,
    {
        _S.SCHEDULED: {_S.READY, _S.CANCELLED},
        _S.READY: {_S.LIVE, _S.CANCELLED},
        _S.LIVE: {_S.ENDED},
        _S.ENDED: (),
        _S.CANCELLED: (),
    },
)


@dataclass(frozen=True, kw_only=True)
class LiveFact(Event):
    """What every event about a session says."""

    session_id: UUID
    status: LiveSessionStatus
    sales_count: int
    revenue_minor: int
    currency: str


@event("live.session_scheduled")
@dataclass(frozen=True, kw_only=True)
class SessionScheduled(LiveFact):
    title: str
    host_id: UUID
    scheduled_for: datetime
    product_ids: tuple[UUID, ...]


@event("live.preparation_begun")
@dataclass(frozen=True, kw_only=True)
class PreparationBegun(LiveFact):
    """The studio is booked and the goods are held; the stream is still to be opened."""

    preparation_id: UUID
    studio_id: UUID
    slot_ends_at: datetime


@event("live.preparation_given_up")
@dataclass(frozen=True, kw_only=True)
class PreparationGivenUp(LiveFact):
    preparation_id: UUID


@event("live.session_ready")
@dataclass(frozen=True, kw_only=True)
class SessionReady(LiveFact):
    """Everything is there to go live; the key of the stream is nobody's but the host's, and not in here."""

    playback_url: str
    slot_ends_at: datetime


@event("live.started")
@dataclass(frozen=True, kw_only=True)
class LiveStarted(LiveFact):
    title: str
    host_id: UUID
    started_at: datetime


@event("live.product_pinned")
@dataclass(frozen=True, kw_only=True)
class ProductPinned(LiveFact):
    """A product is in front of everybody; none where the last one was taken down."""

    product_id: UUID | None
    sku: str | None


@event("live.flash_sale_started")
@dataclass(frozen=True, kw_only=True)
class LiveFlashSaleStarted(LiveFact):
    flash_sale_id: UUID
    title: str
    ends_at: datetime


@event("live.flash_sale_ended")
@dataclass(frozen=True, kw_only=True)
class LiveFlashSaleEnded(LiveFact):
    flash_sale_id: UUID


@event("live.sales_changed")
@dataclass(frozen=True, kw_only=True)
class LiveSalesChanged(LiveFact):
    order_id: UUID


@event("live.ended")
@dataclass(frozen=True, kw_only=True)
class LiveEnded(LiveFact):
    started_at: datetime
    ended_at: datetime


@event("live.cancelled")
@dataclass(frozen=True, kw_only=True)
class LiveCancelled(LiveFact):
    reason: str | None


@event("live.viewer_banned")
@dataclass(frozen=True, kw_only=True)
class ViewerWasBanned(LiveFact):
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    user_id: UUID
    reason: str | None


@event("live.chat_posted")
@dataclass(frozen=True, kw_only=True)
class ChatPosted(Event):
    """Somebody wrote; whoever is shown it needs nothing else."""

    person: ClassVar[str] = "author_id"
    personal: ClassVar[frozenset[str]] = frozenset({"author_name", "body"})

    message_id: UUID
    session_id: UUID
    author_id: UUID
    author_name: str
    is_host: bool
    body: str
    sent_at: datetime


def session_topic(session_id: object) -> str:
    """Name the topic of how a session stands."""
    return f"live:{session_id}"


def pin_topic(session_id: object) -> str:
    """Name the topic of what a session shows."""
    return f"live-pin:{session_id}"


def sale_topic(session_id: object) -> str:
    """Name the topic of a session's flash sales."""
    return f"live-sale:{session_id}"


def chat_topic(session_id: object) -> str:
    """Name the topic of what is written in a session, and of who may write no more."""
    return f"live-chat:{session_id}"


@followed(
    "live.session_ready", "live.started", "live.product_pinned", "live.flash_sale_started", "live.flash_sale_ended",
    "live.sales_changed", "live.ended", "live.cancelled",
)  # fmt: skip
def _of_the_session(session_id: UUID, _data: Mapping[str, Any]) -> Iterable[str]:
    return [session_topic(session_id)]


@followed("live.product_pinned")
def _of_the_pin(session_id: UUID, _data: Mapping[str, Any]) -> Iterable[str]:
    return [pin_topic(session_id)]


@followed("live.flash_sale_started", "live.flash_sale_ended")
def _of_the_sale(session_id: UUID, _data: Mapping[str, Any]) -> Iterable[str]:
    return [sale_topic(session_id)]


@followed("live.chat_posted", "live.viewer_banned")
def _of_the_chat(_id: UUID, data: Mapping[str, Any]) -> Iterable[str]:
    return [chat_topic(data["session_id"])]
