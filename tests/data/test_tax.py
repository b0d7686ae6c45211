import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.event_log import event_log
from data.tax import holiday, tax_rate
from data.transactions import SqlTransactions
from domain.kernel import AlreadyExists, ConcurrentModification, NotFound, Principal, Work, uuid7
from domain.tax import (
    AddHoliday,
    AgeNotVerified,
    AgeVerificationReads,
    AgeVerifications,
    CalendarReads,
    Calendars,
    EndTaxRate,
    OwnAgeNotVerifiable,
    OwnTaxRate,
    RecordAgeVerification,
    RemoveHoliday,
    SetTaxRate,
    TaxKind,
    TaxPlace,
    TaxRate,
    TaxRates,
    TaxRatesOverlap,
    TaxReads,
    VerificationMethod,
    add_holiday,
    end_tax_rate,
    record_age_verification,
    remove_holiday,
    require_age,
    set_tax_rate,
)

ONTARIO = TaxPlace("CA", "CA-ON")
NEW_YEAR = date(2026, 1, 1)


def setting(share: str, first: date = NEW_YEAR, last: date | None = None, category: str | None = None) -> SetTaxRate:
    return SetTaxRate(
        country="CA",
        province="CA-ON",
        kind=TaxKind.HST,
        rate=Decimal(share),
        valid_from=first,
        valid_to=last,
        category=category,
    )


async def applicable(command: date, rates: TaxRates) -> list[TaxRate]:
    return list(await rates.applicable(ONTARIO, command))


async def standard(transactions: SqlTransactions, work: Work, on: date) -> Decimal:
    found = await transactions.run(applicable, on, work)
    return next(each.rate for each in found if each.category is None)


class TestTaxRates:
    async def test_override_the_built_in_one_for_their_days(self, transactions: SqlTransactions, work: Work) -> None:
        await transactions.run(set_tax_rate, setting("0.12", date(2026, 2, 1), date(2026, 2, 28)), work)
        shares = [await standard(transactions, work, date(2026, month, 1)) for month in (1, 2, 3)]
        assert shares == [Decimal("0.13"), Decimal("0.12"), Decimal("0.13")]

    async def test_are_read_in_one_statement_and_only_by_their_tenant(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: Any
    ) -> None:
        own = await transactions.run(set_tax_rate, setting("0.12"), work)
        for tenant, expected in ((work.tenant_id, own.id), (make_tenant(), None)):
            reads = database.reads(tenant)
            found = await reads.port(TaxReads).applicable(ONTARIO, NEW_YEAR)
            assert reads.statements == 1
            await reads.close()
            assert next(each.id for each in found if each.category is None) == expected

    async def test_end_the_day_before_the_next_one_begins(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(set_tax_rate, setting("0.12"), work)
        await transactions.run(set_tax_rate, setting("0.10", date(2026, 7, 1)), work)
        async with database.session(work.tenant_id) as session:
            columns = (tax_rate.c.rate, tax_rate.c.valid_from, tax_rate.c.valid_to)
            found = await session.execute(select(*columns).order_by(tax_rate.c.valid_from))
            assert [tuple(row) for row in found] == [
                (Decimal("0.12"), NEW_YEAR, date(2026, 6, 30)),
                (Decimal("0.10"), date(2026, 7, 1), None),
            ]
            names = await session.scalars(select(event_log.c.name))
            assert list(names) == ["tax.rate_changed"] * 3

    async def test_are_corrected_when_they_are_set_again_from_the_same_day(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        first = await transactions.run(set_tax_rate, setting("0.12"), work)
        again = await transactions.run(set_tax_rate, setting("0.11"), work)
        assert (again.id, again.version) == (first.id, 2)
        assert await standard(transactions, work, NEW_YEAR) == Decimal("0.11")

    async def test_do_not_overlap(self, transactions: SqlTransactions, work: Work) -> None:
        await transactions.run(set_tax_rate, setting("0.12", date(2026, 2, 1), date(2026, 3, 31)), work)
        for first, last in ((date(2026, 3, 1), None), (NEW_YEAR, None), (date(2026, 3, 31), date(2026, 4, 30))):
            with pytest.raises(TaxRatesOverlap):
                await transactions.run(set_tax_rate, setting("0.10", first, last), work)
        assert await standard(transactions, work, date(2026, 3, 31)) == Decimal("0.12")
        await transactions.run(set_tax_rate, setting("0.10", date(2026, 3, 1), category="toys"), work)

    async def test_are_kept_apart_by_the_database_itself_when_many_are_set_at_once(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        commands = [setting(f"0.{10 + day}", NEW_YEAR + timedelta(days=day), date(2026, 12, 31)) for day in range(12)]
        attempts = [transactions.run(set_tax_rate, command, work) for command in commands]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(result, OwnTaxRate) for result in results) == 1
        assert sum(isinstance(result, TaxRatesOverlap) for result in results) == 11
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(tax_rate)) == 1

    async def test_give_the_built_in_one_its_place_back_when_they_end(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        own = await transactions.run(set_tax_rate, setting("0.12"), work)
        command = EndTaxRate(id=own.id, last_day=date(2026, 1, 31), expected_version=own.version)
        await transactions.run(end_tax_rate, command, work)
        assert await standard(transactions, work, date(2026, 2, 1)) == Decimal("0.13")
        with pytest.raises(ConcurrentModification):
            await transactions.run(end_tax_rate, command, work)

    async def test_of_another_tenant_do_not_exist(
        self, transactions: SqlTransactions, work: Work, make_tenant: Any
    ) -> None:
        own = await transactions.run(set_tax_rate, setting("0.12"), work)
        other = Work(tenant_id=make_tenant(), actor=work.actor, now=work.now, correlation_id="x")
        with pytest.raises(NotFound):
            await transactions.run(end_tax_rate, EndTaxRate(id=own.id, last_day=NEW_YEAR), other)

    async def test_may_be_written_with_zeros_that_say_nothing(self, transactions: SqlTransactions, work: Work) -> None:
        made = await transactions.run(set_tax_rate, setting("0.1200000000"), work)
        assert str(made.rate) == "0.12"

    async def test_are_a_fraction_in_the_database_itself(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(set_tax_rate, setting("0.12"), work)
        with pytest.raises(IntegrityError, match="rate_is_fraction"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE tax.tax_rate SET rate = 1.2"))


async def next_day(command: date, calendars: Calendars) -> date:
    calendar = await calendars.between(command, command + timedelta(days=31))
    return calendar.next_business_day("CA-ON", command)


class TestHolidays:
    async def test_move_the_next_business_day(self, transactions: SqlTransactions, work: Work) -> None:
        monday = date(2026, 3, 16)
        command = AddHoliday(country="CA", province="CA-ON", day=monday, name="Stocktaking")
        added = await transactions.run(add_holiday, command, work)
        assert await transactions.run(next_day, monday, work) == date(2026, 3, 17)
        await transactions.run(remove_holiday, RemoveHoliday(id=added.id), work)
        assert await transactions.run(next_day, monday, work) == monday
        with pytest.raises(NotFound):
            await transactions.run(remove_holiday, RemoveHoliday(id=added.id), work)

    async def test_stand_once_in_the_calendar(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        command = AddHoliday(country="CA", day=date(2026, 3, 16), name="Stocktaking")
        attempts = (transactions.run(add_holiday, command, work) for _ in range(6))
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(result, AlreadyExists) for result in results) == 5
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(holiday)) == 1

    async def test_are_read_in_one_statement(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        day = date(2026, 3, 16)
        await transactions.run(add_holiday, AddHoliday(country="CA", day=day, name="Stocktaking"), work)
        reads = database.reads(work.tenant_id)
        calendar = await reads.port(CalendarReads).between(NEW_YEAR, date(2026, 12, 31))
        await reads.close()
        assert reads.statements == 1
        assert not calendar.is_business_day("CA-AB", day)


def looked(user_id: UUID, age: int, *, passed: bool = True, expires_on: date | None = None) -> RecordAgeVerification:
    return RecordAgeVerification(
        user_id=user_id, minimum_age=age, method=VerificationMethod.DOCUMENT, passed=passed, expires_on=expires_on
    )


class TestAgeVerifications:
    @pytest.fixture
    def verified(self, database: Database, work: Work) -> Any:
        async def ask(user_id: UUID, age: int, on: date = NEW_YEAR) -> bool:
            reads = database.reads(work.tenant_id)
            answer = await reads.port(AgeVerificationReads).verified(user_id, age, on)
            await reads.close()
            return answer

        return ask

    async def test_hold_for_the_age_that_was_confirmed_and_those_below(
        self, transactions: SqlTransactions, work: Work, verified: Any
    ) -> None:
        buyer = uuid7()
        await transactions.run(record_age_verification, looked(buyer, 19), work)
        assert [await verified(buyer, age) for age in (18, 19, 21)] == [True, True, False]
        assert not await verified(uuid7(), 18)

    async def test_end_on_the_day_that_they_name(
        self, transactions: SqlTransactions, work: Work, verified: Any
    ) -> None:
        buyer = uuid7()
        last = work.now.date()
        await transactions.run(record_age_verification, looked(buyer, 19, expires_on=last), work)
        assert await verified(buyer, 19, last)
        assert not await verified(buyer, 19, last + timedelta(days=1))

    async def test_do_not_outlast_a_later_denial(
        self, transactions: SqlTransactions, work: Work, verified: Any
    ) -> None:
        buyer = uuid7()
        await transactions.run(record_age_verification, looked(buyer, 21), work)
        await transactions.run(record_age_verification, looked(buyer, 19, passed=False), work)
        assert [await verified(buyer, age) for age in (18, 19, 21)] == [True, False, False]

    async def test_refuse_who_looks_at_themselves(
        self, transactions: SqlTransactions, work: Work, verified: Any
    ) -> None:
        own: UUID = work.actor.require_user()
        with pytest.raises(OwnAgeNotVerifiable):
            await transactions.run(record_age_verification, looked(own, 19), work)
        assert not await verified(own, 19)

    async def test_are_required_of_whoever_buys_regulated_goods(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        async def buy(command: UUID | None, verifications: AgeVerifications) -> None:
            await require_age(verifications, command, 19, NEW_YEAR)

        buyer = uuid7()
        for who in (buyer, None):
            with pytest.raises(AgeNotVerified):
                await transactions.run(buy, who, work)
        await transactions.run(record_age_verification, looked(buyer, 19), work)
        await transactions.run(buy, buyer, work)

    async def test_cannot_be_rewritten_nor_seen_by_other_tenants(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: Any
    ) -> None:
        buyer = uuid7()
        await transactions.run(record_age_verification, looked(buyer, 19, passed=False), work)
        with pytest.raises(Exception, match="permission denied"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE tax.age_verification SET passed = true"))
        other = Work(tenant_id=make_tenant(), actor=Principal(user_id=uuid7()), now=work.now, correlation_id="x")
        await transactions.run(record_age_verification, looked(buyer, 19), other)
        reads = database.reads(work.tenant_id)
        assert not await reads.port(AgeVerificationReads).verified(buyer, 19, NEW_YEAR)
        await reads.close()
