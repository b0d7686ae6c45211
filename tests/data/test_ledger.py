import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.payments.tables import entry, posting
from data.transactions import SqlTransactions
from domain.kernel import Work, uuid7
from domain.payments import (
    BUYER_CLEARING,
    TAX_PAYABLE,
    Entry,
    Ledger,
    LedgerReads,
    Posting,
    PostingDiffers,
    PostingKind,
    escrow_of,
)

SELLER = uuid7()


def sale(work: Work, amount: int = 10_00, reference: str = "p1") -> Posting:
    return Posting(
        tenant_id=work.tenant_id,
        kind=PostingKind.CAPTURE,
        reference=reference,
        entries=(Entry(BUYER_CLEARING, amount, "CAD"), Entry(escrow_of(SELLER), -amount, "CAD")),
        at=work.now,
        order_id=SELLER,
    )


async def post(postings: tuple[Posting, ...], ledger: Ledger) -> None:
    await ledger.post(*postings)


async def balance(_: None, ledger: Ledger) -> list[int]:
    accounts = [escrow_of(SELLER), TAX_PAYABLE, BUYER_CLEARING]
    return [each.debit.amount_minor for each in await ledger.balances(accounts, "CAD")]


async def rows(database: Database, work: Work) -> tuple[int, int]:
    async with database.session(work.tenant_id) as session:
        postings = await session.scalar(select(func.count()).select_from(posting))
        entries = await session.scalar(select(func.count()).select_from(entry))
        return int(postings or 0), int(entries or 0)


class TestLedger:
    async def test_writes_many_postings_in_one_statement(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(post, (sale(work), sale(work, 5, "p2")), work)
        assert await rows(database, work) == (2, 4)
        assert await transactions.run(balance, None, work) == [-10_05, 0, 10_05]

    async def test_writes_a_posting_once_however_many_bring_it(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await asyncio.gather(*(transactions.run(post, (sale(work), sale(work, 7, "p2")), work) for _ in range(12)))
        assert await rows(database, work) == (2, 4)
        assert await transactions.run(balance, None, work) == [-10_07, 0, 10_07]

    async def test_refuses_another_amount_under_the_same_reference(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(post, (sale(work),), work)
        with pytest.raises(PostingDiffers):
            await transactions.run(post, (sale(work, 11_00),), work)
        assert await transactions.run(balance, None, work) == [-10_00, 0, 10_00]

    async def test_reads_what_stands_on_every_account(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(post, (sale(work),), work)
        reads = database.reads(work.tenant_id)
        found = await reads.port(LedgerReads).balances()
        await reads.close()
        assert [(row.kind, row.owner, row.currency, row.amount_minor) for row in found] == [
            ("buyer_clearing", None, "CAD", 10_00),
            ("escrow", SELLER, "CAD", -10_00),
        ]


class TestTheDatabaseItself:
    async def test_refuses_a_posting_that_does_not_balance(self, database: Database, work: Work) -> None:
        with pytest.raises(IntegrityError, match="does not balance"):
            async with database.session(work.tenant_id) as session:
                await session.execute(_insert(), _values(work, 5, -4))
        assert await rows(database, work) == (0, 0)

    async def test_refuses_a_posting_without_entries(self, database: Database, work: Work) -> None:
        with pytest.raises(IntegrityError, match="does not balance"):
            async with database.session(work.tenant_id) as session:
                await session.execute(posting.insert(), _posting(work))
        assert await rows(database, work) == (0, 0)

    async def test_refuses_entries_that_unbalance_an_older_posting(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        written = sale(work)
        await transactions.run(post, (written,), work)
        late = {"tenant_id": work.tenant_id, "posting_id": written.id, "account": "refunds", "currency": "CAD"}
        with pytest.raises(IntegrityError, match="does not balance"):
            async with database.session(work.tenant_id) as session:
                await session.execute(entry.insert(), late | {"amount_minor": 1})
        assert await transactions.run(balance, None, work) == [-10_00, 0, 10_00]

    @pytest.mark.parametrize("table", ["posting", "entry"])
    @pytest.mark.parametrize("change", ["UPDATE payments.{} SET tenant_id = tenant_id", "DELETE FROM payments.{}"])
    async def test_lets_nobody_rewrite_the_books(self, database: Database, work: Work, table: str, change: str) -> None:
        with pytest.raises(Exception, match="permission denied"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text(change.format(table)))

    async def test_keeps_the_books_of_tenants_apart(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: type
    ) -> None:
        await transactions.run(post, (sale(work),), work)
        other = replace(work, tenant_id=make_tenant())
        assert await transactions.run(balance, None, other) == [0, 0, 0]
        await transactions.run(post, (sale(other, 3),), other)
        assert await transactions.run(balance, None, other) == [-3, 0, 3]


def _posting(work: Work) -> dict[str, object]:
    return {"id": uuid7(), "tenant_id": work.tenant_id, "kind": PostingKind.CAPTURE, "reference": "x", "at": work.now}


def _insert() -> object:
    return text(
        "WITH posted AS (INSERT INTO payments.posting (id, tenant_id, kind, reference, at) "
        "VALUES (:id, :tenant_id, 'capture', 'x', now()) RETURNING id) "
        "INSERT INTO payments.entry (tenant_id, posting_id, account, currency, amount_minor) "
        "VALUES (:tenant_id, :id, 'refunds', 'CAD', :debit), (:tenant_id, :id, 'disputes', 'CAD', :credit)"
    )


def _values(work: Work, debit: int, credit: int) -> dict[str, object]:
    return {"id": uuid7(), "tenant_id": work.tenant_id, "debit": debit, "credit": credit}
