"""What the catalogue hears from other contexts."""

from uuid import UUID

from domain.catalog.categories import Category
from domain.catalog.lifecycle import ProductState
from domain.catalog.ports import Categories, ProductHistory, Products
from domain.catalog.products import Product
from domain.catalog.revising import recorded
from domain.kernel import Envelope, Subscriptions, Work

subscriptions = Subscriptions("catalog")


@subscriptions.on("localization.translation_changed")
async def on_translation_changed(envelope: Envelope, products: Products, categories: Categories) -> None:
    """Keep the translated text in the row of its product or category; what is gone or not ours is passed over."""
    data = envelope.data
    owner = await _owner(data["entity_type"], UUID(str(data["entity_id"])), products, categories)
    if owner is not None and data["field"] in {"name", "description"}:
        owner.translate(data["language"], data["field"], data.get("text"))


async def _owner(kind: str, entity_id: UUID, products: Products, categories: Categories) -> Product | Category | None:
    if kind.lower() == "product":
        return await products.lock(entity_id)
    return await categories.get(entity_id) if kind.lower() == "category" else None


@subscriptions.on("moderation.approved")
async def on_moderation_approved(envelope: Envelope, work: Work, products: Products, history: ProductHistory) -> None:
    """Show what the moderators let pass; a decision about what is no longer waiting changes nothing."""
    product = await _subject(envelope, products)
    if product is not None and product.state in {ProductState.PENDING_MODERATION, ProductState.SUSPICIOUS}:
        async with recorded(product, work, history):
            product.approve(work.now)


@subscriptions.on("moderation.rejected")
async def on_moderation_rejected(envelope: Envelope, work: Work, products: Products, history: ProductHistory) -> None:
    """Refuse what was submitted, forbid what was suspicious, and take what is on show from the window."""
    product = await _subject(envelope, products)
    verdicts = {
        ProductState.PENDING_MODERATION: Product.reject,
        ProductState.ACTIVE: Product.mark_suspicious,
        ProductState.SUSPICIOUS: Product.block,
    }
    if product is not None and product.state in verdicts:
        async with recorded(product, work, history):
            verdicts[product.state](product, envelope.data.get("reason"))


async def _subject(envelope: Envelope, products: Products) -> Product | None:
    if str(envelope.data.get("subject_type", "")).lower() != "product":
        return None
    return await products.lock(UUID(str(envelope.data["subject_id"])))
