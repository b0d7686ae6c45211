"""Carts: what somebody is about to buy, of several sellers at once, for seven days after the last change."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, Self
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Work
from domain.money import CurrencyMismatch, Money
from domain.orders.cart_checkout import CheckoutPlan, CheckoutStep
from domain.orders.cart_events import (
    CartAbandoned,
    CartCheckoutChanged,
    CartCleared,
    CartCodeApplied,
    CartCodeRemoved,
    CartConverted,
    CartCreated,
    CartItemAdded,
    CartItemRemoved,
    CartMerged,
    CartQuantityChanged,
    CartRecovered,
    CartReopened,
    CartShared,
)
from domain.orders.cart_parts import (
    LIFETIME,
    MAX_CODES,
    MAX_LINES,
    MAX_UNITS,
    SHARE_PREFIX,
    TOKEN_BYTES,
    TRANSITIONS,
    CartAccess,
    CartClosed,
    CartExpired,
    CartFull,
    CartLine,
    CartShare,
    CartState,
    EmptyCart,
    Goods,
    ReadOnlyShare,
    check_code,
    check_quantity,
    digest,
)

__all__ = [
    "Cart",
    "CartAccess",
    "CartClosed",
    "CartExpired",
    "CartFull",
    "CartLine",
    "CartReads",
    "CartShare",
    "CartState",
    "Carts",
    "EmptyCart",
    "Goods",
    "ReadOnlyShare",
]


@dataclass(eq=False, kw_only=True)
class Cart(Aggregate):
    """What a person, or a guest who holds the token, is about to buy."""

    customer_id: UUID | None = None
    token_hash: bytes | None = None
    state: CartState = CartState.ACTIVE
    lines: tuple[CartLine, ...] = ()
    codes: tuple[str, ...] = ()
    checkout: CheckoutPlan = field(default_factory=CheckoutPlan)
    touched_at: datetime
    expires_at: datetime
    abandoned_at: datetime | None = None
    order_id: UUID | None = None
    merged_into: UUID | None = None
    # Neither is kept: the secret is told once, and what is no longer on sale is found out at every reading.
    token: str | None = None
    left_out: tuple[CartLine, ...] = ()

    @classmethod
    def blank(cls, work: Work) -> Self:
        """Make an empty cart for whoever asks; a guest's comes with a secret token."""
        cart = cls(
            tenant_id=work.tenant_id,
            customer_id=work.actor.user_id,
            touched_at=work.now,
            expires_at=work.now + LIFETIME,
        )
        if cart.customer_id is None:
            cart.token = secrets.token_urlsafe(TOKEN_BYTES)
            cart.token_hash = digest(cart.token)
        return cart

    @property
    def currency(self) -> str | None:
        return self.lines[0].price.currency if self.lines else None

    @property
    def subtotal(self) -> Money | None:
        """What the lines come to at the prices seen last; nothing while there is no line."""
        if not self.lines:
            return None
        return sum((line.subtotal for line in self.lines[1:]), start=self.lines[0].subtotal)

    @property
    def units(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def missing(self) -> tuple[CheckoutStep, ...]:
        """What its buyer has still to settle before it can be ordered."""
        nothing = () if self.lines else (CheckoutStep.LINES,)
        return (*nothing, *self.checkout.missing(is_guest=self.customer_id is None))

    def is_expired(self, now: datetime) -> bool:
        """Say whether nothing has happened for longer than a cart is kept."""
        return now >= self.expires_at

    def begin(self) -> None:
        """Say that there is a new cart."""
        self.record(CartCreated(cart_id=self.id, customer_id=self.customer_id))

    def line(self, line_id: UUID) -> CartLine:
        """Give one line.

        Raises: NotFound.
        """
        for line in self.lines:
            if line.id == line_id:
                return line
        raise NotFound(kind="CartLine", id=str(line_id))

    def units_of(self, sku: str, store_id: UUID) -> int:
        """Say how many units of a SKU from a store are in the cart."""
        return sum(line.quantity for line in self.lines if line.place == (sku, store_id))

    def put(self, goods: Goods, quantity: int, now: datetime) -> CartLine:
        """Add units; of goods that are already there, the line grows, and takes over their present price.

        Raises: InvalidInput, CartFull, CurrencyMismatch, CartExpired, CartClosed.
        """
        self.expect_open(now)
        check_quantity(quantity)
        if self.currency not in {None, goods.price.currency}:
            raise CurrencyMismatch(expected=str(self.currency), actual=goods.price.currency)
        line = CartLine.of(goods, quantity)
        known = next((each for each in self.lines if each.place == line.place), None)
        if known is not None:
            check_quantity(known.quantity + quantity)
            line = replace(line, id=known.id, quantity=known.quantity + quantity)
            self._exchange(line)
        elif len(self.lines) >= MAX_LINES:
            raise CartFull(cart_id=str(self.id), limit=MAX_LINES)
        else:
            self.lines = (*self.lines, line)
        self._renew(now)
        price = line.price
        self._note(CartItemAdded, line, price_minor=price.amount_minor, currency=price.currency)
        return line

    def set_quantity(self, line_id: UUID, quantity: int, now: datetime) -> None:
        """Have another number of units in a line.

        Raises: InvalidInput, NotFound, CartExpired, CartClosed.
        """
        self.expect_open(now)
        check_quantity(quantity)
        changed = replace(self.line(line_id), quantity=quantity)
        self._exchange(changed)
        self._renew(now)
        self._note(CartQuantityChanged, changed)

    def remove(self, line_id: UUID, now: datetime) -> None:
        """Take a line out.

        Raises: NotFound, CartExpired, CartClosed.
        """
        self.expect_open(now)
        gone = self.line(line_id)
        self.lines = tuple(line for line in self.lines if line.id != line_id)
        self._renew(now)
        self._note(CartItemRemoved, replace(gone, quantity=0))

    def clear(self, now: datetime) -> None:
        """Take everything out, codes and what was settled about the order included.

        Raises: CartExpired, CartClosed.
        """
        self.expect_open(now)
        self._renew(now)
        self._empty()

    def start_over(self, now: datetime) -> None:
        """Empty an expired cart, so that its owner can go on with it."""
        self.state = CartState.ACTIVE
        self._renew(now)
        self._empty()

    def apply_code(self, code: str, now: datetime) -> None:
        """Remember a discount code for the order; whether it is good, pricing has said.

        Raises: InvalidInput, CartExpired, CartClosed.
        """
        self.expect_open(now)
        check_code(code)
        if code in self.codes:
            return
        if len(self.codes) >= MAX_CODES:
            raise InvalidInput(field="code", reason=f"a cart takes {MAX_CODES} codes at most")
        self.codes = (*self.codes, code)
        self._renew(now)
        self.record(CartCodeApplied(cart_id=self.id, code=code))

    def remove_code(self, code: str, now: datetime) -> None:
        """Forget a discount code.

        Raises: NotFound, CartExpired, CartClosed.
        """
        self.expect_open(now)
        known = next((each for each in self.codes if each.casefold() == code.strip().casefold()), None)
        if known is None:
            raise NotFound(kind="DiscountCode", id=code)
        self.codes = tuple(each for each in self.codes if each != known)
        self._renew(now)
        self.record(CartCodeRemoved(cart_id=self.id, code=known))

    def settle(self, step: CheckoutStep, plan: CheckoutPlan, now: datetime) -> None:
        """Take a step towards the order.

        Raises: CartExpired, CartClosed.
        """
        self.expect_open(now)
        self.checkout = plan
        self._renew(now)
        self.record(CartCheckoutChanged(cart_id=self.id, customer_id=self.customer_id, step=step))

    def share(self, access: CartAccess, until: datetime | None, now: datetime) -> CartShare:
        """Make a token under which somebody else may see the cart, or fill it; until then, or as long as carts are kept.

        Raises: InvalidInput, CartExpired, CartClosed.
        """
        self.expect_open(now)
        if until is not None and not now < until <= now + LIFETIME:
            raise InvalidInput(field="expiresAt", reason=f"it lies within the next {LIFETIME.days} days")
        token = SHARE_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        made = CartShare(
            tenant_id=self.tenant_id,
            cart_id=self.id,
            token_hash=digest(token),
            access=access,
            expires_at=until or now + LIFETIME,
            token=token,
        )
        self._renew(now)
        self.record(CartShared(cart_id=self.id, share_id=made.id, access=access))
        return made

    def take_over(self, guest: "Cart", now: datetime) -> None:
        """Put everything from a guest's cart into this one; of goods in both, the units add up as far as they may.

        To take the same cart over again changes nothing. Raises: CartFull, CurrencyMismatch, CartExpired, CartClosed.
        """
        if guest.merged_into == self.id:
            return
        guest.expect_open(now)
        self._gather(guest, now)
        # What was settled as a guest is what its buyer is at just now.
        self.checkout = guest.checkout.over(self.checkout)
        guest.merge_into(self, now)

    def fits(self, other: "Cart", now: datetime) -> bool:
        """Say whether everything of another cart could be put into this one."""
        places = {line.place for line in (*self.lines, *other.lines)}
        currencies = {line.price.currency for line in (*self.lines, *other.lines)}
        return not self.is_expired(now) and len(places) <= MAX_LINES and len(currencies) <= 1

    def take_back(self, ordered: "Cart", order_id: UUID, now: datetime) -> None:
        """Put everything from a cart whose order came to nothing into this one, which its customer has begun since.

        Raises: CartFull, CurrencyMismatch, CartExpired, CartClosed.
        """
        if ordered.state is not CartState.CONVERTED or ordered.order_id != order_id:
            return
        self._gather(ordered, now)
        self.checkout = self.checkout.over(ordered.checkout)
        ordered.reopen(order_id, now)
        ordered.merge_into(self, now)

    def convert(self, order_id: UUID, now: datetime) -> None:
        """Become an order; of all who try, one can.

        Raises: EmptyCart, CartExpired, CartClosed.
        """
        self.expect_open(now)
        if not self.lines:
            raise EmptyCart(cart_id=str(self.id))
        self._renew(now)
        self.state = TRANSITIONS.check(self.state, CartState.CONVERTED)
        self.order_id = order_id
        self.record(CartConverted(cart_id=self.id, customer_id=self.customer_id, order_id=order_id))

    def reopen(self, order_id: UUID, now: datetime) -> None:
        """Be a cart again after its order came to nothing; one that became another order stays what it is."""
        if self.state is not CartState.CONVERTED or self.order_id != order_id:
            return
        self.state = TRANSITIONS.check(self.state, CartState.ACTIVE)
        self.order_id = None
        self._renew(now)
        self.record(CartReopened(cart_id=self.id, customer_id=self.customer_id, order_id=order_id))

    def merge_into(self, other: "Cart", now: datetime) -> None:
        """Be a part of another cart from now on."""
        self._renew(now)
        self.state = TRANSITIONS.check(self.state, CartState.MERGED)
        self.merged_into = other.id
        self.record(CartMerged(cart_id=self.id, into=other.id, customer_id=other.customer_id))

    def abandon(self, now: datetime) -> None:
        """Note that its owner seems to have forgotten it; the time it is kept for goes on.

        Raises: EmptyCart, InvalidStateTransition.
        """
        total = self.subtotal
        if total is None:
            raise EmptyCart(cart_id=str(self.id))
        self.state = TRANSITIONS.check(self.state, CartState.ABANDONED)
        self.abandoned_at = now
        self.record(
            CartAbandoned(
                cart_id=self.id,
                customer_id=self.customer_id,
                units=self.units,
                subtotal_minor=total.amount_minor,
                currency=total.currency,
            )
        )

    def expect_open(self, now: datetime) -> None:
        """Refuse a cart that cannot be changed any more.

        Raises: CartExpired, CartClosed.
        """
        if self.state in {CartState.CONVERTED, CartState.MERGED}:
            raise CartClosed(cart_id=str(self.id), state=self.state)
        if self.is_expired(now):
            raise CartExpired(cart_id=str(self.id))

    def _renew(self, now: datetime) -> None:
        """Keep the cart for its time again; a forgotten one is thereby remembered."""
        if self.state is CartState.ABANDONED:
            self.state = TRANSITIONS.check(self.state, CartState.ACTIVE)
            self.record(CartRecovered(cart_id=self.id, customer_id=self.customer_id))
        self.touched_at, self.expires_at = now, now + LIFETIME

    def _empty(self) -> None:
        self.lines, self.codes, self.checkout = (), (), CheckoutPlan()
        self.record(CartCleared(cart_id=self.id, customer_id=self.customer_id))

    def _gather(self, other: "Cart", now: datetime) -> None:
        for line in other.lines:
            room = MAX_UNITS - self.units_of(*line.place)
            if room > 0:
                self.put(line, min(line.quantity, room), now)
        self.codes = tuple(dict.fromkeys((*self.codes, *other.codes)))[:MAX_CODES]

    def _exchange(self, changed: CartLine) -> None:
        self.lines = tuple(changed if line.id == changed.id else line for line in self.lines)

    def _note(self, kind: type[Event], line: CartLine, **more: object) -> None:
        facts = {"line_id": line.id, "product_id": line.product_id, "sku": line.sku, "quantity": line.quantity}
        self.record(kind(cart_id=self.id, customer_id=self.customer_id, **facts, **more))  # type: ignore[call-arg]


class Carts(Protocol):
    """Carts for change: what is given is locked until the transaction ends."""

    async def lock(self, cart_id: UUID) -> Cart | None: ...

    async def of_user(self, user_id: UUID) -> Cart | None:
        """Give the one cart of a user that is not closed."""
        ...

    async def by_token(self, token: str) -> Cart | None:
        """Give a guest's cart by its secret, also when it is closed."""
        ...

    async def shared(self, token: str, now: datetime) -> tuple[Cart, CartAccess] | None:
        """Give the cart that a token was shared for, and what its holder may do."""
        ...

    async def open(self, blank: Cart) -> Cart:
        """Give the open cart of the blank's customer, or keep the blank and give that (its version is then 0)."""
        ...

    async def add(self, cart: Cart) -> None: ...

    async def add_share(self, share: CartShare) -> None: ...

    async def idle_since(self, moment: datetime, limit: int) -> Sequence[Cart]:
        """Give active carts with goods that nobody has touched since; those that somebody is at work on are left out."""
        ...


class CartReads(Protocol):
    """Carts to look at."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Cart | None]: ...

    async def of_user(self, user_id: UUID) -> Cart | None: ...

    async def by_token(self, token: str) -> Cart | None: ...

    async def shared(self, token: str, now: datetime) -> tuple[Cart, CartShare] | None: ...
