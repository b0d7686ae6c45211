"""Reads that are one snapshot for both executions, and that fail for chosen keys."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID
from zlib import crc32

from data.database import Reads
from domain.catalog import CategoryReads, ProductReads
from domain.inventory import StockReads
from domain.kernel import NotFound
from domain.orders import OrderReads
from domain.reviews import ReviewReads
from domain.tenancy import StoreReads

T = TypeVar("T")

FAILING: dict[type, frozenset[str]] = {
    OrderReads: frozenset({"lines", "parts", "history", "lines_of_parts"}),
    ProductReads: frozenset({"by_id", "by_sku", "variants_of", "variants_by_sku", "images_of", "by_category"}),
    CategoryReads: frozenset({"by_id", "children", "lines", "schemas", "product_counts"}),
    ReviewReads: frozenset({"ratings", "by_product"}),
    StockReads: frozenset({"by_product", "by_sku"}),
    StoreReads: frozenset({"by_id"}),
}
"""Methods that take keys and whose answers the resolvers hand on untouched, so that one key fails without the others."""


class Snapshot(Reads):
    """The reads of two executions: one transaction, which outlives what either of them cancels."""

    def __init__(self, pool: Any, tenant_id: UUID | None) -> None:
        super().__init__(pool, tenant_id)
        self._running: set[asyncio.Task[list[Any]]] = set()
        self._ended = False

    async def text(self, statement: str, *arguments: Any) -> list[Any]:
        # graphql-core cancels the siblings of a failed field; a cancelled query would abort the transaction of both.
        if self._ended:
            raise RuntimeError("a loader asks for something after its operation has ended")
        running = asyncio.create_task(super().text(statement, *arguments))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    async def end(self) -> None:
        """Close for good: loaders of cancelled fields would open another transaction, which nobody ends."""
        self._ended = True
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.close()


class FailingReads:
    """Reads whose ports fail for the keys that the seed chooses: some with an error, some with nothing."""

    def __init__(self, reads: Reads, seed: int, one_in: int = 9) -> None:
        self._reads, self._seed, self._one_in = reads, seed, one_in

    def port(self, port: type[T]) -> T:
        found = self._reads.port(port)
        return cast("T", FailingPort(found, FAILING[port], self._fails)) if port in FAILING else found

    async def close(self) -> None:
        await self._reads.close()

    def _fails(self, method: str, key: Any) -> Any:
        draw = crc32(f"{self._seed} {method} {key}".encode())
        if draw % self._one_in:
            return ...
        return (RuntimeError(f"{method} of {key}"), NotFound(kind=method, id=str(key)), None)[draw // self._one_in % 3]


class FailingPort:
    """A port, with failures in the places of chosen keys."""

    def __init__(self, port: Any, methods: frozenset[str], fails: Callable[[str, Any], Any]) -> None:
        self._port, self._methods, self._fails = port, methods, fails

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return self._failing(name, method) if name in self._methods else method

    def _failing(self, name: str, method: Callable[..., Awaitable[Sequence[Any]]]) -> Any:
        async def failing(keys: Sequence[Any], *more: Any) -> list[Any]:
            outcomes = [self._fails(name, key) for key in keys]
            found = await method(keys, *more)
            return [good if bad is ... else bad for good, bad in zip(found, outcomes, strict=True)]

        return failing
