"""The life of a product: what kinds there are, which states they go through, and what keeps them from being seen."""

from dataclasses import dataclass
from enum import StrEnum

from domain.kernel import DomainError, Transitions


@dataclass(eq=False)
class IncompleteProduct(DomainError):
    """A product lacks what a shopper has to see."""

    product_id: str
    missing: str
    template = "Product {product_id} cannot be published without a {missing}."


class ProductType(StrEnum):
    """What the law and the shop make of a product."""

    GENERAL = "general"
    REGULATED = "regulated"
    ACCESSORY = "accessory"


class ProductState(StrEnum):
    """Where a product stands between its seller and the public."""

    DRAFT = "draft"
    PENDING_MODERATION = "pending_moderation"
    ACTIVE = "active"
    HIDDEN = "hidden"
    REJECTED = "rejected"
    SUSPICIOUS = "suspicious"
    BLOCKED = "blocked"
    ARCHIVED = "archived"


_S = ProductState
TRANSITIONS = Transitions(
    "Product",
    _S.DRAFT,
    {
        _S.DRAFT: {_S.PENDING_MODERATION, _S.ACTIVE, _S.ARCHIVED},
        _S.PENDING_MODERATION: {_S.ACTIVE, _S.REJECTED, _S.ARCHIVED},
        _S.ACTIVE: {_S.HIDDEN, _S.SUSPICIOUS, _S.ARCHIVED},
        _S.HIDDEN: {_S.ACTIVE, _S.ARCHIVED},
        _S.REJECTED: {_S.DRAFT, _S.ARCHIVED},
        _S.SUSPICIOUS: {_S.ACTIVE, _S.BLOCKED},
        _S.BLOCKED: {_S.ARCHIVED},
        _S.ARCHIVED: (),
    },
)
