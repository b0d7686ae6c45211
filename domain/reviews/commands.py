"""What is done with reviews, and by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.kernel import Forbidden, NotFound, Work
from domain.reviews.ratings import ProductRating, Ratings
from domain.reviews.review import AlreadyReviewed, Review, ReviewDeleted, ReviewState, UpdateReview, VoteKind


class Reviews(Protocol):
    """Reviews for change, locked until the transaction ends."""

    def add(self, review: Review) -> None: ...

    async def is_written(self, product_id: UUID, author_id: UUID) -> bool:
        """Say whether a person has reviewed a product, published or not."""
        ...

    async def lock(self, review_id: UUID) -> Review | None: ...

    async def remove(self, review: Review) -> None: ...

    async def exchange_vote(self, review: Review, voter_id: UUID, kind: VoteKind) -> VoteKind | None: ...


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


async def submit_review(review: Review, reviews: Reviews, ratings: Ratings) -> Review:
    """Hand in a new review and count it.

    The lock on the product's rating puts its new reviews in a row, so none of the same author is overlooked.

    Raises: AlreadyReviewed, InvalidInput.
    """
    rating = await _rating(review, ratings)
    if await reviews.is_written(review.product_id, review.author_id):
        raise AlreadyReviewed(product_id=str(review.product_id))
    review.submit()
    reviews.add(review)
    rating.recount(None, _counted(review))
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
    review = await _shown(command.id, reviews)
    review.refuse_author(voter_id)
    earlier = await reviews.exchange_vote(review, voter_id, command.vote)
    if earlier != command.vote:
        review.count_vote(voter_id, command.vote, earlier)
    return review


async def respond_to_review(command: RespondToReview, work: Work, reviews: Reviews) -> Review:
    review = await _shown(command.id, reviews)
    if review.store_id is not None and not work.actor.works_at(review.store_id):
        raise Forbidden(permission="reviews.respond")
    review.answer(command.text, work.now)
    return review


async def _found(review_id: UUID, reviews: Reviews) -> Review:
    review = await reviews.lock(review_id)
    if review is None:
        raise NotFound(kind="Review", id=str(review_id))
    return review


async def _shown(review_id: UUID, reviews: Reviews) -> Review:
    review = await _found(review_id, reviews)
    if not review.is_published:
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
    (await _rating(review, ratings)).recount(before, _counted(review))


async def _rating(review: Review, ratings: Ratings) -> ProductRating:
    return await ratings.lock_or_create(ProductRating(tenant_id=review.tenant_id, product_id=review.product_id))
