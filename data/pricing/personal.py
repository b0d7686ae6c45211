"""What pricing holds about people."""

from data.personal import Category, erased, kept, neutral
from data.pricing.tables import (
    allowance,
    customer_allowance,
    discount_code,
    discount_use,
    flash_sale,
    loyalty_account,
    loyalty_entry,
    loyalty_program,
    price_history,
    price_list,
    pricing_rule,
    promotion,
)

_BOOKS = "discounts are part of what was sold"

erased(loyalty_account, points=Category.BEHAVIOUR, tier=Category.BEHAVIOUR)
kept(
    loyalty_entry,
    "user_id = $1 OR performed_by = $1",
    reason=_BOOKS,
    years=10,
    points=Category.BEHAVIOUR,
)
kept(customer_allowance, "customer_id = $1", reason=_BOOKS, years=10)
kept(discount_use, "customer_id = $1", reason=_BOOKS, years=10, amount_minor=Category.MONEY)
kept(price_list, "customer_id = $1", reason="agreed prices belong to the seller's books", years=10)
kept(price_history, "changed_by = $1", reason="who set a price is evidence", years=10)
neutral(allowance, "label")
neutral(discount_code, "description", "seller_id")
neutral(flash_sale, "name", "seller_id")
neutral(loyalty_entry, "reason")
neutral(loyalty_program, "name")
neutral(price_history, "reason")
neutral(price_list, "name")
neutral(pricing_rule, "name", "seller_id")
neutral(promotion, "name", "description", "seller_id")
