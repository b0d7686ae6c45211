from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.catalog import Offer
from domain.inventory import AllocationStrategy, InsufficientStock
from domain.kernel import NOBODY, InvalidInput, NotFound, Principal, Unauthenticated, Work, uuid7
from domain.money import CurrencyMismatch, Money
from domain.orders import DeliveryAddress, DeliveryMethod
from domain.orders.cart_abandonment import due_after
from domain.orders.cart_changing import MergeCart, merge_cart
from domain.orders.cart_checkout import CheckoutPlan, CheckoutStep
from domain.orders.cart_finding import begin_cart, editable_cart, give_cart_back, own_cart
from domain.orders.cart_parts import (
    LIFETIME,
    MAX_LINES,
    CartAccess,
    CartClosed,
    CartExpired,
    CartFull,
    CartShare,
    CartState,
    EmptyCart,
    Goods,
    ReadOnlyShare,
    digest,
)
from domain.orders.carts import Cart
from domain.pricing import ActiveCode, CodeTerms, DiscountKind, Facts, QuoteRequest, UnknownDiscountCode
from domain.processes.allocating import Shelf, StockedStore
from domain.processes.carting import (
    AddToCart,
    ApplyPromoCode,
    NewCartLine,
    RefusedCode,
    UpdateCartItem,
    add_to_cart,
    apply_promo_code,
    as_offered,
    totals,
    update_cart_item,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT, BUYER, PRODUCT, STORE, SELLER = uuid7(), uuid7(), uuid7(), uuid7(), uuid7()


def work(user_id: UUID | None = BUYER, now: datetime = NOW) -> Work:
    actor = NOBODY if user_id is None else Principal(user_id=user_id)
    return Work(tenant_id=TENANT, actor=actor, now=now, correlation_id="test")


def goods(sku: str = "mug", price: int = 1250, currency: str = "CAD", store_id: UUID = STORE) -> Goods:
    return Goods(
        product_id=PRODUCT,
        variant_id=None,
        sku=sku,
        seller_id=SELLER,
        store_id=store_id,
        category_id=None,
        brand="Acme",
        name=sku.title(),
        variant_name=None,
        price=Money(price, currency),
    )


def offer(sku: str = "mug", price: int | None = 1250, *, active: bool = True, store_id: UUID | None = STORE) -> Offer:
    plain = {name: value for name, value in vars(goods(sku)).items() if name not in {"price", "store_id"}}
    money = None if price is None else Money(price, "CAD")
    return Offer(**plain, price=money, store_id=store_id, active=active, regulated=False)


def cart(*contents: tuple[Goods, int], user_id: UUID | None = BUYER) -> Cart:
    made = Cart.blank(work(user_id))
    for each, quantity in contents:
        made.put(each, quantity, NOW)
    made.release_events()
    return made


def events(changed: Cart) -> list[str]:
    return [recorded.event.name for recorded in changed.release_events()]


def state_of(looked_at: Cart) -> dict[str, Any]:
    return {name: value for name, value in vars(looked_at).items() if not name.startswith("_")}


class FakeCarts:
    """Carts in a dictionary."""

    def __init__(self, *known: Cart) -> None:
        self.known = {each.id: each for each in known}
        self.shares: dict[bytes, CartShare] = {}

    async def lock(self, cart_id: UUID) -> Cart | None:
        return self.known.get(cart_id)

    async def of_user(self, user_id: UUID) -> Cart | None:
        found = (each for each in self.known.values() if each.customer_id == user_id)
        return next((each for each in found if each.state in {"active", "abandoned"}), None)

    async def by_token(self, token: str) -> Cart | None:
        return next((each for each in self.known.values() if each.token_hash == digest(token)), None)

    async def shared(self, token: str, now: datetime) -> tuple[Cart, CartAccess] | None:
        share = self.shares.get(digest(token))
        if share is None or share.expires_at <= now:
            return None
        return self.known[share.cart_id], share.access

    async def open(self, blank: Cart) -> Cart:
        assert blank.customer_id is not None
        return await self.of_user(blank.customer_id) or self.known.setdefault(blank.id, blank)

    async def add(self, fresh: Cart) -> None:
        self.known[fresh.id] = fresh

    async def add_share(self, share: CartShare) -> None:
        self.shares[share.token_hash] = share

    async def idle_since(self, moment: datetime, limit: int) -> list[Cart]:
        return [each for each in self.known.values() if each.touched_at <= moment][:limit]


class FakeSkus:
    """The catalogue as a dictionary of offers."""

    def __init__(self, *offers: Offer) -> None:
        self.known = {each.sku: each for each in offers}

    async def offers(self, skus: list[str]) -> list[Offer | None]:
        return [self.known.get(sku) for sku in skus]

    async def find(self, sku: str) -> None: ...

    async def taken(self, skus: list[str], product_id: UUID) -> None: ...


class FakeShelves:
    """Stock as a list."""

    def __init__(self, *shelves: Shelf) -> None:
        self.known = shelves
        self.strategy = AllocationStrategy.FEWEST_PARCELS
        self.oldest: dict[UUID, datetime] = {}

    async def of_skus(self, skus: list[str]) -> list[Shelf]:
        return [shelf for shelf in self.known if shelf.sku in skus]

    async def stocked(self, sku: str) -> tuple[AllocationStrategy, list[StockedStore]]:
        return self.strategy, [
            StockedStore(store_id=each.store_id, available=each.available, oldest=self.oldest.get(each.store_id))
            for each in self.known
            if each.sku == sku
        ]


def shelf(units: int, sku: str = "mug", store_id: UUID = STORE) -> Shelf:
    return Shelf(store_id=store_id, sku=sku, available=units)


class TestPut:
    def test_adds_up_the_units_of_the_same_goods_at_the_latest_price(self) -> None:
        filled = cart((goods(), 2), (goods(price=1000), 3), (goods("cup", 333), 1))
        assert [(line.sku, line.quantity, line.price.amount_minor) for line in filled.lines] == [
            ("mug", 5, 1000),
            ("cup", 1, 333),
        ]
        assert (filled.subtotal, filled.units) == (Money(5333, "CAD"), 6)

    def test_keeps_the_same_goods_of_two_stores_apart(self) -> None:
        assert [line.quantity for line in cart((goods(), 2), (goods(store_id=uuid7()), 3)).lines] == [2, 3]

    def test_keeps_the_cart_for_seven_days_more(self) -> None:
        filled = cart((goods(), 1))
        later = NOW + timedelta(days=6)
        filled.put(goods(), 1, later)
        assert (filled.touched_at, filled.expires_at) == (later, later + timedelta(days=7))
        assert events(filled) == ["cart.item_added"]

    @pytest.mark.parametrize("quantity", [0, -1, 1000, 10**12])
    def test_refuses_a_number_of_units_that_no_line_has(self, quantity: int) -> None:
        filled = cart((goods(), 2))
        before = state_of(filled)
        with pytest.raises(InvalidInput):
            filled.put(goods(), quantity, NOW + timedelta(hours=1))
        assert state_of(filled) == before

    def test_refuses_to_let_a_line_grow_beyond_its_limit(self) -> None:
        filled = cart((goods(), 999))
        with pytest.raises(InvalidInput):
            filled.put(goods(), 1, NOW)
        assert filled.units == 999

    def test_refuses_a_second_currency(self) -> None:
        filled = cart((goods(), 1))
        with pytest.raises(CurrencyMismatch):
            filled.put(goods("cup", currency="EUR"), 1, NOW)
        assert [line.sku for line in filled.lines] == ["mug"]

    def test_refuses_one_line_too_many(self) -> None:
        full = cart(*((goods(f"sku {number}"), 1) for number in range(MAX_LINES)))
        with pytest.raises(CartFull) as refusal:
            full.put(goods(), 1, NOW)
        assert (refusal.value.limit, len(full.lines)) == (100, 100)
        full.put(goods("sku 7"), 1, NOW)
        assert full.units == 101


class TestChanging:
    def test_sets_removes_and_clears(self) -> None:
        filled = cart((goods(), 2), (goods("cup"), 1), (goods("jug"), 1))
        mug, cup, _ = filled.lines
        filled.set_quantity(mug.id, 7, NOW)
        filled.remove(cup.id, NOW)
        assert [(line.sku, line.quantity) for line in filled.lines] == [("mug", 7), ("jug", 1)]
        filled.clear(NOW)
        assert (filled.lines, filled.subtotal, filled.currency) == ((), None, None)
        assert events(filled) == ["cart.quantity_changed", "cart.item_removed", "cart.cleared"]

    def test_refuses_a_line_that_is_not_there(self) -> None:
        filled = cart((goods(), 2))
        for attempt in (lambda: filled.remove(uuid7(), NOW), lambda: filled.set_quantity(uuid7(), 3, NOW)):
            with pytest.raises(NotFound):
                attempt()
        assert (filled.units, events(filled)) == (2, [])

    def test_refuses_what_has_expired(self) -> None:
        filled = cart((goods(), 2))
        with pytest.raises(CartExpired):
            filled.put(goods(), 1, NOW + LIFETIME)
        assert filled.units == 2

    def test_remembers_five_codes_at_most_each_once(self) -> None:
        filled = cart((goods(), 2))
        for code in ("A", "B", "B", "C", "D", "E"):
            filled.apply_code(code, NOW)
        assert filled.codes == ("A", "B", "C", "D", "E")
        with pytest.raises(InvalidInput):
            filled.apply_code("F", NOW)
        filled.remove_code(" b ", NOW)
        assert filled.codes == ("A", "C", "D", "E")
        with pytest.raises(NotFound):
            filled.remove_code("B", NOW)


class TestConvert:
    def test_can_be_done_once(self) -> None:
        filled, order_id = cart((goods(), 2)), uuid7()
        filled.convert(order_id, NOW)
        assert (filled.state, filled.order_id, events(filled)) == (CartState.CONVERTED, order_id, ["cart.converted"])
        with pytest.raises(CartClosed):
            filled.convert(uuid7(), NOW)
        with pytest.raises(CartClosed):
            filled.put(goods(), 1, NOW)
        assert (filled.order_id, filled.units) == (order_id, 2)

    def test_refuses_an_empty_cart(self) -> None:
        empty = cart()
        with pytest.raises(EmptyCart):
            empty.convert(uuid7(), NOW)
        assert empty.state is CartState.ACTIVE


class TestGiveCartBack:
    async def test_opens_the_cart_again_for_the_order_that_came_to_nothing(self) -> None:
        ordered, order_id = cart((goods(), 2)), uuid7()
        ordered.convert(order_id, NOW)
        ordered.release_events()
        carts = FakeCarts(ordered)
        await give_cart_back(ordered.id, uuid7(), work(), carts)
        assert ordered.state is CartState.CONVERTED
        for _ in range(2):
            await give_cart_back(ordered.id, order_id, work(), carts)
            assert (ordered.state, ordered.order_id, ordered.units) == (CartState.ACTIVE, None, 2)
        assert events(ordered) == ["cart.reopened"]

    async def test_puts_it_into_the_cart_that_its_customer_has_begun_since(self) -> None:
        ordered, order_id = cart((goods(), 2)), uuid7()
        ordered.convert(order_id, NOW)
        begun = cart((goods(), 1), (goods("cup"), 1))
        for _ in range(2):
            await give_cart_back(ordered.id, order_id, work(), FakeCarts(ordered, begun))
            assert [(line.sku, line.quantity) for line in begun.lines] == [("mug", 3), ("cup", 1)]
        assert (ordered.state, ordered.merged_into) == (CartState.MERGED, begun.id)

    async def test_leaves_alone_what_does_not_go_together(self) -> None:
        ordered, order_id = cart((goods(), 2)), uuid7()
        ordered.convert(order_id, NOW)
        begun = cart((goods("cup", currency="EUR"), 1))
        await give_cart_back(ordered.id, order_id, work(), FakeCarts(ordered, begun))
        assert (ordered.state, begun.units) == (CartState.CONVERTED, 1)


class TestAbandon:
    def test_says_what_was_left_behind_and_is_undone_by_the_next_change(self) -> None:
        left = cart((goods(), 2))
        left.abandon(NOW + timedelta(days=1))
        fact: Any = left.release_events()[0].event
        assert (fact.name, fact.units, fact.subtotal_minor, fact.customer_id) == ("cart.abandoned", 2, 2500, BUYER)
        assert left.expires_at == NOW + LIFETIME
        left.put(goods(), 1, NOW + timedelta(days=2))
        assert (left.state, events(left)) == (CartState.ACTIVE, ["cart.recovered", "cart.item_added"])

    def test_is_due_at_the_first_quarter_of_an_hour_after_a_day(self) -> None:
        assert due_after(NOW) == datetime(2026, 3, 15, 15, 15, tzinfo=UTC)
        assert due_after(datetime(2026, 3, 14, 23, 45, tzinfo=UTC)) == datetime(2026, 3, 16, 0, 0, tzinfo=UTC)


class TestMergeCart:
    async def test_adds_a_guests_goods_to_ones_own_once(self) -> None:
        own, guest = cart((goods(), 2)), cart((goods(), 3), (goods("cup", 100), 1), user_id=None)
        guest.apply_code("A", NOW)
        carts, command = FakeCarts(own, guest), MergeCart(token=str(guest.token))
        for _ in range(2):
            merged = await merge_cart(command, work(), carts)
            assert merged is own
            assert [(line.sku, line.quantity) for line in own.lines] == [("mug", 5), ("cup", 1)]
            assert own.codes == ("A",)
        assert (guest.state, guest.merged_into) == (CartState.MERGED, own.id)
        with pytest.raises(CartClosed):
            await merge_cart(command, work(uuid7()), carts)

    async def test_begins_a_cart_for_a_user_who_has_none(self) -> None:
        guest = cart((goods(), 3), user_id=None)
        merged = await merge_cart(MergeCart(token=str(guest.token)), work(), FakeCarts(guest))
        assert (merged.customer_id, merged.token, merged.units) == (BUYER, None, 3)
        assert events(merged) == ["cart.created", "cart.item_added"]

    async def test_is_for_those_who_logged_in(self) -> None:
        guest = cart((goods(), 3), user_id=None)
        with pytest.raises(Unauthenticated):
            await merge_cart(MergeCart(token=str(guest.token)), work(None), FakeCarts(guest))
        assert guest.state is CartState.ACTIVE

    def test_takes_as_many_units_as_a_line_can_have(self) -> None:
        own, guest = cart((goods(), 998)), cart((goods(), 500), user_id=None)
        own.take_over(guest, NOW)
        assert own.units == 999


class TestOwnCart:
    async def test_is_nobody_elses(self) -> None:
        theirs = cart((goods(), 1))
        carts = FakeCarts(theirs)
        assert await own_cart(work(), carts, theirs.id) is theirs
        assert await own_cart(work(), carts) is theirs
        for stranger in (uuid7(), None):
            with pytest.raises(NotFound):
                await own_cart(work(stranger), carts, theirs.id)
        with pytest.raises(Unauthenticated):
            await own_cart(work(None), carts)

    async def test_is_a_guests_by_its_token_alone(self) -> None:
        guest = cart((goods(), 1), user_id=None)
        carts = FakeCarts(guest)
        assert await own_cart(work(None), carts, token=guest.token) is guest
        for cart_id, token in ((guest.id, None), (guest.id, "guessed"), (uuid7(), guest.token)):
            with pytest.raises(NotFound):
                await own_cart(work(None), carts, cart_id, token)

    async def test_is_emptied_when_a_user_comes_back_after_it_expired(self) -> None:
        old = cart((goods(), 4))
        old.apply_code("A", NOW)
        old.release_events()
        begun = await begin_cart(work(now=NOW + LIFETIME), FakeCarts(old))
        assert (begun.id, begun.lines, begun.codes, events(begun)) == (old.id, (), (), ["cart.cleared"])


class TestShare:
    async def test_lets_others_look_or_fill_until_it_ends(self) -> None:
        owned = cart((goods(), 1))
        carts = FakeCarts(owned)
        end = NOW + timedelta(hours=2)
        tokens = {access: owned.share(access, end, NOW) for access in CartAccess}
        for share in tokens.values():
            await carts.add_share(share)
        friend = work(uuid7())
        assert await editable_cart(friend, carts, token=tokens[CartAccess.EDIT].token) is owned
        with pytest.raises(ReadOnlyShare):
            await editable_cart(friend, carts, token=tokens[CartAccess.VIEW].token)
        with pytest.raises(NotFound):
            await own_cart(friend, carts, token=tokens[CartAccess.EDIT].token)
        with pytest.raises(NotFound):
            await editable_cart(work(now=end), carts, token=tokens[CartAccess.EDIT].token)

    @pytest.mark.parametrize("end", [NOW, NOW - timedelta(days=1), NOW + timedelta(days=8)])
    def test_refuses_an_end_that_has_passed_or_is_too_far(self, end: datetime) -> None:
        owned = cart((goods(), 1))
        with pytest.raises(InvalidInput):
            owned.share(CartAccess.VIEW, end, NOW)
        assert events(owned) == []


class TestAddToCart:
    async def test_begins_a_cart_and_takes_the_catalogues_word_for_everything(self) -> None:
        carts = FakeCarts()
        command = AddToCart(lines=[NewCartLine(sku="mug", quantity=2), NewCartLine(sku="cup")])
        filled = await add_to_cart(
            command, work(None), FakeSkus(offer(), offer("cup", 99)), FakeShelves(shelf(5), shelf(1, "cup")), carts
        )
        assert [(line.sku, line.quantity, line.price.amount_minor) for line in filled.lines] == [
            ("mug", 2, 1250),
            ("cup", 1, 99),
        ]
        assert filled.token
        assert events(filled) == ["cart.created", "cart.item_added", "cart.item_added"]

    async def test_counts_what_is_in_the_cart_already(self) -> None:
        carts, skus, shelves = FakeCarts(), FakeSkus(offer()), FakeShelves(shelf(5))
        command = AddToCart(lines=[NewCartLine(sku="mug", quantity=3)])
        await add_to_cart(command, work(), skus, shelves, carts)
        with pytest.raises(InsufficientStock) as refusal:
            await add_to_cart(command, work(), skus, shelves, carts)
        assert (refusal.value.requested, refusal.value.available) == (3, 2)
        (kept,) = carts.known.values()
        assert kept.units == 3

    @pytest.mark.parametrize(
        "found", [(), (offer(active=False),), (offer(price=None),)], ids=["unknown", "not on sale", "without a price"]
    )
    async def test_answers_what_is_not_on_sale_like_what_never_was(self, found: tuple[Offer, ...]) -> None:
        with pytest.raises(NotFound) as refusal:
            await add_to_cart(
                AddToCart(lines=[NewCartLine(sku="mug")]),
                work(),
                FakeSkus(*found),
                FakeShelves(shelf(5)),
                FakeCarts(),
            )
        assert refusal.value.message == "SKU mug does not exist."

    @pytest.mark.parametrize("lines", [[], [NewCartLine(sku="mug")] * 101, [NewCartLine(sku="mug", quantity=-3)]])
    async def test_refuses_a_list_that_makes_no_sense(self, lines: list[NewCartLine]) -> None:
        carts = FakeCarts()
        with pytest.raises(InvalidInput):
            await add_to_cart(AddToCart(lines=lines), work(), FakeSkus(offer()), FakeShelves(shelf(5)), carts)
        assert carts.known == {}

    async def test_buys_from_a_store_that_has_enough_the_sellers_own_first(self) -> None:
        other, third = uuid7(), uuid7()
        shelves = FakeShelves(shelf(4), shelf(9, store_id=other), shelf(20, store_id=third))
        for quantity, store_id, chosen in ((2, None, STORE), (5, None, third), (5, other, other)):
            command = AddToCart(lines=[NewCartLine(sku="mug", quantity=quantity, store_id=store_id)])
            filled = await add_to_cart(command, work(), FakeSkus(offer()), shelves, FakeCarts())
            assert [line.store_id for line in filled.lines] == [chosen]
        elsewhere = AddToCart(lines=[NewCartLine(sku="mug", store_id=uuid7())])
        with pytest.raises(InsufficientStock):
            await add_to_cart(elsewhere, work(), FakeSkus(offer()), shelves, FakeCarts())


ADDRESS = DeliveryAddress(street_line1="1 Elm", city="Ottawa", country="CA")


class TestCheckoutPlan:
    def test_says_what_is_missing_in_the_order_of_asking(self) -> None:
        empty = cart(user_id=None)
        assert empty.missing == ("lines", "delivery", "address", "contact", "payment")
        empty.put(goods(), 1, NOW)
        plan = CheckoutPlan(delivery_method=DeliveryMethod.PICKUP, email="a@example.com", payment_method="cash")
        empty.settle(CheckoutStep.PAYMENT, plan, NOW)
        assert empty.missing == ()
        assert events(empty)[-1] == "cart.checkout_changed"

    def test_is_filled_from_an_earlier_one_and_takes_its_payment_as_a_whole(self) -> None:
        earlier = CheckoutPlan(address=ADDRESS, email="a@example.com", payment_method="card", payment_token="tok_1")
        later = CheckoutPlan(email="b@example.com", notes="ring")
        assert later.over(earlier) == replace(earlier, email="b@example.com", notes="ring")
        paying = replace(later, payment_method="cash", points=3)
        assert paying.over(earlier) == replace(paying, address=ADDRESS)

    def test_goes_with_what_was_in_the_cart(self) -> None:
        filled = cart((goods(), 1))
        filled.settle(CheckoutStep.ADDRESS, CheckoutPlan(address=ADDRESS), NOW)
        filled.clear(NOW)
        assert filled.checkout == CheckoutPlan()

    def test_of_a_closed_or_expired_cart_stays_as_it_is(self) -> None:
        sold, old = cart((goods(), 1)), cart((goods(), 1))
        sold.convert(uuid7(), NOW)
        with pytest.raises(CartClosed):
            sold.settle(CheckoutStep.ADDRESS, CheckoutPlan(address=ADDRESS), NOW)
        with pytest.raises(CartExpired):
            old.settle(CheckoutStep.ADDRESS, CheckoutPlan(address=ADDRESS), NOW + LIFETIME)
        assert (sold.checkout, old.checkout) == (CheckoutPlan(), CheckoutPlan())

    def test_comes_back_with_the_goods_of_an_order_that_came_to_nothing(self) -> None:
        ordered, begun, order_id = cart((goods(), 1)), cart((goods("cup"), 1)), uuid7()
        ordered.settle(CheckoutStep.ADDRESS, CheckoutPlan(address=ADDRESS, notes="ring"), NOW)
        ordered.convert(order_id, NOW)
        begun.settle(CheckoutStep.CONTACT, CheckoutPlan(notes="knock"), NOW)
        begun.take_back(ordered, order_id, NOW)
        assert begun.checkout == CheckoutPlan(address=ADDRESS, notes="knock")


class TestSeveralStores:
    async def test_send_together_what_none_of_them_has(self) -> None:
        other, third = uuid7(), uuid7()
        shelves = FakeShelves(shelf(4), shelf(3, store_id=other), shelf(5, store_id=third))
        carts = FakeCarts()
        command = AddToCart(lines=[NewCartLine(sku="mug", quantity=9)])
        filled = await add_to_cart(command, work(), FakeSkus(offer()), shelves, carts)
        # Two parcels are enough.
        assert sorted((line.store_id, line.quantity) for line in filled.lines) == sorted([(STORE, 4), (third, 5)])
        with pytest.raises(InsufficientStock) as refusal:
            await add_to_cart(replace(command, lines=[NewCartLine(sku="mug", quantity=4)]), work(),
                              FakeSkus(offer()), shelves, carts)  # fmt: skip
        assert (refusal.value.requested, refusal.value.available, filled.units) == (4, 3, 9)

    async def test_are_chosen_as_the_tenant_has_settled(self) -> None:
        other = uuid7()
        shelves = FakeShelves(shelf(4), shelf(3, store_id=other))
        shelves.strategy = AllocationStrategy.OLDEST_LOT_FIRST
        shelves.oldest = {STORE: NOW, other: NOW - timedelta(days=9)}
        command = AddToCart(lines=[NewCartLine(sku="mug", quantity=5)])
        filled = await add_to_cart(command, work(), FakeSkus(offer()), shelves, FakeCarts())
        assert [(line.store_id, line.quantity) for line in filled.lines] == [(other, 3), (STORE, 2)]

    async def test_stand_aside_for_the_store_that_is_named(self) -> None:
        shelves = FakeShelves(shelf(4), shelf(3, store_id=uuid7()))
        carts = FakeCarts()
        command = AddToCart(lines=[NewCartLine(sku="mug", quantity=5, store_id=STORE)])
        with pytest.raises(InsufficientStock) as refusal:
            await add_to_cart(command, work(), FakeSkus(offer()), shelves, carts)
        assert refusal.value.available == 4
        assert all(not each.lines for each in carts.known.values())


class TestUpdateCartItem:
    async def test_asks_for_stock_only_when_more_is_wanted(self) -> None:
        filled = cart((goods(), 5))
        (line,) = filled.lines
        carts, sold_out = FakeCarts(filled), FakeShelves()
        less = UpdateCartItem(line_id=line.id, quantity=2)
        await update_cart_item(less, work(), sold_out, carts)
        assert filled.units == 2
        with pytest.raises(InsufficientStock):
            await update_cart_item(replace(less, quantity=3), work(), sold_out, carts)
        assert filled.units == 2


class FakeFacts:
    """Codes that are valid at the moment, each taking some percent off and standing alone or not."""

    def __init__(self, **percents: int) -> None:
        terms = {name: CodeTerms(percent=Decimal(percent), combinable=True) for name, percent in percents.items()}
        self.codes = [
            ActiveCode(id=uuid7(), code=name, kind=DiscountKind.PERCENTAGE, terms=each) for name, each in terms.items()
        ]

    async def gather(self, request: QuoteRequest) -> Facts:
        return Facts(codes=self.codes)


class TestApplyPromoCode:
    async def test_remembers_a_code_that_takes_something_off(self) -> None:
        filled = cart((goods(), 2))
        command = ApplyPromoCode(code=" spring ")
        for _ in range(2):
            await apply_promo_code(command, work(), FakeCarts(filled), FakeFacts(SPRING=10))
        assert (filled.codes, events(filled)) == (("SPRING",), ["cart.code_applied"])

    @pytest.mark.parametrize(
        ("code", "refusal"), [("SPRING", UnknownDiscountCode), ("", InvalidInput), ("x" * 65, InvalidInput)]
    )
    async def test_refuses_what_is_no_code(self, code: str, refusal: type[Exception]) -> None:
        filled = cart((goods(), 2))
        with pytest.raises(refusal):
            await apply_promo_code(ApplyPromoCode(code=code), work(), FakeCarts(filled), FakeFacts(AUTUMN=10))
        assert (filled.codes, events(filled)) == ((), [])

    async def test_refuses_an_empty_cart(self) -> None:
        with pytest.raises(EmptyCart):
            await apply_promo_code(ApplyPromoCode(code="A"), work(), FakeCarts(cart()), FakeFacts(A=10))


class TestTotals:
    async def test_leave_out_codes_that_have_ended_and_say_why(self) -> None:
        lines = cart((goods(), 2)).lines
        come_to = await totals(lines, ("ENDED", "SPRING"), BUYER, NOW, FakeFacts(SPRING=10))
        assert (come_to.subtotal, come_to.discount, come_to.total) == (
            Money(2500, "CAD"),
            Money(250, "CAD"),
            Money(2250, "CAD"),
        )
        assert come_to.refused_codes == (RefusedCode(code="ENDED", reason="The discount code ENDED is not valid."),)


class TestAsOffered:
    def test_shows_present_prices_and_leaves_out_what_is_gone(self) -> None:
        filled = cart((goods(), 2), (goods("cup", 100), 1), (goods("jug"), 1))
        shown = as_offered(filled, {"mug": offer(price=990), "cup": offer("cup", active=False), "jug": None})
        assert [(line.sku, line.price.amount_minor) for line in shown.lines] == [("mug", 990)]
        assert [line.sku for line in shown.left_out] == ["cup", "jug"]
        assert shown.subtotal == Money(1980, "CAD")
