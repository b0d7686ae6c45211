"""Bank transfers that are awaited: an order whose money does not come in time is called off."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.inventory import Reservations
from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.orders import CancelReason, Orders
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.methods import MethodKind
from domain.payments.payment import Payments, PaymentState
from domain.payments.policy import Policies
from domain.payments.refunds import Refunds
from domain.pricing import Allowances
from domain.processes.cancelling import call_off

GIVE_UP = "payments.give_up_transfer"

subscriptions = Subscriptions("payments")
jobs = Jobs()


@subscriptions.on("payment.authorized")
async def await_transfer(envelope: Envelope, payments: Payments, policies: Policies, queue: JobQueue) -> None:
    """Give the buyer as many days for a bank transfer as the tenant has settled."""
    payment = await payments.get(envelope.aggregate_id)
    if payment is None or payment.method_kind is not MethodKind.BANK_TRANSFER:
        return
    days = (await policies.current(payment.tenant_id)).transfer_days
    at = envelope.occurred_at + timedelta(days=days)
    await queue.defer(GIVE_UP, {"payment_id": str(payment.id)}, at=at, key=f"transfer {payment.id}")


@jobs.on(GIVE_UP)
async def give_up_transfer(
    payload: Mapping[str, Any],
    work: Work,
    orders: Orders,
    book: Reservations,
    allowances: Allowances,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> None:
    """Cancel an order whose transfer has not come, unless somebody has seen the money or called the order off."""
    known = await payments.get(UUID(payload["payment_id"]))
    # Everybody locks the order before its payments, so that whoever notes the money now comes before this or after it.
    order = None if known is None else await orders.lock(known.order_id)
    payment = None if known is None else await payments.lock(known.id)
    if order is None or payment is None or payment.state is not PaymentState.AUTHORIZED:
        return
    note = "the bank transfer did not arrive in time"
    reason = CancelReason.TRANSFER_NOT_RECEIVED
    await call_off(order, reason, note, work, book, allowances, payments, refunds, holds, ledger, queue)
