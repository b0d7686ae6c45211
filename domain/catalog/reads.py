"""Batch reads of the catalogue, each in the order of its keys and through the eyes of a viewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.catalog.attributes import Schema
from domain.catalog.lifecycle import ProductState, ProductType
from domain.catalog.ports import Viewer
from domain.catalog.texts import NAME_LETTERS, checked_text
from domain.kernel import InvalidInput
from domain.money import CurrencyMismatch, Money
from domain.paging import Page, PageRequest

MAX_BRANDS = 50


class ProductSort(StrEnum):
    """The order of a product list; products without a price count as the dearest."""

    NEWEST = "newest"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"
    NAME = "name"


@dataclass(frozen=True, kw_only=True)
class ProductFilter:
    """Which products are wanted; every condition has to hold, and a category stands for all below it too.

    Raises: InvalidInput, CurrencyMismatch.
    """

    category_id: UUID | None = None
    brands: tuple[str, ...] = ()
    min_price: Money | None = None
    max_price: Money | None = None
    product_type: ProductType | None = None
    state: ProductState | None = None
    seller_id: UUID | None = None
    store_id: UUID | None = None
    updated_since: datetime | None = None
    name_prefix: str | None = None

    def __post_init__(self) -> None:
        if len(self.brands) > MAX_BRANDS:
            raise InvalidInput(field="brands", reason=f"at most {MAX_BRANDS}")
        for text in (*self.brands, self.name_prefix or ""):
            checked_text("filter", text, NAME_LETTERS)
        if self.min_price and self.max_price and self.min_price.currency != self.max_price.currency:
            raise CurrencyMismatch(expected=self.min_price.currency, actual=self.max_price.currency)
        if self.updated_since is not None and self.updated_since.tzinfo is None:
            raise InvalidInput(field="updatedSince", reason="an instant needs its offset from UTC")


class ProductReads(Protocol):
    """Reads of products and their parts."""

    async def by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]: ...

    async def by_sku(self, skus: Sequence[str], viewer: Viewer) -> list[Any | None]: ...

    async def by_slug(self, slugs: Sequence[str], viewer: Viewer) -> list[Any | None]: ...

    async def matching(
        self, wanted: ProductFilter, sort: ProductSort, page: PageRequest, viewer: Viewer
    ) -> Page[Any]: ...

    async def by_category(
        self,
        category_ids: Sequence[UUID],
        wanted: ProductFilter,
        sort: ProductSort,
        page: PageRequest,
        viewer: Viewer,
    ) -> list[Page[Any]]:
        """Give a page of the products in and below each category; beyond the first page, of one category only."""
        ...

    async def variants_of(self, product_ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]: ...

    async def variants_by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]: ...

    async def variants_by_sku(self, skus: Sequence[str], viewer: Viewer) -> list[Any | None]: ...

    async def images_of(self, product_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def regulated_details_of(self, product_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def versions(self, product_id: UUID, page: PageRequest) -> Page[Any]: ...

    async def moderation_required(self) -> bool: ...


class CategoryReads(Protocol):
    """Reads of the category tree; siblings stand in their sort order, then by name."""

    async def by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]: ...

    async def by_slug(self, slugs: Sequence[str], viewer: Viewer) -> list[Any | None]: ...

    async def children(self, parent_ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]: ...

    async def lines(self, ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]:
        """Give each category with those above it, from the root down."""
        ...

    async def below(self, parent_id: UUID | None, levels: int, viewer: Viewer) -> list[Any]:
        """Give what lies below a category (or all), so many levels deep, each parent before its children."""
        ...

    async def schemas(self, ids: Sequence[UUID]) -> list[Schema]:
        """Give each category's attributes with those that it inherits."""
        ...

    async def product_counts(self, ids: Sequence[UUID]) -> list[int]:
        """Count the active products in and below each category."""
        ...
