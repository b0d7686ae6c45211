"""Noticing carts that were forgotten, so that somebody may remind their owners.

Every change of a cart has a timer a day later; the changes of a quarter of an hour have one together, and it costs the
shopper's own request nothing, for it is set when the event is heard.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work, also_when_suspended
from domain.orders.cart_parts import ABANDONED_AFTER
from domain.orders.carts import Carts

ABANDON = "orders.abandon_carts"
AT_ONCE = 200
QUARTER = timedelta(minutes=15)

subscriptions = Subscriptions("orders")
jobs = Jobs()


@subscriptions.on(
    "cart.item_added",
    "cart.quantity_changed",
    "cart.item_removed",
    "cart.code_applied",
    "cart.code_removed",
    "cart.shared",
    "cart.reopened",
    batch=True,
)
async def watch_carts(envelopes: Sequence[Envelope], work: Work, queue: JobQueue) -> None:  # noqa: ARG001 — a handler's calling convention.
    """Have somebody look, a day later, whether the carts were touched again."""
    for due in sorted({due_after(envelope.occurred_at) for envelope in envelopes}):
        await queue.defer(ABANDON, {}, at=due, key=f"{ABANDON} {due.isoformat()}")


def due_after(moment: datetime) -> datetime:
    """Give the first quarter of an hour at which a cart that was last touched at that moment is forgotten."""
    forgotten = moment + ABANDONED_AFTER
    begun = forgotten.replace(minute=forgotten.minute - forgotten.minute % 15, second=0, microsecond=0)
    return begun + QUARTER


@jobs.on(ABANDON)
@also_when_suspended
async def abandon_carts(payload: Mapping[str, Any], work: Work, carts: Carts, queue: JobQueue) -> None:  # noqa: ARG001 — a job's calling convention.
    """Mark a portion of the carts that nobody has touched for a day; where there may be more, go on afterwards."""
    forgotten = await carts.idle_since(work.now - ABANDONED_AFTER, AT_ONCE)
    for cart in forgotten:
        cart.abandon(work.now)
    if len(forgotten) == AT_ONCE:
        await queue.defer(ABANDON, {})
