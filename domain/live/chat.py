"""Chat of live sessions: short lines, not too many of them, and none of those who were banned."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, NotFound, Work
from domain.live.events import ChatPosted, LiveSessionStatus
from domain.live.sessions import MANAGE, MODERATE, LiveSession, LiveSessions, expect_open
from domain.live.texts import clean_line

MAX_LINE = 300
LINES_A_MINUTE = 20
WINDOW = timedelta(minutes=1)


@dataclass(eq=False)
class ViewerBanned(DomainError):
    """Whoever ran the session has excluded this viewer."""

    session_id: UUID
    template = "You were excluded from session {session_id}."


@dataclass(eq=False)
class TooManyMessages(DomainError):
    """Somebody writes faster than others can read."""

    limit: int
    retry_after_seconds: int
    template = "At most {limit} messages a minute; write again in {retry_after_seconds} s."


@dataclass(eq=False, kw_only=True)
class Chatter:
    """Somebody in the chat of one session: when the latest lines were sent, and whether more may follow."""

    session_id: UUID
    user_id: UUID
    host_id: UUID
    status: LiveSessionStatus
    name: str | None = None
    banned_at: datetime | None = None
    sent: tuple[datetime, ...] = ()

    def send(self, now: datetime) -> None:
        """Count one more line.

        Raises: InvalidStateTransition, ViewerBanned, TooManyMessages.
        """
        expect_open(self.status)
        if self.banned_at is not None:
            raise ViewerBanned(session_id=self.session_id)
        recent = tuple(each for each in self.sent if each > now - WINDOW)
        if len(recent) >= LINES_A_MINUTE:
            wait = recent[-LINES_A_MINUTE] + WINDOW - now
            raise TooManyMessages(limit=LINES_A_MINUTE, retry_after_seconds=max(1, round(wait.total_seconds())))
        self.sent = (*recent, now)


@dataclass(eq=False, kw_only=True)
class LiveChatMessage(Aggregate):
    """A line of the chat."""

    session_id: UUID
    author_id: UUID
    author_name: str
    is_host: bool
    body: str
    sent_at: datetime

    @classmethod
    def of(cls, chatter: Chatter, name: str, body: str, work: Work) -> "LiveChatMessage":
        """Write a line.

        Raises: InvalidInput, InvalidStateTransition, ViewerBanned, TooManyMessages.
        """
        line = clean_line("body", body, MAX_LINE)
        chatter.send(work.now)
        message = cls(
            tenant_id=work.tenant_id,
            session_id=chatter.session_id,
            author_id=chatter.user_id,
            author_name=name,
            is_host=chatter.user_id == chatter.host_id,
            body=line,
            sent_at=work.now,
        )
        message.record(
            ChatPosted(
                message_id=message.id,
                session_id=message.session_id,
                author_id=message.author_id,
                author_name=message.author_name,
                is_host=message.is_host,
                body=message.body,
                sent_at=message.sent_at,
            )
        )
        return message


class LiveChat(Protocol):
    """The chat for change."""

    async def enter(self, session_id: UUID, user_id: UUID) -> Chatter | None:
        """Give somebody in a chat, whom nobody else can change before the transaction ends; None where there is no session."""
        ...

    async def post(self, message: LiveChatMessage, chatter: Chatter, work: Work) -> None:
        """Keep a line with its event, and what it says of who sent it."""
        ...

    async def ban(self, session: LiveSession, user_id: UUID, work: Work) -> bool:
        """Exclude somebody; says whether that is new."""
        ...


@dataclass(frozen=True, kw_only=True)
class BanLiveViewer:
    """Exclude somebody from a session's chat, for good."""

    session_id: UUID
    user_id: UUID
    reason: str | None = None


async def ban_live_viewer(command: BanLiveViewer, work: Work, sessions: LiveSessions, chat: LiveChat) -> LiveSession:
    """Let a viewer neither write nor read in the chat any more.

    Raises: NotFound, InvalidInput.
    """
    session = await sessions.lock(command.session_id)
    actor = work.actor
    may = session is not None and (actor.may(MANAGE) or actor.may(MODERATE) or actor.user_id == session.host_id)
    if session is None or not may:
        raise NotFound(kind="LiveSession", id=str(command.session_id))
    if await chat.ban(session, command.user_id, work):
        session.ban(command.user_id, command.reason)
    return session
