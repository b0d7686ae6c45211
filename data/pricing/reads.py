"""Lists and batch reads of pricing."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Text, Uuid, bindparam, case, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from data.database import Reads
from data.kernel import implements
from data.paging import Listing, equals
from data.pricing.tables import (
    allowance,
    discount_code,
    discount_use,
    exchange_rate,
    flash_item,
    flash_sale,
    list_price,
    loyalty_account,
    loyalty_entry,
    loyalty_program,
    price_history,
    price_list,
    pricing_rule,
    promotion,
)
from data.statements import Statement
from domain.paging import Page, PageRequest
from domain.pricing import CampaignFilter, CodeFilter, CodeState, PriceListFilter, PricingReads

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_ACTIVE = bindparam("active", type_=Boolean)

_state = case(
    (discount_code.c.is_disabled, literal(str(CodeState.DISABLED))),
    (discount_code.c.ends_at <= func.now(), literal(str(CodeState.EXPIRED))),
    (allowance.c.used >= allowance.c.usage_limit, literal(str(CodeState.EXHAUSTED))),
    else_=literal(str(CodeState.ACTIVE)),
)
_code = select(discount_code, _state.label("state")).join(allowance, allowance.c.id == discount_code.c.id)
_item = select(
    flash_item,
    allowance.c.usage_limit.label("stock_limit"),
    allowance.c.used.label("sold"),
).join(allowance, allowance.c.id == flash_item.c.id)
_USES = (
    func.count().label("uses"),
    func.coalesce(func.sum(discount_use.c.quantity), 0).cast(BigInteger).label("units"),
    func.count(func.distinct(discount_use.c.customer_id)).label("customers"),
    func.coalesce(func.sum(discount_use.c.amount_minor), 0).cast(BigInteger).label("amount_minor"),
    func.max(discount_use.c.currency).label("currency"),
)


def _by_id(rows: Any, table: Any) -> Statement:
    return Statement(rows.where(table.c.id == func.any(_IDS)))


def _campaigns(table: Any, *filters: Any) -> Listing:
    running = (table.c.state == "active") & (table.c.starts_at <= func.now())
    on = running & (table.c.ends_at.is_(None) | (table.c.ends_at > func.now()))
    return Listing(select(table), [table.c.id.desc()], active=on == _ACTIVE, **equals(*filters))


_PROMOTIONS_BY_ID = _by_id(select(promotion), promotion)
_SALES_BY_ID = _by_id(select(flash_sale), flash_sale)
_CODES_BY_ID = _by_id(_code, discount_code)
_RULES_BY_ID = _by_id(select(pricing_rule), pricing_rule)
_LISTS_BY_ID = _by_id(select(price_list), price_list)
_USAGE = Statement(
    select(discount_use.c.subject_id, *_USES)
    .where(discount_use.c.subject_id == func.any(_IDS), discount_use.c.returned_at.is_(None))
    .group_by(discount_use.c.subject_id)
)
_ITEMS = Statement(_item.where(flash_item.c.sale_id == func.any(_IDS)).order_by(flash_item.c.sku))
_ACCOUNTS = Statement(select(loyalty_account).where(loyalty_account.c.user_id == func.any(_IDS)))
_PROGRAM = Statement(select(loyalty_program))
_RATES = Statement(
    select(exchange_rate)
    .ext(distinct_on(exchange_rate.c.target, exchange_rate.c.source))
    .where(exchange_rate.c.valid_from <= func.now())
    .order_by(exchange_rate.c.target, exchange_rate.c.source, exchange_rate.c.valid_from.desc())
)

_PROMOTIONS = _campaigns(promotion, promotion.c.seller_id, promotion.c.state, promotion.c.kind)
_SALES = _campaigns(flash_sale, flash_sale.c.seller_id, flash_sale.c.state)
_CODES = Listing(
    _code,
    [discount_code.c.id.desc()],
    state=_state == bindparam("state", type_=Text),
    **equals(discount_code.c.seller_id, discount_code.c.code),
)
_RULES = Listing(select(pricing_rule), [pricing_rule.c.id.desc()], **equals(pricing_rule.c.seller_id))
_LISTS = Listing(
    select(price_list),
    [price_list.c.id.desc()],
    active=price_list.c.is_active == _ACTIVE,
    **equals(price_list.c.seller_id, price_list.c.kind),
)
_LIST_PRICES = Listing(
    select(list_price, price_list.c.currency).join(price_list, price_list.c.id == list_price.c.list_id),
    [list_price.c.sku, list_price.c.min_quantity, list_price.c.id],
    parent=list_price.c.list_id,
)
_HISTORY = Listing(select(price_history), [price_history.c.id.desc()], **equals(price_history.c.sku))
_ENTRIES = Listing(select(loyalty_entry), [loyalty_entry.c.id.desc()], parent=loyalty_entry.c.user_id)


@implements(PricingReads)
class SqlPricingReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def promotions_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_PROMOTIONS_BY_ID, ids)

    async def flash_sales_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_SALES_BY_ID, ids)

    async def codes_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_CODES_BY_ID, ids)

    async def rules_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_RULES_BY_ID, ids)

    async def price_lists_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_LISTS_BY_ID, ids)

    async def usage(self, ids: Sequence[UUID]) -> list[Any]:
        return await self._reads.by_key(_USAGE, ids, "subject_id")

    async def flash_items(self, sale_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ITEMS, sale_ids, "sale_id")

    async def promotions(self, wanted: CampaignFilter, page: PageRequest) -> Page[Any]:
        return await _PROMOTIONS.page(self._reads, page, **vars(wanted))

    async def flash_sales(self, wanted: CampaignFilter, page: PageRequest) -> Page[Any]:
        asked = {"seller_id": wanted.seller_id, "state": wanted.state, "active": wanted.active}
        return await _SALES.page(self._reads, page, **asked)

    async def codes(self, wanted: CodeFilter, page: PageRequest) -> Page[Any]:
        return await _CODES.page(self._reads, page, **vars(wanted))

    async def rules(self, seller_id: UUID | None, page: PageRequest) -> Page[Any]:
        return await _RULES.page(self._reads, page, seller_id=seller_id)

    async def price_lists(self, wanted: PriceListFilter, page: PageRequest) -> Page[Any]:
        return await _LISTS.page(self._reads, page, **vars(wanted))

    async def list_prices(self, list_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _LIST_PRICES.pages(self._reads, list_ids, page)

    async def history(self, sku: str, page: PageRequest) -> Page[Any]:
        return await _HISTORY.page(self._reads, page, sku=sku)

    async def program(self) -> Any | None:
        return await self._reads.row(_PROGRAM)

    async def accounts(self, user_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_ACCOUNTS, user_ids, "user_id")

    async def entries(self, user_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _ENTRIES.pages(self._reads, user_ids, page)

    async def exchange_rates(self) -> list[Any]:
        return await self._reads.rows(_RATES)
