"""Second factors and passkeys: showing, setting up and giving up."""

from datetime import datetime
from typing import Any

import strawberry

from domain.identity import factors, guarding, passkeys, sessions
from domain.kernel import AlreadyExists
from resolvers.identity import factors as resolvers
from resolvers.kernel import Context
from schema.identity.door import ANYBODY, CLOSED, ELSEWHERE, IN_PERSON
from schema.identity.entities import Authentication, Passkey, User
from schema.kernel import AUTHENTICATED, action, command, query
from schema.scalars import JSON

GUARDED = [guarding.TooManyAttempts]
SHOWING = [factors.InvalidSecondFactor, *GUARDED]


@strawberry.type(description="What an authenticator app is told, once.")
class AuthenticatorSecret:
    __reads__ = (resolvers.AuthenticatorSecret,)

    secret: str = strawberry.field(description="For apps that cannot read QR codes.")
    otpauth_url: str = strawberry.field(description="What a QR code for the app says.")


@strawberry.type(description="How the second factor of a user stands.")
class TwoFactor:
    __reads__ = (resolvers.TwoFactor,)

    user: User
    enabled: bool
    recovery_codes: list[str] = strawberry.field(description="Shown this once, each good for one use.")


@strawberry.type(description="What the browser is to be asked for.")
class PasskeyOptions:
    __reads__ = (resolvers.PasskeyOptions,)

    challenge: str = strawberry.field(description="Comes back with the browser's answer.")
    options: JSON = strawberry.field(description="What `PublicKeyCredential.parse…OptionsFromJSON` takes.")
    expires_at: datetime


async def _complete_login(
    context: Context,
    challenge: str,
    code: str | None = None,
    recovery_code: str | None = None,
    passkey: JSON | None = None,
    device_name: str | None = None,
    device_token: str | None = None,
) -> Any:
    signed: Any = passkey
    return await resolvers.complete_login(context, challenge, code, recovery_code, signed, device_name, device_token)


async def _add_passkey(context: Context, challenge: str, credential: JSON, name: str) -> Any:
    made: Any = credential
    return await resolvers.add_passkey(context, challenge, made, name)


async def _log_in_with_passkey(
    context: Context,
    challenge: str,
    credential: JSON,
    device_name: str | None = None,
    device_token: str | None = None,
) -> Any:
    signed: Any = credential
    return await resolvers.log_in_with_passkey(context, challenge, signed, device_name, device_token)


@strawberry.type
class FactorQuery:
    """What users can ask about their second factors."""

    my_passkeys = query(resolvers.my_passkeys, list[Passkey], who=AUTHENTICATED)


@strawberry.type
class FactorMutation:
    """What users can do with second factors."""

    complete_login = action(
        _complete_login,
        Authentication,
        who=ANYBODY,
        result="CompleteLoginResult",
        errors=[factors.InvalidChallenge, *SHOWING, *CLOSED, passkeys.InvalidPasskey],
        description="Finish a log-in that asked for a second factor.",
    )
    begin_two_factor = action(
        resolvers.begin_two_factor,
        AuthenticatorSecret,
        who=IN_PERSON,
        result="BeginTwoFactorResult",
        errors=[sessions.FreshLoginRequired, AlreadyExists],
        description="The first step of turning the second factor on: a secret for an authenticator app.",
    )
    enable_two_factor = action(
        resolvers.enable_two_factor,
        TwoFactor,
        who=IN_PERSON,
        result="EnableTwoFactorResult",
        errors=[sessions.FreshLoginRequired, AlreadyExists, *SHOWING],
        description="The second step: a code of the app turns it on, and recovery codes are given.",
    )
    disable_two_factor = action(
        resolvers.disable_two_factor, TwoFactor, who=IN_PERSON, result="DisableTwoFactorResult", errors=SHOWING
    )
    renew_recovery_codes = action(
        resolvers.renew_recovery_codes, TwoFactor, who=IN_PERSON, result="RenewRecoveryCodesResult", errors=SHOWING
    )
    begin_passkey = action(
        resolvers.begin_passkey,
        PasskeyOptions,
        who=IN_PERSON,
        result="BeginPasskeyResult",
        errors=[sessions.FreshLoginRequired, passkeys.PasskeyLimitReached],
        description="The first step of making a passkey: what to give to `navigator.credentials.create`.",
    )
    add_passkey = action(
        _add_passkey,
        Passkey,
        who=IN_PERSON,
        result="AddPasskeyResult",
        errors=[
            sessions.FreshLoginRequired,
            factors.InvalidChallenge,
            passkeys.InvalidPasskey,
            passkeys.PasskeyLimitReached,
            AlreadyExists,
        ],
        description="The second step: what `navigator.credentials.create` gave.",
    )
    rename_passkey = command(resolvers.rename_passkey, Passkey, who=IN_PERSON)
    delete_passkey = command(resolvers.delete_passkey, Passkey, who=IN_PERSON, errors=[sessions.FreshLoginRequired])
    begin_passkey_login = action(
        resolvers.begin_passkey_login,
        PasskeyOptions,
        who=ANYBODY,
        result="BeginPasskeyLoginResult",
        errors=[factors.InvalidChallenge],
        description="What to give to `navigator.credentials.get`, to log in or as a second factor.",
    )
    login_with_passkey = action(
        _log_in_with_passkey,
        Authentication,
        who=ANYBODY,
        result="LoginWithPasskeyResult",
        errors=[factors.InvalidChallenge, passkeys.InvalidPasskey, *GUARDED, *CLOSED, *ELSEWHERE],
    )
