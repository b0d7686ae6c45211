"""Points for orders, and campaigns that come, go and run out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from sqlalchemy import select, text

from data.database import Database
from data.event_log import event_log
from data.pricing.tables import flash_sale, loyalty_account, promotion
from data.transactions import SqlTransactions
from domain import pricing
from domain.kernel import Envelope, Work, uuid7
from domain.money import Money
from domain.pricing import (
    Allowances,
    CreateFlashSale,
    CreatePromotion,
    FlashItemInput,
    LoyaltyTier,
    PricingReads,
    PromotionKind,
    PromotionTerms,
    SetLoyaltyProgram,
    Use,
    UseKind,
)
from domain.pricing.flash_sales import turn_flash_sale
from domain.pricing.hearing import earn_points, exhaust_flash_sale, give_back, revoke_points, turn_used_up
from domain.pricing.promotions import turn_promotion

HOUR = timedelta(hours=1)
PROGRAM = SetLoyaltyProgram(
    name="Club",
    currency="CAD",
    earn_rate=Decimal("1.5"),
    point_value=Decimal(1),
    tiers=(LoyaltyTier(name="gold", threshold=100, multiplier=Decimal(2)),),
)


def fact(work: Work, name: str, order_id: UUID, **data: Any) -> Envelope:
    return Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=work.tenant_id,
        aggregate_id=order_id,
        aggregate_type="Order",
        version=1,
        data=data,
        occurred_at=work.now,
        correlation_id="test",
    )


async def take(command: tuple[UUID, tuple[Use, ...]], work: Work, allowances: Allowances) -> None:
    await allowances.take(command[0], None, command[1], work.now)


class Buying:
    """Lets pricing hear of one customer's orders."""

    def __init__(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        self.transactions, self.database, self.work = transactions, database, work
        self.customer = uuid7()

    async def hear(self, handler: Any, name: str, order_id: UUID, **data: Any) -> None:
        data = {"customer_id": str(self.customer), "currency": "CAD", **data}
        await self.transactions.run(handler, fact(self.work, name, order_id, **data), self.work)

    async def complete(self, order_id: UUID, total_minor: int, refunded_minor: int = 0) -> None:
        amounts = {"total_minor": total_minor, "refunded_minor": refunded_minor}
        await self.hear(earn_points, "order.completed", order_id, **amounts)

    async def send_back(self, order_id: UUID, amount_minor: int) -> None:
        await self.hear(revoke_points, "order.returned", order_id, amount_minor=amount_minor, return_id=str(uuid7()))

    async def account(self) -> tuple[int, int, str | None]:
        async with self.database.session(self.work.tenant_id) as session:
            columns = loyalty_account.c
            row = (await session.execute(select(columns.points, columns.lifetime_points, columns.tier))).one()
            return (row.points, row.lifetime_points, row.tier)


@pytest.fixture
async def buying(transactions: SqlTransactions, database: Database, work: Work) -> Buying:
    await transactions.run(pricing.set_loyalty_program, PROGRAM, work)
    return Buying(transactions, database, work)


class TestEarnPoints:
    async def test_credits_what_was_paid_once(self, buying: Buying) -> None:
        order = uuid7()
        await buying.complete(order, 3399, refunded_minor=100)
        await buying.complete(order, 3399, refunded_minor=100)
        # 32.99 CAD at 1.5 points is 49.485.
        assert await buying.account() == (49, 49, None)

    async def test_multiplies_by_the_tier_that_was_reached_before(self, buying: Buying) -> None:
        await buying.complete(uuid7(), 10_000)
        assert await buying.account() == (150, 150, "gold")
        await buying.complete(uuid7(), 1_000)
        assert await buying.account() == (180, 180, "gold")

    async def test_gives_nothing_to_guests_nor_in_another_currency(self, buying: Buying) -> None:
        await buying.hear(earn_points, "order.completed", uuid7(), total_minor=1000, customer_id=None)
        await buying.hear(earn_points, "order.completed", uuid7(), total_minor=1000, currency="EUR")
        assert await buying.account() == (0, 0, None)


class TestRevokePoints:
    async def test_takes_back_what_returned_goods_had_brought(self, buying: Buying) -> None:
        order = uuid7()
        await buying.complete(order, 10_000)
        await buying.send_back(order, 3_333)
        assert await buying.account() == (101, 101, "gold")
        await buying.send_back(order, 6_667)
        assert await buying.account() == (0, 0, None)

    async def test_lets_spent_points_go(self, buying: Buying) -> None:
        order = uuid7()
        await buying.complete(order, 10_000)
        spend = pricing.AdjustLoyaltyPoints(user_id=buying.customer, points=-120, reason="spent")
        await buying.transactions.run(pricing.adjust_loyalty_points, spend, buying.work)
        await buying.send_back(order, 10_000)
        assert await buying.account() == (0, 0, None)

    async def test_knows_orders_that_brought_nothing(self, buying: Buying) -> None:
        await buying.send_back(uuid7(), 1_000)
        assert await buying.account() == (0, 0, None)


class TestRedeemLoyaltyPoints:
    async def test_makes_a_code_for_oneself(self, buying: Buying) -> None:
        await buying.complete(uuid7(), 10_000)
        actor = replace(buying.work.actor, user_id=buying.customer)
        own = replace(buying.work, actor=actor)
        code = await buying.transactions.run(
            pricing.redeem_loyalty_points, pricing.RedeemLoyaltyPoints(points=120), own
        )
        assert await buying.account() == (30, 150, "gold")
        assert (code.terms.amount_minor, code.usage_limit) == (120, 1)
        assert code.terms.conditions.customer_ids == (buying.customer,)
        with pytest.raises(pricing.InsufficientPoints):
            await buying.transactions.run(pricing.redeem_loyalty_points, pricing.RedeemLoyaltyPoints(points=31), own)
        assert await buying.account() == (30, 150, "gold")


async def state_of(database: Database, work: Work, table: Any) -> str:
    async with database.session(work.tenant_id) as session:
        return str(await session.scalar(select(table.c.state)))


async def told(database: Database, work: Work, prefix: str) -> list[str]:
    async with database.session(work.tenant_id) as session:
        names = select(event_log.c.name).where(event_log.c.name.startswith(prefix)).order_by(event_log.c.sequence)
        return list(await session.scalars(names))


def sale_of(work: Work, limit: int = 2, **more: Any) -> CreateFlashSale:
    items = (FlashItemInput(sku="mug", price=Money(900, "CAD"), stock_limit=limit),)
    return CreateFlashSale(name="Flash", items=items, **{"ends_at": work.now + 2 * HOUR, **more})


class TestFlashSales:
    async def test_begin_and_end_by_the_clock(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        made = await transactions.run(pricing.create_flash_sale, sale_of(work, starts_at=work.now + HOUR), work)
        payload: Mapping[str, Any] = {"id": str(made.id)}
        states = []
        for hours in (0, 1, 1, 2, 3):
            await transactions.run(turn_flash_sale, payload, replace(work, now=work.now + hours * HOUR))
            states.append(await state_of(database, work, flash_sale))
        assert states == ["scheduled", "active", "active", "ended", "ended"]
        assert await told(database, work, "flash_sale.") == [
            "flash_sale.created",
            "flash_sale.started",
            "flash_sale.ended",
        ]

    async def test_stay_cancelled(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        made = await transactions.run(pricing.create_flash_sale, sale_of(work), work)
        await transactions.run(pricing.cancel_flash_sale, pricing.CancelFlashSale(id=made.id), work)
        await transactions.run(turn_flash_sale, {"id": str(made.id)}, work)
        assert await state_of(database, work, flash_sale) == "cancelled"

    async def test_are_exhausted_with_the_last_unit_and_open_again_when_it_comes_back(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        made = await transactions.run(pricing.create_flash_sale, sale_of(work, limit=1), work)
        reads = database.reads(work.tenant_id)
        [[item]] = await reads.port(PricingReads).flash_items([made.id])
        await reads.close()
        order = uuid7()
        await transactions.run(take, (order, (Use(UseKind.FLASH_SALE, item.id, 1, Money(1, "CAD")),)), work)
        sold_out = fact(work, "flash_sale.sold_out", order, item_id=str(item.id), sku="mug")
        await transactions.run(exhaust_flash_sale, sold_out, work)
        assert await state_of(database, work, flash_sale) == "exhausted"
        await transactions.run(give_back, fact(work, "order.cancelled", order), work)
        returned = fact(work, "pricing.discount_returned", order, source_ids=[str(item.id)])
        await transactions.run(turn_used_up, returned, work)
        assert await state_of(database, work, flash_sale) == "active"


class TestPromotions:
    async def test_are_exhausted_and_open_again(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        wanted = CreatePromotion(
            name="Spring",
            kind=PromotionKind.PERCENTAGE,
            terms=PromotionTerms(percent=Decimal(5)),
            usage_limit=1,
            ends_at=work.now + HOUR,
        )
        made = await transactions.run(pricing.create_promotion, wanted, work)
        order = uuid7()
        await transactions.run(take, (order, (Use(UseKind.PROMOTION, made.id, 1, Money(1, "CAD")),)), work)
        uses = [{"kind": "promotion", "id": str(made.id)}]
        await transactions.run(turn_used_up, fact(work, "pricing.discount_applied", order, uses=uses), work)
        assert await state_of(database, work, promotion) == "exhausted"
        await transactions.run(give_back, fact(work, "order.cancelled", order), work)
        returned = fact(work, "pricing.discount_returned", order, source_ids=[str(made.id)])
        await transactions.run(turn_used_up, returned, work)
        assert await state_of(database, work, promotion) == "active"
        await transactions.run(turn_promotion, {"id": str(made.id)}, replace(work, now=work.now + HOUR))
        assert await state_of(database, work, promotion) == "ended"

    async def test_ask_for_the_next_of_their_timers(
        self, transactions: SqlTransactions, database: Database, work: Work, database_url: str
    ) -> None:
        wanted = CreatePromotion(
            name="Spring",
            kind=PromotionKind.PERCENTAGE,
            terms=PromotionTerms(percent=Decimal(5)),
            starts_at=work.now + HOUR,
            ends_at=work.now + 2 * HOUR,
        )
        made = await transactions.run(pricing.create_promotion, wanted, work)
        due = "SELECT scheduled_at FROM jobs.procrastinate_jobs WHERE args->'payload'->>'id' = %s"
        with psycopg.connect(database_url) as connection:
            assert connection.execute(due, [str(made.id)]).fetchall() == [(work.now + HOUR,)]


class TestTheLog:
    async def test_says_what_an_order_used(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        wanted = CreatePromotion(name="Spring", kind=PromotionKind.PERCENTAGE, terms=PromotionTerms(percent=Decimal(5)))
        made = await transactions.run(pricing.create_promotion, wanted, work)
        order = uuid7()
        await transactions.run(take, (order, (Use(UseKind.PROMOTION, made.id, 1, Money(150, "CAD")),)), work)
        async with database.session(work.tenant_id) as session:
            found = text("SELECT data FROM platform.event_log WHERE name = 'pricing.discount_applied'")
            data = await session.scalar(found)
        used = data if isinstance(data, dict) else orjson.loads(data)
        assert used["order_id"] == str(order)
        assert used["uses"] == [
            {
                "kind": "promotion",
                "id": str(made.id),
                "quantity": 1,
                "amount": {"amount_minor": 150, "currency": "CAD"},
            }
        ]
