"""Identity in PostgreSQL: tables and mappings, ports for change, batch reads, and what is thrown away."""

from data.identity import changes, expiry, privacy, reads, tables

__all__ = ["changes", "expiry", "privacy", "reads", "tables"]
