"""The files that rows refer to: which there must be, and how they are read and put back."""

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from obstore.exceptions import NotFoundError
from obstore.store import from_url

PIECE_BYTES = 1024 * 1024

REFERENCES = {
    "messaging": """
SELECT replace(tenant_id::text, '-', '') || '/messaging/' || replace(id::text, '-', '') || small
FROM messaging.attachment CROSS JOIN (VALUES (''), ('.thumbnail')) AS part (small)
WHERE state = 'uploaded' AND (small = '' OR width IS NOT NULL)""",
    # What belongs to a tenant lies below its id, and nowhere else; a catalogue may name files of other places, too.
    "catalog": """
SELECT object_key FROM catalog.product_image WHERE starts_with(object_key, replace(tenant_id::text, '-', '') || '/')""",
    "imports": """
SELECT replace(tenant_id::text, '-', '') || '/' || source FROM importing.import_job
WHERE state IN ('queued', 'validating', 'running', 'failed')""",
}
"""By context, the statement that gives the keys of its objects; `imports` lie in a folder of the home instead."""


class ObjectFolder:
    """The objects below a URL, `file:///…` or `s3://…`, for whoever copies all of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_folder = url.startswith("file:")

    @cached_property
    def _store(self) -> Any:
        return from_url(self._url, mkdir=True) if self.is_folder else from_url(self._url)

    def read(self, key: str) -> tuple[Iterator[bytes], str | None] | None:
        """Give an object's pieces and its type, or None where there is none."""
        try:
            found: Any = self._store.get(key)
        except (NotFoundError, FileNotFoundError):
            return None
        kind = found.attributes.get("Content-Type")
        return map(bytes, found.stream(min_chunk_size=PIECE_BYTES)), kind

    def put(self, key: str, pieces: Iterable[bytes], content_type: str | None = None) -> None:
        """Keep an object whole, or not at all."""
        about: Any = {"Content-Type": content_type} if content_type and not self.is_folder else None
        self._store.put(key, iter(pieces), attributes=about)

    def fetch(self, key: str, into: io.BufferedIOBase) -> bool:
        """Copy an object into a file; says whether there is one."""
        found = self.read(key)
        into.writelines(found[0] if found else ())
        return found is not None

    def listed(self) -> list[str]:
        """Give the keys of all objects."""
        return sorted(each["path"] for batch in self._store.list() for each in batch)

    def delete(self, key: str) -> None:
        with suppress(NotFoundError, FileNotFoundError):
            self._store.delete(key)
