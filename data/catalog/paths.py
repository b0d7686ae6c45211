"""Paths and names in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, literal

from data.database import Reads
from data.statements import Statement
from domain.catalog.texts import is_storable


def below(path: ColumnElement[str], ancestor: Any) -> ColumnElement[bool]:
    """Say that a path lies at or below another one.

    It is a range of the index, where LIKE would be a scan: row-level security lets only leakproof operators in.
    """
    top: ColumnElement[str] = literal(ancestor, Text) if isinstance(ancestor, str) else ancestor
    # "0" follows "/" in ASCII, hence everything below "/a/" lies before "/a0".
    return (path >= top) & (path < func.left(top, -1).op("||")("0"))


async def by_text(reads: Reads, statement: Statement, texts: Sequence[str], key: str, **more: Any) -> list[Any | None]:
    """Give one row (or None) per text, in their order; PostgreSQL is not asked for what it cannot hold."""
    wanted = [text for text in dict.fromkeys(texts) if is_storable(text)]
    found = dict(zip(wanted, await reads.by_key(statement, wanted, key, **more), strict=True))
    return [found.get(text) for text in texts]
