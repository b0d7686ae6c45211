"""Keeping the search index in step with catalogue, stock and ratings: fed by events, never by a resolver."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.kernel import Envelope, Subscriptions, Work
from domain.search import SearchDocument, SearchEngine

subscriptions = Subscriptions("search")

PRODUCTS_AT_ONCE = 1_000


class SearchSource(Protocol):
    """What the index is made from; products that the public does not see have no document."""

    async def documents(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> Sequence[SearchDocument]: ...

    async def products_below(self, category_ids: Sequence[UUID]) -> Sequence[UUID]: ...


@subscriptions.on(
    "product.created",
    "product.updated",
    "product.published",
    "product.unpublished",
    "product.deleted",
    "inventory.stock_adjusted",
    "rating.updated",
    batch=True,
)
async def index_products(envelopes: Sequence[Envelope], work: Work, source: SearchSource, engine: SearchEngine) -> None:
    """Write the products that the events are about as they are now, however many events there were."""
    touched = dict.fromkeys(UUID(envelope.data["product_id"]) for envelope in envelopes)
    await _write(work.tenant_id, list(touched), source, engine)


@subscriptions.on("category.updated", "category.moved", batch=True)
async def index_categories(
    envelopes: Sequence[Envelope], work: Work, source: SearchSource, engine: SearchEngine
) -> None:
    """Write all products of a branch anew when it is called otherwise or hangs elsewhere."""
    touched = dict.fromkeys(UUID(envelope.data["category_id"]) for envelope in envelopes)
    product_ids = await source.products_below(list(touched))
    for start in range(0, len(product_ids), PRODUCTS_AT_ONCE):
        await _write(work.tenant_id, product_ids[start : start + PRODUCTS_AT_ONCE], source, engine)


async def _write(tenant_id: UUID, product_ids: Sequence[UUID], source: SearchSource, engine: SearchEngine) -> None:
    documents = await source.documents(tenant_id, product_ids)
    shown = {document.product_id for document in documents}
    hidden = [product_id for product_id in product_ids if product_id not in shown]
    if documents:
        await engine.upsert(documents)
    if hidden:
        await engine.remove(tenant_id, hidden)
