"""The inventory subgraph: stock levels, and the stock of products and variants."""

from datetime import date, datetime
from uuid import UUID

import strawberry

from domain import inventory as domain
from resolvers import inventory as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, Node, bulk, command, connection, depending, make_subgraph, permission, query

READ = permission("inventory.read")
ADJUST = permission("inventory.adjust")

enum_of(domain.StockChange)
enum_of(domain.ReservationPurpose)
enum_of(domain.ReservationState)


@strawberry.federation.type(keys=["id", "storeId sku"], description="The units of one SKU in one store.")
class StockLevel(Node):
    __references__ = {"id": resolvers.levels_by_id, "storeId sku": resolvers.levels_by_store_and_sku}
    __reads__ = (domain.StockLevel,)

    id: UUID
    version: int
    store_id: UUID
    sku: str
    on_hand: int
    reserved: int
    available: int = strawberry.federation.field(description="On hand, less what is reserved.")
    is_low: bool = strawberry.federation.field(description="At or below the reorder point.")
    reorder_point: int
    reorder_quantity: int


@strawberry.type(description="One line of the stock journal.")
class StockJournalEntry:
    id: UUID
    store_id: UUID
    sku: str
    quantity_change: int
    kind: domain.StockChange
    reason: str | None
    balance_after: int
    performed_by: UUID | None
    performed_at: datetime
    reserved_change: int = strawberry.federation.field(description="Change of the number of reserved units.")
    reference_id: UUID | None = strawberry.federation.field(description="The order or movement that it belongs to.")


@strawberry.type(description="Units of one shelf that an order, a box or a display holds.")
class Reservation:
    __reads__ = (domain.Reservation,)

    id: UUID
    order_id: UUID
    store_id: UUID
    sku: str
    quantity: int
    consumed: int = strawberry.federation.field(description="Units that have left the shelf.")
    remaining: int = strawberry.federation.field(description="Units that are still held.")
    purpose: domain.ReservationPurpose
    state: domain.ReservationState
    reserved_at: datetime
    expires_at: datetime | None = strawberry.federation.field(
        description="Null where the units are held until they are shipped or released."
    )
    ended_at: datetime | None


@strawberry.type(description="The reservations of one order.")
class HeldStock:
    __reads__ = (domain.HeldStock,)

    order_id: UUID
    reservations: list[Reservation]


@strawberry.type(description="Units of one batch in one store.")
class StockLot:
    id: UUID
    store_id: UUID
    sku: str
    batch_lot: str
    quantity_received: int
    quantity_remaining: int
    expires_on: date | None
    received_at: datetime


@strawberry.type(description="Units to be picked from one lot.")
class LotPick:
    lot_id: UUID
    batch_lot: str
    quantity: int


@strawberry.type(description="Units that were carried from one store to another.")
class InventoryMovement:
    __reads__ = (domain.Movement,)

    id: UUID
    from_store_id: UUID
    to_store_id: UUID
    sku: str
    quantity: int
    reason: str | None
    performed_by: UUID | None
    performed_at: datetime


@strawberry.type(description="Units over all stores of the tenant.")
class StockTotals:
    on_hand: int
    available: int
    stores: int


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID
    stock: StockTotals | None = bulk(resolvers.stock_of_products, key="id", who=PUBLIC)


@strawberry.federation.type(keys=["sku"])
class ProductVariant:
    sku: str
    availability: StockTotals | None = bulk(resolvers.availability_of_skus, key="sku", who=PUBLIC)


@strawberry.type
class Query:
    stock_level = query(resolvers.stock_level, StockLevel | None, who=READ)
    stock_levels = query(resolvers.stock_levels, connection(StockLevel), who=READ)
    low_stock_items = query(resolvers.low_stock_items, connection(StockLevel), who=READ)
    check_stock = query(resolvers.check_stock, bool, who=PUBLIC)
    inventory_transactions = query(resolvers.inventory_transactions, connection(StockJournalEntry), who=READ)
    reservations = query(resolvers.reservations, connection(Reservation), who=READ)
    batches = query(resolvers.batches, connection(StockLot), who=READ)
    batch_suggestion = query(resolvers.batch_suggestion, list[LotPick], who=READ)
    movements = query(resolvers.movements, connection(InventoryMovement), who=READ)


@strawberry.type
class Mutation:
    adjust_stock = command(
        resolvers.adjust_stock,
        StockLevel,
        errors=[domain.InsufficientStock],
        who=depending("inventory.adjust"),
        key_required=True,
    )
    update_stock_thresholds = command(resolvers.update_stock_thresholds, StockLevel, who=ADJUST)
    receive_stock = command(resolvers.receive_stock, StockLevel, who=ADJUST, key_required=True)
    move_inventory = command(
        resolvers.move_inventory,
        InventoryMovement,
        errors=[domain.InsufficientStock],
        who=ADJUST,
        key_required=True,
    )
    reserve_stock = command(
        resolvers.reserve_stock,
        HeldStock,
        errors=[domain.InsufficientStock, domain.ReservationEnded],
        who=ADJUST,
        key_required=True,
    )
    release_stock = command(resolvers.release_stock, HeldStock, who=ADJUST, key_required=True)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product, ProductVariant])
