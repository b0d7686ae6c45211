"""Changes: one handler, one transaction, with its events and its idempotency record."""

from collections.abc import Awaitable, Callable
from functools import cache
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_type_hints

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from data.database import Database, enter
from data.event_log import EventStore, append
from data.idempotency import Claim
from data.kernel import PORTS, REFUSALS
from domain.kernel import Aggregate, ConcurrentModification, TenantReadOnly, Work

C = TypeVar("C")
R = TypeVar("R")
P = ParamSpec("P")
ATTEMPTS = 4
# Serialization failure and deadlock: PostgreSQL says itself that the transaction may be tried again.
_TRANSIENT = frozenset({"40001", "40P01"})


class SqlTransactions:
    """Runs handlers on PostgreSQL; implements the domain's `Transactions`."""

    def __init__(self, database: Database, services: dict[type, Any] | None = None) -> None:
        self._database = database
        self._services = services or {}

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
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return cast("R", await self._attempt(handler, command, work, idempotency_key))
            except StaleDataError as error:
                raise ConcurrentModification(kind=_subject(handler), id=_id_of(command)) from error
            except IntegrityError as error:
                raise _refusal(error) from error
            except DBAPIError as error:
                if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) not in _TRANSIENT:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _attempt(self, handler: Any, command: Any, work: Work, key: str | None) -> Any:
        operation, hints, kind = _shape(handler)
        async with self._database.sessions() as session, session.begin():
            user = str(work.actor.user_id or "")
            settings = {"user_id": user, "correlation_id": work.correlation_id}
            if not await enter(session, work.tenant_id, settings):
                raise TenantReadOnly(tenant_id=str(work.tenant_id))
            claim = Claim(session, key, operation, command, work) if key else None
            if claim is not None:
                found, answer = await claim.stored(kind)
                if found:
                    return answer
            result = await handler(command, **{name: self._inject(hint, session, work) for name, hint in hints})
            await self._save(session, work)
            if claim is not None:
                await claim.store(result)
            return result

    def _inject(self, hint: type, session: AsyncSession, work: Work) -> Any:
        if hint is Work:
            return work
        if hint in self._services:
            return self._services[hint]
        return PORTS[hint](session)

    @staticmethod
    async def _save(session: AsyncSession, work: Work) -> None:
        # Deleted aggregates leave the session at the flush, hence they are remembered before it.
        changed = [each for each in (*session.new, *session.deleted, *session) if isinstance(each, Aggregate)]
        await session.flush()
        await append(session, dict.fromkeys(changed), work)
        await EventStore(session).save(work)


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


def _refusal(error: IntegrityError) -> Exception:
    cause = getattr(error.orig, "__cause__", None)
    refusal = REFUSALS.get(getattr(cause, "constraint_name", None) or "")
    return refusal(getattr(cause, "detail", None) or "") if refusal else error


def _subject(handler: Callable[..., Any]) -> str:
    kind = _shape(handler)[2]
    return getattr(kind, "__name__", "Object")


def _id_of(command: Any) -> str:
    return str(getattr(command, "id", ""))
