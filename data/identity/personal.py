"""What identity holds about people."""

from data.identity.privacy import data_export, erasure
from data.identity.tables import (
    address,
    login_attempt,
    login_guard,
    refresh_token,
    role,
    role_assignment,
    session,
    user,
)
from data.personal import Category, blanked, erased, kept, neutral
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
    "session_id IN (SELECT id FROM identity.session WHERE user_id = $1)",
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
