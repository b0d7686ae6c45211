"""Stock in PostgreSQL."""

from data.inventory.book import SqlReservations
from data.inventory.desk import GroupedStockDesk
from data.inventory.levels import SqlLots, SqlMovements, SqlStockJournal, SqlStockLevels
from data.inventory.reads import SqlReservationReads, SqlStockReads
from data.inventory.tables import journal, lot, movement, reservation, stock_level

__all__ = [
    "GroupedStockDesk",
    "SqlLots",
    "SqlMovements",
    "SqlReservationReads",
    "SqlReservations",
    "SqlStockJournal",
    "SqlStockLevels",
    "SqlStockReads",
    "journal",
    "lot",
    "movement",
    "reservation",
    "stock_level",
]
