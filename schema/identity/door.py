"""The door: registering, logging in and out."""

import strawberry

from domain.identity import login, passwords, sessions, users
from domain.kernel import Unavailable
from resolvers.identity import door
from schema.identity.entities import Authentication, Registration, User, UserSession
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    action,
    in_person,
)

AT_THE_DOOR = [login.InvalidCredentials, login.TooManyAttempts, Unavailable]
CLOSED = [users.AccountLocked, users.AccountDeactivated]


@strawberry.type
class DoorMutation:
    """What can be done at the door."""

    register = action(
        door.register,
        Registration,
        who=PUBLIC,
        result="RegisterResult",
        errors=[passwords.WeakPassword, Unavailable],
    )
    login = action(door.log_in, Authentication, who=PUBLIC, result="LoginResult", errors=[*AT_THE_DOOR, *CLOSED])
    refresh_token = action(
        door.refresh_token,
        Authentication,
        who=PUBLIC,
        result="RefreshTokenResult",
        errors=[sessions.InvalidRefreshToken, *CLOSED],
    )
    logout = action(door.log_out, UserSession, who=PUBLIC, result="LogoutResult", errors=[sessions.InvalidRefreshToken])
    revoke_session = action(door.revoke_session, UserSession, who=AUTHENTICATED, result="RevokeSessionResult")
    change_password = action(
        door.change_password,
        User,
        who=in_person(AUTHENTICATED),
        result="ChangePasswordResult",
        errors=[*AT_THE_DOOR, passwords.WeakPassword],
    )
