"""Acting as a user, for minutes, for a reason, and with their knowledge."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from domain.identity.administration import subordinate
from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.events import AboutUser
from domain.identity.roles import Roles, conditions_of, grants_of
from domain.identity.sessions import Client, Session, SessionEnding, Sessions
from domain.identity.text import clean
from domain.identity.users import User, Users
from domain.kernel import InvalidInput, NotFound, Principal, Work, event

IMPERSONATE = "identity.impersonate"
MOST_MINUTES = 30
LONGEST = timedelta(minutes=MOST_MINUTES)


@event("identity.impersonation_begun")
@dataclass(frozen=True, kw_only=True)
class ImpersonationBegun(AboutUser):
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    impersonator_id: UUID
    session_id: UUID
    reason: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Impersonate:
    """Act as a user who may do nothing that the caller may not."""

    user_id: UUID
    reason: str
    minutes: int = 15
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class EndImpersonation:
    """Stop acting as somebody: the session at hand, or one that the caller began."""

    session_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Impersonated:
    """As whom somebody acts, in which session, and what that makes of them."""

    user: User
    session: Session
    principal: Principal


async def impersonate(
    command: Impersonate, work: Work, users: Users, roles: Roles, sessions: Sessions, log: LoginLog
) -> Impersonated:
    """Open a session that no refresh token prolongs, and tell the user.

    Raises: Forbidden where the user may do more; NotFound, InvalidInput, AccountLocked, AccountDeactivated.
    """
    impersonator = work.actor.require_user()
    if not 1 <= command.minutes <= MOST_MINUTES:
        raise InvalidInput(field="minutes", reason=f"between 1 and {MOST_MINUTES}")
    reason = clean("reason", command.reason, longest=500)
    user = await subordinate(command.user_id, work.actor, users, roles)
    user.require_active()
    session = Session.open(user, command.client, timedelta(minutes=command.minutes), work.now)
    session.impersonator_id = impersonator
    session.record(
        ImpersonationBegun(
            user_id=user.id,
            impersonator_id=impersonator,
            session_id=session.id,
            reason=reason,
            until=session.expires_at,
        )
    )
    sessions.add(session)
    log.add(LoginAttempt.by_impersonation(user.id, command.client, work))
    principal = Principal(
        user_id=user.id,
        tenant_id=user.tenant_id,
        session_id=session.id,
        roles=frozenset(user.roles),
        permissions=await grants_of(user.roles, roles),
        conditions=await conditions_of(user.roles, roles),
        store_ids=user.store_ids,
        impersonator_id=impersonator,
    )
    return Impersonated(user=user, session=session, principal=principal)


async def end_impersonation(command: EndImpersonation, work: Work, sessions: Sessions) -> Session:
    session_id = command.session_id or work.actor.session_id
    session = await sessions.get(session_id) if session_id else None
    mine = {work.actor.user_id, work.actor.impersonator_id}
    if session is None or session.impersonator_id is None or session.impersonator_id not in mine:
        raise NotFound(kind="Impersonation", id=str(session_id or ""))
    session.revoke(SessionEnding.IMPERSONATION_ENDED, work.now)
    return session
