"""What is bought in the fuzzed shop, and what it takes to sell: campaigns, taxes, carts, orders and payments."""

from typing import Any

from tests.schema.fuzz.shop import Shop

STREET = {"streetLine1": "1 Elm", "city": "Ottawa", "province": "CA-ON", "postalCode": "K1A 0A1", "country": "CA"}
FROM, UNTIL = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
FIVE = {"percent": "5"}


def mutation(field: str, kind: str, *, keyed: bool = False) -> str:
    """Write a mutation that takes an input and tells of nothing but its refusal."""
    taken, passed = (", $key: String!", ", idempotencyKey: $key") if keyed else ("", "")
    answer = "{ __typename ... on Error { message } }"
    return f"mutation($input: {kind}Input!{taken}) {{ {field}(input: $input{passed}) {answer} }}"


def buying(shop: Shop) -> list[tuple[str, str, dict[str, Any]]]:
    """Give who does what, with which variables, one after the other."""
    return [
        (
            person,
            mutation(name, name[0].upper() + name[1:], keyed=key is not None),
            {"input": given} | ({"key": key} if key else {}),
        )
        for person, name, key, given in _selling(shop) + _paying(shop)
    ]


def _selling(shop: Shop) -> list[tuple[str, str, str | None, dict[str, Any]]]:
    store, shelved = str(shop.ids["store"][0]), shop.texts["shelved"]
    buyer = str(shop.people["buyer"].user_id)
    price = {"amountMinor": 700, "currency": "CAD"}
    return [
        *(("admin", "adjustStock", sku, {"storeId": store, "sku": sku, "change": 500}) for sku in shelved[:4]),
        ("admin", "createPriceList", None, {"name": "Friends", "kind": "CUSTOMER", "currency": "CAD", "customerId": buyer}),
        ("admin", "setRegionalPrice", None, {"sku": shelved[1], "region": "CA", "currency": "CAD", "price": price}),
        ("admin", "createPricingRule", None, {"name": "Spring", "kind": "DISCOUNT", "terms": FIVE}),
        ("admin", "createPromotion", None, {"name": "Week", "kind": "PERCENTAGE", "terms": FIVE, "startsAt": FROM}),
        ("admin", "createDiscountCode", None, {"code": "FERN", "kind": "PERCENTAGE", "terms": FIVE, "startsAt": FROM}),
        ("admin", "createFlashSale", None,
         {"name": "Hour", "startsAt": FROM, "endsAt": UNTIL, "items": [{"sku": shelved[2], "price": price, "stockLimit": 50}]}),
        ("admin", "setLoyaltyProgram", None, {"name": "Club", "currency": "CAD", "earnRate": "1", "pointValue": "1"}),
        ("admin", "adjustLoyaltyPoints", "points", {"userId": buyer, "points": 900, "reason": "welcome"}),
        ("admin", "setTaxRate", None,
         {"country": "CA", "province": "CA-ON", "kind": "HST", "rate": "0.12", "validFrom": "2026-01-01"}),
        ("admin", "addHoliday", None, {"country": "CA", "day": "2026-08-07", "name": "Fern Day"}),
        ("admin", "recordAgeVerification", None, {"userId": buyer, "minimumAge": 19, "method": "DOCUMENT"}),
        ("admin", "updatePayoutPolicy", None, {"reviewScore": 100, "rejectScore": 101}),
    ]  # fmt: skip


def _paying(shop: Shop) -> list[tuple[str, str, str | None, dict[str, Any]]]:
    first, second, third = ({"sku": sku, "quantity": 2} for sku in shop.texts["shelved"][:3])
    to_door = {"address": STREET, "paymentToken": "sbx_card_ok"}
    in_cash = {"deliveryMethod": "PICKUP", "paymentMethod": "CASH"}
    spell = {"since": "2020-01-01T00:00:00Z", "until": UNTIL}
    statement = "reference,type,amount,currency\nunknown,charge,1.00,CAD\n"
    return [
        ("buyer", "addToCart", None, {"lines": [first, second]}),
        ("buyer", "applyPromoCode", None, {"code": "FERN"}),
        ("buyer", "checkout", "first order", to_door),
        ("buyer", "addToCart", None, {"lines": [third]}),
        ("buyer", "checkout", "second order", in_cash),
        ("buyer", "addToCart", None, {"lines": [second, third]}),
        ("buyer", "shareCart", None, {"access": "VIEW"}),
        ("admin", "addToCart", None, {"lines": [first]}),
        ("guest", "addToCart", None, {"lines": [first]}),
        ("buyer", "savePaymentMethod", None,
         {"provider": "sandbox", "token": "sbx_card_ok", "kind": "CARD", "brand": "visa", "last4": "4242"}),
        ("seller", "setPayoutAccount", None, {"currency": "CAD", "provider": "sandbox", "destination": "acct_1"}),
        ("admin", "runReconciliation", None, {"provider": "sandbox", "statement": statement, **spell}),
    ]  # fmt: skip
