"""What runs durable jobs and timers: procrastinate, in the same PostgreSQL as everything else.

It polls for due jobs instead of listening: NOTIFY would put all commits in one line. Only workers hold the library.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job as QueuedJob
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import SYSTEM_ROLE, asyncpg_url
from data.inbox import mark
from data.transactions import SqlTransactions
from domain import tracing
from domain.jobs import Job
from domain.kernel import SYSTEM, Principal, Work
from domain.tracing import TRACEPARENT

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
CONCURRENCY = 4
GRACE_SECONDS = 20.0
STALLED_AFTER_SECONDS = 60
LONGEST_PAUSE_SECONDS = 900


class Patience(BaseRetryStrategy):
    """Try a failed job again after pauses that double, with jitter, up to a number of attempts."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision | None:  # noqa: ARG002 — procrastinate's signature.
        if job.attempts + 1 >= self.attempts:
            return None
        whole = min(LONGEST_PAUSE_SECONDS, 2 ** min(job.attempts, 10))
        return RetryDecision(retry_in={"milliseconds": int(whole * random.uniform(500, 1000))})  # noqa: S311 — jitter.


class JobRunner:
    """Runs the jobs of all tenants, and on a schedule the platform's own."""

    def __init__(
        self,
        url: str,
        transactions: SqlTransactions,
        jobs: Sequence[Job],
        schedule: Mapping[str, tuple[str, Callable[[], Awaitable[None]]]] | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._transactions = transactions
        self._now = now
        self._poll_seconds = poll_seconds
        options = f"-c search_path=jobs -c role={SYSTEM_ROLE} -c application_name=agora-jobs"
        connector = PsycopgConnector(
            conninfo=asyncpg_url(url), kwargs={"options": options}, min_size=1, max_size=CONCURRENCY, timeout=10
        )
        self.app = App(connector=connector)
        for job in jobs:
            self.app.task(name=job.name, pass_context=True, retry=Patience(job.attempts))(self._runner(job))
        chores = {"platform.revive_jobs": ("* * * * *", self._revive), **(schedule or {})}
        for name, (cron, chore) in chores.items():
            self.app.periodic(cron=cron)(self.app.task(name=name, queueing_lock=name)(_scheduled(name, chore)))

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until told to stop; jobs that have begun get some time to end."""
        async with self.app.open_async():
            worker = asyncio.create_task(
                self.app.run_worker_async(
                    concurrency=CONCURRENCY,
                    listen_notify=False,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=self._poll_seconds,
                    shutdown_graceful_timeout=GRACE_SECONDS,
                    delete_jobs="successful",
                )
            )
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not worker.done():
                worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker

    def _runner(self, job: Job) -> Callable[..., Awaitable[None]]:
        async def run(
            context: JobContext,
            payload: dict[str, Any],
            tenant_id: str,
            user_id: str | None = None,
            correlation_id: str = "",
        ) -> None:
            tenant = UUID(tenant_id)
            actor = Principal(
                user_id=UUID(user_id) if user_id else None,
                tenant_id=tenant,
                roles=SYSTEM.roles,
                permissions=SYSTEM.permissions,
            )
            origin = payload.pop(TRACEPARENT, None)
            work = Work(tenant_id=tenant, actor=actor, now=self._now(), correlation_id=correlation_id)
            job_id = UUID(int=context.job.id or 0)

            async def steps(session: AsyncSession, _writable: bool) -> None:
                # A worker that dies after this commit leaves a job that looks undone; the mark says that it is not.
                if await mark(session, f"job {job.name}", job_id, tenant):
                    await self._transactions.perform(session, job.handler, payload, work)

            told = {"messaging.operation.type": "process", "agora.tenant.id": tenant_id}
            with (
                tracing.followed_from(f"job {job.name}", [origin], told),
                structlog.contextvars.bound_contextvars(
                    correlation_id=correlation_id, tenant_id=tenant_id, job=job.name
                ),
            ):
                await self._transactions.transaction(steps, work)

        return run

    async def _revive(self) -> None:
        """Hand jobs of workers that died back to the queue."""
        manager = self.app.job_manager
        for each in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
            log.warning("jobs.revived", job=each.task_name, job_id=each.id)
            await manager.retry_job(each)


def _scheduled(name: str, chore: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def run(timestamp: int) -> None:  # noqa: ARG001 — procrastinate says for which minute it runs.
        with tracing.followed_from(f"job {name}", [], {}), structlog.contextvars.bound_contextvars(job=name):
            await chore()

    return run
