"""What promotions and flash sales have in common: whose they are, when they are on, and the states they go through."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.kernel import Aggregate, NotFound, Principal, Transitions
from domain.pricing.terms import check_window

WRITE_ANY = "pricing.write.any"


class CampaignState(StrEnum):
    """How far a promotion or flash sale has come."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    ENDED = "ended"
    CANCELLED = "cancelled"


_OVER = {CampaignState.ENDED, CampaignState.CANCELLED}
CAMPAIGN_STATES = Transitions(
    "Campaign",
    CampaignState.DRAFT,
    {
        CampaignState.DRAFT: {CampaignState.SCHEDULED, CampaignState.ACTIVE, CampaignState.CANCELLED},
        CampaignState.SCHEDULED: {CampaignState.ACTIVE, *_OVER},
        CampaignState.ACTIVE: {CampaignState.EXHAUSTED, *_OVER},
        CampaignState.EXHAUSTED: {CampaignState.ACTIVE, *_OVER},
        CampaignState.ENDED: set(),
        CampaignState.CANCELLED: set(),
    },
)


@dataclass(eq=False, kw_only=True)
class Campaign(Aggregate):
    """Something that is on from one instant to another; without a seller it is the platform's."""

    seller_id: UUID | None
    name: str
    starts_at: datetime
    ends_at: datetime | None
    state: CampaignState = CampaignState.DRAFT

    @property
    def is_over(self) -> bool:
        return self.state in _OVER

    def turn(self, now: datetime) -> bool:
        """Go to the state that the time asks for; says whether that was another one."""
        if self.is_over:
            return False
        if self.ends_at is not None and self.ends_at <= now:
            due = CampaignState.ENDED
        elif self.starts_at > now:
            due = CampaignState.SCHEDULED
        else:
            due = CampaignState.EXHAUSTED if self.state is CampaignState.EXHAUSTED else CampaignState.ACTIVE
        return due is not self.state and self.go_to(due)

    def go_to(self, state: CampaignState) -> bool:
        """Change the state.

        Raises: InvalidStateTransition.
        """
        self.state = CAMPAIGN_STATES.check(self.state, state)
        return True

    def schedule(self, now: datetime) -> None:
        """Leave the draft: on at once, or when its time comes.

        Raises: InvalidInput.
        """
        check_window(self.starts_at, self.ends_at)
        self.turn(now)


def owner_of(actor: Principal, seller_id: UUID | None) -> UUID | None:
    """Say whose prices somebody sets: a seller's are the seller's own, whoever may set all prices chooses.

    Raises: NotFound for another seller.
    """
    if actor.may(WRITE_ANY):
        return seller_id
    own = actor.require_user()
    if seller_id not in {None, own}:
        raise NotFound(kind="Seller", id=str(seller_id))
    return own


def require_owner(actor: Principal, kind: str, held: Any) -> None:
    """Refuse whoever may not change a seller's object, as though it did not exist.

    Raises: NotFound.
    """
    if not actor.may(WRITE_ANY) and held.seller_id != actor.require_user():
        raise NotFound(kind=kind, id=str(held.id))


def timer_of(campaign: Campaign) -> Mapping[str, Any]:
    """Give what the timer of a campaign carries."""
    return {"id": str(campaign.id)}
