"""What users tell of themselves, and change about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.identity import self_service
from domain.identity.guarding import account_subject
from domain.identity.users import User, UserReads
from domain.paging import Page, PageRequest
from resolvers.kernel import Context, transacts

update_profile = transacts(self_service.update_profile)
add_address = transacts(self_service.add_address)
update_address = transacts(self_service.update_address)
set_default_address = transacts(self_service.set_default_address)
delete_address = transacts(self_service.delete_address)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A role that a user holds."""

    role: str
    store_id: UUID | None = None
    assigned_at: datetime | None = None


async def update_preferences(context: Context, preferences: dict[str, Any]) -> User:
    return await context.transact(
        self_service.update_preferences, self_service.UpdatePreferences(preferences=preferences)
    )


async def users_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).by_id(ids)


async def addresses_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).addresses(ids)


async def sessions_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).sessions(ids, context.now())


async def roles_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    assigned = await context.read(UserReads).assignments(ids)
    return [[Grant(role=User.BASE_ROLE), *each] for each in assigned]


async def locks_of_accounts(context: Context, emails: Sequence[str]) -> Sequence[Any]:
    return await context.read(UserReads).locked_until([account_subject(each) for each in emails], context.now())


async def me(context: Context) -> Any:
    user_id = context.principal.user_id
    return None if user_id is None else await context.load(users_by_id, user_id)


async def user(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(users_by_id, id)


async def my_addresses(context: Context) -> Any:
    return await context.load(addresses_of_users, context.principal.require_user())


async def my_sessions(context: Context) -> Any:
    return await context.load(sessions_of_users, context.principal.require_user())


async def my_login_log(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(UserReads).login_log(context.principal.require_user(), page)
