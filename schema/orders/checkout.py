"""Buying in the graph: what a cart would cost as an order, and how it becomes one."""

from decimal import Decimal
from uuid import UUID

import strawberry

from domain import orders as domain
from domain import tax
from domain.delivery.offers import NOT_ELIGIBLE, DeliveryOption
from domain.delivery.slots import SlotClosed, SlotFull
from domain.inventory import InsufficientStock, ReservationEnded
from domain.kernel import InvalidStateTransition
from domain.money import CurrencyMismatch
from domain.orders import cart_parts
from domain.orders.cart_checkout import CheckoutIncomplete, CheckoutStep
from domain.payments.methods import CardNumberRefused, MethodKind
from domain.payments.providers import UnsupportedPaymentMethod
from domain.pricing import FlashSaleSoldOut, InsufficientPoints, PricedLine, PromotionExhausted, StepKind
from domain.pricing import Step as PriceStepOfDomain
from domain.processes import checkout as processes
from domain.processes import preparing, quoting
from domain.sagas import ProcessUnfinished, TooLate
from domain.tenancy import StoreNotSelling
from resolvers import checkout as resolvers
from schema.inputs import enum_of
from schema.kernel import AUTHENTICATED, PUBLIC, bulk, command, computed, in_person, query
from schema.orders.carts import CODES, Cart
from schema.orders.entities import Store, amount
from schema.orders.orders import Order, OrderAddress

for _choices in (MethodKind, StepKind, tax.TaxKind, CheckoutStep):
    enum_of(_choices)

OPEN = [cart_parts.CartExpired, cart_parts.CartClosed]
REFUSALS = [
    *CODES,
    cart_parts.EmptyCart,
    cart_parts.CartClosed,
    cart_parts.CartExpired,
    quoting.NoLongerOnSale,
    StoreNotSelling,
    quoting.PriceChanged,
    tax.AgeNotVerified,
    CurrencyMismatch,
    FlashSaleSoldOut,
    PromotionExhausted,
    InsufficientPoints,
    CardNumberRefused,
    UnsupportedPaymentMethod,
    InsufficientStock,
    ReservationEnded,
    *NOT_ELIGIBLE,
    SlotFull,
    SlotClosed,
    InvalidStateTransition,
    processes.PaymentDeclined,
    ProcessUnfinished,
    TooLate,
]


@strawberry.type(description="A part of a line's price, and where it comes from; the steps add up to the net amount.")
class PriceStep:
    __reads__ = (PriceStepOfDomain,)

    kind: StepKind
    source_id: UUID | None
    label: str
    amount = amount("amount")


@strawberry.type(description="A line of a cart with its price, explained.")
class CheckoutLine:
    __reads__ = (PricedLine,)

    key: str = strawberry.field(description="The id of the cart's line.")
    sku: str
    quantity: int
    unit = amount("unit")
    gross = amount("gross", description="Unit by quantity.")
    discount = amount("discount")
    net = amount("net", description="Gross less discount.")
    steps: list[PriceStep]


@strawberry.type(description="What one tax takes at one rate.")
class CheckoutTax:
    __reads__ = (tax.TaxComponent,)

    kind: tax.TaxKind
    label: str
    rate: Decimal
    taxable = amount("taxable")
    tax = amount("tax")


@strawberry.type(description="How one store brings its part of an order: the way that was chosen, or the cheapest.")
class CheckoutDelivery:
    __reads__ = (DeliveryOption,)

    store = computed(lambda option, _context: Store(id=option.store_id), Store | None)
    method_id: UUID | None
    name: str
    carrier: str
    fee = amount("fee")
    estimated_minutes: int | None
    min_transit_days: int
    max_transit_days: int


@strawberry.type(description="What a cart would cost as an order, and why.")
class CheckoutPreview:
    __reads__ = (quoting.CheckoutQuote,)

    lines = computed(lambda quote, _context: quote.prices.lines, list[CheckoutLine])
    subtotal = amount("subtotal")
    discount = amount("discount")
    tax = amount("tax")
    delivery_fee = amount("delivery_fee")
    deliveries: list[CheckoutDelivery]
    total = amount("total")
    taxes = computed(lambda quote, _context: quote.taxes.components, list[CheckoutTax])
    tax_inclusive = computed(
        lambda quote, _context: quote.taxes.inclusive, bool, description="Whether the prices contain the tax."
    )
    minimum_age: int | None = strawberry.field(description="The age in years that a buyer must have verified.")


@strawberry.type(description="A cart on the way to its order: what its buyer has settled, and what not yet.")
class CartCheckout:
    __reads__ = (preparing.CartCheckout,)

    cart: Cart
    delivery_method = computed(lambda each, _context: each.plan.delivery_method, domain.DeliveryMethod | None)
    address = computed(lambda each, _context: each.plan.address, OrderAddress | None)
    email = computed(lambda each, _context: each.plan.email, str | None)
    notes = computed(lambda each, _context: each.plan.notes, str | None)
    payment_method = computed(lambda each, _context: _method(each.plan.payment_method), MethodKind | None)
    points = computed(lambda each, _context: each.plan.points, int)
    missing: list[CheckoutStep] = strawberry.field(description="What must be settled before it can be ordered.")
    ready: bool = strawberry.field(description="Whether it can be ordered as it is.")
    preview: CheckoutPreview | None = bulk(
        resolvers.previews_of_carts,
        key="cart",
        who=PUBLIC,
        description="What it would cost; nothing as long as it is unknown where it goes.",
    )


def _method(name: str | None) -> MethodKind | None:
    return None if name is None else MethodKind(name)


@strawberry.type
class CheckoutQuery:
    cart_checkout = query(resolvers.cart_checkout, CartCheckout | None, who=PUBLIC)
    checkout_preview = query(resolvers.checkout_preview, CheckoutPreview, who=PUBLIC)


@strawberry.type
class CheckoutMutation:
    checkout = command(resolvers.checkout, Order, errors=REFUSALS, who=in_person(PUBLIC), key_required=True)
    set_checkout_address = command(resolvers.set_checkout_address, CartCheckout, errors=OPEN, who=PUBLIC)
    set_checkout_delivery = command(
        resolvers.set_checkout_delivery, CartCheckout, errors=[*OPEN, StoreNotSelling], who=PUBLIC
    )
    set_checkout_contact = command(resolvers.set_checkout_contact, CartCheckout, errors=OPEN, who=PUBLIC)
    set_checkout_payment = command(
        resolvers.set_checkout_payment,
        CartCheckout,
        errors=[
            *OPEN,
            *CODES,
            cart_parts.EmptyCart,
            CardNumberRefused,
            UnsupportedPaymentMethod,
            InsufficientPoints,
            FlashSaleSoldOut,
            PromotionExhausted,
        ],
        who=PUBLIC,
    )
    complete_checkout = command(
        resolvers.complete_checkout,
        Order,
        errors=[*REFUSALS, CheckoutIncomplete],
        who=in_person(PUBLIC),
        key_required=True,
    )
    cancel_order = command(
        resolvers.cancel_order,
        Order,
        errors=[domain.CancellationWindowClosed, InvalidStateTransition],
        who=AUTHENTICATED,
        key_required=True,
    )
