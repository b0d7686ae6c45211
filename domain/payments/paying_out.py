"""How payouts come to be and end: set aside, sent, refused, given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.kernel import Forbidden, NotFound, Work
from domain.money import Money
from domain.payments.ledger import Ledger, Posting, payable_to
from domain.payments.payouts import (
    MAX_ATTEMPTS,
    NoPayoutAccount,
    Payout,
    PayoutAccount,
    PayoutAccounts,
    PayoutDay,
    Payouts,
    PayoutTooSmall,
)
from domain.payments.policy import PaymentPolicy, PayoutSchedule, Policies
from domain.payments.postings import payout_cancelled_posting, payout_paid_posting, payout_posting

ANY_SELLER = "payments.payout"


@dataclass(frozen=True, kw_only=True)
class SetPayoutAccount:
    """Say where a seller's earnings in a currency go; one's own unless a seller is named.

    `place` is the province (CA-ON) or country (DE) on whose business days they are paid; without one it stays as it is.
    """

    currency: str
    provider: str
    destination: str
    seller_id: UUID | None = None
    place: str | None = None
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class RequestPayout:
    """Have everything paid out that is due, without waiting for the schedule; one's own unless a seller is named."""

    currency: str
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class SchedulePayouts:
    """Set aside what is due to sellers; `limit` accounts at a time."""

    limit: int = 500


@dataclass(frozen=True, kw_only=True)
class CompletePayout:
    """Say that the provider has sent a payout."""

    payout_id: UUID
    reference: str
    fee: Money | None = None


@dataclass(frozen=True, kw_only=True)
class FailPayout:
    """Say that the provider refused a payout; it is tried again on a later day, at most five times."""

    payout_id: UUID
    failure: str


@dataclass(frozen=True, kw_only=True)
class CancelPayout:
    """Give a payout up that was not sent."""

    payout_id: UUID


async def set_payout_account(command: SetPayoutAccount, work: Work, accounts: PayoutAccounts) -> PayoutAccount:
    """Say where earnings go.

    Raises: InvalidInput, CardNumberRefused, Forbidden, Unauthenticated.
    """
    seller_id = _own_or_named(command.seller_id, work)
    Money(0, command.currency)
    account = await accounts.of_seller(seller_id, command.currency)
    if account is None:
        account = PayoutAccount(
            tenant_id=work.tenant_id,
            seller_id=seller_id,
            currency=command.currency,
            provider=command.provider,
            destination=command.destination,
        )
        account.change(command.provider, command.destination, is_active=command.is_active, place=command.place)
        accounts.add(account)
    else:
        account.change(command.provider, command.destination, is_active=command.is_active, place=command.place)
    return account


async def request_payout(
    command: RequestPayout,
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    later: PayoutDay,
) -> Payout:
    """Set aside everything that is due to a seller.

    Raises: NoPayoutAccount, PayoutTooSmall, Forbidden, Unauthenticated.
    """
    seller_id = _own_or_named(command.seller_id, work)
    policy = await policies.current(work.tenant_id)
    account = await accounts.of_seller(seller_id, command.currency)
    if account is None or not account.is_active:
        raise NoPayoutAccount(seller_id=str(seller_id))
    made = await _set_aside([account], policy, work, payouts, ledger, later)
    if not made:
        (balance,) = await ledger.balances([payable_to(seller_id)], command.currency)
        raise PayoutTooSmall(
            available_minor=max(balance.credit.amount_minor, 0), minimum_minor=policy.payout_minimum_minor
        )
    if seller_id != work.actor.user_id:
        amount = made[0].amount
        work.require(ANY_SELLER, amount_minor=amount.amount_minor, currency=amount.currency)
    return made[0]


async def schedule_payouts(
    command: SchedulePayouts,
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    later: PayoutDay,
) -> list[Payout]:
    """Set aside what is due to all sellers who are owed the minimum; a manual schedule leaves that to them."""
    policy = await policies.current(work.tenant_id)
    if policy.payout_schedule is PayoutSchedule.MANUAL:
        return []
    owed = await accounts.with_earnings(policy.payout_minimum_minor, command.limit)
    return await _set_aside(owed, policy, work, payouts, ledger, later)


async def complete_payout(command: CompletePayout, work: Work, payouts: Payouts, ledger: Ledger) -> Payout:
    """Note that a payout was sent; said twice, it is noted once.

    Raises: NotFound, InvalidInput, InvalidStateTransition.
    """
    payout = await _locked(payouts, command.payout_id)
    if payout.pay(command.reference, command.fee, work):
        await ledger.post(
            payout_paid_posting(
                payout.tenant_id, payout.id, payout.amount_minor, payout.fee_minor, payout.currency, work
            )
        )
    return payout


async def fail_payout(
    command: FailPayout, work: Work, policies: Policies, payouts: Payouts, ledger: Ledger, later: PayoutDay
) -> Payout:
    """Note that a payout was refused, and set the day of the next attempt; after the last one it is given up.

    Raises: NotFound, InvalidStateTransition.
    """
    payout = await _locked(payouts, command.payout_id)
    payout.fail(command.failure)
    if payout.attempts < MAX_ATTEMPTS:
        policy = await policies.current(work.tenant_id)
        payout.schedule(later(payout.place, work.now.date(), policy.payout_delay_days))
    else:
        await _give_up(payout, work, ledger)
    return payout


async def cancel_payout(command: CancelPayout, work: Work, payouts: Payouts, ledger: Ledger) -> Payout:
    """Give a payout up.

    Raises: NotFound, InvalidStateTransition.
    """
    payout = await _locked(payouts, command.payout_id)
    work.require(ANY_SELLER, amount_minor=payout.amount.amount_minor, currency=payout.amount.currency)
    await _give_up(payout, work, ledger)
    return payout


async def _set_aside(
    accounts: Sequence[PayoutAccount],
    policy: PaymentPolicy,
    work: Work,
    payouts: Payouts,
    ledger: Ledger,
    later: PayoutDay,
) -> list[Payout]:
    """Make payouts of what is due on locked accounts; one statement for the balances of each currency."""
    made: list[Payout] = []
    postings: list[Posting] = []
    for currency in sorted({account.currency for account in accounts}):
        same = [account for account in accounts if account.currency == currency]
        balances = await ledger.balances([payable_to(account.seller_id) for account in same], currency)
        for account, balance in zip(same, balances, strict=True):
            if balance.credit.amount_minor >= policy.payout_minimum_minor:
                day = later(account.place, work.now.date(), policy.payout_delay_days)
                payout = _payout(account, balance.credit, day, policy, work)
                made.append(payout)
                postings.append(
                    payout_posting(payout.tenant_id, payout.id, payout.seller_id, payout.amount_minor, currency, work)
                )
    if made:
        payouts.add(*made)
        await ledger.post(*postings)
    return made


def _payout(account: PayoutAccount, amount: Money, day: date, policy: PaymentPolicy, work: Work) -> Payout:
    payout = Payout(
        tenant_id=account.tenant_id,
        seller_id=account.seller_id,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
        provider=account.provider,
        own_account=account.provider in policy.own_accounts,
        destination=account.destination,
        place=account.place,
        scheduled_for=day,
        requested_at=work.now,
    )
    payout.schedule(day)
    return payout


async def _give_up(payout: Payout, work: Work, ledger: Ledger) -> None:
    if payout.cancel():
        await ledger.post(
            payout_cancelled_posting(
                payout.tenant_id, payout.id, payout.seller_id, payout.amount_minor, payout.currency, work
            )
        )


async def _locked(payouts: Payouts, payout_id: UUID) -> Payout:
    payout = await payouts.lock(payout_id)
    if payout is None:
        raise NotFound(kind="Payout", id=str(payout_id))
    return payout


def _own_or_named(seller_id: UUID | None, work: Work) -> UUID:
    own = work.actor.require_user()
    if seller_id is not None and seller_id != own and not work.actor.might(ANY_SELLER):
        raise Forbidden(permission=ANY_SELLER)
    return seller_id or own
