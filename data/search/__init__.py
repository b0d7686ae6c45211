"""What search keeps in PostgreSQL: the log of searches, what is asked of the index, and answers for when it is down."""

from data.search.expiry import expired
from data.search.log import BufferedSearchLog, SqlSearchClicks, SqlSearchLogReads
from data.search.requests import IndexRequest, SqlIndexRequests, finish, request_rebuild, waiting
from data.search.tables import click, index_request, performed_search
from data.search.words import PostgresTextSearch

__all__ = [
    "BufferedSearchLog",
    "IndexRequest",
    "PostgresTextSearch",
    "SqlIndexRequests",
    "SqlSearchClicks",
    "SqlSearchLogReads",
    "click",
    "expired",
    "finish",
    "index_request",
    "performed_search",
    "request_rebuild",
    "waiting",
]
