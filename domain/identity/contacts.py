"""How people are reached, for the processes that write to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.identity.users import NO_ADDRESS


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Under what a user is reached, and what they are called; only accounts that are open have one."""

    user_id: UUID
    name: str
    email: str
    phone: str | None
    locale: str | None

    @property
    def has_email(self) -> bool:
        """Say whether letters reach them: accounts that came by a provider may have no address."""
        return not self.email.endswith(f"@{NO_ADDRESS}")


class Contacts(Protocol):
    """Contact data, read without holding anybody."""

    async def of(self, user_ids: Collection[UUID]) -> Mapping[UUID, Contact]: ...

    async def working_at(self, store_id: UUID, roles: Collection[str]) -> list[UUID]:
        """Give who holds one of the roles for a store."""
        ...
