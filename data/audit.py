"""The trail of privileged actions, sealed in a chain of keyed digests: whoever changes or removes a line breaks it."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    bindparam,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database, Reads
from data.direct import direct
from data.kernel import TENANT_OWNED, Choice, implements, json_column, metadata, timestamp
from data.paging import Listing, equals
from data.personal import Category, kept, neutral
from domain.auditing import AuditReads, Breach, PrivilegedUse, UseFilter, UseKind, UseOutcome
from domain.kernel import uuid7
from domain.paging import Page, PageRequest

log = structlog.get_logger("agora.audit")

AT_ONCE = 5_000
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('agora audit chain', 0))"

audit_line = Table(
    "audit_line",
    metadata,
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("tenant_id", Uuid, primary_key=True),
    timestamp("at"),
    Column("kind", Choice(UseKind), nullable=False),
    Column("operation", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("outcome", Choice(UseOutcome), nullable=False),
    Column("code", Text),
    Column("actor_id", Uuid, nullable=False),
    Column("impersonator_id", Uuid),
    Column("session_id", Uuid),
    Column("address", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    json_column("ids"),
    Column("digest", Text, nullable=False),
    Column("seal", Integer),
    Index("ix_audit_line_tenant_id", "tenant_id", "sequence"),
    Index("ix_audit_line_unsealed", "sequence", postgresql_where="seal IS NULL"),
    Index("ix_audit_line_seal", "tenant_id", "seal"),
    schema="platform",
    info={TENANT_OWNED: True},
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    timestamp("sealed_at"),
    PrimaryKeyConstraint("tenant_id", "number"),
    schema="platform",
    info={TENANT_OWNED: True},
)

kept(
    audit_line,
    "actor_id = $1 OR impersonator_id = $1",
    reason="who used a permission, and from where, is evidence of security",
    years=2,
    address=Category.DEVICE,
)
neutral(audit_line, "address")

_FIELDS = (
    "id, tenant_id, at, kind, operation, permission, outcome, code, actor_id, impersonator_id, session_id, address, "
    "correlation_id, ids, digest"
)
_INSERT = f"""
INSERT INTO platform.audit_line ({_FIELDS})
SELECT {_FIELDS} FROM jsonb_populate_record(NULL::platform.audit_line, $1::text::jsonb)
"""  # noqa: S608 — made of our own columns only.
_LINE = "(to_jsonb(line) - 'seal')::text AS said"
_UNSEALED = f"""
SELECT sequence, tenant_id, {_LINE} FROM platform.audit_line AS line
WHERE seal IS NULL ORDER BY sequence LIMIT $1
"""  # noqa: S608 — as above.
_SEALED = f"SELECT {_LINE} FROM platform.audit_line AS line WHERE tenant_id = $1 AND seal = $2 ORDER BY sequence"  # noqa: S608
_LAST = "SELECT number, digest FROM platform.audit_seal WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1"
_SEAL = "INSERT INTO platform.audit_seal (tenant_id, number, lines, digest, sealed_at) VALUES ($1, $2, $3, $4, $5)"
_MARK = "UPDATE platform.audit_line SET seal = $2 WHERE sequence = ANY($1::bigint[])"
_SEALS = "SELECT tenant_id, number, lines, digest FROM platform.audit_seal ORDER BY tenant_id, number"
_STRAY = """
SELECT DISTINCT tenant_id, seal FROM platform.audit_line AS line WHERE seal IS NOT NULL
AND NOT EXISTS (SELECT FROM platform.audit_seal s WHERE s.tenant_id = line.tenant_id AND s.number = line.seal)
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlAuditTrail:
    """Keeps the trail and its chain; implements the domain's `AuditTrail` and `AuditChain`."""

    def __init__(self, database: Database, key: bytes, now: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._key = key
        self._now = now

    async def note(self, use: PrivilegedUse) -> None:
        # A tenant that may not be changed is looked at all the same; the platform keeps the trail.
        line = orjson.dumps(vars(use) | {"id": uuid7()}, default=str).decode()
        try:
            async with self._database.session(None) as session:
                await direct(session, _INSERT, line)
        except DBAPIError:
            # What is done is done: an error would only have it done twice. The line goes where errors are looked for.
            log.exception("audit.unwritten", operation=use.operation, actor_id=str(use.actor_id), outcome=use.outcome)

    async def seal(self) -> int:
        """Seal the lines that have come since; gives how many."""
        total = 0
        while sealed := await self._seal_some():
            total += sealed
        return total

    async def verify(self) -> Sequence[Breach]:
        """Find where lines or seals were changed, removed or added; lines that wait for their seal are not looked at."""
        async with self._database.session(None) as session:
            seals = await direct(session, _SEALS)
            found = [
                breach
                for _, chain in groupby(seals, key=lambda each: each["tenant_id"])
                for breach in await self._breaches(session, [*chain])
            ]
            stray = await direct(session, _STRAY)
        return [*found, *(Breach(UUID(str(row["tenant_id"])), row["seal"], "the seal is missing") for row in stray)]

    async def _seal_some(self) -> int:
        async with self._database.session(None) as session:
            await direct(session, _LOCK)
            rows = await direct(session, _UNSEALED, AT_ONCE)
            for tenant_id, lines in groupby(sorted(rows, key=_place), key=lambda each: each["tenant_id"]):
                await self._seal(session, tenant_id, [*lines])
        return len(rows)

    async def _seal(self, session: AsyncSession, tenant_id: UUID, lines: Sequence[Any]) -> None:
        last = await direct(session, _LAST, tenant_id)
        number, before = (last[0]["number"], last[0]["digest"]) if last else (0, b"")
        digest = self._digest(before, [line["said"] for line in lines])
        await direct(session, _SEAL, tenant_id, number + 1, len(lines), digest, self._now())
        await direct(session, _MARK, [line["sequence"] for line in lines], number + 1)

    async def _breaches(self, session: AsyncSession, chain: Sequence[Any]) -> Sequence[Breach]:
        found, before, expected = [], b"", 1
        for seal in chain:
            tenant_id, number = UUID(str(seal["tenant_id"])), seal["number"]
            if number != expected:
                found.append(Breach(tenant_id, expected, "the seal is missing"))
            lines = [row["said"] for row in await direct(session, _SEALED, tenant_id, number)]
            if len(lines) != seal["lines"]:
                found.append(Breach(tenant_id, number, f"{seal['lines']} lines were sealed, {len(lines)} are there"))
            elif number == expected and self._digest(before, lines) != seal["digest"]:
                found.append(Breach(tenant_id, number, "a line or the seal was changed"))
            before, expected = seal["digest"], number + 1
        return found

    def _digest(self, before: bytes, lines: Sequence[str]) -> bytes:
        made = hmac.new(self._key, before, hashlib.sha256)
        for line in lines:
            made.update(b"\n" + line.encode())
        return made.digest()


def _place(line: Any) -> tuple[str, int]:
    return str(line["tenant_id"]), line["sequence"]


_USES = Listing(
    select(audit_line),
    [audit_line.c.sequence.desc()],
    **equals(
        audit_line.c.actor_id,
        audit_line.c.impersonator_id,
        audit_line.c.kind,
        audit_line.c.outcome,
        audit_line.c.operation,
    ),
    since=audit_line.c.at >= bindparam("since", type_=audit_line.c.at.type),
    until=audit_line.c.at < bindparam("until", type_=audit_line.c.at.type),
)


@implements(AuditReads)
class SqlAuditReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def uses(self, wanted: UseFilter, page: PageRequest) -> Page[Any]:
        return await _USES.page(self._reads, page, **vars(wanted))
