"""Acting as a user."""

from dataclasses import dataclass
from uuid import UUID

from domain.identity import impersonation
from domain.identity.sessions import AccessTokens, Client, Session
from domain.identity.users import User
from resolvers.kernel import Context


@dataclass(frozen=True, kw_only=True)
class Impersonation:
    """The token to act as a user with; `expires_in` in seconds."""

    user: User
    session: Session
    access_token: str
    expires_in: int


async def impersonate(context: Context, user_id: UUID, reason: str, minutes: int = 15) -> Impersonation:
    client = Client(address=context.address, user_agent=context.user_agent, device_name="impersonation")
    command = impersonation.Impersonate(user_id=user_id, reason=reason, minutes=minutes, client=client)
    begun = await context.transact(impersonation.impersonate, command)
    lifetime = begun.session.expires_at - begun.session.created_at
    token = context.service(AccessTokens).issue(begun.principal, context.now(), lifetime)
    return Impersonation(user=begun.user, session=begun.session, access_token=token.token, expires_in=token.expires_in)


async def end_impersonation(context: Context, session_id: UUID | None = None) -> Session:
    command = impersonation.EndImpersonation(session_id=session_id)
    ended = await context.transact(impersonation.end_impersonation, command)
    context.service(AccessTokens).withdraw(ended.id)
    return ended
