"""Imports a file chunk by chunk: what the command line and the worker both run."""

import asyncio
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from data.tabular import Line, read_rows
from domain.importing import (
    EndImport,
    FileUnreadable,
    ImportJob,
    ImportMap,
    ImportRow,
    LoadChunk,
    RowError,
    begin_import,
    end_import,
    load_chunk,
)
from domain.kernel import AlreadyExists, ConcurrentModification, InvalidInput, Transactions, Work

Progress = Callable[[ImportJob], None]
MAPS = Path(__file__).parent / "import_maps"
CHUNK_ROWS = 2_000
ATTEMPTS = 5

log = structlog.get_logger("agora.importing")


def load_map(name: str | Path) -> dict[str, Any]:
    """Read a map from a TOML file, or one of ours by its name.

    Raises: InvalidInput.
    """
    ours = MAPS / f"{name}.toml"
    path = ours if ours.is_file() else Path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(each.stem for each in MAPS.glob("*.toml")))
        raise InvalidInput(field="map", reason=f"{name} is no map ({error}); ours are {known}") from error


def guess_map(path: Path) -> str:
    """Name the map of ours that fits a file's columns.

    Raises: FileUnreadable, InvalidInput.
    """
    first = next((line.values for line in read_rows(path) if line.values), {})
    for name in ("icecat", "complete_journey", "agora"):
        if _SIGNS[name] <= first.keys():
            return name
    raise InvalidInput(field="map", reason="no map of ours fits these columns; write one, see docs/import.md")


_SIGNS = {
    "icecat": {"id", "title", "supplier", "short_description"},
    "complete_journey": {"product_id", "department", "product_category", "product_type"},
    "agora": {"sku", "name"},
}


@dataclass
class Chunk:
    """Rows that were read together, and what is wrong with others among them."""

    rows: list[ImportRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    last_line: int = 0


class Importer:
    """Runs one import job to its end; started again after a crash, it goes on after the last line that was kept."""

    def __init__(self, transactions: Transactions, work: Work, progress: Progress = lambda _job: None) -> None:
        self._transactions = transactions
        self._work = work
        self._progress = progress

    async def run(self, job_id: UUID, path: Path, mapping: Mapping[str, Any], currency: str) -> ImportJob:
        """Import a file into the job's store; a file that cannot be read fails the job and keeps what was read."""
        job = await self._change(begin_import, job_id)
        failure = None
        try:
            job = await self._load(job, path, ImportMap(mapping, currency=currency))
        except (FileUnreadable, InvalidInput) as error:
            failure = error.message
        if not job.is_over:
            job = await self._change(end_import, EndImport(job_id=job_id, failure=failure))
        self._progress(job)
        log.info("import.ended", job_id=str(job_id), state=job.state, rows=job.processed, failed=job.failed)
        return job

    async def _load(self, job: ImportJob, path: Path, mapping: ImportMap) -> ImportJob:
        chunks = _chunks(read_rows(path, after=job.last_line), mapping)
        # While PostgreSQL works on one chunk, the next one is read.
        upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            while (chunk := await upcoming) is not None and not job.is_over:
                upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                job = await self._keep(job.id, chunk)
                self._progress(job)
        finally:
            upcoming.cancel()
        return job

    async def _keep(self, job_id: UUID, chunk: Chunk) -> ImportJob:
        command = LoadChunk(job_id=job_id, rows=chunk.rows, errors=chunk.errors, last_line=chunk.last_line)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._change(load_chunk, command)
            except (AlreadyExists, ConcurrentModification):
                # Somebody made a product of one of the SKUs meanwhile: this time the loader finds and updates it.
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _change(self, handler: Callable[..., Any], command: Any) -> ImportJob:
        work = replace(self._work, now=datetime.now(UTC))
        job: ImportJob = await self._transactions.run(handler, command, work)
        return job


def _chunks(lines: Iterator[Line], mapping: ImportMap) -> Iterator[Chunk]:
    while batch := list(islice(lines, CHUNK_ROWS)):
        chunk = Chunk(last_line=batch[-1].number)
        for line in batch:
            _sort(line, mapping, chunk)
        yield chunk


def _sort(line: Line, mapping: ImportMap, chunk: Chunk) -> None:
    if line.values is None:
        chunk.errors.append(line.error or RowError(line.number, "", "it cannot be read"))
        return
    try:
        chunk.rows.append(mapping.row(line.number, line.values))
    except RowError as error:
        chunk.errors.append(error)


class OurMaps:
    """Implements the domain's `ImportMaps`."""

    def named(self, name: str) -> Mapping[str, Any]:
        if name not in {each.stem for each in MAPS.glob("*.toml")}:
            raise InvalidInput(field="mapName", reason=f"there is no map called {name!r}")
        return load_map(name)
