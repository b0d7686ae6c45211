"""Codes and links: logging in with one, confirming an address, setting a password anew."""

from datetime import datetime

import strawberry

from domain.identity import codes, entering, guarding, passwords, recovery
from domain.kernel import Unavailable
from resolvers.identity import recovery as resolvers
from schema.identity.door import CLOSED, ELSEWHERE, IN_PERSON
from schema.identity.entities import Authentication
from schema.inputs import enum_of
from schema.kernel import PUBLIC, action, in_person, in_session

enum_of(codes.OtpPurpose)
ASKING = [guarding.TooManyAttempts]
TYPING = [codes.InvalidCode, guarding.TooManyAttempts]


OUTSIDE = in_session(in_person(PUBLIC))


@strawberry.type(description="The answer to everybody who asks for a code, whether or not there is an account.")
class OtpRequested:
    __reads__ = (resolvers.OtpRequested,)

    purpose: codes.OtpPurpose
    expires_at: datetime


@strawberry.type(description="That a code was right.")
class OtpVerified:
    __reads__ = (resolvers.OtpVerified,)

    purpose: codes.OtpPurpose
    reset_token: str | None = strawberry.field(
        description="For a password reset: good for one use of resetPassword, for ten minutes."
    )


@strawberry.type(description="That a password was set anew; all sessions have ended.")
class PasswordReset:
    __reads__ = (resolvers.PasswordReset,)

    email: str


@strawberry.type
class RecoveryMutation:
    """What can be done with codes and links."""

    request_otp = action(resolvers.request_otp, OtpRequested, who=OUTSIDE, result="RequestOtpResult", errors=ASKING)
    verify_otp = action(resolvers.verify_otp, OtpVerified, who=OUTSIDE, result="VerifyOtpResult", errors=TYPING)
    login_with_otp = action(
        resolvers.log_in_with_otp,
        Authentication,
        who=OUTSIDE,
        result="LoginWithOtpResult",
        errors=[*TYPING, *CLOSED, *ELSEWHERE, entering.SecondFactorRequired],
    )
    verify_email = action(resolvers.verify_email, OtpVerified, who=OUTSIDE, result="VerifyEmailResult", errors=TYPING)
    request_phone_verification = action(
        resolvers.request_phone_verification,
        OtpRequested,
        who=IN_PERSON,
        result="RequestPhoneVerificationResult",
        errors=ASKING,
    )
    verify_phone = action(resolvers.verify_phone, OtpVerified, who=IN_PERSON, result="VerifyPhoneResult", errors=TYPING)
    request_password_reset = action(
        resolvers.request_password_reset,
        OtpRequested,
        who=OUTSIDE,
        result="RequestPasswordResetResult",
        errors=ASKING,
    )
    reset_password = action(
        resolvers.reset_password,
        PasswordReset,
        who=OUTSIDE,
        result="ResetPasswordResult",
        errors=[recovery.InvalidResetToken, guarding.TooManyAttempts, passwords.WeakPassword, Unavailable],
    )
