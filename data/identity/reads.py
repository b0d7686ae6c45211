"""Batch reads of users, their belongings and roles."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    Text,
    Uuid,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.identity.tables import address, login_attempt, login_guard, role, role_assignment, session, user
from data.kernel import (
    implements,
)
from data.paging import Listing, equals
from data.statements import Statement
from domain.identity.roles import RoleReads
from domain.identity.sessions import RevocationReads, Revocations
from domain.identity.users import User, UserFilter, UserReads
from domain.paging import Page, PageRequest

_KEYS = bindparam("keys", type_=ARRAY(Uuid))
_NOW = bindparam("now", type_=DateTime(timezone=True))
_PUBLIC_COLUMNS = [column for column in user.c if column.name != "password_hash"]
_user = select(*_PUBLIC_COLUMNS)
_BY_ID = Statement(_user.where(user.c.id == func.any(_KEYS)))
_ADDRESSES = Statement(
    select(address)
    .where(address.c.user_id == func.any(_KEYS))
    .order_by(address.c.address_type, address.c.is_default.desc(), address.c.id)
)
_ASSIGNMENTS = Statement(
    select(role_assignment).where(role_assignment.c.user_id == func.any(_KEYS)).order_by(role_assignment.c.id)
)
_SESSIONS = Statement(
    select(session)
    .where(session.c.user_id == func.any(_KEYS), session.c.revoked_at.is_(None), session.c.expires_at > _NOW)
    .order_by(session.c.last_seen_at.desc(), session.c.id)
)
# A subject begins with the account that it is about: 64 hexadecimal digits after its kind.
_ACCOUNT = func.left(login_guard.c.subject, len("account:") + 64)
_LOCKS = Statement(
    select(_ACCOUNT.label("subject"), func.max(login_guard.c.locked_until).label("locked_until"))
    .where(_ACCOUNT.bool_op("=")(func.any(bindparam("keys", type_=ARRAY(Text)))), login_guard.c.locked_until > _NOW)
    .group_by(_ACCOUNT)
)
_DEFINED_ROLES = Statement(select(role).order_by(role.c.name))
_TEXTS = (user.c.email, user.c.display_name, user.c.first_name, user.c.last_name)
_holds = exists().where(role_assignment.c.user_id == user.c.id)
_role, _store_id = role_assignment.c.role == bindparam("role"), role_assignment.c.store_id == bindparam("store_id")
_USERS = Listing(
    _user,
    [user.c.id.desc()],
    text=or_(*(func.strpos(func.lower(each), func.lower(bindparam("text", type_=Text))) > 0 for each in _TEXTS)),
    **equals(user.c.status),
    role=_holds.where(_role),
    store_id=_holds.where(_store_id),
    role_in_store=_holds.where(_role, _store_id),
)
_LOGINS = Listing(
    select(login_attempt).where(login_attempt.c.user_id == bindparam("user_id")), [login_attempt.c.id.desc()]
)


@implements(UserReads)
class SqlUserReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def matching(self, wanted: UserFilter, page: PageRequest) -> Page[Any]:
        role = None if wanted.role == User.BASE_ROLE else wanted.role
        held = {"role_in_store": True} if role is not None and wanted.store_id is not None else {}
        return await _USERS.page(
            self._reads,
            page,
            text=wanted.text or None,
            status=wanted.status,
            role=role,
            store_id=wanted.store_id,
            **held,
        )

    async def addresses(self, user_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ADDRESSES, user_ids, "user_id")

    async def assignments(self, user_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ASSIGNMENTS, user_ids, "user_id")

    async def sessions(self, user_ids: Sequence[UUID], now: datetime) -> list[list[Any]]:
        return await self._reads.grouped(_SESSIONS, user_ids, "user_id", now=now)

    async def login_log(self, user_id: UUID, page: PageRequest) -> Page[Any]:
        return await _LOGINS.page(self._reads, page, user_id=user_id)

    async def locked_until(self, subjects: Sequence[str], now: datetime) -> list[datetime | None]:
        rows = await self._reads.by_key(_LOCKS, subjects, "subject", now=now)
        return [None if row is None else row.locked_until for row in rows]


@implements(RoleReads)
class SqlRoleReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def defined(self) -> list[Any]:
        return await self._reads.rows(_DEFINED_ROLES)


_SINCE = bindparam("since", type_=DateTime(timezone=True))
_ENDED = Statement(select(session.c.id).where(session.c.revoked_at > _SINCE))
_OUTDATED = Statement(select(user.c.id, user.c.tokens_valid_from).where(user.c.tokens_valid_from > _SINCE))


@implements(RevocationReads)
class SqlRevocationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def since(self, moment: datetime) -> Revocations:
        ended = await self._reads.rows(_ENDED, since=moment)
        outdated = await self._reads.rows(_OUTDATED, since=moment)
        return Revocations(
            sessions=frozenset(row.id for row in ended),
            users={row.id: row.tokens_valid_from for row in outdated},
        )
