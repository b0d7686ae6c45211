"""Reads and changes across all tenants, as the platform's role."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast
from uuid import UUID

from data.database import Database, Reads
from data.transactions import SqlTransactions, Steps
from domain.kernel import Work

T = TypeVar("T")
R = TypeVar("R")


class PlatformTransactions(SqlTransactions):
    """Runs handlers outside every tenant; events and idempotency keys keep the tenant that the work names."""

    async def transaction(self, steps: Steps[R], work: Work) -> R:
        # A transaction entered without a tenant is the platform's own.
        return await super().transaction(steps, replace(work, tenant_id=cast("UUID", None)))


class PlatformReads(Reads):
    """Reads that see every tenant; each statement has a snapshot of its own, so nobody has to end one."""

    async def text(self, statement: str, *arguments: Any) -> list[Any]:
        try:
            return await super().text(statement, *arguments)
        finally:
            await self.close()


class SqlPlatform:
    """Implements the domain's `Platform`."""

    def __init__(self, database: Database, services: Mapping[type, Any] | None = None) -> None:
        self._database = database
        self.transactions = PlatformTransactions(database, dict(services or {}))

    def read(self, port: type[T]) -> T:
        return PlatformReads(self._database.snapshots, None, system=True).port(port)
