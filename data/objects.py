"""Objects in a folder or in a store that speaks S3 or the like, by the URL of where they lie."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from domain.kernel import NotFound

PIECE_BYTES = 256 * 1024


class ObStore:
    """Keeps objects below a URL such as `file:///var/lib/agora` or `s3://bucket/prefix`; implements `ObjectStore`.

    Credentials of S3 come from the environment, under the names that its own tools use.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_folder = url.startswith("file:")

    @cached_property
    def _store(self) -> Any:
        # Most processes never touch an object, and the library weighs as much as a small server.
        from obstore.store import from_url  # noqa: PLC0415

        return from_url(self._url, mkdir=True) if self._is_folder else from_url(self._url)

    async def put(self, key: str, content: bytes | AsyncIterator[bytes], *, content_type: str) -> None:
        """Keep an object whole, or not at all."""
        import obstore  # noqa: PLC0415 — see `_store`.

        # A folder has nowhere to write a type to; whoever reads the object knows it anyway.
        about: Any = None if self._is_folder else {"Content-Type": content_type}
        await obstore.put_async(self._store, key, content, attributes=about)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Give an object piece by piece.

        Raises: NotFound.
        """
        import obstore  # noqa: PLC0415 — see `_store`.

        try:
            found = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise NotFound(kind="Object", id=key) from error
        return _pieces(found)

    async def delete(self, keys: Sequence[str]) -> None:
        """Throw objects away; those that are not there are gone already."""
        import obstore  # noqa: PLC0415 — see `_store`.

        for key in keys:
            with suppress(FileNotFoundError):
                await obstore.delete_async(self._store, key)


async def _pieces(found: Any) -> AsyncIterator[bytes]:
    async for piece in found.stream(min_chunk_size=PIECE_BYTES):
        yield bytes(piece)
