"""Locking one aggregate, whatever was read of it before."""

from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.kernel import Aggregate

A = TypeVar("A", bound=Aggregate)


async def lock(session: AsyncSession, kind: type[A], id_: UUID) -> A | None:
    """Give an aggregate as it is when the lock is ours: somebody else may have changed it since it was read.

    `Session.get` would refuse an object that has become stale, instead of reading it again.
    """
    wanted = select(kind).filter_by(id=id_).with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(wanted)).one_or_none()
