"""Products: one identity for general, regulated and accessory goods, with variants, images and a life of states."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from domain.catalog.attributes import Schema, check_attributes
from domain.catalog.content import ImageContent, ProductContent, RegulatedDetails, VariantContent
from domain.catalog.events import (
    ProductCreated,
    ProductDeleted,
    ProductFact,
    ProductPublished,
    ProductUnpublished,
    ProductUpdated,
)
from domain.catalog.lifecycle import TRANSITIONS, IncompleteProduct, ProductState, ProductType
from domain.catalog.translations import with_text
from domain.kernel import Aggregate, InvalidInput, InvalidStateTransition
from domain.money import Money

_PRICES = {"price": "price_minor", "compare_at_price": "compare_at_minor", "unit_cost": "unit_cost_minor"}
_COLLECTED = frozenset({*_PRICES, "regulated", "variants", "images"})
_PLAIN = tuple(each.name for each in fields(ProductContent) if each.name not in _COLLECTED)


@dataclass(eq=False, kw_only=True)
class ProductVariant:
    """One way to buy a product, under a SKU of its own."""

    id: UUID
    tenant_id: UUID
    name: str
    sku: str
    price_minor: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    barcode: str | None = None
    position: int = 0
    deleted_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class ProductImage:
    """One picture of a product."""

    id: UUID
    tenant_id: UUID
    url: str | None = None
    object_key: str | None = None
    alt_text: str = ""
    position: int = 0
    renditions: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class RegulatedProduct:
    """The sheet of a regulated product, under the product's own id."""

    id: UUID
    tenant_id: UUID
    details: RegulatedDetails


@dataclass(eq=False, kw_only=True)
class Product(Aggregate):
    """Goods as their seller describes them; prices in minor units of `currency`."""

    seller_id: UUID
    store_id: UUID | None = None
    product_type: ProductType = ProductType.GENERAL
    state: ProductState = ProductState.DRAFT
    state_reason: str | None = None
    name: str
    slug: str
    sku: str
    description: str = ""
    brand: str = ""
    gtin: str | None = None
    category_id: UUID | None = None
    price_minor: int | None = None
    compare_at_minor: int | None = None
    unit_cost_minor: int | None = None
    currency: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    weight_grams: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    depth_mm: int | None = None
    translations: dict[str, dict[str, str]] = field(default_factory=dict)
    published_at: datetime | None = None
    deleted_at: datetime | None = None
    regulated: RegulatedProduct | None = None
    variants: list[ProductVariant] = field(default_factory=list)
    images: list[ProductImage] = field(default_factory=list)

    @classmethod
    def draft(cls, content: ProductContent, schema: Schema, **identity: Any) -> Self:
        """Make a product that only its seller sees.

        Raises: InvalidInput, InvalidAttribute, CurrencyMismatch, AlreadyExists.
        """
        content = content.checked(tuple(each.name for each in fields(content)))
        check_attributes(content.attributes, schema)
        product = cls(name=content.name, sku=content.sku, **identity)
        product._assign(content)
        product.record(
            ProductCreated(
                **product._facts(), title=product.name, price_minor=product.price_minor, currency=product.currency
            )
        )
        return product

    @property
    def content(self) -> ProductContent:
        """Everything that the seller wrote, as one value."""
        written: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        for name, column in _PRICES.items():
            written[name] = self._money(getattr(self, column))
        return ProductContent(
            **written,
            regulated=self.regulated.details if self.regulated else None,
            variants=tuple(self._variant_content(each) for each in self.variants),
            images=tuple(_image_content(each) for each in self.images),
        )

    def revise(self, content: ProductContent, schema: Schema) -> None:
        """Take over what the seller wrote anew; a rejected product becomes a draft again.

        Raises: InvalidInput, InvalidAttribute, CurrencyMismatch, AlreadyExists, InvalidStateTransition.
        """
        before = self.content
        content = content.checked(content.changed_since(before))
        changed = content.changed_since(before)
        if not changed:
            return
        if {"attributes", "category_id"}.intersection(changed):
            check_attributes(content.attributes, schema)
        self._assign(content)
        self.record(ProductUpdated(**self._facts(), changed=changed))
        if self.state is ProductState.REJECTED:
            self._enter(ProductState.DRAFT)

    def change_slug(self, slug: str) -> None:
        """Give the product another address."""
        self.slug = slug
        self.record(ProductUpdated(**self._facts(), changed=("slug",)))

    def submit(self) -> None:
        """Ask the moderators to let the product be seen.

        Raises: IncompleteProduct, InvalidStateTransition.
        """
        self._require_complete()
        self._enter(ProductState.PENDING_MODERATION)

    def publish(self, now: datetime) -> None:
        """Show the product to everybody.

        Raises: IncompleteProduct, InvalidStateTransition.
        """
        # What moderators hold back, only they let go.
        self._show({ProductState.DRAFT, ProductState.HIDDEN}, now)

    def approve(self, now: datetime) -> None:
        """Show what the moderators let pass.

        Raises: IncompleteProduct, InvalidStateTransition.
        """
        self._show({ProductState.PENDING_MODERATION, ProductState.SUSPICIOUS}, now)

    def hide(self) -> None:
        """Take the product from the shop window, for a while."""
        self._enter(ProductState.HIDDEN)

    def archive(self) -> None:
        """Retire the product for good."""
        self._enter(ProductState.ARCHIVED)

    def reject(self, reason: str | None) -> None:
        """Refuse what was submitted, with the moderators' reason."""
        self._enter(ProductState.REJECTED, reason)

    def mark_suspicious(self, reason: str | None) -> None:
        """Take the product from the shop window until it is cleared or blocked."""
        self._enter(ProductState.SUSPICIOUS, reason)

    def block(self, reason: str | None) -> None:
        """Forbid a suspicious product."""
        self._enter(ProductState.BLOCKED, reason)

    def delete(self, now: datetime) -> None:
        """Remove the product, its variants and its images from every view; its SKUs become free."""
        self.deleted_at = now
        for variant in self.variants:
            variant.deleted_at = now
        self.record(ProductDeleted(**self._facts()))

    def translate(self, language: str, name: str, text: str | None) -> None:
        """Keep a field's text in a language; None drops it.

        Raises: InvalidInput for a field that is not translated.
        """
        translations = with_text(self.translations, language, name, text)
        if translations == self.translations:
            return
        self.translations = translations
        self.record(ProductUpdated(**self._facts(), changed=("translations",)))

    def _money(self, amount_minor: int | None) -> Money | None:
        return None if amount_minor is None or self.currency is None else Money(amount_minor, self.currency)

    def _variant_content(self, variant: ProductVariant) -> VariantContent:
        return VariantContent(
            id=variant.id,
            name=variant.name,
            sku=variant.sku,
            price=self._money(variant.price_minor),
            options=variant.options,
            barcode=variant.barcode,
        )

    def _facts(self) -> dict[str, Any]:
        own = {each.name: getattr(self, each.name) for each in fields(ProductFact) if hasattr(self, each.name)}
        return {**own, "product_id": self.id, "variant_skus": tuple(variant.sku for variant in self.variants)}

    def _require_complete(self) -> None:
        if self.price_minor is None:
            raise IncompleteProduct(product_id=str(self.id), missing="price")

    def _show(self, waiting: set[ProductState], now: datetime) -> None:
        if self.state not in waiting:
            raise InvalidStateTransition(kind="Product", current=self.state, requested=ProductState.ACTIVE)
        self._require_complete()
        self._enter(ProductState.ACTIVE)
        self.published_at = self.published_at or now

    def _enter(self, state: ProductState, reason: str | None = None) -> None:
        left, self.state, self.state_reason = self.state, TRANSITIONS.check(self.state, state), reason
        self.record(ProductUpdated(**self._facts(), changed=("state",)))
        if state is ProductState.ACTIVE:
            self.record(ProductPublished(**self._facts()))
        elif left is ProductState.ACTIVE:
            self.record(ProductUnpublished(**self._facts(), reason=reason))

    def _assign(self, content: ProductContent) -> None:
        if (content.regulated is not None) > (self.product_type is ProductType.REGULATED):
            raise InvalidInput(field="regulated", reason="only a regulated product has these details")
        for name in _PLAIN:
            setattr(self, name, getattr(content, name))
        for name, column in _PRICES.items():
            setattr(self, column, _minor(getattr(content, name)))
        self.currency = content.price.currency if content.price else None
        self._assign_details(content.regulated)
        self._assign_variants(content.variants)
        self._assign_images(content.images)

    def _assign_details(self, details: RegulatedDetails | None) -> None:
        if details is None:
            self.regulated = None
        elif self.regulated is None:
            self.regulated = RegulatedProduct(id=self.id, tenant_id=self.tenant_id, details=details)
        else:
            self.regulated.details = details

    def _assign_variants(self, wanted: tuple[VariantContent, ...]) -> None:
        kept = {variant.id: variant for variant in self.variants}
        fresh = []
        for position, content in enumerate(wanted):
            variant = kept.get(content.id) or ProductVariant(
                id=content.id, tenant_id=self.tenant_id, name=content.name, sku=content.sku
            )
            variant.name, variant.sku, variant.barcode = content.name, content.sku, content.barcode
            variant.price_minor = _minor(content.price)
            variant.options, variant.position = dict(content.options), position
            fresh.append(variant)
        self.variants = fresh

    def _assign_images(self, wanted: tuple[ImageContent, ...]) -> None:
        kept = {image.id: image for image in self.images}
        fresh = []
        for position, content in enumerate(wanted):
            image = kept.get(content.id) or ProductImage(id=content.id, tenant_id=self.tenant_id)
            image.url, image.object_key, image.alt_text = content.url, content.object_key, content.alt_text
            image.renditions, image.position = dict(content.renditions), position
            fresh.append(image)
        self.images = fresh


def _image_content(image: ProductImage) -> ImageContent:
    return ImageContent(
        id=image.id,
        url=image.url,
        object_key=image.object_key,
        alt_text=image.alt_text,
        renditions=image.renditions,
    )


def _minor(price: Money | None) -> int | None:
    return None if price is None else price.amount_minor
