"""What users see and change of themselves."""

from typing import Any

import strawberry

from domain.identity import users
from resolvers.identity import people
from resolvers.kernel import Context
from schema.identity.entities import LoginLogEntry, User, UserAddress, UserSession
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    action,
    command,
    connection,
    in_session,
    query,
)
from schema.scalars import JSON


async def _update_preferences(context: Context, preferences: JSON) -> Any:
    given: Any = preferences
    return await people.update_preferences(context, given)


@strawberry.type
class PeopleQuery:
    """What users can ask about themselves and each other."""

    me = query(people.me, User | None, who=PUBLIC, description="Whoever is logged in.")
    user = query(people.user, User | None, who=PUBLIC)
    my_addresses = query(people.my_addresses, list[UserAddress], who=AUTHENTICATED)
    my_sessions = query(people.my_sessions, list[UserSession], who=in_session(AUTHENTICATED))
    my_login_log = query(people.my_login_log, connection(LoginLogEntry), who=AUTHENTICATED)


@strawberry.type
class PeopleMutation:
    """What users can change about themselves."""

    update_profile = command(people.update_profile, User, who=in_session(AUTHENTICATED))
    update_preferences = action(_update_preferences, User, who=AUTHENTICATED, result="UpdatePreferencesResult")
    add_address = command(people.add_address, UserAddress, who=AUTHENTICATED, errors=[users.AddressLimitReached])
    update_address = command(people.update_address, UserAddress, who=AUTHENTICATED)
    set_default_address = command(people.set_default_address, UserAddress, who=AUTHENTICATED)
    delete_address = command(people.delete_address, UserAddress, who=AUTHENTICATED)
