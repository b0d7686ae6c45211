"""Buying on real engines: one order for one cart, no unit sold twice, no cent lost, whatever dies on the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from data.database import Database
from data.inventory import stock_level
from domain.inventory import InsufficientStock
from domain.kernel import IdempotencyKeyReused, InvalidStateTransition, NotFound, uuid7
from domain.orders import (
    AcceptReturn,
    OrderState,
    RequestReturn,
    ReturnLine,
    UpdateOrderStatus,
    request_return,
)
from domain.orders.cart_parts import CartClosed, EmptyCart
from domain.payments.methods import MethodKind
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.carting import NewCartLine
from domain.processes.checkout import PaymentDeclined
from domain.processes.fulfilling import accept_return, update_order_status
from domain.processes.quoting import PriceChanged
from domain.processes.settling import CapturePayment, capture_payment
from domain.sagas import ProcessUnfinished, SagaState
from domain.tenancy import StoreNotSelling
from tests.buying import Market, market

ORDERS = (
    'SELECT state, payment_status, total_minor, tax_minor FROM orders."order" WHERE tenant_id = :tenant ORDER BY id'
)


class Died(BaseException):
    """The process that ran the checkout is gone."""


def dying_at(wanted: str) -> Callable[[str], None]:
    def crash(point: str) -> None:
        if point == wanted:
            raise Died

    return crash


@pytest.fixture
async def shop(database: Database, tenant_id: UUID) -> AsyncIterator[Market]:
    async with market(database, tenant_id) as opened:
        await opened.put_on_sale("mug", 1250, 10)
        await opened.put_on_sale("cup", 333, 10, seller=1)
        yield opened


class TestCheckout:
    async def test_sells_the_goods_of_two_sellers_in_one_paid_order(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2), ("cup", 1))
        saga = await shop.buy(buyer)
        assert saga.state is SagaState.DONE
        (order,) = await shop.all(ORDERS)
        # 2 x 12.50 + 3.33 = 28.33, and 13 % HST on each line: 3.25 + 0.43.
        assert tuple(order) == ("paid", "paid", 3201, 368)
        assert [tuple(row) for row in await shop.all(
            "SELECT sku, on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant ORDER BY sku")
        ] == [("cup", 10, 1), ("mug", 10, 2)]  # fmt: skip
        assert [charge["captured"] for charge in shop.bank.charges()] == [3201]
        assert await shop.broken() == []

    async def test_holds_each_sellers_goods_in_escrow(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2), ("cup", 1))
        await shop.buy(buyer)
        held = await shop.all("SELECT seller_id, amount_minor FROM payments.escrow_hold WHERE tenant_id = :tenant")
        assert {row.seller_id: row.amount_minor for row in held} == {shop.sellers[0]: 2500, shop.sellers[1]: 333}

    async def test_answers_the_same_under_the_same_key(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        first = await shop.buy(buyer)
        again = await shop.buy(buyer)
        assert (again.id, len(shop.bank.charges())) == (first.id, 1)
        with pytest.raises(IdempotencyKeyReused):
            await shop.buy(buyer, notes="another request")

    async def test_waits_for_the_first_of_two_at_once_under_one_key(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        made = await asyncio.gather(*(shop.buy(buyer) for _ in range(8)))
        assert len({saga.id for saga in made}) == 1
        assert len(shop.bank.charges()) == 1

    async def test_of_an_empty_cart_is_refused_and_leaves_nothing(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        await shop.buy(buyer, "first")
        with pytest.raises((EmptyCart, CartClosed, Exception)):
            await shop.buy(buyer, "second")
        assert len(await shop.all(ORDERS)) == 1

    async def test_refuses_a_price_that_its_buyer_has_not_seen(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        with pytest.raises(PriceChanged) as refused:
            await shop.buy(buyer, expected_total_minor=1)
        assert refused.value.actual_minor == 1413
        assert await shop.all(ORDERS) == []

    async def test_pays_nothing_twice_when_the_bank_answers_late_or_not_at_all(self, shop: Market) -> None:
        for card in ("sbx_card_timeout_after", "sbx_card_fail_before", "sbx_card_fail_after", "sbx_card_twice"):
            buyer = shop.work()
            await shop.filled(buyer, ("mug", 1))
            # Whatever its buyer is told, the order is brought to its end.
            with contextlib.suppress(ProcessUnfinished):
                await shop.buy(buyer, payment_token=card)
            await shop.finish()
        assert [row.state for row in await shop.all(ORDERS)] == ["paid"] * 4
        assert await shop.broken() == []


class TestADeclinedCard:
    async def test_gives_everything_back_and_the_buyer_may_try_again(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2))
        with pytest.raises(PaymentDeclined):
            await shop.buy(buyer, "first", payment_token="sbx_card_declined")
        assert [row.state for row in await shop.all(ORDERS)] == ["cancelled"]
        assert await shop.broken() == []
        saga = await shop.buy(buyer, "second")
        assert saga.state is SagaState.DONE
        assert [row.state for row in await shop.all(ORDERS)] == ["cancelled", "paid"]
        assert await shop.broken() == []

    async def test_is_told_again_under_the_same_key(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        for _ in range(2):
            with pytest.raises(PaymentDeclined, match="card_declined"):
                await shop.buy(buyer, payment_token="sbx_card_declined")


class TestALatePayment:
    async def test_is_settled_when_the_provider_tells(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer, payment_token="sbx_card_late")
        assert saga.state is SagaState.WAITING
        await asyncio.sleep(0.05)
        shop.bank.app._webhooks.wake()
        await asyncio.sleep(0.05)
        assert await shop.hear() > 0
        await shop.finish()
        assert [row.state for row in await shop.all(ORDERS)] == ["paid"]
        assert await shop.hear() == 0
        assert await shop.broken() == []


class TestABankTransfer:
    async def test_is_waited_for_as_long_as_it_takes_and_packed_when_it_was_seen(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2))
        saga = await shop.buy(buyer, payment_method=MethodKind.BANK_TRANSFER, payment_token="")
        await shop.finish()
        assert (saga.state, await shop.all(ORDERS)) == (SagaState.DONE, [("confirmed", "authorized", 2825, 325)])
        packing = UpdateOrderStatus(order_id=saga.id, status=OrderState.PROCESSING)
        with pytest.raises(InvalidStateTransition):
            await shop.transactions.run(update_order_status, packing, shop.staff())
        seen = CapturePayment(payment_id=UUID(saga.data["payment_id"]))
        await shop.transactions.run(capture_payment, seen, shop.staff())
        assert await shop.all(ORDERS) == [("paid", "paid", 2825, 325)]
        await shop.transactions.run(update_order_status, packing, shop.staff())
        assert await shop.broken() == []


class TestTheLastUnits:
    async def test_are_sold_once_to_racing_buyers(self, shop: Market) -> None:
        buyers = [shop.work() for _ in range(30)]
        for buyer in buyers:
            await shop.filled(buyer, ("mug", 1))
        runner = shop.runner()
        made = await asyncio.gather(*(shop.buy(buyer, runner=runner) for buyer in buyers), return_exceptions=True)
        sold = [each for each in made if not isinstance(each, BaseException)]
        assert len(sold) == 10
        assert all(isinstance(each, InsufficientStock) for each in made if isinstance(each, BaseException))
        assert await shop.broken() == []

    async def test_are_sold_once_for_one_cart_under_two_keys(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        made = await asyncio.gather(*(shop.buy(buyer, f"key {number}") for number in range(6)), return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in made) == 1
        assert len(shop.bank.charges()) == 1
        assert await shop.broken() == []


POINTS = [
    f"checkout.{step}.{place}"
    for step in ("place", "reserve", "charge", "settle")
    for place in ("begin", "uncommitted", "done")
]


class TestADeadServer:
    @pytest.mark.parametrize("point", POINTS)
    async def test_leaves_a_checkout_that_is_brought_to_its_end(self, shop: Market, point: str) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1), ("cup", 2))
        with contextlib.suppress(Died):
            await shop.buy(buyer, runner=shop.runner(dying_at(point)))
        await shop.finish()
        states = [row.state for row in await shop.all(ORDERS)]
        assert states == ([] if point == "checkout.place.uncommitted" else ["paid"])
        assert len(shop.bank.charges()) == len(states)
        assert await shop.broken() == []

    @pytest.mark.parametrize("point", ["checkout.charge.undo", "checkout.place.undo"])
    async def test_leaves_a_declined_order_that_is_withdrawn(self, shop: Market, point: str) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        with pytest.raises(Died):
            await shop.buy(buyer, runner=shop.runner(dying_at(point)), payment_token="sbx_card_declined")
        await shop.finish()
        assert [row.state for row in await shop.all(ORDERS)] == ["cancelled"]
        assert await shop.broken() == []


class TestACancelledOrder:
    async def test_gives_back_goods_and_money(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2), ("cup", 1))
        saga = await shop.buy(buyer)
        await shop.transactions.run(cancel_order, CancelOrder(id=saga.id), buyer)
        await shop.finish()
        (order,) = await shop.all(ORDERS)
        assert (order.state, order.payment_status) == ("cancelled", "refunded")
        assert [charge["refunded"] for charge in shop.bank.charges()] == [3201]
        assert await shop.broken() == []

    async def test_of_somebody_else_is_not_there(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer)
        with pytest.raises(NotFound):
            await shop.transactions.run(cancel_order, CancelOrder(id=saga.id), shop.work())
        assert [row.state for row in await shop.all(ORDERS)] == ["paid"]

    async def test_is_paid_back_once_to_racing_callers(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer)
        runs = (shop.transactions.run(cancel_order, CancelOrder(id=saga.id), buyer) for _ in range(6))
        made = await asyncio.gather(*runs, return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in made) == 1
        await shop.finish()
        assert [charge["refunded"] for charge in shop.bank.charges()] == [1413]
        assert await shop.broken() == []


class TestAShippedOrder:
    async def test_leaves_the_shelf_and_comes_back_with_the_money(self, shop: Market) -> None:
        buyer, staff = shop.work(), shop.staff()
        await shop.filled(buyer, ("mug", 2), ("cup", 1))
        saga = await shop.buy(buyer)
        for status in (OrderState.PROCESSING, OrderState.READY, OrderState.SHIPPED, OrderState.DELIVERED):
            moved = await shop.transactions.run(
                update_order_status, UpdateOrderStatus(order_id=saga.id, status=status), staff
            )
        stock = "SELECT sku, on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant ORDER BY sku"
        assert [tuple(row) for row in await shop.all(stock)] == [("cup", 9, 0), ("mug", 8, 0)]
        mug = next(line for line in moved.lines if line.sku == "mug")
        asked = await shop.transactions.run(
            request_return,
            RequestReturn(order_id=saga.id, lines=(ReturnLine(line_id=mug.id, quantity=1),), reason="chipped"),
            buyer,
        )
        await shop.transactions.run(accept_return, AcceptReturn(order_id=saga.id, return_id=asked.returns[0].id), staff)
        await shop.finish()
        assert [tuple(row) for row in await shop.all(stock)] == [("cup", 9, 0), ("mug", 9, 0)]
        # One mug of two with its part of the tax: 12.50 + 1.62.
        assert [charge["refunded"] for charge in shop.bank.charges()] == [1412]
        held = await shop.all(
            "SELECT seller_id, amount_minor - refunded_minor AS held FROM payments.escrow_hold WHERE tenant_id = :tenant"
        )
        assert {row.seller_id: row.held for row in held} == {shop.sellers[0]: 1250, shop.sellers[1]: 333}


class TestGoodsInSeveralStores:
    async def test_are_bought_in_one_order_and_leave_the_shelf_of_each(self, shop: Market) -> None:
        (mug,) = await shop.all(
            "SELECT product_id FROM inventory.stock_level WHERE tenant_id = :tenant AND sku = 'mug'"
        )
        async with shop.database.session(shop.tenant_id) as session:
            await session.execute(
                insert(stock_level).values(
                    id=uuid7(), tenant_id=shop.tenant_id, version=1, store_id=shop.stores[1], sku="mug",
                    product_id=mug.product_id, on_hand=3, reserved=0, reorder_point=0, reorder_quantity=0,
                )
            )  # fmt: skip
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 12))
        saga = await shop.buy(buyer)
        assert saga.state is SagaState.DONE
        stock = "SELECT on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant AND sku = 'mug'"
        assert sorted(tuple(row) for row in await shop.all(stock)) == [(3, 2), (10, 10)]
        # 12 x 12.50 and 13 % of it, whichever store sends how many.
        assert [row.total_minor for row in await shop.all(ORDERS)] == [16950]
        assert await shop.broken() == []


class TestBuyingAtOnce:
    async def test_takes_neither_a_cart_nor_touches_one(self, shop: Market) -> None:
        buyer = shop.work()
        cart = await shop.filled(buyer, ("cup", 1))
        saga = await shop.buy(buyer, lines=(NewCartLine(sku="mug", quantity=2),))
        assert saga.state is SagaState.DONE
        assert [row.total_minor for row in await shop.all(ORDERS)] == [2825]
        (kept,) = await shop.all("SELECT id, state FROM orders.cart WHERE tenant_id = :tenant")
        assert (kept.id, kept.state) == (cart.id, "active")
        assert await shop.broken() == []

    async def test_of_what_is_not_there_is_refused_and_leaves_nothing(self, shop: Market) -> None:
        buyer = shop.work()
        with pytest.raises(InsufficientStock):
            await shop.buy(buyer, lines=(NewCartLine(sku="mug", quantity=11),))
        assert await shop.all(ORDERS) == []


class TestAClosedStore:
    async def test_takes_no_orders_not_even_for_carts_that_were_filled_before(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1), ("cup", 1))
        async with shop.database.session(None) as session:
            values = {"id": shop.stores[1]}
            await session.execute(text("UPDATE tenancy.store SET delivery_enabled = false WHERE id = :id"), values)
        with pytest.raises(StoreNotSelling) as refused:
            await shop.buy(buyer)
        assert (refused.value.store_code, refused.value.channel) == ("s1", "delivery")
        assert await shop.all(ORDERS) == []
