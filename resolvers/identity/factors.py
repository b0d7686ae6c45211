"""Second factors: showing one, setting one up, giving one up; and logging in with a passkey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.identity import answering, enrolling
from domain.identity.answering import Entrance
from domain.identity.enrolling import FactorOutcome, PutChallenge, ShowFactor
from domain.identity.factors import FactorReads, InvalidSecondFactor, otpauth_url
from domain.identity.guarding import refusal_until
from domain.identity.passkeys import InvalidPasskey, Passkey, RelyingParties, RelyingParty, origin_of
from domain.identity.proving import Proof, Verdict
from domain.identity.sessions import SignIn
from domain.identity.users import User
from domain.kernel import DomainError
from resolvers.identity.door import Authentication, authenticated, client_of
from resolvers.kernel import Context, transacts

rename_passkey = transacts(enrolling.rename_passkey)
delete_passkey = transacts(enrolling.delete_passkey)


@dataclass(frozen=True, kw_only=True)
class AuthenticatorSecret:
    """What an authenticator app is told, once: the secret, and the same as a URL for a QR code."""

    secret: str
    otpauth_url: str


@dataclass(frozen=True, kw_only=True)
class TwoFactor:
    """How the second factor of a user stands; recovery codes are shown once, when they are made."""

    user: User
    enabled: bool
    recovery_codes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PasskeyOptions:
    """A challenge, and what the browser's `navigator.credentials` is to be given."""

    challenge: str
    options: Mapping[str, Any]
    expires_at: datetime


async def passkeys_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(FactorReads).passkeys(ids)


async def authenticators_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(FactorReads).authenticators(ids)


async def my_passkeys(context: Context) -> Any:
    return await context.load(passkeys_of_users, context.principal.require_user())


async def complete_login(
    context: Context,
    challenge: str,
    code: str | None = None,
    recovery_code: str | None = None,
    passkey: dict[str, Any] | None = None,
    device_name: str | None = None,
    device_token: str | None = None,
) -> Authentication:
    """Finish a log-in with a second factor."""
    command = answering.AnswerChallenge(
        challenge=challenge,
        proof=await _proof(context, code, recovery_code, passkey),
        client=client_of(context, device_name, device_token),
    )
    entrance = await context.transact(answering.answer_challenge, command)
    return authenticated(context, _entered(context, entrance, InvalidSecondFactor()))


async def begin_two_factor(context: Context) -> AuthenticatorSecret:
    """Give a secret for an authenticator app; nothing changes before a code of it was shown."""
    made = await context.transact(enrolling.begin_two_factor, enrolling.BeginTwoFactor())
    party = await _party(context, None)
    return AuthenticatorSecret(secret=made.secret, otpauth_url=otpauth_url(made.secret, made.email, party.name))


async def enable_two_factor(context: Context, code: str, device_token: str | None = None) -> TwoFactor:
    """Put an authenticator app into force by a code of it, and give recovery codes."""
    command = ShowFactor(proof=Proof(code=code), client=client_of(context, device_token=device_token))
    return _two_factor(context, await context.transact(enrolling.confirm_two_factor, command), enabled=True)


async def disable_two_factor(
    context: Context, code: str | None = None, recovery_code: str | None = None, device_token: str | None = None
) -> TwoFactor:
    """Give an authenticator app up, by showing a code of it or a recovery code."""
    command = ShowFactor(
        proof=await _proof(context, code, recovery_code, None), client=client_of(context, device_token=device_token)
    )
    return _two_factor(context, await context.transact(enrolling.disable_two_factor, command), enabled=False)


async def renew_recovery_codes(
    context: Context, code: str | None = None, recovery_code: str | None = None, device_token: str | None = None
) -> TwoFactor:
    """Replace all recovery codes, by showing a code of the app or a recovery code."""
    command = ShowFactor(
        proof=await _proof(context, code, recovery_code, None), client=client_of(context, device_token=device_token)
    )
    return _two_factor(context, await context.transact(enrolling.renew_recovery_codes, command), enabled=True)


async def begin_passkey(context: Context, origin: str | None = None) -> PasskeyOptions:
    """Put a challenge to the device of the user who is logged in, to make a passkey."""
    party = await _party(context, origin)
    return _options(await context.transact(enrolling.begin_passkey, enrolling.BeginPasskey(party=party)))


async def add_passkey(context: Context, challenge: str, credential: dict[str, Any], name: str) -> Passkey:
    """Keep the passkey that a device has made."""
    party = await _party(context, origin_of(credential))
    command = enrolling.ConfirmPasskey(challenge=challenge, credential=credential, name=name, party=party)
    return await context.transact(enrolling.confirm_passkey, command)


async def begin_passkey_login(
    context: Context, origin: str | None = None, challenge: str | None = None
) -> PasskeyOptions:
    """Put a challenge to whatever device answers; `challenge` is that of a log-in that asked for a second factor."""
    command = answering.BeginPasskeyLogin(
        party=await _party(context, origin), challenge=challenge, client=client_of(context)
    )
    return _options(await context.transact(answering.begin_passkey_login, command))


async def log_in_with_passkey(
    context: Context,
    challenge: str,
    credential: dict[str, Any],
    device_name: str | None = None,
    device_token: str | None = None,
) -> Authentication:
    """Open a session for whoever's passkey has signed the challenge."""
    command = answering.LogInWithPasskey(
        challenge=challenge,
        credential=credential,
        party=await _party(context, origin_of(credential)),
        client=client_of(context, device_name, device_token),
    )
    entrance = await context.transact(answering.log_in_with_passkey, command)
    return authenticated(context, _entered(context, entrance, InvalidPasskey()))


def _entered(context: Context, entrance: Entrance, refusal: DomainError) -> SignIn:
    if entrance.locked_until is not None:
        raise refusal_until(entrance.locked_until, context.now())
    if entrance.entered is None:
        raise refusal
    return entrance.entered


def _two_factor(context: Context, outcome: FactorOutcome, *, enabled: bool) -> TwoFactor:
    _require(context, outcome.verdict)
    if outcome.user is None:
        raise InvalidSecondFactor
    return TwoFactor(user=outcome.user, enabled=enabled, recovery_codes=outcome.recovery_codes)


def _require(context: Context, verdict: Verdict) -> None:
    if verdict.locked_until is not None:
        raise refusal_until(verdict.locked_until, context.now())


async def _proof(
    context: Context, code: str | None, recovery_code: str | None, passkey: dict[str, Any] | None
) -> Proof:
    party = await _party(context, origin_of(passkey)) if passkey is not None else None
    return Proof(code=code, recovery_code=recovery_code, passkey=passkey, party=party)


async def _party(context: Context, origin: str | None) -> RelyingParty:
    return await context.service(RelyingParties).at(context.require_tenant(), origin)


def _options(put: PutChallenge) -> PasskeyOptions:
    return PasskeyOptions(challenge=put.token, options=put.options, expires_at=put.challenge.expires_at)
