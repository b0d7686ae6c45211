"""One delivery on its way, so that there is something to follow: bought, assigned and driven through the domain."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.codec import fingerprint
from domain.delivery.commands import AssignDriver, StartDelivery, assign_driver, start_delivery
from domain.delivery.deliveries import Delivery
from domain.delivery.drivers import SetDriverStatus, set_driver_status
from domain.delivery.geography import Ping, Position
from domain.delivery.positions import Positions
from domain.delivery.states import DriverStatus, VehicleType
from domain.kernel import SYSTEM, DomainError, NotFound, Principal, Work, uuid7
from domain.orders import DeliveryAddress, Orders
from domain.payments.methods import MethodKind
from domain.processes.carting import NewCartLine
from domain.processes.checkout import CHECKOUT, Checkout, checkout_saga
from domain.processes.delivering import CreateDelivery, create_delivery
from domain.processes.shipping import DeliveryChoice
from server.services import Services

ADDRESS = DeliveryAddress(
    name="A demo buyer",
    street_line1="31 Sparrow Lane",
    city="Toronto",
    province="ON",
    postal_code="M5A 1S2",
    country="CA",
)
DOOR, DRIVER = (43.6560, -79.3640), (43.6498, -79.3802)
MOST_TRIES = 20


class DemoDelivery:
    """Brings the first goods that are in stock from a store to a buyer; `work` names the tenant."""

    def __init__(self, services: Services, work: Work) -> None:
        self._services = services
        self._work = work

    async def run(self, store_id: UUID, skus: Sequence[str], buyer_id: UUID, driver_id: UUID) -> None:
        """Have it on its way, unless there is a delivery for the buyer already."""
        order_id = await self._order(store_id, skus, buyer_id)
        part_id = await self._services.transactions.run(_first_part, order_id, self._work)
        wanted = CreateDelivery(
            order_id=order_id, sub_order_id=part_id, latitude=DOOR[0], longitude=DOOR[1], notes="Ring twice."
        )
        delivery = await self._services.transactions.run(create_delivery, wanted, self._work)
        await self._drive(delivery, store_id, driver_id)

    async def _drive(self, delivery: Delivery, store_id: UUID, driver_id: UUID) -> None:
        run, driver = self._services.transactions.run, self._as(driver_id)
        ready = SetDriverStatus(status=DriverStatus.AVAILABLE, vehicle_type=VehicleType.CARGO_BIKE, store_id=store_id)
        await run(set_driver_status, ready, driver)
        await run(assign_driver, AssignDriver(delivery_id=delivery.id, driver_id=driver_id), self._work)
        await run(start_delivery, StartDelivery(id=delivery.id), driver)
        if positions := self._services.by_port.get(Positions):
            seen = Ping(Position(*DRIVER), datetime.now(UTC) + timedelta(seconds=1))
            await positions.keep(self._work.tenant_id, driver_id, seen)

    async def _order(self, store_id: UUID, skus: Sequence[str], buyer_id: UUID) -> UUID:
        for sku in skus[:MOST_TRIES]:
            command = Checkout(
                lines=(NewCartLine(sku=sku, store_id=store_id),),
                address=ADDRESS,
                payment_method=MethodKind.CASH,
                delivery=DeliveryChoice(latitude=DOOR[0], longitude=DOOR[1], notes="Ring twice."),
            )
            saga = checkout_saga(command, self._as(buyer_id), f"demo {sku}", fingerprint(command))
            try:
                return (await self._services.sagas.start(CHECKOUT, saga)).id
            except DomainError:
                # Some goods of the demo are out of stock, and some are not for everybody.
                continue
        raise NotFound(kind="Product", id="in stock")

    def _as(self, user_id: UUID) -> Work:
        actor = Principal(user_id=user_id, tenant_id=self._work.tenant_id, permissions=SYSTEM.permissions)
        return replace(self._work, actor=actor, now=datetime.now(UTC), correlation_id=str(uuid7()))


async def _first_part(order_id: UUID, orders: Orders) -> UUID:
    order = await orders.get(order_id)
    assert order is not None  # noqa: S101 — its checkout has placed it.
    return order.sub_orders[0].id
