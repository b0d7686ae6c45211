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


@event("identity.session_renamed")
@dataclass(frozen=True, kw_only=True)
class SessionRenamed(AboutUser):
    session_id: UUID


@event("identity.second_factor_shown")
@dataclass(frozen=True, kw_only=True)
class SecondFactorShown(AboutUser):
    session_id: UUID


@event("identity.new_device_seen")
@dataclass(frozen=True, kw_only=True)
class NewDeviceSeen(AboutUser):
    """Somebody logged in from where the user never did before: the owner is told."""

    session_id: UUID


@event("identity.user_verified")
@dataclass(frozen=True, kw_only=True)
class UserVerified(AboutUser):
    contact: str


@event("identity.code_requested")
@dataclass(frozen=True, kw_only=True)
class CodeRequested(Event):
    """Somebody asked for a code; without a user nobody gets one, but that is not told."""

    user_id: UUID | None
    purpose: str


@event("identity.two_factor_enabled")
@dataclass(frozen=True, kw_only=True)
class TwoFactorEnabled(AboutUser):
    pass


@event("identity.two_factor_disabled")
@dataclass(frozen=True, kw_only=True)
class TwoFactorDisabled(AboutUser):
    pass


@event("identity.recovery_codes_renewed")
@dataclass(frozen=True, kw_only=True)
class RecoveryCodesRenewed(AboutUser):
    pass


@event("identity.recovery_code_used")
@dataclass(frozen=True, kw_only=True)
class RecoveryCodeUsed(AboutUser):
    left: int


@event("identity.passkey_added")
@dataclass(frozen=True, kw_only=True)
class PasskeyAdded(AboutUser):
    passkey_id: UUID


@event("identity.passkey_renamed")
@dataclass(frozen=True, kw_only=True)
class PasskeyRenamed(AboutUser):
    passkey_id: UUID


@event("identity.passkey_deleted")
@dataclass(frozen=True, kw_only=True)
class PasskeyDeleted(AboutUser):
    passkey_id: UUID
