"""What people in charge change about other users."""

from dataclasses import dataclass
from uuid import UUID

from domain.identity.guarding import LoginGuard, account_subject
from domain.identity.roles import PRESETS, Role, Roles, grants_of, reach_of, require_all
from domain.identity.sessions import AccessPolicy, SessionEnding, Sessions
from domain.identity.sign_in_policy import SignInPolicies, SignInPolicy, UpdateSignInPolicy, asked_of
from domain.identity.users import User, Users
from domain.kernel import Envelope, InvalidInput, NotFound, Principal, Subscriptions, Work

subscriptions = Subscriptions("identity")


@dataclass(frozen=True, kw_only=True)
class AssignRole:
    """Give a user a role: in the whole tenant, or for one store."""

    user_id: UUID
    role: str
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class RevokeRole:
    """Take a role from a user."""

    user_id: UUID
    role: str
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class LockUser:
    """Bar a user from logging in, and end their sessions."""

    user_id: UUID
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class UnlockUser:
    """Let a user log in again, whether somebody locked them or wrong passwords did."""

    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class DeactivateUser:
    """Close a user's account, and end their sessions."""

    user_id: UUID
    reason: str | None = None


async def permissions_of_role(name: str, roles: Roles) -> frozenset[str]:
    """Give what a role permits.

    Raises: NotFound.
    """
    if name not in PRESETS and await roles.find(name) is None:
        raise NotFound(kind="Role", id=name)
    return await reach_of([name], roles)


async def assign_role(command: AssignRole, work: Work, users: Users, roles: Roles) -> User:
    """Assign a role for which the store, if any, is known to exist.

    Raises: NotFound, Forbidden, AlreadyExists, InvalidInput.
    """
    require_all(work.actor, await permissions_of_role(command.role, roles))
    user = await users.get(command.user_id)
    user.assign(command.role, command.store_id, work)
    return user


async def revoke_role(command: RevokeRole, work: Work, users: Users, roles: Roles) -> User:
    require_all(work.actor, await permissions_of_role(command.role, roles))
    user = await users.get(command.user_id)
    user.revoke(command.role, command.store_id, work.now)
    return user


async def subordinate(user_id: UUID, actor: Principal, users: Users, roles: Roles) -> User:
    """Load a user over whom the actor has authority: another one, who may do nothing that the actor may not."""
    if user_id == actor.user_id:
        raise InvalidInput(field="userId", reason="nobody does this to themselves")
    user = await users.get(user_id)
    require_all(actor, await reach_of(user.roles, roles))
    return user


async def lock_user(command: LockUser, work: Work, users: Users, roles: Roles, sessions: Sessions) -> User:
    user = await subordinate(command.user_id, work.actor, users, roles)
    user.lock(command.reason)
    await sessions.end_all(user.id, SessionEnding.ACCOUNT_CLOSED, work.now)
    return user


async def unlock_user(command: UnlockUser, work: Work, users: Users, roles: Roles, guard: LoginGuard) -> User:
    user = await subordinate(command.user_id, work.actor, users, roles)
    user.unlock()
    await guard.clear(account_subject(user.email))
    return user


async def deactivate_user(command: DeactivateUser, work: Work, users: Users, roles: Roles, sessions: Sessions) -> User:
    user = await subordinate(command.user_id, work.actor, users, roles)
    user.deactivate(command.reason)
    await sessions.end_all(user.id, SessionEnding.ACCOUNT_CLOSED, work.now)
    return user


async def update_sign_in_policy(
    command: UpdateSignInPolicy, work: Work, policies: SignInPolicies, roles: Roles, access: AccessPolicy
) -> SignInPolicy:
    """Change the policy; tokens of those whose roles are concerned are made anew.

    Raises: InvalidInput, NotFound, Forbidden.
    """
    policy = await asked_of(work, policies, confirm_email=access.confirm_email)
    before = frozenset(policy.second_factor_roles)
    policy.change(command.confirm_email, command.second_factor_roles)
    changed = before ^ frozenset(policy.second_factor_roles)
    for name in sorted(changed):
        if name not in PRESETS and await roles.find(name) is None:
            raise NotFound(kind="Role", id=name)
        require_all(work.actor, await grants_of([name], roles))
    if changed:
        await policies.outdate_tokens(changed, work)
    if policy.version == 1:
        policies.add(policy)
    return policy


@subscriptions.on("seller.verified")
async def grant_seller_role(envelope: Envelope, work: Work, users: Users) -> None:
    """Make a seller of whoever passed the check of sellers; a second pass changes nothing."""
    user = await users.get(UUID(str(envelope.data["user_id"])))
    if not user.holds(Role.SELLER, None):
        user.assign(Role.SELLER, None, work)


@subscriptions.on("tenancy.tenant_user_assigned", "tenancy.store_user_assigned")
async def grant_staff_role(envelope: Envelope, work: Work, users: Users, roles: Roles) -> None:
    """Give the role that tenancy assigned, provided that whoever assigned it could have done so here.

    In a store the new role takes the place of the former ones, as it does in tenancy.
    Raises: Forbidden, NotFound.
    """
    role, store_id = str(envelope.data["role"]), envelope.data.get("store_id")
    place = UUID(str(store_id)) if store_id else None
    granted = await permissions_of_role(role, roles)
    if envelope.user_id is not None:
        assigner = await users.get(envelope.user_id)
        require_all(Principal(permissions=await grants_of(assigner.roles, roles)), granted)
    user = await users.get(UUID(str(envelope.data["user_id"])))
    if place is not None:
        user.leave(place, work.now, but=role)
    if not user.holds(role, place):
        user.assign(role, place, work)
