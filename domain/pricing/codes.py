"""Discount codes that buyers type in."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, AlreadyExists, Event, InvalidInput, NotFound, Work, event
from domain.pricing.campaigns import owner_of, require_owner
from domain.pricing.discounting import normal_code
from domain.pricing.terms import CodeTerms, DiscountKind, check_code, check_limits, check_window

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{2,39}")


class CodeState(StrEnum):
    """Whether a code can be used."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    DISABLED = "disabled"


@event("pricing.code_created")
@dataclass(frozen=True, kw_only=True)
class DiscountCodeCreated(Event):
    discount_code: str
    kind: str
    seller_id: UUID | None


@event("pricing.code_disabled")
@dataclass(frozen=True, kw_only=True)
class DiscountCodeDisabled(Event):
    discount_code: str


@dataclass(eq=False, kw_only=True)
class DiscountCode(Aggregate):
    """A code that takes something off for whoever knows it, in all `usage_limit` times, `per_customer` times each."""

    seller_id: UUID | None
    code: str
    description: str | None = None
    kind: DiscountKind
    terms: CodeTerms
    starts_at: datetime
    ends_at: datetime | None
    usage_limit: int | None = None
    per_customer: int | None = 1
    is_disabled: bool = False

    @property
    def state(self) -> CodeState:
        return CodeState.DISABLED if self.is_disabled else CodeState.ACTIVE

    def issue(self) -> None:
        """Make it known.

        Raises: InvalidInput.
        """
        self.code = normal_code(self.code)
        if not _CODE.fullmatch(self.code):
            raise InvalidInput(field="code", reason="it has 3 to 40 letters from A to Z, digits, dashes or underscores")
        check_code(self.kind, self.terms)
        check_window(self.starts_at, self.ends_at)
        check_limits(usageLimit=self.usage_limit, perCustomer=self.per_customer)
        self.record(DiscountCodeCreated(discount_code=self.code, kind=self.kind, seller_id=self.seller_id))

    def disable(self) -> None:
        """Let nobody use it any more; a disabled code stays as it is."""
        if not self.is_disabled:
            self.is_disabled = True
            self.record(DiscountCodeDisabled(discount_code=self.code))


class DiscountCodes(Protocol):
    """Discount codes for change."""

    async def lock(self, code_id: UUID) -> DiscountCode | None: ...

    async def exists(self, code: str) -> bool: ...

    async def add(self, code: DiscountCode) -> None: ...


@dataclass(frozen=True, kw_only=True)
class CreateDiscountCode:
    """Issue a discount code; a seller's is for the seller's own goods. Without more, each customer can use it once."""

    code: str
    kind: DiscountKind
    terms: CodeTerms
    description: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    usage_limit: int | None = None
    per_customer: int | None = 1
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class DisableDiscountCode:
    """Let nobody use a discount code any more."""

    id: UUID
    expected_version: int | None = None


async def create_discount_code(command: CreateDiscountCode, work: Work, codes: DiscountCodes) -> DiscountCode:
    code = DiscountCode(
        tenant_id=work.tenant_id,
        seller_id=owner_of(work.actor, command.seller_id),
        code=command.code,
        description=command.description,
        kind=command.kind,
        terms=command.terms,
        starts_at=command.starts_at or work.now,
        ends_at=command.ends_at,
        usage_limit=command.usage_limit,
        per_customer=command.per_customer,
    )
    code.issue()
    if await codes.exists(code.code):
        raise AlreadyExists(kind="DiscountCode", value=code.code)
    await codes.add(code)
    return code


async def disable_discount_code(command: DisableDiscountCode, work: Work, codes: DiscountCodes) -> DiscountCode:
    code = await codes.lock(command.id)
    if code is None:
        raise NotFound(kind="DiscountCode", id=str(command.id))
    require_owner(work.actor, "DiscountCode", code)
    code.expect_version(command.expected_version)
    code.disable()
    return code
