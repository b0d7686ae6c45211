"""Putting live sessions on: goods, a studio and a stream for each, all of them or none, and all given back at its end.

Preparing is a saga: the studio and the goods are taken in one transaction, the stream is opened outside of it, and the
session is ready in a third step. Whatever refuses, or dies, on the way, nothing stays taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.catalog import Offer, Skus
from domain.identity.users import Users
from domain.inventory import (
    InsufficientStock,
    ReleaseStock,
    ReservationPurpose,
    Reservations,
    ReserveStock,
    StockClaim,
    release_stock,
    reserve_stock,
)
from domain.jobs import JobQueue, Jobs
from domain.kernel import InvalidStateTransition, NotFound, Principal, Work
from domain.live.events import LiveSessionStatus
from domain.live.sessions import MANAGE, LiveSession, LiveSessions, ShownProduct, run_by
from domain.live.streaming import Stream, StreamId, StreamingPlatform, StreamingRefused
from domain.live.studios import STUDIO_SLOT, StudioBooking, Studios, book_studio
from domain.money import CurrencyMismatch
from domain.pricing import CampaignState, FlashSales
from domain.processes.allocating import Shelf, Shelves
from domain.sagas import Process, Processes, Saga, Step
from domain.tenancy import Cipher

PREPARED_WITHIN = timedelta(minutes=5)
END_SLOT = "live.end_slot"
CLOSE_STREAM = "live.close_stream"

jobs = Jobs()
processes = Processes()


@dataclass(frozen=True, kw_only=True)
class ScheduleLiveSession:
    """Announce a session that shows some goods; the caller's own where no host is named."""

    title: str
    studio_id: UUID
    scheduled_for: datetime
    skus: Sequence[str]
    description: str | None = None
    host_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class StartLiveSession:
    """Prepare a session: book its studio for two hours from now, hold a unit of all it shows, and open its stream."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class GoLive:
    """Begin a session that is ready."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class PinProduct:
    """Put a product in front of everybody; none takes the last one down."""

    session_id: UUID
    product_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class EndLiveSession:
    """Stop a session that is live."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class CancelLiveSession:
    """Call a session off that is not live yet."""

    session_id: UUID
    reason: str | None = None


async def schedule_live_session(
    command: ScheduleLiveSession, work: Work, studios: Studios, skus: Skus, users: Users, sessions: LiveSessions
) -> LiveSession:
    """Announce a session with goods on sale that the caller may show: own ones, those of one's stores, or any.

    Raises: NotFound, InvalidInput, CurrencyMismatch.
    """
    host_id = command.host_id or work.actor.require_user()
    if host_id != work.actor.user_id:
        if not work.actor.may(MANAGE):
            raise NotFound(kind="User", id=str(host_id))
        await users.get(host_id)
    if not await studios.exists(command.studio_id):
        raise NotFound(kind="Studio", id=str(command.studio_id))
    wanted = list(dict.fromkeys(command.skus))
    offers = [_shown(offer, sku, work.actor) for sku, offer in zip(wanted, await skus.offers(wanted), strict=True)]
    session = LiveSession(
        tenant_id=work.tenant_id,
        title=command.title,
        description=command.description,
        host_id=host_id,
        studio_id=command.studio_id,
        scheduled_for=command.scheduled_for,
        currency=_currency_of(offers),
        products=tuple(ShownProduct(product_id=each.product_id, sku=each.sku) for each in offers),
    )
    session.schedule(work)
    sessions.add(session)
    return session


def _shown(offer: Offer | None, sku: str, actor: Principal) -> Offer:
    if offer is None or not offer.active or offer.price is None:
        raise NotFound(kind="SKU", id=sku)
    at_home = offer.store_id is not None and actor.works_at(offer.store_id)
    if not (actor.may(MANAGE) or offer.seller_id == actor.user_id or at_home):
        raise NotFound(kind="SKU", id=sku)
    return offer


def _currency_of(offers: Sequence[Offer]) -> str:
    currencies = [each.price.currency for each in offers if each.price is not None]
    for other in currencies:
        if other != currencies[0]:
            raise CurrencyMismatch(expected=currencies[0], actual=other)
    return currencies[0] if currencies else ""


def preparation_saga(command: StartLiveSession, work: Work, key: str, request_hash: bytes) -> Saga:
    """Begin a preparation; its id is that of the booking, and what goods are held under."""
    return Saga(
        tenant_id=work.tenant_id,
        kind="live_preparation",
        key=f"{command.session_id}:{key}",
        request_hash=request_hash,
        user_id=work.actor.user_id,
        correlation_id=work.correlation_id,
        data={"session_id": str(command.session_id)},
        due_at=work.now,
        deadline=work.now + PREPARED_WITHIN,
        started_at=work.now,
    )


async def take_studio_and_goods(
    saga: Saga,
    work: Work,
    sessions: LiveSessions,
    studios: Studios,
    shelves: Shelves,
    reservations: Reservations,
    queue: JobQueue,
) -> None:
    """Book the studio for two hours and hold a unit of everything that is shown.

    Raises: NotFound, InvalidStateTransition, AlreadyBeingPrepared, StudioTaken, InsufficientStock.
    """
    session = await _locked(saga, sessions)
    ends_at = saga.started_at + STUDIO_SLOT
    session.begin_preparation(saga.id, ends_at)
    booking = StudioBooking(
        id=saga.id,
        tenant_id=saga.tenant_id,
        studio_id=session.studio_id,
        session_id=session.id,
        starts_at=saga.started_at,
        ends_at=ends_at,
    )
    await book_studio(booking, studios)
    skus = [each.sku for each in session.products]
    claims = _claims(skus, await shelves.of_skus(skus))
    held = ReserveStock(order_id=saga.id, claims=claims, purpose=ReservationPurpose.DISPLAY, expires_at=ends_at)
    await reserve_stock(held, work, reservations, queue)


def _claims(skus: Sequence[str], shelves: Sequence[Shelf]) -> tuple[StockClaim, ...]:
    """Take each unit from the fullest shelf."""
    fullest: dict[str, Shelf] = {}
    for shelf in sorted(shelves, key=lambda each: (each.available, each.store_id.int)):
        fullest[shelf.sku] = shelf
    for sku in skus:
        if sku not in fullest or fullest[sku].available < 1:
            raise InsufficientStock(sku=sku, requested=1, available=0)
    return tuple(StockClaim(store_id=fullest[sku].store_id, sku=sku, quantity=1) for sku in skus)


async def give_studio_and_goods_back(
    saga: Saga, work: Work, sessions: LiveSessions, studios: Studios, reservations: Reservations
) -> None:
    """Let a preparation that came to nothing hold nothing."""
    session = await _locked(saga, sessions)
    session.give_up_preparation(saga.id)
    await _let_go(saga.id, work, studios, reservations)


async def open_stream(saga: Saga, platform: StreamingPlatform, cipher: Cipher) -> None:
    """Have the stream opened; its key is kept as ciphertext only.

    Raises: StreamingRefused, Unavailable.
    """
    stream = await platform.open(_stream(saga))
    saga.data["stream"] = {
        "ingest_url": stream.ingest_url,
        "playback_url": stream.playback_url,
        "sealed": cipher.encrypt(stream.ingest_key, key_place(saga.data["session_id"])),
    }


async def close_stream(saga: Saga, platform: StreamingPlatform) -> None:
    await platform.close(_stream(saga))


async def declare_ready(saga: Saga, sessions: LiveSessions, queue: JobQueue) -> None:
    """Note that all is there, and see to it that a session that never begins does not keep it.

    Raises: InvalidStateTransition when it was cancelled meanwhile.
    """
    session, told = await _locked(saga, sessions), saga.data["stream"]
    stream = Stream(ingest_url=told["ingest_url"], ingest_key="", playback_url=told["playback_url"])
    session.make_ready(saga.id, stream, told["sealed"])
    payload = {"session_id": str(session.id), "preparation_id": str(saga.id)}
    await queue.defer(END_SLOT, payload, at=saga.started_at + STUDIO_SLOT, key=str(saga.id))


PREPARATION = processes.add(
    Process.of(
        "live_preparation",
        Step("take", take_studio_and_goods, undo=give_studio_and_goods_back),
        Step("stream", open_stream, undo=close_stream, outside=True),
        Step("ready", declare_ready),
        refusals=(StreamingRefused, InvalidStateTransition),
    )
)


def key_place(session_id: object) -> str:
    """Say where the key of a session's stream belongs, for its encryption."""
    return f"live session {session_id} ingest key"


async def go_live(command: GoLive, work: Work, sessions: LiveSessions) -> LiveSession:
    session = await run_by(work.actor, command.session_id, sessions)
    session.go_live(work)
    return session


async def pin_product(command: PinProduct, work: Work, sessions: LiveSessions) -> LiveSession:
    session = await run_by(work.actor, command.session_id, sessions)
    session.pin(command.product_id)
    return session


async def end_live_session(
    command: EndLiveSession,
    work: Work,
    sessions: LiveSessions,
    studios: Studios,
    reservations: Reservations,
    sales: FlashSales,
    queue: JobQueue,
) -> LiveSession:
    """Stop: the flash sale ends, the studio and the shown goods are free again, and the stream is closed.

    Raises: NotFound, InvalidStateTransition.
    """
    session = await run_by(work.actor, command.session_id, sessions)
    await _end_sale(session, sales)
    session.end(work)
    await _strike(session, work, studios, reservations, queue)
    return session


async def cancel_live_session(
    command: CancelLiveSession,
    work: Work,
    sessions: LiveSessions,
    studios: Studios,
    reservations: Reservations,
    queue: JobQueue,
) -> LiveSession:
    """Call it off, with everything given back that was prepared.

    Raises: NotFound, InvalidStateTransition, InvalidInput.
    """
    session = await run_by(work.actor, command.session_id, sessions)
    session.cancel(command.reason)
    await _strike(session, work, studios, reservations, queue)
    return session


@jobs.on(END_SLOT)
async def end_slot(
    payload: Mapping[str, Any],
    work: Work,
    sessions: LiveSessions,
    studios: Studios,
    reservations: Reservations,
    queue: JobQueue,
) -> None:
    """Call off a session that was prepared and never began in the time for which its studio was booked."""
    session = await sessions.lock(UUID(payload["session_id"]))
    waits = session is not None and session.status is LiveSessionStatus.READY
    if session is not None and waits and session.preparation_id == UUID(payload["preparation_id"]):
        session.cancel("the time for which the studio was booked was over")
        await _strike(session, work, studios, reservations, queue)


@jobs.on(CLOSE_STREAM)
async def close_ended_stream(payload: Mapping[str, Any], work: Work, platform: StreamingPlatform) -> None:
    session_id, preparation_id = UUID(payload["session_id"]), UUID(payload["preparation_id"])
    await platform.close(StreamId(tenant_id=work.tenant_id, session_id=session_id, preparation_id=preparation_id))


async def _strike(
    session: LiveSession, work: Work, studios: Studios, reservations: Reservations, queue: JobQueue
) -> None:
    """Give back everything that a session had."""
    if session.preparation_id is None:
        return
    await _let_go(session.preparation_id, work, studios, reservations)
    await queue.cancel(END_SLOT, str(session.preparation_id))
    payload = {"session_id": str(session.id), "preparation_id": str(session.preparation_id)}
    await queue.defer(CLOSE_STREAM, payload, key=str(session.preparation_id))


async def _let_go(preparation_id: UUID, work: Work, studios: Studios, reservations: Reservations) -> None:
    await studios.free(preparation_id, work.now)
    await release_stock(ReleaseStock(order_id=preparation_id), work, reservations)


async def _end_sale(session: LiveSession, sales: FlashSales) -> None:
    if session.flash_sale_id is None:
        return
    sale = await sales.lock(session.flash_sale_id)
    if sale is not None and not sale.is_over:
        sale.go_to(CampaignState.CANCELLED)
    session.end_sale(session.flash_sale_id)


async def _locked(saga: Saga, sessions: LiveSessions) -> LiveSession:
    session = await sessions.lock(UUID(saga.data["session_id"]))
    if session is None:
        raise NotFound(kind="LiveSession", id=saga.data["session_id"])
    return session


def _stream(saga: Saga) -> StreamId:
    return StreamId(tenant_id=saga.tenant_id, session_id=UUID(saga.data["session_id"]), preparation_id=saga.id)
