"""Commands about products: making, changing and removing them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import UUID

from domain.catalog.changes import changes_of
from domain.catalog.content import ProductContent, RegulatedDetails, VariantContent
from domain.catalog.lifecycle import ProductType
from domain.catalog.ports import WRITE, WRITE_ANY, Categories, ProductHistory, Products, Skus, require
from domain.catalog.products import Product
from domain.catalog.revising import first_version, own_product, recorded, refuse_taken_skus, schema_of
from domain.catalog.texts import checked_slug, slug_of
from domain.kernel import UNCHANGED, AlreadyExists, Forbidden, InvalidInput, NotFound, Unchanged, Work
from domain.money import Money


@dataclass(frozen=True, kw_only=True)
class ProductAttribute:
    """One attribute's value, in the member of its type; `texts` for an attribute of several values."""

    name: str
    text: str | None = None
    texts: tuple[str, ...] | None = None
    number: float | None = None
    boolean: bool | None = None


@dataclass(frozen=True, kw_only=True)
class VariantOption:
    """What sets a variant apart, such as the size L."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class NewVariant:
    """A variant that comes with a new product."""

    name: str
    sku: str
    price: Money | None = None
    options: tuple[VariantOption, ...] = ()
    barcode: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateProduct:
    """Make a product as a draft; weight in grams, lengths in millimetres; the seller is the caller if nobody is named."""

    name: str
    sku: str
    price: Money
    category_id: UUID | None = None
    product_type: ProductType = ProductType.GENERAL
    slug: str | None = None
    description: str = ""
    brand: str = ""
    gtin: str | None = None
    compare_at_price: Money | None = None
    unit_cost: Money | None = None
    attributes: tuple[ProductAttribute, ...] = ()
    weight_grams: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    depth_mm: int | None = None
    regulated: RegulatedDetails | None = None
    variants: tuple[NewVariant, ...] = ()
    store_id: UUID | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateProduct:
    """Change what is given of a product, and leave the rest as it is; `attributes` replaces all of them."""

    id: UUID
    expected_version: int | None = None
    name: str | Unchanged = UNCHANGED
    sku: str | Unchanged = UNCHANGED
    slug: str | Unchanged = UNCHANGED
    price: Money | Unchanged | None = UNCHANGED
    category_id: UUID | Unchanged | None = UNCHANGED
    description: str | Unchanged = UNCHANGED
    brand: str | Unchanged = UNCHANGED
    gtin: str | Unchanged | None = UNCHANGED
    compare_at_price: Money | Unchanged | None = UNCHANGED
    unit_cost: Money | Unchanged | None = UNCHANGED
    attributes: tuple[ProductAttribute, ...] | Unchanged = UNCHANGED
    weight_grams: int | Unchanged | None = UNCHANGED
    width_mm: int | Unchanged | None = UNCHANGED
    height_mm: int | Unchanged | None = UNCHANGED
    depth_mm: int | Unchanged | None = UNCHANGED
    regulated: RegulatedDetails | Unchanged | None = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class DeleteProduct:
    """Remove a product with its variants and images; its SKUs and its slug become free."""

    id: UUID
    expected_version: int | None = None


def attribute_values(entries: tuple[ProductAttribute, ...]) -> dict[str, Any]:
    """Turn a list of attributes into values by name.

    Raises: InvalidInput when one has no value, or several, or occurs twice.
    """
    values: dict[str, Any] = {}
    for entry in entries:
        given = [value for value in (entry.text, entry.texts, entry.number, entry.boolean) if value is not None]
        if len(given) != 1 or entry.name in values:
            raise InvalidInput(field=f"attributes.{entry.name[:63]}", reason="give each attribute once, with one value")
        values[entry.name] = _plain(given[0])
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def option_values(options: tuple[VariantOption, ...]) -> dict[str, str]:
    """Turn a list of options into values by name."""
    return {option.name: option.value for option in options}


_CONTENT = frozenset(each.name for each in fields(ProductContent))


def _content(command: CreateProduct) -> ProductContent:
    plain = {each.name: getattr(command, each.name) for each in fields(command) if each.name in _CONTENT}
    plain["attributes"] = attribute_values(command.attributes)
    plain["variants"] = tuple(
        VariantContent(
            name=each.name, sku=each.sku, price=each.price, options=option_values(each.options), barcode=each.barcode
        )
        for each in command.variants
    )
    return ProductContent(**plain)


def _changes(command: UpdateProduct) -> dict[str, Any]:
    changes = changes_of(command)
    changes.pop("slug", None)
    if "attributes" in changes:
        changes["attributes"] = attribute_values(changes["attributes"])
    return changes


async def create_product(
    command: CreateProduct, work: Work, products: Products, categories: Categories, skus: Skus, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch."""
    seller_id = command.seller_id or work.actor.require_user()
    if seller_id != work.actor.user_id and not work.actor.may(WRITE_ANY):
        raise Forbidden(permission=WRITE_ANY)
    if command.store_id is not None and not work.actor.works_at(command.store_id):
        raise NotFound(kind="Store", id=str(command.store_id))
    identity = {"product_type": command.product_type, "seller_id": seller_id, "store_id": command.store_id}
    return await draft_product(_content(command), command.slug, identity, work, products, categories, skus, history)


async def draft_product(
    content: ProductContent,
    slug: str | None,
    identity: Mapping[str, Any],
    work: Work,
    products: Products,
    categories: Categories,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Make a product from its content, seller, store and type; without a slug one is made from the name.

    Raises: Forbidden, NotFound, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch.
    """
    require(work.actor, WRITE)
    product = Product.draft(
        content,
        await schema_of(content, categories),
        tenant_id=work.tenant_id,
        **identity,
        slug=slug or slug_of(content.name, "product"),
    )
    await refuse_taken_skus(product, skus)
    product.slug = await _free(product.slug, products, chosen=slug is not None)
    await products.add(product)
    await history.add([first_version(product, work)])
    return product


async def _free(slug: str, products: Products, *, chosen: bool) -> str:
    free = await products.free_slug(checked_slug("slug", slug) if chosen else slug)
    if chosen and free != slug:
        raise AlreadyExists(kind="Slug", value=slug)
    return free


async def update_product(
    command: UpdateProduct, work: Work, products: Products, categories: Categories, skus: Skus, history: ProductHistory
) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch."""
    product = await own_product(command.id, command.expected_version, work, products)
    async with recorded(product, work, history):
        content = replace(product.content, **_changes(command))
        product.revise(content, await schema_of(content, categories))
        await refuse_taken_skus(product, skus)
        if not isinstance(command.slug, Unchanged) and command.slug != product.slug:
            product.change_slug(await _free(command.slug, products, chosen=True))
    return product


async def delete_product(command: DeleteProduct, work: Work, products: Products) -> Product:
    """Raises: Forbidden, NotFound, ConcurrentModification."""
    product = await own_product(command.id, command.expected_version, work, products)
    product.delete(work.now)
    return product
