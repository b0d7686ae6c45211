"""What those do who govern users and roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.identity import administration, roles
from domain.identity.roles import PERMISSIONS, PRESETS, RoleReads
from domain.identity.sessions import AccessPolicy
from domain.identity.sign_in_policy import SignInPolicy, SignInPolicyReads
from domain.identity.users import UserFilter, UserReads, UserStatus
from domain.paging import Page, PageRequest
from domain.processes import access
from resolvers.kernel import Context, transacts

assign_role = transacts(access.assign_role)
revoke_role = transacts(administration.revoke_role)
define_role = transacts(roles.define_role)
delete_role = transacts(roles.delete_role)
lock_user = transacts(administration.lock_user)
unlock_user = transacts(administration.unlock_user)
deactivate_user = transacts(administration.deactivate_user)
update_sign_in_policy = transacts(administration.update_sign_in_policy)


@dataclass(frozen=True, kw_only=True)
class RoleEntry:
    """A line of the role matrix."""

    name: str
    description: str | None
    is_preset: bool
    permissions: Sequence[str]
    conditions: Mapping[str, str] = field(default_factory=dict)


async def login_log(context: Context, page: PageRequest, user_id: UUID) -> Page[Any]:
    return await context.read(UserReads).login_log(user_id, page)


async def users(
    context: Context,
    page: PageRequest,
    text: str | None = None,
    role: str | None = None,
    status: UserStatus | None = None,
    store_id: UUID | None = None,
) -> Page[Any]:
    wanted = UserFilter(text=text, role=role, status=status, store_id=store_id)
    return await context.read(UserReads).matching(wanted, page)


async def role_matrix(context: Context) -> Sequence[RoleEntry]:
    """List the presets, then the roles that the tenant defined itself."""
    presets = [
        RoleEntry(name=str(name), description=None, is_preset=True, permissions=sorted(permissions))
        for name, permissions in PRESETS.items()
    ]
    own = [
        RoleEntry(
            name=row.name,
            description=row.description,
            is_preset=False,
            permissions=row.permissions,
            conditions=row.conditions,
        )
        for row in await context.read(RoleReads).defined()
    ]
    return presets + own


async def sign_in_policy(context: Context) -> Any:
    """Give what the tenant asks for, or else what the installation does."""
    asked = await context.read(SignInPolicyReads).current()
    confirm_email = context.service(AccessPolicy).confirm_email
    return asked or SignInPolicy(tenant_id=context.require_tenant(), confirm_email=confirm_email)


async def permissions(context: Context) -> Sequence[dict[str, str]]:  # noqa: ARG001 — every resolver has the context.
    return [{"name": name, "description": description} for name, description in PERMISSIONS.items()]
