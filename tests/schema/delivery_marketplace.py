"""What a marketplace delivers: a zone, a method, slots, and a delivery with its tour."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.delivery.deliveries import Delivery
from domain.delivery.ports import Deliveries
from domain.kernel import AlreadyExists, Work


@dataclass(frozen=True, kw_only=True)
class Plant:
    """Have a delivery of an order, whatever became of the order."""

    order_id: UUID
    sub_order_id: UUID
    customer_id: UUID
    store_id: UUID


async def plant(command: Plant, work: Work, deliveries: Deliveries) -> Delivery:
    for made in await deliveries.of_order(command.order_id):
        # A worker that runs beside has heard of the order already.
        return made
    delivery = Delivery(
        tenant_id=work.tenant_id,
        **vars(command),
        order_number="ORD-1",
        address={"street_line1": "1 Main Street", "city": "Ottawa", "country": "CA"},
        latitude=45.42,
        longitude=-75.69,
        store_latitude=45.4,
        store_longitude=-75.7,
        currency="CAD",
        made_at=work.now,
    )
    delivery.create(work)
    deliveries.add(delivery)
    return delivery


async def delivered_in(market: Any) -> None:
    """Deliver something in a marketplace that has sold something, and keep what everything is called."""
    keys = market.keys
    store = {"storeId": keys["store"]}
    zone = await market.make("createDeliveryZone", **store, name="Centre", currency="CAD", postalCodes=["K1*"])
    method = await market.make("createShippingMethod", **store, name="By hand", currency="CAD")
    spells = [{"starts": "10:00", "ends": "12:00", "capacity": 5}]
    opened = await market.make("openDeliverySlots", **store, firstDay="2099-05-04", lastDay="2099-05-04", spells=spells)
    command = Plant(
        order_id=UUID(keys["order"]),
        sub_order_id=UUID(keys["sub_order"]),
        customer_id=UUID(keys["user"]),
        store_id=UUID(keys["store"]),
    )
    work = Work(tenant_id=market.tenant_id, actor=market.admin, now=datetime.now(UTC), correlation_id="marketplace")
    try:
        delivery = await market.services.transactions.run(plant, command, work)
    except AlreadyExists:
        delivery = await market.services.transactions.run(plant, command, work)
    batch = await market.make("createDeliveryBatch", **store, deliveryIds=[str(delivery.id)])
    await market.make("setDriverStatus", **store, status="OFFLINE")
    keys |= {
        "delivery_zone": zone["id"],
        "shipping_method": method["id"],
        "delivery_slot": opened["slots"][0]["id"],
        "delivery": str(delivery.id),
        "tracking_number": delivery.tracking_number,
        "delivery_batch": batch["id"],
    }
