"""What the root fields around prices, taxes, carts, orders and payments are called with."""

from typing import Any

from tests.schema.keys import CAD, CATEGORY, PRODUCT, SKU, STORE, STREET, USER, Fresh, Key, keyed, taking

ORDER, SUB_ORDER, LINE, RETURN = Key("order"), Key("sub_order"), Key("order_line"), Key("order_return")
READER = Key("reader")
PAYMENT, CART, CART_LINE = Key("payment"), Key("cart"), Key("cart_line")
GUEST_TOKEN, SHARE_TOKEN = Key("guest_token"), Key("share_token")
CODE, PRICE_LIST, RULE = Key("discount_code"), Key("price_list"), Key("pricing_rule")
OTHER_STORE = Key("other_store")
ENDS = "2099-01-01T00:00:00Z"
ITEM = {"sku": SKU, "quantity": 1}
FROM_STORE = {"sku": SKU, "storeId": STORE}
TO_DOOR = {"address": STREET, "paymentToken": "sbx_card_ok"}
BACK = [{"lineId": LINE, "quantity": 1}]
NARROW = {
    "skus": [SKU],
    "productIds": [PRODUCT],
    "categoryIds": [CATEGORY],
    "storeIds": [STORE],
    "customerIds": [READER],
}
ACCOUNT = {"currency": "CAD", "provider": "sandbox", "destination": "acct_2"}
PERCENT = {"percent": "5"}
NARROWED = PERCENT | {"conditions": NARROW}
SOLD_BY = {"sellerId": USER}
# A cart is named by its id, or by the token of a guest or of somebody it was shared with.
CARTS: tuple[dict[str, Any], ...] = ({"cartId": CART}, {"token": GUEST_TOKEN}, {"token": SHARE_TOKEN})


def _in_carts(*inputs: dict[str, Any]) -> list[dict[str, Any]]:
    return [taking(**given, **cart) for given in inputs for cart in CARTS]


def _bought(*, keyed_: bool) -> list[dict[str, Any]]:
    given = [cart | TO_DOOR for cart in CARTS[:2]]
    given += [
        {"lines": [ITEM], **TO_DOOR},
        {"lines": [FROM_STORE], "deliveryMethod": "PICKUP", "paymentMethod": "CASH"},
    ]
    return [keyed(**each) if keyed_ else taking(**each) for each in given]


RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    # processes
    "saga": {"id": ORDER},
    "retrySaga": taking(id=ORDER),
    # inventory
    "reservations": [{"storeId": STORE, "sku": SKU}, {"storeId": STORE, "orderId": ORDER}],
    "batches": {"storeId": STORE, "sku": SKU},
    "batchSuggestion": {"storeId": STORE, "sku": SKU, "quantity": 1},
    "movements": {"storeId": STORE, "sku": SKU},
    "receiveStock": keyed(storeId=STORE, sku=SKU, quantity=1, batchLot="L-1"),
    "moveInventory": keyed(fromStoreId=STORE, toStoreId=OTHER_STORE, sku=SKU, quantity=1),
    "reserveStock": keyed(orderId=Key("other_order"), claims=[FROM_STORE | {"quantity": 1}]),
    "releaseStock": keyed(orderId=ORDER),
    # pricing
    "priceQuote": {"items": [ITEM], "codes": [CODE]},
    "validateDiscountCode": {"code": CODE, "items": [ITEM]},
    "promotion": {"id": Key("promotion")},
    "promotions": SOLD_BY,
    "flashSale": {"id": Key("flash_sale")},
    "flashSales": SOLD_BY,
    "flashSaleUpdated": {"id": Key("flash_sale")},
    "loyaltyAccount": {"userId": USER},
    "promotionAnalytics": [{"id": Key("promotion")}, {"id": Key("discount_code_id")}, {"id": Key("flash_sale")}],
    "discountCodes": [SOLD_BY, {"code": CODE}],
    "pricingRules": SOLD_BY,
    "priceLists": SOLD_BY,
    "priceHistory": {"sku": SKU},
    "createPriceList": taking(
        name="Friends", kind="CUSTOMER", currency="CAD", storeId=STORE, customerId=READER, sellerId=USER
    ),
    "setListPrices": taking(listId=PRICE_LIST, prices=[{"sku": SKU, "price": CAD}]),
    "endPriceList": taking(id=PRICE_LIST),
    "setRegionalPrice": taking(sku=SKU, region="CA", currency="CAD", price=CAD, sellerId=USER),
    "upsertPriceTier": taking(sku=SKU, minQuantity=10, currency="CAD", price=CAD, sellerId=USER),
    "setExchangeRate": taking(source="CAD", target="EUR", rate="0.68"),
    "createPricingRule": taking(name="Autumn", kind="DISCOUNT", terms=NARROWED, sellerId=USER),
    "updatePricingRule": [taking(id=RULE, name="Winter"), taking(id=RULE, terms=NARROWED)],
    "createPromotion": [
        taking(name="Week", kind="PERCENTAGE", terms=NARROWED, sellerId=USER),
        taking(name="Pair", kind="BUNDLE", terms={"items": [ITEM], "amountMinor": 800, "currency": "CAD"}),
    ],
    "createBundleDeal": taking(name="Pair", items=[{"sku": SKU, "quantity": 2}], price=CAD, sellerId=USER),
    "endPromotion": taking(id=Key("promotion")),
    "createDiscountCode": [
        taking(code=Fresh("CODE-"), kind="PERCENTAGE", terms=NARROWED, sellerId=USER),
        taking(code=Key("spare_code"), kind="PERCENTAGE", terms=PERCENT),
    ],
    "disableDiscountCode": taking(id=Key("discount_code_id")),
    "createFlashSale": taking(
        name="Hour", endsAt=ENDS, items=[{"sku": SKU, "price": CAD, "stockLimit": 3}], sellerId=USER
    ),
    "cancelFlashSale": taking(id=Key("flash_sale")),
    "setLoyaltyProgram": taking(name="Club", currency="CAD", earnRate="1", pointValue="1"),
    "adjustLoyaltyPoints": keyed(userId=USER, points=1, reason="thanks"),
    "redeemLoyaltyPoints": keyed(points=100_000),
    # tax
    "taxRates": {"country": "CA"},
    "calculateTax": {"lines": [{"key": "a", "amount": CAD}], "country": "CA", "province": "CA-ON"},
    "taxNumber": {"country": "DE", "number": "DE136695976"},
    "holidays": {"province": "CA-ON", "year": 2026},
    "nextBusinessDay": {"province": "CA-ON", "day": "2026-07-01"},
    "ageVerifications": [{"userId": USER}, {"orderId": ORDER}],
    "myAgeIsVerified": {"minimumAge": 19},
    "setTaxRate": taking(country="FR", kind="VAT", rate="0.2", validFrom="2026-01-01"),
    "endTaxRate": taking(id=Key("tax_rate"), lastDay="2027-12-31"),
    "addHoliday": taking(country="CA", day="2026-08-08", name="Lamp Day"),
    "removeHoliday": taking(id=Key("holiday")),
    "recordAgeVerification": taking(userId=READER, minimumAge=19, method="DOCUMENT", orderId=ORDER),
    # carts
    "cart": [{"id": CART}, {"token": GUEST_TOKEN}, {"token": SHARE_TOKEN}],
    "sharedCart": {"token": SHARE_TOKEN},
    "cartUpdated": [{"id": CART}, {"token": GUEST_TOKEN}, {"token": SHARE_TOKEN}],
    "addToCart": [taking(lines=[FROM_STORE | {"quantity": 1}]), *_in_carts({"lines": [ITEM]})],
    "updateCartItem": _in_carts({"lineId": CART_LINE, "quantity": 1}),
    "removeFromCart": _in_carts({"lineId": CART_LINE}),
    "clearCart": _in_carts({}),
    "applyPromoCode": _in_carts({"code": CODE}),
    "removePromoCode": _in_carts({"code": CODE}),
    "shareCart": [taking(access="EDIT", **cart) for cart in CARTS[:2]],
    "mergeCart": taking(token=GUEST_TOKEN),
    # orders
    "cartCheckout": [{}, {"cartId": CART}, {"token": GUEST_TOKEN}, {"token": SHARE_TOKEN}],
    "setCheckoutAddress": _in_carts({"address": STREET}),
    "setCheckoutDelivery": _in_carts({"deliveryMethod": "DELIVERY"}),
    "setCheckoutContact": _in_carts({"email": "ann@example.com"}),
    "setCheckoutPayment": _in_carts({"paymentMethod": "CASH"}),
    "completeCheckout": [keyed(**cart) for cart in CARTS[:2]],
    "checkoutPreview": _bought(keyed_=False),
    "checkout": _bought(keyed_=True),
    "order": [{"id": ORDER}, {"number": Key("order_number")}],
    "orders": [{"storeId": STORE}, {"customerId": USER}, {"search": Key("order_number")}],
    "sellerOrders": {"filter": {"storeId": STORE}},
    "trackOrder": {"number": Key("order_number")},
    "orderEvents": {"id": ORDER},
    "cancelOrder": keyed(id=ORDER),
    "updateOrderStatus": taking(orderId=ORDER, status="COMPLETED", subOrderId=SUB_ORDER),
    "requestReturn": taking(orderId=ORDER, lines=BACK, reason="broken"),
    "acceptReturn": keyed(orderId=ORDER, returnId=RETURN, lines=BACK),
    "rejectReturn": taking(orderId=ORDER, returnId=RETURN, note="worn"),
    "reorder": taking(orderId=ORDER),
    "orderStatusChanged": {"orderId": ORDER},
    "newStoreOrders": {"storeId": STORE},
    # payments
    "payment": {"id": PAYMENT},
    "paymentsByOrder": {"orderId": ORDER},
    "paymentStatusChanged": {"orderId": ORDER},
    "payouts": [{}, SOLD_BY],
    "payoutAccounts": [{}, SOLD_BY],
    "escrowBalance": [{}, SOLD_BY],
    "ledgerPostings": [{"orderId": ORDER}, {"paymentId": PAYMENT}],
    "discrepancies": {"runId": Key("reconciliation")},
    "refundPayment": keyed(
        paymentId=PAYMENT, amount=CAD, parts=[{"subOrderId": SUB_ORDER, "goodsMinor": 900, "taxMinor": 0}]
    ),
    "createPaymentIntent": [keyed(orderId=ORDER), keyed(orderId=ORDER, token=GUEST_TOKEN)],
    "confirmPayment": [keyed(orderId=ORDER), keyed(orderId=ORDER, token=GUEST_TOKEN)],
    "configureProvider": taking(provider="sandbox", isActive=True),
    "updateProviderCredentials": taking(provider="sandbox", credentials="sk_1", webhookSecret="whsec_1"),
    "retryRefund": keyed(refundId=Key("refund")),
    "completeRefund": keyed(refundId=Key("refund"), reference="LINE-1"),
    "capturePayment": keyed(paymentId=PAYMENT),
    "voidPayment": keyed(paymentId=PAYMENT, reason="by mistake"),
    "releaseEscrow": keyed(orderId=ORDER, subOrderIds=[SUB_ORDER]),
    "reviewFraud": keyed(paymentId=PAYMENT, approve=True),
    "submitDisputeEvidence": taking(disputeId=Key("dispute"), evidence={"tracking": "CP1"}),
    "closeDispute": keyed(disputeId=Key("dispute"), won=True),
    "savePaymentMethod": taking(provider="sandbox", token="sbx_card_ok", kind="CARD", last4="4242"),
    "deletePaymentMethod": taking(id=Key("payment_method")),
    "setPayoutAccount": [taking(**ACCOUNT), taking(**ACCOUNT, sellerId=READER)],
    "requestPayout": [keyed(currency="CAD"), keyed(currency="CAD", sellerId=USER)],
    "cancelPayout": keyed(payoutId=Key("payout")),
    "updatePayoutPolicy": taking(payoutDelayDays=2),
    "createSettlement": taking(provider="sandbox", day="2020-01-01"),
    "processSettlement": keyed(id=Key("settlement")),
    "runReconciliation": taking(
        provider="sandbox", since="2020-01-01T00:00:00Z", until="2020-02-01T00:00:00Z",
        statement="reference,type,amount,currency\n",
    ),
    "resolveDiscrepancy": taking(id=Key("discrepancy"), note="booked twice"),
}  # fmt: skip

# Paths that look as if they named something of a tenant, and do not.
NOT_OWNED = {
    "createFlashSale.input.liveSessionId": "a mark that is kept and shown; nothing is looked up by it yet",
    "checkout.input.liveSessionId": "a mark that an order keeps; of a session that is not there it means nothing",
    "checkoutPreview.input.liveSessionId": "as in checkout; a preview keeps nothing",
    "taxNumber.number": "a number that a state has given",
    "savePaymentMethod.input.token": "the provider's own name for a card",
}
