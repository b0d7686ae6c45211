"""The log of who knocked at the door, and with what success."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.identity.events import LoginAttempted, RegistrationRepeated
from domain.identity.sessions import Client, printable
from domain.kernel import Aggregate, Work


class LoginAttemptKind(StrEnum):
    """What somebody tried to do at the door."""

    LOGIN = "login"
    REGISTRATION = "registration"
    IMPERSONATION = "impersonation"


@dataclass(eq=False, kw_only=True)
class LoginAttempt(Aggregate):
    """One line of the login log; without a user where the e-mail address is nobody's."""

    kind: LoginAttemptKind
    user_id: UUID | None
    succeeded: bool
    reason: str | None
    address: str
    user_agent: str | None
    attempted_at: datetime

    @classmethod
    def at_login(cls, user_id: UUID | None, client: Client, work: Work, *, reason: str | None = None) -> "LoginAttempt":
        """Note a log-in that succeeded, or the reason why it did not."""
        attempt = cls._made(LoginAttemptKind.LOGIN, user_id, client, work, reason)
        attempt.record(LoginAttempted(user_id=user_id, succeeded=reason is None, reason=reason))
        return attempt

    @classmethod
    def at_registration(cls, owner: UUID, client: Client, work: Work) -> "LoginAttempt":
        """Note that somebody registered anew with the e-mail address of a user."""
        attempt = cls._made(LoginAttemptKind.REGISTRATION, owner, client, work, "already_registered")
        attempt.record(RegistrationRepeated(user_id=owner))
        return attempt

    @classmethod
    def by_impersonation(cls, user_id: UUID, client: Client, work: Work) -> "LoginAttempt":
        """Note that somebody in charge came in as a user."""
        attempt = cls._made(LoginAttemptKind.IMPERSONATION, user_id, client, work, None)
        attempt.record(LoginAttempted(user_id=user_id, succeeded=True, reason="impersonation"))
        return attempt

    @classmethod
    def _made(
        cls, kind: LoginAttemptKind, user_id: UUID | None, client: Client, work: Work, reason: str | None
    ) -> "LoginAttempt":
        return cls(
            tenant_id=work.tenant_id,
            kind=kind,
            user_id=user_id,
            succeeded=reason is None,
            reason=reason,
            address=client.address,
            user_agent=printable(client.user_agent),
            attempted_at=work.now,
        )


class LoginLog(Protocol):
    """The log of who knocked at the door."""

    def add(self, attempt: LoginAttempt) -> None: ...

    async def is_unfamiliar(self, user_id: UUID, address: str) -> bool:
        """Say whether the user has logged in before, but never from this network address."""
        ...
