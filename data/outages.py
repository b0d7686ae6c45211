"""What an error of the driver's says about the server: that it is away, rather than that the statement was wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.kernel import Unavailable

DATABASE = "The database"
# Connections that broke, operator's intervention (shutdown, crash, start-up), and more connections than it takes.
# Source: PostgreSQL's manual, appendix A, classes 08, 57P and code 53300.
_STATES = ("08", "57P", "53300")
CUT = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the driver raises itself where a connection breaks; an InterfaceError may also say that it was misused."""


FAILURES = (asyncpg.PostgresError, *CUT)
"""Everything that the driver raises."""


def is_outage(error: BaseException) -> bool:
    """Say whether an error means that the server cannot be reached, or has sent everybody away."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _says_so(error.orig)
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error)
    return isinstance(error, (*CUT, PoolTimeout)) or _says_so(error)


def _says_so(error: BaseException | None) -> bool:
    return str(getattr(error, "sqlstate", None) or "").startswith(_STATES)


@contextmanager
def reaching_the_database() -> Iterator[None]:
    """Tell callers that the server is away; errors of other kinds pass.

    Raises: Unavailable.
    """
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise Unavailable(part=DATABASE) from error
        raise
