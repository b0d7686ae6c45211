"""Showing a second factor: a code of the app, a recovery code or a passkey, counted before it is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.identity.factors import Challenge, Factors, Secrets
from domain.identity.guarding import Caller, DeviceTokens, Door, LoginGuard, admit, forgive, note_failure
from domain.identity.passkeys import InvalidPasskey, PasskeyChecks, RelyingParty
from domain.identity.sessions import AccessPolicy, Client
from domain.identity.users import User
from domain.kernel import InvalidInput, Work


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One of the factors that there are; a passkey comes with the site that it is for."""

    code: str | None = None
    recovery_code: str | None = None
    passkey: Mapping[str, Any] | None = None
    party: RelyingParty | None = None

    def __post_init__(self) -> None:
        """Refuse none, and more than one.

        Raises: InvalidInput.
        """
        if sum(each is not None for each in (self.code, self.recovery_code, self.passkey)) != 1:
            raise InvalidInput(field="code", reason="show a code, a recovery code or a passkey, and one of them only")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a factor was accepted, or until when none is looked at.

    That it did not fit is an answer and no refusal, for the attempt must be kept.
    """

    accepted: bool = False
    locked_until: datetime | None = None
    known_device: bool = False


async def prove(
    user: User,
    proof: Proof,
    challenge: Challenge | None,
    client: Client,
    work: Work,
    factors: Factors,
    vault: Secrets,
    checks: PasskeyChecks,
    guard: LoginGuard,
    devices: DeviceTokens,
    policy: AccessPolicy,
) -> Verdict:
    """Count an attempt, look at the factor, and use it up."""
    caller = Caller.at(user.email, client, work, devices)
    barred = await admit(Door.SECOND_FACTOR, caller, work, guard, policy)
    if barred is not None:
        return Verdict(locked_until=barred)
    if not await _fits(user, proof, challenge, work, factors, vault, checks):
        await note_failure(client, work, guard, policy)
        return Verdict()
    await forgive(Door.SECOND_FACTOR, caller, guard)
    return Verdict(accepted=True, known_device=caller.device is not None)


async def _fits(
    user: User,
    proof: Proof,
    challenge: Challenge | None,
    work: Work,
    factors: Factors,
    vault: Secrets,
    checks: PasskeyChecks,
) -> bool:
    if proof.passkey is not None:
        return await _signed(user, proof, challenge, work, factors, checks)
    authenticator = await factors.authenticator(user.id)
    if authenticator is None or not authenticator.is_confirmed:
        return False
    if proof.code is not None:
        return authenticator.accept(proof.code, vault, work.now)
    return authenticator.redeem(proof.recovery_code or "", vault, work.now)


async def _signed(
    user: User, proof: Proof, challenge: Challenge | None, work: Work, factors: Factors, checks: PasskeyChecks
) -> bool:
    if challenge is None or proof.party is None or challenge.rp_id != proof.party.id or proof.passkey is None:
        return False
    try:
        assertion = checks.assertion(proof.passkey)
        passkey = await factors.passkey(assertion.credential_id)
        if passkey is None or passkey.user_id != user.id or passkey.rp_id != proof.party.id:
            return False
        passkey.use(checks.sign_count(proof.party, challenge.nonce, assertion, passkey), work.now)
    except InvalidPasskey:
        return False
    return True
