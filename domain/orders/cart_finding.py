"""Whose cart it is, and who else may change it."""

from uuid import UUID

from domain.kernel import NotFound, Work
from domain.orders.cart_parts import SHARE_PREFIX, CartAccess, ReadOnlyShare
from domain.orders.carts import Cart, Carts


async def begin_cart(work: Work, carts: Carts) -> Cart:
    """Give the caller's open cart, or a new one; guests always get a new one, and its token with it."""
    blank = Cart.blank(work)
    if blank.customer_id is None:
        blank.begin()
        await carts.add(blank)
        return blank
    cart = await carts.open(blank)
    if cart.version == 0:
        cart.begin()
    elif cart.is_expired(work.now):
        cart.start_over(work.now)
    return cart


async def own_cart(work: Work, carts: Carts, cart_id: UUID | None = None, token: str | None = None) -> Cart:
    """Give the cart that the caller owns, by a guest's token, by id, or else the one that a user has open.

    Raises: NotFound, also for a cart of somebody else; Unauthenticated when nothing is named and nobody logged in.
    """
    if token is not None:
        cart = await carts.by_token(token)
    elif cart_id is not None:
        cart = await carts.lock(cart_id)
    else:
        cart = await carts.of_user(work.actor.require_user())
    if cart is None or cart_id not in {None, cart.id} or (token is None and not _is_theirs(cart, work)):
        raise NotFound(kind="Cart", id=str(cart_id or "of yours"))
    return cart


async def editable_cart(work: Work, carts: Carts, cart_id: UUID | None = None, token: str | None = None) -> Cart:
    """Give the cart that the caller owns, or one that was shared to be filled.

    Raises: NotFound, Unauthenticated, ReadOnlyShare.
    """
    if token is None or not token.startswith(SHARE_PREFIX):
        return await own_cart(work, carts, cart_id, token)
    found = await carts.shared(token, work.now)
    if found is None or cart_id not in {None, found[0].id}:
        raise NotFound(kind="Cart", id=str(cart_id or "of that token"))
    cart, access = found
    if access is not CartAccess.EDIT:
        raise ReadOnlyShare(cart_id=str(cart.id))
    return cart


async def give_cart_back(cart_id: UUID, order_id: UUID, work: Work, carts: Carts) -> None:
    """Let the buyer have what was in a cart again, after its order came to nothing; to do it twice is to do it once.

    Who has begun another cart meanwhile finds it in there, as far as the two go together.
    """
    ordered = await carts.lock(cart_id)
    if ordered is None or ordered.order_id != order_id:
        return
    begun = None if ordered.customer_id is None else await carts.of_user(ordered.customer_id)
    if begun is None:
        ordered.reopen(order_id, work.now)
    elif begun.fits(ordered, work.now):
        begun.take_back(ordered, order_id, work.now)


def _is_theirs(cart: Cart, work: Work) -> bool:
    return cart.customer_id is not None and cart.customer_id == work.actor.user_id
