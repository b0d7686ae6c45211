"""Setting up and giving up second factors; only who has logged in just now may change what keeps others out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.identity.factors import (
    Authenticator,
    Challenge,
    ChallengePurpose,
    Factors,
    InvalidChallenge,
    Secrets,
)
from domain.identity.guarding import Caller, DeviceTokens, Door, LoginGuard, admit, forgive, note_failure
from domain.identity.passkeys import (
    MAX_PASSKEYS,
    Passkey,
    PasskeyChecks,
    PasskeyLimitReached,
    RelyingParty,
)
from domain.identity.proving import Proof, Verdict, prove
from domain.identity.sessions import AccessPolicy, Client, FreshLoginRequired, Session, Sessions, hash_token
from domain.identity.users import User, Users
from domain.kernel import AlreadyExists, NotFound, Work


@dataclass(frozen=True, kw_only=True)
class BeginTwoFactor:
    """Ask for a secret for an authenticator app."""


@dataclass(frozen=True, kw_only=True)
class NewAuthenticator:
    """The secret for the app, in clear, and whose it is."""

    secret: str
    email: str


@dataclass(frozen=True, kw_only=True)
class ShowFactor:
    """Show a second factor, for what needs one."""

    proof: Proof
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class FactorOutcome:
    """What showing a factor brought; new recovery codes come in clear."""

    verdict: Verdict
    user: User | None = None
    recovery_codes: tuple[str, ...] = ()


async def _fresh_session(work: Work, sessions: Sessions, policy: AccessPolicy) -> Session:
    session = await sessions.get(work.actor.session_id) if work.actor.session_id else None
    if session is None or session.user_id != work.actor.require_user():
        raise FreshLoginRequired
    session.require_fresh(policy.fresh, work.now)
    return session


async def begin_two_factor(
    command: BeginTwoFactor,  # noqa: ARG001 — a handler's first argument is its command.
    work: Work,
    users: Users,
    sessions: Sessions,
    factors: Factors,
    vault: Secrets,
    policy: AccessPolicy,
) -> NewAuthenticator:
    """Make a secret; until a code of it is shown it changes nothing.

    Raises: FreshLoginRequired, AlreadyExists.
    """
    user = await users.get(work.actor.require_user())
    await _fresh_session(work, sessions, policy)
    known = await factors.authenticator(user.id)
    if known is not None and known.is_confirmed:
        raise AlreadyExists(kind="Authenticator", value=str(user.id))
    if known is not None:
        await factors.remove(known)
    secret, made = Authenticator.blank(user.id, vault, work)
    factors.add(made)
    return NewAuthenticator(secret=secret, email=user.email)


async def confirm_two_factor(
    command: ShowFactor,
    work: Work,
    users: Users,
    sessions: Sessions,
    factors: Factors,
    vault: Secrets,
    guard: LoginGuard,
    devices: DeviceTokens,
    policy: AccessPolicy,
) -> FactorOutcome:
    """Put the app into force by a code of it; the session counts as one with a second factor from then on.

    Raises: FreshLoginRequired, NotFound, AlreadyExists.
    """
    user = await users.get(work.actor.require_user())
    session = await _fresh_session(work, sessions, policy)
    pending = await factors.authenticator(user.id)
    if pending is None:
        raise NotFound(kind="Authenticator", id=str(user.id))
    if pending.is_confirmed:
        raise AlreadyExists(kind="Authenticator", value=str(user.id))
    caller = Caller.at(user.email, command.client, work, devices)
    barred = await admit(Door.SECOND_FACTOR, caller, work, guard, policy)
    if barred is not None:
        return FactorOutcome(verdict=Verdict(locked_until=barred))
    if not pending.accept(command.proof.code or "", vault, work.now):
        await note_failure(command.client, work, guard, policy)
        return FactorOutcome(verdict=Verdict())
    await forgive(Door.SECOND_FACTOR, caller, guard)
    session.prove(work.now)
    user.tokens_valid_from = work.now
    codes = pending.confirm(vault, work.now)
    return FactorOutcome(verdict=Verdict(accepted=True), user=user, recovery_codes=tuple(codes))


async def disable_two_factor(
    command: ShowFactor,
    work: Work,
    users: Users,
    factors: Factors,
    vault: Secrets,
    checks: PasskeyChecks,
    guard: LoginGuard,
    devices: DeviceTokens,
    policy: AccessPolicy,
) -> FactorOutcome:
    """Give the app and its recovery codes up, by showing a factor once more.

    Raises: NotFound.
    """
    user, authenticator = await _enrolled(work, users, factors)
    verdict = await prove(
        user, command.proof, None, command.client, work, factors, vault, checks, guard, devices, policy
    )
    if not verdict.accepted:
        return FactorOutcome(verdict=verdict)
    authenticator.retire()
    await factors.remove(authenticator)
    return FactorOutcome(verdict=verdict, user=user)


async def renew_recovery_codes(
    command: ShowFactor,
    work: Work,
    users: Users,
    factors: Factors,
    vault: Secrets,
    checks: PasskeyChecks,
    guard: LoginGuard,
    devices: DeviceTokens,
    policy: AccessPolicy,
) -> FactorOutcome:
    """Replace all recovery codes, by showing a factor once more.

    Raises: NotFound.
    """
    user, authenticator = await _enrolled(work, users, factors)
    verdict = await prove(
        user, command.proof, None, command.client, work, factors, vault, checks, guard, devices, policy
    )
    if not verdict.accepted:
        return FactorOutcome(verdict=verdict)
    return FactorOutcome(verdict=verdict, user=user, recovery_codes=tuple(authenticator.renew_codes(vault)))


async def _enrolled(work: Work, users: Users, factors: Factors) -> tuple[User, Authenticator]:
    user = await users.get(work.actor.require_user())
    authenticator = await factors.authenticator(user.id)
    if authenticator is None or not authenticator.is_confirmed:
        raise NotFound(kind="Authenticator", id=str(user.id))
    return user, authenticator


@dataclass(frozen=True, kw_only=True)
class BeginPasskey:
    """Ask for what a browser needs to make a passkey for a site."""

    party: RelyingParty


@dataclass(frozen=True, kw_only=True)
class PutChallenge:
    """A challenge in clear, and what the browser is to be asked for."""

    token: str
    challenge: Challenge
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ConfirmPasskey:
    """Take over the passkey that a device has made."""

    challenge: str
    credential: Mapping[str, Any]
    name: str
    party: RelyingParty


@dataclass(frozen=True, kw_only=True)
class RenamePasskey:
    """Call one of one's passkeys by another name."""

    id: UUID
    name: str


@dataclass(frozen=True, kw_only=True)
class DeletePasskey:
    """Give one of one's passkeys up."""

    id: UUID


async def begin_passkey(
    command: BeginPasskey,
    work: Work,
    users: Users,
    sessions: Sessions,
    factors: Factors,
    checks: PasskeyChecks,
    policy: AccessPolicy,
) -> PutChallenge:
    """Put a challenge to the user's device.

    Raises: FreshLoginRequired, PasskeyLimitReached.
    """
    user = await users.get(work.actor.require_user())
    await _fresh_session(work, sessions, policy)
    known = (await factors.enrolled(user.id)).passkeys
    if len(known) >= MAX_PASSKEYS:
        raise PasskeyLimitReached(limit=MAX_PASSKEYS)
    token, challenge = Challenge.put(
        ChallengePurpose.PASSKEY_REGISTRATION, user.id, policy.challenge_lifetime, work, rp_id=command.party.id
    )
    factors.add(challenge)
    options = checks.creation_options(command.party, user.id, user.email, challenge.nonce, known)
    return PutChallenge(token=token, challenge=challenge, options=options)


async def confirm_passkey(
    command: ConfirmPasskey,
    work: Work,
    users: Users,
    sessions: Sessions,
    factors: Factors,
    checks: PasskeyChecks,
    policy: AccessPolicy,
) -> Passkey:
    """Keep the public key of the passkey; the session counts as one with a second factor from then on.

    Raises: FreshLoginRequired, InvalidChallenge, InvalidPasskey, AlreadyExists, PasskeyLimitReached.
    """
    user = await users.get(work.actor.require_user())
    session = await _fresh_session(work, sessions, policy)
    purpose = ChallengePurpose.PASSKEY_REGISTRATION
    challenge = await factors.challenge(hash_token(command.challenge), purpose, work.now)
    if challenge is None or challenge.user_id != user.id or challenge.rp_id != command.party.id:
        raise InvalidChallenge
    made = checks.new_credential(command.party, challenge.nonce, command.credential)
    if len((await factors.enrolled(user.id)).passkeys) >= MAX_PASSKEYS:
        raise PasskeyLimitReached(limit=MAX_PASSKEYS)
    passkey = Passkey.add(user.id, command.party.id, command.name, made, work)
    factors.add(passkey)
    await factors.remove(challenge)
    session.prove(work.now)
    user.tokens_valid_from = work.now
    return passkey


async def rename_passkey(command: RenamePasskey, work: Work, factors: Factors) -> Passkey:
    passkey = await _own_passkey(command.id, work, factors)
    passkey.rename(command.name)
    return passkey


async def delete_passkey(
    command: DeletePasskey, work: Work, factors: Factors, sessions: Sessions, policy: AccessPolicy
) -> Passkey:
    """Give a passkey up.

    Raises: NotFound, FreshLoginRequired.
    """
    passkey = await _own_passkey(command.id, work, factors)
    await _fresh_session(work, sessions, policy)
    passkey.delete()
    await factors.remove(passkey)
    return passkey


async def _own_passkey(passkey_id: UUID, work: Work, factors: Factors) -> Passkey:
    passkey = await factors.own_passkey(work.actor.require_user(), passkey_id)
    if passkey is None:
        raise NotFound(kind="Passkey", id=str(passkey_id))
    return passkey
