"""Coming in, through whichever door: a session is opened, unless a second factor is due first."""

from dataclasses import dataclass
from datetime import datetime

from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.events import NewDeviceSeen
from domain.identity.factors import Challenge, ChallengePurpose, Enrolled, Factors, SecondFactorMethod
from domain.identity.roles import Roles
from domain.identity.sessions import AccessPolicy, Client, Session, Sessions, SignIn, sign_in
from domain.identity.sign_in_policy import SignInPolicies, asked_of
from domain.identity.users import User
from domain.kernel import DomainError, Work


@dataclass(eq=False)
class SecondFactorRequired(DomainError):
    """The log-in is right so far; answer the challenge with `completeLogin`."""

    challenge: str
    methods: list[SecondFactorMethod]
    expires_at: datetime
    template = "A second factor is required."


@dataclass(frozen=True, kw_only=True)
class SecondFactorDue:
    """That a second factor is to be shown: the token of the challenge, in clear, and what may answer it."""

    token: str
    challenge: Challenge
    methods: tuple[SecondFactorMethod, ...]

    def refusal(self) -> SecondFactorRequired:
        return SecondFactorRequired(
            challenge=self.token, methods=list(self.methods), expires_at=self.challenge.expires_at
        )


async def enter(
    user: User,
    client: Client,
    work: Work,
    sessions: Sessions,
    roles: Roles,
    log: LoginLog,
    factors: Factors,
    policies: SignInPolicies,
    policy: AccessPolicy,
    *,
    second_factor: bool = False,
    known_device: bool = False,
) -> SignIn | SecondFactorDue:
    """Open a session for somebody who has shown who they are, or ask for the second factor that is due.

    `second_factor` says that one was shown already: by a passkey, or to an identity provider that vouches for it. It is
    due where the user has turned it on, and where a role demands one that the user can show. Who cannot comes in without
    that role. A pending challenge is an answer and no refusal, for it must be kept.
    Raises: AccountLocked, AccountDeactivated.
    """
    user.require_active()
    asked = await asked_of(work, policies, confirm_email=policy.confirm_email)
    demanding = asked.demanding(user.roles)
    if not second_factor:
        enrolled = await factors.enrolled(user.id)
        if _is_due(enrolled, demanded=bool(demanding)):
            token, challenge = Challenge.put(
                ChallengePurpose.SECOND_FACTOR, user.id, policy.challenge_lifetime, work, client
            )
            factors.add(challenge)
            # Whoever has the password and not the factor is somebody the owner should know of.
            log.add(LoginAttempt.at_login(user.id, client, work, reason="second_factor_required"))
            return SecondFactorDue(token=token, challenge=challenge, methods=enrolled.methods)
    user.last_login_at = work.now
    session = Session.open(user, client, policy.refresh_lifetime, work.now, second_factor=second_factor)
    if not known_device and await log.is_unfamiliar(user.id, client.address):
        session.record(NewDeviceSeen(user_id=user.id, session_id=session.id))
    log.add(LoginAttempt.at_login(user.id, client, work))
    sessions.add(session)
    return await sign_in(user, session, sessions, roles, policy.refresh_lifetime, work.now, demanding=demanding)


def _is_due(enrolled: Enrolled, *, demanded: bool) -> bool:
    return enrolled.totp or (demanded and bool(enrolled.methods))
