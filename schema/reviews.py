"""The reviews subgraph: reviews, ratings and wishlists, and what they add to products."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import reviews as domain
from domain.kernel import AlreadyExists, InvalidStateTransition
from resolvers import reviews as resolvers
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Node,
    bulk,
    command,
    computed,
    connection,
    make_subgraph,
    permission,
    query,
)

MODERATE = permission("reviews.moderate")

enum_of(domain.ReviewState)
enum_of(domain.ReviewSort)
enum_of(domain.VoteKind)


@strawberry.type(description="A score from 1 to 5 for one trait of the product.")
class ReviewAttribute:
    name: str
    score: int


def _attributes(review: Any, _context: Any) -> list[dict[str, Any]]:
    return [{"name": name, "score": score} for name, score in review.attributes.items()]


@strawberry.federation.type(keys=["id"])
class User:
    id: UUID


@strawberry.federation.type(keys=["id"], description="One person's opinion of one product.")
class Review(Node):
    __references__ = {"id": resolvers.reviews_by_id}
    __reads__ = (domain.Review,)

    id: UUID
    version: int
    author = computed(lambda review, _context: User(id=review.author_id), User | None)
    rating: int = strawberry.federation.field(description="1 to 5 stars.")
    title: str | None
    content: str | None
    attributes = computed(_attributes, list[ReviewAttribute])
    state: domain.ReviewState
    is_verified_purchase: bool
    helpful_count: int
    unhelpful_count: int
    response: str | None = strawberry.federation.field(description="What the store answers.")
    responded_at: datetime | None
    created_at: datetime
    edited_at: datetime | None
    product = computed(
        lambda review, _context: Product(id=review.product_id),
        Annotated["Product", strawberry.lazy("schema.reviews")] | None,
        description="Null when it is no longer on sale.",
    )


@strawberry.type(description="What the published reviews of a product come to.")
class Rating:
    average: Decimal = strawberry.field(description="With two decimals.")
    total: int
    distribution: list[int] = strawberry.field(description="How many gave one star, two, and so on to five.")


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID
    rating: Rating | None = bulk(resolvers.rating_of_products, key="id", who=PUBLIC)
    reviews: connection(Review) = bulk(resolvers.reviews_of_products, key="id", who=PUBLIC)  # type: ignore[valid-type]
    is_wishlisted: bool = bulk(resolvers.wishlisted_products, key="id", who=PUBLIC)


@strawberry.type(description="A product that a person wants to remember.")
class WishlistItem:
    __reads__ = (domain.WishlistItem,)

    id: UUID
    notes: str | None
    added_at: datetime
    product = computed(
        lambda item, _context: Product(id=item.product_id),
        Product | None,
        description="Null when it is no longer on sale.",
    )


@strawberry.type
class Query:
    review = query(resolvers.review, Review | None, who=PUBLIC, stale_ok=True)
    reviews = query(resolvers.reviews_of_product, connection(Review), who=PUBLIC, stale_ok=True)
    product_rating = query(resolvers.product_rating, Rating | None, who=PUBLIC, stale_ok=True)
    my_reviews = query(resolvers.my_reviews, connection(Review), who=AUTHENTICATED)
    pending_reviews = query(resolvers.pending_reviews, connection(Review), who=MODERATE)
    my_wishlist = query(resolvers.my_wishlist, connection(WishlistItem), who=AUTHENTICATED)


@strawberry.type
class Mutation:
    create_review = command(resolvers.create_review, Review, errors=[domain.AlreadyReviewed], who=AUTHENTICATED)
    update_review = command(resolvers.update_review, Review, who=AUTHENTICATED)
    delete_review = command(resolvers.delete_review, Review, who=AUTHENTICATED)
    vote_review = command(resolvers.vote_review, Review, errors=[domain.OwnReview], who=AUTHENTICATED)
    respond_to_review = command(resolvers.respond_to_review, Review, who=permission("reviews.respond"))
    moderate_review = command(resolvers.moderate_review, Review, errors=[InvalidStateTransition], who=MODERATE)
    add_to_wishlist = command(resolvers.add_to_wishlist, WishlistItem, errors=[AlreadyExists], who=AUTHENTICATED)
    remove_from_wishlist = command(resolvers.remove_from_wishlist, WishlistItem, who=AUTHENTICATED)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product, User])
