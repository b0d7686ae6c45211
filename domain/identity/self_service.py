"""What users change about themselves."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.identity.addresses import AddressType, PostalAddress, UserAddress
from domain.identity.profile import Profile
from domain.identity.users import User, Users
from domain.kernel import Work


@dataclass(frozen=True, kw_only=True)
class UpdateProfile(Profile):
    """Change what was mentioned of one's profile; null clears a field."""

    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class AddAddress(PostalAddress):
    """Write an address into one's address book."""

    address_type: AddressType
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class UpdateAddress(PostalAddress):
    """Replace the lines of an entry of one's address book."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class SetDefaultAddress:
    """Make an entry of one's address book the default of its type."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class DeleteAddress:
    """Strike an entry out of one's address book."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class UpdatePreferences:
    """Set preferences by key; null removes one."""

    preferences: dict[str, Any]


async def _self(work: Work, users: Users) -> User:
    return await users.get(work.actor.require_user())


async def update_profile(command: UpdateProfile, work: Work, users: Users) -> User:
    user = await _self(work, users)
    user.expect_version(command.expected_version)
    user.update_profile(command, work.now)
    return user


async def update_preferences(command: UpdatePreferences, work: Work, users: Users) -> User:
    user = await _self(work, users)
    user.update_preferences(command.preferences)
    return user


async def add_address(command: AddAddress, work: Work, users: Users) -> UserAddress:
    user = await _self(work, users)
    return user.add_address(command.address_type, command, work.now, default=command.is_default)


async def update_address(command: UpdateAddress, work: Work, users: Users) -> UserAddress:
    user = await _self(work, users)
    return user.update_address(command.id, command)


async def set_default_address(command: SetDefaultAddress, work: Work, users: Users) -> UserAddress:
    user = await _self(work, users)
    return user.set_default_address(command.id)


async def delete_address(command: DeleteAddress, work: Work, users: Users) -> UserAddress:
    user = await _self(work, users)
    return user.delete_address(command.id)
