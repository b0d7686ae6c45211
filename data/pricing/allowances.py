"""Counting what orders use: one statement takes everything, one gives it back, and rows are locked in the order of ids."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import CHANGED
from data.kernel import implements
from domain.kernel import DomainError, InvalidStateTransition
from domain.pricing import (
    Allowances,
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    FlashSaleSoldOut,
    InsufficientPoints,
    PromotionExhausted,
    Redemption,
    Use,
    UseKind,
)

# Only what has a limit is counted in its row: a promotion for everybody does not put all buyers in one line.
_TAKE = text("""
WITH wanted AS (
  SELECT * FROM unnest(:ids, :kinds, :quantities, :amounts, :currencies)
    AS wanted (id, kind, quantity, amount_minor, currency)
), known AS (
  SELECT subject_id, returned_at FROM pricing.discount_use WHERE order_id = :order_id
), fresh AS (
  SELECT wanted.* FROM wanted WHERE NOT EXISTS (SELECT FROM known WHERE subject_id = wanted.id)
), locked AS (
  SELECT allowance.id, fresh.quantity FROM pricing.allowance JOIN fresh USING (id)
  WHERE usage_limit IS NOT NULL ORDER BY allowance.id FOR UPDATE OF allowance
), counted AS (
  UPDATE pricing.allowance SET used = used + quantity FROM locked
  WHERE allowance.id = locked.id AND used + quantity <= usage_limit
  RETURNING allowance.id, used = usage_limit AS emptied
), spent AS (
  UPDATE pricing.loyalty_account SET points = points - quantity, version = version + 1, updated_at = :now FROM fresh
  WHERE kind = 'points' AND user_id = :customer_id AND points >= quantity
  RETURNING user_id, quantity, points
), entered AS (
  INSERT INTO pricing.loyalty_entry
    (id, tenant_id, user_id, kind, points, balance_after, order_id, reference, performed_by, performed_at)
  SELECT platform.new_id(), platform.tenant_id(), user_id, 'redeem', -quantity, points, :order_id, :reference,
    user_id, :now FROM spent
), kept AS (
  INSERT INTO pricing.discount_use
    (id, tenant_id, order_id, kind, subject_id, customer_id, quantity, amount_minor, currency, used_at)
  SELECT platform.new_id(), platform.tenant_id(), :order_id, kind, id, :customer_id, quantity, amount_minor, currency,
    :now FROM fresh
)
SELECT wanted.id, platform.tenant_id() AS tenant_id, label, per_customer,
  known.subject_id IS NOT NULL AS known, known.returned_at IS NOT NULL AS returned,
  CASE WHEN wanted.kind = 'points' THEN spent.user_id IS NOT NULL
       ELSE allowance.id IS NOT NULL AND (usage_limit IS NULL OR counted.id IS NOT NULL) END AS taken,
  coalesce(emptied, false) AS emptied, spent.points AS balance
FROM wanted LEFT JOIN pricing.allowance USING (id) LEFT JOIN known ON known.subject_id = wanted.id
LEFT JOIN counted ON counted.id = wanted.id LEFT JOIN spent ON wanted.kind = 'points'
""").bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("quantities", type_=ARRAY(Integer)),
    bindparam("amounts", type_=ARRAY(BigInteger)),
    bindparam("currencies", type_=ARRAY(Text)),
    bindparam("order_id", type_=Uuid),
    bindparam("customer_id", type_=Uuid),
    bindparam("reference", type_=Text),
    bindparam("now", type_=DateTime(timezone=True)),
)

_TAKE_SHARES = text("""
INSERT INTO pricing.customer_allowance AS share (tenant_id, subject_id, customer_id, used, usage_limit)
SELECT platform.tenant_id(), id, :customer_id, quantity, usage_limit
FROM unnest(:ids, :quantities, :limits) AS wanted (id, quantity, usage_limit)
WHERE quantity <= usage_limit ORDER BY id
ON CONFLICT (subject_id, customer_id, tenant_id) DO UPDATE SET used = share.used + excluded.used, usage_limit = excluded.usage_limit
WHERE share.used + excluded.used <= excluded.usage_limit
RETURNING subject_id
""").bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("quantities", type_=ARRAY(Integer)),
    bindparam("limits", type_=ARRAY(Integer)),
    bindparam("customer_id", type_=Uuid),
)

_GIVE_BACK = text("""
WITH returned AS (
  UPDATE pricing.discount_use SET returned_at = now() WHERE order_id = :order_id AND returned_at IS NULL
  RETURNING subject_id, kind, quantity, customer_id
), locked AS (
  SELECT allowance.id, quantity FROM pricing.allowance JOIN returned ON subject_id = allowance.id
  WHERE usage_limit IS NOT NULL ORDER BY allowance.id FOR UPDATE OF allowance
), counted AS (
  UPDATE pricing.allowance SET used = used - quantity FROM locked WHERE allowance.id = locked.id
), shared AS (
  UPDATE pricing.customer_allowance AS share SET used = used - quantity FROM returned
  WHERE share.subject_id = returned.subject_id AND share.customer_id = returned.customer_id
), refunded AS (
  UPDATE pricing.loyalty_account SET points = points + quantity, version = version + 1, updated_at = now() FROM returned
  WHERE kind = 'points' AND user_id = customer_id RETURNING user_id, quantity, points
), entered AS (
  INSERT INTO pricing.loyalty_entry
    (id, tenant_id, user_id, kind, points, balance_after, order_id, reference, performed_by, performed_at)
  SELECT platform.new_id(), platform.tenant_id(), user_id, 'give_back', quantity, points, :order_id, :reference,
    user_id, now() FROM refunded
)
SELECT subject_id, platform.tenant_id() AS tenant_id, refunded.user_id, refunded.quantity, refunded.points
FROM returned LEFT JOIN refunded ON kind = 'points' ORDER BY subject_id
""").bindparams(bindparam("order_id", type_=Uuid), bindparam("reference", type_=Text))


@implements(Allowances)
class SqlAllowances:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take(self, order_id: UUID, customer_id: UUID | None, uses: Sequence[Use], now: datetime) -> None:
        if not uses:
            return
        wanted = {use.id: use for use in uses}
        parameters = _arrays(wanted.values()) | {
            "order_id": order_id,
            "customer_id": customer_id,
            "reference": str(order_id),
            "now": now,
        }
        rows = (await self._session.execute(_TAKE, parameters)).all()
        for row in rows:
            if row.returned:
                raise InvalidStateTransition(kind="Uses of the order", current="given back", requested="taken")
            if not row.known and not row.taken:
                raise _refusal(wanted[row.id], row.label or "")
        fresh = [row for row in rows if not row.known]
        await self._take_shares(customer_id, fresh, wanted)
        if fresh:
            self._tell(order_id, customer_id, fresh, wanted)

    async def give_back(self, order_id: UUID) -> None:
        rows = (await self._session.execute(_GIVE_BACK, {"order_id": order_id, "reference": str(order_id)})).all()
        if not rows:
            return
        redemption = Redemption(tenant_id=rows[0].tenant_id, order_id=order_id)
        redemption.gave_back([row.subject_id for row in rows])
        for row in rows:
            if row.user_id is not None:
                redemption.changed_points(row.user_id, row.quantity, row.points)
        self._log(redemption)

    async def _take_shares(self, customer_id: UUID | None, rows: Sequence[Any], wanted: dict[UUID, Use]) -> None:
        """Count each customer's share of what limits it; guests are nobody in particular, and have none."""
        limited = [row for row in rows if row.per_customer is not None]
        if customer_id is None or not limited:
            return
        parameters = {
            "ids": [row.id for row in limited],
            "quantities": [wanted[row.id].quantity for row in limited],
            "limits": [row.per_customer for row in limited],
            "customer_id": customer_id,
        }
        taken = set((await self._session.scalars(_TAKE_SHARES, parameters)).all())
        for row in limited:
            if row.id not in taken:
                raise _refusal(wanted[row.id], row.label, of_customer=True)

    def _tell(self, order_id: UUID, customer_id: UUID | None, rows: Sequence[Any], wanted: dict[UUID, Use]) -> None:
        redemption = Redemption(tenant_id=rows[0].tenant_id, order_id=order_id)
        redemption.took(customer_id, [wanted[row.id] for row in rows])
        for row in rows:
            use = wanted[row.id]
            if use.kind is UseKind.FLASH_SALE and row.emptied:
                redemption.emptied(row.id, row.label)
            if use.kind is UseKind.POINTS and customer_id is not None:
                redemption.changed_points(customer_id, -use.quantity, row.balance)
        self._log(redemption)

    def _log(self, redemption: Redemption) -> None:
        # It has no table of its own: the transaction only writes its events.
        self._session.info.setdefault(CHANGED, {})[id(redemption)] = redemption


def _arrays(uses: Any) -> dict[str, list[Any]]:
    ordered = sorted(uses, key=lambda use: use.id)
    return {
        "ids": [use.id for use in ordered],
        "kinds": [str(use.kind) for use in ordered],
        "quantities": [use.quantity for use in ordered],
        "amounts": [use.amount.amount_minor for use in ordered],
        "currencies": [use.amount.currency for use in ordered],
    }


def _refusal(use: Use, label: str, *, of_customer: bool = False) -> DomainError:
    match use.kind:
        case UseKind.CODE if of_customer:
            return DiscountCodeAlreadyUsed(discount_code=label)
        case UseKind.CODE:
            return DiscountCodeExhausted(discount_code=label)
        case UseKind.FLASH_SALE:
            return FlashSaleSoldOut(sku=label, requested=use.quantity)
        case UseKind.POINTS:
            return InsufficientPoints(requested=use.quantity, available=0)
        case UseKind.PROMOTION:
            return PromotionExhausted(promotion_id=str(use.id))
