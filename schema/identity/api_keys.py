"""API keys, which people make for their programs."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain.identity import api_keys as domain
from domain.kernel import Forbidden
from resolvers.identity import api_keys as resolvers
from schema.identity.entities import READ
from schema.kernel import AUTHENTICATED, action, computed, connection, in_person, in_session, query

MINE = in_session(in_person(AUTHENTICATED))


@strawberry.type(description="A key that a program acts with in its user's name, within scopes.")
class ApiKey:
    __reads__ = (domain.ApiKey,)

    id: UUID
    user_id: UUID
    name: str
    begins_with = computed(
        lambda key, _context: f"{domain.PREFIX}{key.id.hex}_", str, description="By which a key is told from others."
    )
    scopes: list[str] = strawberry.field(description="What it may do, as far as its user still may.")
    store_ids: list[UUID] = strawberry.field(description="Where it may act; none: wherever its user works.")
    rate_limit_per_minute: int = strawberry.field(description="Requests that it may make in a minute.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    previous_good_until: datetime | None = strawberry.field(
        description="Until when the secret before the last rotation is good."
    )
    last_used_at = computed(
        lambda key, _context: getattr(key, "last_used_at", None),
        datetime | None,
        description="To the minute; null also in the answer to a change.",
    )
    is_working = computed(
        lambda key, context: domain.works(key, context.now()), bool, description="Neither revoked nor run out."
    )


@strawberry.type(description="A new key: the only time that it is shown.")
class IssuedApiKey:
    __reads__ = (domain.IssuedApiKey,)

    api_key: ApiKey
    key: str = strawberry.field(description="Send it as `Authorization: Bearer …` or `X-API-Key: …`.")


@strawberry.type
class ApiKeyQuery:
    """What can be asked about API keys."""

    my_api_keys = query(resolvers.my_api_keys, list[ApiKey], who=MINE)
    api_keys = query(resolvers.listed_api_keys, connection(ApiKey), who=in_session(READ))


@strawberry.type
class ApiKeyMutation:
    """What can be done with API keys."""

    create_api_key = action(
        resolvers.create_api_key,
        IssuedApiKey,
        who=MINE,
        result="CreateApiKeyResult",
        errors=[Forbidden, domain.ApiKeyLimitReached],
    )
    rotate_api_key = action(
        resolvers.rotate_api_key, IssuedApiKey, who=MINE, result="RotateApiKeyResult", errors=[Forbidden]
    )
    revoke_api_key = action(resolvers.revoke_api_key, ApiKey, who=MINE, result="RevokeApiKeyResult")
