"""The door: registering, logging in and out."""

import strawberry

from domain.identity import entering, guarding, login, passwords, sessions, single_sign_on, users
from domain.kernel import Unavailable
from resolvers.identity import door
from schema.identity.entities import Authentication, Registration, RevokedSessions, User, UserSession
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    action,
    command,
    in_person,
    in_session,
)

ANYBODY = in_session(PUBLIC)
IN_PERSON = in_session(in_person(AUTHENTICATED))

AT_THE_DOOR = [login.InvalidCredentials, guarding.TooManyAttempts, Unavailable]
CLOSED = [users.AccountLocked, users.AccountDeactivated]
ELSEWHERE = [single_sign_on.SingleSignOnRequired]


@strawberry.type
class DoorMutation:
    """What can be done at the door."""

    register = action(
        door.register,
        Registration,
        who=ANYBODY,
        result="RegisterResult",
        errors=[passwords.WeakPassword, Unavailable],
    )
    login = action(
        door.log_in,
        Authentication,
        who=ANYBODY,
        result="LoginResult",
        errors=[*AT_THE_DOOR, *CLOSED, *ELSEWHERE, entering.SecondFactorRequired],
    )
    refresh_token = action(
        door.refresh_token,
        Authentication,
        who=ANYBODY,
        result="RefreshTokenResult",
        errors=[sessions.InvalidRefreshToken, *CLOSED],
    )
    logout = action(
        door.log_out, UserSession, who=ANYBODY, result="LogoutResult", errors=[sessions.InvalidRefreshToken]
    )
    revoke_session = action(door.revoke_session, UserSession, who=IN_PERSON, result="RevokeSessionResult")
    revoke_other_sessions = action(
        door.revoke_other_sessions, RevokedSessions, who=IN_PERSON, result="RevokeOtherSessionsResult"
    )
    rename_session = command(door.rename_session, UserSession, who=IN_PERSON)
    change_password = action(
        door.change_password,
        User,
        who=IN_PERSON,
        result="ChangePasswordResult",
        errors=[*AT_THE_DOOR, passwords.WeakPassword],
    )
