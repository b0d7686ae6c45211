"""Promotions: discounts that apply by themselves, bundles among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.jobs import JobQueue, Jobs
from domain.kernel import Event, NotFound, Work, event
from domain.money import Money
from domain.pricing.campaigns import Campaign, CampaignState, owner_of, require_owner, timer_of
from domain.pricing.terms import (
    BundleItem,
    PromotionKind,
    PromotionTerms,
    check_limits,
    check_promotion,
    clean_name,
)

jobs = Jobs()
TURN = "pricing.turn_promotion"


@event("pricing.promotion_created")
@dataclass(frozen=True, kw_only=True)
class PromotionCreated(Event):
    title: str
    kind: str
    seller_id: UUID | None
    starts_at: datetime
    ends_at: datetime | None


@event("pricing.promotion_state_changed")
@dataclass(frozen=True, kw_only=True)
class PromotionStateChanged(Event):
    state: str


@dataclass(eq=False, kw_only=True)
class Promotion(Campaign):
    """A discount for whoever buys what it is for, while it is on and not used up."""

    description: str | None = None
    kind: PromotionKind
    priority: int = 100
    terms: PromotionTerms
    usage_limit: int | None = None
    per_customer: int | None = None

    def open(self, now: datetime) -> None:
        """Let it begin, at once or when its time comes.

        Raises: InvalidInput.
        """
        self.name = clean_name(self.name)
        check_promotion(self.kind, self.terms)
        check_limits(usageLimit=self.usage_limit, perCustomer=self.per_customer)
        self.schedule(now)
        self.record(
            PromotionCreated(
                title=self.name,
                kind=self.kind,
                seller_id=self.seller_id,
                starts_at=self.starts_at,
                ends_at=self.ends_at,
            )
        )

    def go_to(self, state: CampaignState) -> bool:
        draft = self.state is CampaignState.DRAFT
        changed = super().go_to(state)
        if not draft:
            self.record(PromotionStateChanged(state=state))
        return changed

    def end(self, now: datetime) -> None:
        """End it before its time.

        Raises: InvalidStateTransition.
        """
        self.go_to(CampaignState.CANCELLED if self.state is CampaignState.SCHEDULED else CampaignState.ENDED)
        self.ends_at = max(now, self.starts_at)


class Promotions(Protocol):
    """Promotions for change."""

    async def lock(self, promotion_id: UUID) -> Promotion | None: ...

    async def add(self, new: Promotion) -> None: ...

    async def used_up(self, ids: Sequence[UUID], *, exhausted: bool) -> Sequence[Promotion]:
        """Lock those of some ids that are used up to their limit (or, not exhausted: that were, and are no more)."""
        ...


@dataclass(frozen=True, kw_only=True)
class CreatePromotion:
    """Start a promotion; a seller's is for the seller's own goods."""

    name: str
    kind: PromotionKind
    terms: PromotionTerms
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    description: str | None = None
    priority: int = 100
    usage_limit: int | None = None
    per_customer: int | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class CreateBundleDeal:
    """Sell some goods together at a price below their sum."""

    name: str
    items: tuple[BundleItem, ...]
    price: Money
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    usage_limit: int | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class EndPromotion:
    """End a promotion now."""

    id: UUID
    expected_version: int | None = None


async def create_promotion(command: CreatePromotion, work: Work, promotions: Promotions, queue: JobQueue) -> Promotion:
    promotion = Promotion(
        tenant_id=work.tenant_id,
        seller_id=owner_of(work.actor, command.seller_id),
        name=command.name,
        description=command.description,
        kind=command.kind,
        priority=command.priority,
        terms=command.terms,
        starts_at=command.starts_at or work.now,
        ends_at=command.ends_at,
        usage_limit=command.usage_limit,
        per_customer=command.per_customer,
    )
    promotion.open(work.now)
    await promotions.add(promotion)
    await _set_timer(promotion, work.now, queue)
    return promotion


async def create_bundle_deal(
    command: CreateBundleDeal, work: Work, promotions: Promotions, queue: JobQueue
) -> Promotion:
    terms = PromotionTerms(
        items=command.items, amount_minor=command.price.amount_minor, currency=command.price.currency
    )
    wanted = CreatePromotion(
        name=command.name,
        kind=PromotionKind.BUNDLE,
        terms=terms,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        usage_limit=command.usage_limit,
        seller_id=command.seller_id,
    )
    return await create_promotion(wanted, work, promotions, queue)


async def end_promotion(command: EndPromotion, work: Work, promotions: Promotions) -> Promotion:
    promotion = await promotions.lock(command.id)
    if promotion is None:
        raise NotFound(kind="Promotion", id=str(command.id))
    require_owner(work.actor, "Promotion", promotion)
    promotion.expect_version(command.expected_version)
    promotion.end(work.now)
    return promotion


@jobs.on(TURN)
async def turn_promotion(payload: Mapping[str, Any], work: Work, promotions: Promotions, queue: JobQueue) -> None:
    """Start or end a promotion whose time has come; what has been ended by hand stays as it is."""
    promotion = await promotions.lock(UUID(payload["id"]))
    if promotion is not None and promotion.turn(work.now):
        await _set_timer(promotion, work.now, queue)


async def _set_timer(promotion: Promotion, now: datetime, queue: JobQueue) -> None:
    due = promotion.starts_at if promotion.starts_at > now else promotion.ends_at
    if due is not None and not promotion.is_over:
        await queue.defer(TURN, timer_of(promotion), at=due, key=str(promotion.id))
