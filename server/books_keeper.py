"""A part of the worker: goes through the books every few minutes, and says what does not add up."""

import asyncio
from time import time

import structlog

from data.database import Database
from data.leases import Leases
from data.relay import pause
from data.vital_signs import imbalances, stuck_sagas
from server.metrics import METRICS, Metrics

log = structlog.get_logger("agora.books")

LEASE = "books"
CHECK_SECONDS = 300.0
STANDBY_SECONDS = 5.0


class BooksKeeper:
    """Checks the ledger and the stock of all tenants; of several workers one does."""

    def __init__(self, database: Database, metrics: Metrics = METRICS, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._database = database
        self._metrics = metrics
        self._check_seconds = check_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Check until told to stop."""
        async with Leases(self._database.url, "agora books") as leases:
            while not stop.is_set() and not await leases.take(LEASE):
                await pause(stop, STANDBY_SECONDS)
            while not stop.is_set() and not leases.lost.is_set():
                await self.check()
                await pause(stop, self._check_seconds)

    async def check(self) -> None:
        """Check once."""
        for book, wrong in (await imbalances(self._database)).items():
            self._metrics.imbalances.labels(book).set(wrong)
            if wrong:
                log.critical("books.imbalance", book=book, wrong=wrong)
        self._metrics.sagas.labels("stuck").set(await stuck_sagas(self._database))
        self._metrics.books_checked.set(time())
