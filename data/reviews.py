"""Reviews, votes, rating summaries and wishlists in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.kernel import (
    TENANT_OWNED,
    Choice,
    implements,
    json_column,
    map_aggregate,
    metadata,
    refuses,
    tenant_table,
    timestamp,
)
from data.paging import Listing, equals
from data.personal import Category, blanked, erased, neutral
from data.statements import Statement
from domain.kernel import AlreadyExists
from domain.paging import Page, PageRequest
from domain.reviews import (
    STARS,
    AlreadyReviewed,
    ProductRating,
    Ratings,
    Review,
    ReviewFilter,
    ReviewReads,
    Reviews,
    ReviewSort,
    ReviewState,
    VoteKind,
    WishlistItem,
    Wishlists,
)

review = tenant_table(
    "reviews",
    "review",
    Column("product_id", Uuid, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("store_id", Uuid),
    Column("rating", SmallInteger, nullable=False),
    Column("title", Text),
    Column("content", Text),
    json_column("attributes"),
    Column("state", Choice(ReviewState), nullable=False),
    Column("is_verified_purchase", Boolean, nullable=False),
    Column("helpful_count", Integer, nullable=False),
    Column("unhelpful_count", Integer, nullable=False),
    Column("response", Text),
    timestamp("responded_at", nullable=True),
    timestamp("edited_at", nullable=True),
    CheckConstraint("rating BETWEEN 1 AND 5", name="rating_range"),
    CheckConstraint("helpful_count >= 0 AND unhelpful_count >= 0", name="votes_not_negative"),
    UniqueConstraint("tenant_id", "product_id", "author_id"),
    Index("ix_review_product_id_newest", "tenant_id", "product_id", "state", "id"),
    Index("ix_review_product_id_helpful", "tenant_id", "product_id", "state", "helpful_count", "id"),
    Index("ix_review_author_id", "tenant_id", "author_id", "id"),
)

vote = Table(
    "vote",
    metadata,
    Column("review_id", Uuid, primary_key=True),
    Column("voter_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("kind", Choice(VoteKind), nullable=False),
    schema="reviews",
    info={TENANT_OWNED: True},
)

_COUNTS = [Column(name, Integer, nullable=False) for name in ProductRating.NAMES]
_ALL_COUNTS = " AND ".join(f"{name} >= 0" for name in ProductRating.NAMES)

product_rating = tenant_table(
    "reviews",
    "product_rating",
    Column("product_id", Uuid, nullable=False),
    *_COUNTS,
    CheckConstraint(_ALL_COUNTS, name="counts_not_negative"),
    UniqueConstraint("tenant_id", "product_id"),
)

wishlist_item = tenant_table(
    "reviews",
    "wishlist_item",
    Column("user_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("notes", Text),
    timestamp("added_at"),
    UniqueConstraint("tenant_id", "user_id", "product_id"),
)

blanked(
    review,
    "author_id = $1",
    {"author_id": (Category.IDENTITY, "gen_random_uuid()")},
    reason="others rely on what was said about goods; nothing says any more who said it",
)
erased(vote, "voter_id = $1", kind=Category.BEHAVIOUR)
erased(wishlist_item, notes=Category.WORDS, product_id=Category.BEHAVIOUR)
neutral(review, "title", "content")

map_aggregate(Review, review)
map_aggregate(ProductRating, product_rating)
map_aggregate(WishlistItem, wishlist_item)

# Row-level security keeps PostgreSQL from saying which product it was; handlers ask beforehand, and can say it.
refuses("uq_review_tenant_id_product_id_author_id", lambda _: AlreadyReviewed(product_id=""))
refuses(
    "uq_wishlist_item_tenant_id_user_id_product_id",
    lambda _: AlreadyExists(kind="WishlistItem", value="of that product"),
)


_IDS = bindparam("keys", type_=ARRAY(Uuid))
_total = sum((column for column in _COUNTS[1:]), start=_COUNTS[0] + 0)
_stars = sum((column * stars for column, stars in zip(_COUNTS[1:], STARS[1:], strict=True)), start=_COUNTS[0] + 0)
_RATINGS = Statement(
    select(
        product_rating.c.product_id,
        _total.label("total"),
        func.round(func.coalesce(cast(_stars, Numeric) / func.nullif(_total, 0), 0), 2).label("average"),
        array(_COUNTS).label("distribution"),
    ).where(product_rating.c.product_id == func.any(_IDS), _total > 0)
)
_BY_ID = Statement(select(review).where(review.c.id == func.any(_IDS)))
_WISHLISTED = Statement(
    select(wishlist_item.c.product_id).where(
        wishlist_item.c.user_id == bindparam("user_id", type_=Uuid), wishlist_item.c.product_id == func.any(_IDS)
    )
)
_ORDERS = {
    ReviewSort.NEWEST: [review.c.id.desc()],
    ReviewSort.MOST_HELPFUL: [review.c.helpful_count.desc(), review.c.id.desc()],
}
_REVIEWS = Listing(
    select(review),
    _ORDERS,
    parent=review.c.product_id,
    **equals(review.c.product_id, review.c.author_id, review.c.state, review.c.rating),
)
_WISHES = Listing(
    select(wishlist_item).where(wishlist_item.c.user_id == bindparam("user_id")), [wishlist_item.c.id.desc()]
)


@implements(Reviews)
class SqlReviews:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, added: Review) -> None:
        self._session.add(added)

    async def is_written(self, product_id: UUID, author_id: UUID) -> bool:
        found = select(review.c.id).where(review.c.product_id == product_id, review.c.author_id == author_id)
        return (await self._session.execute(found)).first() is not None

    async def lock(self, review_id: UUID) -> Review | None:
        return await self._session.get(Review, review_id, with_for_update=True)

    async def remove(self, removed: Review) -> None:
        await self._session.execute(vote.delete().where(vote.c.review_id == removed.id))
        await self._session.delete(removed)

    async def exchange_vote(self, voted: Review, voter_id: UUID, kind: VoteKind) -> VoteKind | None:
        # The review's row is locked, hence nobody else is voting on it between these statements.
        key = {"review_id": voted.id, "voter_id": voter_id}
        earlier = (await self._session.execute(select(vote.c.kind).filter_by(**key))).scalar_one_or_none()
        statement = upsert(vote).values(**key, tenant_id=voted.tenant_id, kind=kind)
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["review_id", "voter_id", "tenant_id"], set_={"kind": kind})
        )
        return earlier


@implements(Ratings)
class SqlRatings:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_or_create(self, blank: ProductRating) -> ProductRating:
        values = {name: getattr(blank, name) for name in ("id", "tenant_id", "version", "product_id", *blank.NAMES)}
        await self._session.execute(upsert(product_rating).values(values).on_conflict_do_nothing())
        wanted = select(ProductRating).filter_by(product_id=blank.product_id).with_for_update()
        return (await self._session.scalars(wanted)).one()


@implements(Wishlists)
class SqlWishlists:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, item: WishlistItem) -> None:
        self._session.add(item)

    async def find(self, user_id: UUID, product_id: UUID) -> WishlistItem | None:
        wanted = select(WishlistItem).filter_by(user_id=user_id, product_id=product_id)
        return (await self._session.scalars(wanted)).one_or_none()

    async def remove(self, item: WishlistItem) -> None:
        await self._session.delete(item)


@implements(ReviewReads)
class SqlReviewReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def ratings(self, product_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_RATINGS, product_ids, "product_id")

    async def matching(self, wanted: ReviewFilter, page: PageRequest) -> Page[Any]:
        return await _REVIEWS.page(
            self._reads,
            page,
            wanted.sort,
            product_id=wanted.product_id,
            author_id=wanted.author_id,
            state=wanted.state,
            rating=wanted.rating,
        )

    async def by_product(self, product_ids: Sequence[UUID], sort: ReviewSort, page: PageRequest) -> list[Page[Any]]:
        return await _REVIEWS.pages(self._reads, product_ids, page, sort, state=ReviewState.PUBLISHED)

    async def wishlisted(self, user_id: UUID, product_ids: Sequence[UUID]) -> Sequence[bool]:
        rows = await self._reads.rows(_WISHLISTED, user_id=user_id, keys=list(product_ids))
        found = {row.product_id for row in rows}
        return [product_id in found for product_id in product_ids]

    async def wishlist(self, user_id: UUID, page: PageRequest) -> Page[Any]:
        return await _WISHES.page(self._reads, page, user_id=user_id)
