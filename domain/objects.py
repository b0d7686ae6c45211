"""Files that are too large for tables: kept under keys, by tenant."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import UUID


def object_key(tenant_id: UUID, context: str, name: UUID | str) -> str:
    """Name an object; what belongs to a tenant lies below its id, and nowhere else."""
    return f"{tenant_id.hex}/{context}/{name.hex if isinstance(name, UUID) else name}"


class ObjectStore(Protocol):
    """Keeps objects: a folder, or a store that is reached over the network."""

    async def put(self, key: str, content: bytes | AsyncIterator[bytes], *, content_type: str) -> None:
        """Keep an object whole, or not at all."""
        ...

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Give an object piece by piece.

        Raises: NotFound.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Throw objects away; those that are not there are gone already."""
        ...
