import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from data.orders.carts import cart
from domain.kernel import NOBODY, NotFound, Principal, uuid7
from domain.orders import cart_parts
from resolvers.carts import cart_updated
from resolvers.following import follow
from resolvers.kernel import Context

CART = """fragment Whole on Cart {
  id version token state units currency codes subtotal { amount } leftOut { sku }
  lines { id sku name variantName quantity price { amountMinor } subtotal { amountMinor } product { name } store { id } }
}"""
ADJUST = """mutation($store: ID!, $sku: String!, $change: Int!) {
  adjustStock(input: {storeId: $store, sku: $sku, change: $change}, idempotencyKey: $sku) {
    __typename } }"""
ADD = (
    CART
    + """mutation($input: AddToCartInput!, $key: String) { addToCart(input: $input, idempotencyKey: $key) {
  __typename ...Whole ... on Error { code message } ... on InsufficientStock { requested free: available } } }"""
)
READ = (
    CART
    + "query($id: ID, $token: String) { cart(id: $id, token: $token) { ...Whole totals { total { amountMinor } } } }"
)
CHANGE = (
    CART
    + """mutation($field: UpdateCartItemInput!) { updateCartItem(input: $field) {
  __typename ...Whole ... on Error { code message } } }"""
)
SHARE = """mutation($input: ShareCartInput!) { shareCart(input: $input) {
  __typename ... on CartShare { token access } ... on Error { code } } }"""


@pytest.fixture
async def stocked(graph: Any, goods: Any) -> Any:
    for sku in (goods.sku, goods.variant_sku):
        answer = await graph(ADJUST, {"store": goods.store, "sku": sku, "change": 10})
        assert answer.data["adjustStock"]["__typename"] == "StockLevel"
    return goods


@pytest.fixture
def buyer(tenant_id: UUID) -> Principal:
    return Principal(user_id=uuid7(), tenant_id=tenant_id)


def lines(goods: Any, quantity: int = 2, **named: Any) -> dict[str, Any]:
    return {"input": {"lines": [{"sku": goods.sku, "quantity": quantity}, {"sku": goods.variant_sku}], **named}}


class TestAddToCart:
    async def test_lets_a_guest_fill_a_cart_and_come_back_with_its_token(self, graph: Any, stocked: Any) -> None:
        answer = await graph(ADD, lines(stocked), principal=NOBODY)
        begun = answer.data["addToCart"]
        assert [(line["sku"], line["quantity"], line["variantName"]) for line in begun["lines"]] == [
            (stocked.sku, 2, None),
            (stocked.variant_sku, 1, "Large"),
        ]
        assert (begun["units"], begun["subtotal"], begun["state"]) == (3, {"amount": "37.50"}, "ACTIVE")
        assert begun["lines"][0]["product"] == {"name": "Mug"}
        assert begun["lines"][0]["store"] == {"id": stocked.store}
        again = await graph(READ, {"token": begun["token"]}, principal=NOBODY)
        seen = again.data["cart"]
        assert (seen["id"], seen["units"], seen["token"]) == (begun["id"], 3, None)
        assert seen["totals"] == {"total": {"amountMinor": 3750}}

    async def test_refuses_more_than_there_is_and_keeps_what_was_there(
        self, graph: Any, stocked: Any, buyer: Principal
    ) -> None:
        first = await graph(ADD, lines(stocked, 9), principal=buyer)
        answer = await graph(ADD, lines(stocked, 2), principal=buyer)
        refusal = answer.data["addToCart"]
        assert (refusal["code"], refusal["requested"], refusal["free"]) == ("INSUFFICIENT_STOCK", 2, 1)
        kept = await graph(READ, {"id": first.data["addToCart"]["id"]}, principal=buyer)
        assert (kept.data["cart"]["units"], kept.data["cart"]["version"]) == (10, first.data["addToCart"]["version"])

    @pytest.mark.parametrize("quantity", [0, -1, 1000, 2_000_000_000])
    async def test_refuses_numbers_that_make_no_sense(
        self, graph: Any, stocked: Any, buyer: Principal, quantity: int
    ) -> None:
        answer = await graph(ADD, lines(stocked, quantity), principal=buyer)
        assert answer.data["addToCart"]["code"] == "INVALID_INPUT"
        mine = await graph("{ myCart { id } }", principal=buyer)
        assert mine.data == {"myCart": None}

    async def test_takes_no_price_from_a_client(self, graph: Any, stocked: Any, buyer: Principal) -> None:
        tampered = lines(stocked)
        tampered["input"]["lines"][0]["price"] = {"amountMinor": 1, "currency": "CAD"}
        answer = await graph(ADD, tampered, principal=buyer)
        assert answer.data is None
        assert answer.errors

    async def test_answers_another_tenants_goods_like_goods_that_never_were(
        self, graph: Any, stocked: Any, make_tenant: Callable[[], UUID]
    ) -> None:
        other = make_tenant()
        stranger = Principal(user_id=uuid7(), tenant_id=other)
        answer = await graph(ADD, lines(stocked), principal=stranger, tenant=other)
        assert answer.data["addToCart"]["message"] == f"SKU {stocked.sku} does not exist."

    async def test_answers_a_repeated_request_with_what_it_said_first(self, graph: Any, stocked: Any) -> None:
        request = {**lines(stocked), "key": f"guest {uuid7()}"}
        first = await graph(ADD, request, principal=NOBODY)
        again = await graph(ADD, request, principal=NOBODY)
        assert again.data == first.data
        assert again.data["addToCart"]["units"] == 3

    async def test_refuses_a_guests_key_that_another_guest_might_come_upon(self, graph: Any, stocked: Any) -> None:
        answer = await graph(ADD, {**lines(stocked), "key": "1"}, principal=NOBODY)
        assert answer.data["addToCart"]["code"] == "INVALID_INPUT"


class TestCart:
    async def test_is_read_with_two_statements_of_its_own(self, graph: Any, stocked: Any, buyer: Principal) -> None:
        await graph(ADD, lines(stocked), principal=buyer)
        answer = await graph("{ myCart { units lines { sku price { amount } } } }", principal=buyer)
        assert answer.data["myCart"]["units"] == 3
        assert answer.statements == 2

    async def test_shows_present_prices_and_what_is_left_out(
        self, graph: Any, stocked: Any, buyer: Principal, services: Any, tenant_id: UUID
    ) -> None:
        await graph(ADD, lines(stocked), principal=buyer)
        update = """mutation($id: ID!) { updateProduct(input: {id: $id, price: {amountMinor: 1100, currency: "CAD"}}) {
          __typename } }"""
        assert (await graph(update, {"id": stocked.product})).data["updateProduct"]["__typename"] == "Product"
        document = "{ myCart { subtotal { amountMinor } leftOut { sku } } }"
        cheaper = await graph(document, principal=buyer)
        assert cheaper.data == {"myCart": {"subtotal": {"amountMinor": 3300}, "leftOut": []}}
        hide = "mutation($id: ID!) { hideProduct(input: {id: $id}) { __typename } }"
        await graph(hide, {"id": stocked.product})
        gone = await graph(document, principal=buyer)
        assert gone.data["myCart"]["subtotal"] is None
        assert [line["sku"] for line in gone.data["myCart"]["leftOut"]] == [stocked.sku, stocked.variant_sku]

    async def test_is_nobody_elses(
        self, graph: Any, stocked: Any, buyer: Principal, tenant_id: UUID, make_tenant: Callable[[], UUID]
    ) -> None:
        begun = (await graph(ADD, lines(stocked), principal=buyer)).data["addToCart"]
        stranger = Principal(user_id=uuid7(), tenant_id=tenant_id)
        for principal in (stranger, NOBODY):
            assert (await graph(READ, {"id": begun["id"]}, principal=principal)).data == {"cart": None}
            changed = await graph(
                CHANGE,
                {"field": {"cartId": begun["id"], "lineId": begun["lines"][0]["id"], "quantity": 1}},
                principal=principal,
            )
            assert changed.data["updateCartItem"]["code"] == "NOT_FOUND"
        other = make_tenant()
        assert (await graph(READ, {"id": begun["id"]}, principal=buyer, tenant=other)).data == {"cart": None}

    async def test_asks_for_a_name(self, graph: Any, buyer: Principal) -> None:
        assert (await graph(READ, {}, principal=buyer)).codes == ["INVALID_INPUT"]
        assert (await graph("{ myCart { id } }", principal=NOBODY)).codes == ["UNAUTHENTICATED"]
        answer = await graph("mutation { clearCart(input: {}) { __typename ... on Error { code } } }", principal=NOBODY)
        assert answer.codes == ["UNAUTHENTICATED"]

    async def test_says_that_it_has_expired(
        self, graph: Any, stocked: Any, services: Any, tenant_id: UUID, buyer: Principal
    ) -> None:
        begun = (await graph(ADD, lines(stocked), principal=buyer)).data["addToCart"]
        guest = (await graph(ADD, lines(stocked), principal=NOBODY)).data["addToCart"]
        async with services.database.session(tenant_id) as session:
            old = cart.update().values(expires_at=cart.c.expires_at - cart_parts.LIFETIME)
            await session.execute(old)
        assert (await graph(READ, {"token": guest["token"]}, principal=NOBODY)).data == {"cart": None}
        refused = await graph(ADD, lines(stocked, token=guest["token"]), principal=NOBODY)
        assert refused.data["addToCart"]["code"] == "CART_EXPIRED"
        anew = await graph(ADD, lines(stocked, 1), principal=buyer)
        assert (anew.data["addToCart"]["id"], anew.data["addToCart"]["units"]) == (begun["id"], 2)


class TestChanging:
    async def test_sets_quantities_and_removes_lines(self, graph: Any, stocked: Any, buyer: Principal) -> None:
        begun = (await graph(ADD, lines(stocked), principal=buyer)).data["addToCart"]
        first, second = (line["id"] for line in begun["lines"])
        stale = {"lineId": first, "quantity": 5, "expectedVersion": begun["version"] - 1}
        refused = await graph(CHANGE, {"field": stale}, principal=buyer)
        assert refused.data["updateCartItem"]["code"] == "CONCURRENT_MODIFICATION"
        changed = await graph(CHANGE, {"field": {"lineId": first, "quantity": 5}}, principal=buyer)
        assert changed.data["updateCartItem"]["units"] == 6
        removed = await graph(
            CART + "mutation($id: ID!) { removeFromCart(input: {lineId: $id}) { ...Whole ... on Error { code } } }",
            {"id": second},
            principal=buyer,
        )
        assert [line["id"] for line in removed.data["removeFromCart"]["lines"]] == [first]
        cleared = await graph(CART + "mutation { clearCart(input: {}) { ...Whole } }", principal=buyer)
        assert (cleared.data["clearCart"]["lines"], cleared.data["clearCart"]["subtotal"]) == ([], None)

    async def test_refuses_a_code_that_nobody_knows(self, graph: Any, stocked: Any, buyer: Principal) -> None:
        await graph(ADD, lines(stocked), principal=buyer)
        answer = await graph(
            'mutation { applyPromoCode(input: {code: "no such code"}) { ... on Error { code } } }', principal=buyer
        )
        assert answer.data == {"applyPromoCode": {"code": "UNKNOWN_DISCOUNT_CODE"}}
        mine = await graph("{ myCart { codes } }", principal=buyer)
        assert mine.data == {"myCart": {"codes": []}}


class TestSharing:
    async def test_lets_a_friend_look_or_fill(self, graph: Any, stocked: Any, buyer: Principal) -> None:
        await graph(ADD, lines(stocked), principal=buyer)
        tokens = {}
        for access in ("VIEW", "EDIT"):
            made = await graph(SHARE, {"input": {"access": access}}, principal=buyer)
            tokens[access] = made.data["shareCart"]["token"]
        seen = await graph(
            "query($token: String!) { sharedCart(token: $token) { access cart { units token } } }",
            {"token": tokens["VIEW"]},
            principal=NOBODY,
        )
        assert seen.data == {"sharedCart": {"access": "VIEW", "cart": {"units": 3, "token": None}}}
        refused = await graph(ADD, lines(stocked, token=tokens["VIEW"]), principal=NOBODY)
        assert refused.data["addToCart"]["code"] == "READ_ONLY_SHARE"
        filled = await graph(ADD, lines(stocked, token=tokens["EDIT"]), principal=NOBODY)
        assert filled.data["addToCart"]["units"] == 6
        stolen = await graph(SHARE, {"input": {"token": tokens["EDIT"]}}, principal=NOBODY)
        assert stolen.data["shareCart"]["code"] == "NOT_FOUND"


class TestMergeCart:
    async def test_brings_a_guests_goods_to_whoever_logged_in(
        self, graph: Any, stocked: Any, buyer: Principal, services: Any, tenant_id: UUID
    ) -> None:
        guest = (await graph(ADD, lines(stocked), principal=NOBODY)).data["addToCart"]
        await graph(ADD, lines(stocked, 1), principal=buyer)
        document = (
            CART + "mutation($token: String!) { mergeCart(input: {token: $token}) { ...Whole ... on Error { code } } }"
        )
        for _ in range(2):
            merged = await graph(document, {"token": guest["token"]}, principal=buyer)
            assert merged.data["mergeCart"]["units"] == 5
        assert (await graph(document, {"token": guest["token"]}, principal=NOBODY)).codes == ["UNAUTHENTICATED"]
        async with services.database.session(tenant_id) as session:
            states = (await session.execute(select(cart.c.state).order_by(cart.c.id))).scalars().all()
        assert [str(each) for each in states] == ["merged", "active"]


@pytest.mark.usefixtures("relay")
class TestCartUpdated:
    async def test_tells_of_every_change_and_ends_with_the_order(
        self, graph: Any, stocked: Any, services: Any, tenant_id: UUID
    ) -> None:
        begun = (await graph(ADD, lines(stocked), principal=NOBODY)).data["addToCart"]
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads, transactions=services.transactions, services=services.by_port, tenant_id=tenant_id
        )
        async with aclosing(follow(context, await cart_updated(context, token=begun["token"]))) as news:
            assert (await anext(news)).cart.units == 3
            await graph(ADD, lines(stocked), principal=NOBODY, tenant=tenant_id)
            await graph(ADD, lines(stocked, 4, token=begun["token"]), principal=NOBODY)
            await until(news, lambda cart: cart.units == 8)
            merged = "mutation($token: String!) { mergeCart(input: {token: $token}) { __typename } }"
            await graph(merged, {"token": begun["token"]})
            await until(news, lambda cart: cart.state == "merged")
            with pytest.raises(StopAsyncIteration):
                await anext(news)
        await reads.close()

    async def test_is_not_for_strangers(self, graph: Any, stocked: Any, services: Any, tenant_id: UUID) -> None:
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads, transactions=services.transactions, services=services.by_port, tenant_id=tenant_id
        )
        with pytest.raises(NotFound):
            await cart_updated(context, token="guessed")
        await reads.close()


async def until(news: AsyncGenerator[Any], holds: Callable[[Any], bool]) -> None:
    """Read what comes until something holds of the cart; what was told before it happened before."""
    while not holds((await asyncio.wait_for(anext(news), 10)).cart):
        pass
