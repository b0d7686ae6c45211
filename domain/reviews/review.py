"""One person's opinion of one product: what it says, where it stands, and how its votes count."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.kernel import UNCHANGED, Aggregate, DomainError, Event, InvalidInput, Transitions, Unchanged, event
from domain.reviews.texts import check_text

MAX_TITLE = 255
MAX_TEXT = 10_000
MAX_ATTRIBUTES = 20
MAX_ATTRIBUTE_NAME = 50
STARS = range(1, 6)
# Addresses of any kind in a review are what spam consists of; such a review waits for a moderator. Every repetition has an
# end: an endless one lets 10,000 well-chosen characters keep a processor busy for minutes.
_ADDRESS = re.compile(
    r"https?://|www\.|[^\s@]{1,64}@[^\s@]{1,255}\.\w|\+?\d[\d\s().-]{8,20}\d",
    re.IGNORECASE,
)


@dataclass(eq=False)
class AlreadyReviewed(DomainError):
    """A person reviews a product once, and may edit that review."""

    product_id: str
    template = "You have already reviewed product {product_id}; edit your review instead."


@dataclass(eq=False)
class OwnReview(DomainError):
    """Authors do not vote on their own reviews."""

    review_id: str
    template = "Review {review_id} is your own: others vote on it."


class ReviewState(StrEnum):
    """Where a review stands between its author and the public."""

    SUBMITTED = "submitted"
    PUBLISHED = "published"
    REJECTED = "rejected"
    HIDDEN = "hidden"


REVIEW_STATES = Transitions(
    "Review",
    ReviewState.SUBMITTED,
    {
        ReviewState.SUBMITTED: [ReviewState.PUBLISHED, ReviewState.REJECTED, ReviewState.SUBMITTED],
        ReviewState.PUBLISHED: [ReviewState.HIDDEN, ReviewState.SUBMITTED, ReviewState.PUBLISHED],
        ReviewState.REJECTED: [ReviewState.SUBMITTED, ReviewState.PUBLISHED],
        ReviewState.HIDDEN: [ReviewState.PUBLISHED, ReviewState.SUBMITTED],
    },
)


class VoteKind(StrEnum):
    """What a reader thought of a review."""

    HELPFUL = "helpful"
    NOT_HELPFUL = "not_helpful"


@event("review.created")
@dataclass(frozen=True, kw_only=True)
class ReviewCreated(Event):
    product_id: UUID
    author_id: UUID
    rating: int
    state: ReviewState


@event("review.updated")
@dataclass(frozen=True, kw_only=True)
class ReviewUpdated(Event):
    product_id: UUID
    rating: int
    state: ReviewState


@event("review.state_changed")
@dataclass(frozen=True, kw_only=True)
class ReviewStateChanged(Event):
    product_id: UUID
    state: ReviewState
    reason: str | None


@event("review.deleted")
@dataclass(frozen=True, kw_only=True)
class ReviewDeleted(Event):
    product_id: UUID


@event("review.answered")
@dataclass(frozen=True, kw_only=True)
class ReviewAnswered(Event):
    product_id: UUID
    author_id: UUID


@event("review.voted")
@dataclass(frozen=True, kw_only=True)
class ReviewVoted(Event):
    voter_id: UUID
    kind: VoteKind


@dataclass(frozen=True, kw_only=True)
class UpdateReview:
    """Edit one's own review."""

    id: UUID
    rating: int | Unchanged = UNCHANGED
    title: str | Unchanged | None = UNCHANGED
    content: str | Unchanged | None = UNCHANGED
    expected_version: int | None = None


@dataclass(eq=False, kw_only=True)
class Review(Aggregate):
    """One person's opinion of one product."""

    product_id: UUID
    author_id: UUID
    store_id: UUID | None = None
    rating: int
    title: str | None = None
    content: str | None = None
    attributes: Mapping[str, int] = field(default_factory=dict)
    state: ReviewState = ReviewState.SUBMITTED
    is_verified_purchase: bool = False
    helpful_count: int = 0
    unhelpful_count: int = 0
    response: str | None = None
    responded_at: datetime | None = None
    created_at: datetime
    edited_at: datetime | None = None

    @property
    def is_published(self) -> bool:
        return self.state == ReviewState.PUBLISHED

    def submit(self) -> None:
        """Hand the review in: it is published at once, unless it carries addresses, which a moderator looks at."""
        self._check()
        self.state = self._screened()
        self.record(
            ReviewCreated(product_id=self.product_id, author_id=self.author_id, rating=self.rating, state=self.state)
        )

    def edit(self, command: UpdateReview, now: datetime) -> None:
        """Change the author's words; the review is screened again."""
        for name in ("rating", "title", "content"):
            value = getattr(command, name)
            if value is not UNCHANGED:
                setattr(self, name, value)
        self._check()
        self.edited_at = now
        # What a moderator took from the public comes back through a moderator only.
        withdrawn = self.state in {ReviewState.REJECTED, ReviewState.HIDDEN}
        self.state = REVIEW_STATES.check(self.state, ReviewState.SUBMITTED if withdrawn else self._screened())
        self.record(ReviewUpdated(product_id=self.product_id, rating=self.rating, state=self.state))

    def move_to(self, state: ReviewState, reason: str | None = None) -> None:
        """Publish, reject or hide.

        Raises: InvalidStateTransition.
        """
        check_text("reason", reason, MAX_TEXT)
        if state == self.state:
            REVIEW_STATES.check(state, ReviewState.HIDDEN if state == ReviewState.REJECTED else ReviewState.REJECTED)
        self.state = REVIEW_STATES.check(self.state, state)
        self.record(ReviewStateChanged(product_id=self.product_id, state=state, reason=reason))

    def answer(self, text: str, now: datetime) -> None:
        """Put the store's one answer below the review, or edit it."""
        check_text("text", text, MAX_TEXT, required=True)
        self.response, self.responded_at = text, now
        self.record(ReviewAnswered(product_id=self.product_id, author_id=self.author_id))

    def count_vote(self, voter_id: UUID, kind: VoteKind, earlier: VoteKind | None) -> None:
        """Count a reader's vote, in place of an earlier one.

        Raises: OwnReview.
        """
        self.refuse_author(voter_id)
        for counted, step in ((earlier, -1), (kind, 1)):
            if counted == VoteKind.HELPFUL:
                self.helpful_count += step
            elif counted == VoteKind.NOT_HELPFUL:
                self.unhelpful_count += step
        self.record(ReviewVoted(voter_id=voter_id, kind=kind))

    def refuse_author(self, voter_id: UUID) -> None:
        """Raises: OwnReview."""
        if voter_id == self.author_id:
            raise OwnReview(review_id=str(self.id))

    def _screened(self) -> ReviewState:
        words = f"{self.title or ''} {self.content or ''}"
        return ReviewState.SUBMITTED if _ADDRESS.search(words) else ReviewState.PUBLISHED

    def _check(self) -> None:
        if self.rating not in STARS:
            raise InvalidInput(field="rating", reason="it must lie between 1 and 5")
        if len(self.attributes) > MAX_ATTRIBUTES or any(score not in STARS for score in self.attributes.values()):
            reason = f"at most {MAX_ATTRIBUTES}, each with a score between 1 and 5"
            raise InvalidInput(field="attributes", reason=reason)
        for name in self.attributes:
            check_text("attributes", name, MAX_ATTRIBUTE_NAME, required=True)
        check_text("title", self.title, MAX_TITLE)
        check_text("content", self.content, MAX_TEXT)
