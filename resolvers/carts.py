"""Verbs of carts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.catalog import OfferReads
from domain.kernel import InvalidInput, NotFound
from domain.orders import cart_changing as carts
from domain.orders import cart_topic
from domain.orders.cart_parts import SHARE_PREFIX, CartAccess, CartLine, CartState
from domain.orders.carts import Cart, CartReads
from domain.pricing import PriceFactsReads
from domain.processes import carting
from domain.processes.carting import AddToCart, CartTotals
from resolvers.kernel import Context, Feed, state_feed, transacts

update_cart_item = transacts(carting.update_cart_item)
apply_promo_code = transacts(carting.apply_promo_code)
remove_from_cart = transacts(carts.remove_from_cart)
clear_cart = transacts(carts.clear_cart)
remove_promo_code = transacts(carts.remove_promo_code)
share_cart = transacts(carts.share_cart)
merge_cart = transacts(carts.merge_cart)

# All guests of a tenant share their idempotency keys, and the stored answer holds the token of the cart that it began.
GUEST_KEY_LETTERS = 16
_CLOSED = frozenset({CartState.CONVERTED, CartState.MERGED})

Basket = tuple[tuple[CartLine, ...], tuple[str, ...], UUID | None]


@dataclass(frozen=True)
class CartChange:
    """How a cart stands after it was changed."""

    cursor: str
    cart: Cart


@dataclass(frozen=True)
class SharedCart:
    """Somebody else's cart, as its owner lets it be seen."""

    cart: Cart
    access: CartAccess
    expires_at: datetime


async def add_to_cart(context: Context, command: AddToCart, idempotency_key: str | None = None) -> Cart:
    begins = command.cart_id is None and command.token is None and not context.principal.is_authenticated
    if begins and idempotency_key is not None and len(idempotency_key) < GUEST_KEY_LETTERS:
        raise InvalidInput(field="idempotencyKey", reason=f"a guest's has {GUEST_KEY_LETTERS} letters at least")
    return await context.transact(carting.add_to_cart, command, idempotency_key=idempotency_key)


async def create_cart(context: Context) -> Cart:
    return await context.transact(carts.create_cart, carts.CreateCart())


async def carts_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the carts of the caller; those of others, and of guests, are not there."""
    found = await context.read(CartReads).by_id(ids)
    mine = context.principal.user_id
    return [
        each if each is not None and mine is not None and each.customer_id == mine and _is_kept(context, each) else None
        for each in found
    ]


async def totals_of_carts(context: Context, baskets: Sequence[Basket]) -> Sequence[CartTotals | None]:
    """Say what carts come to now, with the codes that still hold."""
    facts = context.read(PriceFactsReads)
    return [
        await carting.totals(lines, codes, customer_id or context.principal.user_id, context.now(), facts)
        if lines
        else None
        for lines, codes, customer_id in baskets
    ]


async def cart(context: Context, id: UUID | None = None, token: str | None = None) -> Any:  # noqa: A002 — the GraphQL argument's name.
    """Give a user's cart by id, or a guest's by its token, as it can be bought now."""
    found = await _own(context, id, token)
    return None if found is None else await _as_offered(context, found)


async def my_cart(context: Context) -> Any:
    found = await context.read(CartReads).of_user(context.principal.require_user())
    return None if found is None or not _is_kept(context, found) else await _as_offered(context, found)


async def shared_cart(context: Context, token: str) -> Any:
    found = await context.read(CartReads).shared(token, context.now())
    if found is None or not _is_kept(context, found[0]):
        return None
    shared, share = found
    return SharedCart(await _as_offered(context, shared), share.access, share.expires_at)


async def cart_updated(
    context: Context,
    id: UUID | None = None,  # noqa: A002 — the GraphQL argument's name.
    token: str | None = None,
    after: str | None = None,
) -> Feed:
    """Follow a cart from how it stands, until it becomes an order or part of another."""

    async def load(context: Context) -> Cart:
        found = await _watched(context, id, token)
        if found is None:
            raise NotFound(kind="Cart", id=str(id or "of that token"))
        return await _as_offered(context, found)

    begun = await load(context)
    return state_feed(cart_topic(begun.id), load, CartChange, after, last=lambda change: change.cart.state in _CLOSED)


async def _watched(context: Context, cart_id: UUID | None, token: str | None) -> Cart | None:
    if token is None or not token.startswith(SHARE_PREFIX):
        return await _own(context, cart_id, token)
    found = await context.read(CartReads).shared(token, context.now())
    return None if found is None else found[0]


async def _own(context: Context, cart_id: UUID | None, token: str | None) -> Cart | None:
    if (cart_id is None) == (token is None):
        raise InvalidInput(field="token", reason="name the cart by its id or by its token")
    if token is None:
        known: Cart | None = await context.load(carts_by_id, cart_id)
        return known
    found = await context.read(CartReads).by_token(token)
    return found if found is not None and _is_kept(context, found) else None


def _is_kept(context: Context, found: Cart) -> bool:
    return found.state in _CLOSED or not found.is_expired(context.now())


async def _as_offered(context: Context, found: Cart) -> Cart:
    if found.state in _CLOSED or not found.lines:
        return found
    skus = list(dict.fromkeys(line.sku for line in found.lines))
    offers = await context.read(OfferReads).by_sku(skus)
    return carting.as_offered(found, dict(zip(skus, offers, strict=True)))
