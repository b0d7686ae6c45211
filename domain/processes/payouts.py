"""Payouts on business days: what payments do about sellers' earnings, by the calendars of the places where sellers are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.jobs import JobQueue, Jobs
from domain.kernel import Work
from domain.payments import paying_out
from domain.payments.hearing import SCHEDULE
from domain.payments.ledger import Ledger
from domain.payments.paying_out import FailPayout, RequestPayout, SchedulePayouts, SetPayoutAccount
from domain.payments.payouts import Payout, PayoutAccount, PayoutAccounts, PayoutDay, Payouts
from domain.payments.policy import Policies
from domain.tax import Calendars, TaxPlace
from domain.tax.calendars import SEARCHED_DAYS

BATCH = 500

jobs = Jobs()


@jobs.on(SCHEDULE)
async def schedule_daily_payouts(
    payload: Mapping[str, Any],  # noqa: ARG001 — every job has one.
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
    queue: JobQueue,
) -> None:
    """Set aside what is due to sellers, and go on at once where there are more of them than one transaction takes."""
    command = SchedulePayouts(limit=BATCH)
    made = await schedule_payouts(command, work, policies, accounts, payouts, ledger, calendars)
    if len(made) == BATCH:
        await queue.defer(SCHEDULE, {}, at=work.now, key=SCHEDULE)


async def schedule_payouts(
    command: SchedulePayouts,
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
) -> list[Payout]:
    """Set aside what is due to all sellers, for a business day of each."""
    later = await business_days(calendars, work)
    return await paying_out.schedule_payouts(command, work, policies, accounts, payouts, ledger, later)


async def request_payout(
    command: RequestPayout,
    work: Work,
    policies: Policies,
    accounts: PayoutAccounts,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
) -> Payout:
    """Set aside everything that is due to a seller, for a business day.

    Raises: NoPayoutAccount, PayoutTooSmall, NoBusinessDay, Forbidden, Unauthenticated.
    """
    later = await business_days(calendars, work)
    return await paying_out.request_payout(command, work, policies, accounts, payouts, ledger, later)


async def fail_payout(
    command: FailPayout, work: Work, policies: Policies, payouts: Payouts, ledger: Ledger, calendars: Calendars
) -> Payout:
    """Note that a payout was refused; it is tried again on a business day, or given up.

    Raises: NotFound, NoBusinessDay, InvalidStateTransition.
    """
    later = await business_days(calendars, work)
    return await paying_out.fail_payout(command, work, policies, payouts, ledger, later)


async def set_payout_account(command: SetPayoutAccount, work: Work, accounts: PayoutAccounts) -> PayoutAccount:
    """Say where earnings go, and where business days are counted.

    Raises: InvalidInput, CardNumberRefused, Forbidden, Unauthenticated.
    """
    if command.place is not None:
        TaxPlace.named(command.place)
    return await paying_out.set_payout_account(command, work, accounts)


async def business_days(calendars: Calendars, work: Work) -> PayoutDay:
    """Give what counts business days from today, with the tenant's own holidays; one statement."""
    today = work.now.date()
    calendar = await calendars.between(today, today + timedelta(days=SEARCHED_DAYS))
    return calendar.business_days_after
