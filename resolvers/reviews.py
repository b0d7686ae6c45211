"""Verbs of reviews and wishlists."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain import reviews
from domain.kernel import InvalidInput
from domain.paging import Page, PageRequest
from domain.processes import reviewing
from domain.reviews import ReviewFilter, ReviewReads, ReviewSort, ReviewState
from resolvers.kernel import Context, transacts

create_review = transacts(reviewing.create_review)
update_review = transacts(reviews.update_review)
delete_review = transacts(reviews.delete_review)
vote_review = transacts(reviews.vote_review)
respond_to_review = transacts(reviews.respond_to_review)
moderate_review = transacts(reviews.moderate_review)
add_to_wishlist = transacts(reviewing.add_to_wishlist)
remove_from_wishlist = transacts(reviews.remove_from_wishlist)


async def reviews_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the reviews that the caller may read: published ones, one's own, and all of them to moderators."""
    found = await context.read(ReviewReads).by_id(ids)
    return [row if row is not None and _visible(context, row) else None for row in found]


def _visible(context: Context, row: Any) -> bool:
    caller = context.principal
    return (
        row.state == ReviewState.PUBLISHED
        or (caller.user_id is not None and row.author_id == caller.user_id)
        or caller.may("reviews.moderate")
    )


async def rating_of_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ReviewReads).ratings(product_ids)


async def reviews_of_products(
    context: Context, product_ids: Sequence[UUID], *, page: PageRequest, sort: ReviewSort = ReviewSort.NEWEST
) -> Sequence[Page[Any]]:
    return await context.read(ReviewReads).by_product(product_ids, sort, page)


async def wishlisted_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[bool]:
    if context.principal.user_id is None:
        return [False] * len(product_ids)
    return await context.read(ReviewReads).wishlisted(context.principal.user_id, product_ids)


async def review(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(reviews_by_id, id)


async def reviews_of_product(
    context: Context,
    page: PageRequest,
    product_id: UUID,
    rating: int | None = None,
    sort: ReviewSort = ReviewSort.NEWEST,
) -> Page[Any]:
    if rating is not None and not 1 <= rating <= 5:
        raise InvalidInput(field="rating", reason="it lies between 1 and 5")
    return await context.read(ReviewReads).matching(ReviewFilter(product_id=product_id, rating=rating, sort=sort), page)


async def product_rating(context: Context, product_id: UUID) -> Any:
    return await context.load(rating_of_products, product_id)


async def my_reviews(context: Context, page: PageRequest) -> Page[Any]:
    wanted = ReviewFilter(author_id=context.principal.require_user(), state=None)
    return await context.read(ReviewReads).matching(wanted, page)


async def pending_reviews(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(ReviewReads).matching(ReviewFilter(state=ReviewState.SUBMITTED), page)


async def my_wishlist(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(ReviewReads).wishlist(context.principal.require_user(), page)
