"""Refunds that were sent and came back, as the bank's webhooks tell it: in any order, and any number of times."""

from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from data.database import Database
from domain.jobs import JobQueue
from domain.kernel import InvalidStateTransition, NotFound, Work, uuid7
from domain.money import Money
from domain.orders import Orders
from domain.payments import Ledger, Payments, Refunds, RetryRefund
from domain.payments.providers import RefundOutcome
from domain.processes import paying
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.settling import retry_refund
from server.payments.sandbox import SandboxWebhooks
from server.payments.webhooks import HandledOnce
from tests.buying import Market, market

REFUND = "SELECT id, state, attempts, failure FROM payments.refund WHERE tenant_id = :tenant"
ORDER = 'SELECT state, payment_status, refunded_minor FROM orders."order" WHERE tenant_id = :tenant'
BOOKS = """
SELECT account, sum(amount_minor) AS minor FROM payments.entry
WHERE tenant_id = :tenant GROUP BY account HAVING sum(amount_minor) <> 0
"""
TOLD = "SELECT count(*) FROM platform.event_log WHERE tenant_id = :tenant AND name = :name"
POSTINGS = "SELECT kind FROM payments.posting WHERE tenant_id = :tenant AND kind LIKE 'refund%' ORDER BY id"


@pytest.fixture
async def shop(database: Database, tenant_id: UUID) -> AsyncIterator[Market]:
    async with market(database, tenant_id) as opened:
        await opened.put_on_sale("mug", 1250, 10)
        yield opened


async def given_back(shop: Market) -> None:
    """Sell a mug for 14.13, cancel the order, and have the money set aside for its buyer; nothing is sent yet."""
    buyer = shop.work()
    await shop.filled(buyer, ("mug", 1))
    saga = await shop.buy(buyer, payment_token="sbx_card_refund_returns")
    await shop.transactions.run(cancel_order, CancelOrder(id=saga.id), buyer)


async def books(shop: Market) -> dict[str, int]:
    return {row.account.partition(":")[0]: int(row.minor) for row in await shop.all(BOOKS)}


async def told(shop: Market, name: str) -> int:
    return int((await shop.one(TOLD, name=name))[0])


async def messages(shop: Market, *kinds: str) -> list[tuple[bytes, Any]]:
    """Wait for what the bank says about refunds, and give it in the order of these kinds."""
    while books := shop.bank.app._books.claim(0):
        await shop.bank.app._webhooks._send(books)
    return [each for kind in kinds for each in shop.bank.sent if f'"{kind}"'.encode() in each[0]]


async def hear(shop: Market, sent: list[tuple[bytes, Any]]) -> list[bool]:
    reader, once = SandboxWebhooks(["secret"]), HandledOnce(shop.transactions, paying.hear_provider)
    heard = []
    for body, headers in sent:
        event = await reader.read(body, headers)
        assert event is not None
        heard.append(await once(event))
    return heard


async def note(
    answer: RefundOutcome,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    ledger: Ledger,
    orders: Orders,
    queue: JobQueue,
) -> None:
    assert answer.key is not None
    await paying.note_refund(UUID(answer.key), answer, work, payments, refunds, ledger, orders, queue)


class TestARefundThatComesBack:
    async def test_is_owed_to_the_buyer_again(self, shop: Market) -> None:
        await given_back(shop)
        await shop.do_jobs()
        assert tuple(await shop.one(ORDER)) == ("cancelled", "refunded", 1413)
        sent = await books(shop)
        await hear(shop, await messages(shop, "refund.failed"))
        refund = await shop.one(REFUND)
        assert (refund.state, refund.attempts, refund.failure) == ("returned", 0, "account_closed")
        assert tuple(await shop.one(ORDER)) == ("cancelled", "paid", 0)
        now = await books(shop)
        assert (now["refunds"], now["buyer_clearing"] - sent["buyer_clearing"]) == (-1413, 1413)
        payment = await shop.one("SELECT * FROM payments.payment WHERE tenant_id = :tenant")
        assert (payment.state, payment.refunding_minor, payment.refunded_minor) == ("captured", 1413, 0)
        assert await told(shop, "payment.refund_returned") == 1

    async def test_is_sent_again_under_another_key_and_arrives(self, shop: Market) -> None:
        await given_back(shop)
        await shop.do_jobs()
        await hear(shop, await messages(shop, "refund.completed", "refund.failed"))
        await shop.do_jobs()
        await shop.do_jobs()
        refund = await shop.one(REFUND)
        assert (refund.state, refund.attempts, refund.failure) == ("completed", 1, None)
        assert tuple(await shop.one(ORDER)) == ("cancelled", "refunded", 1413)
        assert [charge["refunded"] for charge in shop.bank.charges()] == [1413]
        assert "refunds" not in await books(shop)
        assert await shop.broken() == []

    @pytest.mark.parametrize("order", list(permutations(["answer", "refund.completed", "refund.failed"])))
    async def test_leaves_the_same_books_in_whatever_order_it_is_heard_of(
        self, shop: Market, order: tuple[str, ...]
    ) -> None:
        await given_back(shop)
        asked = await shop.one(REFUND)
        (charge,) = shop.bank.charges()
        answer = await shop.router.refund(charge["id"], Money(1413, "CAD"), str(asked.id))
        for each in order:
            if each == "answer":
                await shop.transactions.run(note, answer, shop.work())
            else:
                await hear(shop, (await messages(shop, each)) * 2)
        refund = await shop.one(REFUND)
        assert (refund.state, refund.attempts) == ("returned", 0)
        assert (await books(shop))["refunds"] == -1413
        assert tuple(await shop.one(ORDER)) == ("cancelled", "paid", 0)
        await shop.do_jobs()
        await shop.do_jobs()
        assert (await shop.one(REFUND)).state == "completed"
        assert await shop.broken() == []

    async def test_is_noted_once_however_often_it_is_told(self, shop: Market) -> None:
        await given_back(shop)
        await shop.do_jobs()
        sent = await messages(shop, "refund.failed")
        assert await hear(shop, sent * 3) == [True, False, False]
        assert await told(shop, "payment.refund_returned") == 1
        await shop.do_jobs()
        await shop.do_jobs()
        # What is told of the first attempt while the second one has arrived is out of date.
        assert await hear(shop, sent) == [False]
        assert [row.kind for row in await shop.all(POSTINGS)] == [
            "refund", "refund_settled", "refund_returned", "refund_settled",
        ]  # fmt: skip


class TestRetryRefund:
    async def test_is_for_what_came_back_alone(self, shop: Market) -> None:
        await given_back(shop)
        refund = await shop.one(REFUND)
        with pytest.raises(InvalidStateTransition):
            await shop.transactions.run(retry_refund, RetryRefund(refund_id=refund.id), shop.staff())
        with pytest.raises(NotFound):
            await shop.transactions.run(retry_refund, RetryRefund(refund_id=uuid7()), shop.staff())
        assert (await shop.one(REFUND)).attempts == 0

    async def test_sends_it_at_once(self, shop: Market) -> None:
        await given_back(shop)
        await shop.do_jobs()
        await hear(shop, await messages(shop, "refund.failed"))
        refund = await shop.one(REFUND)
        await shop.transactions.run(retry_refund, RetryRefund(refund_id=refund.id), shop.staff())
        await shop.do_jobs()
        await shop.do_jobs()
        assert tuple(await shop.one(REFUND))[1:3] == ("completed", 1)
        assert await shop.broken() == []
