"""Search that goes on when the engine does not: another one answers until it is back."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from domain import tracing
from domain.search import (
    MAX_COMPLETIONS,
    CircuitBreaker,
    Completion,
    IndexState,
    IndexStatus,
    ProductChange,
    SearchDocument,
    SearchEngine,
    SearchRequest,
    SearchResult,
    SearchSettings,
    SearchUnavailable,
    Suggestions,
)
from domain.tracing import SpanKind

T = TypeVar("T")
log = structlog.get_logger(__name__)


class SecondChoice(Protocol):
    """What answers in an engine's place: it takes questions only, and belongs to whoever made it."""

    async def search(self, request: SearchRequest) -> SearchResult: ...

    async def autocomplete(
        self, tenant_id: UUID, prefix: str, limit: int = MAX_COMPLETIONS, language: str = ""
    ) -> list[Completion]: ...

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions: ...


@dataclass
class FallbackSearchEngine:
    """Implements `SearchEngine`: questions go to `secondary` while `primary` fails or is slow; writes go to `primary` alone.

    An answer that takes longer than `patience_seconds` counts as a failure. Refusals of a request are no failures.
    An index that nothing was ever written to may as well be lost, so what it does not find is looked for elsewhere.
    """

    primary: SearchEngine
    secondary: SecondChoice
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    patience_seconds: float = 2.0
    clock: Callable[[], float] = monotonic

    async def search(self, request: SearchRequest) -> SearchResult:
        result = await self._ask(lambda engine: engine.search(request))
        return result if result.total or not await self._is_blank() else await self.secondary.search(request)

    async def autocomplete(
        self, tenant_id: UUID, prefix: str, limit: int = MAX_COMPLETIONS, language: str = ""
    ) -> list[Completion]:
        found = await self._ask(lambda engine: engine.autocomplete(tenant_id, prefix, limit, language))
        if found or not await self._is_blank():
            return found
        return await self.secondary.autocomplete(tenant_id, prefix, limit, language)

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions:
        return await self._ask(lambda engine: engine.suggest(tenant_id, query, limit))

    async def upsert(self, documents: Sequence[SearchDocument]) -> None:
        await self.primary.upsert(documents)

    async def remove(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> None:
        await self.primary.remove(tenant_id, product_ids)

    async def update_partial(self, tenant_id: UUID, changes: Sequence[ProductChange]) -> list[UUID]:
        return await self.primary.update_partial(tenant_id, changes)

    async def rebuild(self, documents: AsyncIterable[SearchDocument]) -> int:
        return await self.primary.rebuild(documents)

    async def status(self) -> IndexStatus:
        """The primary's status, which says so while the secondary answers."""
        status = await self.primary.status()
        return status if self.breaker.is_closed else replace(status, reason=status.reason or "answered by the fallback")

    async def settings(self) -> SearchSettings:
        return await self.primary.settings()

    async def configure(self, settings: SearchSettings) -> None:
        await self.primary.configure(settings)

    async def close(self) -> None:
        await self.primary.close()

    async def _is_blank(self) -> bool:
        return self.breaker.is_closed and (await self.primary.status()).state is IndexState.EMPTY

    async def _ask(self, question: Callable[[SecondChoice], Awaitable[T]]) -> T:
        if not self.breaker.allows(self.clock()):
            return await question(self.secondary)
        try:
            with tracing.span("search", {"peer.service": "search"}, SpanKind.CLIENT):
                async with asyncio.timeout(self.patience_seconds):
                    answer = await question(self.primary)
        except (SearchUnavailable, TimeoutError) as problem:
            self.breaker.failed(self.clock())
            log.warning("search.fallback", reason=str(problem) or "timeout", failures=self.breaker.failures)
            return await question(self.secondary)
        self.breaker.succeeded()
        return answer
