"""What catalogue commands need of storage, and who may change what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.catalog.attributes import AttributeDefinition
from domain.catalog.categories import Category
from domain.catalog.offers import Offer
from domain.catalog.products import Product
from domain.kernel import Forbidden, Principal, uuid7

WRITE = "catalog.write"
WRITE_ANY = "catalog.write.any"
MANAGE = "catalog.manage"
PUBLISH = "catalog.publish"
MODERATE = "catalog.moderate"


@dataclass(frozen=True, kw_only=True)
class SkuRef:
    """What a SKU stands for: a product itself, or one of its variants."""

    product_id: UUID
    variant_id: UUID | None


class Skus(Protocol):
    """Every SKU of the tenant that is in use, of products and variants together."""

    async def find(self, sku: str) -> SkuRef | None: ...

    async def offers(self, skus: Sequence[str]) -> list[Offer | None]:
        """Give what is offered under the SKUs, in their order, on sale or not; in one statement."""
        ...

    async def taken(self, skus: Sequence[str], product_id: UUID) -> str | None:
        """Name one of the SKUs that another product already uses."""
        ...


class Products(Protocol):
    """Products for change, without the deleted ones; what is locked stays so until the transaction ends."""

    async def get(self, product_id: UUID) -> Product | None: ...

    async def lock(self, product_id: UUID) -> Product | None: ...

    async def add(self, product: Product) -> None: ...

    async def free_slug(self, wanted: str) -> str:
        """Give the slug, or the slug with the first free number after it; nobody else gets the same."""
        ...


class Categories(Protocol):
    """Categories for change. Whatever alters the tree's shape first takes `lock_tree`."""

    async def lock_tree(self) -> None: ...

    async def get(self, category_id: UUID) -> Category | None: ...

    async def add(self, category: Category) -> None: ...

    async def remove(self, category: Category) -> None: ...

    async def free_slug(self, wanted: str) -> str: ...

    async def deepest_level(self, category: Category) -> int: ...

    async def is_empty(self, category: Category) -> bool: ...

    async def rebase(self, old_path: str, category: Category) -> None:
        """Give all categories below `old_path` their paths below the category's present one."""
        ...

    async def schema(self, category_id: UUID) -> tuple[AttributeDefinition, ...] | None:
        """Give the category's attributes with those that it inherits; None where there is no such category."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProductVersion:
    """What a product was after one change: `changes` are pairs of old and new by field, `content` is all of it."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    product_id: UUID
    version: int
    changes: dict[str, Any]
    content: dict[str, Any]
    author_id: UUID | None
    recorded_at: datetime


class ProductHistory(Protocol):
    """The append-only history of products."""

    async def add(self, entries: Sequence[ProductVersion]) -> None:
        """Keep the versions; one that is already known stays as it is."""
        ...

    async def get(self, product_id: UUID, version: int) -> ProductVersion | None: ...


class CatalogPolicies(Protocol):
    """What the tenant has decided about its catalogue."""

    async def moderation_required(self) -> bool: ...

    async def require_moderation(self, tenant_id: UUID, *, required: bool) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Through whose eyes the catalogue is read: everybody's, a seller's, or those of somebody who sees it all.

    Everybody sees active products, and active categories; `sees_inactive` adds the other categories.
    """

    seller_id: UUID | None = None
    sees_all: bool = False
    sees_inactive: bool = False

    @classmethod
    def of(cls, principal: Principal) -> "Viewer":
        """Say what a caller may see beside what everybody sees."""
        seller = principal.user_id if principal.may(WRITE) else None
        sees_all = principal.may(WRITE_ANY) or principal.may(MODERATE)
        return cls(seller_id=seller, sees_all=sees_all, sees_inactive=principal.may(MANAGE))

    def sees(self, seller_id: UUID) -> bool:
        """Say whether what a seller has not published is seen."""
        return self.sees_all or seller_id == self.seller_id


def require(actor: Principal, permission: str) -> None:
    """Refuse whoever lacks a permission.

    Raises: Unauthenticated, Forbidden.
    """
    if not actor.may(permission):
        actor.require_user()
        raise Forbidden(permission=permission)
