"""Who may do what, and where: roles of identity in the stores of tenancy."""

from domain.identity import administration, api_keys
from domain.identity.administration import AssignRole
from domain.identity.api_keys import ApiKeys, CreateApiKey, IssuedApiKey
from domain.identity.roles import Roles
from domain.identity.users import User, Users
from domain.kernel import NotFound, Work
from domain.tenancy import Stores


async def assign_role(command: AssignRole, work: Work, stores: Stores, users: Users, roles: Roles) -> User:
    """Give a user a role in the whole tenant, or in a store that the tenant has.

    Raises: NotFound, Forbidden, AlreadyExists, InvalidInput.
    """
    if command.store_id is not None and await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    return await administration.assign_role(command, work, users, roles)


async def create_api_key(
    command: CreateApiKey, work: Work, stores: Stores, users: Users, keys: ApiKeys
) -> IssuedApiKey:
    """Make a key, for all stores that its user works at or for some that the tenant has.

    Raises: InvalidInput, Forbidden, NotFound, ApiKeyLimitReached.
    """
    for store_id in command.store_ids[: api_keys.MAX_STORES]:
        if await stores.get(store_id) is None:
            raise NotFound(kind="Store", id=str(store_id))
    return await api_keys.create_api_key(command, work, users, keys)
