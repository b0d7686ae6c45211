"""What runs sagas: the request that begins one, and a keeper in the worker for those that nobody runs any more."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from inspect import signature
from time import perf_counter
from typing import Any, get_type_hints

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from data.sagas import SagaHolds, SqlSagas
from data.transactions import SqlTransactions
from domain import tracing
from domain.codec import to_json
from domain.kernel import ConcurrentModification, DomainError, IdempotencyKeyReused, TenantReadOnly, Unavailable, Work
from domain.sagas import (
    HOLD,
    MOST_ATTEMPTS,
    Process,
    ProcessUnfinished,
    Saga,
    SagaState,
    Step,
    TooLate,
    Waiting,
)
from domain.tracing import TRACEPARENT

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 10.0
"""For how long a repeated request waits for the first one."""
POLL_SECONDS = 0.5
AT_ONCE = 20
LONGEST_PAUSE = timedelta(minutes=5)

CrashPoint = Callable[[str], None]


def _nothing(_point: str) -> None:
    """No crash is rehearsed here."""


def _unobserved(_kind: str, _outcome: str, _seconds: float) -> None:
    """Nobody counts."""


class _Overtaken(Exception):
    """Somebody else has moved the saga on."""


class Runner:
    """Runs sagas; implements the domain's `SagaRunner`.

    `crash_point` is called by name at every boundary of a step, `observe` with kind, outcome and seconds of each run that began here.
    """

    def __init__(
        self,
        transactions: SqlTransactions,
        holds: SagaHolds,
        services: Mapping[type, Any],
        processes: Sequence[Process],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        crash_point: CrashPoint = _nothing,
        observe: Callable[[str, str, float], None] = _unobserved,
    ) -> None:
        self._transactions = transactions
        self._holds = holds
        self._services = services
        self._processes = {each.kind: each for each in processes}
        self._now = now
        self._crash_point = crash_point
        self._observe = observe

    async def start(self, process: Process, saga: Saga) -> Saga:
        """Run a new saga; where its key is taken, wait for the one that has it.

        Raises: IdempotencyKeyReused; ProcessUnfinished; the DomainError that made it go back.
        """
        begun, saga.due_at = perf_counter(), self._now() + HOLD
        if (parent := tracing.traceparent()) is not None:
            saga.data[TRACEPARENT] = parent
        first = process.steps[0]

        async def begin(session: AsyncSession, writable: bool) -> Saga | None:
            if not writable:
                raise TenantReadOnly(tenant_id=str(saga.tenant_id))
            sagas = SqlSagas(session)
            earlier = await sagas.begin(saga)
            if earlier is None and not first.outside:
                await self._do_in(session, first, saga)
                saga.step = 1
                await sagas.note(saga)
                self._crash_point(f"{process.kind}.{first.name}.uncommitted")
            return earlier

        step, data = saga.step, dict(saga.data)
        try:
            earlier = await self._transactions.transaction(begin, saga.work(self._now()))
        except BaseException:
            saga.step, saga.data = step, data
            raise
        if earlier is not None:
            return await self._repeated(process, saga, earlier)
        self._crash_point(f"{process.kind}.{first.name}.done")
        ended = await self._go_on(process, saga)
        self._observe(process.kind, str(ended.state), perf_counter() - begun)
        return await self._answered(process, ended)

    async def take_up(self, saga: Saga) -> None:
        """Bring a saga further that nobody runs any more, or whose instant has come."""
        process = self._processes[saga.kind]
        if saga.attempts > MOST_ATTEMPTS:
            log.critical("saga.stuck", saga=str(saga.id), kind=saga.kind, step=saga.step, error=saga.error)
            await self._holds.give_up(saga, saga.error or "too many attempts")
        elif saga.state is SagaState.COMPENSATING:
            await self._go_back(process, saga)
        elif self._now() > saga.deadline:
            await self._refuse(process, saga, TooLate(kind=saga.kind))
        else:
            await self._go_on(process, saga)

    async def _go_on(self, process: Process, saga: Saga) -> Saga:
        if saga.state is SagaState.WAITING and not await self._move(saga, state=SagaState.RUNNING):
            return saga
        try:
            await self._do_steps(process, saga)
        except Waiting as waiting:
            # Asking whether it may go on is no failed attempt, however often it has to be asked.
            await self._move(saga, state=SagaState.WAITING, due_at=waiting.until, data=saga.data, attempts=0)
        except _Overtaken:
            return await self._present(saga)
        except (Unavailable, ConcurrentModification) as trouble:
            # It passes by itself, hence nothing is decided by it.
            await self._put_off(saga, trouble)
        except DomainError as refusal:
            return await self._refuse(process, saga, refusal)
        except Exception as error:
            log.exception("saga.interrupted", saga=str(saga.id), kind=saga.kind, step=saga.step)
            await self._put_off(saga, error)
        return saga

    async def _do_steps(self, process: Process, saga: Saga) -> None:
        for at in range(saga.step, len(process.steps)):
            step = process.steps[at]
            if step.needs and not saga.data.get(step.needs):
                continue
            self._crash_point(f"{process.kind}.{step.name}.begin")
            with tracing.span(f"step {process.kind}.{step.name}"):
                if step.outside:
                    await self._call(step.do, saga)
                else:
                    await self._in_transaction(process, at, saga)
            self._crash_point(f"{process.kind}.{step.name}.done")
        if saga.state is SagaState.RUNNING:
            await self._move(saga, step=len(process.steps), state=SagaState.DONE)

    async def _in_transaction(self, process: Process, at: int, saga: Saga) -> None:
        """Do a step together with the note that it is done; with the last one the saga is done."""
        step, known = process.steps[at], (saga.step, saga.state, dict(saga.data))
        state = SagaState.DONE if at + 1 == len(process.steps) else SagaState.RUNNING

        async def steps(session: AsyncSession, _writable: bool) -> None:
            # The tenant may have been suspended meanwhile; what it began is brought to an end all the same.
            sagas = SqlSagas(session)
            if not await sagas.move(saga, step=at + 1, state=state):
                raise _Overtaken
            await self._do_in(session, step, saga)
            if saga.data != known[2]:
                await sagas.note(saga)
            self._crash_point(f"{process.kind}.{step.name}.uncommitted")

        try:
            await self._transactions.transaction(steps, saga.work(self._now()))
        except BaseException:
            saga.step, saga.state, saga.data = known
            raise

    async def _refuse(self, process: Process, saga: Saga, refusal: DomainError) -> Saga:
        """Note why a saga goes back, then undo what it did."""
        told = {"code": refusal.code, **to_json(vars(refusal))}
        if not await self._move(saga, state=SagaState.COMPENSATING, refusal=told, data=saga.data):
            return await self._present(saga)
        log.info("saga.going_back", saga=str(saga.id), kind=saga.kind, step=saga.step, code=refusal.code)
        return await self._go_back(process, saga)

    async def _go_back(self, process: Process, saga: Saga) -> Saga:
        try:
            for step in reversed(process.steps):
                if step.undo is None:
                    continue
                self._crash_point(f"{process.kind}.{step.name}.undo")
                with tracing.span(f"undo {process.kind}.{step.name}"):
                    if step.outside:
                        await self._call(step.undo, saga)
                    else:
                        await self._undo_in_transaction(step, saga)
            await self._move(saga, state=SagaState.COMPENSATED)
        except Waiting as waiting:
            await self._holds.put_off(saga, waiting.until, str(waiting))
        except Exception as error:
            log.exception("saga.interrupted", saga=str(saga.id), kind=saga.kind, step=saga.step)
            await self._put_off(saga, error)
        return saga

    async def _undo_in_transaction(self, step: Step, saga: Saga) -> None:
        async def steps(session: AsyncSession, _writable: bool) -> None:
            assert step.undo is not None  # noqa: S101 — the caller has looked.
            await self._transactions.perform(session, step.undo, saga, saga.work(self._now()))

        await self._transactions.transaction(steps, saga.work(self._now()))

    async def _do_in(self, session: AsyncSession, step: Step, saga: Saga) -> None:
        await self._transactions.perform(session, step.do, saga, saga.work(self._now()))

    async def _call(self, action: Callable[..., Any], saga: Saga) -> None:
        work, wanted = saga.work(self._now()), _wanted(action).items()
        await action(saga, **{name: work if hint is Work else self._services[hint] for name, hint in wanted})

    async def _move(self, saga: Saga, **to: Any) -> bool:
        async def steps(session: AsyncSession, _writable: bool) -> bool:
            return await SqlSagas(session).move(saga, **to)

        return await self._transactions.transaction(steps, saga.work(self._now()))

    async def _present(self, saga: Saga) -> Saga:
        async def steps(session: AsyncSession, _writable: bool) -> Saga | None:
            return await SqlSagas(session).find(saga.id)

        return await self._transactions.transaction(steps, saga.work(self._now())) or saga

    async def _put_off(self, saga: Saga, error: Exception) -> None:
        pause = min(timedelta(seconds=2**saga.attempts), LONGEST_PAUSE)
        await self._holds.put_off(saga, self._now() + pause, repr(error))

    async def _repeated(self, process: Process, saga: Saga, earlier: Saga) -> Saga:
        if earlier.request_hash != saga.request_hash:
            raise IdempotencyKeyReused(key=saga.key.rpartition(":")[2])
        patience, pause = asyncio.get_running_loop().time() + PATIENCE_SECONDS, 0.02
        while earlier.state in {SagaState.RUNNING, SagaState.COMPENSATING}:
            if asyncio.get_running_loop().time() > patience:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
            earlier = await self._present(earlier)
        return await self._answered(process, earlier)

    async def _answered(self, process: Process, saga: Saga) -> Saga:
        """Give a saga that is done or waits.

        Raises: ProcessUnfinished; the DomainError that made it go back.
        """
        if saga.refusal is not None:
            raise process.refusal_of(saga)
        if saga.state in {SagaState.DONE, SagaState.WAITING}:
            return saga
        raise ProcessUnfinished(kind=process.kind, id=str(saga.id))


@cache
def _wanted(action: Callable[..., Any]) -> dict[str, Any]:
    """Say what an action wants beside its saga."""
    hints = get_type_hints(action)
    return {name: hints[name] for name in list(signature(action).parameters)[1:]}


class SagaKeeper:
    """A part of the worker: takes up the sagas that nobody runs, and those whose instant has come."""

    def __init__(self, runner: Runner, holds: SagaHolds, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._runner = runner
        self._holds = holds
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Keep until told to stop."""
        while not stop.is_set():
            due = await self._holds.take_due(datetime.now(UTC), AT_ONCE)
            await asyncio.gather(*map(self._take_up, due))
            if not due:
                try:
                    await asyncio.wait_for(stop.wait(), self._poll_seconds)
                except TimeoutError:
                    continue

    async def _take_up(self, saga: Saga) -> None:
        told = {"agora.saga.id": str(saga.id), "agora.tenant.id": str(saga.tenant_id)}
        with (
            tracing.followed_from(f"saga {saga.kind}", [saga.data.get(TRACEPARENT)], told),
            structlog.contextvars.bound_contextvars(
                correlation_id=saga.correlation_id, tenant_id=str(saga.tenant_id), saga=saga.kind
            ),
        ):
            try:
                await self._runner.take_up(saga)
            except Exception:
                log.exception("saga.not_taken_up", saga_id=str(saga.id))
