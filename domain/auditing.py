"""The trail of what holders of permissions did, or tried to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.paging import Page, PageRequest


class UseKind(StrEnum):
    """Whether something was looked at or changed."""

    QUERY = "query"
    MUTATION = "mutation"


class UseOutcome(StrEnum):
    """What became of an attempt."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


NOTED_QUERIES = frozenset(
    {
        "identity.read",
        "identity.manage",
        "identity.privacy",
        "messaging.moderate",
        "notifications.read",
        "payments.read",
        "payments.review",
        "platform.audit",
        "platform.operate",
        "platform.processes",
    }
)
"""Whoever looks with one of these permissions sees what is other people's; every change that needs a permission is noted."""


@dataclass(frozen=True, kw_only=True)
class PrivilegedUse:
    """Who did what with a permission; of the arguments only ids are kept, and a digest that tells whether two were alike."""

    tenant_id: UUID
    at: datetime
    kind: UseKind
    operation: str
    permission: str
    outcome: UseOutcome
    code: str | None
    actor_id: UUID
    impersonator_id: UUID | None
    session_id: UUID | None
    address: str
    correlation_id: str
    ids: Mapping[str, str]
    digest: str


@dataclass(frozen=True, kw_only=True)
class UseFilter:
    """Which lines are wanted; `until` is exclusive."""

    actor_id: UUID | None = None
    impersonator_id: UUID | None = None
    kind: UseKind | None = None
    outcome: UseOutcome | None = None
    operation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditTrail(Protocol):
    """Keeps lines of the trail, whatever becomes of the operation that they are about."""

    async def note(self, use: PrivilegedUse) -> None: ...


class AuditReads(Protocol):
    """The trail, newest first."""

    async def uses(self, wanted: UseFilter, page: PageRequest) -> Page[Any]: ...


@dataclass(frozen=True)
class Breach:
    """Where the chain does not hold: the tenant, the seal, and what is wrong."""

    tenant_id: UUID
    seal: int
    fault: str


class AuditChain(Protocol):
    """Seals lines in batches, each seal over the one before, and finds what was changed since."""

    async def seal(self) -> int: ...

    async def verify(self) -> Sequence[Breach]: ...
