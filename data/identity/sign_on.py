"""Signing in by providers, in PostgreSQL: external identities, tenants' own providers, and ways round that were begun."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.identity.tables import CONTEXT, of_user
from data.kernel import (
    implements,
    json_column,
    map_aggregate,
    mapping,
    refuses,
    tenant_table,
    timestamp,
)
from data.statements import Statement
from domain.identity.external import ExternalIdentities, ExternalIdentity, ExternalIdentityReads
from domain.identity.identity_providers import SocialLoginRefused
from domain.identity.single_sign_on import SingleSignOn, SingleSignOnReads, SingleSignOns
from domain.identity.social_login import SocialLogin, SocialLoginReads, SocialLogins
from domain.kernel import AlreadyExists

external_identity = tenant_table(
    CONTEXT,
    "external_identity",
    *of_user(),
    Column("provider", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("email", Text),
    Column("granted_roles", ARRAY(Text), nullable=False),
    timestamp("linked_at"),
    timestamp("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "provider", "subject"),
    Index("ix_external_identity_user_id", "user_id"),
)

single_sign_on = tenant_table(
    CONTEXT,
    "single_sign_on",
    Column("provider", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("domains", ARRAY(Text), nullable=False),
    Column("groups_claim", Text),
    json_column("roles", default="[]"),
    Column("is_enforced", Boolean, nullable=False),
    Column("redirect_uris", ARRAY(Text), nullable=False),
    Column("ceiling", ARRAY(Text), nullable=False),
    Column("configured_by", Uuid),
    timestamp("changed_at"),
    timestamp("proved_at", nullable=True),
    UniqueConstraint("tenant_id", "provider"),
)

social_login = tenant_table(
    CONTEXT,
    "social_login",
    Column("provider", Text, nullable=False),
    Column("state_hash", LargeBinary, nullable=False),
    Column("binding_hash", LargeBinary, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("user_id", Uuid),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("proof", LargeBinary),
    timestamp("expires_at"),
    timestamp("used_at", nullable=True),
    UniqueConstraint("state_hash"),
    # One bot speaks to all tenants, and what it has signed is good in one of them, once.
    UniqueConstraint("proof"),
    Index("ix_social_login_expires_at", "expires_at"),
    root=False,
)

map_aggregate(ExternalIdentity, external_identity)
map_aggregate(SingleSignOn, single_sign_on)
mapping.map_imperatively(SocialLogin, social_login)
refuses("uq_external_identity_tenant_id_provider_subject", lambda _: AlreadyExists(kind="ExternalIdentity", value=""))
refuses("uq_single_sign_on_tenant_id_provider", lambda _: AlreadyExists(kind="SingleSignOn", value=""))
refuses("uq_social_login_proof", lambda _: SocialLoginRefused())


@implements(ExternalIdentities)
class SqlExternalIdentities:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, provider: str, subject: str) -> ExternalIdentity | None:
        tenant = func.current_setting("app.tenant_id")
        name = func.concat("identity.subject:", tenant, ":", provider, ":", subject)
        await self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
        wanted = select(ExternalIdentity).filter_by(provider=provider, subject=subject).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def of_user(self, user_id: UUID) -> Sequence[ExternalIdentity]:
        wanted = select(ExternalIdentity).filter_by(user_id=user_id).order_by(external_identity.c.id)
        return (await self._session.scalars(wanted)).all()

    def add(self, identity: ExternalIdentity) -> None:
        self._session.add(identity)

    async def remove(self, identity: ExternalIdentity) -> None:
        await self._session.delete(identity)


@implements(SingleSignOns)
class SqlSingleSignOns:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_provider(self, provider: str) -> SingleSignOn | None:
        wanted = select(SingleSignOn).filter_by(provider=provider).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def all(self) -> Sequence[SingleSignOn]:
        wanted = select(SingleSignOn).order_by(single_sign_on.c.provider).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def enforcing(self, domain: str) -> Sequence[SingleSignOn]:
        wanted = select(SingleSignOn).where(
            single_sign_on.c.is_enforced, func.array_position(single_sign_on.c.domains, domain).is_not(None)
        )
        return (await self._session.scalars(wanted.order_by(single_sign_on.c.provider))).all()

    def add(self, connection: SingleSignOn) -> None:
        self._session.add(connection)

    async def remove(self, connection: SingleSignOn) -> None:
        gone = external_identity.c.provider == connection.provider
        await self._session.execute(delete(external_identity).where(gone))
        await self._session.delete(connection)


@implements(SocialLogins)
class SqlSocialLogins:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def by_state(self, state_hash: bytes) -> SocialLogin | None:
        wanted = select(SocialLogin).where(social_login.c.state_hash == state_hash).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def get(self, login_id: UUID) -> SocialLogin | None:
        wanted = select(SocialLogin).where(social_login.c.id == login_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    def add(self, login: SocialLogin) -> None:
        self._session.add(login)


_OF_USERS = Statement(
    select(external_identity)
    .where(external_identity.c.user_id == func.any(bindparam("keys", type_=ARRAY(Uuid))))
    .order_by(external_identity.c.id)
)
_UNTOLD = {"sealed", "ceiling"}
_LISTED = Statement(
    select(*(each for each in single_sign_on.c if each.name not in _UNTOLD)).order_by(single_sign_on.c.provider)
)
_BY_STATE = Statement(
    select(social_login.c.tenant_id, social_login.c.provider, social_login.c.redirect_uri, social_login.c.expires_at)
    .where(social_login.c.state_hash == bindparam("state_hash", type_=LargeBinary), social_login.c.used_at.is_(None))
)  # fmt: skip


@implements(ExternalIdentityReads)
class SqlExternalIdentityReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_users(self, user_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_OF_USERS, user_ids, "user_id")


@implements(SingleSignOnReads)
class SqlSingleSignOnReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def listed(self) -> list[Any]:
        return await self._reads.rows(_LISTED)


@implements(SocialLoginReads)
class SqlSocialLoginReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_state(self, state_hash: bytes) -> Any | None:
        return await self._reads.row(_BY_STATE, state_hash=state_hash)
