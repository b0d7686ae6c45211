"""What payments hear of orders, and what they do by the clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.payment import Payments
from domain.payments.releasing import ReleaseEscrow, fall_due

WATCH = "payments.watch"
SCHEDULE = "payments.schedule_payouts"
# A checkout ends two hours after it began at the latest; what is pending then is pending for nobody.
PATIENCE = timedelta(hours=2)
_PAYOUT_TIME = time(6)
_HOUR = timedelta(hours=1)

subscriptions = Subscriptions("payments")
jobs = Jobs()


@subscriptions.on("order.created", batch=True)
async def on_orders_created(envelopes: Sequence[Envelope], queue: JobQueue) -> None:
    """Have somebody look, some hours later, what became of the payments; one job looks after an hour's orders."""
    for since in sorted({envelope.occurred_at.replace(minute=0, second=0, microsecond=0) for envelope in envelopes}):
        payload = {"since": since.isoformat()}
        await queue.defer(WATCH, payload, at=since + _HOUR + PATIENCE, key=f"{WATCH} {since.isoformat()}")


@subscriptions.on("order.completed")
async def on_order_completed(envelope: Envelope, work: Work, holds: EscrowHolds, ledger: Ledger) -> None:
    """Let the sellers have their money: the buyer has the goods and keeps them."""
    await fall_due(ReleaseEscrow(order_id=envelope.aggregate_id), work, holds, ledger)


@subscriptions.on("escrow.released")
async def on_escrow_released(envelope: Envelope, queue: JobQueue) -> None:
    """Pay sellers out on the morning after; of a tenant, one such job waits at a time."""
    await queue.defer(SCHEDULE, {}, at=_next_morning(envelope.occurred_at), key=SCHEDULE)


@jobs.on(WATCH)
async def watch_payments(payload: Mapping[str, Any], payments: Payments) -> None:
    """Raise the alarm for payments of which nobody knows what became."""
    since = datetime.fromisoformat(payload["since"])
    for payment in await payments.waiting(since, since + _HOUR):
        payment.raise_alarm()


def _next_morning(moment: datetime) -> datetime:
    morning = datetime.combine(moment.date(), _PAYOUT_TIME, tzinfo=moment.tzinfo)
    return morning if morning > moment else morning + timedelta(days=1)
