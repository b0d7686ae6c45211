"""What has been bought in a marketplace: campaigns, taxes, carts, an order that went all the way, and its money."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.kernel import NOBODY, Work, uuid7
from domain.money import Money
from domain.payments import (
    CreateSettlement,
    OpenDispute,
    ReturnRefund,
    create_settlement,
    open_dispute,
    return_refund,
)
from tests.orders import Place, place
from tests.schema.keys import STREET

FOR_GOOD = "2099-01-01T00:00:00Z"


async def bought_in(market: Any, mark: str) -> None:
    """Sell something in a marketplace that has goods, and keep what everything is called."""
    await _campaigns(market, mark)
    await _taxes(market)
    await _order(market)
    await _journey(market)
    await _money(market)
    await _carts(market)
    await _number(market, mark)
    await _live(market)


async def _live(market: Any) -> None:
    """Announce two sessions, of which one is live."""
    keys = market.keys
    studio = await market.make("createStudio", name="Red room")
    wanted = {"title": "Lamps, live", "studioId": studio["id"], "skus": [keys["sku"]], "scheduledFor": FOR_GOOD}
    session = await market.make("scheduleLiveSession", **wanted)
    other = await market.make("scheduleLiveSession", **wanted)
    keys |= {"studio": studio["id"], "live_session": session["id"], "ready_session": other["id"]}
    await _once(market, "startLiveSession", sessionId=session["id"])
    await market.make("goLive", sessionId=session["id"])
    await market.make("sendLiveChat", sessionId=session["id"], body="hello")


async def _campaigns(market: Any, mark: str) -> None:
    keys = market.keys
    five = {"percent": "5"}
    prices = await market.make(
        "createPriceList", name="Friends", kind="CUSTOMER", currency="CAD", customerId=keys["user"]
    )
    rule = await market.make("createPricingRule", name="Quiet days", kind="DISCOUNT", terms=five, startsAt=FOR_GOOD)
    promotion = await market.make("createPromotion", name="Week", kind="PERCENTAGE", terms=five)
    code = await market.make("createDiscountCode", code=f"FIVE-{mark.upper()}", kind="PERCENTAGE", terms=five)
    await market.make("createDiscountCode", code=f"SPARE-{mark.upper()}", kind="PERCENTAGE", terms=five)
    sale = await market.make(
        "createFlashSale",
        name="Hour",
        endsAt=FOR_GOOD,
        items=[{"sku": keys["accessory_sku"], "price": {"amountMinor": 900, "currency": "CAD"}, "stockLimit": 3}],
    )
    await market.make("setLoyaltyProgram", name="Club", currency="CAD", earnRate="1", pointValue="1")
    await _once(market, "adjustLoyaltyPoints", userId=keys["user"], points=500, reason="welcome")
    keys |= {
        "price_list": prices["id"],
        "pricing_rule": rule["id"],
        "promotion": promotion["id"],
        "discount_code": f"FIVE-{mark.upper()}",
        "discount_code_id": code["id"],
        "spare_code": f"SPARE-{mark.upper()}",
        "flash_sale": sale["id"],
    }


async def _once(market: Any, name: str, /, **fields: Any) -> Any:
    """Call a mutation that asks for an idempotency key."""
    return await market.do(name, None, input=fields, idempotencyKey=str(uuid7()))


def _work(market: Any) -> Work:
    return Work(tenant_id=market.tenant_id, actor=market.admin, now=datetime.now(UTC), correlation_id="marketplace")


async def _taxes(market: Any) -> None:
    rate = await market.make(
        "setTaxRate", country="CA", province="CA-ON", kind="HST", rate="0.12", validFrom="2026-01-01"
    )
    holiday = await market.make("addHoliday", country="CA", day="2026-08-07", name="Shade Day")
    await market.make("recordAgeVerification", userId=market.keys["reader"], minimumAge=19, method="DOCUMENT")
    market.keys |= {"tax_rate": rate["id"], "holiday": holiday["id"]}


async def _order(market: Any) -> None:
    keys = market.keys
    # The few cards of the sandbox are everybody's, which the rules against fraud would have somebody look at.
    await market.make("updatePayoutPolicy", reviewScore=100, rejectScore=101)
    await _once(market, "adjustStock", storeId=keys["store"], sku=keys["sku"], change=5_000)
    await market.make("addToCart", lines=[{"sku": keys["sku"], "quantity": 4}])
    order = await _once(market, "checkout", address=STREET, paymentToken="sbx_card_ok")
    payments = await market.ask(
        "query($id: ID!) { paymentsByOrder(orderId: $id) { id reference } }", {"id": order["id"]}
    )
    (payment,) = payments.data["paymentsByOrder"]
    keys |= {
        "order": order["id"],
        "own_order_number": order["orderNumber"],
        "order_line": order["lines"][0]["id"],
        "sub_order": order["subOrders"][0]["id"],
        "payment": payment["id"],
        "payment_reference": payment["reference"],
    }


async def _journey(market: Any) -> None:
    """Bring the order to its buyer, who sends something back."""
    keys = market.keys
    for status in ("PROCESSING", "READY", "SHIPPED", "DELIVERED"):
        await market.make("updateOrderStatus", orderId=keys["order"], status=status)
    back = [{"lineId": keys["order_line"], "quantity": 1}]
    returned = await market.make("requestReturn", orderId=keys["order"], lines=back, reason="broken")
    keys["order_return"] = returned["returns"][0]["id"]


async def _money(market: Any) -> None:
    keys = market.keys
    await _once(market, "releaseEscrow", orderId=keys["order"])
    await market.make("setPayoutAccount", currency="CAD", provider="sandbox", destination="acct_1")
    payout = await _once(market, "requestPayout", currency="CAD")
    refund = await _once(
        market, "refundPayment", paymentId=keys["payment"], amount={"amountMinor": 1, "currency": "CAD"}
    )
    came_back = ReturnRefund(refund_id=UUID(refund["id"]), failure="account_closed")
    await market.services.transactions.run(return_refund, came_back, _work(market))
    method = await market.make(
        "savePaymentMethod", provider="sandbox", token="sbx_card_ok", kind="CARD", brand="visa", last4="4242"
    )
    statement = f"reference,type,amount,currency\n{keys['payment_reference']},charge,0.01,CAD\n"
    spell = {"since": "2020-01-01T00:00:00Z", "until": FOR_GOOD}
    run = await market.make("runReconciliation", provider="sandbox", statement=statement, **spell)
    wrong = await market.do("discrepancies", runId=run["id"])
    reported = OpenDispute(
        payment_id=UUID(keys["payment"]), reference=f"dp_{keys['payment']}", amount=Money(1, "CAD"), reason="fraudulent"
    )
    work = _work(market)
    dispute = await market.services.transactions.run(open_dispute, reported, work)
    # A day is settled when it is over.
    later = replace(work, now=work.now + timedelta(days=2))
    day = CreateSettlement(provider="sandbox", day=work.now.date())
    settled = await market.services.transactions.run(create_settlement, day, later)
    keys |= {
        "payout": payout["id"],
        "refund": refund["id"],
        "payment_method": method["id"],
        "reconciliation": run["id"],
        "discrepancy": wrong["nodes"][0]["id"],
        "settlement": str(settled.settlements[0].id),
        "dispute": str(dispute.id),
    }


async def _carts(market: Any) -> None:
    lines = [{"sku": market.keys["sku"], "quantity": 1}]
    cart = await market.make("addToCart", lines=lines)
    guest = await market.make("addToCart", NOBODY, lines=lines)
    share = await market.make("shareCart", access="EDIT")
    market.keys |= {
        "cart": cart["id"],
        "cart_line": cart["lines"][0]["id"],
        "guest_cart": guest["id"],
        "guest_token": guest["token"],
        "share_token": share["token"],
    }


async def _number(market: Any, mark: str) -> None:
    """Place an order under a number that no other tenant has given too, for each counts for itself."""
    number = f"ORD-20260314-{int(mark, 16) % 10**9:09}"
    order = await market.services.transactions.run(place, Place(number=number), _work(market))
    market.keys |= {"order_number": number, "other_order": str(order.id)}
