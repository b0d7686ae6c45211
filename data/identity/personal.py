"""What identity holds about people."""

from data.identity.factor_tables import authenticator, challenge, one_time_code, passkey, recovery_code, sign_in_policy
from data.identity.privacy import data_export, erasure
from data.identity.sign_on import external_identity, single_sign_on, social_login
from data.identity.tables import (
    address,
    api_key,
    login_attempt,
    login_guard,
    refresh_token,
    role,
    role_assignment,
    session,
    user,
)
from data.personal import Category, blanked, erased, kept, neutral, neutral_facts
from data.sealing import person_key

_ACCOUNT = "the id of an account that is gone must lead somewhere, for orders and books name it"

erased(
    address,
    street_line1=Category.LOCATION,
    street_line2=Category.LOCATION,
    city=Category.LOCATION,
    province=Category.LOCATION,
    postal_code=Category.LOCATION,
    country=Category.LOCATION,
)
erased(
    refresh_token,
    "session_id IN (SELECT id FROM identity.session WHERE tenant_id = :tenant AND user_id = $1)",
    token_hash=Category.SECRET,
)
erased(session, device_name=Category.DEVICE, user_agent=Category.DEVICE, address=Category.DEVICE)
erased(login_attempt, reason=Category.BEHAVIOUR, user_agent=Category.DEVICE, address=Category.DEVICE)
erased(role_assignment, role=Category.IDENTITY)
kept(
    role_assignment,
    "assigned_by = $1 AND user_id <> $1",
    reason="who gave a right is evidence as long as the right is held",
)
erased(person_key, "person_id = $1", sealed=Category.SECRET)
erased(api_key, name=Category.WORDS, secret_hash=Category.SECRET)
erased(
    recovery_code,
    "authenticator_id IN (SELECT id FROM identity.authenticator WHERE tenant_id = :tenant AND user_id = $1)",
    digest=Category.SECRET,
)
erased(authenticator, sealed=Category.SECRET)
erased(passkey, name=Category.DEVICE, public_key=Category.SECRET)
erased(
    challenge,
    token_hash=Category.SECRET,
    address=Category.DEVICE,
    user_agent=Category.DEVICE,
    device_name=Category.DEVICE,
)
erased(one_time_code, account=Category.CONTACT, digest=Category.SECRET)
erased(external_identity, subject=Category.IDENTITY, email=Category.CONTACT)
erased(social_login, first_name=Category.IDENTITY, last_name=Category.IDENTITY)
kept(
    single_sign_on,
    "configured_by = $1",
    reason="who set up a door is evidence as long as it is open",
)
blanked(
    user,
    "id = $1",
    {
        "email": (Category.CONTACT, "concat('erased-', id, '@erased.invalid')"),
        "password_hash": (Category.SECRET, "''"),
        "display_name": (Category.IDENTITY, "'[erased]'"),
        "first_name": (Category.IDENTITY, "NULL"),
        "last_name": (Category.IDENTITY, "NULL"),
        "phone": (Category.CONTACT, "NULL"),
        "email_verified_at": (Category.BEHAVIOUR, "NULL"),
        "phone_verified_at": (Category.BEHAVIOUR, "NULL"),
        "date_of_birth": (Category.IDENTITY, "NULL"),
        "bio": (Category.WORDS, "NULL"),
        "avatar_url": (Category.IDENTITY, "NULL"),
        "locale": (Category.BEHAVIOUR, "NULL"),
        "preferences": (Category.BEHAVIOUR, "'{}'"),
        "last_login_at": (Category.BEHAVIOUR, "NULL"),
        "status": (Category.BEHAVIOUR, "'deactivated'"),
        "tokens_valid_from": (Category.BEHAVIOUR, "now()"),
    },
    reason=_ACCOUNT,
)
# Subjects are digests of e-mail addresses and network addresses of no account; they run out within the hour.
neutral(login_guard, "subject")
kept(
    data_export,
    "user_id = $1 OR requested_by = $1",
    reason="that a right was exercised is evidence of it",
    years=3,
)
kept(
    erasure,
    "user_id = $1 OR requested_by = $1",
    reason="that a right was exercised is evidence of it",
    years=3,
)
neutral(data_export, "reason")
neutral(erasure, "reason")
neutral(role, "name", "description")
neutral(sign_in_policy, "confirm_email")
neutral(single_sign_on, "title")
neutral(one_time_code, "device_attempts")
neutral_facts("identity.sign_in_policy_changed.confirm_email")
