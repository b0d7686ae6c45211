"""API keys: made, looked at and ended by people; a key is shown in clear when it is made, and never again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.identity import api_keys
from domain.identity.api_keys import ApiKey, ApiKeyDoor, ApiKeyReads, IssuedApiKey
from domain.paging import Page, PageRequest
from domain.processes import access
from resolvers.kernel import Context


async def create_api_key(
    context: Context,
    name: str,
    scopes: Sequence[str],
    store_ids: Sequence[UUID] | None = None,
    rate_limit_per_minute: int | None = None,
    expires_at: datetime | None = None,
) -> IssuedApiKey:
    command = api_keys.CreateApiKey(
        name=name,
        scopes=tuple(scopes),
        store_ids=tuple(store_ids or ()),
        rate_limit_per_minute=(
            api_keys.DEFAULT_RATE_PER_MINUTE if rate_limit_per_minute is None else rate_limit_per_minute
        ),
        expires_at=expires_at,
    )
    return await context.transact(access.create_api_key, command)


async def rotate_api_key(
    context: Context,
    id: UUID,  # noqa: A002 — the GraphQL argument's name.
    grace_seconds: int = api_keys.DEFAULT_GRACE_SECONDS,
) -> IssuedApiKey:
    issued = await context.transact(api_keys.rotate_api_key, api_keys.RotateApiKey(id=id, grace_seconds=grace_seconds))
    context.service(ApiKeyDoor).withdraw(issued.api_key.id)
    return issued


async def revoke_api_key(context: Context, id: UUID) -> ApiKey:  # noqa: A002 — the GraphQL argument's name.
    """End a key: here at once, in other processes within seconds."""
    revoked = await context.transact(api_keys.revoke_api_key, api_keys.RevokeApiKey(id=id))
    context.service(ApiKeyDoor).withdraw(revoked.id)
    return revoked


async def api_keys_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ApiKeyReads).of_users(ids)


async def my_api_keys(context: Context) -> Any:
    return await context.load(api_keys_of_users, context.principal.require_user())


async def listed_api_keys(
    context: Context, page: PageRequest, user_id: UUID | None = None, *, working: bool = False
) -> Page[Any]:
    """List the keys of all users of the tenant, or of one; `working` leaves out those that were revoked or have run out."""
    return await context.read(ApiKeyReads).listed(user_id, context.now() if working else None, page)
