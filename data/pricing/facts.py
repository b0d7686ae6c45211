"""Everything that a quote needs to know, in one statement."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import DateTime, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.bounding import BOUND
from data.database import Reads
from data.direct import selected
from data.kernel import implements
from data.statements import Statement
from domain.codec import from_json
from domain.pricing import (
    ActiveCode,
    ActivePromotion,
    ActiveRule,
    Facts,
    FlashOffer,
    ListedPrice,
    PointsPurse,
    PriceFacts,
    PriceFactsReads,
    QuoteRequest,
    normal_code,
)

_ON = "starts_at <= :at AND (ends_at IS NULL OR ends_at > :at)"
_OWNED = "(seller_id IS NULL OR seller_id = ANY(:sellers))"
# What is left is read without a lock: whoever buys learns the truth when the uses are taken.
_LIMITS = """jsonb_build_object('remaining', allowance.usage_limit - allowance.used, 'per_customer', allowance.per_customer,
  'taken', coalesce((SELECT share.used FROM pricing.customer_allowance AS share
    WHERE share.tenant_id = :bound_tenant AND subject_id = allowance.id AND share.customer_id = :customer_id), 0))"""

_GATHER = Statement(
    text(f"""
SELECT 'prices' AS fact, jsonb_build_object('list_id', list_id, 'name', name, 'kind', kind, 'seller_id', seller_id,
  'store_id', store_id, 'customer_id', customer_id, 'tier', tier, 'region', region, 'priority', priority, 'sku', sku,
  'min_quantity', min_quantity,
  'price', jsonb_build_object('amount_minor', price_minor, 'currency', currency))::text AS body
FROM pricing.list_price JOIN pricing.price_list ON price_list.id = list_id
WHERE list_price.tenant_id = :bound_tenant AND price_list.tenant_id = :bound_tenant AND sku = ANY(:skus) AND is_active AND {_ON} AND {_OWNED} AND currency = :currency
  AND (customer_id IS NULL OR customer_id = :customer_id)
UNION ALL
SELECT 'flash', jsonb_build_object('id', flash_item.id, 'sale_id', sale_id, 'name', name, 'seller_id', seller_id,
  'sku', sku, 'price', jsonb_build_object('amount_minor', price_minor, 'currency', currency), 'limits', {_LIMITS})::text
FROM pricing.flash_item JOIN pricing.flash_sale ON flash_sale.id = sale_id JOIN pricing.allowance
  ON allowance.id = flash_item.id
WHERE flash_item.tenant_id = :bound_tenant AND flash_sale.tenant_id = :bound_tenant
  AND allowance.tenant_id = :bound_tenant AND sku = ANY(:skus) AND state IN ('scheduled', 'active', 'exhausted') AND {_ON} AND {_OWNED}
  AND currency = :currency
UNION ALL
SELECT 'rules', jsonb_build_object('id', id, 'name', name, 'kind', kind, 'seller_id', seller_id, 'priority', priority,
  'terms', terms)::text
FROM pricing.pricing_rule WHERE tenant_id = :bound_tenant AND is_active AND {_ON} AND {_OWNED}
UNION ALL
SELECT 'promotions', jsonb_build_object('id', promotion.id, 'name', name, 'kind', promotion.kind,
  'seller_id', seller_id, 'priority', priority, 'terms', terms, 'limits', {_LIMITS})::text
FROM pricing.promotion JOIN pricing.allowance ON allowance.id = promotion.id
WHERE promotion.tenant_id = :bound_tenant AND allowance.tenant_id = :bound_tenant AND state IN ('scheduled', 'active', 'exhausted') AND {_ON} AND {_OWNED}
UNION ALL
SELECT 'codes', jsonb_build_object('id', discount_code.id, 'code', code, 'kind', discount_code.kind,
  'seller_id', seller_id, 'terms', terms, 'limits', {_LIMITS})::text
FROM pricing.discount_code JOIN pricing.allowance ON allowance.id = discount_code.id
WHERE discount_code.tenant_id = :bound_tenant AND allowance.tenant_id = :bound_tenant AND code = ANY(:codes) AND NOT is_disabled AND {_ON}
UNION ALL
(SELECT DISTINCT ON (source) 'rates', jsonb_build_object('source', source, 'rate', rate::text)::text
FROM pricing.exchange_rate WHERE tenant_id = :bound_tenant AND target = :currency AND source = ANY(:currencies) AND valid_from <= :at
ORDER BY source, valid_from DESC)
UNION ALL
SELECT 'purse', jsonb_build_object('program_id', loyalty_program.id, 'balance', points, 'tier', tier,
  'point_value', point_value::text, 'currency', currency)::text
FROM pricing.loyalty_program JOIN pricing.loyalty_account ON user_id = :customer_id
WHERE loyalty_program.tenant_id = :bound_tenant AND loyalty_account.tenant_id = :bound_tenant AND is_active
""").bindparams(  # noqa: S608 — its shared pieces are constants of this module.
        bindparam("skus", type_=ARRAY(Text)),
        bindparam("sellers", type_=ARRAY(Uuid)),
        bindparam("codes", type_=ARRAY(Text)),
        bindparam("currencies", type_=ARRAY(Text)),
        bindparam("customer_id", type_=Uuid),
        bindparam("currency", type_=Text),
        bindparam("at", type_=DateTime(timezone=True)),
        bindparam(BOUND, type_=Uuid),
    )
)

_KINDS: dict[str, Any] = {
    "prices": ListedPrice,
    "flash": FlashOffer,
    "rules": ActiveRule,
    "promotions": ActivePromotion,
    "codes": ActiveCode,
}


@implements(PriceFacts)
class SqlPriceFacts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def gather(self, request: QuoteRequest) -> Facts:
        request.check()
        return _facts(await selected(self._session, _GATHER, **_parameters(request)))


@implements(PriceFactsReads)
class SqlPriceFactsReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def gather(self, request: QuoteRequest) -> Facts:
        request.check()
        return _facts(await self._reads.rows(_GATHER, **_parameters(request)))


def _parameters(request: QuoteRequest) -> dict[str, Any]:
    lines = request.lines
    sellers: set[UUID | None] = {line.seller_id for line in lines}
    return {
        "skus": sorted({line.sku for line in lines}),
        "sellers": sorted(seller for seller in sellers if seller is not None),
        "codes": sorted(set(map(normal_code, request.codes))),
        "currencies": sorted({line.base.currency for line in lines} - {request.currency}),
        "customer_id": request.customer_id,
        "currency": request.currency,
        "at": request.at,
    }


def _facts(rows: Any) -> Facts:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.fact, []).append(orjson.loads(row.body))
    known = {name: [from_json(each, kind) for each in found.get(name, ())] for name, kind in _KINDS.items()}
    rates = {each["source"]: Decimal(each["rate"]) for each in found.get("rates", ())}
    purse = next((from_json(each, PointsPurse) for each in found.get("purse", ())), None)
    return Facts(**known, rates=rates, purse=purse)
