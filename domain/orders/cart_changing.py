"""What can be asked of carts, as far as no other context has a say in it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.kernel import NotFound, Work
from domain.orders.cart_finding import begin_cart, editable_cart, own_cart
from domain.orders.cart_parts import CartAccess, CartShare
from domain.orders.carts import Cart, Carts


@dataclass(frozen=True, kw_only=True)
class CreateCart:
    """Start a cart; whoever is logged in and has one open gets that."""


@dataclass(frozen=True, kw_only=True)
class RemoveFromCart:
    """Take a line out. A guest names the cart by its token; no cart named is the caller's own."""

    line_id: UUID
    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClearCart:
    """Take everything out."""

    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class RemovePromoCode:
    """Forget a discount code."""

    code: str
    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShareCart:
    """Make a token for somebody else, to look or to fill; without an end it is good for as long as carts are kept."""

    access: CartAccess = CartAccess.VIEW
    expires_at: datetime | None = None
    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class MergeCart:
    """Move what was gathered as a guest into one's own cart, after logging in."""

    token: str


async def create_cart(command: CreateCart, work: Work, carts: Carts) -> Cart:  # noqa: ARG001 — a handler's calling convention.
    return await begin_cart(work, carts)


async def remove_from_cart(command: RemoveFromCart, work: Work, carts: Carts) -> Cart:
    cart = await editable_cart(work, carts, command.cart_id, command.token)
    cart.remove(command.line_id, work.now)
    return cart


async def clear_cart(command: ClearCart, work: Work, carts: Carts) -> Cart:
    cart = await editable_cart(work, carts, command.cart_id, command.token)
    cart.clear(work.now)
    return cart


async def remove_promo_code(command: RemovePromoCode, work: Work, carts: Carts) -> Cart:
    cart = await editable_cart(work, carts, command.cart_id, command.token)
    cart.remove_code(command.code, work.now)
    return cart


async def share_cart(command: ShareCart, work: Work, carts: Carts) -> CartShare:
    cart = await own_cart(work, carts, command.cart_id, command.token)
    made = cart.share(command.access, command.expires_at, work.now)
    await carts.add_share(made)
    return made


async def merge_cart(command: MergeCart, work: Work, carts: Carts) -> Cart:
    work.actor.require_user()
    guest = await carts.by_token(command.token)
    if guest is None:
        raise NotFound(kind="Cart", id="of that token")
    cart = await begin_cart(work, carts)
    cart.take_over(guest, work.now)
    return cart
