"""The archive: a ZIP file whose last part, the manifest, says what the others must be; without it nothing is complete."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import orjson

from data.backup.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """What a part of an archive must be; the type is that of an object which has one."""

    bytes: int
    sha256: str
    content_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup is of. `position` is the last event in it, `defaults` the rights that tables to come shall have."""

    format: int = FORMAT
    agora: str
    taken_at: str
    postgres: int
    dumped_by: int
    revision: str
    tenants: int
    position: int
    key_fingerprint: str
    defaults: list[list[str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)


class ArchiveWriter:
    """Writes an archive to a stream, part by part."""

    def __init__(self, stream: BinaryIO) -> None:
        self._zip = ZipFile(stream, "w", ZIP_STORED)
        self.parts: dict[str, Part] = {}

    def add(self, name: str, pieces: Iterable[bytes], *, content_type: str | None = None, packed: bool = False) -> None:
        """Write a part; one that is packed already is not compressed once more."""
        about = ZipInfo(name)
        about.compress_type = ZIP_STORED if packed else ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        with self._zip.open(about, "w", force_zip64=True) as part:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                part.write(piece)
        self.parts[name] = Part(size, digest.hexdigest(), content_type)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, which makes the archive a whole."""
        self.add(MANIFEST, [orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2)])
        self._zip.close()


class ArchiveReader:
    """Reads an archive from a stream that can be sought in.

    Raises: BackupError where it is none, is incomplete, or comes from a newer version.
    """

    def __init__(self, stream: BinaryIO) -> None:
        try:
            self._zip = ZipFile(stream)
            written = orjson.loads(self._zip.read(MANIFEST))
        except (BadZipFile, KeyError, ValueError, OSError, zlib.error) as error:
            raise BackupError(f"This is no complete backup: {error}.") from error
        if written.get("format") != FORMAT:
            raise BackupError(f"The backup has format {written.get('format')}; this version reads {FORMAT}.")
        parts = {name: Part(**each) for name, each in written.pop("parts").items()}
        self.manifest = Manifest(**written, parts=parts)

    def verify(self) -> None:
        """Read everything and compare it with the manifest.

        Raises: BackupError, naming what is damaged, missing or too much.
        """
        there = set(self._zip.namelist()) - {MANIFEST}
        if odd := sorted(there ^ self.manifest.parts.keys()):
            raise BackupError(f"The backup is damaged: {odd[0]} is missing, or not in the manifest.")
        for name, part in self.manifest.parts.items():
            digest = hashlib.sha256()
            for piece in self.pieces(name):
                digest.update(piece)
            if digest.hexdigest() != part.sha256:
                raise BackupError(f"The backup is damaged: {name} is not what was written.")

    def pieces(self, name: str) -> Iterator[bytes]:
        """Give a part piece by piece."""
        try:
            with self._zip.open(name) as part:
                while piece := part.read(PIECE_BYTES):
                    yield piece
        except (BadZipFile, zlib.error, EOFError) as error:
            raise BackupError(f"The backup is damaged: {name} cannot be read ({error}).") from error

    def below(self, folder: str) -> Iterator[tuple[str, Part]]:
        """Give the parts of a folder, by their names in it."""
        for name, part in self.manifest.parts.items():
            if name.startswith(f"{folder}/"):
                yield name.removeprefix(f"{folder}/"), part
