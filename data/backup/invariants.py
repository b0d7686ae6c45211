"""What must hold in every database of Agora at every instant, whatever was under way: each statement gives what contradicts it."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg

from data.database import APP_ROLE, SYSTEM_ROLE, asyncpg_url

INVARIANTS: dict[str, LiteralString] = {
    "every posting of the ledger balances": """
SELECT posting_id::text FROM payments.entry GROUP BY posting_id, currency HAVING sum(amount_minor) <> 0""",
    "the ledger balances to zero, by tenant and currency": """
SELECT tenant_id || ' ' || currency FROM payments.entry GROUP BY tenant_id, currency HAVING sum(amount_minor) <> 0""",
    "escrow is what the ledger says of it": """
SELECT seller_id::text FROM (SELECT tenant_id, seller_id, sum(amount_minor - refunded_minor - released_minor) AS held
  FROM payments.escrow_hold GROUP BY 1, 2) AS hold
WHERE held <> (SELECT -coalesce(sum(amount_minor), 0) FROM payments.entry
  WHERE entry.tenant_id = hold.tenant_id AND account = 'escrow:' || seller_id)""",
    "money set aside of a payment is that of its refunds under way": """
SELECT payment.id::text FROM payments.payment WHERE refunding_minor <> (SELECT coalesce(sum(amount_minor), 0)
  FROM payments.refund WHERE payment_id = payment.id AND refund.state IN ('pending', 'returned'))""",
    "stock is what its journal makes of where it began": """
SELECT stock.sku FROM inventory.stock_level AS stock
JOIN (SELECT tenant_id, store_id, sku, sum(quantity_change) AS change, array_agg(balance_after - quantity_change) AS before
  FROM inventory.journal GROUP BY 1, 2, 3) AS kept USING (tenant_id, store_id, sku)
WHERE stock.on_hand - change <> ALL (before)""",
    "nothing is oversold": """
SELECT sku FROM inventory.stock_level WHERE reserved > on_hand OR reserved < 0 OR on_hand < 0""",
    "reserved units are those of the reservations": """
SELECT sku FROM inventory.stock_level AS stock WHERE reserved <> (SELECT coalesce(sum(quantity - consumed), 0)
  FROM inventory.reservation AS held WHERE held.tenant_id = stock.tenant_id AND held.store_id = stock.store_id
  AND held.sku = stock.sku AND held.state = 'active')""",
    "an order's total is that of its parts": """
SELECT order_number FROM orders."order" AS placed
WHERE total_minor <> (SELECT sum(total_minor) FROM orders.sub_order WHERE order_id = placed.id)
OR subtotal_minor <> (SELECT sum(unit_minor * quantity) FROM orders.order_line WHERE order_id = placed.id)""",
    "a cart becomes one order at most": """
SELECT cart_id::text FROM orders."order" WHERE state <> 'cancelled' AND cart_id IS NOT NULL
GROUP BY cart_id HAVING count(*) > 1""",
    "what is paid was captured": """
SELECT order_number FROM orders."order" AS placed WHERE payment_status = 'paid' AND NOT EXISTS (
  SELECT FROM payments.payment WHERE order_id = placed.id AND state = 'captured' AND amount_minor = placed.total_minor)""",
    "the events of an aggregate have no gap": """
SELECT aggregate_type || ' ' || aggregate_id FROM platform.event_log GROUP BY aggregate_type, aggregate_id
HAVING count(*) <> max(version) - min(version) + 1""",
    "no event is handled that did not happen": """
SELECT handler || ' ' || event_id FROM platform.inbox WHERE handler NOT LIKE 'job %' AND handler NOT LIKE 'webhook.%' AND NOT EXISTS (
  SELECT FROM platform.event_log WHERE event_log.event_id = inbox.event_id)""",
    "the relay is not ahead of the log": """
SELECT sequence::text FROM platform.relay_cursor
WHERE sequence > (SELECT last_value FROM platform.event_log_sequence_seq) OR handled > sequence""",
}
_ISOLATED = """
SELECT relation.oid::regclass::text FROM pg_class AS relation
JOIN pg_attribute ON attrelid = relation.oid AND attname = 'tenant_id' AND NOT attisdropped
WHERE relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity AND EXISTS (
  SELECT FROM pg_policy WHERE polrelid = relation.oid))
"""
_POWERS = """
SELECT rolname FROM pg_roles AS role WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls OR EXISTS (
  SELECT FROM pg_class WHERE relowner = role.oid AND relkind IN ('r', 'p')))
"""
SHOWN = 5


def contradictions(url: str) -> Iterator[tuple[str, list[str]]]:
    """Check everything; gives each rule with the first few things that contradict it, of which there should be none."""
    with psycopg.connect(asyncpg_url(url)) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield "every tenant's table is isolated", [row[0] for row in connection.execute(_ISOLATED)][:SHOWN]
        roles = [APP_ROLE, SYSTEM_ROLE]
        yield "the application owns and bypasses nothing", [row[0] for row in connection.execute(_POWERS, [roles])]
        connection.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")
        for rule, statement in INVARIANTS.items():
            yield rule, [str(row[0]) for row in connection.execute(statement).fetchmany(SHOWN)]
