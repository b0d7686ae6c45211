"""Users: who somebody is, how they are reached, and what they may do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from domain.identity.addresses import AddressType, PostalAddress, UserAddress
from domain.identity.events import (
    AddressAdded,
    AddressDeleted,
    AddressUpdated,
    DefaultAddressSet,
    PasswordChanged,
    PreferencesUpdated,
    ProfileUpdated,
    RoleAssigned,
    RoleRevoked,
    UserDeactivated,
    UserLocked,
    UserRegistered,
    UserUnlocked,
    UserVerified,
)
from domain.identity.profile import Profile, check_preferences
from domain.identity.roles import Role, RoleAssignment
from domain.identity.text import clean_optional
from domain.kernel import (
    Aggregate,
    AlreadyExists,
    DomainError,
    InvalidInput,
    NotFound,
    Transitions,
    Work,
)
from domain.paging import Page, PageRequest

MAX_ADDRESSES = 50
NO_ADDRESS = "no-address.invalid"
"""Where accounts have their e-mail address that have none: RFC 2606 keeps the domain from ever being anybody's."""
MAX_ASSIGNMENTS = 200


@dataclass(eq=False)
class AddressLimitReached(DomainError):
    """The address book is full."""

    limit: int
    template = "An address book holds at most {limit} addresses."


@dataclass(eq=False)
class AccountLocked(DomainError):
    """Somebody in charge has locked the account; only the holder of the right password is told."""

    template = "This account is locked. Please contact support."


@dataclass(eq=False)
class AccountDeactivated(DomainError):
    """The account was closed; only the holder of the right password is told."""

    template = "This account is closed."


class UserStatus(StrEnum):
    """Whether somebody may log in."""

    ACTIVE = "active"
    LOCKED = "locked"
    DEACTIVATED = "deactivated"


class ContactKind(StrEnum):
    """Under what somebody is reached."""

    EMAIL = "email"
    PHONE = "phone"


ACCOUNT = Transitions(
    "User",
    UserStatus.ACTIVE,
    {
        UserStatus.ACTIVE: [UserStatus.LOCKED, UserStatus.DEACTIVATED],
        UserStatus.LOCKED: [UserStatus.ACTIVE, UserStatus.DEACTIVATED],
        UserStatus.DEACTIVATED: [],
    },
)


@dataclass(eq=False, kw_only=True)
class User(Aggregate):
    """A person in one tenant: credentials, profile, address book and roles."""

    BASE_ROLE: ClassVar[str] = Role.BUYER

    email: str
    password_hash: str
    display_name: str = ""
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    date_of_birth: date | None = None
    bio: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    status: UserStatus = UserStatus.ACTIVE
    preferences: dict[str, Any] = field(default_factory=dict)
    email_verified_at: datetime | None = None
    phone_verified_at: datetime | None = None
    last_login_at: datetime | None = None
    tokens_valid_from: datetime | None = None
    created_at: datetime
    addresses: list[UserAddress] = field(default_factory=list)
    assignments: list[RoleAssignment] = field(default_factory=list)

    @classmethod
    def register(cls, email: str, password_hash: str, profile: Profile, work: Work) -> "User":
        """Make a new account for a normalised e-mail address.

        Raises: InvalidInput.
        """
        given = profile.cleaned(work.now)
        user = cls(tenant_id=work.tenant_id, email=email, password_hash=password_hash, created_at=work.now, **given)
        if not user.display_name:
            # Anybody may see the display name, hence it is never made from the e-mail address.
            user.display_name = user.first_name or f"Customer {user.id.hex[-6:]}"
        user.record(UserRegistered(user_id=user.id, locale=user.locale))
        return user

    @classmethod
    def register_by_provider(cls, verified_email: str | None, profile: Profile, work: Work) -> "User":
        """Make a new account without a password, for somebody whom a provider vouches for.

        Raises: InvalidInput.
        """
        user = cls.register("", "", profile, work)
        user.email = verified_email or f"{user.id.hex}@{NO_ADDRESS}"
        user.email_verified_at = work.now if verified_email else None
        return user

    @property
    def has_password(self) -> bool:
        return self.password_hash != ""

    @property
    def email_is_verified(self) -> bool:
        return self.email_verified_at is not None

    @property
    def roles(self) -> list[str]:
        """Every registered user is a buyer; other roles are assigned."""
        return sorted({self.BASE_ROLE, *(each.role for each in self.assignments)})

    @property
    def store_ids(self) -> frozenset[UUID]:
        return self.stores_of(self.roles)

    def stores_of(self, roles: Collection[str]) -> frozenset[UUID]:
        """Give the stores in which the user holds one of the roles."""
        return frozenset(each.store_id for each in self.assignments if each.store_id and each.role in roles)

    def require_active(self) -> None:
        """Refuse whoever may not log in.

        Raises: AccountLocked, AccountDeactivated.
        """
        if self.status is UserStatus.LOCKED:
            raise AccountLocked
        if self.status is UserStatus.DEACTIVATED:
            raise AccountDeactivated

    def update_profile(self, profile: Profile, now: datetime) -> None:
        """Take over what was mentioned.

        Raises: InvalidInput.
        """
        given = profile.cleaned(now)
        if given.get("phone", self.phone) != self.phone:
            self.phone_verified_at = None
        for name, value in given.items():
            setattr(self, name, value)
        self.record(ProfileUpdated(user_id=self.id, fields=tuple(sorted(given))))

    def update_preferences(self, changes: dict[str, Any]) -> None:
        """Set preferences by key; null removes one.

        Raises: InvalidInput.
        """
        check_preferences(changes)
        kept = {key: value for key, value in {**self.preferences, **changes}.items() if value is not None}
        check_preferences(kept)
        self.preferences = kept
        self.record(PreferencesUpdated(user_id=self.id, keys=tuple(sorted(changes))))

    def address(self, address_id: UUID) -> UserAddress:
        """Give one entry of the address book.

        Raises: NotFound.
        """
        for each in self.addresses:
            if each.id == address_id:
                return each
        raise NotFound(kind="Address", id=str(address_id))

    def add_address(self, kind: AddressType, where: PostalAddress, now: datetime, *, default: bool) -> UserAddress:
        """Write an address into the book; the first of its kind becomes the default.

        Raises: AddressLimitReached, InvalidInput.
        """
        if len(self.addresses) >= MAX_ADDRESSES:
            raise AddressLimitReached(limit=MAX_ADDRESSES)
        added = UserAddress(
            tenant_id=self.tenant_id,
            user_id=self.id,
            address_type=kind,
            created_at=now,
            **vars(where.normalised()),
        )
        self.addresses.append(added)
        self.record(AddressAdded(user_id=self.id, address_id=added.id, address_type=kind))
        if default or not any(each.is_default for each in self.addresses if each.address_type is kind):
            self.set_default_address(added.id)
        return added

    def update_address(self, address_id: UUID, where: PostalAddress) -> UserAddress:
        """Write other lines into an entry.

        Raises: NotFound, InvalidInput.
        """
        address = self.address(address_id)
        address.move(where.normalised())
        self.record(AddressUpdated(user_id=self.id, address_id=address_id))
        return address

    def set_default_address(self, address_id: UUID) -> UserAddress:
        """Make an entry the one default of its kind.

        Raises: NotFound.
        """
        chosen = self.address(address_id)
        for each in self.addresses:
            if each.address_type is chosen.address_type:
                each.is_default = each is chosen
        self.record(DefaultAddressSet(user_id=self.id, address_id=address_id, address_type=chosen.address_type))
        return chosen

    def delete_address(self, address_id: UUID) -> UserAddress:
        """Strike an entry out; where it was the default, the oldest of its kind follows.

        Raises: NotFound.
        """
        gone = self.address(address_id)
        self.addresses.remove(gone)
        self.record(AddressDeleted(user_id=self.id, address_id=address_id))
        heirs = [each for each in self.addresses if each.address_type is gone.address_type]
        if gone.is_default and heirs:
            self.set_default_address(min(heirs, key=lambda each: each.id).id)
        return gone

    def verify(self, contact: "ContactKind", now: datetime) -> None:
        """Note that the user was reached under the e-mail address, or the telephone number; once is enough."""
        known = self.email_verified_at if contact is ContactKind.EMAIL else self.phone_verified_at
        if known is not None:
            return
        if contact is ContactKind.EMAIL:
            self.email_verified_at = now
        else:
            self.phone_verified_at = now
        self.record(UserVerified(user_id=self.id, contact=contact))

    def change_password(self, password_hash: str) -> None:
        """Take over the hash of a new password."""
        self.password_hash = password_hash
        self.record(PasswordChanged(user_id=self.id))

    def holds(self, role: str, store_id: UUID | None) -> bool:
        """Say whether the user has a role in the whole tenant (no store), or for one store."""
        everywhere = role == self.BASE_ROLE and store_id is None
        return everywhere or any(each.role == role and each.store_id == store_id for each in self.assignments)

    def assign(self, role: str, store_id: UUID | None, work: Work) -> None:
        """Give the user a role.

        Raises: AlreadyExists, InvalidInput.
        """
        if self.holds(role, store_id):
            raise AlreadyExists(kind="Role", value=role)
        if len(self.assignments) >= MAX_ASSIGNMENTS:
            raise InvalidInput(field="role", reason=f"a user holds at most {MAX_ASSIGNMENTS} roles")
        self.assignments.append(
            RoleAssignment(
                tenant_id=self.tenant_id,
                user_id=self.id,
                role=role,
                store_id=store_id,
                assigned_by=work.actor.user_id,
                assigned_at=work.now,
            )
        )
        self.tokens_valid_from = work.now
        self.record(RoleAssigned(user_id=self.id, role=role, store_id=store_id))

    def revoke(self, role: str, store_id: UUID | None, now: datetime) -> None:
        """Take a role away; the tokens that still name it end with it.

        Raises: NotFound.
        """
        kept = [each for each in self.assignments if (each.role, each.store_id) != (role, store_id)]
        if len(kept) == len(self.assignments):
            raise NotFound(kind="Role", id=role)
        self.assignments[:] = kept
        self.tokens_valid_from = now
        self.record(RoleRevoked(user_id=self.id, role=role, store_id=store_id))

    def leave(self, store_id: UUID, now: datetime, *, but: str) -> None:
        """Take away all roles for one store except `but`."""
        for each in [each for each in self.assignments if each.store_id == store_id and each.role != but]:
            self.revoke(each.role, store_id, now)

    def lock(self, reason: str | None) -> None:
        """Bar the user from logging in until somebody unlocks them.

        Raises: InvalidStateTransition.
        """
        self.status = ACCOUNT.check(self.status, UserStatus.LOCKED)
        self.record(UserLocked(user_id=self.id, reason=clean_optional("reason", reason, longest=500)))

    def unlock(self) -> None:
        """Let a locked user log in again; one who was only locked out by wrong passwords has nothing to change.

        Raises: InvalidStateTransition.
        """
        if self.status is not UserStatus.ACTIVE:
            self.status = ACCOUNT.check(self.status, UserStatus.ACTIVE)
        self.record(UserUnlocked(user_id=self.id))

    def deactivate(self, reason: str | None) -> None:
        """Close the account.

        Raises: InvalidStateTransition.
        """
        self.status = ACCOUNT.check(self.status, UserStatus.DEACTIVATED)
        self.record(UserDeactivated(user_id=self.id, reason=clean_optional("reason", reason, longest=500)))


class Users(Protocol):
    """Users for change: what is given is locked until the transaction ends."""

    async def get(self, user_id: UUID) -> User: ...

    async def claim_email(self, email: str) -> UUID | None:
        """Keep others from registering this e-mail address until the transaction ends; gives whose it is already."""
        ...

    async def credentials(self, email: str) -> "Credentials | None": ...

    async def holding(self, roles: Collection[str], store_id: UUID | None = None) -> Sequence[UUID]:
        """Give who holds one of the roles for a store; without a store, anywhere."""
        ...

    def add(self, user: User) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a password is checked against, and whether the e-mail address is known to be its owner's."""

    user_id: UUID
    email: str
    password_hash: str
    is_verified: bool = True


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """Which users are wanted; `text` is looked for in e-mail address and names."""

    text: str | None = None
    role: str | None = None
    status: UserStatus | None = None
    store_id: UUID | None = None


class UserReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def matching(self, wanted: UserFilter, page: PageRequest) -> Page[Any]: ...

    async def addresses(self, user_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def assignments(self, user_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def sessions(self, user_ids: Sequence[UUID], now: datetime) -> list[list[Any]]: ...

    async def login_log(self, user_id: UUID, page: PageRequest) -> Page[Any]: ...

    async def locked_until(self, subjects: Sequence[str], now: datetime) -> list[datetime | None]: ...
