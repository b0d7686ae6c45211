"""Commands about what the public may see of products."""

from dataclasses import dataclass
from uuid import UUID

from domain.catalog.ports import MANAGE, MODERATE, PUBLISH, CatalogPolicies, ProductHistory, Products, require
from domain.catalog.products import Product
from domain.catalog.revising import own_product, recorded
from domain.catalog.texts import DESCRIPTION_LETTERS, checked_text
from domain.kernel import NotFound, Work


@dataclass(frozen=True, kw_only=True)
class PublishProduct:
    """Show a product to everybody, or submit it to the moderators where the tenant wants them asked."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class HideProduct:
    """Take a product from the shop window, for a while."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ArchiveProduct:
    """Retire a product for good."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ApproveProduct:
    """Let a submitted product be seen, or clear a suspicious one."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class RejectProduct:
    """Refuse a submitted product; its seller is told the reason."""

    id: UUID
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class MarkProductSuspicious:
    """Take an active product from the shop window until it is cleared or blocked."""

    id: UUID
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class BlockProduct:
    """Forbid a suspicious product."""

    id: UUID
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetCatalogPolicy:
    """Decide whether moderators see a product before the public does."""

    moderation_required: bool


@dataclass(frozen=True, kw_only=True)
class CatalogPolicy:
    """What the tenant has decided about its catalogue."""

    moderation_required: bool


async def publish_product(
    command: PublishProduct, work: Work, products: Products, policies: CatalogPolicies, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, IncompleteProduct, InvalidStateTransition."""
    product = await own_product(command.id, command.expected_version, work, products)
    require(work.actor, PUBLISH)
    reviewed = product.published_at is None and await policies.moderation_required()
    async with recorded(product, work, history):
        if reviewed and not work.actor.may(MODERATE):
            product.submit()
        else:
            product.publish(work.now)
    return product


async def hide_product(command: HideProduct, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition."""
    product = await own_product(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.hide()
    return product


async def archive_product(command: ArchiveProduct, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition."""
    product = await own_product(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.archive()
    return product


async def approve_product(command: ApproveProduct, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition."""
    product = await _judged(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.approve(work.now)
    return product


async def reject_product(command: RejectProduct, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition, InvalidInput."""
    product = await _judged(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.reject(_reason(command.reason))
    return product


async def mark_product_suspicious(
    command: MarkProductSuspicious, work: Work, products: Products, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition, InvalidInput."""
    product = await _judged(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.mark_suspicious(_reason(command.reason))
    return product


async def block_product(command: BlockProduct, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidStateTransition, InvalidInput."""
    product = await _judged(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        product.block(_reason(command.reason))
    return product


async def set_catalog_policy(command: SetCatalogPolicy, work: Work, policies: CatalogPolicies) -> CatalogPolicy:
    """Raises: Forbidden."""
    require(work.actor, MANAGE)
    await policies.require_moderation(work.tenant_id, required=command.moderation_required)
    return CatalogPolicy(moderation_required=command.moderation_required)


def _reason(text: str) -> str:
    return checked_text("reason", text, DESCRIPTION_LETTERS, required=True)


async def _judged(product_id: UUID, expected_version: int | None, work: Work, products: Products) -> Product:
    require(work.actor, MODERATE)
    product = await products.lock(product_id)
    if product is None:
        raise NotFound(kind="Product", id=str(product_id))
    product.expect_version(expected_version)
    return product
