"""Deliveries in PostgreSQL."""

from data.delivery.changes import (
    SqlCarrierScans,
    SqlDeliveries,
    SqlDeliveryBatches,
    SqlDeliveryPromises,
    SqlDeliverySlots,
    SqlDeliveryZones,
    SqlDrivers,
    SqlShippingMethods,
)
from data.delivery.legs import RememberedLegs
from data.delivery.position_log import BufferedPositionLog
from data.delivery.reads import SqlDeliveryReads, SqlDispatchReads, SqlOfferingReads
from data.delivery.tables import batch, delivery, driver, method, position, promise, scan, slot, zone

__all__ = [
    "BufferedPositionLog",
    "RememberedLegs",
    "SqlCarrierScans",
    "SqlDeliveries",
    "SqlDeliveryBatches",
    "SqlDeliveryPromises",
    "SqlDeliveryReads",
    "SqlDeliverySlots",
    "SqlDeliveryZones",
    "SqlDispatchReads",
    "SqlDrivers",
    "SqlOfferingReads",
    "SqlShippingMethods",
    "batch",
    "delivery",
    "driver",
    "method",
    "position",
    "promise",
    "scan",
    "slot",
    "zone",
]
