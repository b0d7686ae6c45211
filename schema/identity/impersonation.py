"""Acting as a user."""

import strawberry

from domain.identity.impersonation import IMPERSONATE
from domain.identity.users import AccountDeactivated, AccountLocked
from domain.kernel import Forbidden
from resolvers.identity import impersonation
from schema.identity.entities import User, UserSession
from schema.kernel import AUTHENTICATED, action, in_person, in_session, permission


@strawberry.type(description="A token that acts as a user for some minutes; nothing prolongs it.")
class Impersonation:
    __reads__ = (impersonation.Impersonation,)

    user: User
    session: UserSession
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    expires_in: int = strawberry.field(description="Seconds until it runs out.")


@strawberry.type
class ImpersonationMutation:
    """What those can do who act as others."""

    impersonate = action(
        impersonation.impersonate,
        Impersonation,
        who=in_session(in_person(permission(IMPERSONATE))),
        result="ImpersonateResult",
        errors=[Forbidden, AccountLocked, AccountDeactivated],
    )
    end_impersonation = action(
        impersonation.end_impersonation, UserSession, who=in_session(AUTHENTICATED), result="EndImpersonationResult"
    )
