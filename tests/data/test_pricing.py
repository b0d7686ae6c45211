import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from data.database import Database
from data.event_log import event_log
from data.pricing.tables import allowance, customer_allowance, discount_use, loyalty_account, loyalty_entry
from data.transactions import SqlTransactions
from domain import pricing
from domain.kernel import AlreadyExists, InvalidStateTransition, NotFound, Principal, Work, uuid7
from domain.money import Money
from domain.paging import PageRequest
from domain.pricing import (
    AdjustLoyaltyPoints,
    Allowances,
    CodeTerms,
    CreateDiscountCode,
    CreateFlashSale,
    CreatePricingRule,
    CreatePromotion,
    DiscountCode,
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    DiscountKind,
    Facts,
    FlashItemInput,
    FlashSaleSoldOut,
    InsufficientPoints,
    ListPrice,
    PriceFacts,
    PriceFactsReads,
    PriceListKind,
    PricingReads,
    PromotionExhausted,
    PromotionKind,
    PromotionTerms,
    QuoteLine,
    QuoteRequest,
    RuleKind,
    RuleTerms,
    SetExchangeRate,
    SetListPrices,
    SetLoyaltyProgram,
    SetRegionalPrice,
    UpsertPriceTier,
    Use,
    UseKind,
    price_quote,
)

SELLER, PRODUCT = uuid7(), uuid7()


def cad(minor: int) -> Money:
    return Money(minor, "CAD")


@dataclass(frozen=True)
class Take:
    order_id: UUID
    customer_id: UUID | None
    uses: tuple[Use, ...]


async def take(command: Take, work: Work, allowances: Allowances) -> None:
    await allowances.take(command.order_id, command.customer_id, command.uses, work.now)


async def give_back(command: Take, allowances: Allowances) -> None:
    await allowances.give_back(command.order_id)


async def gather(command: QuoteRequest, facts: PriceFacts) -> Facts:
    return await facts.gather(command)


def code_of(name: str = "TEN", **more: Any) -> CreateDiscountCode:
    terms = CodeTerms(percent=Decimal(10))
    return CreateDiscountCode(code=name, kind=DiscountKind.PERCENTAGE, terms=terms, **more)


def use_of(kind: UseKind, id_: UUID, quantity: int = 1) -> Use:
    return Use(kind, id_, quantity, cad(100))


def request(work: Work, quantity: int = 1, **more: Any) -> QuoteRequest:
    line = QuoteLine(
        key="1",
        sku="mug",
        product_id=PRODUCT,
        seller_id=SELLER,
        store_id=uuid7(),
        quantity=quantity,
        base=more.pop("base", cad(2000)),
    )
    return QuoteRequest(lines=(line,), currency="CAD", at=work.now, **more)


async def counted(database: Database, work: Work, column: Any, *conditions: Any) -> Any:
    async with database.session(work.tenant_id) as session:
        return await session.scalar(select(column).where(*conditions))


async def flash_item(transactions: SqlTransactions, database: Database, work: Work, limit: int, **more: Any) -> UUID:
    command = CreateFlashSale(
        name="Flash",
        items=(FlashItemInput(sku="mug", price=cad(900), stock_limit=limit),),
        ends_at=work.now + timedelta(hours=1),
        **more,
    )
    sale = await transactions.run(pricing.create_flash_sale, command, work)
    reads = database.reads(work.tenant_id)
    [[item]] = await reads.port(PricingReads).flash_items([sale.id])
    await reads.close()
    return UUID(str(item.id))


class TestTake:
    async def test_lets_ten_of_forty_racing_buyers_have_a_code_that_is_good_for_ten(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        code = await transactions.run(pricing.create_discount_code, code_of(usage_limit=10), work)
        orders = [Take(uuid7(), uuid7(), (use_of(UseKind.CODE, code.id),)) for _ in range(40)]
        results = await asyncio.gather(*(transactions.run(take, each, work) for each in orders), return_exceptions=True)
        assert sum(result is None for result in results) == 10
        assert sum(isinstance(result, DiscountCodeExhausted) for result in results) == 30
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 10
        assert await counted(database, work, func.count(discount_use.c.id)) == 10
        given = [transactions.run(give_back, each, work) for each in orders for _ in range(2)]
        await asyncio.gather(*given)
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 0
        assert await counted(database, work, func.sum(customer_allowance.c.used)) == 0

    async def test_lets_one_customer_use_a_code_once_however_often_it_is_tried(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        code = await transactions.run(pricing.create_discount_code, code_of(usage_limit=100), work)
        customer = uuid7()
        orders = [Take(uuid7(), customer, (use_of(UseKind.CODE, code.id),)) for _ in range(8)]
        results = await asyncio.gather(*(transactions.run(take, each, work) for each in orders), return_exceptions=True)
        assert sum(result is None for result in results) == 1
        assert sum(isinstance(result, DiscountCodeAlreadyUsed) for result in results) == 7
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 1

    async def test_sells_the_last_units_of_a_flash_sale_once(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        item = await flash_item(transactions, database, work, limit=10)
        orders = [Take(uuid7(), uuid7(), (use_of(UseKind.FLASH_SALE, item, 2),)) for _ in range(20)]
        results = await asyncio.gather(*(transactions.run(take, each, work) for each in orders), return_exceptions=True)
        assert sum(result is None for result in results) == 5
        assert sum(isinstance(result, FlashSaleSoldOut) for result in results) == 15
        assert await counted(database, work, allowance.c.used, allowance.c.id == item) == 10
        sold_out = event_log.c.name == "flash_sale.sold_out"
        assert await counted(database, work, func.count(event_log.c.sequence), sold_out) == 1

    async def test_does_not_sell_one_customer_more_than_a_share(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        item = await flash_item(transactions, database, work, limit=10, per_customer=3)
        customer = uuid7()
        with pytest.raises(FlashSaleSoldOut):
            await transactions.run(take, Take(uuid7(), customer, (use_of(UseKind.FLASH_SALE, item, 4),)), work)
        await transactions.run(take, Take(uuid7(), customer, (use_of(UseKind.FLASH_SALE, item, 2),)), work)
        with pytest.raises(FlashSaleSoldOut):
            await transactions.run(take, Take(uuid7(), customer, (use_of(UseKind.FLASH_SALE, item, 2),)), work)
        assert await counted(database, work, allowance.c.used, allowance.c.id == item) == 2

    async def test_spends_points_once_however_many_orders_want_them(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        customer, program = uuid7(), uuid7()
        await transactions.run(
            pricing.adjust_loyalty_points, AdjustLoyaltyPoints(user_id=customer, points=100, reason="hello"), work
        )
        orders = [Take(uuid7(), customer, (use_of(UseKind.POINTS, program, 30),)) for _ in range(8)]
        results = await asyncio.gather(*(transactions.run(take, each, work) for each in orders), return_exceptions=True)
        assert sum(result is None for result in results) == 3
        assert sum(isinstance(result, InsufficientPoints) for result in results) == 5
        assert await counted(database, work, loyalty_account.c.points) == 10
        assert await counted(database, work, func.sum(loyalty_entry.c.points)) == 10
        await asyncio.gather(*(transactions.run(give_back, each, work) for each in orders for _ in range(2)))
        assert await counted(database, work, loyalty_account.c.points) == 100
        assert await counted(database, work, func.sum(loyalty_entry.c.points)) == 100

    async def test_takes_everything_or_nothing(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        code = await transactions.run(pricing.create_discount_code, code_of(usage_limit=5), work)
        terms = PromotionTerms(percent=Decimal(5))
        wanted = CreatePromotion(name="Spring", kind=PromotionKind.PERCENTAGE, terms=terms, usage_limit=1)
        promotion = await transactions.run(pricing.create_promotion, wanted, work)
        both = (use_of(UseKind.CODE, code.id), use_of(UseKind.PROMOTION, promotion.id))
        await transactions.run(take, Take(uuid7(), None, both), work)
        with pytest.raises(PromotionExhausted):
            await transactions.run(take, Take(uuid7(), None, both), work)
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 1

    async def test_changes_nothing_for_an_order_that_has_taken_already(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        code = await transactions.run(pricing.create_discount_code, code_of(usage_limit=5), work)
        command = Take(uuid7(), uuid7(), (use_of(UseKind.CODE, code.id),))
        await transactions.run(take, command, work)
        await transactions.run(take, command, work)
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 1
        await transactions.run(give_back, command, work)
        with pytest.raises(InvalidStateTransition):
            await transactions.run(take, command, work)
        assert await counted(database, work, allowance.c.used, allowance.c.id == code.id) == 0

    async def test_does_not_wait_where_nothing_is_limited(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = CreatePromotion(name="Always", kind=PromotionKind.PERCENTAGE, terms=PromotionTerms(percent=Decimal(5)))
        promotion = await transactions.run(pricing.create_promotion, wanted, work)
        command = Take(uuid7(), uuid7(), (use_of(UseKind.PROMOTION, promotion.id),))
        async with database.session(work.tenant_id) as session:
            await session.execute(select(allowance).where(allowance.c.id == promotion.id).with_for_update())
            await asyncio.wait_for(transactions.run(take, command, work), 5)
        reads = database.reads(work.tenant_id)
        [usage] = await reads.port(PricingReads).usage([promotion.id])
        await reads.close()
        assert (usage.uses, usage.amount_minor) == (1, 100)

    async def test_refuses_to_count_beyond_a_limit_in_the_database_itself(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(pricing.create_discount_code, code_of(usage_limit=5), work)
        with pytest.raises(Exception, match="used_within_limit"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE pricing.allowance SET used = 6"))

    async def test_knows_nothing_of_another_tenants_codes(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: Any
    ) -> None:
        code = await transactions.run(pricing.create_discount_code, code_of(usage_limit=5), work)
        other = Work(tenant_id=make_tenant(), actor=work.actor, now=work.now, correlation_id="x")
        with pytest.raises(DiscountCodeExhausted):
            await transactions.run(take, Take(uuid7(), None, (use_of(UseKind.CODE, code.id),)), other)
        facts = await transactions.run(gather, request(other, codes=("TEN",)), other)
        assert facts.codes == []
        assert await counted(database, work, allowance.c.used) == 0


class TestLedger:
    async def test_cannot_be_rewritten(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        command = AdjustLoyaltyPoints(user_id=uuid7(), points=100, reason="hello")
        await transactions.run(pricing.adjust_loyalty_points, command, work)
        for table in ("loyalty_entry", "price_history"):
            with pytest.raises(Exception, match="permission denied"):
                async with database.session(work.tenant_id) as session:
                    await session.execute(text(f"DELETE FROM pricing.{table}"))


class TestGather:
    async def test_finds_what_a_quote_needs_in_one_statement(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        regional = SetRegionalPrice(sku="mug", region="CA", currency="CAD", price=cad(1800))
        await transactions.run(pricing.set_regional_price, regional, work)
        tier = UpsertPriceTier(sku="mug", min_quantity=10, currency="CAD", price=cad(1500))
        await transactions.run(pricing.upsert_price_tier, tier, work)
        rule = CreatePricingRule(name="Night", kind=RuleKind.DISCOUNT, terms=RuleTerms(percent=Decimal("12.5")))
        await transactions.run(pricing.create_pricing_rule, rule, work)
        spring = CreatePromotion(
            name="Spring", kind=PromotionKind.PERCENTAGE, terms=PromotionTerms(percent=Decimal(10)), usage_limit=7
        )
        await transactions.run(pricing.create_promotion, spring, work)
        await transactions.run(pricing.create_discount_code, code_of("FIVE", usage_limit=1), work)
        rate = SetExchangeRate(source="EUR", target="CAD", rate=Decimal("1.5"))
        await transactions.run(pricing.set_exchange_rate, rate, work)
        program = SetLoyaltyProgram(name="Club", currency="CAD", earn_rate=Decimal(1), point_value=Decimal("0.5"))
        await transactions.run(pricing.set_loyalty_program, program, work)
        customer = uuid7()
        await transactions.run(
            pricing.adjust_loyalty_points, AdjustLoyaltyPoints(user_id=customer, points=100, reason="hello"), work
        )
        wanted = request(
            work, codes=("five",), customer_id=customer, region="CA-ON", points=100, base=Money(1000, "EUR")
        )
        reads = database.reads(work.tenant_id)
        facts = await reads.port(PriceFactsReads).gather(wanted)
        await reads.close()
        assert reads.statements == 1
        assert facts == await transactions.run(gather, wanted, work)
        assert facts.rates == {"EUR": Decimal("1.5")}
        assert facts.promotions[0].limits.remaining == 7
        quote = price_quote(wanted, facts)
        # 15.00 in the catalogue, 18.00 in Canada, 12.5 % off is 15.75, 10 % off 14.17, 10 % off 12.75, 50 points off.
        assert [(step.kind, step.amount.amount_minor) for step in quote.lines[0].steps] == [
            ("exchange", 1500),
            ("regional", 300),
            ("dynamic", -225),
            ("promotion", -158),
            ("code", -142),
            ("points", -50),
        ]
        assert quote.total == cad(1225)
        assert [(use.kind, use.quantity) for use in quote.uses] == [("promotion", 1), ("code", 1), ("points", 100)]
        many = price_quote(replace_quantity(wanted, 10), facts)
        assert many.lines[0].unit == cad(1500)

    async def test_says_how_much_of_a_limit_is_left_for_a_customer(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        item = await flash_item(transactions, database, work, limit=10, per_customer=3)
        customer = uuid7()
        await transactions.run(take, Take(uuid7(), customer, (use_of(UseKind.FLASH_SALE, item, 2),)), work)
        facts = await transactions.run(gather, request(work, customer_id=customer), work)
        limits = facts.flash[0].limits
        assert (limits.remaining, limits.per_customer, limits.taken, limits.free) == (8, 3, 2, 1)

    async def test_leaves_out_what_is_over_or_has_not_begun(self, transactions: SqlTransactions, work: Work) -> None:
        later = code_of("LATER", starts_at=work.now + timedelta(days=1))
        code = await transactions.run(pricing.create_discount_code, later, work)
        gone = await transactions.run(pricing.create_discount_code, code_of("GONE"), work)
        await transactions.run(pricing.disable_discount_code, pricing.DisableDiscountCode(id=gone.id), work)
        facts = await transactions.run(gather, request(work, codes=(code.code, gone.code)), work)
        assert facts == Facts(prices=[], flash=[], rules=[], promotions=[], codes=[])

    async def test_leaves_out_the_terms_of_sellers_that_have_nothing_in_the_request(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        for seller in (SELLER, uuid7()):
            rule = CreatePricingRule(
                name="Own", kind=RuleKind.DISCOUNT, terms=RuleTerms(percent=Decimal(5)), seller_id=seller
            )
            await transactions.run(pricing.create_pricing_rule, rule, work)
        facts = await transactions.run(gather, request(work), work)
        assert [each.seller_id for each in facts.rules] == [SELLER]


def replace_quantity(wanted: QuoteRequest, quantity: int) -> QuoteRequest:
    line = replace(wanted.lines[0], quantity=quantity)
    return replace(wanted, lines=(line,), codes=(), points=0)


class TestPriceLists:
    async def test_write_a_line_of_history_for_every_price_that_changes(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        command = pricing.CreatePriceList(name="Gold", kind=PriceListKind.TIER, tier="gold", currency="CAD")
        made = await transactions.run(pricing.create_price_list, command, work)
        for price in (cad(500), cad(500), cad(450), None):
            prices = (ListPrice(sku="mug", price=price), ListPrice(sku="cup", price=cad(300)))
            await transactions.run(pricing.set_list_prices, SetListPrices(list_id=made.id, prices=prices), work)
        reads = database.reads(work.tenant_id)
        history = await reads.port(PricingReads).history("mug", pricing_page())
        [left] = await reads.port(PricingReads).list_prices([made.id], pricing_page())
        await reads.close()
        assert [(each.old_minor, each.new_minor) for each in history.nodes] == [(450, None), (500, 450), (None, 500)]
        assert [(each.sku, each.price_minor) for each in left.nodes] == [("cup", 300)]

    async def test_are_made_once_for_a_region(self, transactions: SqlTransactions, work: Work) -> None:
        first = SetRegionalPrice(sku="mug", region="CA-QC", currency="CAD", price=cad(5))
        second = SetRegionalPrice(sku="cup", region="CA-QC", currency="CAD", price=cad(7))
        made = await transactions.run(pricing.set_regional_price, first, work)
        assert (await transactions.run(pricing.set_regional_price, second, work)).id == made.id

    async def test_belong_to_their_seller(self, transactions: SqlTransactions, work: Work) -> None:
        command = pricing.CreatePriceList(name="Mine", kind=PriceListKind.VOLUME, currency="CAD")
        made = await transactions.run(pricing.create_price_list, command, as_seller(work, uuid7()))
        prices = SetListPrices(list_id=made.id, prices=(ListPrice(sku="mug", price=cad(1)),))
        with pytest.raises(NotFound):
            await transactions.run(pricing.set_list_prices, prices, as_seller(work, uuid7()))


class TestDiscountCodes:
    async def test_are_issued_once(self, transactions: SqlTransactions, work: Work) -> None:
        first = await asyncio.gather(
            *(transactions.run(pricing.create_discount_code, code_of("once"), work) for _ in range(4)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, DiscountCode) for each in first) == 1
        assert sum(isinstance(each, AlreadyExists) for each in first) == 3


def as_seller(work: Work, user_id: UUID) -> Work:
    actor = Principal(user_id=user_id, tenant_id=work.tenant_id, permissions=frozenset({"pricing.write"}))
    return Work(tenant_id=work.tenant_id, actor=actor, now=work.now, correlation_id="seller")


def pricing_page() -> Any:
    return PageRequest()
