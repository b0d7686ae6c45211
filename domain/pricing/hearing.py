"""What pricing does when it hears of orders, and of things that were used up."""

from uuid import UUID

from domain.kernel import Envelope, Subscriptions, Work
from domain.money import Money
from domain.pricing.allowances import Allowances
from domain.pricing.campaigns import Campaign, CampaignState
from domain.pricing.flash_sales import FlashSales
from domain.pricing.loyalty import Loyalty, PointsKind, account_of
from domain.pricing.promotions import Promotions

subscriptions = Subscriptions("pricing")


@subscriptions.on("order.completed")
async def earn_points(envelope: Envelope, work: Work, loyalty: Loyalty) -> None:
    """Credit the points for what the buyer paid and did not get back."""
    data = envelope.data
    customer, program = data.get("customer_id"), await loyalty.program()
    if customer is None or program is None:
        return
    order_id = envelope.aggregate_id
    account = await account_of(UUID(customer), work, loyalty)
    paid = Money(int(data["total_minor"]) - int(data.get("refunded_minor", 0)), str(data["currency"]))
    points = program.points_for(paid, account.tier)
    earned = await loyalty.earned(account.user_id, order_id)
    if not points or earned.points:
        return
    facts = {"order_id": order_id, "reference": str(order_id), "basis_minor": paid.amount_minor}
    await loyalty.enter(account.change(PointsKind.EARN, points, work, **facts))
    account.count(points, program)


@subscriptions.on("order.returned")
async def revoke_points(envelope: Envelope, work: Work, loyalty: Loyalty) -> None:
    """Take back the points that returned goods had brought; spent ones are let go, for a balance is never negative."""
    data = envelope.data
    customer, program = data.get("customer_id"), await loyalty.program()
    if customer is None or program is None:
        return
    order_id = envelope.aggregate_id
    account = await account_of(UUID(customer), work, loyalty)
    earned = await loyalty.earned(account.user_id, order_id)
    if not earned.points:
        return
    returned = int(data["amount_minor"])
    due = earned.due_for(returned)
    facts = {"order_id": order_id, "reference": str(data["return_id"]), "basis_minor": returned}
    await loyalty.enter(account.change(PointsKind.REVOKE, -min(due, account.points), work, **facts))
    account.count(-due, program)


@subscriptions.on("order.cancelled")
async def give_back(envelope: Envelope, allowances: Allowances) -> None:
    """Return what a cancelled order had used; it was given back already where the order's process could do so."""
    await allowances.give_back(envelope.aggregate_id)


@subscriptions.on("flash_sale.sold_out")
async def exhaust_flash_sale(envelope: Envelope, work: Work, sales: FlashSales) -> None:
    """Close a flash sale when the last unit of its last item went."""
    for sale, empty in await sales.of_items([UUID(envelope.data["item_id"])]):
        _set_exhausted(sale, work, exhausted=empty)


@subscriptions.on("pricing.discount_applied", "pricing.discount_returned")
async def turn_used_up(envelope: Envelope, work: Work, promotions: Promotions, sales: FlashSales) -> None:
    """Close promotions that are used up, and open again what an order gave back to."""
    data = envelope.data
    returned = envelope.name == "pricing.discount_returned"
    ids = data["source_ids"] if returned else [use["id"] for use in data["uses"] if use["kind"] == "promotion"]
    sources = [UUID(each) for each in ids]
    for promotion in await promotions.used_up(sources, exhausted=not returned) if sources else ():
        _set_exhausted(promotion, work, exhausted=not returned)
    for sale, empty in await sales.of_items(sources) if returned and sources else ():
        _set_exhausted(sale, work, exhausted=empty)


def _set_exhausted(campaign: Campaign, work: Work, *, exhausted: bool) -> None:
    campaign.turn(work.now)
    wanted, present = CampaignState.EXHAUSTED, CampaignState.ACTIVE
    if exhausted and campaign.state is present:
        campaign.go_to(wanted)
    elif not exhausted and campaign.state is wanted:
        campaign.go_to(present)
