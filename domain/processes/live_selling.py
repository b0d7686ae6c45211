"""Selling in live sessions: flash sales that belong to one, and orders that count as its sales."""

from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from domain.catalog import Skus
from domain.identity.users import Users
from domain.jobs import JobQueue
from domain.kernel import Envelope, InvalidInput, Subscriptions, Work
from domain.live.sales import LivePurchase, LivePurchases, SoldProduct
from domain.live.sessions import LiveSession, LiveSessions, run_by
from domain.orders import Order, Orders, OrderState
from domain.pricing import CreateFlashSale, FlashItemInput, FlashSales
from domain.processes.pricing import create_flash_sale

SHORTEST_SALE_SECONDS = 30
LONGEST_SALE_SECONDS = 2 * 60 * 60

subscriptions = Subscriptions("live")


@dataclass(frozen=True, kw_only=True)
class StartLiveFlashSale:
    """Sell a limited number of units of what a session shows at a low price, for some seconds or until the session ends."""

    session_id: UUID
    items: tuple[FlashItemInput, ...]
    duration_seconds: int = 600
    name: str | None = None
    per_customer: int | None = None


async def start_live_flash_sale(
    command: StartLiveFlashSale,
    work: Work,
    sessions: LiveSessions,
    sales: FlashSales,
    queue: JobQueue,
    skus: Skus,
    users: Users,
) -> LiveSession:
    """Start a flash sale in a session; whose goods one may sell cheaply is for pricing to say.

    Raises: NotFound, InvalidStateTransition, FlashSaleRunning, InvalidInput.
    """
    if not SHORTEST_SALE_SECONDS <= command.duration_seconds <= LONGEST_SALE_SECONDS:
        span = f"it lies between {SHORTEST_SALE_SECONDS} and {LONGEST_SALE_SECONDS:,}"
        raise InvalidInput(field="durationSeconds", reason=span)
    session = await run_by(work.actor, command.session_id, sessions)
    session.expect_sale([each.sku for each in command.items])
    wanted = CreateFlashSale(
        name=command.name or session.title,
        items=command.items,
        ends_at=work.now + timedelta(seconds=command.duration_seconds),
        per_customer=command.per_customer,
        live_session_id=session.id,
    )
    sale = await create_flash_sale(wanted, work, sales, queue, skus, users)
    session.start_sale(sale.id, sale.name, wanted.ends_at)
    return session


@subscriptions.on("order.paid", "order.cancelled", "order.refunded")
async def settle_live_sale(
    envelope: Envelope, orders: Orders, sessions: LiveSessions, purchases: LivePurchases
) -> None:
    """Let an order of a session count for what it is worth now; in whichever order the events come, the sum is the same."""
    order = await orders.lock(UUID(str(envelope.data["order_id"])))
    if order is None or order.live_session_id is None:
        return
    session = await sessions.lock(order.live_session_id)
    if session is None or order.placed_at is None or not session.took_place_at(order.placed_at):
        return
    known = await purchases.of_order(order.id)
    if known is None and envelope.name != "order.paid":
        # It was not paid yet as far as this is concerned; when it is, it is looked at as it stands then.
        return
    before = known or _purchase(order, session, counted_minor=0, counts=False)
    after = _present(before, order)
    await purchases.keep(after)
    same_currency = after.currency == session.currency
    session.count_sales(
        order.id,
        after.counts - before.counts,
        (after.counted_minor - before.counted_minor) if same_currency else 0,
    )


def _present(purchase: LivePurchase, order: Order) -> LivePurchase:
    """Give what a paid order is worth: nothing when it is off or all of it was given back."""
    left = 0 if order.state is OrderState.CANCELLED else order.total_minor - order.refunded_minor
    return replace(purchase, counted_minor=left, counts=left > 0)


def _buyer(order: Order) -> str:
    """Tell buyers apart; of a guest's address nothing more is kept here than that takes."""
    guest = sha256((order.guest_email or str(order.id)).lower().encode()).hexdigest()
    return str(order.customer_id) if order.customer_id else f"guest:{guest}"


def _purchase(order: Order, session: LiveSession, *, counted_minor: int, counts: bool) -> LivePurchase:
    return LivePurchase(
        order_id=order.id,
        tenant_id=order.tenant_id,
        session_id=session.id,
        buyer=_buyer(order),
        currency=order.currency,
        counted_minor=counted_minor,
        counts=counts,
        products=[
            SoldProduct(
                product_id=line.product_id, sku=line.sku, quantity=line.quantity, total_minor=line.total.amount_minor
            )
            for line in order.lines
        ],
    )
