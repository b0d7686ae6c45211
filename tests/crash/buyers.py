"""A process full of buyers, sellers and workers, which is gone as soon as it comes to the boundary that it was told."""

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from data.database import Database
from domain.kernel import DomainError
from domain.orders import AcceptReturn, OrderState, RequestReturn, UpdateOrderStatus, request_return
from domain.orders.events import ReturnLine
from domain.payments.paying_out import RequestPayout
from domain.payments.releasing import ReleaseEscrow, release_escrow
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.checkout import CHECKOUT
from domain.processes.fulfilling import accept_return, update_order_status
from domain.processes.settling import RefundPaymentInput, refund_payment
from tests.crash.street import QUIET, Place, Street, pay_out, street

GONE = 86
# Most cards behave, or little would happen after paying.
CARDS = [
    *["sbx_card_ok"] * 8, *["sbx_card_declined"] * 2, "sbx_card_late", "sbx_card_late_decline", "sbx_card_out_of_order",
    "sbx_card_twice", "sbx_card_fail_after", "sbx_card_fail_before", "sbx_card_wrong_amount", "sbx_card_refund_late",
    "sbx_card_refund_fails", *["sbx_card_disputed"] * 3,
]  # fmt: skip
SKUS = ("mug", "cup", "jug")
# A refusal is an answer, and a line that was cut leaves the rest to whoever comes next.
EXPECTED = (DomainError, DBAPIError, SQLAlchemyError, OSError)


class Fuse:
    """Ends the process, as a power failure would, at the given boundary, when it comes to it for the n-th time."""

    def __init__(self, point: str | None, times: int) -> None:
        self._point, self._times = point, times

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._times -= 1
            if not self._times:
                os.write(1, f"{point}\n".encode())
                os._exit(GONE)


async def _whatever(act: Awaitable[Any]) -> bool:
    with contextlib.suppress(*EXPECTED):
        await act
        return True
    return False


async def buyer(shop: Street, seed: int) -> None:
    """Buy, and then perhaps think better of it at any moment, or have it brought, or send it back."""
    dice, work = random.Random(seed), shop.work()
    wanted = [(sku, dice.randint(1, 3)) for sku in dice.sample(SKUS, dice.randint(1, 2))]
    if not await _whatever(shop.filled(work, *wanted)):
        return
    saga = shop.saga(work, str(seed), payment_token=dice.choice(CARDS))
    bought = asyncio.create_task(_whatever(shop.keeper().start(CHECKOUT, saga)))
    if dice.random() < 0.2:
        await asyncio.sleep(dice.random() * 0.1)
        await _whatever(shop.transactions.run(cancel_order, CancelOrder(id=saga.id), work))
    await bought
    after = dice.random()
    if after < 0.2:
        await _whatever(shop.transactions.run(cancel_order, CancelOrder(id=saga.id), work))
    elif after < 0.4:
        await _refund(shop, UUID(saga.data["payment_id"]), dice)
    elif after < 0.9:
        await _bring(shop, saga.id, dice)
    if dice.random() < 0.8:
        # A buyer whose bank was not asked yet is told nothing; what is left open is open in all books.
        shop.decide(UUID(saga.data["payment_id"]), won=dice.random() < 0.5)


async def _refund(shop: Street, payment_id: UUID, dice: random.Random) -> None:
    row = await shop.one("SELECT amount_minor, currency FROM payments.payment WHERE id = :id", id=payment_id)
    if row is not None:
        from domain.money import Money

        amount = None if dice.random() < 0.3 else Money(dice.randint(1, row.amount_minor), row.currency)
        wanted = RefundPaymentInput(payment_id=payment_id, amount=amount)
        await _whatever(shop.transactions.run(refund_payment, wanted, shop.boss))


async def _bring(shop: Street, order_id: UUID, dice: random.Random) -> None:
    for state in (OrderState.PROCESSING, OrderState.READY, OrderState.SHIPPED, OrderState.DELIVERED):
        step = UpdateOrderStatus(order_id=order_id, status=state)
        if not await _whatever(shop.transactions.run(update_order_status, step, shop.boss)):
            return
    if dice.random() < 0.5:
        await _send_back(shop, order_id, dice)
    else:
        done = UpdateOrderStatus(order_id=order_id, status=OrderState.COMPLETED)
        await _whatever(shop.transactions.run(update_order_status, done, shop.boss))
    await _whatever(shop.transactions.run(release_escrow, ReleaseEscrow(order_id=order_id), shop.boss))
    request = RequestPayout(currency="CAD", seller_id=dice.choice(shop.sellers))
    await _whatever(shop.transactions.run(pay_out, request, shop.boss))


async def _send_back(shop: Street, order_id: UUID, dice: random.Random) -> None:
    rows = await shop.all("SELECT id, quantity FROM orders.order_line WHERE order_id = :id ORDER BY id", id=order_id)
    lines = tuple(ReturnLine(line_id=row.id, quantity=dice.randint(1, row.quantity)) for row in rows)
    asked = RequestReturn(order_id=order_id, lines=lines, reason="it is blue")
    with contextlib.suppress(*EXPECTED):
        order = await shop.transactions.run(request_return, asked, shop.boss)
        accepted = AcceptReturn(order_id=order_id, return_id=order.returns[-1].id)
        await shop.transactions.run(accept_return, accepted, shop.boss)


async def work_on(shop: Street) -> None:
    """Be a worker too: send what is to be sent, and take up what others have left."""
    while True:
        await _whatever(shop.do_jobs())
        await _whatever(shop.keep())
        await asyncio.sleep(0.05)


async def main(told: dict[str, Any]) -> None:
    place = Place(
        database_url=told["database_url"],
        tenant_id=UUID(told["tenant_id"]),
        books=told["books"],
        stores=tuple(map(UUID, told["stores"])),
        sellers=tuple(map(UUID, told["sellers"])),
    )
    fuse = Fuse(told["point"], told["times"])
    async with Database(place.database_url, write_pool=6) as database, street(database, place, fuse) as shop:
        worker = asyncio.create_task(work_on(shop))
        dice, waiting = random.Random(told["seed"]), range(told["seed"], told["seed"] + told["buyers"])
        for first in range(0, told["buyers"], 6):
            await asyncio.gather(*(_whatever(buyer(shop, seed)) for seed in waiting[first : first + 6]))
            await asyncio.sleep(dice.random() * 0.05)
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


if __name__ == "__main__":
    structlog.configure(wrapper_class=QUIET)
    asyncio.run(main(json.loads(sys.argv[1])))
