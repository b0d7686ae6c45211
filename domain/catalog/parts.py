"""Commands about a product's parts: its variants and its images."""

from dataclasses import dataclass, replace
from uuid import UUID

from domain.catalog.changes import changes_of
from domain.catalog.content import ImageContent, ProductContent, VariantContent
from domain.catalog.editing import VariantOption, option_values
from domain.catalog.ports import ProductHistory, Products, Skus
from domain.catalog.products import Product
from domain.catalog.revising import own_product, recorded, refuse_taken_skus
from domain.kernel import UNCHANGED, InvalidInput, NotFound, Unchanged, Work
from domain.money import Money


@dataclass(frozen=True, kw_only=True)
class AddVariant:
    """Offer a product in one more way; `price` overrides the product's."""

    product_id: UUID
    name: str
    sku: str
    price: Money | None = None
    options: tuple[VariantOption, ...] = ()
    barcode: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateVariant:
    """Change what is given of a variant; `expected_version` is the product's."""

    product_id: UUID
    variant_id: UUID
    expected_version: int | None = None
    name: str | Unchanged = UNCHANGED
    sku: str | Unchanged = UNCHANGED
    price: Money | Unchanged | None = UNCHANGED
    options: tuple[VariantOption, ...] | Unchanged = UNCHANGED
    barcode: str | Unchanged | None = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class RemoveVariant:
    """No longer offer a variant; its SKU becomes free."""

    product_id: UUID
    variant_id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class AddProductImage:
    """Show one more picture, at an address or under a key of the object store; the last one unless `position` says else."""

    product_id: UUID
    url: str | None = None
    object_key: str | None = None
    alt_text: str = ""
    position: int | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveProductImage:
    """No longer show a picture."""

    product_id: UUID
    image_id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ReorderImages:
    """Show a product's pictures in another order; every one of them is named once."""

    product_id: UUID
    image_ids: tuple[UUID, ...]
    expected_version: int | None = None


async def add_variant(
    command: AddVariant, work: Work, products: Products, skus: Skus, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidInput, CurrencyMismatch."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        fresh = VariantContent(
            name=command.name,
            sku=command.sku,
            price=command.price,
            options=option_values(command.options),
            barcode=command.barcode,
        )
        product.revise(replace(product.content, variants=(*product.content.variants, fresh)), ())
        await refuse_taken_skus(product, skus)
    return product


async def update_variant(
    command: UpdateVariant, work: Work, products: Products, skus: Skus, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidInput, CurrencyMismatch."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        content = product.content
        variant = _variant(content, command.variant_id)
        changes = changes_of(command)
        if "options" in changes:
            changes["options"] = option_values(changes["options"])
        changed = replace(variant, **changes)
        variants = tuple(changed if each.id == variant.id else each for each in content.variants)
        product.revise(replace(content, variants=variants), ())
        await refuse_taken_skus(product, skus)
    return product


async def remove_variant(command: RemoveVariant, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        content = product.content
        gone = _variant(content, command.variant_id)
        product.revise(replace(content, variants=tuple(each for each in content.variants if each is not gone)), ())
    return product


async def add_product_image(
    command: AddProductImage, work: Work, products: Products, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidInput."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        images = list(product.content.images)
        position = len(images) if command.position is None else command.position
        if not 0 <= position <= len(images):
            raise InvalidInput(field="position", reason=f"it lies between 0 and {len(images)}")
        fresh = ImageContent(url=command.url, object_key=command.object_key, alt_text=command.alt_text)
        images.insert(position, fresh)
        product.revise(replace(product.content, images=tuple(images)), ())
    return product


async def remove_product_image(
    command: RemoveProductImage, work: Work, products: Products, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        images = product.content.images
        kept = tuple(each for each in images if each.id != command.image_id)
        if kept == images:
            raise NotFound(kind="ProductImage", id=str(command.image_id))
        product.revise(replace(product.content, images=kept), ())
    return product


async def reorder_images(command: ReorderImages, work: Work, products: Products, history: ProductHistory) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, InvalidInput."""
    product = await own_product(command.product_id, command.expected_version, work, products)
    async with recorded(product, work, history):
        images = {each.id: each for each in product.content.images}
        if sorted(images) != sorted(command.image_ids):
            raise InvalidInput(field="imageIds", reason="name every image of the product, each one once")
        product.revise(replace(product.content, images=tuple(images[each] for each in command.image_ids)), ())
    return product


def _variant(content: ProductContent, variant_id: UUID) -> VariantContent:
    variant = content.variant(variant_id)
    if variant is None:
        raise NotFound(kind="ProductVariant", id=str(variant_id))
    return variant
