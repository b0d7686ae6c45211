"""Identity in PostgreSQL: tables and mappings, ports for change, batch reads, and what is thrown away."""

from data.identity import api_keys, changes, expiry, factor_tables, factors, privacy, reads, sign_on, tables

__all__ = ["api_keys", "changes", "expiry", "factor_tables", "factors", "privacy", "reads", "sign_on", "tables"]
