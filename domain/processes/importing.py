"""Starting an import: into a store that the tenant has, from a file or from rows that came with the request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.importing import ImportJob, ImportJobs
from domain.inventory import require_store
from domain.kernel import InvalidInput, NotFound, Work
from domain.tenancy import Stores

MAX_ROWS = 1_000


class ImportFiles(Protocol):
    """Files that wait to be imported."""

    async def exists(self, tenant_id: UUID, key: str) -> bool: ...

    async def keep_rows(self, tenant_id: UUID, rows: Sequence[Mapping[str, Any]]) -> str: ...


class ImportMaps(Protocol):
    """The maps that come with Agora, by name."""

    def named(self, name: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class StartBulkImport:
    """Import products: from an uploaded `file`, or from `rows` (at most 1,000); `map_name` is one of ours, by default agora."""

    store_id: UUID
    file: str | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    map_name: str = "agora"


async def start_import(
    command: StartBulkImport, work: Work, stores: Stores, jobs: ImportJobs, files: ImportFiles, maps: ImportMaps
) -> ImportJob:
    """Queue an import; a worker takes it from there.

    Raises: NotFound, InvalidInput.
    """
    require_store(work.actor, command.store_id)
    if await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    mapping = maps.named(command.map_name)
    job = ImportJob(
        tenant_id=work.tenant_id,
        source=await _source(command, work, files),
        store_id=command.store_id,
        seller_id=work.actor.require_user(),
        mapping=mapping,
    )
    jobs.add(job)
    return job


async def _source(command: StartBulkImport, work: Work, files: ImportFiles) -> str:
    if (command.file is None) != bool(command.rows):
        raise InvalidInput(field="file", reason="give either a file or rows")
    if command.file is not None:
        if not await files.exists(work.tenant_id, command.file):
            raise NotFound(kind="File", id=command.file)
        return command.file
    if len(command.rows) > MAX_ROWS or not all(isinstance(row, Mapping) for row in command.rows):
        raise InvalidInput(field="rows", reason=f"at most {MAX_ROWS:,} objects; upload a file for more")
    return await files.keep_rows(work.tenant_id, command.rows)
