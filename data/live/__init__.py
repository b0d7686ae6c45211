"""Live commerce in PostgreSQL."""

from data.live.reads import SqlLiveReads
from data.live.repositories import SqlLiveChat, SqlLivePurchases, SqlLiveSessions, SqlStudios
from data.live.rooms import SqlRoomBooks

__all__ = ["SqlLiveChat", "SqlLivePurchases", "SqlLiveReads", "SqlLiveSessions", "SqlRoomBooks", "SqlStudios"]
