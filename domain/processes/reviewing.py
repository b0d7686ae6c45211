"""Opinions and wishes about products of the catalogue."""

from uuid import UUID

from domain.catalog import Product, Products, ProductState
from domain.kernel import AlreadyExists, NotFound, Work
from domain.reviews import (
    AddToWishlist,
    CreateReview,
    Ratings,
    Review,
    Reviews,
    WishlistItem,
    Wishlists,
    submit_review,
)
from domain.tenancy import Stores


async def create_review(
    command: CreateReview, work: Work, products: Products, stores: Stores, reviews: Reviews, ratings: Ratings
) -> Review:
    """Review a product that the public sees; the store that may answer is the one named, else the product's own.

    Raises: NotFound, AlreadyReviewed, InvalidInput.
    """
    author_id = work.actor.require_user()
    product = await _on_sale(command.product_id, products)
    if command.store_id is not None and await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    review = Review(
        tenant_id=work.tenant_id,
        product_id=command.product_id,
        author_id=author_id,
        store_id=command.store_id or product.store_id,
        rating=command.rating,
        title=command.title,
        content=command.content,
        attributes={each.name: each.score for each in command.attributes},
        created_at=work.now,
    )
    return await submit_review(review, reviews, ratings)


async def add_to_wishlist(command: AddToWishlist, work: Work, products: Products, wishlists: Wishlists) -> WishlistItem:
    """Remember a product that the public sees.

    Raises: NotFound, AlreadyExists.
    """
    user_id = work.actor.require_user()
    await _on_sale(command.product_id, products)
    if await wishlists.find(user_id, command.product_id) is not None:
        raise AlreadyExists(kind="WishlistItem", value=str(command.product_id))
    item = WishlistItem(
        tenant_id=work.tenant_id,
        user_id=user_id,
        product_id=command.product_id,
        notes=command.notes,
        added_at=work.now,
    )
    item.wish()
    wishlists.add(item)
    return item


async def _on_sale(product_id: UUID, products: Products) -> Product:
    product = await products.get(product_id)
    if product is None or product.state is not ProductState.ACTIVE:
        raise NotFound(kind="Product", id=str(product_id))
    return product
