"""What happens to users and their sessions, in the past tense; ids and values only.

E-mail addresses, names and network addresses never enter the log: it is kept for ever, and people may ask to be forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.identity.addresses import AddressType
from domain.kernel import Event, event


@dataclass(frozen=True, kw_only=True)
class AboutUser(Event):
    """What every event of a user says: whom it is about. Names and addresses are never copied into the log."""

    user_id: UUID


@event("user.registered")
@dataclass(frozen=True, kw_only=True)
class UserRegistered(AboutUser):
    locale: str | None


@event("identity.profile_updated")
@dataclass(frozen=True, kw_only=True)
class ProfileUpdated(AboutUser):
    fields: Sequence[str]


@event("identity.preferences_updated")
@dataclass(frozen=True, kw_only=True)
class PreferencesUpdated(AboutUser):
    keys: Sequence[str]


@event("identity.address_added")
@dataclass(frozen=True, kw_only=True)
class AddressAdded(AboutUser):
    address_id: UUID
    address_type: AddressType


@event("identity.address_updated")
@dataclass(frozen=True, kw_only=True)
class AddressUpdated(AboutUser):
    address_id: UUID


@event("identity.address_deleted")
@dataclass(frozen=True, kw_only=True)
class AddressDeleted(AboutUser):
    address_id: UUID


@event("identity.default_address_set")
@dataclass(frozen=True, kw_only=True)
class DefaultAddressSet(AboutUser):
    address_id: UUID
    address_type: AddressType


@event("identity.password_changed")
@dataclass(frozen=True, kw_only=True)
class PasswordChanged(AboutUser):
    pass


@event("identity.role_assigned")
@dataclass(frozen=True, kw_only=True)
class RoleAssigned(AboutUser):
    role: str
    store_id: UUID | None


@event("identity.role_revoked")
@dataclass(frozen=True, kw_only=True)
class RoleRevoked(AboutUser):
    role: str
    store_id: UUID | None


@event("identity.user_locked")
@dataclass(frozen=True, kw_only=True)
class UserLocked(AboutUser):
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    reason: str | None


@event("identity.user_unlocked")
@dataclass(frozen=True, kw_only=True)
class UserUnlocked(AboutUser):
    pass


@event("identity.user_deactivated")
@dataclass(frozen=True, kw_only=True)
class UserDeactivated(AboutUser):
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    reason: str | None


@event("identity.login_attempted")
@dataclass(frozen=True, kw_only=True)
class LoginAttempted(Event):
    user_id: UUID | None
    succeeded: bool
    reason: str | None


@event("identity.registration_repeated")
@dataclass(frozen=True, kw_only=True)
class RegistrationRepeated(AboutUser):
    """Somebody tried to register with the e-mail address of a user: the owner is told by mail, the caller is not."""


@event("identity.token_generated")
@dataclass(frozen=True, kw_only=True)
class TokenGenerated(AboutUser):
    session_id: UUID


@event("identity.token_revoked")
@dataclass(frozen=True, kw_only=True)
class TokenRevoked(AboutUser):
    session_id: UUID
    reason: str
