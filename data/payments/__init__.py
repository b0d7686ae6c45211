"""Payments in PostgreSQL."""

from data.payments import changes, ledger, payouts, reads, tables

__all__ = ["changes", "ledger", "payouts", "reads", "tables"]
