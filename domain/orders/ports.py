"""What orders need of storage, and of the wire to those who watch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import NotFound, Principal
from domain.orders.order import Order
from domain.orders.states import OrderState, PaymentStatus
from domain.paging import Page, PageRequest

READ = "orders.read"
UPDATE = "orders.update"


class Orders(Protocol):
    """Orders for change. What happens to one that was got or added is saved with the transaction."""

    async def get(self, order_id: UUID) -> Order | None:
        """Give an order; of two that change it at the same time, the second is refused."""
        ...

    async def lock(self, order_id: UUID) -> Order | None:
        """Give an order that nobody else who locks it can change before the transaction ends."""
        ...

    async def by_number(self, number: str) -> Order | None: ...

    def add(self, order: Order) -> None: ...

    async def next_numbers(self, day: date, count: int = 1) -> Sequence[str]:
        """Give numbers that no other order of that day has."""
        ...


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Which orders are wanted; the time runs from `placed_from` up to and without `placed_until`."""

    state: OrderState | None = None
    payment_status: PaymentStatus | None = None
    placed_from: datetime | None = None
    placed_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SubOrderFilter:
    """Which parts of orders are wanted."""

    state: OrderState | None = None
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class OrderScope:
    """Whose orders: a customer's, those of some stores, or all; `search` finds numbers and names of goods."""

    customer_id: UUID | None = None
    store_ids: Collection[UUID] | None = None
    search: str | None = None


class OrderReads(Protocol):
    """Batch reads, each in the order of its keys, and lists, the newest first."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def by_number(self, numbers: Sequence[str]) -> list[Any | None]: ...

    async def lines(self, order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def lines_of_parts(self, sub_order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def parts(self, order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def parts_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def history(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        """Give the states that each order went through, the first one first: state, note, changed_by, at."""
        ...

    async def events(self, order_id: UUID, page: PageRequest) -> Page[Any]: ...

    async def matching(self, wanted: OrderFilter, scope: OrderScope, page: PageRequest) -> Page[Any]: ...

    async def of_customers(self, customer_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]: ...

    async def seller_parts(
        self, wanted: SubOrderFilter, seller_id: UUID | None, store_ids: Collection[UUID] | None, page: PageRequest
    ) -> Page[Any]:
        """List the parts of one seller or of some stores (either will do), or all where neither is named."""
        ...


def sees(actor: Principal, order: Any) -> bool:
    """Say whether somebody may see an order whole: who ordered it, and the staff of its stores."""
    if actor.user_id is not None and order.customer_id == actor.user_id:
        return True
    return actor.may(READ) and any(actor.works_at(store_id) for store_id in order.store_ids)


def handles(actor: Principal, part: Any) -> bool:
    """Say whether somebody acts for a part of an order: its seller, and the staff of its store."""
    return actor.user_id is not None and (part.seller_id == actor.user_id or actor.works_at(part.store_id))


def missing(order_id: object) -> NotFound:
    """Make the refusal of an order that the caller does not see, or that there is not."""
    return NotFound(kind="Order", id=str(order_id))
