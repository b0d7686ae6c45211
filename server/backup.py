"""`agora backup`: one archive of the database at one instant, the files that it refers to, and the settings without secrets."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import orjson

from data.backup import ArchiveWriter, BackupError, Manifest, ObjectFolder, Snapshot, dump, sealed, snapshot
from data.backup.programs import find_program
from data.backup.restoring import DUMP
from server.misconfiguration import listed
from server.settings import KEY_FILE, Settings

SUFFIX = ".agora"
PARTIAL = ".partial"
PRIVATE = 0o600
CrashPoint = Callable[[str], None]


def nothing(_point: str) -> None:
    """No crash is rehearsed here."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a backup is to be like. `output` is a file, a folder, or the URL of a folder in a store."""

    output: str = ""
    keep: int | None = None
    passphrase: str | None = None
    include_secret_key: bool = False


@dataclass(frozen=True)
class Taken:
    """A backup that is complete."""

    place: str
    size_bytes: int
    manifest: Manifest
    removed: list[str]


def run(settings: Settings, wanted: Wanted, crash_point: CrashPoint = nothing) -> Taken:
    """Take a backup while everything goes on; whatever fails, nothing that is incomplete has the name of a backup.

    Raises: BackupError.
    """
    if wanted.include_secret_key and not wanted.passphrase:
        raise BackupError("The secret key goes into encrypted backups only; give a passphrase with --passphrase-file.")
    if wanted.keep is not None and wanted.keep < 1:
        raise BackupError("At least one backup has to be kept.")
    now = datetime.now(UTC)
    place = _place(settings, wanted.output, now)
    with _partial(place.local) as (stream, complete):
        with _sealed(stream, wanted.passphrase) as target:
            manifest = _write(settings, wanted, target, now, crash_point)
        crash_point("written")
        size_bytes = complete(crash_point)
    if place.store is not None:
        try:
            with place.local.open("rb") as file:
                place.store.put(place.name, iter(lambda: file.read(1024 * 1024), b""))
        finally:
            place.local.unlink()
        crash_point("uploaded")
    return Taken(place.shown, size_bytes, manifest, place.thin_out(wanted.keep))


@dataclass(frozen=True)
class _Place:
    """Where a backup goes; one for a store is made whole in a local file first."""

    local: Path
    store: ObjectFolder | None
    name: str
    shown: str

    def thin_out(self, keep: int | None) -> list[str]:
        """Throw away the oldest backups beside this one, but for so many; their names are dates, so they sort by age."""
        if keep is None:
            return []
        if self.store is not None:
            old = [key for key in self.store.listed() if _is_dated(key)][:-keep]
            for key in old:
                self.store.delete(key)
            return old
        files = sorted(file for file in self.local.parent.iterdir() if _is_dated(file.name))[:-keep]
        for file in files:
            file.unlink()
        return [file.name for file in files]


def _place(settings: Settings, output: str, now: datetime) -> _Place:
    name = f"agora-{now:%Y%m%dT%H%M%S%fZ}{SUFFIX}"
    if urlsplit(output).scheme:
        # Whoever asks for this very file would lose the dates by which old ones are known.
        url = output.rstrip("/")
        return _Place(settings.home / "backups" / name, ObjectFolder(url), name, f"{url}/{name}")
    path = Path(output).expanduser().absolute() if output else settings.home / "backups"
    local = path / name if path.is_dir() or not output or output.endswith("/") else path
    return _Place(local, None, name, str(local))


def _is_dated(name: str) -> bool:
    return name.startswith("agora-") and name.endswith(f"Z{SUFFIX}") and "/" not in name


@contextmanager
def _partial(place: Path) -> Iterator[tuple[BinaryIO, Callable[[CrashPoint], int]]]:
    """Give a file beside the place, and what makes it the file of that place once it is on the disk."""
    partial = place.with_name(place.name + PARTIAL)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        stream = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE), "w+b")
    except OSError as error:
        raise BackupError(f"{place} cannot be written: {error.strerror}.") from error

    def complete(crash_point: CrashPoint) -> int:
        stream.flush()
        os.fsync(stream.fileno())
        size = stream.seek(0, os.SEEK_END)
        crash_point("synced")
        partial.replace(place)
        crash_point("renamed")
        return size

    try:
        with stream:
            yield stream, complete
    except OSError as error:
        raise BackupError(f"{place} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def _sealed(stream: BinaryIO, passphrase: str | None) -> Iterator[BinaryIO]:
    if not passphrase:
        yield stream
        return
    # Left by an error it stays open and is thrown away: closing writes the piece that says that it is complete.
    sealing = sealed(stream, passphrase)
    yield sealing
    sealing.close()


def _write(settings: Settings, wanted: Wanted, target: BinaryIO, now: datetime, crash_point: CrashPoint) -> Manifest:
    with snapshot(settings.database_url) as of:
        crash_point("snapshot")
        archive = ArchiveWriter(target)
        archive.add(DUMP, dump(of), packed=True)
        crash_point("dumped")
    # Objects never change under their keys, and what is thrown away meanwhile nobody misses: the instant may end before.
    missing = _add_files(settings, of, archive)
    archive.add("settings.json", [orjson.dumps(listed(settings), option=orjson.OPT_INDENT_2)])
    if wanted.include_secret_key:
        archive.add(KEY_FILE, [settings.root_key])
    crash_point("files")
    manifest = Manifest(
        agora=installed_version("agora"),
        taken_at=now.isoformat(),
        postgres=of.postgres,
        dumped_by=find_program("pg_dump", of.postgres)[1],
        revision=of.revision,
        tenants=of.tenants,
        position=of.position,
        key_fingerprint=settings.key_fingerprint,
        defaults=of.defaults,
        missing=missing,
        parts=archive.parts,
    )
    archive.finish(manifest)
    return manifest


def _add_files(settings: Settings, of: Snapshot, archive: ArchiveWriter) -> list[str]:
    """Add the files that the snapshot refers to; gives those that are not there."""
    missing = []
    for folder, url, keys in (
        ("objects", settings.objects_url, of.objects),
        ("imports", (settings.home / "imports").as_uri(), of.imports),
    ):
        store = ObjectFolder(url)
        for key in keys:
            if (found := store.read(key)) is None:
                missing.append(f"{folder}/{key}")
            else:
                archive.add(f"{folder}/{key}", found[0], content_type=found[1])
    return missing
