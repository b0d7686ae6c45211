"""Verbs of live commerce."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import live
from domain.codec import fingerprint
from domain.kernel import InvalidStateTransition, NotFound, uuid7
from domain.live import (
    LiveReads,
    LiveRooms,
    LiveSessionFilter,
    LiveSessionStatus,
    ReactionKind,
    ViewerBanned,
    ViewerWasBanned,
    check_span,
    count_signal,
    reactions_signal,
    room_of,
    runs,
)
from domain.paging import Page, PageRequest
from domain.processes import live_chatting, live_selling, staging
from domain.processes.staging import PREPARATION, StartLiveSession, key_place, preparation_saga
from domain.sagas import SagaRunner
from domain.tenancy import Cipher
from domain.topics import Presence, TopicEvent, TopicHub
from resolvers.kernel import Context, Feed, transacts

create_studio = transacts(live.create_studio)
schedule_live_session = transacts(staging.schedule_live_session)
go_live = transacts(staging.go_live)
pin_product = transacts(staging.pin_product)
start_live_flash_sale = transacts(live_selling.start_live_flash_sale)
send_live_chat = transacts(live_chatting.send_live_chat)
ban_live_viewer = transacts(live.ban_live_viewer)
end_live_session = transacts(staging.end_live_session)
cancel_live_session = transacts(staging.cancel_live_session)


@dataclass(frozen=True, kw_only=True)
class SendReaction:
    """Say something to a live session without words."""

    session_id: UUID
    kind: ReactionKind


@dataclass(frozen=True, kw_only=True)
class Reacted:
    """That a reaction is counted."""

    session_id: UUID
    kind: ReactionKind


@dataclass(frozen=True, kw_only=True)
class StudioFree:
    """A studio, and what of a span is taken."""

    studio: Any
    bookings: Sequence[Any]
    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Where, and with which key, a host sends a stream."""

    url: str
    key: str


@dataclass(frozen=True, kw_only=True)
class SessionReport:
    """What a session came to."""

    session: Any
    figures: Any
    sold: Sequence[Any]

    @property
    def conversion(self) -> float | None:
        viewers = self.figures["unique_viewers"]
        return self.figures["buyers"] / viewers if viewers else None


@dataclass(frozen=True, kw_only=True)
class SessionUpdate:
    """How a session stands after something happened."""

    cursor: str
    session_id: UUID
    status: LiveSessionStatus
    viewers: int
    sales_count: int
    revenue_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """Something that happened in a session, with its cursor."""

    cursor: str
    session_id: UUID
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


async def sessions_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(LiveReads).by_id(ids)


async def studios_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(LiveReads).studios_by_id(ids)


async def live_session(context: Context, id: UUID) -> Any:  # noqa: A002 — GraphQL's conventional name.
    return await context.load(sessions_by_id, id)


async def live_sessions(
    context: Context, page: PageRequest, status: LiveSessionStatus | None = None, host_id: UUID | None = None
) -> Page[Any]:
    return await context.read(LiveReads).listed(LiveSessionFilter(status=status, host_id=host_id), page)


async def studios(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(LiveReads).studios(page)


async def studio_availability(context: Context, since: datetime, until: datetime) -> Sequence[StudioFree]:
    check_span(since, until)
    reads = context.read(LiveReads)
    known = await reads.all_studios()
    taken = await reads.bookings([each.id for each in known], since, until)
    return [
        StudioFree(studio=each, bookings=bookings, since=since, until=until)
        for each, bookings in zip(known, taken, strict=True)
    ]


async def live_chat(context: Context, page: PageRequest, session_id: UUID) -> Page[Any]:
    return await context.read(LiveReads).chat(session_id, page)


async def viewers_of_sessions(context: Context, ids: Sequence[UUID]) -> Sequence[int]:
    return await context.service(Presence).count(context.require_tenant(), [room_of(each) for each in ids])


async def ingests_of_sessions(context: Context, ids: Sequence[UUID]) -> Sequence[Ingest | None]:
    """Open the keys of sessions for those who run them; the field lets nobody else come here."""
    cipher = context.service(Cipher)
    rows = await context.read(LiveReads).by_id(ids)
    return [
        Ingest(url=row.ingest_url, key=cipher.decrypt(row.ingest_sealed, key_place(row.id)))
        if row is not None and row.ingest_sealed
        else None
        for row in rows
    ]


async def live_session_report(context: Context, id: UUID) -> SessionReport:  # noqa: A002 — see above.
    session = await _session(context, id)
    if not runs(context.principal, session.host_id):
        raise NotFound(kind="LiveSession", id=str(id))
    reads = context.read(LiveReads)
    return SessionReport(session=session, figures=await reads.figures(id), sold=await reads.sold(id))


async def start_live_session(context: Context, command: StartLiveSession, idempotency_key: str) -> Any:
    """Prepare a session; asked again with the same key, the answer is the same."""
    session = await _session(context, command.session_id)
    if not runs(context.principal, session.host_id):
        raise NotFound(kind="LiveSession", id=str(command.session_id))
    saga = preparation_saga(command, context.work(), idempotency_key, fingerprint(command))
    await context.service(SagaRunner).start(PREPARATION, saga)
    await context.forget()
    return await _session(context, command.session_id)


async def send_reaction(context: Context, command: SendReaction, idempotency_key: str | None = None) -> Reacted:  # noqa: ARG001 — a mutation's signature; a reaction that is counted twice harms nobody.
    """Count a reaction; nothing is written for it.

    Raises: NotFound, InvalidStateTransition.
    """
    session = await _session(context, command.session_id)
    if session.status != LiveSessionStatus.LIVE:
        raise InvalidStateTransition(kind="LiveSession", current=session.status, requested=LiveSessionStatus.LIVE)
    context.service(LiveRooms).react(context.require_tenant(), command.session_id, command.kind)
    return Reacted(session_id=command.session_id, kind=command.kind)


@dataclass(eq=False)
class _Board:
    """What is shown of a session: told by its events, and read once before the first of them."""

    session_id: UUID
    cursor: str | None
    shown: dict[str, Any] | None = None

    async def opening(self, context: Context) -> Sequence[SessionUpdate]:
        # Where the log is heard up to is known only now that somebody follows it.
        self.cursor = self.cursor or str(context.service(TopicHub).position)
        return [self._update(await self._read(context))]

    async def values(self, context: Context, events: Sequence[TopicEvent]) -> Sequence[SessionUpdate]:
        if self.shown is None:
            self.shown = await self._read(context)
        updates = []
        for event in events:
            self.shown |= {name: event.data[name] for name in self.shown if name in event.data}
            # What is told of viewers has no place in the log: whoever resumes does so after the last fact.
            self.cursor = self.cursor if event.sequence is None else event.cursor
            updates.append(self._update(self.shown))
        return updates

    async def _read(self, context: Context) -> dict[str, Any]:
        (row,) = await context.read(LiveReads).by_id([self.session_id])
        if row is None:
            raise NotFound(kind="LiveSession", id=str(self.session_id))
        (viewers,) = await viewers_of_sessions(context, [self.session_id])
        known = {name: row[name] for name in ("status", "sales_count", "revenue_minor", "currency")}
        return known | {"viewers": viewers}

    def _update(self, shown: Mapping[str, Any]) -> SessionUpdate:
        told = {**shown, "status": LiveSessionStatus(shown["status"])}
        return SessionUpdate(cursor=self.cursor or "0", session_id=self.session_id, **told)


async def live_session_updated(
    context: Context,
    id: UUID,  # noqa: A002 — see above.
    after: str | None = None,
) -> Feed:
    """Follow how a session stands, and count as one of its viewers meanwhile.

    Guests are told apart by what they follow with: a name among the arguments would keep what all are shown from being
    made once.
    """
    session = await _session(context, id)
    await context.forget()
    board = _Board(id, after)
    # Whoever runs the session looks at it too, and is no viewer.
    is_viewer = not runs(context.principal, session.host_id)
    return Feed(
        topics=[live.session_topic(id)],
        signals=[count_signal(id)],
        values=board.values,
        opening=board.opening,
        after=after,
        shared=True,
        while_open=[(room_of(id), _viewer(context))] if is_viewer else (),
    )


def _viewer(context: Context) -> str:
    known = context.principal.user_id
    return f"user:{known}" if known is not None else f"guest:{uuid7()}"


async def live_chat_received(
    context: Context,
    id: UUID,  # noqa: A002 — see above.
    after: str | None = None,
) -> Feed:
    """Follow what is written, and who was excluded; whoever that is hears no more."""
    await _found(context, id)
    reader = context.principal.user_id
    if reader is not None and await context.read(LiveReads).is_banned(id, reader):
        raise ViewerBanned(session_id=id)
    await context.forget()

    def allows(event: TopicEvent) -> None:
        if event.name == ViewerWasBanned.name and event.data["user_id"] == str(reader):
            raise ViewerBanned(session_id=id)

    return replace(_facts(live.chat_topic(id), id, after), allows=allows, allows_at={ViewerWasBanned.name})


async def pinned_product_changed(
    context: Context,
    id: UUID,  # noqa: A002 — see above.
    after: str | None = None,
) -> Feed:
    await _found(context, id)
    return _facts(live.pin_topic(id), id, after)


async def live_flash_sale(
    context: Context,
    id: UUID,  # noqa: A002 — see above.
    after: str | None = None,
) -> Feed:
    await _found(context, id)
    return _facts(live.sale_topic(id), id, after)


async def live_reactions(context: Context, id: UUID) -> Feed:  # noqa: A002 — see above.
    await _found(context, id)

    async def opening(asked: Context) -> Sequence[Told]:
        return [_totals(id, await asked.service(LiveRooms).reactions(asked.require_tenant(), id))]

    async def values(_context: Context, events: Sequence[TopicEvent]) -> Sequence[Told]:
        return [_totals(id, event.data["totals"]) for event in events]

    return Feed(signals=[reactions_signal(id)], values=values, opening=opening, shared=True)


def _totals(session_id: UUID, totals: Mapping[str, int]) -> Told:
    return Told(cursor="0", session_id=session_id, data={"totals": totals})


def _facts(topic: str, session_id: UUID, after: str | None) -> Feed:
    """Follow events that say all that is shown of them."""

    async def values(_context: Context, events: Sequence[TopicEvent]) -> Sequence[Told]:
        return [_told(event, session_id) for event in events]

    return Feed(topics=[topic], values=values, after=after, shared=True)


def _told(event: TopicEvent, session_id: UUID) -> Told:
    return Told(cursor=event.cursor, session_id=session_id, data=event.data, name=event.name)


async def _session(context: Context, session_id: UUID) -> Any:
    session = await context.load(sessions_by_id, session_id)
    if session is None:
        raise NotFound(kind="LiveSession", id=str(session_id))
    return session


async def _found(context: Context, session_id: UUID) -> None:
    """Look whether there is a session, and let go of what was read: who follows reads what comes later.

    Raises: NotFound.
    """
    await _session(context, session_id)
    await context.forget()
