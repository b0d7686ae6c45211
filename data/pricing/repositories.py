"""Price lists, rules, promotions, codes, flash sales and loyalty for change."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, insert, not_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from data.pricing.tables import (
    allowance,
    discount_code,
    exchange_rate,
    flash_item,
    flash_sale,
    list_price,
    loyalty_account,
    loyalty_entry,
    price_history,
    promotion,
)
from domain.kernel import Work, uuid7
from domain.pricing import (
    DiscountCode,
    DiscountCodes,
    EarnedPoints,
    ExchangeRate,
    ExchangeRates,
    FlashItem,
    FlashSale,
    FlashSales,
    ListPrice,
    Loyalty,
    LoyaltyAccount,
    LoyaltyProgram,
    PointsEntry,
    PointsKind,
    PriceChange,
    PriceList,
    PriceLists,
    PricingRule,
    PricingRules,
    Promotion,
    Promotions,
    UseKind,
)

_TENANT = text("platform.tenant_id()")
_SPENT = allowance.c.used >= allowance.c.usage_limit


@implements(PriceLists)
class SqlPriceLists:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, list_id: UUID) -> PriceList | None:
        return await self._session.get(PriceList, list_id, with_for_update=True)

    async def named(self, seller_id: UUID | None, name: str) -> PriceList | None:
        wanted = select(PriceList).filter_by(seller_id=seller_id, name=name).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def add(self, price_list: PriceList) -> None:
        self._session.add(price_list)

    async def put(
        self, price_list: PriceList, prices: Sequence[ListPrice], reason: str | None, work: Work
    ) -> Sequence[PriceChange]:
        # The list's row is locked, hence its prices stand still between these statements.
        before = await self._prices(price_list, prices)
        changes = [
            _change(price_list, each, old, reason)
            for each in prices
            if (old := before.get((each.sku, each.min_quantity))) != _minor(each)
        ]
        await self._write(price_list, [change for change in changes if change.new_minor is not None])
        await self._remove(price_list, [change for change in changes if change.new_minor is None])
        if changes:
            await self._session.execute(insert(price_history), [_history_row(change, work) for change in changes])
        return changes

    async def _prices(self, price_list: PriceList, prices: Sequence[ListPrice]) -> dict[tuple[str, int], int]:
        wanted = select(list_price.c.sku, list_price.c.min_quantity, list_price.c.price_minor).where(
            list_price.c.list_id == price_list.id, list_price.c.sku == func.any([each.sku for each in prices])
        )
        return {(row.sku, row.min_quantity): row.price_minor for row in await self._session.execute(wanted)}

    async def _write(self, price_list: PriceList, changes: Sequence[PriceChange]) -> None:
        if not changes:
            return
        rows = [
            {
                "id": uuid7(),
                "tenant_id": price_list.tenant_id,
                "list_id": price_list.id,
                "sku": change.sku,
                "min_quantity": change.min_quantity,
                "price_minor": change.new_minor,
            }
            for change in changes
        ]
        statement = upsert(list_price).values(rows)
        await self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "list_id", "sku", "min_quantity"],
                set_={"price_minor": statement.excluded.price_minor},
            )
        )

    async def _remove(self, price_list: PriceList, changes: Sequence[PriceChange]) -> None:
        if changes:
            gone = [(change.sku, change.min_quantity) for change in changes]
            place = tuple_(list_price.c.sku, list_price.c.min_quantity)
            await self._session.execute(
                delete(list_price).where(list_price.c.list_id == price_list.id, place.in_(gone))
            )


def _minor(price: ListPrice) -> int | None:
    return None if price.price is None else price.price.amount_minor


def _change(price_list: PriceList, price: ListPrice, old: int | None, reason: str | None) -> PriceChange:
    return PriceChange(
        sku=price.sku,
        min_quantity=price.min_quantity,
        currency=price_list.currency,
        source=price_list.kind,
        source_id=price_list.id,
        old_minor=old,
        new_minor=_minor(price),
        reason=reason,
    )


def _history_row(change: PriceChange, work: Work) -> dict[str, Any]:
    made = {"id": uuid7(), "tenant_id": work.tenant_id, "changed_by": work.actor.user_id, "changed_at": work.now}
    return vars(change) | made


@implements(ExchangeRates)
class SqlExchangeRates:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, rate: ExchangeRate) -> None:
        statement = upsert(exchange_rate).values(id=uuid7(), tenant_id=_TENANT, **vars(rate))
        key = ["tenant_id", "target", "source", "valid_from"]
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=key, set_={"rate": statement.excluded.rate})
        )


@implements(PricingRules)
class SqlPricingRules:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, rule_id: UUID) -> PricingRule | None:
        return await self._session.get(PricingRule, rule_id, with_for_update=True)

    async def add(self, rule: PricingRule) -> None:
        self._session.add(rule)


@implements(Promotions)
class SqlPromotions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, promotion_id: UUID) -> Promotion | None:
        return await self._session.get(Promotion, promotion_id, with_for_update=True)

    async def add(self, new: Promotion) -> None:
        self._session.add(new)
        counter = _counter(UseKind.PROMOTION, new, new.name, new.usage_limit, new.per_customer)
        await self._session.execute(insert(allowance).values(**counter))

    async def used_up(self, ids: Sequence[UUID], *, exhausted: bool) -> Sequence[Promotion]:
        spent = select(allowance.c.id).where(
            allowance.c.id == func.any(list(ids)), _SPENT if exhausted else not_(_SPENT)
        )
        wanted = select(Promotion).where(promotion.c.id.in_(spent)).order_by(promotion.c.id)
        return (await self._session.scalars(wanted.with_for_update())).all()


@implements(DiscountCodes)
class SqlDiscountCodes:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, code_id: UUID) -> DiscountCode | None:
        return await self._session.get(DiscountCode, code_id, with_for_update=True)

    async def exists(self, code: str) -> bool:
        found = await self._session.execute(select(discount_code.c.id).where(discount_code.c.code == code))
        return found.first() is not None

    async def add(self, code: DiscountCode) -> None:
        self._session.add(code)
        counter = _counter(UseKind.CODE, code, code.code, code.usage_limit, code.per_customer)
        await self._session.execute(insert(allowance).values(**counter))


@implements(FlashSales)
class SqlFlashSales:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, sale_id: UUID) -> FlashSale | None:
        return await self._session.get(FlashSale, sale_id, with_for_update=True)

    async def add(self, sale: FlashSale, items: Sequence[FlashItem], work: Work) -> None:
        self._session.add(sale)
        await self._session.execute(insert(flash_item).values([_item_row(sale, item) for item in items]))
        counters = [
            _counter(UseKind.FLASH_SALE, sale, item.sku, item.stock_limit, sale.per_customer) | {"id": item.id}
            for item in items
        ]
        await self._session.execute(insert(allowance).values(counters))
        history = [_history_row(_flash_change(sale, item), work) for item in items]
        await self._session.execute(insert(price_history), history)

    async def of_items(self, item_ids: Sequence[UUID]) -> Sequence[tuple[FlashSale, bool]]:
        sales = select(flash_item.c.sale_id).where(flash_item.c.id == func.any(list(item_ids)))
        wanted = select(FlashSale).where(flash_sale.c.id.in_(sales)).order_by(flash_sale.c.id)
        found = (await self._session.scalars(wanted.with_for_update())).all()
        left = (
            select(flash_item.c.sale_id)
            .join(allowance, allowance.c.id == flash_item.c.id)
            .where(flash_item.c.sale_id == func.any([sale.id for sale in found]), not_(_SPENT))
        )
        with_units = set((await self._session.scalars(left)).all()) if found else set()
        return [(sale, sale.id not in with_units) for sale in found]


def _flash_change(sale: FlashSale, item: FlashItem) -> PriceChange:
    return PriceChange(
        sku=item.sku,
        currency=item.price.currency,
        source=UseKind.FLASH_SALE,
        source_id=sale.id,
        old_minor=None,
        new_minor=item.price.amount_minor,
        reason=sale.name,
    )


def _item_row(sale: FlashSale, item: FlashItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "tenant_id": sale.tenant_id,
        "sale_id": sale.id,
        "sku": item.sku,
        "price_minor": item.price.amount_minor,
        "currency": item.price.currency,
    }


def _counter(kind: UseKind, counted: Any, label: str, limit: int | None, per_customer: int | None) -> dict[str, Any]:
    return {
        "id": counted.id,
        "tenant_id": counted.tenant_id,
        "kind": kind,
        "label": label,
        "used": 0,
        "usage_limit": limit,
        "per_customer": per_customer,
    }


@implements(Loyalty)
class SqlLoyalty:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def program(self) -> LoyaltyProgram | None:
        return (await self._session.scalars(select(LoyaltyProgram))).one_or_none()

    async def add_program(self, program: LoyaltyProgram) -> None:
        self._session.add(program)

    async def account(self, blank: LoyaltyAccount) -> LoyaltyAccount:
        names = ("id", "tenant_id", "version", "user_id", "points", "lifetime_points", "tier")
        values = {name: getattr(blank, name) for name in names}
        await self._session.execute(upsert(loyalty_account).values(values).on_conflict_do_nothing())
        wanted = select(LoyaltyAccount).filter_by(user_id=blank.user_id).with_for_update()
        return (await self._session.scalars(wanted)).one()

    async def enter(self, entry: PointsEntry) -> None:
        await self._session.execute(insert(loyalty_entry).values(**vars(entry)))

    async def earned(self, user_id: UUID, order_id: UUID) -> EarnedPoints:
        entry = loyalty_entry.c
        sums = select(
            _sum_of(PointsKind.EARN, entry.points).label("points"),
            _sum_of(PointsKind.EARN, entry.basis_minor).label("basis_minor"),
            _sum_of(PointsKind.REVOKE, entry.basis_minor).label("returned_minor"),
        ).where(entry.user_id == user_id, entry.order_id == order_id)
        row = (await self._session.execute(sums)).mappings().one()
        return EarnedPoints(**{name: int(value) for name, value in row.items()})


def _sum_of(kind: PointsKind, value: Any) -> Any:
    return func.coalesce(func.sum(case((loyalty_entry.c.kind == kind, value), else_=0)), 0)
