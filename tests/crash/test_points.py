"""Every boundary of giving back and paying out: a process that dies there leaves nothing that another one cannot end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.database import Database
from data.sagas import SagaHolds
from domain.money import Money
from domain.orders import OrderState, UpdateOrderStatus
from domain.payments.disputes import CloseDispute
from domain.payments.escrow import EscrowFrozen
from domain.payments.paying_out import (
    CancelPayout,
    RequestPayout,
    SetPayoutAccount,
    cancel_payout,
    set_payout_account,
)
from domain.payments.payouts import Payouts
from domain.payments.releasing import ReleaseEscrow, ReviewFraud, VoidPayment, release_escrow
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.checkout import CHECKOUT, PaymentDeclined
from domain.processes.fulfilling import update_order_status
from domain.processes.paying import close_dispute
from domain.processes.settling import RefundPaymentInput, refund_payment, review_fraud, void_payment
from domain.sagas import MOST_ATTEMPTS, Saga, SagaState
from tests.buying import market
from tests.crash.street import Place, Street, pay_out, street

SENDING = [f"provider.refund.{place}" for place in ("begin", "answered")] + [
    f"send_refund.{place}" for place in ("uncommitted", "unnoted")
]
PAYING = [f"provider.transfer.{place}" for place in ("begin", "answered")] + [
    f"send_payout.{place}" for place in ("uncommitted", "unnoted")
]
HEARING = [f"hear_provider.{place}" for place in ("uncommitted", "unanswered")]
DISPUTED = "sbx_card_disputed"
STATES = 'SELECT state, payment_status, refunded_minor FROM orders."order" WHERE tenant_id = :tenant'
PAYOUTS = "SELECT id, state, attempts FROM payments.payout WHERE tenant_id = :tenant"
WAY = (OrderState.PROCESSING, OrderState.READY, OrderState.SHIPPED, OrderState.DELIVERED, OrderState.COMPLETED)


async def begin(payout_id: UUID, payouts: Payouts) -> None:
    found = await payouts.lock(payout_id)
    assert found is not None
    found.begin()


class Died(BaseException):
    """The process is gone."""


class Fate:
    """Kills whoever comes to a point for the first time, or for a later one."""

    def __init__(self) -> None:
        self.point: str | None = None
        self.times = 1

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.times -= 1
            if not self.times:
                self.point, self.times = None, 1
                raise Died


@pytest.fixture
def fate() -> Fate:
    return Fate()


@pytest.fixture
async def shop(database: Database, tenant_id: UUID, tmp_path: Path, fate: Fate) -> AsyncIterator[Street]:
    async with market(database, tenant_id) as made:
        await made.put_on_sale("mug", 5000, 10)
    place = Place(
        database_url="", tenant_id=tenant_id, books=str(tmp_path / "bank.sqlite"), stores=tuple(made.stores),
        sellers=tuple(made.sellers),
    )  # fmt: skip
    async with street(database, place, fate) as opened:
        # Webhooks come when a test says so.
        opened.bank.app._webhooks.wake = lambda: None  # type: ignore[method-assign]
        yield opened


async def bought(shop: Street, card: str = "sbx_card_ok", units: int = 2) -> Saga:
    buyer = shop.work()
    await shop.filled(buyer, ("mug", units))
    return await shop.keeper().start(CHECKOUT, shop.saga(buyer, "once", payment_token=card))


async def mistrusted(shop: Street) -> Saga:
    """Buy where a person has a look at every payment."""
    async with shop.database.session(shop.tenant_id) as session:
        await session.execute(text("UPDATE payments.policy SET review_score = 0, reject_score = 101"))
    return await bought(shop)


async def dies(shop: Street, fate: Fate, point: str, act: Any) -> None:
    """Do something and what follows from it, until whoever does it dies at the point."""
    fate.point = point
    with contextlib.suppress(Died):
        await act
        await shop.do_jobs()
    assert fate.point is None, f"nobody came to {point}"


async def earned(shop: Street, destination: str) -> None:
    """Let the seller earn something, which goes to a destination."""
    saga = await bought(shop)
    for state in WAY:
        await act(shop, update_order_status, UpdateOrderStatus(order_id=saga.id, status=state))
    await act(shop, release_escrow, ReleaseEscrow(order_id=saga.id))
    account = SetPayoutAccount(currency="CAD", provider="sandbox", destination=destination, seller_id=shop.sellers[0])
    await act(shop, set_payout_account, account)


def paying_out(shop: Street) -> Any:
    return act(shop, pay_out, RequestPayout(currency="CAD", seller_id=shop.sellers[0]))


def transfers(shop: Street) -> list[dict[str, Any]]:
    return [each for each in shop.bank.app._books.all() if each["object"] == "transfer"]


def act(shop: Street, handler: Any, command: Any) -> Any:
    return shop.transactions.run(handler, command, shop.boss)


async def disputed(shop: Street) -> Saga:
    """Buy, and hear that the buyer's bank disputes it."""
    saga = await bought(shop, DISPUTED)
    assert await shop.hear_all() > 0
    return saga


async def hears(shop: Street, fate: Fate, point: str, times: int = 1) -> None:
    """Hear what the bank tells, until whoever hears it dies at the point, with one message or a later one."""
    fate.point, fate.times = point, times
    with contextlib.suppress(Died):
        await shop.hear_all()
    assert fate.point is None, f"nobody came to {point}"


async def held(shop: Street) -> list[tuple[str, int]]:
    rows = await shop.all("SELECT state, amount_minor - refunded_minor - released_minor AS left "
                          "FROM payments.escrow_hold WHERE tenant_id = :tenant")  # fmt: skip
    return [(row.state, row.left) for row in rows]


async def booked(shop: Street) -> dict[str, int]:
    """What stands on each kind of account."""
    rows = await shop.all("SELECT split_part(account, ':', 1) AS kind, sum(amount_minor) AS amount FROM payments.entry "
                          "WHERE tenant_id = :tenant GROUP BY 1 HAVING sum(amount_minor) <> 0")  # fmt: skip
    return {row.kind: int(row.amount) for row in rows}


async def on_shelf(shop: Street) -> tuple[int, int]:
    row = await shop.one("SELECT on_hand, reserved FROM inventory.stock_level WHERE tenant_id = :tenant")
    return row.on_hand, row.reserved


class TestCancelling:
    @pytest.mark.parametrize("point", ["cancel_order.done", *SENDING])
    async def test_gives_back_goods_and_money_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await bought(shop)
        await dies(shop, fate, point, act(shop, cancel_order, CancelOrder(id=saga.id)))
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("cancelled", "refunded", 11300)]
        assert (await on_shelf(shop), [each["refunded"] for each in shop.bank.charges()]) == ((10, 0), [11300])
        assert await shop.amiss() == []

    async def test_that_was_not_committed_has_not_happened(self, shop: Street, fate: Fate) -> None:
        saga = await bought(shop)
        await dies(shop, fate, "cancel_order.uncommitted", act(shop, cancel_order, CancelOrder(id=saga.id)))
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("paid", "paid", 0)]
        assert await shop.amiss() == []

    @pytest.mark.parametrize("point", ["provider.charge.begin", "provider.charge.answered", "checkout.settle.begin"])
    async def test_meets_a_checkout_whose_server_died(self, shop: Street, fate: Fate, point: str) -> None:
        buyer = shop.work()
        await shop.filled(buyer, ("mug", 2))
        saga = shop.saga(buyer, "once")
        await dies(shop, fate, point, shop.keeper().start(CHECKOUT, saga))
        await shop.transactions.run(cancel_order, CancelOrder(id=saga.id), buyer)
        await shop.come_to_rest()
        assert [row.state for row in await shop.all(STATES)] == ["cancelled"]
        assert await on_shelf(shop) == (10, 0)
        assert sum(each["captured"] - each["refunded"] for each in shop.bank.charges()) == 0
        assert await shop.amiss() == []

    async def test_meets_a_checkout_at_any_moment(self, shop: Street) -> None:
        for pause in range(0, 60, 6):
            buyer = shop.work()
            await shop.filled(buyer, ("mug", 1))
            saga = shop.saga(buyer, "once")
            buying = asyncio.create_task(shop.keeper().start(CHECKOUT, saga))
            await asyncio.sleep(pause / 1000)
            await asyncio.gather(
                buying, shop.transactions.run(cancel_order, CancelOrder(id=saga.id), buyer), return_exceptions=True
            )
        await shop.come_to_rest()
        assert await shop.amiss() == []


class TestRefunding:
    @pytest.mark.parametrize("point", ["refund_payment.done", *SENDING])
    async def test_sends_the_money_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await bought(shop)
        wanted = RefundPaymentInput(payment_id=UUID(saga.data["payment_id"]), amount=Money(1234, "CAD"))
        await dies(shop, fate, point, act(shop, refund_payment, wanted))
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("paid", "partial_refund", 1234)]
        assert [each["refunded"] for each in shop.bank.charges()] == [1234]
        assert await shop.amiss() == []


class TestPayingOut:
    @pytest.mark.parametrize("point", ["pay_out.done", *PAYING])
    async def test_sends_the_money_once(self, shop: Street, fate: Fate, point: str) -> None:
        await earned(shop, "sbx_a")
        await dies(shop, fate, point, paying_out(shop))
        await shop.come_to_rest()
        # 2 x 50.00 less 10 % commission; the tax is not the seller's.
        assert [each["amount"] for each in transfers(shop)] == [9000]
        assert await shop.amiss() == []

    async def test_that_was_given_up_is_not_sent(self, shop: Street) -> None:
        await earned(shop, "sbx_a")
        await paying_out(shop)
        payout = await shop.one(PAYOUTS)
        await act(shop, cancel_payout, CancelPayout(payout_id=payout.id))
        await shop.come_to_rest()
        assert (transfers(shop), await shop.amiss()) == ([], [])

    async def test_that_was_refused_is_tried_again_and_hears_of_it_once(self, shop: Street) -> None:
        await earned(shop, "sbx_acct_closed")
        await paying_out(shop)
        await shop.do_jobs()
        assert await shop.hear_all() > 0
        payout = await shop.one(PAYOUTS)
        assert (payout.state, payout.attempts) == ("scheduled", 1)
        assert shop.bank.app._books.next_due() is None

    async def test_takes_no_report_about_an_earlier_attempt(self, shop: Street) -> None:
        await earned(shop, "sbx_acct_closed")
        await paying_out(shop)
        await shop.do_jobs()
        payout = await shop.one(PAYOUTS)
        await act(shop, begin, payout.id)
        # The first attempt's webhook comes while the second attempt is on its way.
        await shop.hear_all()
        payout = await shop.one(PAYOUTS)
        assert (payout.state, payout.attempts) == ("processing", 2)
        assert shop.bank.app._books.next_due() is None


class TestADispute:
    @pytest.mark.parametrize("point", HEARING)
    async def test_freezes_the_escrow_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await bought(shop, DISPUTED)
        # The first message says that the card was charged.
        await hears(shop, fate, point, times=2)
        await shop.come_to_rest()
        assert await held(shop) == [("frozen", 10000)]
        assert await booked(shop) == {"buyer_clearing": -358, "provider_fees": 358, "disputes": 11300, "escrow": -10000,
                                      "tax_payable": -1300}  # fmt: skip
        with pytest.raises(EscrowFrozen):
            await act(shop, release_escrow, ReleaseEscrow(order_id=saga.id))
        assert await shop.amiss() == []

    @pytest.mark.parametrize("point", HEARING)
    async def test_that_is_won_frees_the_escrow_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await disputed(shop)
        shop.decide(UUID(saga.data["payment_id"]), won=True)
        await hears(shop, fate, point)
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("paid", "paid", 0)]
        assert await held(shop) == [("held", 10000)]
        assert await booked(shop) == {
            "buyer_clearing": 10942,
            "provider_fees": 358,
            "escrow": -10000,
            "tax_payable": -1300,
        }
        assert await shop.amiss() == []

    @pytest.mark.parametrize("point", HEARING)
    async def test_that_is_lost_takes_the_money_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await disputed(shop)
        shop.decide(UUID(saga.data["payment_id"]), won=False)
        await hears(shop, fate, point)
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("paid", "refunded", 11300)]
        assert await held(shop) == [("refunded", 0)]
        assert await booked(shop) == {"buyer_clearing": -358, "provider_fees": 358}
        assert await shop.amiss() == []

    @pytest.mark.parametrize("point", [f"close_dispute.{place}" for place in ("uncommitted", "done")])
    async def test_is_decided_by_hand_and_heard_of_once(self, shop: Street, fate: Fate, point: str) -> None:
        saga = await disputed(shop)
        found = await shop.one("SELECT id FROM payments.dispute WHERE tenant_id = :tenant")
        await dies(shop, fate, point, act(shop, close_dispute, CloseDispute(dispute_id=found.id, won=False)))
        shop.decide(UUID(saga.data["payment_id"]), won=False)
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("paid", "refunded", 11300)]
        assert await shop.amiss() == []

    @pytest.mark.parametrize("won", [True, False])
    async def test_of_an_order_that_was_cancelled_leaves_the_buyer_with_the_money(
        self, shop: Street, won: bool
    ) -> None:
        saga = await disputed(shop)
        await act(shop, cancel_order, CancelOrder(id=saga.id))
        shop.decide(UUID(saga.data["payment_id"]), won=won)
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("cancelled", "refunded", 11300)]
        assert [each["refunded"] for each in shop.bank.charges()] == [11300 if won else 0]
        assert (await on_shelf(shop), await shop.amiss()) == ((10, 0), [])


class TestAWrongAmount:
    @pytest.mark.parametrize("point", [None, "provider.refund.answered", "withdraw_order.uncommitted"])
    async def test_goes_back_and_its_order_is_withdrawn(self, shop: Street, fate: Fate, point: str | None) -> None:
        fate.point = point
        with contextlib.suppress(Died, PaymentDeclined):
            await bought(shop, "sbx_card_wrong_amount")
        await shop.come_to_rest()
        assert [tuple(row) for row in await shop.all(STATES)] == [("cancelled", "pending", 0)]
        assert [each["captured"] - each["refunded"] for each in shop.bank.charges()] == [0]
        assert (await on_shelf(shop), await shop.amiss()) == ((10, 0), [])


class TestASuspiciousPayment:
    @pytest.mark.parametrize(("approve", "state"), [(True, "paid"), (False, "cancelled")])
    async def test_goes_on_or_back_as_soon_as_a_person_has_decided(
        self, shop: Street, approve: bool, state: str
    ) -> None:
        saga = await mistrusted(shop)
        assert saga.state is SagaState.WAITING
        decided = ReviewFraud(payment_id=UUID(saga.data["payment_id"]), approve=approve)
        await act(shop, review_fraud, decided)
        await shop.keep(datetime.now(UTC) + timedelta(seconds=1))
        assert [row.state for row in await shop.all(STATES)] == [state]
        assert len(shop.bank.charges()) == approve
        assert await shop.amiss() == []

    async def test_of_a_cancelled_order_is_never_charged(self, shop: Street) -> None:
        saga = await mistrusted(shop)
        await act(shop, cancel_order, CancelOrder(id=saga.id))
        await shop.come_to_rest()
        assert shop.bank.charges() == []
        assert (await on_shelf(shop), await shop.amiss()) == ((10, 0), [])


class TestAPaymentThatWasGivenUp:
    async def test_pays_for_nothing_and_goes_back_when_it_comes_after_all(self, shop: Street) -> None:
        saga = await bought(shop, "sbx_card_late")
        given_up = VoidPayment(payment_id=UUID(saga.data["payment_id"]), reason="the buyer has called")
        await act(shop, void_payment, given_up)
        await shop.come_to_rest()
        assert [row.state for row in await shop.all(STATES)] == ["cancelled"]
        assert [each["captured"] - each["refunded"] for each in shop.bank.charges()] == [0]
        assert (await on_shelf(shop), await shop.amiss()) == ((10, 0), [])


class TestWaiting:
    async def test_is_no_failure_however_often_the_bank_is_asked(self, shop: Street) -> None:
        saga = await bought(shop, "sbx_card_late")
        # The bank takes its time.
        for charge in shop.bank.charges():
            shop.bank.app._books.put(charge | {"decided_at": datetime.now(UTC).timestamp() + 60})
        for minutes in range(MOST_ATTEMPTS + 3):
            await shop.keep(datetime.now(UTC) + timedelta(minutes=10 + 5 * minutes))
        assert (await shop.keeper()._present(saga)).state is SagaState.WAITING

    async def test_is_not_given_up_by_whoever_knows_an_earlier_state(self, shop: Street) -> None:
        saga = await bought(shop, "sbx_card_late")
        early = await shop.keeper()._present(saga)
        await shop.come_to_rest()
        await SagaHolds(shop.database).give_up(early, "too many attempts")
        found = await shop.one("SELECT state FROM platform.saga WHERE id = :id", id=saga.id)
        assert found.state == SagaState.DONE
