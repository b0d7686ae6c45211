"""What stores say about deliveries and what goods weigh; a projection may look into several contexts at once."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.delivery.silence import SILENT
from data.direct import direct
from data.kernel import implements
from domain.codec import from_json
from domain.delivery.geography import Position
from domain.delivery.methods import ShippingMethod
from domain.delivery.offers import StoreTerms
from domain.delivery.zones import DeliveryZone
from domain.processes.shipping import ShippingFacts, ShippingFactsReads

_TERMS = """
SELECT s.id, s.latitude, s.longitude, s.delivery_radius_km,
  (SELECT jsonb_agg(to_jsonb(z)) FROM delivery.zone z WHERE z.store_id = s.id AND z.tenant_id = :tenant AND z.is_active)::text AS zones,
  (SELECT jsonb_agg(to_jsonb(m)) FROM delivery.method m
   WHERE (m.store_id = s.id OR m.store_id IS NULL) AND m.tenant_id = :tenant AND m.is_active)::text AS methods
FROM tenancy.store s WHERE s.id = ANY($1) AND s.tenant_id = :tenant ORDER BY s.id
"""
_WEIGHTS = """
SELECT sku, weight_grams FROM catalog.product WHERE sku = ANY($1) AND tenant_id = :tenant AND weight_grams IS NOT NULL
UNION ALL
SELECT v.sku, p.weight_grams FROM catalog.product_variant v JOIN catalog.product p ON p.id = v.product_id
WHERE v.sku = ANY($1) AND v.tenant_id = :tenant AND p.tenant_id = :tenant AND p.weight_grams IS NOT NULL
"""
Run = Callable[..., Awaitable[Sequence[Any]]]


async def _terms(run: Run, store_ids: Collection[UUID]) -> Sequence[StoreTerms]:
    if SILENT.covers(store_ids):
        return ()
    rows = await run(_TERMS, list(store_ids))
    if any(row["zones"] or row["methods"] for row in rows):
        return [_said(row) for row in rows]
    SILENT.remember(row["id"] for row in rows)
    return ()


async def _weights(run: Run, skus: Collection[str]) -> Mapping[str, int]:
    return {row["sku"]: row["weight_grams"] for row in await run(_WEIGHTS, list(skus))}


def _said(row: Any) -> StoreTerms:
    unplaced = row["latitude"] is None or row["longitude"] is None
    return StoreTerms(
        store_id=row["id"],
        zones=[from_json(each, DeliveryZone) for each in orjson.loads(row["zones"] or "[]")],
        methods=[from_json(each, ShippingMethod) for each in orjson.loads(row["methods"] or "[]")],
        position=None if unplaced else Position(row["latitude"], row["longitude"]),
        radius_km=row["delivery_radius_km"],
    )


@implements(ShippingFacts)
class SqlShippingFacts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def terms(self, store_ids: Collection[UUID]) -> Sequence[StoreTerms]:
        return await _terms(self._run, store_ids)

    async def weights(self, skus: Collection[str]) -> Mapping[str, int]:
        return await _weights(self._run, skus)

    async def _run(self, statement: str, *arguments: Any) -> Sequence[Any]:
        return await direct(self._session, statement, *arguments)


@implements(ShippingFactsReads)
class SqlShippingFactsReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def terms(self, store_ids: Collection[UUID]) -> Sequence[StoreTerms]:
        return await _terms(self._reads.text, store_ids)

    async def weights(self, skus: Collection[str]) -> Mapping[str, int]:
        return await _weights(self._reads.text, skus)
