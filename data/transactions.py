"""Changes: one handler, one transaction, with its events and its idempotency record."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_type_hints

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from data.database import CHANGED, Database, enter
from data.direct import NotBegun, violated
from data.event_log import EventStore
from data.idempotency import Claim
from data.kernel import PORTS, REFUSALS, unstorable
from data.outages import DATABASE, is_outage
from data.saving import save_changed
from data.writes import send
from domain import tracing
from domain.kernel import ConcurrentModification, DomainError, TenantReadOnly, Unavailable, Work

C = TypeVar("C")
R = TypeVar("R")
P = ParamSpec("P")


@dataclass(frozen=True)
class Commanded:
    """A command that was run, for those who count: by what handles it, and done, refused or failed."""

    handler: str
    outcome: str


def _unobserved(_command: Commanded) -> None:
    """Nobody counts."""


Steps = Callable[[AsyncSession, bool], Awaitable[R]]
ATTEMPTS = 4
PAUSE_SECONDS = 0.02
# Serialization failure and deadlock: PostgreSQL says itself that the transaction may be tried again.
_TRANSIENT = frozenset({"40001", "40P01"})


class SqlTransactions:
    """Runs handlers on PostgreSQL; implements the domain's `Transactions`."""

    def __init__(
        self,
        database: Database,
        services: dict[type, Any] | None = None,
        *,
        observe: Callable[[Commanded], None] = _unobserved,
    ) -> None:
        self._database = database
        self._observe = observe
        self._services = services or {}

    def offer(self, services: dict[type, Any]) -> None:
        """Let handlers ask for these services by their ports, beside what the database implements."""
        self._services = services

    async def run(
        self,
        handler: Callable[Concatenate[C, P], Awaitable[R]],
        command: C,
        work: Work,
        *,
        idempotency_key: str | None = None,
    ) -> R:
        """Run a handler, commit what it did, and give what it gave.

        Raises: DomainError; TenantReadOnly, ConcurrentModification and IdempotencyKeyReused besides the handler's own.
        """

        async def steps(session: AsyncSession, writable: bool) -> Any:
            if not writable and not getattr(handler, "also_when_suspended", False):
                raise TenantReadOnly(tenant_id=str(work.tenant_id))
            if idempotency_key is None:
                return await self.perform(session, handler, command, work)
            operation, _, kind = _shape(handler)
            claim = Claim(session, idempotency_key, operation, command, work)
            found, answer = await claim.stored(kind)
            if not found:
                answer = await self.perform(session, handler, command, work)
                claim.store(answer)
            return answer

        name = _shape(handler)[0]
        try:
            with tracing.span(f"transact {name.rpartition('.')[2]}", {"code.function.name": name}):
                result = cast("R", await self.transaction(steps, work))
        except Exception as error:
            problem = _translated(error, handler, command)
            self._observe(Commanded(name, "refused" if isinstance(problem, DomainError) else "failed"))
            if problem is error:
                raise
            raise problem from error
        self._observe(Commanded(name, "done"))
        return result

    async def transaction(self, steps: Steps[R], work: Work) -> R:
        """Run steps `(session, may the tenant be changed)` in one transaction of the work's tenant; again after a deadlock.

        Raises: Unavailable when the server cannot be reached, or is lost on the way: then nobody knows whether it has
            committed, and asking again under the same idempotency key tells.
        """
        settings = {"user_id": str(work.actor.user_id or ""), "correlation_id": work.correlation_id}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._database.sessions() as session, session.begin():
                    writable = await enter(session, work.tenant_id, settings)
                    result = await steps(session, writable)
                    await send(session)
                    return result
            except DBAPIError as error:
                if attempt == ATTEMPTS or not _may_be_repeated(error):
                    if refusal := _told_of(error):
                        raise refusal from error
                    raise
            # Those who have just collided should not come back in step.
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * attempt))  # noqa: S311 — spreads load, guards nothing.
        raise AssertionError("the loop returns or raises")

    async def perform(self, session: AsyncSession, handler: Callable[..., Awaitable[R]], command: Any, work: Work) -> R:
        """Call a handler with its ports on an open transaction, and save what it changed with its events at the latest when it commits."""
        hints = _shape(handler)[1]
        await send(session)
        result = await handler(command, **{name: self._inject(hint, session, work) for name, hint in hints})
        await self._save(session, work)
        return result

    def _inject(self, hint: type, session: AsyncSession, work: Work) -> Any:
        if hint is Work:
            return work
        if hint in self._services:
            return self._services[hint]
        return PORTS[hint](session)

    @staticmethod
    async def _save(session: AsyncSession, work: Work) -> None:
        await save_changed(session)
        EventStore(session).save(work, session.info.pop(CHANGED, {}).values())


@cache
def _shape(handler: Callable[..., Any]) -> tuple[str, tuple[tuple[str, type], ...], Any]:
    """Give a handler's name, its injected parameters (all but the first) and what it gives."""
    hints = get_type_hints(handler)
    injected = list(signature(handler).parameters)[1:]
    return (
        f"{handler.__module__}.{handler.__qualname__}",
        tuple((name, hints[name]) for name in injected),
        hints.get("return"),
    )


def _may_be_repeated(error: DBAPIError) -> bool:
    # What has not begun, on a connection that died while nobody used it, can be begun on another.
    return isinstance(error, NotBegun) or getattr(error.orig, "sqlstate", None) in _TRANSIENT


def _told_of(error: DBAPIError) -> DomainError | None:
    if is_outage(error):
        return Unavailable(part=DATABASE)
    return unstorable(getattr(error.orig, "sqlstate", None))


def _translated(error: Exception, handler: Callable[..., Any], command: Any) -> Exception:
    """Give the refusal that a failure of the database stands for, or the failure itself."""
    if isinstance(error, StaleDataError):
        return ConcurrentModification(kind=_subject(handler), id=_id_of(command))
    return _refusal(error) if isinstance(error, IntegrityError) else error


def _refusal(error: IntegrityError) -> Exception:
    refusal = REFUSALS.get(violated(error))
    return refusal(getattr(getattr(error.orig, "__cause__", None), "detail", None) or "") if refusal else error


def _subject(handler: Callable[..., Any]) -> str:
    kind = _shape(handler)[2]
    return getattr(kind, "__name__", "Object")


def _id_of(command: Any) -> str:
    return str(getattr(command, "id", ""))
