"""The devices that somebody is logged in on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.identity.sessions import Session, SessionEnding, Sessions
from domain.kernel import NotFound, Work, also_when_suspended


@dataclass(frozen=True, kw_only=True)
class RenameSession:
    """Call one of one's devices by a name; null takes it away."""

    id: UUID
    device_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class RevokeOtherSessions:
    """End all sessions but the one that asks."""


async def rename_session(command: RenameSession, work: Work, sessions: Sessions) -> Session:
    session = await sessions.get(command.id)
    if session is None or session.user_id != work.actor.require_user() or session.is_revoked:
        raise NotFound(kind="Session", id=str(command.id))
    session.rename(command.device_name)
    return session


@also_when_suspended
async def revoke_other_sessions(
    command: RevokeOtherSessions,  # noqa: ARG001 — a handler's first argument is its command.
    work: Work,
    sessions: Sessions,
) -> Sequence[UUID]:
    """Give the sessions that were ended."""
    user_id = work.actor.require_user()
    return await sessions.end_all(user_id, SessionEnding.REVOKED, work.now, but=work.actor.session_id)
