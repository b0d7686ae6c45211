"""Payouts and reconciliation, for change."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, and_, func, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from data.payments.locking import lock
from data.payments.tables import entry, payment, payout, payout_account, refund, refund_return, settlement
from domain.money import Money
from domain.payments import (
    AccountKind,
    Discrepancy,
    Movement,
    MovementKind,
    Payout,
    PayoutAccount,
    PayoutAccounts,
    Payouts,
    PayoutState,
    ReconciliationRun,
    Reconciliations,
    RefundState,
    Settlement,
    Settlements,
)


@implements(PayoutAccounts)
class SqlPayoutAccounts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, account: PayoutAccount) -> None:
        self._session.add(account)

    async def of_seller(self, seller_id: UUID, currency: str) -> PayoutAccount | None:
        wanted = select(PayoutAccount).filter_by(seller_id=seller_id, currency=currency).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def with_earnings(self, minimum_minor: int, limit: int) -> Sequence[PayoutAccount]:
        name = func.concat(f"{AccountKind.SELLER_PAYABLE}:", payout_account.c.seller_id)
        owed = (
            select(-func.sum(entry.c.amount_minor))
            .where(entry.c.account == name, entry.c.currency == payout_account.c.currency)
            .scalar_subquery()
        )
        wanted = select(PayoutAccount).where(payout_account.c.is_active, owed >= minimum_minor)
        ordered = wanted.order_by(payout_account.c.id).limit(limit).with_for_update(skip_locked=True)
        return (await self._session.scalars(ordered)).all()


@implements(Payouts)
class SqlPayouts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, *payouts: Payout) -> None:
        self._session.add_all(payouts)

    async def lock(self, payout_id: UUID) -> Payout | None:
        return await lock(self._session, Payout, payout_id)

    async def due(self, day: date, limit: int) -> Sequence[Payout]:
        waiting = (PayoutState.SCHEDULED, PayoutState.PROCESSING)
        wanted = select(Payout).where(payout.c.state.in_(waiting), payout.c.scheduled_for <= day)
        ordered = wanted.order_by(payout.c.scheduled_for, payout.c.id).limit(limit)
        return (await self._session.scalars(ordered.with_for_update(skip_locked=True))).all()


@implements(Reconciliations)
class SqlReconciliations:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def booked(self, provider: str, since: datetime, until: datetime) -> list[Movement]:
        return await self._movements(provider, lambda _reference, at: and_(at >= since, at < until))

    async def known(self, provider: str, references: Sequence[str]) -> list[Movement]:
        wanted = literal(list(references), ARRAY(Text))
        return await self._movements(provider, lambda reference, _at: reference == func.any(wanted))

    async def by_digest(self, provider: str, digest: str) -> ReconciliationRun | None:
        wanted = select(ReconciliationRun).filter_by(provider=provider, digest=digest)
        return (await self._session.scalars(wanted)).one_or_none()

    def add(self, run: ReconciliationRun, discrepancies: Sequence[Discrepancy]) -> None:
        self._session.add(run)
        self._session.add_all(discrepancies)

    async def lock(self, discrepancy_id: UUID) -> Discrepancy | None:
        return await lock(self._session, Discrepancy, discrepancy_id)

    async def _movements(self, provider: str, where: Any) -> list[Movement]:
        kinds, none, back = MovementKind, literal(0), refund_return
        sides = (
            (kinds.CHARGE, payment, payment.c.captured_at, payment.c.fee_minor),
            (kinds.REFUND, refund, refund.c.settled_at, none),
            # What came back was sent all the same, on a day that may be settled.
            (kinds.REFUND, back, back.c.sent_at, none),
            (kinds.REFUND_RETURNED, back, back.c.returned_at, none),
            (kinds.PAYOUT, payout, payout.c.paid_at, payout.c.fee_minor),
        )
        wanted = union_all(
            *(
                _side(kind, table, at, fee).where(
                    table.c.provider == provider, at.is_not(None), where(table.c.reference, at), _moved(table)
                )
                for kind, table, at, fee in sides
            )
        )
        return [
            Movement(
                MovementKind(row.kind),
                row.reference,
                Money(row.amount_minor, row.currency),
                Money(row.fee_minor, row.currency),
                row.at,
            )
            for row in await self._session.execute(wanted)
        ]


@implements(Settlements)
class SqlSettlements:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, *settlements: Settlement) -> None:
        self._session.add_all(settlements)

    async def of_day(self, provider: str, day: date) -> Sequence[Settlement]:
        wanted = select(Settlement).filter_by(provider=provider, day=day).order_by(settlement.c.currency)
        return (await self._session.scalars(wanted)).all()

    async def lock(self, settlement_id: UUID) -> Settlement | None:
        return await lock(self._session, Settlement, settlement_id)


def _moved(table: Any) -> ColumnElement[bool]:
    return table.c.state == RefundState.COMPLETED if table is refund else true()


def _side(kind: MovementKind, table: Any, at: Any, fee: ColumnElement[int]) -> Select[Any]:
    return select(
        literal(str(kind)).label("kind"),
        table.c.reference,
        table.c.amount_minor,
        table.c.currency,
        fee.label("fee_minor"),
        at.label("at"),
    ).where(table.c.reference.is_not(None))
