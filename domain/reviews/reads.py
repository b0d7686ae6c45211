"""How reviews are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.paging import Page, PageRequest
from domain.reviews.review import ReviewState


class ReviewSort(StrEnum):
    """The order of a product's reviews."""

    NEWEST = "newest"
    MOST_HELPFUL = "most_helpful"


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
