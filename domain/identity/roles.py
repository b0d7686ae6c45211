"""Roles and what they permit: presets in code, further roles that a tenant defines itself."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.conditions import MOST_IN_A_TOKEN, check_condition
from domain.identity.text import clean, clean_optional
from domain.kernel import (
    Aggregate,
    AlreadyExists,
    DomainError,
    Event,
    Forbidden,
    InvalidInput,
    NotFound,
    Principal,
    Work,
    event,
    uuid7,
)

MAX_PERMISSIONS = 200
_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_PERMISSION = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)*\.([a-z][a-z_]*|\*)")


class Role(StrEnum):
    """The roles that every tenant has. A person may hold many of them: they are roles, not types of account."""

    BUYER = "buyer"
    SELLER = "seller"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"
    STORE_MANAGER = "store_manager"
    WAREHOUSE_OPERATOR = "warehouse_operator"
    MODERATOR = "moderator"
    SUPPORT_AGENT = "support_agent"
    FINANCE = "finance"
    HOST = "host"
    DISPATCHER = "dispatcher"
    DRIVER = "driver"
    PHOTOGRAPHER = "photographer"
    EXPERT = "expert"
    TECHNICIAN = "technician"
    CURATOR = "curator"


PERMISSIONS: Mapping[str, str] = {
    "catalog.import": "Import products from files.",
    "catalog.manage": "Change categories and attribute schemas.",
    "catalog.moderate": "See, approve, reject and block the products of all sellers.",
    "catalog.publish": "Publish and withdraw one's own products.",
    "catalog.write": "Create and change one's own products, variants and images.",
    "catalog.write.any": "Create and change the products of all sellers.",
    "delivery.dispatch": "See and assign the deliveries of one's stores, and plan tours.",
    "delivery.drive": "Deliver, and say where one is.",
    "delivery.manage": "Change zones, shipping methods and slots of one's stores.",
    "identity.read": "See users with their contact data, sessions and log-ins.",
    "identity.manage": "Lock, unlock, deactivate and reactivate users; end their sessions.",
    "identity.impersonate": "Act as a user who may do no more, for minutes, and with their knowledge.",
    "identity.privacy": "Have a user's data copied for them, and have users erased.",
    "identity.roles": "Assign and revoke roles, and define new ones.",
    "identity.sso": "Set up the tenant's own identity provider, and see how it is set up.",
    "identity.self": "Act with an API key where people need nothing but to be the one whom it concerns.",
    "inventory.read": "See stock levels and their journal.",
    "inventory.adjust": "Change stock levels and thresholds.",
    "live.host": "Announce and run one's own live sessions, and see studios.",
    "live.manage": "Create studios, and run the live sessions of all hosts.",
    "live.moderate": "Exclude viewers from live sessions.",
    "localization.write": "Write translations.",
    "localization.manage": "Choose languages and run translation batches.",
    "notifications.broadcast": "Write, schedule and send broadcasts, and name segments of the audience.",
    "notifications.manage": "Write templates, send messages, and see and change what came of them.",
    "notifications.read": "See the log of messages and what came of them.",
    "messaging.moderate": "Read all conversations, which is noted each time, and decide about messages.",
    "orders.read": "See the orders of one's stores, or of the whole tenant.",
    "orders.update": "Bring orders on their way, cancel them, and decide about returns.",
    "payments.manage": "Change commission, schedules and providers.",
    "payments.payout": "See and order payouts of all sellers.",
    "payments.read": "See payments, escrow, refunds and disputes.",
    "payments.reconcile": "Compare the books with those of payment providers.",
    "payments.refund": "Give money back to buyers.",
    "payments.review": "Decide about suspicious payments.",
    "platform.audit": "See the audit trail.",
    "platform.processes": "See processes such as checkouts, and have those tried again that were given up.",
    "platform.operate": "See the bus and its dead letters, and requeue them.",
    "pricing.loyalty": "Change the loyalty program and the points of customers.",
    "pricing.read": "See price lists, rules, promotions and codes.",
    "pricing.write": "Change one's own prices, promotions and codes.",
    "pricing.write.any": "Change the prices, promotions and codes of all sellers.",
    "reviews.respond": "Answer reviews for a store.",
    "reviews.moderate": "Approve, hide and remove reviews.",
    "search.manage": "Change the synonyms of all tenants, rebuild the index, and see how it is.",
    "stores.any": "Act for every store of the tenant.",
    "tax.manage": "Change tax rates and holidays.",
    "tax.verify": "Record that somebody's age was verified.",
    "tenancy.read": "See settings and compliance of stores.",
    "tenancy.manage": "Create and change stores and their settings.",
    "tenancy.platform": "Create, suspend and cancel tenants, and act for any of them.",
}
"""What can be granted one by one, with what it lets its holder do."""

_SHELVES = frozenset({"catalog.import", "catalog.publish", "catalog.write", "inventory.adjust", "inventory.read"})
_SELLING = frozenset({"orders.read", "orders.update", "pricing.read", "pricing.write"})
_SENDING = frozenset({"delivery.dispatch", "delivery.drive", "delivery.manage"})
_STAFF = frozenset({"inventory.read"})

PRESETS: Mapping[str, frozenset[str]] = {
    Role.BUYER: frozenset(),
    Role.SELLER: _SHELVES | _SELLING | _SENDING | {"live.host", "reviews.respond"},
    Role.ADMIN: frozenset(
        {
            "catalog.*",
            "delivery.*",
            "identity.*",
            "inventory.*",
            "live.*",
            "localization.*",
            "notifications.*",
            "messaging.*",
            "orders.*",
            "payments.*",
            "platform.audit",
            "platform.processes",
            "pricing.*",
            "reviews.*",
            # Not search.manage: synonyms and the index are those of all tenants.
            "stores.*",
            "tax.*",
            "tenancy.read",
            "tenancy.manage",
        }
    ),
    Role.SUPER_ADMIN: frozenset({"*"}),
    Role.STORE_MANAGER: _SHELVES | _SELLING | _SENDING | {"live.host", "reviews.respond", "tax.verify", "tenancy.read"},
    Role.WAREHOUSE_OPERATOR: _STAFF | {"delivery.dispatch", "inventory.adjust", "orders.read", "orders.update"},
    Role.SUPPORT_AGENT: frozenset({"identity.read", "notifications.read", "orders.read", "payments.read"}),
    Role.MODERATOR: frozenset({"catalog.moderate", "live.moderate", "messaging.moderate", "reviews.moderate"}),
    Role.FINANCE: frozenset({"orders.read", "payments.*", "pricing.read", "stores.any", "tenancy.read"}),
    Role.HOST: _STAFF | {"live.host", "pricing.read", "pricing.write"},
    Role.DISPATCHER: frozenset({"delivery.dispatch", "delivery.drive", "orders.read"}),
    Role.DRIVER: frozenset({"delivery.drive", "tax.verify"}),
    Role.PHOTOGRAPHER: _STAFF,
    Role.EXPERT: _STAFF,
    Role.TECHNICIAN: _STAFF,
    Role.CURATOR: _STAFF,
}


@dataclass(eq=False)
class RoleInUse(DomainError):
    """A role that somebody holds cannot be removed."""

    role: str
    template = "The role {role} is still assigned to users."


@event("identity.role_defined")
@dataclass(frozen=True, kw_only=True)
class RoleDefined(Event):
    role: str
    permissions: Sequence[str]


@event("identity.role_deleted")
@dataclass(frozen=True, kw_only=True)
class RoleDeleted(Event):
    role: str


@dataclass(eq=False, kw_only=True)
class RoleAssignment:
    """That a user holds a role: in the whole tenant, or for one store."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    user_id: UUID
    role: str
    store_id: UUID | None = None
    assigned_by: UUID | None = None
    assigned_at: datetime


@dataclass(eq=False, kw_only=True)
class RoleDefinition(Aggregate):
    """A role that a tenant made for itself."""

    name: str
    description: str | None = None
    permissions: list[str] = field(default_factory=list)
    conditions: dict[str, str] = field(default_factory=dict)

    def define(
        self,
        description: str | None,
        permissions: Collection[str],
        actor: Principal,
        conditions: Mapping[str, str] | None = None,
    ) -> None:
        """Say what the role permits, always or on conditions; nobody can hand on what they may not do themselves.

        Raises: InvalidInput, InvalidCondition, Forbidden.
        """
        conditions = conditions or {}
        _check_permissions([*permissions, *conditions])
        for name, expression in conditions.items():
            check_condition(name, expression)
        require_all(actor, {*permissions, *conditions, *self.permissions, *self.conditions})
        self.conditions = dict(conditions)
        self.description = clean_optional("description", description, longest=500)
        self.permissions = sorted(set(permissions))
        self.record(RoleDefined(role=self.name, permissions=tuple(self.permissions)))

    @property
    def reach(self) -> frozenset[str]:
        """All that the role permits, be it on conditions."""
        return frozenset((*self.permissions, *self.conditions))

    def retire(self) -> None:
        """Note that the role goes."""
        self.record(RoleDeleted(role=self.name))


def _check_permissions(permissions: Collection[str]) -> None:
    if len(permissions) > MAX_PERMISSIONS:
        raise InvalidInput(field="permissions", reason=f"a role has at most {MAX_PERMISSIONS}")
    for each in permissions:
        if not _PERMISSION.fullmatch(each):
            raise InvalidInput(field="permissions", reason="a permission is written context.action, or context.*")


def role_name(value: str) -> str:
    """Accept the name of a role that a tenant may define.

    Raises: InvalidInput, AlreadyExists when it is one of the presets.
    """
    name = clean("name", value)
    if not _NAME.fullmatch(name):
        raise InvalidInput(field="name", reason="it is written in small letters, digits and underscores")
    if name in PRESETS:
        raise AlreadyExists(kind="Role", value=name)
    return name


def require_all(actor: Principal, permissions: Collection[str]) -> None:
    """Refuse to hand on, or to touch, what the actor may not do: rights never grow by being passed round.

    Raises: Forbidden.
    """
    for each in sorted(permissions):
        if not actor.may(each):
            raise Forbidden(permission=each)


class Roles(Protocol):
    """The roles that the tenant defined itself."""

    async def find(self, name: str) -> RoleDefinition | None: ...

    async def permissions_of(self, names: Collection[str]) -> Mapping[str, Collection[str]]: ...

    async def conditions_of(self, names: Collection[str]) -> Sequence[tuple[str, str]]:
        """Give what roles permit on conditions: permission and expression."""
        ...

    async def is_assigned(self, name: str) -> bool: ...

    async def outdate_tokens_of_holders(self, name: str, work: Work) -> None: ...

    def add(self, role: RoleDefinition) -> None: ...

    async def remove(self, role: RoleDefinition) -> None: ...


class RoleReads(Protocol):
    """The roles that the tenant defined itself, for lists."""

    async def defined(self) -> list[Any]: ...


async def grants_of(names: Collection[str], roles: Roles) -> frozenset[str]:
    """Give all that the named roles permit together."""
    own = [name for name in names if name not in PRESETS]
    defined = await roles.permissions_of(own) if own else {}
    granted: set[str] = set()
    for name in names:
        granted.update(PRESETS.get(name) or defined.get(name) or ())
    return frozenset(granted)


async def conditions_of(names: Collection[str], roles: Roles) -> tuple[tuple[str, str], ...]:
    """Give what the named roles permit on conditions; more than a token carries is not granted."""
    own = [name for name in names if name not in PRESETS]
    found, letters = [], 0
    for each in sorted(set(await roles.conditions_of(own) if own else ())):
        letters += len(each[0]) + len(each[1])
        if letters <= MOST_IN_A_TOKEN:
            found.append(each)
    return tuple(found)


async def reach_of(names: Collection[str], roles: Roles) -> frozenset[str]:
    """Give all that the named roles permit together, be it on conditions."""
    return await grants_of(names, roles) | {name for name, _ in await conditions_of(names, roles)}


@dataclass(frozen=True, kw_only=True)
class PermissionCondition:
    """A permission that is granted while an expression in CEL holds."""

    permission: str
    expression: str


@dataclass(frozen=True, kw_only=True)
class DefineRole:
    """Make a role of the tenant's own, or change what it permits."""

    name: str
    permissions: Sequence[str]
    description: str | None = None
    conditions: Sequence[PermissionCondition] = ()


@dataclass(frozen=True, kw_only=True)
class DeleteRole:
    """Remove a role of the tenant's own that nobody holds."""

    name: str


async def define_role(command: DefineRole, work: Work, roles: Roles) -> RoleDefinition:
    name = role_name(command.name)
    role = await roles.find(name)
    if role is None:
        role = RoleDefinition(tenant_id=work.tenant_id, name=name)
        roles.add(role)
    else:
        await roles.outdate_tokens_of_holders(name, work)
    conditions = {each.permission: each.expression for each in command.conditions}
    role.define(command.description, command.permissions, work.actor, conditions)
    return role


async def delete_role(command: DeleteRole, work: Work, roles: Roles) -> RoleDefinition:
    role = await roles.find(clean("name", command.name))
    if role is None:
        raise NotFound(kind="Role", id=command.name)
    require_all(work.actor, role.reach)
    if await roles.is_assigned(role.name):
        raise RoleInUse(role=role.name)
    role.retire()
    await roles.remove(role)
    return role
