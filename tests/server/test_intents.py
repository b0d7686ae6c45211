"""Paying for an order that waits for its buyer, as with a card whose bank wants to see them first."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from data.database import Database
from domain.kernel import NOBODY, NotFound, Work, uuid7
from domain.payments.methods import MethodKind
from domain.payments.policy import Policies
from domain.payments.providers import ChargeStatus, UnsupportedPaymentMethod
from domain.processes.carting import AddToCart, NewCartLine, add_to_cart
from domain.processes.configuring import ConfigureProvider
from domain.processes.intents import (
    ConfirmPayment,
    CreatePaymentIntent,
    NotAwaitingPayment,
    PaymentIntent,
    confirm_payment,
    create_payment_intent,
)
from domain.sagas import Saga, SagaState
from tests.buying import Market, market, replace

ORDER = 'SELECT state, payment_status, total_minor FROM orders."order" WHERE tenant_id = :tenant'


@pytest.fixture
async def shop(database: Database, tenant_id: UUID) -> AsyncIterator[Market]:
    async with market(database, tenant_id) as opened:
        await opened.put_on_sale("mug", 1250, 10)
        yield opened


async def waiting(shop: Market, buyer: Work, **how: Any) -> Saga:
    await shop.filled(buyer, ("mug", 1))
    saga = await shop.buy(buyer, **({"payment_token": "sbx_card_3ds"} | how))
    assert saga.state is SagaState.WAITING
    return saga


async def intent(shop: Market, work: Work, order_id: UUID, key: str = "once", **more: Any) -> PaymentIntent:
    command = CreatePaymentIntent(order_id=order_id, **more)
    return await shop.transactions.run(create_payment_intent, command, work, idempotency_key=key)


class TestCreatePaymentIntent:
    async def test_gives_the_buyer_what_their_bank_asks_for_and_the_order_is_paid_once(self, shop: Market) -> None:
        buyer = shop.work()
        saga = await waiting(shop, buyer)
        made = await intent(shop, buyer, saga.id)
        assert (made.status, made.amount.amount_minor, made.provider) == (ChargeStatus.PENDING, 1413, "sandbox")
        assert made.next_action is not None
        # The buyer's client goes on with the provider, and nobody asks us.
        shop.bank.app.bank.confirm(made.reference, made.next_action)
        await shop.transactions.run(confirm_payment, ConfirmPayment(order_id=saga.id), buyer)
        await shop.finish()
        assert tuple(await shop.one(ORDER)) == ("paid", "paid", 1413)
        assert len(shop.bank.charges()) == 1
        assert await shop.broken() == []

    async def test_is_the_same_however_many_ask_under_however_many_keys(self, shop: Market) -> None:
        buyer = shop.work()
        saga = await waiting(shop, buyer)
        asked = (intent(shop, buyer, saga.id, f"key {number % 3}") for number in range(9))
        made = await asyncio.gather(*asked)
        assert all(each == made[0] for each in made)
        assert len(shop.bank.charges()) == 1

    async def test_keeps_its_answer_under_its_key_when_the_money_has_come(self, shop: Market) -> None:
        buyer = shop.work()
        saga = await waiting(shop, buyer)
        first = await intent(shop, buyer, saga.id)
        assert first.next_action is not None
        shop.bank.app.bank.confirm(first.reference, first.next_action)
        later = await intent(shop, buyer, saga.id, "another")
        assert (later.status, later.next_action) == (ChargeStatus.CAPTURED, None)
        await shop.finish()
        assert await intent(shop, buyer, saga.id) == first
        with pytest.raises(NotAwaitingPayment):
            await intent(shop, buyer, saga.id, "a third")
        assert await shop.broken() == []

    async def test_tells_what_a_bank_transfer_has_to_name(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer, payment_method=MethodKind.BANK_TRANSFER, payment_token="")
        made = await intent(shop, buyer, saga.id)
        assert (made.provider, made.reason, made.reference[:2]) == ("bank_transfer", "awaiting_transfer", "RF")
        (payment,) = await shop.all("SELECT reference FROM payments.payment WHERE tenant_id = :tenant")
        assert made.reference == payment.reference

    async def test_is_for_the_buyer_alone(self, shop: Market) -> None:
        buyer = shop.work()
        saga = await waiting(shop, buyer)
        stranger = shop.work()
        for handler, command in (
            (create_payment_intent, CreatePaymentIntent(order_id=saga.id)),
            (create_payment_intent, CreatePaymentIntent(order_id=saga.id, token="guessed")),
            (create_payment_intent, CreatePaymentIntent(order_id=uuid7())),
            (confirm_payment, ConfirmPayment(order_id=saga.id)),
        ):
            with pytest.raises(NotFound):
                await shop.transactions.run(handler, command, stranger)
        assert len(shop.bank.charges()) == 1

    async def test_serves_guests_by_the_token_of_their_cart(self, shop: Market) -> None:
        guest = replace(shop.work(), actor=NOBODY)
        cart = await shop.transactions.run(add_to_cart, AddToCart(lines=[NewCartLine(sku="mug")]), guest)
        how = {"token": cart.token, "guest_email": "ann@example.com", "payment_token": "sbx_card_3ds"}
        saga = await shop.buy(guest, **how)
        with pytest.raises(NotFound):
            await intent(shop, guest, saga.id)
        made = await intent(shop, guest, saga.id, "with the token", token=cart.token)
        assert made.next_action is not None

    async def test_of_an_order_that_was_paid_at_once_is_refused(self, shop: Market) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 1))
        saga = await shop.buy(buyer)
        with pytest.raises(NotAwaitingPayment):
            await intent(shop, buyer, saga.id)
        assert [charge["captured"] for charge in shop.bank.charges()] == [1413]


async def take_out_of_use(command: ConfigureProvider, work: Work, policies: Policies) -> None:
    policy = await policies.lock_or_create(work.tenant_id)
    policy.configure(command.provider, is_active=command.is_active)


class TestAProviderOutOfUse:
    async def test_takes_no_new_orders_and_brings_old_ones_to_an_end(self, shop: Market) -> None:
        early, late = shop.work(), shop.work()
        saga = await waiting(shop, early)
        off = ConfigureProvider(provider="sandbox", is_active=False)
        await shop.transactions.run(take_out_of_use, off, shop.staff())
        await shop.filled(late, ("mug", 1))
        with pytest.raises(UnsupportedPaymentMethod):
            await shop.buy(late)
        made = await intent(shop, early, saga.id)
        assert made.next_action is not None
        shop.bank.app.bank.confirm(made.reference, made.next_action)
        await shop.finish()
        assert [tuple(row) for row in await shop.all(ORDER)] == [("paid", "paid", 1413)]
        assert await shop.broken() == []
