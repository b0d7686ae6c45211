"""Messaging in PostgreSQL."""

import data.messaging.changes
import data.messaging.exchange
import data.messaging.reads
import data.messaging.tables  # noqa: F401 — maps, and registers the ports.
