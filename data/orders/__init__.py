"""Orders and carts in PostgreSQL."""

from data.orders.carts import SqlCartReads, SqlCarts, cart, cart_share
from data.orders.reads import SqlOrderReads
from data.orders.repository import SqlOrders
from data.orders.tables import order, order_line, sub_order

__all__ = [
    "SqlCartReads",
    "SqlCarts",
    "SqlOrderReads",
    "SqlOrders",
    "cart",
    "cart_share",
    "order",
    "order_line",
    "sub_order",
]
