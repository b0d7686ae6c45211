"""The orders subgraph: carts, how they are bought, and what becomes of orders."""

import strawberry

from schema.kernel import make_subgraph
from schema.orders.carts import CartMutation, CartQuery, CartSubscription
from schema.orders.checkout import CheckoutMutation, CheckoutQuery
from schema.orders.orders import OrderMutation, OrderQuery, OrderSubscription, User


@strawberry.type
class Query(CartQuery, CheckoutQuery, OrderQuery):
    """What can be asked."""


@strawberry.type
class Mutation(CartMutation, CheckoutMutation, OrderMutation):
    """What can be done."""


@strawberry.type
class Subscription(CartSubscription, OrderSubscription):
    """What can be watched."""


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[User])
