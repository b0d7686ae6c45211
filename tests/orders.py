"""Orders for tests: two mugs of one seller, and two bowls of another, placed without any checkout."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import Work, uuid7
from domain.money import Money
from domain.orders import DeliveryAddress, Order, OrderDraft, OrderLine, Orders

SELLER, OTHER_SELLER, STORE, OTHER_STORE = (uuid7() for _ in range(4))
ADDRESS = DeliveryAddress(street_line1="1 King St", city="Toronto", province="ON", postal_code="M5H 1A1", country="CA")


def cad(minor: int) -> Money:
    return Money(minor, "CAD")


def line(sku: str, unit: int, seller_id: UUID, store_id: UUID, quantity: int = 2) -> OrderLine:
    return OrderLine(
        product_id=uuid7(),
        sku=sku,
        seller_id=seller_id,
        store_id=store_id,
        name=f"A {sku}",
        quantity=quantity,
        unit=cad(unit),
        discount=cad(0),
        tax=cad(0),
        total=cad(unit * quantity),
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the tests order, of which sellers and stores, and how many steps it has come."""

    customer_id: UUID | None = None
    number: str | None = None
    steps: int = 0
    seller_ids: tuple[UUID, UUID] = (SELLER, OTHER_SELLER)
    store_ids: tuple[UUID, UUID] = (STORE, OTHER_STORE)
    skus: tuple[str, str] = ("mug", "bowl")


async def place(command: Place, work: Work, orders: Orders) -> Order:
    whose = zip(command.skus, (1000, 250), command.seller_ids, command.store_ids, strict=True)
    lines = tuple(line(*each) for each in whose)
    number = command.number or (await orders.next_numbers(work.now.date()))[0]
    draft = OrderDraft(
        number=number,
        customer_id=command.customer_id or work.actor.user_id,
        lines=lines,
        currency="CAD",
        subtotal=cad(2500),
        discount=cad(0),
        tax=cad(0),
        delivery_fee=cad(501),
        total=cad(3001),
        address=ADDRESS,
    )
    order = Order.place(draft, work)
    orders.add(order)
    return step(order, command.steps, work)


def step(order: Order, steps: int, work: Work) -> Order:
    acts = (
        lambda: order.confirm(work),
        lambda: order.pay(uuid7(), order.total, work),
        lambda: order.process(work),
        lambda: order.ready(work),
        lambda: order.ship(work),
        lambda: order.deliver(work),
    )
    for act in acts[:steps]:
        act()
    return order
