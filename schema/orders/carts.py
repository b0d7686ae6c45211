"""Carts in the graph: the part of the orders subgraph that comes before an order."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain.inventory import InsufficientStock
from domain.money import CurrencyMismatch
from domain.orders import cart_parts, carts
from domain.pricing import (
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    UnknownDiscountCode,
)
from domain.processes import carting
from resolvers import carts as resolvers
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    Node,
    action,
    bulk,
    command,
    computed,
    feed,
    query,
)
from schema.orders.entities import Product, ProductVariant, Store, amount

enum_of(cart_parts.CartState)
enum_of(cart_parts.CartAccess)

CLOSED = [cart_parts.CartExpired, cart_parts.CartClosed, cart_parts.ReadOnlyShare]
CODES = [
    UnknownDiscountCode,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    DiscountCodeExhausted,
    DiscountCodeAlreadyUsed,
]


@strawberry.type(description="So many units of one SKU, from one store.")
class CartLine:
    __reads__ = (cart_parts.CartLine,)

    id: UUID
    sku: str
    name: str
    variant_name: str | None
    brand: str
    quantity: int
    price = amount("price", description="For one unit; at checkout it is read again.")
    subtotal = amount("subtotal", description="Price by quantity.")
    seller_id: UUID
    product = computed(
        lambda line, _context: Product(id=line.product_id),
        Product | None,
        description="Null when it is no longer on sale.",
    )
    variant = computed(
        lambda line, _context: ProductVariant(id=line.variant_id) if line.variant_id else None, ProductVariant | None
    )
    store = computed(lambda line, _context: Store(id=line.store_id), Store | None)


@strawberry.type(description="A code in a cart that takes nothing off any more.")
class RefusedCode:
    __reads__ = (carting.RefusedCode,)

    code: str
    reason: str


@strawberry.type(description="What a cart comes to, before tax and delivery.")
class CartTotals:
    __reads__ = (carting.CartTotals,)

    subtotal = amount("subtotal")
    discount = amount("discount")
    total = amount("total", description="Subtotal less discount.")
    refused_codes: list[RefusedCode]


@strawberry.federation.type(keys=["id"], description="What somebody is about to buy.")
class Cart(Node):
    __references__ = {"id": resolvers.carts_by_id}
    __reads__ = (carts.Cart,)

    id: UUID
    version: int
    state: cart_parts.CartState
    token: str | None = strawberry.federation.field(
        description="A guest's key to the cart: told once, by the mutation that began it. Whoever has it owns the cart.",
    )
    lines: list[CartLine]
    left_out: list[CartLine] = strawberry.federation.field(
        description="Lines of which the goods are no longer on sale."
    )
    units: int = strawberry.federation.field(description="Over all lines.")
    currency: str | None
    subtotal = amount("subtotal", Money | None, description="At the prices shown; nothing in an empty cart.")
    codes: list[str] = strawberry.federation.field(description="Discount codes for the order to come.")
    totals: CartTotals | None = bulk(
        resolvers.totals_of_carts,
        key=("lines", "codes", "customer_id"),
        who=PUBLIC,
        description="With price lists, promotions and codes; nothing for an empty cart.",
    )
    order_id: UUID | None = strawberry.federation.field(description="The order that it became.")
    expires_at: datetime = strawberry.federation.field(description="Seven days after the last change.")


@strawberry.type(description="A way into a cart for somebody else.")
class CartShare:
    __reads__ = (cart_parts.CartShare,)

    token: str = strawberry.field(description="Told once.")
    access: cart_parts.CartAccess
    expires_at: datetime


@strawberry.type(description="Somebody else's cart, as its owner lets it be seen.")
class SharedCart:
    cart: Cart
    access: cart_parts.CartAccess
    expires_at: datetime


@strawberry.type
class CartQuery:
    cart = query(resolvers.cart, Cart | None, who=PUBLIC)
    my_cart = query(resolvers.my_cart, Cart | None, who=AUTHENTICATED)
    shared_cart = query(resolvers.shared_cart, SharedCart | None, who=PUBLIC)


@strawberry.type
class CartMutation:
    create_cart = action(resolvers.create_cart, Cart, who=PUBLIC, result="CreateCartResult")
    add_to_cart = command(
        resolvers.add_to_cart,
        Cart,
        errors=[*CLOSED, cart_parts.CartFull, InsufficientStock, CurrencyMismatch],
        who=PUBLIC,
    )
    update_cart_item = command(resolvers.update_cart_item, Cart, errors=[*CLOSED, InsufficientStock], who=PUBLIC)
    remove_from_cart = command(resolvers.remove_from_cart, Cart, errors=CLOSED, who=PUBLIC)
    clear_cart = command(resolvers.clear_cart, Cart, errors=CLOSED, who=PUBLIC)
    apply_promo_code = command(
        resolvers.apply_promo_code, Cart, errors=[*CLOSED, *CODES, cart_parts.EmptyCart], who=PUBLIC
    )
    remove_promo_code = command(resolvers.remove_promo_code, Cart, errors=CLOSED, who=PUBLIC)
    share_cart = command(resolvers.share_cart, CartShare, errors=CLOSED, who=PUBLIC)
    merge_cart = command(
        resolvers.merge_cart, Cart, errors=[*CLOSED, cart_parts.CartFull, CurrencyMismatch], who=AUTHENTICATED
    )


@strawberry.type(description="How a cart stands; follow on after the cursor.")
class CartUpdated:
    __reads__ = (resolvers.CartChange,)

    cursor: str
    cart: Cart


@strawberry.type
class CartSubscription:
    cart_updated = feed(resolvers.cart_updated, CartUpdated, who=PUBLIC)
