"""Who works for a tenant and in which of its stores, and what inspectors found there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, Work, event
from domain.tenancy import rules
from domain.tenancy.stores import Stores, existing_store


@event("tenancy.tenant_user_assigned")
@dataclass(frozen=True, kw_only=True)
class TenantUserAssigned(Event):
    user_id: UUID
    role: str


@event("tenancy.store_user_assigned")
@dataclass(frozen=True, kw_only=True)
class StoreUserAssigned(Event):
    store_id: UUID
    user_id: UUID
    role: str


@event("tenancy.compliance_recorded")
@dataclass(frozen=True, kw_only=True)
class ComplianceRecorded(Event):
    store_id: UUID
    requirement: str
    status: str
    expires_at: date | None


class ComplianceStatus(StrEnum):
    """What a check of one requirement found."""

    PENDING = "pending"
    COMPLIANT = "compliant"
    VIOLATED = "violated"
    WAIVED = "waived"


class StaffRole(StrEnum):
    """What somebody does for a tenant; identity decides which permissions go with it."""

    ADMIN = "admin"
    STORE_MANAGER = "store_manager"
    SELLER = "seller"
    WAREHOUSE_OPERATOR = "warehouse_operator"
    DISPATCHER = "dispatcher"
    DRIVER = "driver"
    PHOTOGRAPHER = "photographer"
    EXPERT = "expert"
    TECHNICIAN = "technician"
    CURATOR = "curator"
    HOST = "host"
    MODERATOR = "moderator"
    SUPPORT_AGENT = "support_agent"
    FINANCE = "finance"


@dataclass(eq=False, kw_only=True)
class Assignment(Aggregate):
    """Somebody's role in one store, or in the whole tenant where `store_id` is empty."""

    store_id: UUID | None
    user_id: UUID
    role: StaffRole | None = None

    def put(self, role: StaffRole) -> None:
        """Give the role; a second assignment to the same place replaces the first."""
        self.role = role
        if self.store_id is None:
            self.record(TenantUserAssigned(user_id=self.user_id, role=role))
        else:
            self.record(StoreUserAssigned(store_id=self.store_id, user_id=self.user_id, role=role))


@dataclass(eq=False, kw_only=True)
class StoreCompliance(Aggregate):
    """What the last check of one requirement found in a store."""

    store_id: UUID
    requirement: str
    status: ComplianceStatus = ComplianceStatus.PENDING
    checked_at: datetime | None = None
    expires_at: date | None = None
    note: str | None = None

    def check(self, status: ComplianceStatus, expires_at: date | None, note: str | None, now: datetime) -> None:
        """Keep what a check found.

        Raises: InvalidInput.
        """
        self.note = rules.optional(rules.long)("note", note)
        self.status, self.checked_at, self.expires_at = status, now, expires_at
        self.record(
            ComplianceRecorded(
                store_id=self.store_id, requirement=self.requirement, status=status, expires_at=expires_at
            )
        )


class Assignments(Protocol):
    """Assignments for change."""

    async def find(self, store_id: UUID | None, user_id: UUID) -> Assignment | None: ...

    async def add(self, assignment: Assignment) -> None: ...


class ComplianceChecks(Protocol):
    """Compliance for change."""

    async def find(self, store_id: UUID, requirement: str) -> StoreCompliance | None: ...

    async def add(self, compliance: StoreCompliance) -> None: ...


class StaffReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def of_tenants(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def of_stores(self, store_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def compliance(self, store_ids: Sequence[UUID]) -> list[list[Any]]: ...


@dataclass(frozen=True, kw_only=True)
class AssignUser:
    """Give somebody a role in a store, or in the whole tenant where `store_id` is empty."""

    store_id: UUID | None
    user_id: UUID
    role: StaffRole


@dataclass(frozen=True, kw_only=True)
class RecordCompliance:
    """Keep what a check of one requirement found in a store."""

    store_id: UUID
    requirement: str
    status: ComplianceStatus
    expires_at: date | None = None
    note: str | None = None


async def record_compliance(
    command: RecordCompliance, work: Work, stores: Stores, checks: ComplianceChecks
) -> StoreCompliance:
    await existing_store(stores, command.store_id, work)
    requirement = rules.text("requirement", command.requirement)
    compliance = await checks.find(command.store_id, requirement)
    if compliance is None:
        compliance = StoreCompliance(tenant_id=work.tenant_id, store_id=command.store_id, requirement=requirement)
        await checks.add(compliance)
    compliance.check(command.status, command.expires_at, command.note, work.now)
    return compliance
