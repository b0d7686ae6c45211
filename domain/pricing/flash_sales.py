"""Flash sales: low prices for a short time and a limited number of units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.jobs import JobQueue
from domain.kernel import Event, InvalidInput, NotFound, Work, event, uuid7
from domain.money import Money
from domain.pricing.campaigns import Campaign, CampaignState, owner_of, require_owner, timer_of
from domain.pricing.promotions import jobs
from domain.pricing.quote import MAX_PRICE_MINOR
from domain.pricing.terms import check_limits, clean_name

TURN = "pricing.turn_flash_sale"
MAX_ITEMS = 200


@event("flash_sale.created")
@dataclass(frozen=True, kw_only=True)
class FlashSaleCreated(Event):
    title: str
    seller_id: UUID | None
    skus: Sequence[str]
    starts_at: datetime
    ends_at: datetime


@event("flash_sale.started")
@dataclass(frozen=True, kw_only=True)
class FlashSaleStarted(Event):
    title: str


@event("flash_sale.ended")
@dataclass(frozen=True, kw_only=True)
class FlashSaleEnded(Event):
    title: str
    state: str


@dataclass(frozen=True, kw_only=True)
class FlashItem:
    """A SKU of a flash sale, its price, and how many units there are at it."""

    id: UUID = field(default_factory=uuid7)
    sku: str
    price: Money
    stock_limit: int

    def check(self) -> None:
        """Refuse an item that makes no sense.

        Raises: InvalidInput.
        """
        check_limits(stockLimit=self.stock_limit)
        if not self.sku or not 0 <= self.price.amount_minor <= MAX_PRICE_MINOR:
            raise InvalidInput(field="items", reason="each has a SKU and a price that is not negative")


@dataclass(eq=False, kw_only=True)
class FlashSale(Campaign):
    """Goods at a low price from one instant to another, while their units last."""

    live_session_id: UUID | None = None
    per_customer: int | None = None

    def open(self, items: Sequence[FlashItem], now: datetime) -> None:
        """Let it begin, at once or when its time comes.

        Raises: InvalidInput.
        """
        self.name = clean_name(self.name)
        check_limits(perCustomer=self.per_customer)
        if self.ends_at is None:
            raise InvalidInput(field="endsAt", reason="a flash sale has an end")
        if not 0 < len(items) <= MAX_ITEMS or len({item.sku for item in items}) < len(items):
            raise InvalidInput(field="items", reason=f"there are 1 to {MAX_ITEMS}, each of a SKU of its own")
        for item in items:
            item.check()
        skus = tuple(item.sku for item in items)
        self.record(
            FlashSaleCreated(
                title=self.name, seller_id=self.seller_id, skus=skus, starts_at=self.starts_at, ends_at=self.ends_at
            )
        )
        self.schedule(now)

    def go_to(self, state: CampaignState) -> bool:
        changed = super().go_to(state)
        if self.is_over:
            self.record(FlashSaleEnded(title=self.name, state=state))
        elif state is CampaignState.ACTIVE:
            self.record(FlashSaleStarted(title=self.name))
        return changed


class FlashSales(Protocol):
    """Flash sales for change."""

    async def lock(self, sale_id: UUID) -> FlashSale | None: ...

    async def add(self, sale: FlashSale, items: Sequence[FlashItem], work: Work) -> None:
        """Keep a sale with its items and counters, and write the history of their prices."""
        ...

    async def of_items(self, item_ids: Sequence[UUID]) -> Sequence[tuple[FlashSale, bool]]:
        """Lock the sales that some items belong to; with each, whether all its units are sold."""
        ...


@dataclass(frozen=True, kw_only=True)
class FlashItemInput:
    """A SKU of a flash sale, its price, and how many units there are at it."""

    sku: str
    price: Money
    stock_limit: int


@dataclass(frozen=True, kw_only=True)
class CreateFlashSale:
    """Sell a limited number of units at a low price for a while; a seller's is for the seller's own goods."""

    name: str
    items: tuple[FlashItemInput, ...]
    ends_at: datetime
    starts_at: datetime | None = None
    per_customer: int | None = None
    seller_id: UUID | None = None
    live_session_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class CancelFlashSale:
    """End a flash sale now."""

    id: UUID
    expected_version: int | None = None


async def create_flash_sale(command: CreateFlashSale, work: Work, sales: FlashSales, queue: JobQueue) -> FlashSale:
    sale = FlashSale(
        tenant_id=work.tenant_id,
        seller_id=owner_of(work.actor, command.seller_id),
        name=command.name,
        starts_at=command.starts_at or work.now,
        ends_at=command.ends_at,
        per_customer=command.per_customer,
        live_session_id=command.live_session_id,
    )
    items = [FlashItem(sku=each.sku, price=each.price, stock_limit=each.stock_limit) for each in command.items]
    sale.open(items, work.now)
    await sales.add(sale, items, work)
    await _set_timer(sale, work.now, queue)
    return sale


async def cancel_flash_sale(command: CancelFlashSale, work: Work, sales: FlashSales) -> FlashSale:
    sale = await sales.lock(command.id)
    if sale is None:
        raise NotFound(kind="FlashSale", id=str(command.id))
    require_owner(work.actor, "FlashSale", sale)
    sale.expect_version(command.expected_version)
    sale.go_to(CampaignState.CANCELLED)
    return sale


@jobs.on(TURN)
async def turn_flash_sale(payload: Mapping[str, Any], work: Work, sales: FlashSales, queue: JobQueue) -> None:
    """Start or end a flash sale whose time has come; a cancelled one stays so."""
    sale = await sales.lock(UUID(payload["id"]))
    if sale is not None and sale.turn(work.now):
        await _set_timer(sale, work.now, queue)


async def _set_timer(sale: FlashSale, now: datetime, queue: JobQueue) -> None:
    due = sale.starts_at if sale.starts_at > now else sale.ends_at
    if due is not None and not sale.is_over:
        await queue.defer(TURN, timer_of(sale), at=due, key=str(sale.id))
