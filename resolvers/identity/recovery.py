"""Codes and links by mail or SMS: logging in with one, confirming an address, setting a password anew."""

from dataclasses import dataclass
from datetime import datetime

from domain.identity import codes, recovery
from domain.identity.codes import CodeOutcome, InvalidCode, OtpPurpose, RedeemCode, RequestCode
from domain.identity.guarding import refusal_until
from domain.identity.passwords import PasswordHasher, PasswordScreen, accept_password
from domain.identity.recovery import InvalidResetToken
from domain.identity.text import clean_email
from domain.identity.users import ContactKind, User, UserReads
from domain.kernel import InvalidInput, NotFound
from resolvers.identity.door import Authentication, authenticated, client_of, withdraw
from resolvers.kernel import Context


@dataclass(frozen=True, kw_only=True)
class OtpRequested:
    """What everybody who asks for a code is told, whether or not there is an account."""

    purpose: OtpPurpose
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class OtpVerified:
    """That a code was right; for a password reset there is a token, good for one use of `resetPassword`."""

    purpose: OtpPurpose
    reset_token: str | None


@dataclass(frozen=True, kw_only=True)
class PasswordReset:
    """That a password was set anew; all sessions have ended, and one logs in with it."""

    email: str


async def request_otp(
    context: Context,
    email: str,
    purpose: OtpPurpose,
    contact: ContactKind = ContactKind.EMAIL,
    device_token: str | None = None,
) -> OtpRequested:
    """Have a code sent to whoever has the address; whether somebody does is not told."""
    return await _request(context, email, purpose, contact, device_token)


async def request_password_reset(context: Context, email: str, device_token: str | None = None) -> OtpRequested:
    """Have a link sent with which the password is set anew; whether the address has an account is not told."""
    return await _request(context, email, OtpPurpose.PASSWORD_RESET, ContactKind.EMAIL, device_token, by_link=True)


async def request_phone_verification(context: Context) -> OtpRequested:
    """Have a code sent to the telephone number of the user who is logged in."""
    email = await _own_email(context)
    return await _request(context, email, OtpPurpose.VERIFICATION, ContactKind.PHONE, None)


async def _request(
    context: Context,
    email: str,
    purpose: OtpPurpose,
    contact: ContactKind,
    device_token: str | None,
    *,
    by_link: bool = False,
) -> OtpRequested:
    command = RequestCode(
        email=clean_email(email),
        purpose=purpose,
        contact=contact,
        by_link=by_link,
        client=client_of(context, device_token=device_token),
    )
    answer = await context.transact(codes.request_code, command)
    if answer.locked_until is not None:
        raise refusal_until(answer.locked_until, context.now())
    return OtpRequested(purpose=purpose, expires_at=answer.expires_at)


async def log_in_with_otp(
    context: Context, email: str, code: str, device_name: str | None = None, device_token: str | None = None
) -> Authentication:
    """Open a session with a code that was asked for to log in."""
    command = RedeemCode(
        email=clean_email(email),
        code=code,
        purpose=OtpPurpose.LOGIN,
        client=client_of(context, device_name, device_token),
    )
    outcome = _accepted(context, await context.transact(codes.log_in_with_code, command))
    if outcome.entered is None:
        raise InvalidCode
    return authenticated(context, outcome.entered)


async def verify_otp(
    context: Context, email: str, code: str, purpose: OtpPurpose, device_token: str | None = None
) -> OtpVerified:
    """Confirm an address or a number, or exchange a code for a token that sets a password."""
    if purpose is OtpPurpose.LOGIN:
        raise InvalidInput(field="purpose", reason="a code to log in with is for loginWithOtp")
    client = client_of(context, device_token=device_token)
    command = RedeemCode(email=clean_email(email), code=code, purpose=purpose, client=client)
    outcome = _accepted(context, await context.transact(codes.verify_code, command))
    return OtpVerified(purpose=purpose, reset_token=outcome.reset_token)


async def verify_email(context: Context, email: str, code: str) -> OtpVerified:
    """Confirm an e-mail address by the code that was sent there."""
    return await verify_otp(context, email, code, OtpPurpose.VERIFICATION)


async def verify_phone(context: Context, code: str) -> OtpVerified:
    """Confirm the telephone number of the user who is logged in by the code that was sent there."""
    return await verify_otp(context, await _own_email(context), code, OtpPurpose.VERIFICATION)


def _accepted(context: Context, outcome: CodeOutcome) -> CodeOutcome:
    if outcome.locked_until is not None:
        raise refusal_until(outcome.locked_until, context.now())
    if not outcome.accepted:
        raise InvalidCode
    return outcome


async def _own_email(context: Context) -> str:
    user_id = context.principal.require_user()
    (row,) = await context.read(UserReads).by_id([user_id])
    if row is None:
        raise NotFound(kind="User", id=str(user_id))
    return str(row.email)


async def reset_password(context: Context, token: str, new_password: str) -> PasswordReset:
    """Set the password with a token, end all sessions, and lift a lock that failed attempts brought."""
    leave = await context.transact(recovery.begin_reset, recovery.BeginReset(token=token, client=client_of(context)))
    if leave.locked_until is not None:
        raise refusal_until(leave.locked_until, context.now())
    if leave.email is None:
        raise InvalidResetToken
    accepted = accept_password(new_password, leave.email, context.service(PasswordScreen))
    password_hash = await context.service(PasswordHasher).hash(accepted)
    command = recovery.ResetPassword(token=token, password_hash=password_hash)
    changed = await context.transact(recovery.reset_password, command)
    withdraw(context, changed.ended)
    user: User = changed.user
    return PasswordReset(email=user.email)
