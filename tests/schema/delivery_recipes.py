"""What the fields of delivery are called with."""

from typing import Any

from tests.schema.keys import SKU, STORE, USER, Key, taking

DELIVERY, BATCH, SLOT, ZONE = Key("delivery"), Key("delivery_batch"), Key("delivery_slot"), Key("delivery_zone")
ORDER = Key("order")
SPELL = {"starts": "06:00", "ends": "07:00", "capacity": 1}
TOLD = {"at": "2026-03-14T15:00:00Z", "latitude": 45.42, "longitude": -75.69}
OTTAWA = {"country": "CA", "province": "ON", "postalCode": "K1A 0A1"}

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "delivery": {"id": DELIVERY},
    "deliveries": [
        {"filter": {"storeId": STORE}},
        {"filter": {"driverId": USER}},
        {"filter": {"orderId": ORDER}},
        {"filter": {"batchId": BATCH}},
    ],
    "trackDelivery": {"trackingNumber": Key("tracking_number")},
    "deliveryZones": {"storeId": STORE},
    "deliveryQuote": {"address": OTTAWA, "items": [{"sku": SKU, "storeId": STORE}]},
    "shippingMethods": {"storeId": STORE},
    "deliverySlots": {"storeId": STORE, "date": "2099-05-04"},
    "validateAddress": {"input": {"country": "CA", "street": ["1 Main Street"], "city": "Ottawa"}},
    "deliveryBatches": {"storeId": STORE},
    "deliveryBatch": {"id": BATCH},
    "dispatchOverview": {"storeId": STORE},
    "onTimeRate": {"storeId": STORE, "since": "2026-01-01T00:00:00Z"},
    "createDeliveryZone": taking(storeId=STORE, name="North", currency="CAD", postalCodes=["K2*"]),
    "updateDeliveryZone": taking(id=ZONE, estimatedMinutes=50),
    "updateZoneBoundaries": taking(id=ZONE, postalCodes=["K1A*"]),
    "createShippingMethod": taking(storeId=STORE, name="Van", currency="CAD", feeMinor=9_000),
    "setShippingMethodActive": taking(id=Key("shipping_method"), isActive=True),
    "openDeliverySlots": taking(storeId=STORE, firstDay="2099-06-01", lastDay="2099-06-01", spells=[SPELL]),
    "resizeDeliverySlot": taking(id=SLOT, capacity=9),
    "createDelivery": taking(orderId=ORDER, subOrderId=Key("sub_order")),
    "assignDriver": taking(deliveryId=DELIVERY, driverId=USER),
    "unassignDriver": taking(deliveryId=DELIVERY),
    **{
        name: taking(id=DELIVERY)
        for name in ("pickUpDelivery", "startDelivery", "completeDelivery", "returnDelivery", "cancelDelivery")
    },
    "updateDeliveryLocation": taking(deliveryId=DELIVERY, positions=[TOLD]),
    "failDelivery": taking(id=DELIVERY, reason="REFUSED"),
    "scheduleDelivery": taking(id=DELIVERY, slotId=SLOT),
    "ingestCarrierTracking": taking(
        carrier="post", reference="P-1", scans=[{"scanId": "1", "status": "delivered", "at": "2026-03-14T15:00:00Z"}]
    ),
    "createDeliveryBatch": taking(storeId=STORE, deliveryIds=[DELIVERY]),
    "optimizeBatchRoute": taking(id=BATCH),
    "dispatchBatch": taking(id=BATCH, driverId=USER),
    "setDriverStatus": taking(status="AVAILABLE", storeId=STORE, driverId=USER),
    "deliveryUpdated": [{"deliveryId": DELIVERY}, {"orderId": ORDER}],
    "driverLocation": {"deliveryId": DELIVERY},
    "dispatchBoard": {"storeId": STORE},
    "trackingUpdated": {"trackingNumber": Key("tracking_number")},
}

_CHOSEN = {
    "delivery.methodIds": "of the stores' methods, which name nothing that a cart of the caller's does not",
    "delivery.slotIds": "see methodIds; a slot of another store is not found",
}
NOT_OWNED = {
    **{
        f"{field}.input.{path}": why
        for field in ("checkout", "checkoutPreview", "setCheckoutDelivery")
        for path, why in _CHOSEN.items()
    },
    "completeDelivery.input.code": "what the recipient says; it belongs to the delivery that is named",
    "ingestCarrierTracking.input.scans.scanId": "the carrier's own name for what it saw",
}
