"""A store that delivers, driven through the graph."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.delivery import touring
from domain.kernel import Principal, uuid7
from domain.processes import delivering
from tests.delivery import DOOR, DOOR_AT, STORE_AT, Person, envelope, person, system_work

STATES = "id version state driverId trackingNumber"
ANSWER = f"{{ __typename ... on Delivery {{ {STATES} }} ... on Error {{ code message }} }}"


@dataclass
class Desk:
    """One store of the test's tenant with its people."""

    graph: Any
    services: Any
    tenant_id: UUID
    admin: Principal
    goods: Any
    people: dict[str, Person] = field(default_factory=dict)

    async def open(self) -> None:
        """Let the store sell and deliver."""
        store = {"id": self.goods.store, "deliveryEnabled": True, "pickupEnabled": True, "location": STORE_AT}
        await self.do("updateStore", "UpdateStore", store, "Store", "id")
        await self.do("activateStore", "ActivateStore", {"id": self.goods.store}, "Store", "id")
        stock = {"storeId": self.goods.store, "sku": self.goods.sku, "change": 1_000}
        await self.do("adjustStock", "AdjustStock", stock, "StockLevel", "id")
        policy = {"reviewScore": 100, "rejectScore": 101}
        await self.do("updatePayoutPolicy", "UpdatePayoutPolicy", policy, "PayoutPolicy", "reviewScore")
        for name in ("driver", "other_driver"):
            self.people[name] = person(self.tenant_id, self.goods.store, "delivery.drive")
        self.people["dispatcher"] = person(self.tenant_id, self.goods.store, "delivery.dispatch", "delivery.manage")
        self.people["stranger"] = person(self.tenant_id, uuid7(), "delivery.dispatch", "delivery.manage")

    async def do(
        self, name: str, kind: str, given: dict[str, Any], answer: str, fields: str, who: Principal | None = None
    ) -> Any:
        """Call a mutation, and give what it answered."""
        document = (
            f"mutation($input: {kind}Input!, $key: String!) {{ {name}(input: $input, idempotencyKey: $key) {{ __typename "
            f"... on {answer} {{ {fields} }} ... on Error {{ code message }} }} }}"
        )
        result = await self.graph(document, {"input": given, "key": str(uuid7())}, principal=who or self.admin)
        assert not result.errors, result.errors
        return result.data[name]

    async def move(self, name: str, who: str | None = None, **given: Any) -> Any:
        """Call a mutation that answers with a delivery."""
        kind = name[0].upper() + name[1:]
        return await self.do(name, kind, given, "Delivery", STATES, self.people[who].principal if who else None)

    async def zone(self, **more: Any) -> Any:
        """Open a zone."""
        given = {"storeId": self.goods.store, "name": "Downtown", "currency": "CAD", "postalCodes": ["M5*"], **more}
        return await self.do("createDeliveryZone", "CreateDeliveryZone", given, "DeliveryZone", "id version")

    async def order(self, quantity: int = 1, **delivery: Any) -> Any:
        """Buy something, to be brought to the door."""
        given = {
            "lines": [{"sku": self.goods.sku, "quantity": quantity, "storeId": self.goods.store}],
            "address": DOOR,
            "paymentToken": "sbx_card_ok",
            **({"delivery": delivery} if delivery else {}),
        }
        document = """mutation($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
          __typename ... on Order { id deliveryFee { amountMinor } tax { amountMinor } total { amountMinor }
            subOrders { id state } } ... on Error { code message } } }"""
        result = await self.graph(document, {"input": given, "key": str(uuid7())})
        assert not result.errors, result.errors
        return result.data["checkout"]

    async def hear(self, name: str, aggregate_id: str, data: Any = None) -> None:
        """Let delivery hear of an event, as the worker would."""
        handler: Any = {
            "order.payment_received": delivering.deliver_order,
            "order.cancelled": delivering.call_deliveries_off,
            "delivery.started": delivering.bring_order_on,
            "delivery.delivered": delivering.bring_order_on,
        }[name]
        told = envelope(name, aggregate_id, self.tenant_id, data)
        await self.services.transactions.run(handler, told, system_work(self.tenant_id))

    async def delivery(self, **choice: Any) -> Any:
        """Buy something and have its delivery made."""
        order = await self.order(**(choice or DOOR_AT))
        assert order["__typename"] == "Order", order
        await self.hear("order.payment_received", order["id"])
        (made,) = await self.of_order(order["id"])
        return made | {"orderId": order["id"], "subOrderId": order["subOrders"][0]["id"]}

    async def of_order(self, order_id: str, fields: str = STATES, who: Principal | None = None) -> Any:
        """Give the deliveries of an order, as the order shows them."""
        document = f"query($id: ID!) {{ order(id: $id) {{ deliveries {{ {fields} }} }} }}"
        result = await self.graph(document, {"id": order_id}, principal=who or self.admin)
        assert not result.errors, result.errors
        return result.data["order"]["deliveries"]

    async def under_way(self, **choice: Any) -> Any:
        """Have a delivery on its way, with the driver."""
        made = await self.delivery(**choice)
        await self.report("driver", "AVAILABLE")
        await self.move("assignDriver", deliveryId=made["id"], driverId=self.people["driver"].id)
        started = await self.move("startDelivery", "driver", id=made["id"])
        return made | started

    async def report(self, who: str, status: str) -> Any:
        """Let a driver say what they do."""
        return await self.do(
            "setDriverStatus",
            "SetDriverStatus",
            {"status": status},
            "Driver",
            "userId status",
            self.people[who].principal,
        )

    async def batch(self, name: str, **given: Any) -> Any:
        """Call a mutation that answers with a tour."""
        kind = name[0].upper() + name[1:]
        return await self.do(name, kind, given, "DeliveryBatch", "id state requestedAt")

    async def plan(self, batch_id: str) -> None:
        """Find the best order, as a worker would."""
        await self._job(touring.optimise_batch, {"batch_id": batch_id})

    async def book(self, delivery_id: str) -> None:
        """Hand a parcel over to its carrier, as a worker would."""
        await self._job(touring.book_carrier, {"delivery_id": delivery_id})

    async def ingest(self, reference: str, scans: list[dict[str, Any]]) -> Any:
        """Tell what a carrier saw."""
        return await self.move("ingestCarrierTracking", carrier="post", reference=reference, scans=scans)

    async def _job(self, handler: Any, payload: dict[str, str]) -> None:
        await self.services.transactions.run(handler, payload, system_work(self.tenant_id))
