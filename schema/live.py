"""The live subgraph: studios, sessions, their chat, and what is felt and sold in them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from domain import live as domain
from domain.inventory import InsufficientStock
from domain.kernel import AlreadyExists, InvalidStateTransition
from domain.money import CurrencyMismatch
from resolvers import live as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    Node,
    bulk,
    command,
    computed,
    connection,
    feed,
    make_subgraph,
    money,
    owner_or,
    permission,
    query,
)

HOST = permission(domain.HOST)
MANAGE = permission(domain.MANAGE)

enum_of(domain.LiveSessionStatus)
enum_of(domain.ReactionKind)


def _amounts(_context: Context, amounts: Sequence[tuple[int, str]]) -> list[Money]:
    return [money(*amount) for amount in amounts]


def _amount(column: str, **options: Any) -> Any:
    return computed(_amounts, Money, key=(column, "currency"), **options)


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID


@strawberry.federation.type(keys=["id"])
class FlashSale:
    id: UUID


@strawberry.federation.type(keys=["id"])
class User:
    id: UUID


@strawberry.federation.type(keys=["id"], description="A room with cameras and lights.")
class Studio(Node):
    __references__ = {"id": resolvers.studios_by_id}
    __reads__ = (domain.Studio,)

    id: UUID
    version: int
    name: str
    location: str | None
    equipment: list[str]


@strawberry.type(description="A span of time that a studio is taken for.")
class StudioBooking:
    id: UUID
    session_id: UUID
    starts_at: datetime
    ends_at: datetime


@strawberry.type(description="A studio, and what of a span of time is taken.")
class StudioAvailability:
    __reads__ = (resolvers.StudioFree,)

    studio: Studio
    bookings: list[StudioBooking]
    since: datetime
    until: datetime
    is_free = computed(lambda span, _context: not span.bookings, bool, description="All of the span is free.")


@strawberry.type(description="A SKU that a session shows.")
class LiveProduct:
    __reads__ = (domain.ShownProduct,)

    sku: str
    product = computed(
        lambda shown, _context: Product(id=shown.product_id),
        Product | None,
        description="Null when it is no longer on sale.",
    )


def _shown(session: Any, _context: Context) -> list[domain.ShownProduct]:
    # Aggregates hold values, rows hold JSON.
    return [
        each
        if isinstance(each, domain.ShownProduct)
        else domain.ShownProduct(product_id=UUID(each["product_id"]), sku=each["sku"])
        for each in session.products
    ]


@strawberry.type(description="Where a host sends the stream; the key is a secret.")
class LiveIngest:
    __reads__ = (resolvers.Ingest,)

    url: str = strawberry.field(description="The RTMP server, such as OBS asks for.")
    key: str = strawberry.field(description="The stream key, good until the session ends.")


@strawberry.federation.type(keys=["id"], description="Somebody shows goods from a studio, and sells them.")
class LiveSession(Node):
    __references__ = {"id": resolvers.sessions_by_id}
    __reads__ = (domain.LiveSession,)

    id: UUID
    version: int
    title: str
    description: str | None
    host_id: UUID
    host = computed(lambda session, _context: User(id=session.host_id), User | None)
    studio_id: UUID
    status: domain.LiveSessionStatus
    scheduled_for: datetime
    products = computed(_shown, list[LiveProduct])
    pinned_product = computed(
        lambda session, _context: Product(id=session.pinned_product_id) if session.pinned_product_id else None,
        Product | None,
    )
    flash_sale = computed(
        lambda session, _context: FlashSale(id=session.flash_sale_id) if session.flash_sale_id else None,
        FlashSale | None,
        description="The one that is running.",
    )
    viewer_count: int = bulk(
        resolvers.viewers_of_sessions, key="id", who=PUBLIC, description="People who watch at this moment."
    )
    sales_count: int = strawberry.field(description="Paid orders that were placed in it and are not off.")
    total_revenue = _amount("revenue_minor", description="What these orders come to, less what was given back.")
    stream_url = computed(
        lambda session, _context: session.playback_url, str | None, description="The HLS playlist, once it is ready."
    )
    slot_ends_at: datetime | None = strawberry.field(description="Until when the studio is booked.")
    ingest: LiveIngest | None = bulk(
        resolvers.ingests_of_sessions, key="id", who=owner_or(domain.MANAGE, "host_id"), description="For the host."
    )
    started_at: datetime | None
    ended_at: datetime | None


@strawberry.type(description="A line of a session's chat.")
class LiveChatMessage:
    __reads__ = (domain.LiveChatMessage,)

    id: UUID
    session_id: UUID
    author_id: UUID
    author_name: str
    is_host: bool
    body: str
    sent_at: datetime


@strawberry.type(description="How often something was felt.")
class LiveReactionCount:
    kind: domain.ReactionKind
    count: int


def _counts(totals: Any) -> list[LiveReactionCount]:
    return [LiveReactionCount(kind=kind, count=int(totals.get(kind, 0))) for kind in domain.ReactionKind]


@strawberry.type(
    description="What a session sold of a SKU, in orders that are not off; partial refunds are not taken off."
)
class LiveProductSales:
    sku: str
    units: int
    revenue = _amount("revenue_minor")
    product = computed(lambda sold, _context: Product(id=sold.product_id), Product | None)


@strawberry.type(description="What a session came to.")
class LiveSessionReport:
    __reads__ = (resolvers.SessionReport,)

    session: LiveSession
    unique_viewers = computed(lambda report, _context: report.figures["unique_viewers"], int)
    peak_viewers = computed(lambda report, _context: report.figures["peak_viewers"], int)
    chat_messages = computed(lambda report, _context: report.figures["chat_messages"], int)
    buyers = computed(lambda report, _context: report.figures["buyers"], int)
    conversion: float | None = strawberry.field(description="Buyers by unique viewers; the goal is above 0.15.")
    reactions = computed(lambda report, _context: _counts(report.figures["reactions"]), list[LiveReactionCount])
    products = computed(lambda report, _context: list(report.sold), list[LiveProductSales])


@strawberry.type(description="That a reaction is counted.")
class LiveReactionSent:
    __reads__ = (resolvers.Reacted,)

    session_id: UUID
    kind: domain.ReactionKind


@strawberry.type(description="How a session stands after something happened.")
class LiveSessionUpdated:
    __reads__ = (resolvers.SessionUpdate,)

    cursor: str
    session_id: UUID
    status: domain.LiveSessionStatus
    viewers: int
    sales_count: int
    revenue = _amount("revenue_minor")
    session: LiveSession | None = bulk(resolvers.sessions_by_id, key="session_id", who=PUBLIC)


def _line(told: Any, _context: Context) -> Any:
    data = told.data
    if told.name != domain.ChatPosted.name:
        return None
    return LiveChatMessage(
        id=UUID(data["message_id"]),
        session_id=told.session_id,
        author_id=UUID(data["author_id"]),
        author_name=data["author_name"],
        is_host=data["is_host"],
        body=data["body"],
        sent_at=datetime.fromisoformat(data["sent_at"]),
    )


@strawberry.type(description="Something was written, or somebody was excluded.")
class LiveChatReceived:
    __reads__ = (resolvers.Told,)

    cursor: str
    session_id: UUID
    message = computed(_line, LiveChatMessage | None)
    excluded_user_id = computed(
        lambda told, _context: UUID(told.data["user_id"]) if told.name == domain.ViewerWasBanned.name else None,
        UUID | None,
        description="Somebody whose lines are to be shown no more.",
    )


@strawberry.type(description="Another product is in front of everybody, or none.")
class PinnedProductChanged:
    __reads__ = (resolvers.Told,)

    cursor: str
    session_id: UUID
    sku = computed(lambda told, _context: told.data["sku"], str | None)
    product = computed(
        lambda told, _context: Product(id=UUID(told.data["product_id"])) if told.data["product_id"] else None,
        Product | None,
    )


@strawberry.type(description="A flash sale of a session began or is over.")
class LiveFlashSaleChanged:
    __reads__ = (resolvers.Told,)

    cursor: str
    session_id: UUID
    is_running = computed(lambda told, _context: told.name == domain.LiveFlashSaleStarted.name, bool)
    ends_at = computed(
        lambda told, _context: datetime.fromisoformat(told.data["ends_at"]) if "ends_at" in told.data else None,
        datetime | None,
    )
    flash_sale = computed(lambda told, _context: FlashSale(id=UUID(told.data["flash_sale_id"])), FlashSale | None)


@strawberry.type(description="All reactions to a session so far.")
class LiveReactionTotals:
    __reads__ = (resolvers.Told,)

    session_id: UUID
    totals = computed(lambda told, _context: _counts(told.data["totals"]), list[LiveReactionCount])


@strawberry.type
class Query:
    live_session = query(resolvers.live_session, LiveSession | None, who=PUBLIC)
    live_sessions = query(resolvers.live_sessions, connection(LiveSession), who=PUBLIC, stale_ok=True)
    live_chat = query(resolvers.live_chat, connection(LiveChatMessage), who=PUBLIC)
    live_session_report = query(resolvers.live_session_report, LiveSessionReport, who=HOST)
    studios = query(resolvers.studios, connection(Studio), who=HOST)
    studio_availability = query(resolvers.studio_availability, list[StudioAvailability], who=HOST)


_STATES = [InvalidStateTransition]


@strawberry.type
class Mutation:
    create_studio = command(resolvers.create_studio, Studio, errors=[AlreadyExists], who=MANAGE)
    schedule_live_session = command(resolvers.schedule_live_session, LiveSession, errors=[CurrencyMismatch], who=HOST)
    start_live_session = command(
        resolvers.start_live_session,
        LiveSession,
        errors=[
            *_STATES,
            domain.AlreadyBeingPrepared,
            domain.StudioTaken,
            InsufficientStock,
            domain.StreamingRefused,
        ],
        who=HOST,
        key_required=True,
    )
    go_live = command(resolvers.go_live, LiveSession, errors=[*_STATES, domain.StudioSlotOver], who=HOST)
    pin_product = command(resolvers.pin_product, LiveSession, errors=_STATES, who=HOST)
    start_live_flash_sale = command(
        resolvers.start_live_flash_sale, LiveSession, errors=[*_STATES, domain.FlashSaleRunning], who=HOST
    )
    end_live_session = command(resolvers.end_live_session, LiveSession, errors=_STATES, who=HOST)
    cancel_live_session = command(resolvers.cancel_live_session, LiveSession, errors=_STATES, who=HOST)
    send_live_chat = command(
        resolvers.send_live_chat,
        LiveChatMessage,
        errors=[*_STATES, domain.ViewerBanned, domain.TooManyMessages],
        who=AUTHENTICATED,
    )
    send_reaction = command(resolvers.send_reaction, LiveReactionSent, errors=_STATES, who=AUTHENTICATED)
    ban_live_viewer = command(resolvers.ban_live_viewer, LiveSession, who=AUTHENTICATED)


@strawberry.type
class Subscription:
    live_session_updated = feed(resolvers.live_session_updated, LiveSessionUpdated, who=PUBLIC)
    live_chat_received = feed(resolvers.live_chat_received, LiveChatReceived, who=PUBLIC)
    pinned_product_changed = feed(resolvers.pinned_product_changed, PinnedProductChanged, who=PUBLIC)
    live_flash_sale = feed(resolvers.live_flash_sale, LiveFlashSaleChanged, who=PUBLIC)
    live_reactions = feed(resolvers.live_reactions, LiveReactionTotals, who=PUBLIC)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[Product, FlashSale, User])
