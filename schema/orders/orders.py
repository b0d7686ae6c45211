"""Orders in the graph, from the moment they are placed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import orders as domain
from domain.codec import from_json
from domain.inventory import InsufficientStock
from domain.kernel import InvalidStateTransition, unopened
from domain.money import CurrencyMismatch
from domain.orders.cart_parts import CartClosed, CartExpired, CartFull
from domain.orders.ports import READ, UPDATE
from domain.processes.reordering import NothingToReorder
from resolvers import orders as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    Node,
    authenticated,
    bulk,
    command,
    computed,
    connection,
    feed,
    money,
    owner_or,
    permission,
    query,
)
from schema.orders.carts import Cart
from schema.orders.entities import Product, ProductVariant, Store
from schema.scalars import JSON, BigInt

SEES = permission(READ)
UPDATES = permission(UPDATE)

for _choices in (
    domain.CancelReason,
    domain.DeliveryMethod,
    domain.OrderState,
    domain.OrderType,
    domain.PaymentStatus,
    domain.ReturnState,
):
    enum_of(_choices)


def _amounts(_context: Context, amounts: Sequence[tuple[int, str]]) -> list[Money]:
    return [money(*amount) for amount in amounts]


def _price(column: str, **options: Any) -> Any:
    return computed(_amounts, Money, key=(column, "currency"), **options)


@strawberry.type(description="Where an order goes, as it was when the order was placed.")
class OrderAddress:
    name: str | None
    street_line1: str
    street_line2: str | None
    city: str
    province: str | None
    postal_code: str | None
    country: str
    phone: str | None


@strawberry.type(description="So many units of one SKU, as they were sold.")
class OrderLine:
    id: UUID
    sku: str
    name: str
    variant_name: str | None
    quantity: int
    returned: int = strawberry.field(description="Units that came back.")
    unit = _price("unit_minor", description="The price of one unit, before discounts.")
    discount = _price("discount_minor")
    tax = _price("tax_minor")
    total = _price("total_minor")
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


@strawberry.type(description="A state that an order reached.")
class OrderStep:
    state: domain.OrderState
    note: str | None
    changed_by: UUID | None = strawberry.field(description="Null for the system itself.")
    at: datetime


@strawberry.type(description="A state that an order reached, without who brought it there.")
class TrackedStep:
    state: domain.OrderState
    at: datetime


@strawberry.type(description="Units of a line that come back.")
class OrderReturnLine:
    line_id: UUID
    quantity: int


@strawberry.type(description="Units that the buyer gives back.")
class OrderReturn:
    id: UUID
    state: domain.ReturnState
    reason: str
    note: str | None
    lines: list[OrderReturnLine]
    refund_minor: BigInt = strawberry.field(description="What they are worth, once they are accepted.")
    requested_at: datetime
    decided_at: datetime | None


def _returns(order: Any, _context: Context) -> list[domain.Return]:
    # A row holds them as JSON, an aggregate as they are.
    return [each if isinstance(each, domain.Return) else from_json(each, domain.Return) for each in order.returns]


@strawberry.federation.type(keys=["id"], description="The part of an order that one seller sells from one store.")
class SubOrder(Node):
    __references__ = {"id": resolvers.parts_by_id}

    id: UUID
    number: str
    order_id: UUID
    state: domain.OrderState
    seller_id: UUID
    store = computed(lambda part, _context: Store(id=part.store_id), Store | None)
    subtotal = _price("subtotal_minor")
    discount = _price("discount_minor")
    tax = _price("tax_minor")
    delivery_fee = _price("delivery_fee_minor", description="This part's share of it.")
    total = _price("total_minor")
    placed_at: datetime
    lines: list[OrderLine] = bulk(resolvers.lines_of_parts, key="id", who=PUBLIC)
    address: OrderAddress | None = bulk(resolvers.addresses_of_orders, key="order_id", who=PUBLIC)


@strawberry.federation.type(keys=["id", "orderNumber"], description="What somebody bought, and what became of it.")
class Order(Node):
    __references__ = {"id": resolvers.orders_by_id, "orderNumber": resolvers.orders_by_number}
    __reads__ = (domain.Order,)

    id: UUID
    version: int
    order_number: str
    order_type: domain.OrderType
    state: domain.OrderState
    payment_status: domain.PaymentStatus
    payment_method: str
    currency: str
    subtotal = _price("subtotal_minor", description="The goods, before discounts.")
    discount = _price("discount_minor")
    tax = _price("tax_minor")
    delivery_fee = _price("delivery_fee_minor")
    total = _price("total_minor")
    paid = _price("paid_minor")
    refunded = _price("refunded_minor")
    tax_inclusive: bool = strawberry.federation.field(description="Whether tax is part of the prices or added to them.")
    codes: list[str]
    delivery_method: domain.DeliveryMethod
    address: OrderAddress | None
    tracking_number: str | None
    notes: str | None
    guest_email: str | None
    cancel_reason: domain.CancelReason | None
    placed_at: datetime
    confirmed_at: datetime | None
    paid_at: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    lines: list[OrderLine] = bulk(resolvers.lines_of_orders, key="id", who=PUBLIC)
    sub_orders: list[SubOrder] = bulk(resolvers.parts_of_orders, key="id", who=PUBLIC)
    history: list[OrderStep] = bulk(resolvers.history_of_orders, key="id", who=PUBLIC)
    returns = computed(_returns, list[OrderReturn])
    customer = computed(
        lambda order, _context: User(id=order.customer_id) if order.customer_id else None,
        Annotated["User", strawberry.lazy("schema.orders.orders")] | None,
        description="Null for a guest.",
    )


@strawberry.federation.type(keys=["id"])
class User:
    id: UUID
    orders: connection(Order) | None = bulk(resolvers.orders_of_users, key="id", who=owner_or(READ, "id"))  # type: ignore[valid-type]


@strawberry.type(description="How far an order is, for whoever has its number; nothing of whose it is.")
class OrderTracking:
    order_number: str
    state: domain.OrderState
    delivery_method: domain.DeliveryMethod
    tracking_number: str | None
    placed_at: datetime
    steps: list[TrackedStep] = bulk(resolvers.history_of_orders, key="id", who=PUBLIC)


@strawberry.type(description="Something that happened to an order.")
class OrderEvent:
    id: UUID
    name: str
    version: int
    data = computed(lambda entry, _context: unopened(entry.data), JSON)
    user_id: UUID | None
    occurred_at: datetime


@strawberry.type
class OrderQuery:
    order = query(resolvers.order, Order | None, who=authenticated("orders.read"))
    my_orders = query(resolvers.my_orders, connection(Order), who=AUTHENTICATED)
    orders = query(resolvers.all_orders, connection(Order), who=SEES)
    seller_orders = query(resolvers.seller_orders, connection(SubOrder), who=authenticated("orders.read"))
    track_order = query(resolvers.track_order, OrderTracking | None, who=PUBLIC)
    order_events = query(resolvers.order_events, connection(OrderEvent), who=SEES)


STATE = [InvalidStateTransition]
RETURNING = [InvalidStateTransition, domain.NotReturnable]


@strawberry.type
class OrderMutation:
    update_order_status = command(resolvers.update_order_status, Order, errors=STATE, who=UPDATES)
    request_return = command(
        resolvers.request_return, Order, errors=[*RETURNING, domain.ReturnWindowClosed], who=AUTHENTICATED
    )
    accept_return = command(resolvers.accept_return, Order, errors=RETURNING, who=UPDATES, key_required=True)
    reject_return = command(resolvers.reject_return, Order, errors=STATE, who=UPDATES)
    reorder = command(
        resolvers.reorder,
        Cart,
        errors=[NothingToReorder, InsufficientStock, CurrencyMismatch, CartFull, CartClosed, CartExpired],
        who=AUTHENTICATED,
    )


@strawberry.type(description="How an order stands; follow on after the cursor.")
class OrderStatusChanged:
    __reads__ = (resolvers.OrderChange,)

    cursor: str
    order: Order


@strawberry.type(description="What a store has to do for an order that was placed; follow on after the cursor.")
class NewStoreOrder:
    __reads__ = (resolvers.StoreOrder,)

    cursor: str
    sub_orders: list[SubOrder]


@strawberry.type
class OrderSubscription:
    order_status_changed = feed(resolvers.order_status_changed, OrderStatusChanged, who=AUTHENTICATED)
    new_store_orders = feed(resolvers.new_store_orders, NewStoreOrder, who=SEES)
