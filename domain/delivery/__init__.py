"""Delivery: zones, drivers, routes and what can be followed on its way to the door."""
