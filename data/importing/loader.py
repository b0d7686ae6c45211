"""The loader: rows are copied into a temporary table, and a handful of statements does the rest for all of them."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
from slugify import slugify
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from data.catalog import policy
from data.event_log import event_metadata
from data.importing import sql
from data.importing.categories import CategoryPaths
from data.inventory import SqlStockJournal, stock_level
from data.kernel import implements
from domain.importing.jobs import ImportJob, Outcome, ProductLoader
from domain.importing.mapping import ImportRow, RowError
from domain.inventory import InsufficientStock, StockChange, StockLevel
from domain.kernel import ConcurrentModification, Work, uuid7

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG_LETTERS = 60


@implements(ProductLoader)
class SqlProductLoader:
    """Upserts by SKU: what is new is created, what differs is updated, what is the same is left alone."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def load(self, job: ImportJob, rows: Sequence[ImportRow], work: Work) -> Outcome:
        """Put the rows into the catalogue, and their stock on the shelves of the job's store."""
        connection = await self._raw()
        await self._stage(connection, job, rows)
        errors = await self._refuse(connection, job, work)
        names = {
            "tenant": job.tenant_id,
            "seller": job.seller_id,
            "store": job.store_id,
            "state": "pending_moderation" if await self._is_moderated() else "active",
            "now": work.now,
            "metadata": orjson.dumps(event_metadata(work)).decode(),
        }
        created = await _count(connection, sql.INSERT_PRODUCTS, names)
        updated = await _count(connection, sql.UPDATE_PRODUCTS, names)
        variants = await _count(connection, sql.UPSERT_VARIANTS, names)
        for statement in (sql.INSERT_IMAGES, sql.INSERT_LEVELS):
            await _run(connection, statement, names)
        errors += await self._restock(connection, job, work)
        kept = len(rows) - len(errors)
        changed = created + updated + variants
        return Outcome(created=created, updated=updated + variants, unchanged=max(kept - changed, 0), errors=errors)

    async def _raw(self) -> asyncpg.Connection:
        # COPY is asyncpg's own; it runs on the connection, and in the transaction, that the session holds.
        connection = await (await self._session.connection()).get_raw_connection()
        driver: asyncpg.Connection = connection.driver_connection
        return driver

    async def _stage(self, connection: asyncpg.Connection, job: ImportJob, rows: Sequence[ImportRow]) -> None:
        await connection.execute(sql.CREATE_STAGE)
        categories = await CategoryPaths(self._session, job.tenant_id).resolve({row.category for row in rows})
        records = [_record(row, categories.get(row.category)) for row in rows]
        await connection.copy_records_to_table("import_row", records=records, columns=sql.STAGED)
        # Nobody else analyses a temporary table, and without statistics PostgreSQL would join it row by row.
        await connection.execute("ANALYZE import_row (sku, variant_of, product_id)")

    async def _refuse(self, connection: asyncpg.Connection, job: ImportJob, work: Work) -> list[RowError]:
        """Take out of the stage what cannot be kept, and say why."""
        refusals = (
            (sql.REFUSE_REPEATED, {"tenant": job.tenant_id, "job": job.id}),
            (sql.REFUSE_TAKEN, {"tenant": job.tenant_id}),
            (sql.REFUSE_ORPHANS, {"tenant": job.tenant_id}),
        )
        errors = [RowError(*row) for statement, names in refusals for row in await _run(connection, statement, names)]
        await _run(connection, sql.FIND_EXISTING, {"tenant": job.tenant_id})
        if not work.actor.may("catalog.write.any"):
            foreign = await _run(connection, sql.REFUSE_FOREIGN, {"tenant": job.tenant_id, "seller": job.seller_id})
            errors += [RowError(*row) for row in foreign]
        return errors

    async def _is_moderated(self) -> bool:
        return bool(await self._session.scalar(select(policy.c.moderation_required)))

    async def _restock(self, connection: asyncpg.Connection, job: ImportJob, work: Work) -> list[RowError]:
        """Set the shelves that held another number; the aggregate refuses and warns as it always does."""
        wanted = {
            row["sku"]: row
            for row in await _run(connection, sql.CHANGED_LEVELS, {"tenant": job.tenant_id, "store": job.store_id})
        }
        if not wanted:
            return []
        chosen = select(StockLevel).where(
            stock_level.c.store_id == job.store_id, stock_level.c.sku == sql.any_text(wanted)
        )
        levels = await self._session.scalars(chosen.order_by(stock_level.c.sku).with_for_update())
        errors, journal = [], SqlStockJournal(self._session)
        for level in levels.all():
            row = wanted[level.sku]
            try:
                if row["stock"] != level.on_hand:
                    await journal.add(level.adjust(row["stock"] - level.on_hand, StockChange.IMPORT, None, work))
            except InsufficientStock as refusal:
                errors.append(RowError(row["line"], "stock", refusal.message))
        return errors


def _record(row: ImportRow, category_id: Any) -> tuple[Any, ...]:
    return (
        row.line,
        row.sku,
        row.name,
        _slug(row),
        row.description,
        row.brand,
        row.gtin,
        category_id,
        row.price_minor,
        row.compare_at_minor,
        row.currency,
        orjson.dumps(row.attributes).decode(),
        row.stock,
        row.image,
        row.variant_of,
        uuid7(),
        uuid7(),
    )


def _slug(row: ImportRow) -> str:
    # The check sum of the SKU keeps apart what is called the same, without a look at what is there already.
    name = row.name
    if not name.isascii():
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        name = plain if len(plain) * 2 > len(name) else slugify(name, max_length=_SLUG_LETTERS)
    words = _NOT_SLUG.sub("-", name.lower()[:_SLUG_LETTERS]).strip("-")
    return f"{words or 'product'}-{zlib.crc32(row.sku.encode()):08x}"


async def _run(connection: asyncpg.Connection, statement: sql.Named, names: dict[str, Any]) -> list[asyncpg.Record]:
    try:
        found: list[asyncpg.Record] = await connection.fetch(statement.text, *(names[name] for name in statement.order))
    except (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError) as error:
        # Somebody writes the same SKUs at this moment; on the next try the loader finds what they wrote.
        raise ConcurrentModification(kind="Catalogue", id=getattr(error, "constraint_name", None) or "") from error
    return found


async def _count(connection: asyncpg.Connection, statement: sql.Named, names: dict[str, Any]) -> int:
    rows = await _run(connection, statement, names)
    return int(rows[0][0])
