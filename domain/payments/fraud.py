"""How suspicious a payment is: points for what is known of bad ones, and for haste."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.money import Money
from domain.payments.methods import Method, MethodKind
from domain.payments.policy import PaymentPolicy

MAX_SCORE = 100


class Decision(StrEnum):
    """What becomes of a payment."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True)
class FraudSignal:
    """One thing that speaks against a payment, with its points."""

    code: str
    points: int


@dataclass(frozen=True, kw_only=True)
class FraudAssessment:
    """The points of a payment, 0 to 100, what they are for, and what follows."""

    score: int
    signals: tuple[FraudSignal, ...]
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class FraudRequest:
    """What is known of a payment before it is made; countries are ISO 3166-1 codes."""

    user_id: UUID | None
    method: Method
    amount: Money
    at: datetime
    billing_country: str | None = None
    shipping_country: str | None = None
    account_created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FraudFacts:
    """What went before, of the same buyer and of the same card; amounts in minor units of the currency."""

    user_payments_hour: int = 0
    user_payments_day: int = 0
    user_failures_day: int = 0
    user_disputes: int = 0
    user_paid_count: int = 0
    user_average_minor: int = 0
    card_payments_hour: int = 0
    card_failures_hour: int = 0
    card_users: int = 0


class FraudReads(Protocol):
    """What the rules want to know of the past."""

    async def gather(self, request: FraudRequest) -> tuple[FraudFacts, PaymentPolicy | None]:
        """Give it in one statement, with the tenant's policy where it has changed the defaults."""
        ...


def assess(request: FraudRequest, facts: FraudFacts, policy: PaymentPolicy) -> FraudAssessment:
    """Score a payment; the same facts give the same score, and every point has a signal.

    Cash and bank transfers cannot be taken from anybody else's account, and are judged by haste alone.
    """
    found = [*_haste(facts)]
    if request.method.kind in {MethodKind.CARD, MethodKind.WALLET}:
        found += [*_method(request, facts), *_buyer(request, facts)]
    score = min(sum(signal.points for signal in found), MAX_SCORE)
    return FraudAssessment(score=score, signals=tuple(found), decision=_decision(score, policy))


def _decision(score: int, policy: PaymentPolicy) -> Decision:
    if score >= policy.reject_score:
        return Decision.REJECT
    return Decision.REVIEW if score >= policy.review_score else Decision.ACCEPT


def _haste(facts: FraudFacts) -> Sequence[FraudSignal]:
    return _signals(
        ("many_payments_in_an_hour", 30, facts.user_payments_hour >= 10),
        ("many_payments_in_a_day", 20, facts.user_payments_day >= 30),
        ("many_failures_in_a_day", 25, facts.user_failures_day >= 4),
    )


def _method(request: FraudRequest, facts: FraudFacts) -> Sequence[FraudSignal]:
    billing, shipping = request.billing_country, request.shipping_country
    return _signals(
        ("card_tried_often", 30, facts.card_payments_hour >= 5),
        ("card_failed_often", 30, facts.card_failures_hour >= 3),
        ("card_of_many_buyers", 35, facts.card_users >= 3),
        ("shipped_to_another_country", 15, None not in (billing, shipping) and billing != shipping),
    )


def _buyer(request: FraudRequest, facts: FraudFacts) -> Sequence[FraudSignal]:
    units = request.amount.decimal
    created = request.account_created_at
    age_hours = None if created is None else (request.at - created).total_seconds() / 3600
    average = facts.user_average_minor
    return _signals(
        ("disputed_before", 40, facts.user_disputes > 0),
        ("high_amount", 15, units >= 1000),
        ("very_high_amount", 20, units >= 5000),
        ("first_payment_is_high", 15, facts.user_paid_count == 0 and units >= 500),
        ("far_above_the_usual", 20, facts.user_paid_count >= 3 and request.amount.amount_minor > 8 * average),
        ("guest_with_high_amount", 10, request.user_id is None and units >= 500),
        ("new_account", 15, age_hours is not None and age_hours < 24 and units >= 100),
    )


def _signals(*rules: tuple[str, int, bool]) -> list[FraudSignal]:
    return [FraudSignal(code=code, points=points) for code, points, applies in rules if applies]
