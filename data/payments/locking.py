"""Locking one aggregate, whatever was read of it before."""

from functools import cache
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from data.loading import columns_of, loaded
from data.statements import Statement
from domain.kernel import Aggregate

A = TypeVar("A", bound=Aggregate)


async def lock(session: AsyncSession, kind: type[A], id_: UUID) -> A | None:
    """Give an aggregate as it is when the lock is ours: somebody else may have changed it since it was read.

    `Session.get` would refuse an object that has become stale, instead of reading it again.
    """
    found = await loaded(session, kind, _locking(kind), id=id_)  # type: ignore[arg-type]  # A class can be hashed.
    return found[0] if found else None


@cache
def _locking(kind: type[Aggregate]) -> Statement:
    columns = columns_of(kind)
    (own,) = (column for column in columns if column.name == "id")
    return Statement(select(*columns).where(own == bindparam("id", type_=Uuid)).with_for_update())
