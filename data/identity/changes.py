"""Users, sessions, roles and the guard at the door, for change."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    case,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.identity.tables import (
    login_attempt,
    login_guard,
    refresh_token,
    role,
    role_assignment,
    session,
    user,
)
from data.kernel import (
    implements,
)
from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.contacts import Contact, Contacts
from domain.identity.guarding import Count, LoginGuard
from domain.identity.roles import RoleDefinition, Roles
from domain.identity.sessions import RefreshToken, Session, SessionEnding, Sessions
from domain.identity.users import Credentials, User, Users, UserStatus
from domain.kernel import NotFound, Work


@implements(Users)
class SqlUsers:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, user_id: UUID) -> User:
        wanted = select(User).where(user.c.id == user_id).with_for_update()
        found = (await self._session.scalars(wanted)).one_or_none()
        if found is None:
            raise NotFound(kind="User", id=str(user_id))
        return found

    async def claim_email(self, email: str) -> UUID | None:
        tenant = func.current_setting("app.tenant_id")
        key = func.hashtextextended(func.concat("identity.email:", tenant, ":", email), 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))
        owner: UUID | None = await self._session.scalar(select(user.c.id).where(user.c.email == email))
        return owner

    async def credentials(self, email: str) -> Credentials | None:
        verified = user.c.email_verified_at.is_not(None).label("is_verified")
        wanted = select(user.c.id.label("user_id"), user.c.email, user.c.password_hash, verified)
        row = (await self._session.execute(wanted.where(user.c.email == email))).mappings().one_or_none()
        return None if row is None else Credentials(**row)

    async def holding(self, roles: Collection[str], store_id: UUID | None = None) -> Sequence[UUID]:
        wanted = select(role_assignment.c.user_id).where(role_assignment.c.role.in_(roles)).distinct()
        if store_id is not None:
            wanted = wanted.where(role_assignment.c.store_id == store_id)
        return (await self._session.scalars(wanted.order_by(role_assignment.c.user_id))).all()

    def add(self, user: User) -> None:
        self._session.add(user)


@implements(Contacts)
class SqlContacts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, user_ids: Collection[UUID]) -> Mapping[UUID, Contact]:
        name = func.coalesce(user.c.first_name, user.c.display_name).label("name")
        wanted = select(user.c.id.label("user_id"), name, user.c.email, user.c.phone, user.c.locale).where(
            user.c.id == func.any(list(user_ids)), user.c.status != UserStatus.DEACTIVATED
        )
        rows = (await self._session.execute(wanted)).mappings()
        return {row["user_id"]: Contact(**row) for row in rows}

    async def working_at(self, store_id: UUID, roles: Collection[str]) -> list[UUID]:
        held = role_assignment.c
        wanted = select(held.user_id).where(held.store_id == store_id, held.role == func.any(list(roles)))
        return list(await self._session.scalars(wanted.distinct().order_by(held.user_id)))


@implements(Sessions)
class SqlSessions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, session_id: UUID) -> Session | None:
        wanted = select(Session).where(session.c.id == session_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def by_token(self, token_hash: bytes) -> tuple[Session, RefreshToken] | None:
        # Both rows are locked: of two uses of one token at once, the second waits and then sees the first.
        wanted = (
            select(Session, RefreshToken)
            .join(RefreshToken, refresh_token.c.session_id == session.c.id)
            .where(refresh_token.c.token_hash == token_hash)
            .with_for_update()
        )
        row = (await self._session.execute(wanted)).one_or_none()
        return None if row is None else (row[0], row[1])

    def add(self, session: Session) -> None:
        self._session.add(session)

    def keep(self, token: RefreshToken) -> None:
        self._session.add(token)

    async def end_all(
        self, user_id: UUID, reason: SessionEnding, now: datetime, *, but: UUID | None = None
    ) -> Sequence[UUID]:
        mine = (session.c.user_id == user_id) & session.c.revoked_at.is_(None)
        others = mine if but is None else mine & (session.c.id != but)
        ended = update(session).where(others).values(revoked_at=now, revoked_reason=reason).returning(session.c.id)
        return (await self._session.scalars(ended)).all()


@implements(LoginLog)
class SqlLoginLog:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, attempt: LoginAttempt) -> None:
        self._session.add(attempt)

    async def is_unfamiliar(self, user_id: UUID, address: str) -> bool:
        there = func.bool_or(login_attempt.c.address == address)
        wanted = select(there).where(login_attempt.c.user_id == user_id, login_attempt.c.succeeded)
        # Without any earlier log-in nothing is known, and nothing is unfamiliar.
        return (await self._session.scalar(wanted)) is False


@implements(LoginGuard)
class SqlLoginGuard:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self, subject: str, limit: int, lock: timedelta, now: datetime) -> Count:
        blank = {
            "tenant_id": func.platform.tenant_id(),
            "subject": subject,
            "failures": 1,
            "counted_until": now + lock,
            "locked_until": now + lock if limit <= 1 else None,
        }
        over = login_guard.c.counted_until <= now
        failures = case((over, 1), else_=login_guard.c.failures + 1)
        end = case((over | (failures == limit), now + lock), else_=login_guard.c.counted_until)
        counted = upsert(login_guard).values(blank)
        counted = counted.on_conflict_do_update(
            index_elements=["tenant_id", "subject"],
            set_={
                "failures": failures,
                # A lock lasts its whole length from the failure that brought it, however early that one came.
                "counted_until": end,
                "locked_until": case((failures == limit, now + lock), (failures > limit, login_guard.c.locked_until)),
            },
        )
        row = (await self._session.execute(counted.returning(login_guard.c.failures, login_guard.c.locked_until))).one()
        return Count(failures=row.failures, locked_until=row.locked_until)

    async def peek(self, subject: str, now: datetime) -> Count:
        found = await self._session.execute(
            select(login_guard.c.failures, login_guard.c.locked_until).where(
                login_guard.c.subject == subject, login_guard.c.counted_until > now
            )
        )
        row = found.one_or_none()
        return Count(failures=0, locked_until=None) if row is None else Count(**row._mapping)  # noqa: SLF001 — SQLAlchemy's public name.

    async def clear(self, subject: str) -> None:
        await self._session.execute(
            delete(login_guard).where(login_guard.c.subject.startswith(subject, autoescape=True))
        )


@implements(Roles)
class SqlRoles:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, name: str) -> RoleDefinition | None:
        return (await self._session.scalars(select(RoleDefinition).where(role.c.name == name))).one_or_none()

    async def permissions_of(self, names: Collection[str]) -> Mapping[str, Collection[str]]:
        wanted = select(role.c.name, role.c.permissions).where(role.c.name == func.any(list(names)))
        return {row.name: row.permissions for row in await self._session.execute(wanted)}

    async def conditions_of(self, names: Collection[str]) -> Sequence[tuple[str, str]]:
        wanted = select(role.c.conditions).where(role.c.name == func.any(list(names)))
        return [pair for found in await self._session.scalars(wanted) for pair in found.items()]

    async def is_assigned(self, name: str) -> bool:
        held = select(exists().where(role_assignment.c.role == name))
        return bool(await self._session.scalar(held))

    async def outdate_tokens_of_holders(self, name: str, work: Work) -> None:
        holders = select(role_assignment.c.user_id).where(role_assignment.c.role == name)
        await self._session.execute(update(user).where(user.c.id.in_(holders)).values(tokens_valid_from=work.now))

    def add(self, role: RoleDefinition) -> None:
        self._session.add(role)

    async def remove(self, role: RoleDefinition) -> None:
        await self._session.delete(role)
