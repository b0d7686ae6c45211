"""What happens to products and categories, as other contexts hear of it."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import Event, event


@dataclass(frozen=True, kw_only=True)
class ProductFact(Event):
    """What every fact about a product says: who it is, by which SKUs it is sold, whose it is and where it stands."""

    product_id: UUID
    sku: str
    variant_skus: tuple[str, ...]
    seller_id: UUID
    category_id: UUID | None
    product_type: str
    state: str


@event("product.created")
@dataclass(frozen=True, kw_only=True)
class ProductCreated(ProductFact):
    title: str
    price_minor: int | None
    currency: str | None


@event("product.updated")
@dataclass(frozen=True, kw_only=True)
class ProductUpdated(ProductFact):
    """`changed` names the fields, `state` and `translations` among them."""

    changed: tuple[str, ...]


@event("product.deleted")
@dataclass(frozen=True, kw_only=True)
class ProductDeleted(ProductFact):
    pass


@event("product.published")
@dataclass(frozen=True, kw_only=True)
class ProductPublished(ProductFact):
    pass


@event("product.unpublished")
@dataclass(frozen=True, kw_only=True)
class ProductUnpublished(ProductFact):
    reason: str | None


@event("category.created")
@dataclass(frozen=True, kw_only=True)
class CategoryCreated(Event):
    category_id: UUID
    parent_id: UUID | None
    title: str
    slug: str


@event("category.updated")
@dataclass(frozen=True, kw_only=True)
class CategoryUpdated(Event):
    category_id: UUID
    changed: tuple[str, ...]


@event("category.moved")
@dataclass(frozen=True, kw_only=True)
class CategoryMoved(Event):
    """The category and all below it hang elsewhere; a path is the ids from the root, `/` around each."""

    category_id: UUID
    parent_id: UUID | None
    old_path: str
    path: str


@event("category.deleted")
@dataclass(frozen=True, kw_only=True)
class CategoryDeleted(Event):
    category_id: UUID
