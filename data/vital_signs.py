"""Figures about the whole installation that only the database knows, for those who watch over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data.database import Database

_SIGNS = """
SELECT 'saga ' || state AS name, count(*)::float8 AS figure FROM platform.saga
WHERE state IN ('running', 'waiting', 'compensating') GROUP BY state
UNION ALL SELECT 'saga_age', coalesce(extract(epoch FROM now() - min(started_at)), 0)::float8 FROM platform.saga
WHERE state IN ('running', 'compensating')
UNION ALL SELECT 'job ' || status, count(*)::float8 FROM jobs.procrastinate_jobs
WHERE status IN ('todo', 'doing', 'failed') GROUP BY status
UNION ALL SELECT 'parked', count(*)::float8 FROM platform.event_retry
"""
_STUCK = "SELECT count(*) AS stuck FROM platform.saga WHERE state = 'stuck'"
SAGA_STATES = ("running", "waiting", "compensating")
JOB_STATES = ("todo", "doing", "failed")

# The database refuses whatever would break these, so a figure above zero means that something went around it.
_BOOKS: Mapping[str, str] = {
    "postings": """
SELECT count(*) AS wrong FROM (
  SELECT FROM payments.entry GROUP BY posting_id, currency HAVING sum(amount_minor) <> 0
) AS unbalanced
""",
    "currencies": """
SELECT count(*) AS wrong FROM (
  SELECT FROM payments.entry GROUP BY tenant_id, currency HAVING sum(amount_minor) <> 0
) AS unbalanced
""",
    "stock_levels": """
SELECT count(*) AS wrong FROM inventory.stock_level WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand
""",
    "reservations": """
SELECT count(*) AS wrong FROM inventory.stock_level AS level LEFT JOIN (
  SELECT tenant_id, store_id, sku, sum(quantity - consumed) AS held FROM inventory.reservation
  WHERE state = 'active' GROUP BY tenant_id, store_id, sku
) AS active USING (tenant_id, store_id, sku) WHERE level.reserved <> coalesce(active.held, 0)
""",
}


@dataclass(frozen=True, kw_only=True)
class VitalSigns:
    """Processes and jobs that are not at their end, by state; events that wait for another try; seconds of the oldest process."""

    sagas: Mapping[str, int] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    parked: int = 0
    oldest_saga_seconds: float = 0.0


async def vital_signs(database: Database) -> VitalSigns:
    """Count what is on its way; costs as much as there is of that."""
    reads = database.system_reads()
    try:
        found = {row.name: row.figure for row in await reads.text(_SIGNS)}
    finally:
        await reads.close()
    return VitalSigns(
        sagas={state: int(found.get(f"saga {state}", 0)) for state in SAGA_STATES},
        jobs={state: int(found.get(f"job {state}", 0)) for state in JOB_STATES},
        parked=int(found["parked"]),
        oldest_saga_seconds=found["saga_age"],
    )


async def stuck_sagas(database: Database) -> int:
    """Count the processes that were given up and wait for a person."""
    return await _counted(database, _STUCK, "stuck")


async def imbalances(database: Database) -> dict[str, int]:
    """Go through all books and count what does not add up in each; reads them whole."""
    return {book: await _counted(database, statement, "wrong") for book, statement in _BOOKS.items()}


async def _counted(database: Database, statement: str, column: str) -> int:
    reads = database.system_reads()
    try:
        (row,) = await reads.text(statement)
    finally:
        await reads.close()
    return int(row[column])
