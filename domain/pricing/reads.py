"""Lists and batch reads of pricing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.paging import Page, PageRequest
from domain.pricing.campaigns import CampaignState
from domain.pricing.codes import CodeState
from domain.pricing.terms import PriceListKind, PromotionKind


@dataclass(frozen=True, kw_only=True)
class CampaignFilter:
    """Which promotions or flash sales are wanted; `active` shows those that are on now, or those that are not."""

    seller_id: UUID | None = None
    kind: PromotionKind | None = None
    state: CampaignState | None = None
    active: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CodeFilter:
    """Which discount codes are wanted."""

    seller_id: UUID | None = None
    state: CodeState | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class PriceListFilter:
    """Which price lists are wanted."""

    seller_id: UUID | None = None
    kind: PriceListKind | None = None
    active: bool | None = None


class PricingReads(Protocol):
    """Batch reads, each in the order of its keys; lists of `seller_id` None are those of all sellers."""

    async def promotions_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def flash_sales_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def codes_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def rules_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def price_lists_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def usage(self, ids: Sequence[UUID]) -> list[Any]:
        """Give how often each promotion, code or flash item was used, by how many, and what it took off."""
        ...

    async def flash_items(self, sale_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def promotions(self, wanted: CampaignFilter, page: PageRequest) -> Page[Any]: ...

    async def flash_sales(self, wanted: CampaignFilter, page: PageRequest) -> Page[Any]: ...

    async def codes(self, wanted: CodeFilter, page: PageRequest) -> Page[Any]: ...

    async def rules(self, seller_id: UUID | None, page: PageRequest) -> Page[Any]: ...

    async def price_lists(self, wanted: PriceListFilter, page: PageRequest) -> Page[Any]: ...

    async def list_prices(self, list_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]: ...

    async def history(self, sku: str, page: PageRequest) -> Page[Any]: ...

    async def program(self) -> Any | None: ...

    async def accounts(self, user_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def entries(self, user_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]: ...

    async def exchange_rates(self) -> list[Any]: ...
