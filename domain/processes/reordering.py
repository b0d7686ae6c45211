"""Buying again what was bought before, as far as it is still to be had."""

from dataclasses import dataclass
from uuid import UUID

from domain.catalog import Skus
from domain.kernel import DomainError, Work
from domain.orders import Order, Orders, missing
from domain.orders.carts import Cart, Carts
from domain.processes.allocating import Shelves
from domain.processes.carting import AddToCart, NewCartLine, add_to_cart


@dataclass(eq=False)
class NothingToReorder(DomainError):
    """Nothing of an order is still to be had."""

    number: str
    template = "Nothing of order {number} is on sale and in stock any more."


@dataclass(frozen=True, kw_only=True)
class Reorder:
    """Put the goods of an earlier order into one's cart; what is no longer to be had is left out."""

    order_id: UUID


async def reorder(command: Reorder, work: Work, orders: Orders, skus: Skus, shelves: Shelves, carts: Carts) -> Cart:
    """Fill the caller's cart, at present prices.

    Raises: NotFound, NothingToReorder; what adding to a cart raises.
    """
    customer_id = work.actor.require_user()
    order = await orders.get(command.order_id)
    if order is None or order.customer_id != customer_id:
        raise missing(command.order_id)
    lines = await _available(order, skus, shelves)
    if not lines:
        raise NothingToReorder(number=order.order_number)
    return await add_to_cart(AddToCart(lines=lines), work, skus, shelves, carts)


async def _available(order: Order, skus: Skus, shelves: Shelves) -> list[NewCartLine]:
    units: dict[str, int] = {}
    for line in order.lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    offers = dict(zip(units, await skus.offers(list(units)), strict=True))
    fullest: dict[str, int] = {}
    for shelf in await shelves.of_skus(list(units)):
        fullest[shelf.sku] = max(fullest.get(shelf.sku, 0), shelf.available)
    # A store may have fewer than were bought then: better some than none.
    return [
        NewCartLine(sku=sku, quantity=min(wanted, fullest[sku]))
        for sku, wanted in units.items()
        if (offer := offers[sku]) is not None and offer.active and offer.price and fullest.get(sku, 0) > 0
    ]
