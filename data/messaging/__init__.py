"""Messaging in PostgreSQL."""

from data.messaging import changes, exchange, reads, tables

__all__ = ["changes", "exchange", "reads", "tables"]
