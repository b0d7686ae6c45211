"""The inventory subgraph: stock levels, and the stock of products and variants."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain import inventory as domain
from resolvers import inventory as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, Node, bulk, command, connection, make_subgraph, permission, query

READ = permission("inventory.read")
ADJUST = permission("inventory.adjust")

enum_of(domain.StockChange)


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


@strawberry.type
class Mutation:
    adjust_stock = command(resolvers.adjust_stock, StockLevel, errors=[domain.InsufficientStock], who=ADJUST)
    update_stock_thresholds = command(resolvers.update_stock_thresholds, StockLevel, who=ADJUST)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product, ProductVariant])
