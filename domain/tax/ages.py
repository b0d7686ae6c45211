"""Ages: who may buy regulated goods, and the record of whoever looked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, Work, event
from domain.paging import Page, PageRequest
from domain.tax.quotes import TaxLine

MIN_AGE, MAX_AGE = 1, 99


@dataclass(eq=False)
class AgeNotVerified(DomainError):
    """Goods for adults are wanted by somebody whose age nobody has confirmed."""

    minimum_age: int
    template = "These goods are sold from the age of {minimum_age}, which must be verified first."


@dataclass(eq=False)
class OwnAgeNotVerifiable(DomainError):
    """Nobody confirms their own age."""

    user_id: UUID
    template = "Nobody can confirm their own age; somebody else must look."


class VerificationMethod(StrEnum):
    """How an age was verified."""

    DOCUMENT = "document"
    IN_PERSON = "in_person"
    THIRD_PARTY = "third_party"


@event("age.verified")
@dataclass(frozen=True, kw_only=True)
class AgeVerified(Event):
    user_id: UUID
    order_id: UUID | None
    minimum_age: int
    passed: bool


@dataclass(eq=False, kw_only=True)
class AgeVerification(Aggregate):
    """That somebody's age was looked at: nobody's birthday is kept, only whether the age was reached."""

    user_id: UUID
    order_id: UUID | None
    minimum_age: int
    method: VerificationMethod
    passed: bool
    verified_by: UUID | None
    verified_at: datetime
    expires_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class RecordAgeVerification:
    """Record that somebody is, or is not, of an age in years; a check of an order names it."""

    user_id: UUID
    minimum_age: int
    method: VerificationMethod
    passed: bool = True
    order_id: UUID | None = None
    expires_on: date | None = None


class AgeVerifications(Protocol):
    """Records of verified ages, which are only ever added to."""

    async def verified(self, user_id: UUID, minimum_age: int, on: date) -> bool:
        """Say whether the user's age was confirmed, for that age or a higher one, and not denied since."""
        ...

    def add(self, record: AgeVerification) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AgeVerificationFilter:
    """Which records are wanted."""

    user_id: UUID | None = None
    order_id: UUID | None = None
    passed: bool | None = None


class AgeVerificationReads(Protocol):
    """Records as reads."""

    async def records(self, wanted: AgeVerificationFilter, page: PageRequest) -> Page[Any]: ...

    async def verified(self, user_id: UUID, minimum_age: int, on: date) -> bool: ...


def required_age(lines: Iterable[TaxLine]) -> int | None:
    """Give the age in years that a buyer of all these lines must have; None when anybody may."""
    ages: Sequence[int] = [line.minimum_age for line in lines if line.minimum_age]
    return max(ages, default=None)


async def require_age(verifications: AgeVerifications, user_id: UUID | None, minimum_age: int | None, on: date) -> None:
    """Refuse regulated goods to whoever has no record; guests have none.

    Raises: AgeNotVerified.
    """
    if minimum_age and (user_id is None or not await verifications.verified(user_id, minimum_age, on)):
        raise AgeNotVerified(minimum_age=minimum_age)


async def record_age_verification(
    command: RecordAgeVerification, work: Work, verifications: AgeVerifications
) -> AgeVerification:
    """Give the record.

    Raises: InvalidInput, OwnAgeNotVerifiable.
    """
    if not MIN_AGE <= command.minimum_age <= MAX_AGE:
        raise InvalidInput(field="minimumAge", reason=f"it must lie between {MIN_AGE} and {MAX_AGE} years")
    if command.expires_on is not None and command.expires_on < work.now.date():
        raise InvalidInput(field="expiresOn", reason="a verification cannot have expired before it is made")
    if command.user_id == work.actor.user_id:
        raise OwnAgeNotVerifiable(user_id=command.user_id)
    record = AgeVerification(
        tenant_id=work.tenant_id,
        user_id=command.user_id,
        order_id=command.order_id,
        minimum_age=command.minimum_age,
        method=command.method,
        passed=command.passed,
        verified_by=work.actor.user_id,
        verified_at=work.now,
        expires_on=command.expires_on,
    )
    record.record(
        AgeVerified(
            user_id=record.user_id, order_id=record.order_id, minimum_age=record.minimum_age, passed=record.passed
        )
    )
    verifications.add(record)
    return record
