"""Answering a challenge: the second factor of a log-in, or a passkey in place of everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.enrolling import PutChallenge
from domain.identity.entering import SecondFactorDue, enter
from domain.identity.factors import Challenge, ChallengePurpose, Factors, InvalidChallenge, Secrets
from domain.identity.guarding import Caller, DeviceTokens, LoginGuard, address_subject, note_failure
from domain.identity.passkeys import InvalidPasskey, Passkey, PasskeyChecks, RelyingParty
from domain.identity.proving import Proof, prove
from domain.identity.roles import Roles
from domain.identity.sessions import AccessPolicy, Client, Sessions, SignIn, hash_token
from domain.identity.sign_in_policy import SignInPolicies
from domain.identity.single_sign_on import SingleSignOns, require_own_doors
from domain.identity.users import Users
from domain.kernel import Work, also_when_suspended


@dataclass(frozen=True, kw_only=True)
class AnswerChallenge:
    """Show the second factor that a log-in asked for."""

    challenge: str
    proof: Proof
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Who came in; nobody, where the answer did not fit, or where none is looked at until `locked_until`."""

    entered: SignIn | None = None
    locked_until: datetime | None = None


@also_when_suspended
async def answer_challenge(
    command: AnswerChallenge,
    work: Work,
    users: Users,
    sessions: Sessions,
    roles: Roles,
    log: LoginLog,
    factors: Factors,
    vault: Secrets,
    checks: PasskeyChecks,
    guard: LoginGuard,
    devices: DeviceTokens,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> Entrance:
    """Finish a log-in. A factor that does not fit is an answer, for the attempt must be kept.

    Raises: InvalidChallenge, AccountLocked, AccountDeactivated.
    """
    challenge = await factors.challenge(hash_token(command.challenge), ChallengePurpose.SECOND_FACTOR, work.now)
    if challenge is None or challenge.user_id is None:
        raise InvalidChallenge
    user = await users.get(challenge.user_id)
    client = _from_there(command.client, challenge)
    verdict = await prove(user, command.proof, challenge, client, work, factors, vault, checks, guard, devices, policy)
    if not verdict.accepted:
        if verdict.locked_until is None:
            log.add(LoginAttempt.at_login(user.id, client, work, reason="wrong_second_factor"))
        return Entrance(locked_until=verdict.locked_until)
    await factors.remove(challenge)
    entered = await enter(
        user,
        client,
        work,
        sessions,
        roles,
        log,
        factors,
        policies,
        policy,
        second_factor=True,
        known_device=verdict.known_device,
    )
    return Entrance(entered=_signed_in(entered))


def _from_there(client: Client, challenge: Challenge) -> Client:
    """Give the device the name that it was given when the log-in began."""
    return Client(
        address=client.address,
        user_agent=client.user_agent,
        device_name=client.device_name or challenge.device_name,
        device_token=client.device_token,
    )


def _signed_in(entered: SignIn | SecondFactorDue) -> SignIn:
    if isinstance(entered, SecondFactorDue):
        raise TypeError("a second factor was shown already")
    return entered


@dataclass(frozen=True, kw_only=True)
class BeginPasskeyLogin:
    """Ask for what a browser needs to sign with a passkey; a `challenge` is that of a log-in which asked for a second factor."""

    party: RelyingParty
    challenge: str | None = None
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class LogInWithPasskey:
    """Log in with nothing but a passkey."""

    challenge: str
    credential: Mapping[str, Any]
    party: RelyingParty
    client: Client = field(default_factory=Client)


@also_when_suspended
async def begin_passkey_login(
    command: BeginPasskeyLogin, work: Work, factors: Factors, checks: PasskeyChecks, policy: AccessPolicy
) -> PutChallenge:
    """Put a challenge to whatever device answers, or to those of whoever has shown a password.

    Raises: InvalidChallenge.
    """
    if command.challenge is None:
        token, challenge = Challenge.put(
            ChallengePurpose.PASSKEY_LOGIN, None, policy.challenge_lifetime, work, command.client, command.party.id
        )
        factors.add(challenge)
        return _put(token, challenge, command.party, checks)
    purpose = ChallengePurpose.SECOND_FACTOR
    known = await factors.challenge(hash_token(command.challenge), purpose, work.now)
    if known is None or known.user_id is None:
        raise InvalidChallenge
    known.rp_id = command.party.id
    enrolled = await factors.enrolled(known.user_id)
    return _put(command.challenge, known, command.party, checks, enrolled.passkeys)


def _put(token: str, challenge: Challenge, party: RelyingParty, checks: PasskeyChecks, known: Any = ()) -> PutChallenge:
    options = checks.request_options(party, challenge.nonce, known)
    return PutChallenge(token=token, challenge=challenge, options=options)


@also_when_suspended
async def log_in_with_passkey(
    command: LogInWithPasskey,
    work: Work,
    users: Users,
    sessions: Sessions,
    roles: Roles,
    log: LoginLog,
    factors: Factors,
    checks: PasskeyChecks,
    guard: LoginGuard,
    devices: DeviceTokens,
    policies: SignInPolicies,
    policy: AccessPolicy,
    connections: SingleSignOns,
) -> Entrance:
    """Open a session for whoever's passkey signed the challenge; a device that has verified its user is two factors in one.

    Raises: InvalidChallenge, AccountLocked, AccountDeactivated, SingleSignOnRequired.
    """
    there = await guard.peek(address_subject(command.client.address), work.now)
    if there.locked_until is not None:
        return Entrance(locked_until=there.locked_until)
    challenge = await factors.challenge(hash_token(command.challenge), ChallengePurpose.PASSKEY_LOGIN, work.now)
    if challenge is None or challenge.rp_id != command.party.id:
        raise InvalidChallenge
    # Whatever comes of it, nothing else is signed for this challenge.
    await factors.remove(challenge)
    passkey = await _checked(command, challenge, factors, checks, work)
    if passkey is None:
        log.add(LoginAttempt.at_login(None, command.client, work, reason="wrong_passkey"))
        await note_failure(command.client, work, guard, policy)
        return Entrance()
    user = await users.get(passkey.user_id)
    await require_own_doors(user, connections, roles)
    client = _from_there(command.client, challenge)
    known = Caller.at(user.email, client, work, devices).device is not None
    entered = await enter(
        user,
        client,
        work,
        sessions,
        roles,
        log,
        factors,
        policies,
        policy,
        second_factor=True,
        known_device=known,
    )
    return Entrance(entered=_signed_in(entered))


async def _checked(
    command: LogInWithPasskey, challenge: Challenge, factors: Factors, checks: PasskeyChecks, work: Work
) -> Passkey | None:
    try:
        assertion = checks.assertion(command.credential)
        passkey = await factors.passkey(assertion.credential_id)
        if passkey is None or passkey.rp_id != command.party.id or assertion.user_handle != passkey.user_id.bytes:
            return None
        passkey.use(checks.sign_count(command.party, challenge.nonce, assertion, passkey), work.now)
    except InvalidPasskey:
        return None
    return passkey
