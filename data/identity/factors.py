"""Second factors, one-time codes and what tenants ask for, for change; and passkeys for lists."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Uuid

from data.database import Reads
from data.identity.factor_tables import authenticator, challenge, one_time_code, passkey, recovery_code, sign_in_policy
from data.identity.tables import role_assignment, user
from data.kernel import implements
from data.statements import Statement
from domain.identity.codes import OneTimeCode, OneTimeCodes, OtpPurpose
from domain.identity.factors import Authenticator, Challenge, ChallengePurpose, Enrolled, FactorReads, Factors
from domain.identity.passkeys import Passkey
from domain.identity.sign_in_policy import SignInPolicies, SignInPolicy, SignInPolicyReads
from domain.kernel import Work


@implements(Factors)
class SqlFactors:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enrolled(self, user_id: UUID) -> Enrolled:
        mine = (authenticator.c.user_id == user_id) & authenticator.c.confirmed_at.is_not(None)
        left = (
            select(func.count())
            .select_from(recovery_code.join(authenticator))
            .where(mine, recovery_code.c.used_at.is_(None))
            .scalar_subquery()
        )
        keys = select(func.array_agg(passkey.c.credential_id)).where(passkey.c.user_id == user_id).scalar_subquery()
        row = (
            await self._session.execute(
                select(exists().where(mine).label("totp"), left.label("left"), keys.label("keys"))
            )
        ).one()
        return Enrolled(totp=row.totp, recovery_codes=row.left, passkeys=tuple(row.keys or ()))

    async def authenticator(self, user_id: UUID) -> Authenticator | None:
        wanted = select(Authenticator).where(authenticator.c.user_id == user_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def challenge(self, token_hash: bytes, purpose: ChallengePurpose, now: datetime) -> Challenge | None:
        wanted = select(Challenge).where(
            challenge.c.token_hash == token_hash, challenge.c.purpose == purpose, challenge.c.expires_at > now
        )
        return (await self._session.scalars(wanted.with_for_update())).one_or_none()

    def add(self, factor: Authenticator | Passkey | Challenge) -> None:
        self._session.add(factor)

    async def remove(self, factor: Authenticator | Passkey | Challenge) -> None:
        await self._session.delete(factor)
        # One authenticator may take the place of another in the same transaction.
        await self._session.flush()

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        wanted = select(Passkey).where(passkey.c.credential_id == credential_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def own_passkey(self, user_id: UUID, passkey_id: UUID) -> Passkey | None:
        mine = (passkey.c.id == passkey_id) & (passkey.c.user_id == user_id)
        return (await self._session.scalars(select(Passkey).where(mine).with_for_update())).one_or_none()

    async def forget_all(self, user_id: UUID) -> None:
        for table in (authenticator, passkey, challenge):
            await self._session.execute(delete(table).where(table.c.user_id == user_id))


@implements(OneTimeCodes)
class SqlOneTimeCodes:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, account: str, purpose: OtpPurpose) -> OneTimeCode | None:
        return await self._one((one_time_code.c.account == account) & (one_time_code.c.purpose == purpose))

    async def get(self, code_id: UUID) -> OneTimeCode | None:
        return await self._one(one_time_code.c.id == code_id)

    async def by_digest(self, digest: bytes) -> OneTimeCode | None:
        return await self._one(one_time_code.c.digest == digest)

    async def replace(self, code: OneTimeCode) -> None:
        # Neither of two who ask at once finds a row to wait for, so they wait for each other here.
        key = func.hashtextextended(
            func.concat("identity.code:", str(code.tenant_id), code.account, str(code.purpose)), 0
        )
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))
        same = (one_time_code.c.account == code.account) & (one_time_code.c.purpose == code.purpose)
        await self._session.execute(delete(one_time_code).where(same))
        self._session.add(code)

    async def remove(self, code: OneTimeCode) -> None:
        await self._session.delete(code)

    async def _one(self, which: Any) -> OneTimeCode | None:
        return (await self._session.scalars(select(OneTimeCode).where(which).with_for_update())).one_or_none()


@implements(SignInPolicies)
class SqlSignInPolicies:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def current(self, tenant_id: UUID) -> SignInPolicy | None:
        return (
            await self._session.scalars(select(SignInPolicy).where(sign_in_policy.c.tenant_id == tenant_id))
        ).one_or_none()

    def add(self, policy: SignInPolicy) -> None:
        self._session.add(policy)

    async def outdate_tokens(self, roles: Collection[str], work: Work) -> None:
        holders = select(role_assignment.c.user_id).where(role_assignment.c.role.in_(roles))
        await self._session.execute(update(user).where(user.c.id.in_(holders)).values(tokens_valid_from=work.now))


_KEYS = bindparam("keys", type_=ARRAY(Uuid))
_PASSKEYS = Statement(
    select(
        passkey.c.id,
        passkey.c.user_id,
        passkey.c.rp_id,
        passkey.c.name,
        passkey.c.transports,
        passkey.c.backed_up,
        passkey.c.created_at,
        passkey.c.last_used_at,
    )
    .where(passkey.c.user_id == func.any(_KEYS))
    .order_by(passkey.c.id)
)
_CODES_LEFT = Statement(
    select(
        authenticator.c.user_id,
        authenticator.c.confirmed_at,
        select(func.count())
        .where(recovery_code.c.authenticator_id == authenticator.c.id, recovery_code.c.used_at.is_(None))
        .scalar_subquery()
        .label("recovery_codes_left"),
    ).where(authenticator.c.user_id == func.any(_KEYS), authenticator.c.confirmed_at.is_not(None))
)
_POLICY = Statement(select(sign_in_policy.c.confirm_email, sign_in_policy.c.second_factor_roles))


@implements(FactorReads)
class SqlFactorReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def passkeys(self, user_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_PASSKEYS, user_ids, "user_id")

    async def authenticators(self, user_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_CODES_LEFT, user_ids, "user_id")


@implements(SignInPolicyReads)
class SqlSignInPolicyReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def current(self) -> Any | None:
        rows = await self._reads.rows(_POLICY)
        return rows[0] if rows else None
