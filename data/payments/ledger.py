"""The ledger in PostgreSQL: rows that are only ever added, and that balance when a transaction ends."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.direct import direct
from data.kernel import implements
from data.paging import Listing, equals
from data.payments.tables import entry, posting
from data.statements import Statement
from domain.money import Money
from domain.paging import Page, PageRequest
from domain.payments import Account, Balance, Ledger, LedgerReads, Posting, PostingDiffers

# Postings and their entries are one statement: a posting that is there already brings no entries either.
_POST = """
WITH posted AS (
    INSERT INTO payments.posting (id, tenant_id, kind, reference, order_id, payment_id, memo, at)
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[],
        $5::uuid[], $6::uuid[], $7::text[], $8::timestamptz[]
    )
    ON CONFLICT (tenant_id, kind, reference) DO NOTHING
    RETURNING id, tenant_id
), booked AS (
    INSERT INTO payments.entry (tenant_id, posting_id, account, currency, amount_minor)
    SELECT posted.tenant_id, posted.id, line.account, line.currency, line.amount_minor
    FROM unnest(
        $9::uuid[], $10::text[], $11::text[], $12::bigint[]
    ) AS line (posting_id, account, currency, amount_minor)
    JOIN posted ON posted.id = line.posting_id
)
SELECT id FROM posted
"""

_TEXTS = ARRAY(Text)
_SUM = func.sum(entry.c.amount_minor).label("amount_minor")
_BALANCES = (
    select(entry.c.account, _SUM)
    .where(
        entry.c.account == func.any(bindparam("accounts", type_=_TEXTS)),
        entry.c.currency == bindparam("currency", type_=Text),
    )
    .group_by(entry.c.account)
)
_WRITTEN = (
    select(posting.c.kind, posting.c.reference, entry.c.account, entry.c.currency, entry.c.amount_minor)
    .join(entry, entry.c.posting_id == posting.c.id)
    .where(
        tuple_(posting.c.kind, posting.c.reference).in_(
            select(func.unnest(bindparam("kinds", type_=_TEXTS)), func.unnest(bindparam("references", type_=_TEXTS)))
        )
    )
)
_kind = func.split_part(entry.c.account, ":", 1)
_owner = func.nullif(func.split_part(entry.c.account, ":", 2), "").cast(posting.c.id.type)
_LINES = (
    entry.c.account,
    _kind.label("kind"),
    _owner.label("owner"),
    entry.c.currency,
)
_TRIAL = Statement(select(*_LINES, _SUM).group_by(entry.c.account, entry.c.currency).order_by(entry.c.account))
_OF_ACCOUNTS = Statement(
    select(*_LINES, _SUM)
    .where(entry.c.account == func.any(bindparam("keys", type_=_TEXTS)))
    .group_by(entry.c.account, entry.c.currency)
    .order_by(entry.c.currency)
)
_ENTRIES = Statement(
    select(entry.c.posting_id, *_LINES, entry.c.amount_minor)
    .where(entry.c.posting_id == func.any(bindparam("keys", type_=ARRAY(posting.c.id.type))))
    .order_by(entry.c.id)
)
_POSTINGS = Listing(select(posting), [posting.c.id.desc()], **equals(posting.c.order_id, posting.c.payment_id))


@implements(Ledger)
class SqlLedger:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def post(self, *postings: Posting) -> None:
        # Two transactions that post the same things must not wait for each other.
        ordered = sorted(postings, key=lambda each: (each.kind, each.reference))
        written = {row["id"] for row in await direct(self._session, _POST, *_arguments(ordered))}
        again = [each for each in ordered if each.id not in written]
        if again:
            await self._compare(again)

    async def balances(self, accounts: Sequence[Account], currency: str) -> list[Balance]:
        names = [str(account) for account in accounts]
        rows = await self._session.execute(_BALANCES, {"accounts": names, "currency": currency})
        sums = {row.account: int(row.amount_minor) for row in rows}
        return [Balance(account, Money(sums.get(str(account), 0), currency)) for account in accounts]

    async def _compare(self, postings: Sequence[Posting]) -> None:
        """Make sure that what was written before says the same."""
        keys = {"kinds": [str(each.kind) for each in postings], "references": [each.reference for each in postings]}
        found: dict[tuple[str, str], Counter[tuple[str, str, int]]] = {}
        for row in await self._session.execute(_WRITTEN, keys):
            lines = found.setdefault((str(row.kind), row.reference), Counter())
            lines[row.account, row.currency, row.amount_minor] += 1
        for each in postings:
            wanted = Counter((str(line.account), line.currency, line.amount_minor) for line in each.entries)
            if found.get((str(each.kind), each.reference)) != wanted:
                raise PostingDiffers(kind=each.kind, reference=each.reference)


def _arguments(postings: Iterable[Posting]) -> list[list[Any]]:
    postings = list(postings)
    lines = [(each.id, line) for each in postings for line in each.entries]
    return [
        [each.id for each in postings],
        [each.tenant_id for each in postings],
        [str(each.kind) for each in postings],
        [each.reference for each in postings],
        [each.order_id for each in postings],
        [each.payment_id for each in postings],
        [each.memo for each in postings],
        [each.at for each in postings],
        [owner for owner, _ in lines],
        [str(line.account) for _, line in lines],
        [line.currency for _, line in lines],
        [line.amount_minor for _, line in lines],
    ]


@implements(LedgerReads)
class SqlLedgerReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def balances(self) -> list[Any]:
        return await self._reads.rows(_TRIAL)

    async def of_accounts(self, accounts: Sequence[Account]) -> list[list[Any]]:
        return await self._reads.grouped(_OF_ACCOUNTS, [str(account) for account in accounts], "account")

    async def postings(self, order_id: UUID | None, payment_id: UUID | None, page: PageRequest) -> Page[Any]:
        return await _POSTINGS.page(self._reads, page, order_id=order_id, payment_id=payment_id)

    async def entries(self, posting_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ENTRIES, posting_ids, "posting_id")
