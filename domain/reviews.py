"""Reviews of products: what buyers think, what the store answers, and the rating that follows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from domain.kernel import (
    UNCHANGED,
    Aggregate,
    DomainError,
    Event,
    Forbidden,
    InvalidInput,
    NotFound,
    Transitions,
    Unchanged,
    Work,
    event,
)
from domain.paging import Page, PageRequest

MAX_TITLE = 255
MAX_TEXT = 10_000
STARS = range(1, 6)
# Addresses of any kind in a review are what spam consists of; such a review waits for a moderator.
_ADDRESS = re.compile(r"https?://|www\.|\S+@\S+\.\w|\+?\d[\d\s().-]{8,}\d", re.IGNORECASE)


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


class ReviewSort(StrEnum):
    """The order of a product's reviews."""

    NEWEST = "newest"
    MOST_HELPFUL = "most_helpful"


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


@event("rating.updated")
@dataclass(frozen=True, kw_only=True)
class RatingUpdated(Event):
    product_id: UUID
    average: str
    total: int


@event("wishlist.item_added")
@dataclass(frozen=True, kw_only=True)
class ItemWishlisted(Event):
    product_id: UUID
    user_id: UUID


@event("wishlist.item_removed")
@dataclass(frozen=True, kw_only=True)
class WishlistItemRemoved(Event):
    product_id: UUID
    user_id: UUID


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

    def edit(self, command: "UpdateReview", now: datetime) -> None:
        """Change the author's words; the review is screened again."""
        for name in ("rating", "title", "content"):
            value = getattr(command, name)
            if value is not UNCHANGED:
                setattr(self, name, value)
        self._check()
        self.edited_at = now
        self.state = REVIEW_STATES.check(self.state, self._screened())
        self.record(ReviewUpdated(product_id=self.product_id, rating=self.rating, state=self.state))

    def move_to(self, state: ReviewState, reason: str | None = None) -> None:
        """Publish, reject or hide.

        Raises: InvalidStateTransition.
        """
        if state == self.state:
            REVIEW_STATES.check(state, ReviewState.HIDDEN if state == ReviewState.REJECTED else ReviewState.REJECTED)
        self.state = REVIEW_STATES.check(self.state, state)
        self.record(ReviewStateChanged(product_id=self.product_id, state=state, reason=reason))

    def answer(self, text: str, now: datetime) -> None:
        """Put the store's one answer below the review, or edit it."""
        _check_text("text", text, MAX_TEXT, required=True)
        self.response, self.responded_at = text, now
        self.record(ReviewAnswered(product_id=self.product_id, author_id=self.author_id))

    def count_vote(self, voter_id: UUID, kind: VoteKind, earlier: VoteKind | None) -> None:
        """Count a reader's vote, in place of an earlier one.

        Raises: OwnReview.
        """
        if voter_id == self.author_id:
            raise OwnReview(review_id=str(self.id))
        for counted, step in ((earlier, -1), (kind, 1)):
            if counted == VoteKind.HELPFUL:
                self.helpful_count += step
            elif counted == VoteKind.NOT_HELPFUL:
                self.unhelpful_count += step
        self.record(ReviewVoted(voter_id=voter_id, kind=kind))

    def _screened(self) -> ReviewState:
        words = f"{self.title or ''} {self.content or ''}"
        return ReviewState.SUBMITTED if _ADDRESS.search(words) else ReviewState.PUBLISHED

    def _check(self) -> None:
        if self.rating not in STARS:
            raise InvalidInput(field="rating", reason="it must lie between 1 and 5")
        if any(not name.strip() or len(name) > 50 or score not in STARS for name, score in self.attributes.items()):
            raise InvalidInput(field="attributes", reason="each needs a short name and a score between 1 and 5")
        _check_text("title", self.title, MAX_TITLE)
        _check_text("content", self.content, MAX_TEXT)


def _check_text(name: str, text: str | None, limit: int, *, required: bool = False) -> None:
    if text is None:
        return
    if len(text) > limit or "\x00" in text or (required and not text.strip()):
        raise InvalidInput(field=name, reason=f"it must be text of at most {limit:,} characters")


@dataclass(eq=False, kw_only=True)
class ProductRating(Aggregate):
    """The published ratings of one product, counted by stars."""

    product_id: UUID
    one: int = 0
    two: int = 0
    three: int = 0
    four: int = 0
    five: int = 0

    NAMES: ClassVar[Sequence[str]] = ("one", "two", "three", "four", "five")

    @property
    def total(self) -> int:
        return sum(self.distribution)

    @property
    def distribution(self) -> list[int]:
        return [getattr(self, name) for name in self.NAMES]

    @property
    def average(self) -> Decimal:
        """The mean, with two decimals; 0.00 where nobody rated yet."""
        weighted = sum(stars * count for stars, count in zip(STARS, self.distribution, strict=True))
        mean = Decimal(weighted) / self.total if self.total else Decimal(0)
        return mean.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

    def recount(self, removed: int | None, added: int | None) -> None:
        """Take one rating out and put another in; either may be missing."""
        if removed == added:
            return
        for stars, step in ((removed, -1), (added, 1)):
            if stars is not None:
                name = self.NAMES[stars - 1]
                setattr(self, name, getattr(self, name) + step)
        self.record(RatingUpdated(product_id=self.product_id, average=str(self.average), total=self.total))


@dataclass(eq=False, kw_only=True)
class WishlistItem(Aggregate):
    """A product that a person wants to remember."""

    user_id: UUID
    product_id: UUID
    notes: str | None = None
    added_at: datetime


class Reviews(Protocol):
    """Reviews for change, locked until the transaction ends."""

    def add(self, review: Review) -> None: ...

    async def lock(self, review_id: UUID) -> Review | None: ...

    async def remove(self, review: Review) -> None: ...

    async def exchange_vote(self, review: Review, voter_id: UUID, kind: VoteKind) -> VoteKind | None: ...


class Ratings(Protocol):
    """Rating summaries for change, locked until the transaction ends."""

    async def lock_or_create(self, blank: ProductRating) -> ProductRating: ...


class Wishlists(Protocol):
    """Wishlists for change."""

    def add(self, item: WishlistItem) -> None: ...

    async def find(self, user_id: UUID, product_id: UUID) -> WishlistItem | None: ...

    async def remove(self, item: WishlistItem) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ReviewFilter:
    """Which reviews are wanted; without a state only published ones are."""

    product_id: UUID | None = None
    author_id: UUID | None = None
    state: ReviewState | None = ReviewState.PUBLISHED
    rating: int | None = None
    sort: ReviewSort = ReviewSort.NEWEST


class ReviewReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def ratings(self, product_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def matching(self, wanted: ReviewFilter, page: PageRequest) -> Page[Any]: ...

    async def by_product(
        self, product_ids: Sequence[UUID], sort: ReviewSort, page: PageRequest
    ) -> Sequence[Page[Any]]: ...

    async def wishlisted(self, user_id: UUID, product_ids: Sequence[UUID]) -> Sequence[bool]: ...

    async def wishlist(self, user_id: UUID, page: PageRequest) -> Page[Any]: ...


@dataclass(frozen=True, kw_only=True)
class CreateReview:
    """Review a product: 1 to 5 stars, and words if wanted."""

    product_id: UUID
    rating: int
    title: str | None = None
    content: str | None = None
    attributes: Sequence["AttributeScore"] = ()
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class AttributeScore:
    """A score from 1 to 5 for one trait of the product, such as fit."""

    name: str
    score: int


@dataclass(frozen=True, kw_only=True)
class UpdateReview:
    """Edit one's own review."""

    id: UUID
    rating: int | Unchanged = UNCHANGED
    title: str | Unchanged | None = UNCHANGED
    content: str | Unchanged | None = UNCHANGED
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteReview:
    """Take one's own review back."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class VoteReview:
    """Say whether a review was helpful."""

    id: UUID
    vote: VoteKind


@dataclass(frozen=True, kw_only=True)
class RespondToReview:
    """Answer a review in the store's name."""

    id: UUID
    text: str


@dataclass(frozen=True, kw_only=True)
class ModerateReview:
    """Publish, reject or hide a review."""

    id: UUID
    state: ReviewState
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class AddToWishlist:
    """Remember a product."""

    product_id: UUID
    notes: str | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveFromWishlist:
    """Forget a product."""

    product_id: UUID


async def submit_review(review: Review, reviews: Reviews, ratings: Ratings) -> Review:
    """Hand in a new review and count it."""
    review.submit()
    reviews.add(review)
    await _recount(review, None, ratings)
    return review


async def update_review(command: UpdateReview, work: Work, reviews: Reviews, ratings: Ratings) -> Review:
    review = await _own(command.id, work, reviews)
    review.expect_version(command.expected_version)
    counted = _counted(review)
    review.edit(command, work.now)
    await _recount(review, counted, ratings)
    return review


async def delete_review(command: DeleteReview, work: Work, reviews: Reviews, ratings: Ratings) -> Review:
    review = await _own(command.id, work, reviews, moderators=True)
    counted = _counted(review)
    review.state = ReviewState.HIDDEN
    review.record(ReviewDeleted(product_id=review.product_id))
    await _recount(review, counted, ratings)
    await reviews.remove(review)
    return review


async def moderate_review(command: ModerateReview, reviews: Reviews, ratings: Ratings) -> Review:
    review = await _found(command.id, reviews)
    counted = _counted(review)
    review.move_to(command.state, command.reason)
    await _recount(review, counted, ratings)
    return review


async def vote_review(command: VoteReview, work: Work, reviews: Reviews) -> Review:
    voter_id = work.actor.require_user()
    review = await _found(command.id, reviews)
    if not review.is_published:
        raise NotFound(kind="Review", id=str(command.id))
    earlier = await reviews.exchange_vote(review, voter_id, command.vote)
    if earlier != command.vote:
        review.count_vote(voter_id, command.vote, earlier)
    return review


async def respond_to_review(command: RespondToReview, work: Work, reviews: Reviews) -> Review:
    review = await _found(command.id, reviews)
    if review.store_id is not None and not work.actor.works_at(review.store_id):
        raise Forbidden(permission="reviews.respond")
    review.answer(command.text, work.now)
    return review


async def remove_from_wishlist(command: RemoveFromWishlist, work: Work, wishlists: Wishlists) -> WishlistItem:
    user_id = work.actor.require_user()
    item = await wishlists.find(user_id, command.product_id)
    if item is None:
        raise NotFound(kind="WishlistItem", id=str(command.product_id))
    item.record(WishlistItemRemoved(product_id=item.product_id, user_id=user_id))
    await wishlists.remove(item)
    return item


async def _found(review_id: UUID, reviews: Reviews) -> Review:
    review = await reviews.lock(review_id)
    if review is None:
        raise NotFound(kind="Review", id=str(review_id))
    return review


async def _own(review_id: UUID, work: Work, reviews: Reviews, *, moderators: bool = False) -> Review:
    review = await _found(review_id, reviews)
    if review.author_id != work.actor.require_user() and not (moderators and work.actor.may("reviews.moderate")):
        raise NotFound(kind="Review", id=str(review_id))
    return review


def _counted(review: Review) -> int | None:
    return review.rating if review.is_published else None


async def _recount(review: Review, before: int | None, ratings: Ratings) -> None:
    """Keep the product's rating in step, in the transaction of the change."""
    if before == _counted(review):
        return
    rating = await ratings.lock_or_create(ProductRating(tenant_id=review.tenant_id, product_id=review.product_id))
    rating.recount(before, _counted(review))
