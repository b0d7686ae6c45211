"""Live sessions: somebody shows goods from a studio, and sells them while people watch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from domain.kernel import Aggregate, DomainError, InvalidInput, InvalidStateTransition, NotFound, Principal, Work
from domain.live.events import (
    LIVE_STATES,
    LiveCancelled,
    LiveEnded,
    LiveFact,
    LiveFlashSaleEnded,
    LiveFlashSaleStarted,
    LiveSalesChanged,
    LiveSessionStatus,
    LiveStarted,
    PreparationBegun,
    PreparationGivenUp,
    ProductPinned,
    SessionReady,
    SessionScheduled,
    ViewerWasBanned,
)
from domain.live.streaming import Stream, StreamId
from domain.live.texts import clean_line

F = TypeVar("F", bound=LiveFact)

HOST = "live.host"
MANAGE = "live.manage"
MODERATE = "live.moderate"
MAX_TITLE = 120
MAX_TEXT = 500
MAX_SHOWN = 50
LATE_BY_AT_MOST = timedelta(hours=1)
_OPEN = frozenset({LiveSessionStatus.READY, LiveSessionStatus.LIVE})


@dataclass(eq=False)
class AlreadyBeingPrepared(DomainError):
    """Somebody is preparing the session at this moment."""

    session_id: UUID
    template = "Session {session_id} is being prepared."


@dataclass(eq=False)
class StudioSlotOver(DomainError):
    """The time for which the studio was booked has passed."""

    session_id: UUID
    ended_at: datetime
    template = "The studio of session {session_id} was booked until {ended_at}: prepare another session."


@dataclass(eq=False)
class FlashSaleRunning(DomainError):
    """One flash sale at a time."""

    flash_sale_id: UUID
    template = "Flash sale {flash_sale_id} of this session is still running."


@dataclass(frozen=True, kw_only=True)
class ShownProduct:
    """A SKU that is shown."""

    product_id: UUID
    sku: str


@dataclass(eq=False, kw_only=True)
class LiveSession(Aggregate):
    """A selling session; `ingest_sealed` is the ciphertext of the key that its stream is sent with."""

    title: str
    description: str | None = None
    host_id: UUID
    studio_id: UUID
    status: LiveSessionStatus = LiveSessionStatus.SCHEDULED
    scheduled_for: datetime
    currency: str
    products: tuple[ShownProduct, ...] = field(default_factory=tuple)
    preparation_id: UUID | None = None
    slot_ends_at: datetime | None = None
    ingest_url: str | None = None
    ingest_sealed: str | None = None
    playback_url: str | None = None
    pinned_product_id: UUID | None = None
    flash_sale_id: UUID | None = None
    sales_count: int = 0
    revenue_minor: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def schedule(self, work: Work) -> None:
        """Announce it.

        Raises: InvalidInput.
        """
        self.title = clean_line("title", self.title, MAX_TITLE)
        self.description = clean_line("description", self.description, MAX_TEXT) if self.description else None
        if not 1 <= len(self.products) <= MAX_SHOWN or len({each.sku for each in self.products}) < len(self.products):
            raise InvalidInput(field="skus", reason=f"a session shows 1 to {MAX_SHOWN} goods, each once")
        if self.scheduled_for < work.now - LATE_BY_AT_MOST:
            raise InvalidInput(field="scheduledFor", reason="a session is announced before it takes place")
        shown = tuple(dict.fromkeys(each.product_id for each in self.products))
        self._tell(
            SessionScheduled,
            title=self.title,
            host_id=self.host_id,
            scheduled_for=self.scheduled_for,
            product_ids=shown,
        )

    def begin_preparation(self, preparation_id: UUID, slot_ends_at: datetime) -> None:
        """Note that the studio is booked and the goods are held under an id.

        Raises: InvalidStateTransition, AlreadyBeingPrepared.
        """
        LIVE_STATES.check(self.status, LiveSessionStatus.READY)
        if self.preparation_id is not None:
            raise AlreadyBeingPrepared(session_id=self.id)
        self.preparation_id, self.slot_ends_at = preparation_id, slot_ends_at
        self._tell(PreparationBegun, preparation_id=preparation_id, studio_id=self.studio_id, slot_ends_at=slot_ends_at)

    def give_up_preparation(self, preparation_id: UUID) -> bool:
        """Forget a preparation that came to nothing; says whether it was the one that the session had."""
        if self.preparation_id != preparation_id or self.status is not LiveSessionStatus.SCHEDULED:
            return False
        self.preparation_id = self.slot_ends_at = None
        self._tell(PreparationGivenUp, preparation_id=preparation_id)
        return True

    def make_ready(self, preparation_id: UUID, stream: Stream, sealed_key: str) -> None:
        """Note that everything is prepared.

        Raises: InvalidStateTransition when it was cancelled meanwhile.
        """
        status = LIVE_STATES.check(self.status, LiveSessionStatus.READY)
        if self.preparation_id != preparation_id or self.slot_ends_at is None:
            raise InvalidStateTransition(kind="LiveSession", current=self.status, requested=status)
        self.status, self.ingest_url, self.ingest_sealed = status, stream.ingest_url, sealed_key
        self.playback_url = stream.playback_url
        self._tell(SessionReady, playback_url=stream.playback_url, slot_ends_at=self.slot_ends_at)

    def go_live(self, work: Work) -> None:
        """Begin.

        Raises: InvalidStateTransition, StudioSlotOver.
        """
        status = LIVE_STATES.check(self.status, LiveSessionStatus.LIVE)
        if self.slot_ends_at is not None and work.now >= self.slot_ends_at:
            raise StudioSlotOver(session_id=self.id, ended_at=self.slot_ends_at)
        self.status, self.started_at = status, work.now
        self._tell(LiveStarted, title=self.title, host_id=self.host_id, started_at=work.now)

    def pin(self, product_id: UUID | None) -> None:
        """Put one of the shown products in front of everybody, or take it down; again is no change.

        Raises: InvalidStateTransition, NotFound.
        """
        self.expect_open()
        if self.pinned_product_id == product_id:
            return
        shown = next((each for each in self.products if each.product_id == product_id), None)
        if product_id is not None and shown is None:
            raise NotFound(kind="Product", id=str(product_id))
        self.pinned_product_id = product_id
        self._tell(ProductPinned, product_id=product_id, sku=shown and shown.sku)

    def expect_sale(self, skus: Sequence[str]) -> None:
        """Refuse a flash sale of what is not shown, beside another one, or while nobody watches.

        Raises: InvalidStateTransition, FlashSaleRunning, NotFound.
        """
        if self.status is not LiveSessionStatus.LIVE:
            raise InvalidStateTransition(kind="LiveSession", current=self.status, requested="on sale")
        if self.flash_sale_id is not None:
            raise FlashSaleRunning(flash_sale_id=self.flash_sale_id)
        shown = {each.sku for each in self.products}
        for sku in skus:
            if sku not in shown:
                raise NotFound(kind="Product", id=sku)

    def start_sale(self, sale_id: UUID, title: str, ends_at: datetime) -> None:
        """Note the flash sale that has begun."""
        self.flash_sale_id = sale_id
        self._tell(LiveFlashSaleStarted, flash_sale_id=sale_id, title=title, ends_at=ends_at)

    def end_sale(self, sale_id: UUID) -> None:
        """Note that a flash sale is over; one that is not the session's is nothing to it."""
        if self.flash_sale_id == sale_id:
            self.flash_sale_id = None
            self._tell(LiveFlashSaleEnded, flash_sale_id=sale_id)

    def count_sales(self, order_id: UUID, orders: int, amount_minor: int) -> None:
        """Add what an order adds to sales and revenue now; what it takes away is negative."""
        if orders or amount_minor:
            self.sales_count += orders
            self.revenue_minor += amount_minor
            self._tell(LiveSalesChanged, order_id=order_id)

    def end(self, work: Work) -> None:
        """Stop; sales of what was ordered in time still come to count.

        Raises: InvalidStateTransition.
        """
        self.status = LIVE_STATES.check(self.status, LiveSessionStatus.ENDED)
        self.ended_at, self.pinned_product_id = work.now, None
        self._shut()
        self._tell(LiveEnded, started_at=self.started_at or work.now, ended_at=work.now)

    def cancel(self, reason: str | None) -> None:
        """Call it off before it began.

        Raises: InvalidStateTransition, InvalidInput.
        """
        self.status = LIVE_STATES.check(self.status, LiveSessionStatus.CANCELLED)
        self._shut()
        self._tell(LiveCancelled, reason=clean_line("reason", reason, MAX_TEXT) if reason else None)

    def ban(self, user_id: UUID, reason: str | None) -> None:
        """Note that somebody may not take part any more.

        Raises: InvalidInput.
        """
        if user_id == self.host_id:
            raise InvalidInput(field="userId", reason="the host cannot be banned")
        self._tell(ViewerWasBanned, user_id=user_id, reason=clean_line("reason", reason, MAX_TEXT) if reason else None)

    def expect_open(self) -> None:
        """Refuse what makes sense only shortly before and during the session.

        Raises: InvalidStateTransition.
        """
        expect_open(self.status)

    def took_place_at(self, moment: datetime) -> bool:
        """Say whether it was live at a moment."""
        begun = self.started_at is not None and self.started_at <= moment
        return begun and (self.ended_at is None or moment <= self.ended_at)

    @property
    def stream(self) -> StreamId | None:
        if self.preparation_id is None:
            return None
        return StreamId(tenant_id=self.tenant_id, session_id=self.id, preparation_id=self.preparation_id)

    def _shut(self) -> None:
        # A key that opens nothing any more is still better not kept.
        self.ingest_url = self.ingest_sealed = None

    def _tell(self, fact: type[F], **more: Any) -> None:
        self.record(
            fact(
                session_id=self.id,
                status=self.status,
                sales_count=self.sales_count,
                revenue_minor=self.revenue_minor,
                currency=self.currency,
                **more,
            )
        )


class LiveSessions(Protocol):
    """Sessions for change; what is given is locked until the transaction ends."""

    def add(self, session: LiveSession) -> None: ...

    async def lock(self, session_id: UUID) -> LiveSession | None: ...

    async def of_sale(self, flash_sale_id: UUID) -> LiveSession | None: ...


def expect_open(status: LiveSessionStatus) -> None:
    """Refuse what makes sense only in a session that is ready or live.

    Raises: InvalidStateTransition.
    """
    if status not in _OPEN:
        raise InvalidStateTransition(kind="LiveSession", current=status, requested="open")


def runs(actor: Principal, host_id: UUID) -> bool:
    """Say whether somebody runs a session: its host, and whoever manages all sessions."""
    return actor.may(MANAGE) or (actor.may(HOST) and actor.user_id == host_id)


async def run_by(actor: Principal, session_id: UUID, sessions: LiveSessions) -> LiveSession:
    """Give a session to somebody who runs it.

    Raises: NotFound.
    """
    session = await sessions.lock(session_id)
    if session is None or not runs(actor, session.host_id):
        raise NotFound(kind="LiveSession", id=str(session_id))
    return session
