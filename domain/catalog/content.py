"""What a product says of itself: the part that its seller writes, that history keeps and that can be reverted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from domain.catalog.texts import (
    BRAND_LETTERS,
    DESCRIPTION_LETTERS,
    NAME_LETTERS,
    URL_LETTERS,
    checked_gtin,
    checked_sku,
    checked_text,
    checked_url,
)
from domain.kernel import AlreadyExists, InvalidInput, uuid7
from domain.money import CurrencyMismatch, Money

MAX_VARIANTS = 200
MAX_IMAGES = 50
MAX_OPTIONS = 3
MAX_RENDITIONS = 10
MAX_PRICE_MINOR = 10**15
MAX_MEASURE = 10**9


@dataclass(frozen=True)
class RegulatedDetails:
    """What the law asks of a regulated product; THC and CBD in the unit that `unit_of_measure` names."""

    subcategory: str | None = None
    sub_subcategory: str | None = None
    plant_type: str | None = None
    product_form: str | None = None
    total_mg: Decimal | None = None
    cbd_min: Decimal | None = None
    cbd_max: Decimal | None = None
    thc_min: Decimal | None = None
    thc_max: Decimal | None = None
    terpene_profile: str | None = None
    volume_ml: Decimal | None = None
    pieces: int | None = None
    price_per_unit_minor: int | None = None
    msrp_minor: int | None = None
    unit_of_measure: str | None = None
    allergens: str | None = None
    ingredients: str | None = None

    def checked(self) -> Self:
        """Give the details, once they hold.

        Raises: InvalidInput.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                checked_text(f"regulated.{each.name}", value, DESCRIPTION_LETTERS)
            elif value is not None and not (value.is_finite() if isinstance(value, Decimal) else True):
                raise InvalidInput(field=f"regulated.{each.name}", reason="it is not a number")
            elif value is not None and not 0 <= value <= MAX_MEASURE:
                raise InvalidInput(field=f"regulated.{each.name}", reason=f"it lies between 0 and {MAX_MEASURE:,}")
        _check_range("cbd", self.cbd_min, self.cbd_max)
        _check_range("thc", self.thc_min, self.thc_max)
        return self


def _check_range(name: str, lowest: Decimal | None, highest: Decimal | None) -> None:
    if lowest is not None and highest is not None and lowest > highest:
        raise InvalidInput(field=f"regulated.{name}_min", reason=f"{lowest} is above the maximum of {highest}")


@dataclass(frozen=True, kw_only=True)
class VariantContent:
    """One way to buy the product; `price` overrides the product's, `options` are such as {"Size": "L"}."""

    id: UUID = field(default_factory=uuid7)
    name: str
    sku: str
    price: Money | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    barcode: str | None = None

    def checked(self) -> Self:
        """Give the variant, once it holds.

        Raises: InvalidInput.
        """
        if len(self.options) > MAX_OPTIONS:
            raise InvalidInput(field="options", reason=f"a variant has at most {MAX_OPTIONS}")
        for pair in self.options.items():
            for text in pair:
                checked_text("options", text, NAME_LETTERS, required=True)
        checked_sku("sku", self.sku)
        checked_gtin("barcode", self.barcode)
        _check_price("price", self.price)
        return replace(self, name=checked_text("name", self.name, NAME_LETTERS, required=True))


@dataclass(frozen=True, kw_only=True)
class ImageContent:
    """One picture, at an address or under a key of the object store; `renditions` are addresses by size."""

    id: UUID = field(default_factory=uuid7)
    url: str | None = None
    object_key: str | None = None
    alt_text: str = ""
    renditions: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> Self:
        """Give the image, once it holds.

        Raises: InvalidInput.
        """
        if (self.url is None) == (self.object_key is None):
            raise InvalidInput(field="url", reason="an image has either an address or an object key")
        if self.object_key is not None:
            checked_text("objectKey", self.object_key, URL_LETTERS, required=True)
        if len(self.renditions) > MAX_RENDITIONS:
            raise InvalidInput(field="renditions", reason=f"an image has at most {MAX_RENDITIONS}")
        for size, url in self.renditions.items():
            checked_text("renditions", size, NAME_LETTERS, required=True)
            checked_url("renditions", url)
        return replace(
            self, url=checked_url("url", self.url), alt_text=checked_text("altText", self.alt_text, NAME_LETTERS)
        )


@dataclass(frozen=True, kw_only=True)
class ProductContent:
    """All that a seller writes about a product; weight in grams, lengths in millimetres."""

    name: str
    sku: str
    description: str = ""
    brand: str = ""
    gtin: str | None = None
    category_id: UUID | None = None
    price: Money | None = None
    compare_at_price: Money | None = None
    unit_cost: Money | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weight_grams: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    depth_mm: int | None = None
    regulated: RegulatedDetails | None = None
    variants: tuple[VariantContent, ...] = ()
    images: tuple[ImageContent, ...] = ()

    def changed_since(self, other: Self) -> tuple[str, ...]:
        """Name the fields that differ."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) != getattr(other, each.name))

    def checked(self, changed: tuple[str, ...]) -> Self:
        """Give the content with blanks trimmed, once the changed fields hold: what was imported as it is may stay so.

        Raises: InvalidInput, CurrencyMismatch, AlreadyExists.
        """
        content = replace(self, **{name: _RULES[name](getattr(self, name)) for name in changed if name in _RULES})
        content._check_prices()  # noqa: SLF001 — its own copy.
        content._check_identities()  # noqa: SLF001 — its own copy.
        return content

    def variant(self, variant_id: UUID) -> VariantContent | None:
        return next((each for each in self.variants if each.id == variant_id), None)

    def _check_prices(self) -> None:
        others = [self.compare_at_price, self.unit_cost, *(variant.price for variant in self.variants)]
        for other in filter(None, others):
            if self.price is None:
                raise InvalidInput(field="price", reason="without one there is no other price either")
            if other.currency != self.price.currency:
                raise CurrencyMismatch(expected=self.price.currency, actual=other.currency)
        if self.price and self.compare_at_price and self.compare_at_price < self.price:
            raise InvalidInput(field="compareAtPrice", reason="the former price is not below the present one")

    def _check_identities(self) -> None:
        skus = [self.sku, *(variant.sku for variant in self.variants)]
        for sku in skus:
            if skus.count(sku) > 1:
                raise AlreadyExists(kind="SKU", value=sku)
        for name, children in (("variants", self.variants), ("images", self.images)):
            if len({child.id for child in children}) != len(children):
                raise InvalidInput(field=name, reason="an id occurs twice")


def _check_price(name: str, price: Money | None) -> Money | None:
    if price is not None and not 0 <= price.amount_minor <= MAX_PRICE_MINOR:
        raise InvalidInput(field=name, reason=f"it lies between 0 and {MAX_PRICE_MINOR:,} minor units")
    return price


def _check_measure(name: str, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MAX_MEASURE:
        raise InvalidInput(field=name, reason=f"it lies between 0 and {MAX_MEASURE:,}")
    return value


def _check_children(name: str, children: tuple[Any, ...], limit: int) -> tuple[Any, ...]:
    if len(children) > limit:
        raise InvalidInput(field=name, reason=f"a product has at most {limit}")
    return tuple(child.checked() for child in children)


_RULES: Mapping[str, Any] = {
    "name": lambda value: checked_text("name", value, NAME_LETTERS, required=True),
    "description": lambda value: checked_text("description", value, DESCRIPTION_LETTERS),
    "brand": lambda value: checked_text("brand", value, BRAND_LETTERS),
    "sku": lambda value: checked_sku("sku", value),
    "gtin": lambda value: checked_gtin("gtin", value),
    "price": lambda value: _check_price("price", value),
    "compare_at_price": lambda value: _check_price("compareAtPrice", value),
    "unit_cost": lambda value: _check_price("unitCost", value),
    "weight_grams": lambda value: _check_measure("weightGrams", value),
    "width_mm": lambda value: _check_measure("widthMm", value),
    "height_mm": lambda value: _check_measure("heightMm", value),
    "depth_mm": lambda value: _check_measure("depthMm", value),
    "regulated": lambda value: value.checked() if value else None,
    "variants": lambda value: _check_children("variants", value, MAX_VARIANTS),
    "images": lambda value: _check_children("images", value, MAX_IMAGES),
}
