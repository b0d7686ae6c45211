"""Delivery: zones, drivers, routes and what can be followed on its way to the door."""

from domain.delivery.topics import delivery_topic, dispatch_topic, driver_signal, order_deliveries_topic

__all__ = ["delivery_topic", "dispatch_topic", "driver_signal", "order_deliveries_topic"]
