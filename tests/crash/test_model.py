"""Whatever is done in whatever order, shops and their books do what a few lines of plain arithmetic say they must."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from data.database import Database
from domain.inventory import InsufficientStock
from domain.kernel import DomainError
from domain.money import Money
from domain.orders import AcceptReturn, OrderState, RequestReturn, UpdateOrderStatus, reject_return, request_return
from domain.orders.commands import RejectReturn
from domain.orders.events import ReturnLine
from domain.payments.escrow import EscrowFrozen
from domain.payments.paying_out import RequestPayout, SetPayoutAccount, set_payout_account
from domain.payments.payouts import PayoutTooSmall
from domain.payments.releasing import ReleaseEscrow, release_escrow
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.checkout import CHECKOUT, PaymentDeclined
from domain.processes.fulfilling import accept_return, update_order_status
from domain.processes.settling import RefundPaymentInput, refund_payment
from domain.sagas import SagaState
from tests.buying import market
from tests.crash.street import Place, Street, pay_out, street

STEPS = int(os.environ.get("AGORA_MODEL", "240"))
STEPS_OF_A_RUN = 30
PRICES = {"mug": 1250, "cup": 333, "jug": 8999}
UNITS = 20
FIRST = 3
DISPUTED = "sbx_card_disputed"
CARDS = ("sbx_card_ok", "sbx_card_ok", "sbx_card_declined", "sbx_card_late", "sbx_card_late_decline", "sbx_card_refund_fails",
         "sbx_card_refund_late", DISPUTED, DISPUTED)  # fmt: skip
WAY = (OrderState.PAID, OrderState.PROCESSING, OrderState.READY, OrderState.SHIPPED, OrderState.DELIVERED,
       OrderState.COMPLETED)  # fmt: skip
WAITS, CANCELLED = OrderState.PENDING, OrderState.CANCELLED
CALLED_BACK = {OrderState.PAID, OrderState.PROCESSING, WAITS}
WITH_THE_BUYER = {OrderState.DELIVERED, OrderState.COMPLETED, OrderState.PARTIALLY_RETURNED}
BASKETS = st.dictionaries(st.sampled_from(sorted(PRICES)), st.integers(1, 4), min_size=1, max_size=2)


def cost(sku: str, units: int) -> int:
    """What units cost with 13 % tax, half a cent rounded up."""
    return PRICES[sku] * units + (PRICES[sku] * units * 13 + 50) // 100


@dataclass(eq=False)
class Bought:
    """What the model knows of an order; money in cents."""

    id: UUID
    payment_id: UUID
    basket: dict[str, int]
    card: str
    state: OrderState = OrderState.PAID
    paid: int = 0
    refunded: int = 0
    on_its_way: list[int] = field(default_factory=list)
    returned: dict[str, int] = field(default_factory=dict)
    waits: bool = False
    released: bool = False
    # What the buyer's bank has decided, and what we have heard of its dispute.
    decided: bool | None = None
    heard: bool = False
    closed: bool = False
    covered: int = 0
    frozen: bool = False

    @property
    def total(self) -> int:
        return sum(cost(sku, units) for sku, units in self.basket.items())

    @property
    def left(self) -> int:
        return self.paid - self.refunded - self.covered - sum(self.on_its_way)


@dataclass
class Town:
    """Where all runs take place: one database, and one loop for it."""

    runner: asyncio.Runner
    database: Database
    make_tenant: Callable[..., UUID]
    folder: Path


class Shopping(RuleBasedStateMachine):
    """A market and its model; `town` is set by the test."""

    town: ClassVar[Town]
    orders: Bundle[Bought] = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.stack = AsyncExitStack()
        self.shop: Street
        self.known: list[Bought] = []
        self.on_hand = dict.fromkeys(PRICES, UNITS)
        self.reserved = dict.fromkeys(PRICES, 0)
        self.minutes = 0

    def do(self, act: Any) -> Any:
        return self.town.runner.run(act)

    def refused(self, act: Any, *refusals: type[Exception]) -> bool:
        """Do something; say whether it was refused, as it may be for these reasons only."""
        try:
            self.do(act)
        except refusals:
            return True
        return False

    def act(self, handler: Any, command: Any) -> Any:
        return self.shop.transactions.run(handler, command, self.shop.boss)

    @initialize(
        target=orders, buying=st.lists(st.tuples(BASKETS, st.sampled_from(CARDS)), min_size=FIRST, max_size=FIRST)
    )
    def open(self, buying: list[tuple[dict[str, int], str]]) -> Any:
        async def opened() -> None:
            tenant_id, books = self.town.make_tenant(), self.town.folder / f"{uuid4().hex}.sqlite"
            async with market(self.town.database, tenant_id) as made:
                for number, (sku, price) in enumerate(PRICES.items()):
                    await made.put_on_sale(sku, price, UNITS, seller=number % 2)
                place = Place(
                    database_url="", tenant_id=tenant_id, books=str(books), stores=tuple(made.stores),
                    sellers=tuple(made.sellers),
                )  # fmt: skip
            self.shop = await self.stack.enter_async_context(street(self.town.database, place))
            # Webhooks come when a rule says so.
            self.shop.bank.app._webhooks.wake = lambda: None  # type: ignore[method-assign]
            for seller in self.shop.sellers:
                account = SetPayoutAccount(currency="CAD", provider="sandbox", destination="sbx_a", seller_id=seller)
                await self.act(set_payout_account, account)

        self.do(opened())
        made = (self._buy(basket, card) for basket, card in buying)
        return multiple(*(each for each in made if each is not None))

    @rule(target=orders, basket=BASKETS, card=st.sampled_from(CARDS))
    def buy(self, basket: dict[str, int], card: str) -> Any:
        bought = self._buy(basket, card)
        return multiple() if bought is None else bought

    @rule()
    def the_bank_is_asked_again(self) -> None:
        """The keeper asks about the late ones, which the bank has decided on by now."""
        self.do(self._keep())
        for each in self.known:
            if each.waits and each.card == "sbx_card_late" and each.state is WAITS:
                each.state, each.paid = OrderState.PAID, each.total
            elif each.waits:
                self._withdraw(each)
            each.waits = False

    @rule()
    def the_bank_is_told(self) -> None:
        """Whoever sends refunds sends them, and the bank confirms late what it confirms late."""
        self.do(self.shop.do_jobs())
        self.do(self.shop.hear_all())
        for each in self.known:
            if each.card != "sbx_card_refund_fails":
                each.refunded += sum(each.on_its_way)
            each.on_its_way.clear()
            if each.card == DISPUTED:
                self._hear_of_a_dispute(each)

    @rule(bought=orders, won=st.booleans())
    def the_buyers_bank_decides(self, bought: Bought, won: bool) -> None:
        possible = bought.card == DISPUTED and bought.decided is None
        assert self.shop.decide(bought.payment_id, won=won) is possible
        if possible:
            bought.decided = won

    @rule(bought=orders)
    def time_runs_out(self, bought: Bought) -> None:
        async def late() -> None:
            runner = self.shop.keeper(lambda: datetime.now(UTC) + timedelta(hours=3))
            some = self.shop.saga(self.shop.work(), "any")
            some.id = bought.id
            await runner.take_up(await runner._present(some))

        if bought.waits:
            self.do(late())
            bought.waits = False
            self._withdraw(bought)

    @rule(bought=orders)
    def cancel(self, bought: Bought) -> None:
        possible = bought.state in CALLED_BACK
        assert self.refused(self.act(cancel_order, CancelOrder(id=bought.id)), DomainError) is not possible
        if possible:
            self._call_off(bought)

    @rule(bought=orders, steps=st.integers(1, 5))
    def bring_further(self, bought: Bought, steps: int) -> None:
        for _ in range(steps):
            self._bring(bought)

    @rule(bought=orders, dice=st.data())
    def send_back(self, bought: Bought, dice: st.DataObject) -> None:
        left = {sku: units - bought.returned.get(sku, 0) for sku, units in bought.basket.items()}
        sku = dice.draw(st.sampled_from(sorted(left)))
        units = dice.draw(st.integers(1, max(1, left[sku])))
        before = bought.returned.get(sku, 0)
        of_all, price = bought.basket[sku], cost(sku, bought.basket[sku])
        worth = price * (before + units) // of_all - price * before // of_all
        asked = self.do(self._ask_back(bought, sku, units))
        assert (asked is not None) is (bought.state in WITH_THE_BUYER and left[sku] >= units)
        if asked is None:
            return
        refused = self.refused(self.act(accept_return, AcceptReturn(order_id=bought.id, return_id=asked)), DomainError)
        if refused:
            # Part of it was given back by hand already; nothing has changed, and somebody has to decide.
            assert bought.refunded or bought.on_its_way or bought.covered
            self.do(self.act(reject_return, RejectReturn(order_id=bought.id, return_id=asked, note="paid back")))
            return
        bought.on_its_way.append(worth)
        bought.returned[sku] = before + units
        self.on_hand[sku] += units
        whole = bought.returned == bought.basket
        bought.state = OrderState.RETURNED if whole else OrderState.PARTIALLY_RETURNED

    @rule(bought=orders, cents=st.integers(1, 12_000))
    def give_money_back(self, bought: Bought, cents: int) -> None:
        possible = cents <= bought.left
        wanted = RefundPaymentInput(payment_id=bought.payment_id, amount=Money(cents, "CAD"))
        assert self.refused(self.act(refund_payment, wanted), DomainError) is not possible
        if possible:
            bought.on_its_way.append(cents)

    @rule(bought=orders)
    def release(self, bought: Bought) -> None:
        refused = self.refused(self.act(release_escrow, ReleaseEscrow(order_id=bought.id)), EscrowFrozen)
        # Of a few cents all may be tax, which nobody holds for a seller.
        assert refused is bought.frozen or bought.covered < 10
        bought.released |= bool(bought.paid) and not refused

    @rule(seller=st.integers(0, 1))
    def pay_a_seller(self, seller: int) -> None:
        self.refused(
            self.act(pay_out, RequestPayout(currency="CAD", seller_id=self.shop.sellers[seller])), PayoutTooSmall
        )

    @invariant()
    def the_shelves_hold_what_is_left(self) -> None:
        if hasattr(self, "shop"):
            rows = self.do(self.shop.all("SELECT sku, on_hand, reserved FROM inventory.stock_level "
                                         "WHERE tenant_id = :tenant"))  # fmt: skip
            assert {row.sku: (row.on_hand, row.reserved) for row in rows} == {
                sku: (self.on_hand[sku], self.reserved[sku]) for sku in PRICES
            }

    @invariant()
    def the_orders_are_where_they_should_be(self) -> None:
        if hasattr(self, "shop"):
            rows = self.do(self.shop.all('SELECT id, state FROM orders."order" WHERE tenant_id = :tenant'))
            states = {row.id: row.state for row in rows if row.state != CANCELLED}
            assert states == {each.id: each.state for each in self.known if each.state is not CANCELLED}

    def teardown(self) -> None:
        try:
            if hasattr(self, "shop"):
                self.do(self.shop.come_to_rest())
                self.the_bank_is_asked_again()
                # What it gives back because of what it was told, it is told too.
                self.the_bank_is_told()
                self.the_bank_is_told()
                self.do(self.shop.come_to_rest())
                self.the_orders_are_where_they_should_be()
                self.the_shelves_hold_what_is_left()
                assert self.do(self.shop.amiss()) == []
                assert self._kept() == {str(each.payment_id): each.paid - each.refunded for each in self.known}
        finally:
            self.do(self.stack.aclose())

    def _kept(self) -> dict[str, int]:
        charges = self.shop.bank.charges()
        known = {str(each.payment_id) for each in self.known}
        kept = {each["metadata"]["payment_id"]: self.shop.bank.kept(each) for each in charges}
        assert not any(cents for payment, cents in kept.items() if payment not in known)
        return {payment: cents for payment, cents in kept.items() if payment in known}

    def _buy(self, basket: dict[str, int], card: str) -> Bought | None:
        enough = all(self.on_hand[sku] - self.reserved[sku] >= units for sku, units in basket.items())
        work = self.shop.work()
        saga = self.shop.saga(work, "once", payment_token=card)
        bought = Bought(saga.id, UUID(saga.data["payment_id"]), basket, card)

        async def buying() -> SagaState:
            await self.shop.filled(work, *basket.items())
            return (await self.shop.keeper().start(CHECKOUT, saga)).state

        if not enough:
            assert self.refused(buying(), InsufficientStock)
            return None
        if card == "sbx_card_declined":
            assert self.refused(buying(), PaymentDeclined)
            return None
        state = self.do(buying())
        late = card in {"sbx_card_late", "sbx_card_late_decline"}
        assert state is (SagaState.WAITING if late else SagaState.DONE)
        self._take(basket)
        bought.state, bought.paid = (WAITS, 0) if late else (OrderState.PAID, bought.total)
        bought.waits = late
        self.known.append(bought)
        return bought

    def _bring(self, bought: Bought) -> None:
        step = WAY[min(WAY.index(bought.state) + 1, len(WAY) - 1)] if bought.state in WAY else OrderState.PROCESSING
        moved = self.act(update_order_status, UpdateOrderStatus(order_id=bought.id, status=step))
        possible = bought.state in WAY[:-1]
        assert self.refused(moved, DomainError) is not possible
        if not possible:
            return
        bought.state = step
        if step is OrderState.SHIPPED:
            self._take(bought.basket, -1)
            for sku, units in bought.basket.items():
                self.on_hand[sku] -= units

    def _hear_of_a_dispute(self, bought: Bought) -> None:
        """What is disputed is set aside, and then the buyer's, or ours again unless the order is gone."""
        if not bought.heard:
            bought.heard, bought.covered = True, bought.left
            bought.frozen = bought.covered > 0 and not bought.released
        if bought.decided is None or bought.closed:
            return
        covered, bought.covered = bought.covered, 0
        bought.closed, bought.frozen = True, False
        if not bought.decided:
            bought.refunded += covered
        elif covered and bought.state is CANCELLED:
            bought.on_its_way.append(covered)

    async def _keep(self) -> None:
        self.minutes += 5
        await self.shop.keep(datetime.now(UTC) + timedelta(minutes=self.minutes))

    async def _ask_back(self, bought: Bought, sku: str, units: int) -> UUID | None:
        row = await self.shop.one("SELECT id FROM orders.order_line WHERE order_id = :id AND sku = :sku",
                                  id=bought.id, sku=sku)  # fmt: skip
        lines = (ReturnLine(line_id=row.id, quantity=units),)
        try:
            order = await self.act(request_return, RequestReturn(order_id=bought.id, lines=lines, reason="blue"))
        except DomainError:
            return None
        return UUID(str(order.returns[-1].id))

    def _take(self, basket: dict[str, int], sign: int = 1) -> None:
        for sku, units in basket.items():
            self.reserved[sku] += sign * units

    def _call_off(self, bought: Bought) -> None:
        self._take(bought.basket, -1)
        if bought.left:
            bought.on_its_way.append(bought.left)
        bought.state = CANCELLED

    def _withdraw(self, bought: Bought) -> None:
        """Undo a checkout whose money came too late: it is booked, and goes back."""
        if bought.state is WAITS:
            self._call_off(bought)
        if bought.card == "sbx_card_late":
            bought.paid = bought.total
            bought.on_its_way.append(bought.total)


@pytest.fixture
def town(database_url: str, make_tenant: Callable[..., UUID], tmp_path: Path) -> Iterator[Town]:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        runner.run(database.__aenter__())
        yield Town(runner, database, make_tenant, tmp_path)
        runner.run(database.__aexit__())


class TestTheMarket:
    @pytest.mark.timeout(7_200)
    def test_does_what_plain_arithmetic_says(self, town: Town) -> None:
        class Machine(Shopping):
            pass

        Machine.town = town
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(1, STEPS // STEPS_OF_A_RUN), stateful_step_count=STEPS_OF_A_RUN, deadline=None,
                suppress_health_check=list(HealthCheck), database=None, print_blob=False,
            ),
        )  # fmt: skip
