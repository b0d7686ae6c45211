"""What orders hold about people."""

from data.orders.carts import cart, cart_share
from data.orders.tables import order, order_line, sub_order
from data.personal import Category, blanked, erased, kept, legal_hold, neutral

CUSTOMER = "customer_id = $1"
OPEN = "state NOT IN ('completed', 'cancelled', 'partially_returned', 'returned')"
_BOOKS = "invoices and orders are evidence for taxes"
_ADDRESS = """jsonb_strip_nulls(jsonb_build_object(
  'street_line1', '[erased]', 'city', '[erased]', 'province', address -> 'province', 'country', address -> 'country'))"""
_RETURNS = """(SELECT coalesce(jsonb_agg(each || '{"reason": "[erased]"}'), '[]') FROM jsonb_array_elements(returns) AS each)"""

erased(
    cart_share,
    "cart_id IN (SELECT id FROM orders.cart WHERE tenant_id = :tenant AND customer_id = $1)",
    token_hash=Category.SECRET,
)
erased(cart, CUSTOMER, token_hash=Category.SECRET, lines=Category.BEHAVIOUR, checkout=Category.LOCATION)
blanked(
    order,
    CUSTOMER,
    {
        "guest_email": (Category.CONTACT, "NULL"),
        "notes": (Category.WORDS, "NULL"),
        "address": (Category.LOCATION, f"CASE WHEN jsonb_typeof(address) = 'object' THEN {_ADDRESS} ELSE address END"),
        "returns": (Category.WORDS, _RETURNS),
    },
    reason=_BOOKS,
    years=10,
)
kept(
    order_line,
    'order_id IN (SELECT id FROM orders."order" WHERE tenant_id = :tenant AND customer_id = $1)',
    reason=_BOOKS,
    years=10,
    name=Category.BEHAVIOUR,
)
kept(sub_order, "seller_id = $1", reason=_BOOKS, years=10)
neutral(order, "cancel_reason")
neutral(order_line, "variant_name")

legal_hold(
    "orders",
    "an order is on its way",
    f'SELECT FROM orders."order" WHERE tenant_id = :tenant AND customer_id = $1 AND {OPEN}',
)
legal_hold(
    "orders",
    "a sale has to be delivered",
    f"SELECT FROM orders.sub_order WHERE tenant_id = :tenant AND seller_id = $1 AND {OPEN}",
)
