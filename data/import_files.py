"""Files that wait to be imported, in a folder of the home, one folder a tenant."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from domain.kernel import InvalidInput, uuid7

MAX_BYTES = 2 * 1024**3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEY = re.compile(r"[0-9a-f]{32}-[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class FolderImportFiles:
    """Implements the domain's `ImportFiles`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, tenant_id: UUID, key: str) -> Path:
        """Give where a file lies.

        Raises: InvalidInput for a key that is not one of ours, so that nobody walks out of the folder.
        """
        if not _KEY.fullmatch(key):
            raise InvalidInput(field="file", reason="it is not the key of an uploaded file")
        return self._folder / tenant_id.hex / key

    async def exists(self, tenant_id: UUID, key: str) -> bool:
        return await asyncio.to_thread(self.path(tenant_id, key).is_file)

    async def keep_rows(self, tenant_id: UUID, rows: Sequence[Mapping[str, Any]]) -> str:
        async def lines() -> AsyncIterator[bytes]:
            for row in rows:
                yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)

        return await self.keep(tenant_id, "rows.jsonl", lines())

    async def keep(self, tenant_id: UUID, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Store a file as it comes and give its key; a file that does not come whole is not kept.

        Raises: InvalidInput for a name of another kind, or too many bytes.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(field="name", reason="letters, digits, dots, dashes and underscores only, at most 100")
        key = f"{uuid7().hex}-{name}"
        path = self.path(tenant_id, key)
        partial = path.with_name(f"{key}.partial")
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        try:
            await _write(partial, chunks)
            await asyncio.to_thread(partial.rename, path)
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return key


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> None:
    written = 0
    with await asyncio.to_thread(path.open, "wb") as stream:
        async for chunk in chunks:
            written += len(chunk)
            if written > MAX_BYTES:
                raise InvalidInput(field="file", reason=f"it has more than {MAX_BYTES:,} bytes")
            await asyncio.to_thread(stream.write, chunk)
