"""One provider out of several: each reference goes to the provider that made it, and none is asked that does not answer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from domain import tracing
from domain.money import Money
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    CircuitState,
    ProviderHealth,
    ProviderOffer,
    ProviderRefused,
    ProviderUnreachable,
    RefundOutcome,
    TransferOutcome,
    UnsupportedPaymentMethod,
)
from domain.search import CircuitBreaker
from domain.tracing import SpanKind

T = TypeVar("T")
log = structlog.get_logger("agora.payments")

WINDOW_SECONDS = 300
REMEMBERED_CALLS = 1_000


class ProviderAdapter(Protocol):
    """One account with a provider, as the router knows it; see `PaymentProvider` for what is asked of it."""

    @property
    def name(self) -> str: ...

    @property
    def methods(self) -> Collection[str]:
        """The kinds of methods that it knows."""
        ...

    def accepts(self, method: str, method_token: str) -> bool: ...

    def owns(self, reference: str) -> bool:
        """Say whether a reference, or the destination of a transfer, is of this provider."""
        ...

    async def charge(self, request: ChargeRequest) -> ChargeOutcome: ...

    async def capture(self, reference: str, amount: Money, key: str) -> ChargeOutcome: ...

    async def void(self, reference: str, key: str) -> ChargeOutcome: ...

    async def refund(self, reference: str, amount: Money, key: str) -> RefundOutcome: ...

    async def transfer(
        self, destination: str, amount: Money, key: str, *, tenant_id: UUID | None = None
    ) -> TransferOutcome: ...

    async def find(self, key: str) -> ChargeOutcome | None: ...

    async def close(self) -> None: ...


class Accounts(Protocol):
    """Tenants' own accounts with providers."""

    def lend(self, tenant_id: UUID, provider: str) -> AbstractAsyncContextManager[ProviderAdapter | None]:
        """Give the adapter of a tenant's account for as long as it is used; None where the tenant has none."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class ProviderCall:
    """One question to a provider, for those who count: the outcome is answered, refused or unreachable."""

    provider: str
    operation: str
    outcome: str
    seconds: float


def unobserved(_call: ProviderCall) -> None:
    """Nobody counts."""


@dataclass
class _Line:
    """The line to one provider, with what happened on it lately."""

    adapter: ProviderAdapter
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    calls: deque[tuple[float, bool, float]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CALLS))
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None

    def state(self, now: float) -> CircuitState:
        if self.breaker.is_closed:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.breaker.retry_at else CircuitState.HALF_OPEN

    def health(self, now: float) -> ProviderHealth:
        recent = [(ok, seconds) for at, ok, seconds in self.calls if at > now - WINDOW_SECONDS]
        failures = sum(not ok for ok, _ in recent)
        ranked = sorted(seconds for _, seconds in recent)
        return ProviderHealth(
            provider=self.adapter.name,
            state=self.state(now),
            window_seconds=WINDOW_SECONDS,
            attempts=len(recent),
            failures=failures,
            success_rate=1 - failures / len(recent) if recent else None,
            p50_milliseconds=_percentile(ranked, 50),
            p95_milliseconds=_percentile(ranked, 95),
            p99_milliseconds=_percentile(ranked, 99),
            last_success_at=self.last_success_at,
            last_failure_at=self.last_failure_at,
        )


def _percentile(ranked: Sequence[float], percent: int) -> float | None:
    """Give what so many percent of the seconds do not exceed, in milliseconds."""
    return round(ranked[(len(ranked) * percent - 1) // 100] * 1000, 1) if ranked else None


class ProviderRouter:
    """Implements `PaymentProvider` and `ProviderDirectory` over several adapters, the preferred ones first.

    A provider that fails five times in a row is left alone for ten seconds; then one request at a time tries it again.
    A provider is chosen before its first request: never is a key that one provider may know given to another one.
    """

    def __init__(
        self,
        adapters: Sequence[ProviderAdapter],
        *,
        patience_seconds: float = 15.0,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observe: Callable[[ProviderCall], None] = unobserved,
        accounts: Accounts | None = None,
    ) -> None:
        self._lines = {adapter.name: _Line(adapter) for adapter in adapters}
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._now = now
        self._observe = observe
        self._accounts = accounts

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            for line in self._lines.values():
                stack.push_async_callback(line.adapter.close)
            if self._accounts is not None:
                stack.push_async_callback(self._accounts.close)

    def choose(self, method: str, method_token: str, without: Collection[str] = ()) -> str:
        able = self._able(method, method_token, without)
        now = self._clock()
        working = (line for line in able if line.state(now) is not CircuitState.OPEN)
        return next(working, able[0]).adapter.name

    def offers(self) -> Sequence[ProviderOffer]:
        adapters = (line.adapter for line in self._lines.values())
        return [ProviderOffer(provider=each.name, methods=tuple(sorted(each.methods))) for each in adapters]

    def health(self) -> Sequence[ProviderHealth]:
        now = self._clock()
        return [line.health(now) for line in self._lines.values()]

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        if request.provider is None:
            # Not the healthiest but always the same one: this key may have been there before.
            line = self._able(request.method, request.method_token)[0]
        else:
            line = self._named(request.provider)
        return await self._ask(line, "charge", lambda adapter: adapter.charge(request), request.account)

    async def capture(self, reference: str, amount: Money, key: str, *, account: UUID | None = None) -> ChargeOutcome:
        line = self._owner(reference)
        return await self._ask(line, "capture", lambda adapter: adapter.capture(reference, amount, key), account)

    async def void(self, reference: str, key: str, *, account: UUID | None = None) -> ChargeOutcome:
        return await self._ask(self._owner(reference), "void", lambda adapter: adapter.void(reference, key), account)

    async def refund(self, reference: str, amount: Money, key: str, *, account: UUID | None = None) -> RefundOutcome:
        line = self._owner(reference)
        return await self._ask(line, "refund", lambda adapter: adapter.refund(reference, amount, key), account)

    async def transfer(
        self,
        destination: str,
        amount: Money,
        key: str,
        *,
        tenant_id: UUID | None = None,
        account: UUID | None = None,
    ) -> TransferOutcome:
        return await self._ask(
            self._owner(destination),
            "transfer",
            lambda adapter: adapter.transfer(destination, amount, key, tenant_id=tenant_id),
            account,
        )

    async def find(self, key: str, provider: str | None = None, *, account: UUID | None = None) -> ChargeOutcome | None:
        """Ask one provider for the charge under a key, or all of them.

        Raises: ProviderUnreachable when nothing was found and not everybody answered.
        """
        lines = list(self._lines.values()) if provider is None else [self._named(provider)]
        asked = [self._ask(line, "find", lambda adapter: adapter.find(key), account) for line in lines]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = next((each for each in answers if isinstance(each, ChargeOutcome)), None)
        trouble = next((each for each in answers if isinstance(each, BaseException)), None)
        if found is None and trouble is not None:
            raise trouble
        return found

    def _able(self, method: str, method_token: str, without: Collection[str] = ()) -> list[_Line]:
        asked = (line for name, line in self._lines.items() if name not in without)
        able = [line for line in asked if line.adapter.accepts(method, method_token)]
        if not able:
            raise UnsupportedPaymentMethod(method=method)
        return able

    def _named(self, name: str) -> _Line:
        if name not in self._lines:
            raise ProviderRefused(provider=name, reason="it is not set up")
        return self._lines[name]

    def _owner(self, reference: str) -> _Line:
        owner = next((line for line in self._lines.values() if line.adapter.owns(reference)), None)
        if owner is None:
            raise ProviderRefused(provider="none", reason=f"no provider that is set up knows {reference}")
        return owner

    async def _ask(
        self,
        line: _Line,
        operation: str,
        question: Callable[[ProviderAdapter], Awaitable[T]],
        account: UUID | None = None,
    ) -> T:
        if account is None or self._accounts is None:
            return await self._put(line, operation, question, line.adapter)
        # What is amiss with one tenant's account says nothing about the provider, so it is lent before that is judged.
        async with self._accounts.lend(account, line.adapter.name) as own:
            return await self._put(line, operation, question, own or line.adapter)

    async def _put(
        self,
        line: _Line,
        operation: str,
        question: Callable[[ProviderAdapter], Awaitable[T]],
        adapter: ProviderAdapter,
    ) -> T:
        name, begun = line.adapter.name, self._clock()
        if not line.breaker.allows(begun):
            raise ProviderUnreachable(part=name, outcome_unknown=False)
        try:
            with tracing.span(f"{name} {operation}", {"peer.service": name}, SpanKind.CLIENT):
                async with asyncio.timeout(self._patience_seconds):
                    answer = await question(adapter)
        except ProviderUnreachable as problem:
            self._failed(line, operation, begun, problem)
            raise
        except TimeoutError as problem:
            self._failed(line, operation, begun, problem)
            raise ProviderUnreachable(part=name, outcome_unknown=True) from problem
        except ProviderRefused:
            self._succeeded(line, operation, begun, "refused")
            raise
        self._succeeded(line, operation, begun, "answered")
        return answer

    def _succeeded(self, line: _Line, operation: str, begun: float, outcome: str) -> None:
        line.breaker.succeeded()
        line.last_success_at = self._now()
        self._note(line, ProviderCall(line.adapter.name, operation, outcome, self._clock() - begun), worked=True)

    def _failed(self, line: _Line, operation: str, begun: float, problem: Exception) -> None:
        line.breaker.failed(self._clock())
        line.last_failure_at = self._now()
        call = ProviderCall(line.adapter.name, operation, "unreachable", self._clock() - begun)
        self._note(line, call, worked=False)
        log.warning(
            "payments.provider_unreachable",
            provider=call.provider,
            operation=operation,
            reason=repr(problem.__cause__ or problem),
            failures=line.breaker.failures,
        )

    def _note(self, line: _Line, call: ProviderCall, *, worked: bool) -> None:
        line.calls.append((self._clock(), worked, call.seconds))
        self._observe(call)
