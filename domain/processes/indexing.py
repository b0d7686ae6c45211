"""Keeping the search index in step with catalogue, stock and ratings: fed by events, never by a resolver."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.discovery import IndexRequests
from domain.kernel import Envelope, Subscriptions, Work, also_when_suspended
from domain.search import SearchDocument, SearchEngine

subscriptions = Subscriptions("search")

PRODUCTS_AT_ONCE = 1_000


class SearchSource(Protocol):
    """What the index is made from; products that the public does not see have no document."""

    async def documents(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> Sequence[SearchDocument]:
        """Give the products as they are now.

        Until the transaction ends nobody else is given any of the tenant: whoever reads first also writes first, so an
        older state of a product never overwrites a newer one.
        """
        ...

    async def products_below(self, category_id: UUID, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Give the next products on sale of a branch, in the order of their ids."""
        ...


@subscriptions.on(
    "product.created",
    "product.updated",
    "product.published",
    "product.unpublished",
    "product.deleted",
    "inventory.stock_adjusted",
    "inventory.out_of_stock",
    "inventory.back_in_stock",
    "rating.updated",
    batch=True,
)
async def index_products(envelopes: Sequence[Envelope], work: Work, source: SearchSource, engine: SearchEngine) -> None:
    """Write the products that the events are about as they are now, however many events there were."""
    touched = dict.fromkeys(UUID(envelope.data["product_id"]) for envelope in envelopes)
    await _write(work.tenant_id, list(touched), source, engine)


@subscriptions.on("category.updated", "category.moved", batch=True)
async def index_categories(envelopes: Sequence[Envelope], work: Work, requests: IndexRequests) -> None:
    """Ask for all products of a branch to be written anew when it is called otherwise or hangs elsewhere."""
    for category_id in dict.fromkeys(UUID(envelope.data["category_id"]) for envelope in envelopes):
        await requests.ask(work, category_id)


@dataclass(frozen=True, kw_only=True)
class IndexBranch:
    """Write a portion of the products below a category anew: those that come after an id."""

    category_id: UUID
    after: UUID | None = None


@also_when_suspended
async def index_branch(
    command: IndexBranch, work: Work, source: SearchSource, engine: SearchEngine
) -> IndexBranch | None:
    """Write one portion; gives what is left to do, or None."""
    product_ids = await source.products_below(command.category_id, command.after, PRODUCTS_AT_ONCE)
    await _write(work.tenant_id, product_ids, source, engine)
    if len(product_ids) < PRODUCTS_AT_ONCE:
        return None
    return IndexBranch(category_id=command.category_id, after=product_ids[-1])


async def _write(tenant_id: UUID, product_ids: Sequence[UUID], source: SearchSource, engine: SearchEngine) -> None:
    documents = await source.documents(tenant_id, product_ids) if product_ids else ()
    shown = {document.product_id for document in documents}
    hidden = [product_id for product_id in product_ids if product_id not in shown]
    if documents:
        await engine.upsert(documents)
    if hidden:
        await engine.remove(tenant_id, hidden)
