"""Loyalty: points for what was bought, tiers that follow from them, and a ledger that only grows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Work, event, uuid7
from domain.money import Money, minor_digits
from domain.pricing.allowances import InsufficientPoints, LoyaltyBalanceChanged
from domain.pricing.codes import DiscountCode, DiscountCodes
from domain.pricing.terms import CodeTerms, DiscountKind, PriceConditions, clean_name

MAX_POINTS = 1_000_000_000


class PointsKind(StrEnum):
    """Why a balance of points changed."""

    EARN = "earn"
    REDEEM = "redeem"
    GIVE_BACK = "give_back"
    REVOKE = "revoke"
    ADJUST = "adjust"


@event("loyalty.program_changed")
@dataclass(frozen=True, kw_only=True)
class LoyaltyProgramChanged(Event):
    title: str
    is_active: bool


@event("loyalty.tier_changed")
@dataclass(frozen=True, kw_only=True)
class LoyaltyTierChanged(Event):
    user_id: UUID
    tier: str | None


@dataclass(frozen=True, kw_only=True)
class LoyaltyTier:
    """A rank that is reached with so many points earned, and multiplies those that follow."""

    name: str
    threshold: int
    multiplier: Decimal = Decimal(1)


@dataclass(eq=False, kw_only=True)
class LoyaltyProgram(Aggregate):
    """How points come and what they are worth: `earn_rate` points for a unit of currency, `point_value` minor units each."""

    name: str
    currency: str
    earn_rate: Decimal
    point_value: Decimal
    tiers: tuple[LoyaltyTier, ...] = ()
    is_active: bool = True

    def change(self, wanted: "SetLoyaltyProgram") -> None:
        """Take other terms.

        Raises: InvalidInput.
        """
        self.name, self.currency = clean_name(wanted.name), wanted.currency
        self.earn_rate, self.point_value = wanted.earn_rate, wanted.point_value
        self.tiers, self.is_active = wanted.tiers, wanted.is_active
        minor_digits(self.currency)
        _check_rate("earnRate", self.earn_rate)
        _check_rate("pointValue", self.point_value)
        _check_tiers(self.tiers)
        self.record(LoyaltyProgramChanged(title=self.name, is_active=self.is_active))

    def points_for(self, amount: Money, tier: str | None) -> int:
        """Give the points for an amount paid, rounded down; none for another currency."""
        if not self.is_active or amount.currency != self.currency:
            return 0
        multiplier = next((each.multiplier for each in self.tiers if each.name == tier), Decimal(1))
        return max(int(amount.decimal * self.earn_rate * multiplier), 0)

    def tier_at(self, lifetime_points: int) -> str | None:
        """Give the highest tier that so many points reach."""
        reached = [each.name for each in self.tiers if each.threshold <= lifetime_points]
        return reached[-1] if reached else None


@dataclass(frozen=True, kw_only=True)
class PointsEntry:
    """A line of the points ledger; `basis_minor` is the amount that earned the points, or that came back."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    user_id: UUID
    kind: PointsKind
    points: int
    balance_after: int
    basis_minor: int | None
    order_id: UUID | None
    reference: str
    reason: str | None
    performed_by: UUID | None
    performed_at: datetime


@dataclass(frozen=True, kw_only=True)
class EarnedPoints:
    """What an order brought: points, the amount that they were for, and how much of it came back since."""

    points: int
    basis_minor: int
    returned_minor: int

    def due_for(self, returned_minor: int) -> int:
        """Give the points that go with another returned amount; after the whole amount all of them went."""
        return self._share(self.returned_minor + returned_minor) - self._share(self.returned_minor)

    def _share(self, returned_minor: int) -> int:
        return self.points * min(returned_minor, self.basis_minor) // max(self.basis_minor, 1)


@dataclass(eq=False, kw_only=True)
class LoyaltyAccount(Aggregate):
    """A customer's points, never below zero; `lifetime_points` counts what was earned and not revoked."""

    user_id: UUID
    points: int = 0
    lifetime_points: int = 0
    tier: str | None = None

    def change(self, kind: PointsKind, points: int, work: Work, **entry: object) -> PointsEntry:
        """Add points or take some away, and write the ledger's line for it.

        Raises: InsufficientPoints, InvalidInput.
        """
        if abs(points) > MAX_POINTS or (points == 0 and kind is not PointsKind.REVOKE):
            raise InvalidInput(field="points", reason=f"it is not zero, and at most {MAX_POINTS:,}")
        if self.points + points < 0:
            raise InsufficientPoints(requested=-points, available=self.points)
        self.points += points
        line = PointsEntry(
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            kind=kind,
            points=points,
            balance_after=self.points,
            performed_by=work.actor.user_id,
            performed_at=work.now,
            **{"basis_minor": None, "order_id": None, "reason": None, "reference": str(uuid7()), **entry},  # type: ignore[arg-type]
        )
        self.record(
            LoyaltyBalanceChanged(
                user_id=self.user_id, change=points, balance=self.points, kind=kind, order_id=line.order_id
            )
        )
        return line

    def count(self, points: int, program: LoyaltyProgram) -> None:
        """Count points towards the tier, or no longer."""
        self.lifetime_points = max(self.lifetime_points + points, 0)
        tier = program.tier_at(self.lifetime_points)
        if tier != self.tier:
            self.tier = tier
            self.record(LoyaltyTierChanged(user_id=self.user_id, tier=tier))


class Loyalty(Protocol):
    """Programs and accounts for change, locked until the transaction ends, and the ledger."""

    async def program(self) -> LoyaltyProgram | None: ...

    async def add_program(self, program: LoyaltyProgram) -> None: ...

    async def account(self, blank: LoyaltyAccount) -> LoyaltyAccount:
        """Lock a user's account, made of the blank where there was none."""
        ...

    async def enter(self, entry: PointsEntry) -> None: ...

    async def earned(self, user_id: UUID, order_id: UUID) -> EarnedPoints: ...


@dataclass(frozen=True, kw_only=True)
class SetLoyaltyProgram:
    """Say how points are earned and what they are worth.

    A unit of currency earns `earn_rate` points, and a point is worth `point_value` minor units.
    """

    name: str
    currency: str
    earn_rate: Decimal
    point_value: Decimal
    tiers: tuple[LoyaltyTier, ...] = ()
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class AdjustLoyaltyPoints:
    """Add points to a customer's account or take some away, and say why."""

    user_id: UUID
    points: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class RedeemLoyaltyPoints:
    """Turn points into a discount code that only oneself can use, once."""

    points: int


async def set_loyalty_program(command: SetLoyaltyProgram, work: Work, loyalty: Loyalty) -> LoyaltyProgram:
    program = await loyalty.program()
    if program is None:
        program = LoyaltyProgram(
            tenant_id=work.tenant_id,
            name=command.name,
            currency=command.currency,
            earn_rate=command.earn_rate,
            point_value=command.point_value,
        )
        program.change(command)
        await loyalty.add_program(program)
    else:
        program.change(command)
    return program


async def adjust_loyalty_points(command: AdjustLoyaltyPoints, work: Work, loyalty: Loyalty) -> LoyaltyAccount:
    reason = clean_name(command.reason)
    account = await account_of(command.user_id, work, loyalty)
    await loyalty.enter(account.change(PointsKind.ADJUST, command.points, work, reason=reason))
    return account


async def redeem_loyalty_points(
    command: RedeemLoyaltyPoints, work: Work, loyalty: Loyalty, codes: DiscountCodes
) -> DiscountCode:
    user_id = work.actor.require_user()
    program = await loyalty.program()
    if program is None or not program.is_active:
        raise NotFound(kind="LoyaltyProgram", id=str(work.tenant_id))
    if command.points < 1 or int(command.points * program.point_value) < 1:
        raise InvalidInput(field="points", reason="so few are worth nothing")
    account = await account_of(user_id, work, loyalty)
    code = _personal_code(user_id, command.points, program, work)
    await loyalty.enter(
        account.change(PointsKind.REDEEM, -command.points, work, reference=str(code.id), reason=code.code)
    )
    code.issue()
    await codes.add(code)
    return code


def _personal_code(user_id: UUID, points: int, program: LoyaltyProgram, work: Work) -> DiscountCode:
    id_ = uuid7()
    terms = CodeTerms(
        conditions=PriceConditions(customer_ids=(user_id,)),
        amount_minor=int(points * program.point_value),
        currency=program.currency,
        combinable=True,
        members_only=True,
    )
    return DiscountCode(
        id=id_,
        tenant_id=work.tenant_id,
        seller_id=None,
        # Its owner alone can use it, hence it need not be unguessable.
        code=f"POINTS-{id_.hex[-12:].upper()}",
        description=f"{points} points",
        kind=DiscountKind.FIXED,
        terms=terms,
        starts_at=work.now,
        ends_at=None,
        usage_limit=1,
    )


async def account_of(user_id: UUID, work: Work, loyalty: Loyalty) -> LoyaltyAccount:
    """Lock a user's account."""
    return await loyalty.account(LoyaltyAccount(tenant_id=work.tenant_id, user_id=user_id))


def _check_rate(name: str, rate: Decimal) -> None:
    if not (rate.is_finite() and 0 < rate <= 100_000) or rate != rate.quantize(Decimal("0.0001")):
        raise InvalidInput(field=name, reason="it lies above 0 and up to 100,000, with at most four decimals")


def _check_tiers(tiers: Sequence[LoyaltyTier]) -> None:
    thresholds = [tier.threshold for tier in tiers]
    if len(tiers) > 20 or thresholds != sorted(set(thresholds)) or any(each < 0 for each in thresholds):
        raise InvalidInput(field="tiers", reason="there are at most 20, each from more points on than the one before")
    for tier in tiers:
        clean_name(tier.name)
        _check_rate("multiplier", tier.multiplier)
