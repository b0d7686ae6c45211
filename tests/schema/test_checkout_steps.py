"""Buying step by step: what each step refuses, what is still missing, and that the end is the same as at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from data.orders.carts import cart as carts
from data.payments.tables import payment as payments
from domain.kernel import NOBODY, Principal, uuid7

STREET = {"streetLine1": "1 Elm", "city": "Ottawa", "province": "ON", "postalCode": "K1A 0A1", "country": "CA"}
PLAN = """fragment Plan on CartCheckout {
  cart { id version units } deliveryMethod email notes paymentMethod points missing ready
  address { streetLine1 city country } preview { total { amountMinor } tax { amountMinor } }
}"""
REFUSED = "... on Error { code message } ... on InvalidInput { field }"
SHOW = PLAN + "query($cart: ID, $token: String) { cartCheckout(cartId: $cart, token: $token) { ...Plan } }"
COMPLETE = """mutation($input: CompleteCheckoutInput!, $key: String!) {
  completeCheckout(input: $input, idempotencyKey: $key) {
    __typename ... on Order { id state total { amountMinor } address { city } notes }
    ... on Error { code } ... on CheckoutIncomplete { missing } ... on PriceChanged { actualMinor } } }"""
AT_ONCE = """mutation($input: CheckoutInput!, $key: String!) {
  checkout(input: $input, idempotencyKey: $key) {
    __typename ... on Order { id state total { amountMinor } address { city } notes } ... on Error { code } } }"""
STOCK = """mutation($store: ID!, $sku: String!) {
  adjustStock(input: {storeId: $store, sku: $sku, change: 10}, idempotencyKey: $sku) { __typename } }"""
ADD = """mutation($input: AddToCartInput!) { addToCart(input: $input) {
  __typename ... on Cart { id token version } ... on Error { code message } } }"""
SHARE = """mutation($input: ShareCartInput!) { shareCart(input: $input) { ... on CartShare { token } } }"""
MERGE = """mutation($token: String!) { mergeCart(input: {token: $token}) { __typename ... on Cart { id } } }"""


def step(name: str) -> str:
    kind = name[0].upper() + name[1:]
    return PLAN + f"mutation($input: {kind}Input!) {{ {name}(input: $input) {{ __typename ...Plan {REFUSED} }} }}"


@pytest.fixture
async def shop(graph: Any, goods: Any) -> Any:
    """Open the store for deliveries alone, with ten mugs, where everybody's card is trusted."""
    for document, given in (
        ("mutation($id: ID!) { activateStore(input: {id: $id}) { __typename } }", {"id": goods.store}),
        (
            "mutation($id: ID!) { updateStore(input: {id: $id, deliveryEnabled: true}) { __typename } }",
            {"id": goods.store},
        ),
        (STOCK, {"store": goods.store, "sku": goods.sku}),
        ("mutation { updatePayoutPolicy(input: {reviewScore: 100, rejectScore: 101}) { __typename } }", {}),
    ):
        answer = await graph(document, given)
        assert answer.errors == []
        assert {each["__typename"] for each in answer.data.values()} <= {"Store", "StockLevel", "PayoutPolicy"}
    return goods


@pytest.fixture
def buyer(tenant_id: UUID) -> Principal:
    return Principal(user_id=uuid7(), tenant_id=tenant_id)


Do = Callable[..., Awaitable[Any]]


@pytest.fixture
def do(graph: Any, buyer: Principal) -> Do:
    """Take a step: `do(name, by=…, **input)`."""

    async def take(name: str, by: Principal = buyer, **given: Any) -> Any:
        answer = await graph(step(name), {"input": given}, principal=by)
        assert answer.errors == [], answer.errors
        return answer.data[name]

    return take


async def fill(graph: Any, shop: Any, by: Principal, quantity: int = 2) -> Any:
    added = await graph(ADD, {"input": {"lines": [{"sku": shop.sku, "quantity": quantity}]}}, principal=by)
    assert added.data["addToCart"]["__typename"] == "Cart", added.data
    return added.data["addToCart"]


async def settle(do: Do, by: Principal, **named: Any) -> Any:
    """Take all steps."""
    await do("setCheckoutAddress", by, address=STREET, **named)
    await do("setCheckoutDelivery", by, deliveryMethod="DELIVERY", **named)
    await do("setCheckoutContact", by, email="ann@example.com", notes="ring twice", **named)
    return await do("setCheckoutPayment", by, paymentMethod="CARD", paymentToken="sbx_card_ok", **named)


class TestTheSteps:
    async def test_say_what_is_missing_until_nothing_is(self, graph: Any, shop: Any, do: Do, buyer: Principal) -> None:
        await fill(graph, shop, buyer)
        begun = (await graph(SHOW, principal=buyer)).data["cartCheckout"]
        assert (begun["missing"], begun["ready"], begun["preview"]) == (["DELIVERY", "ADDRESS", "PAYMENT"], False, None)
        addressed = await do("setCheckoutAddress", address=STREET)
        assert addressed["missing"] == ["DELIVERY", "PAYMENT"]
        # 2 x 12.50 and 13 % of HST.
        assert addressed["preview"] == {"total": {"amountMinor": 2825}, "tax": {"amountMinor": 325}}
        await do("setCheckoutDelivery", deliveryMethod="DELIVERY")
        paid = await do("setCheckoutPayment", paymentMethod="CARD", paymentToken="sbx_card_ok")
        assert (paid["missing"], paid["ready"], paid["paymentMethod"]) == ([], True, "CARD")
        shown = await graph(SHOW, principal=buyer)
        assert shown.data["cartCheckout"] == {name: paid[name] for name in paid if name != "__typename"}

    async def test_take_one_statement_to_be_shown_without_a_price(
        self, graph: Any, shop: Any, do: Do, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer)
        await settle(do, buyer)
        answer = await graph("{ cartCheckout { ready missing cart { units } } }", principal=buyer)
        assert (answer.data["cartCheckout"]["ready"], answer.statements) == (True, 1)

    async def test_ask_guests_for_an_address_to_write_to(self, graph: Any, shop: Any, do: Do) -> None:
        token = (await fill(graph, shop, NOBODY))["token"]
        begun = (await graph(SHOW, {"token": token}, principal=NOBODY)).data["cartCheckout"]
        assert begun["missing"] == ["DELIVERY", "ADDRESS", "CONTACT", "PAYMENT"]
        settled = await settle(do, NOBODY, token=token)
        assert (settled["ready"], settled["email"]) == (True, "ann@example.com")

    @pytest.mark.parametrize(
        ("name", "given", "code", "field"),
        [
            ("setCheckoutAddress", {"address": STREET | {"country": "XX"}}, "INVALID_INPUT", "country"),
            ("setCheckoutAddress", {"address": STREET | {"city": " "}}, "INVALID_INPUT", "address"),
            ("setCheckoutAddress", {"address": STREET | {"phone": "1" * 201}}, "INVALID_INPUT", "address.phone"),
            ("setCheckoutDelivery", {"deliveryMethod": "PICKUP"}, "STORE_NOT_SELLING", None),
            ("setCheckoutContact", {"email": "ann at example"}, "INVALID_INPUT", "email"),
            ("setCheckoutPayment", {"paymentMethod": "CARD", "paymentToken": "4242424242424242"},
             "CARD_NUMBER_REFUSED", None),
            ("setCheckoutPayment", {"paymentMethod": "CARD", "paymentToken": "tok_of_nobody"},
             "UNSUPPORTED_PAYMENT_METHOD", None),
            ("setCheckoutPayment", {"paymentMethod": "CASH", "points": 5}, "INSUFFICIENT_POINTS", None),
        ],
    )  # fmt: skip
    async def test_refuse_at_once_what_an_order_would_refuse(
        self, graph: Any, shop: Any, do: Do, buyer: Principal, name: str, given: Any, code: str, field: str | None
    ) -> None:
        await fill(graph, shop, buyer)
        before = (await graph(SHOW, principal=buyer)).data
        refused = await do(name, **given)
        assert (refused["code"], refused.get("field")) == (code, field)
        assert (await graph(SHOW, principal=buyer)).data == before

    @pytest.mark.parametrize(
        ("name", "given"),
        [
            ("setCheckoutAddress", {"address": STREET}),
            ("setCheckoutDelivery", {"deliveryMethod": "DELIVERY"}),
            ("setCheckoutContact", {"email": "eve@example.com"}),
            ("setCheckoutPayment", {"paymentMethod": "CASH"}),
        ],
    )
    async def test_leave_the_carts_of_others_and_stale_and_expired_ones_alone(
        self, graph: Any, shop: Any, do: Do, buyer: Principal, services: Any, tenant_id: UUID, name: str, given: Any
    ) -> None:
        cart = await fill(graph, shop, buyer)
        shared = await graph(SHARE, {"input": {"access": "EDIT"}}, principal=buyer)
        before = (await graph(SHOW, principal=buyer)).data
        stranger = Principal(user_id=uuid7(), tenant_id=tenant_id)
        never = await do(name, stranger, cartId=str(uuid7()), **given)
        foreign = await do(name, stranger, cartId=cart["id"], **given)
        helper = await do(name, stranger, token=shared.data["shareCart"]["token"], **given)
        stale = await do(name, expectedVersion=cart["version"], **given)
        assert [each["code"] for each in (never, foreign, helper)] == ["NOT_FOUND"] * 3
        assert stale["code"] == "CONCURRENT_MODIFICATION"
        assert (await graph(SHOW, principal=buyer)).data == before
        async with services.database.session(tenant_id) as session:
            await session.execute(update(carts).values(expires_at=func.now() - timedelta(days=1)))
        assert (await do(name, **given))["code"] == "CART_EXPIRED"
        async with services.database.session(tenant_id) as session:
            assert (await session.execute(select(carts.c.version))).scalar_one() == before["cartCheckout"]["cart"][
                "version"
            ]

    async def test_of_a_guest_are_kept_by_whoever_logs_in(
        self, graph: Any, shop: Any, do: Do, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer, 1)
        await do("setCheckoutAddress", address=STREET | {"city": "Toronto"})
        await do("setCheckoutContact", notes="leave it at the door")
        token = (await fill(graph, shop, NOBODY))["token"]
        await do("setCheckoutAddress", NOBODY, address=STREET, token=token)
        await do("setCheckoutPayment", NOBODY, paymentMethod="CASH", token=token)
        await graph(MERGE, {"token": token}, principal=buyer)
        merged = (await graph(SHOW, principal=buyer)).data["cartCheckout"]
        assert (merged["address"]["city"], merged["notes"], merged["paymentMethod"], merged["missing"]) == (
            "Ottawa", "leave it at the door", "CASH", ["DELIVERY"],
        )  # fmt: skip

    async def test_are_shown_to_nobody_else(self, graph: Any, shop: Any, do: Do, buyer: Principal) -> None:
        cart = await fill(graph, shop, buyer)
        await settle(do, buyer)
        shared = await graph(SHARE, {"input": {"access": "EDIT"}}, principal=buyer)
        stranger = replace(buyer, user_id=uuid7())
        for given in ({"cart": cart["id"]}, {"token": shared.data["shareCart"]["token"]}):
            assert (await graph(SHOW, given, principal=stranger)).data == {"cartCheckout": None}


class TestCompleteCheckout:
    async def test_makes_the_order_that_a_checkout_at_once_makes(
        self, graph: Any, shop: Any, do: Do, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer)
        cart = (await settle(do, buyer))["cart"]
        given = {"cartId": cart["id"], "expectedVersion": cart["version"], "expectedTotalMinor": 2825}
        stepwise = await graph(COMPLETE, {"input": given, "key": "steps"}, principal=buyer)
        await fill(graph, shop, buyer)
        at_once = {"address": STREET, "paymentToken": "sbx_card_ok", "notes": "ring twice"}
        whole = await graph(AT_ONCE, {"input": at_once, "key": "at once"}, principal=buyer)
        made, same = stepwise.data["completeCheckout"], whole.data["checkout"]
        assert made == same | {"id": made["id"]}
        assert (made["state"], made["total"]) == ("PAID", {"amountMinor": 2825})

    async def test_serves_guests_by_the_token_of_their_cart(self, graph: Any, shop: Any, do: Do) -> None:
        token = (await fill(graph, shop, NOBODY))["token"]
        await settle(do, NOBODY, token=token)
        answer = await graph(COMPLETE, {"input": {"token": token}, "key": "a guest's"}, principal=NOBODY)
        assert answer.data["completeCheckout"]["state"] == "PAID"

    async def test_gives_one_answer_to_one_key_however_many_ask_at_once(
        self, graph: Any, shop: Any, do: Do, buyer: Principal, services: Any, tenant_id: UUID
    ) -> None:
        await fill(graph, shop, buyer)
        await settle(do, buyer)
        request = {"input": {}, "key": "once"}
        answers = await asyncio.gather(*(graph(COMPLETE, request, principal=buyer) for _ in range(6)))
        later = await graph(COMPLETE, request, principal=buyer)
        assert {each.data["completeCheckout"]["id"] for each in answers} == {later.data["completeCheckout"]["id"]}
        assert [each.data for each in answers] == [later.data] * 6
        other = await graph(COMPLETE, {"input": {"expectedTotalMinor": 1}, "key": "once"}, principal=buyer)
        assert other.data["completeCheckout"]["code"] == "IDEMPOTENCY_KEY_REUSED"
        async with services.database.session(tenant_id) as session:
            assert (await session.execute(select(func.count()).select_from(payments))).scalar_one() == 1

    async def test_gives_one_order_to_several_keys(self, graph: Any, shop: Any, do: Do, buyer: Principal) -> None:
        await fill(graph, shop, buyer)
        await settle(do, buyer)
        asked = (graph(COMPLETE, {"input": {}, "key": f"key {each}"}, principal=buyer) for each in range(4))
        kinds = sorted([each.data["completeCheckout"]["__typename"] for each in await asyncio.gather(*asked)])
        assert kinds.count("Order") == 1
        assert set(kinds) <= {"Order", "NotFound", "CartClosed"}

    async def test_says_what_is_missing_and_leaves_the_cart_alone(
        self, graph: Any, shop: Any, do: Do, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer)
        await do("setCheckoutPayment", paymentMethod="CARD", paymentToken="sbx_card_ok")
        before = (await graph(SHOW, principal=buyer)).data
        answer = await graph(COMPLETE, {"input": {}, "key": "too early"}, principal=buyer)
        assert answer.data["completeCheckout"] == {
            "__typename": "CheckoutIncomplete", "code": "CHECKOUT_INCOMPLETE", "missing": ["DELIVERY", "ADDRESS"],
        }  # fmt: skip
        assert (await graph(SHOW, principal=buyer)).data == before

    @pytest.mark.parametrize(
        ("given", "code"),
        [({"expectedVersion": 1}, "CONCURRENT_MODIFICATION"), ({"expectedTotalMinor": 1}, "PRICE_CHANGED")],
    )
    async def test_refuses_what_its_buyer_has_not_seen(
        self, graph: Any, shop: Any, do: Do, buyer: Principal, given: Any, code: str
    ) -> None:
        await fill(graph, shop, buyer)
        await settle(do, buyer)
        before = (await graph(SHOW, principal=buyer)).data
        answer = await graph(COMPLETE, {"input": given, "key": "stale"}, principal=buyer)
        assert answer.data["completeCheckout"]["code"] == code
        assert (await graph(SHOW, principal=buyer)).data == before

    async def test_of_a_stranger_finds_no_cart(
        self, graph: Any, shop: Any, do: Do, buyer: Principal, tenant_id: UUID
    ) -> None:
        cart = await fill(graph, shop, buyer)
        await settle(do, buyer)
        stranger = Principal(user_id=uuid7(), tenant_id=tenant_id)
        answer = await graph(COMPLETE, {"input": {"cartId": cart["id"]}, "key": "theft"}, principal=stranger)
        assert answer.data["completeCheckout"]["code"] == "NOT_FOUND"
        assert (await graph(SHOW, principal=buyer)).data["cartCheckout"]["ready"]

    async def test_that_was_declined_gives_the_cart_back_as_it_was_settled(
        self, graph: Any, shop: Any, do: Do, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer)
        await settle(do, buyer)
        await do("setCheckoutPayment", paymentMethod="CARD", paymentToken="sbx_card_declined")
        for _ in range(2):
            answer = await graph(COMPLETE, {"input": {}, "key": "declined"}, principal=buyer)
            assert answer.data["completeCheckout"]["code"] == "PAYMENT_DECLINED"
        again = await do("setCheckoutPayment", paymentMethod="CARD", paymentToken="sbx_card_ok")
        assert (again["ready"], again["address"]["city"]) == (True, "Ottawa")
        done = await graph(COMPLETE, {"input": {}, "key": "another card"}, principal=buyer)
        assert done.data["completeCheckout"]["state"] == "PAID"


class TestCheckoutAtOnce:
    async def test_gives_one_answer_to_one_key_however_many_ask_at_once(
        self, graph: Any, shop: Any, buyer: Principal
    ) -> None:
        await fill(graph, shop, buyer)
        request = {"input": {"address": STREET, "paymentToken": "sbx_card_ok"}, "key": "once"}
        answers = await asyncio.gather(*(graph(AT_ONCE, request, principal=buyer) for _ in range(6)))
        assert [each.data for each in answers] == [answers[0].data] * 6
        assert answers[0].data["checkout"]["state"] == "PAID"
