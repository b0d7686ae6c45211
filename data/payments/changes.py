"""Payments, refunds, disputes, holds and kept methods, for change."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, Uuid, and_, bindparam, exists, func, insert, select, true
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import TENANT, selected
from data.kernel import implements
from data.loading import columns_of, loaded
from data.payments.locking import lock
from data.payments.tables import (
    dispute,
    escrow_hold,
    payment,
    policy,
    provider_credential,
    refund,
    refund_return,
)
from data.statements import Statement
from domain.kernel import uuid7
from domain.payments import (
    Dispute,
    Disputes,
    DisputeState,
    EscrowHold,
    EscrowHolds,
    FraudFacts,
    FraudReads,
    FraudRequest,
    MethodKind,
    Payment,
    PaymentPolicy,
    Payments,
    PaymentState,
    PayoutSchedule,
    Policies,
    ProviderCredential,
    ProviderCredentials,
    Refund,
    RefundReturn,
    Refunds,
    SavedMethod,
    SavedMethods,
)

_PAYMENT = Statement(select(*columns_of(Payment)).where(payment.c.id == bindparam("id", type_=Uuid)))
_POLICY = [column.name for column in policy.c if column.name not in {"created_at", "updated_at"}]


@implements(Payments)
class SqlPayments:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, added: Payment) -> None:
        self._session.add(added)

    async def get(self, payment_id: UUID) -> Payment | None:
        found = await loaded(self._session, Payment, _PAYMENT, id=payment_id)
        return found[0] if found else None

    async def lock(self, payment_id: UUID) -> Payment | None:
        return await lock(self._session, Payment, payment_id)

    async def by_order(self, order_id: UUID) -> Sequence[Payment]:
        wanted = select(Payment).filter_by(order_id=order_id).order_by(payment.c.id).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def by_reference(self, provider: str, reference: str) -> Payment | None:
        wanted = select(Payment).filter_by(provider=provider, reference=reference).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def waiting(self, since: datetime, until: datetime) -> Sequence[Payment]:
        wanted = select(Payment).where(
            payment.c.state == PaymentState.PENDING,
            payment.c.method_kind.in_([MethodKind.CARD, MethodKind.WALLET]),
            payment.c.opened_at >= since,
            payment.c.opened_at < until,
        )
        return (await self._session.scalars(wanted.order_by(payment.c.id).with_for_update(skip_locked=True))).all()


@implements(Refunds)
class SqlRefunds:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, added: Refund) -> None:
        self._session.add(added)

    async def keep_return(self, came_back: RefundReturn) -> None:
        values = {
            name: getattr(came_back, name)
            for name in ("refund_id", "attempt", "provider", "reference", "sent_at", "returned_at")
        }
        money = {"amount_minor": came_back.amount.amount_minor, "currency": came_back.amount.currency}
        owned = {"id": uuid7(), "tenant_id": self._session.info[TENANT]}
        await self._session.execute(insert(refund_return).values(owned | values | money))

    async def find(self, refund_id: UUID) -> Refund | None:
        return await self._session.get(Refund, refund_id)

    async def payment_of(self, refund_id: UUID) -> UUID | None:
        return await self._session.scalar(select(refund.c.payment_id).where(refund.c.id == refund_id))

    async def lock(self, refund_id: UUID) -> Refund | None:
        return await lock(self._session, Refund, refund_id)


@implements(Disputes)
class SqlDisputes:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, added: Dispute) -> None:
        self._session.add(added)

    async def payment_of(self, dispute_id: UUID) -> UUID | None:
        return await self._session.scalar(select(dispute.c.payment_id).where(dispute.c.id == dispute_id))

    async def by_reference(self, provider: str, reference: str) -> Dispute | None:
        wanted = select(Dispute).filter_by(provider=provider, reference=reference).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def lock(self, dispute_id: UUID) -> Dispute | None:
        return await lock(self._session, Dispute, dispute_id)

    async def are_open(self, payment_id: UUID, but: UUID | None = None) -> bool:
        others = and_(
            dispute.c.payment_id == payment_id,
            dispute.c.id.is_distinct_from(but),
            dispute.c.state.in_([DisputeState.OPENED, DisputeState.EVIDENCE]),
        )
        return bool(await self._session.scalar(select(exists().where(others))))


@implements(EscrowHolds)
class SqlEscrowHolds:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, *holds: EscrowHold) -> None:
        self._session.add_all(holds)

    async def of_order(self, order_id: UUID) -> Sequence[EscrowHold]:
        return await self._locked(select(EscrowHold).filter_by(order_id=order_id))

    async def of_payment(self, payment_id: UUID) -> Sequence[EscrowHold]:
        return await self._locked(select(EscrowHold).filter_by(payment_id=payment_id))

    async def _locked(self, wanted: Any) -> Sequence[EscrowHold]:
        return (await self._session.scalars(wanted.order_by(escrow_hold.c.id).with_for_update())).all()


@implements(SavedMethods)
class SqlSavedMethods:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_user(self, user_id: UUID) -> Sequence[SavedMethod]:
        wanted = select(SavedMethod).filter_by(user_id=user_id).with_for_update()
        return sorted((await self._session.scalars(wanted)).all(), key=lambda method: method.id)

    def add(self, method: SavedMethod) -> None:
        self._session.add(method)

    async def remove(self, method: SavedMethod) -> None:
        await self._session.delete(method)


@implements(ProviderCredentials)
class SqlProviderCredentials:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_provider(self, provider: str) -> ProviderCredential | None:
        wanted = select(ProviderCredential).filter_by(provider=provider).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def all(self) -> Sequence[ProviderCredential]:
        wanted = select(ProviderCredential).order_by(provider_credential.c.provider).with_for_update()
        return (await self._session.scalars(wanted)).all()

    def add(self, credential: ProviderCredential) -> None:
        self._session.add(credential)


@implements(Policies)
class SqlPolicies:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def current(self, tenant_id: UUID) -> PaymentPolicy:
        found = (await self._session.scalars(select(PaymentPolicy))).one_or_none()
        return found or PaymentPolicy(id=tenant_id, tenant_id=tenant_id)

    async def lock_or_create(self, tenant_id: UUID) -> PaymentPolicy:
        # Its events are its own: under the id of the tenant they would continue the events of the tenant itself.
        blank = PaymentPolicy(tenant_id=tenant_id)
        values = {name: getattr(blank, name) for name in _POLICY}
        await self._session.execute(upsert(policy).values(values).on_conflict_do_nothing())
        return (await self._session.scalars(select(PaymentPolicy).with_for_update())).one()


def _fraud_facts() -> Select[Any]:
    table, hour, day = payment.c, bindparam("hour", type_=_INSTANT), bindparam("day", type_=_INSTANT)
    paid = table.captured_at.is_not(None)
    disputed = exists().where(dispute.c.payment_id == table.id)
    user = (
        select(
            func.count().filter(table.opened_at > hour).label("user_payments_hour"),
            func.count().filter(table.opened_at > day).label("user_payments_day"),
            func.count().filter(table.opened_at > day, table.state == PaymentState.FAILED).label("user_failures_day"),
            func.count().filter(paid).label("user_paid_count"),
            func.avg(table.amount_minor)
            .filter(paid, table.currency == bindparam("currency", type_=Text))
            .label("user_average_minor"),
            func.count().filter(disputed).label("user_disputes"),
        )
        .where(table.user_id == bindparam("user_id", type_=Uuid))
        .subquery()
    )
    card = (
        select(
            func.count().filter(table.opened_at > hour).label("card_payments_hour"),
            func.count().filter(table.opened_at > hour, table.state == PaymentState.FAILED).label("card_failures_hour"),
            func.count(table.user_id.distinct()).label("card_users"),
        )
        .where(table.fingerprint == bindparam("fingerprint", type_=table.fingerprint.type))
        .subquery()
    )
    rules = select(*(policy.c[name].label(f"policy_{name}") for name in _POLICY)).subquery()
    return select(user, card, rules).select_from(user.join(card, true()).outerjoin(rules, true()))


_INSTANT = payment.c.opened_at.type
_FRAUD = Statement(_fraud_facts())


@implements(FraudReads)
class SqlFraudReads:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def gather(self, request: FraudRequest) -> tuple[FraudFacts, PaymentPolicy | None]:
        (row,) = await selected(
            self._session,
            _FRAUD,
            user_id=request.user_id,
            currency=request.amount.currency,
            fingerprint=request.method.fingerprint,
            hour=request.at - timedelta(hours=1),
            day=request.at - timedelta(days=1),
        )
        facts = FraudFacts(**{name: int(row[name] or 0) for name in FraudFacts.__dataclass_fields__})
        if row["policy_id"] is None:
            return facts, None
        told = {name: row[f"policy_{name}"] for name in _POLICY}
        known = {
            "payout_schedule": PayoutSchedule(told["payout_schedule"]),
            "inactive_providers": tuple(told["inactive_providers"]),
            "own_accounts": tuple(told["own_accounts"]),
        }
        return facts, PaymentPolicy(**told | known)
