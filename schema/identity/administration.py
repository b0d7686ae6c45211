"""What those see and do who govern users and roles."""

import strawberry

from domain.conditions import InvalidCondition
from domain.identity.roles import RoleInUse
from domain.kernel import AlreadyExists, Forbidden, InvalidStateTransition
from resolvers.identity import administration
from schema.identity.entities import MANAGE, READ, ROLES, LoginLogEntry, Permission, Role, SignInPolicy, User
from schema.kernel import (
    command,
    connection,
    in_person,
    in_session,
    query,
)

IN_CHARGE = in_session(in_person(ROLES))
GOVERNOR = in_session(in_person(MANAGE))
GRANTING = [Forbidden, AlreadyExists]
GOVERNING = [Forbidden, InvalidStateTransition]


@strawberry.type
class AdministrationQuery:
    """What those can ask who govern users."""

    users = query(administration.users, connection(User), who=READ)
    login_log = query(administration.login_log, connection(LoginLogEntry), who=READ)
    roles = query(administration.role_matrix, list[Role], who=READ)
    sign_in_policy = query(administration.sign_in_policy, SignInPolicy, who=READ)
    permissions = query(administration.permissions, list[Permission], who=READ)


@strawberry.type
class AdministrationMutation:
    """What those can do who govern users."""

    assign_role = command(administration.assign_role, User, who=IN_CHARGE, errors=GRANTING)
    revoke_role = command(administration.revoke_role, User, who=IN_CHARGE, errors=GRANTING)
    define_role = command(administration.define_role, Role, who=IN_CHARGE, errors=[*GRANTING, InvalidCondition])
    delete_role = command(administration.delete_role, Role, who=IN_CHARGE, errors=[Forbidden, RoleInUse])
    update_sign_in_policy = command(
        administration.update_sign_in_policy, SignInPolicy, who=GOVERNOR, errors=[Forbidden]
    )
    lock_user = command(administration.lock_user, User, who=GOVERNOR, errors=GOVERNING)
    unlock_user = command(administration.unlock_user, User, who=GOVERNOR, errors=GOVERNING)
    deactivate_user = command(administration.deactivate_user, User, who=GOVERNOR, errors=GOVERNING)
