"""Opinions and wishes about products of the catalogue."""

from domain.catalog import Skus
from domain.kernel import AlreadyExists, NotFound, Work
from domain.reviews import (
    AddToWishlist,
    CreateReview,
    ItemWishlisted,
    Ratings,
    Review,
    Reviews,
    WishlistItem,
    Wishlists,
    submit_review,
)


async def create_review(command: CreateReview, work: Work, skus: Skus, reviews: Reviews, ratings: Ratings) -> Review:
    """Review a product that the public sees.

    Raises: NotFound, AlreadyReviewed, InvalidInput.
    """
    author_id = work.actor.require_user()
    if not await skus.is_on_sale(command.product_id):
        raise NotFound(kind="Product", id=str(command.product_id))
    review = Review(
        tenant_id=work.tenant_id,
        product_id=command.product_id,
        author_id=author_id,
        store_id=command.store_id,
        rating=command.rating,
        title=command.title,
        content=command.content,
        attributes={each.name: each.score for each in command.attributes},
        created_at=work.now,
    )
    return await submit_review(review, reviews, ratings)


async def add_to_wishlist(command: AddToWishlist, work: Work, skus: Skus, wishlists: Wishlists) -> WishlistItem:
    """Remember a product that the public sees.

    Raises: NotFound, AlreadyExists.
    """
    user_id = work.actor.require_user()
    if not await skus.is_on_sale(command.product_id):
        raise NotFound(kind="Product", id=str(command.product_id))
    if await wishlists.find(user_id, command.product_id) is not None:
        raise AlreadyExists(kind="WishlistItem", value=str(command.product_id))
    item = WishlistItem(
        tenant_id=work.tenant_id,
        user_id=user_id,
        product_id=command.product_id,
        notes=command.notes,
        added_at=work.now,
    )
    item.record(ItemWishlisted(product_id=item.product_id, user_id=user_id))
    wishlists.add(item)
    return item
