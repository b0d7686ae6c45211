"""Who talks to whom: conversations of messaging about products of the catalogue and orders, with people of identity."""

from dataclasses import dataclass
from uuid import UUID

from domain.catalog import Products, ProductState
from domain.identity.roles import Role
from domain.identity.users import Users
from domain.kernel import Envelope, InvalidInput, NotFound, Subscriptions, Work
from domain.messaging import Conversation, Conversations, ConversationType, StartConversation
from domain.orders import Order, Orders, SubOrder

subscriptions = Subscriptions("messaging")

STORE_ROLES = frozenset({Role.SELLER, Role.STORE_MANAGER})
SUPPORT_ROLES = frozenset({Role.SUPPORT_AGENT})


@dataclass(frozen=True, kw_only=True)
class _Parties:
    """The two sides of a conversation, as its subject has them."""

    type: ConversationType
    buyer_id: UUID
    seller_id: UUID | None = None
    store_id: UUID | None = None


async def start_conversation(
    command: StartConversation,
    work: Work,
    products: Products,
    orders: Orders,
    users: Users,
    conversations: Conversations,
) -> Conversation:
    """Find the other side by the subject, and give the one conversation that both have about it.

    Raises: NotFound, InvalidInput.
    """
    user_id = work.actor.require_user()
    if command.support:
        parties = await _with_support(command, user_id, work, orders)
    elif (command.order_id is None) == (command.product_id is None):
        raise InvalidInput(field="orderId", reason="name either an order or a product")
    elif command.order_id is not None:
        parties = await _about_order(command.order_id, command.store_id, work, orders)
    else:
        parties = await _about_product(command, user_id, products)
    return await _between(parties, command, work, users, conversations)


@subscriptions.on("identity.role_assigned", "identity.role_revoked")
async def keep_staff(envelope: Envelope, users: Users, conversations: Conversations) -> None:
    """Let those speak for a store, or for the support, who have the role to."""
    store_id, role = envelope.data["store_id"], envelope.data["role"]
    if role in STORE_ROLES and store_id is not None:
        store = UUID(store_id)
        await conversations.keep_staff(ConversationType.DIRECT, store, await users.holding(STORE_ROLES, store))
    elif role in SUPPORT_ROLES:
        await conversations.keep_staff(ConversationType.SUPPORT, None, await users.holding(SUPPORT_ROLES))


async def _with_support(command: StartConversation, user_id: UUID, work: Work, orders: Orders) -> _Parties:
    if command.product_id is not None or command.store_id is not None:
        raise InvalidInput(field="support", reason="the support is asked in general or about an order")
    if command.order_id is not None:
        order = await _existing(command.order_id, orders)
        if order.customer_id != work.actor.user_id:
            raise NotFound(kind="Order", id=str(command.order_id))
    return _Parties(type=ConversationType.SUPPORT, buyer_id=user_id)


async def _about_order(order_id: UUID, store_id: UUID | None, work: Work, orders: Orders) -> _Parties:
    """Let the buyer and each of the sellers reach each other."""
    order, actor = await _existing(order_id, orders), work.actor
    if order.customer_id == actor.user_id:
        reachable = list(order.sub_orders)
    else:
        reachable = [
            each for each in order.sub_orders if actor.user_id == each.seller_id or each.store_id in actor.store_ids
        ]
        if not reachable:
            raise NotFound(kind="Order", id=str(order_id))
    part = _chosen(reachable, store_id)
    if order.customer_id is None:
        raise InvalidInput(field="orderId", reason="it was placed by a guest, who cannot be written to")
    return _Parties(
        type=ConversationType.DIRECT,
        buyer_id=order.customer_id,
        seller_id=_person(part.seller_id, part.store_id),
        store_id=part.store_id,
    )


async def _about_product(command: StartConversation, user_id: UUID, products: Products) -> _Parties:
    if command.product_id is None or command.store_id is not None:
        raise InvalidInput(field="storeId", reason="a product says itself which store it belongs to")
    product = await products.get(command.product_id)
    if product is None or product.state is not ProductState.ACTIVE:
        raise NotFound(kind="Product", id=str(command.product_id))
    return _Parties(
        type=ConversationType.DIRECT,
        buyer_id=user_id,
        seller_id=_person(product.seller_id, product.store_id),
        store_id=product.store_id,
    )


async def _existing(order_id: UUID, orders: Orders) -> Order:
    order = await orders.get(order_id)
    if order is None:
        raise NotFound(kind="Order", id=str(order_id))
    return order


def _chosen(parts: list[SubOrder], store_id: UUID | None) -> SubOrder:
    found = [each for each in parts if store_id in {None, each.store_id}]
    if not found:
        raise NotFound(kind="Store", id=str(store_id))
    if len({each.store_id for each in found}) > 1:
        raise InvalidInput(field="storeId", reason="the order is of several stores: name one of them")
    return found[0]


def _person(seller_id: UUID, store_id: UUID | None) -> UUID | None:
    # What a store imports it sells itself: then nobody in particular is its seller.
    return None if seller_id == store_id else seller_id


async def _between(
    parties: _Parties, command: StartConversation, work: Work, users: Users, conversations: Conversations
) -> Conversation:
    if parties.type is ConversationType.SUPPORT:
        speakers = await users.holding(SUPPORT_ROLES)
    else:
        speakers = await users.holding(STORE_ROLES, parties.store_id) if parties.store_id else ()
    staff = {*speakers, *([parties.seller_id] if parties.seller_id else [])}
    if parties.buyer_id in staff:
        raise InvalidInput(field="storeId", reason="you would be talking to yourself")
    conversation = await conversations.lock_or_create(
        Conversation(
            tenant_id=work.tenant_id,
            type=parties.type,
            buyer_id=parties.buyer_id,
            seller_id=parties.seller_id,
            store_id=parties.store_id,
            order_id=command.order_id,
            product_id=command.product_id,
            staff_ids=sorted(staff),
            last_message_at=work.now,
            started_at=work.now,
        )
    )
    if not conversation.version:
        conversation.start()
        await conversations.enrol(conversation)
    return conversation
