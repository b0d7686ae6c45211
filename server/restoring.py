"""`agora restore` and `agora verify-backup`: a backup read, checked, loaded beside what there is, and put in its place.

What reaches outside is held back afterwards until `agora release`: the database knows nothing of what its installation has
done since the backup, and would do it again.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from data.backup import ArchiveReader, BackupError, Manifest, ObjectFolder, Target, contradictions, opened
from data.bus import empty_namespace
from data.embedded import EmbeddedPostgres
from server.backup import CrashPoint, nothing
from server.settings import KEY_FILE, Settings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """A backup that has taken its place; `kept` is the name of the database that was there before."""

    manifest: Manifest
    kept: str | None


@dataclass(frozen=True)
class Verified:
    """What a backup is, and each rule with what contradicts it."""

    manifest: Manifest
    rules: list[tuple[str, list[str]]]

    @property
    def sound(self) -> bool:
        return not any(found for _, found in self.rules)


@contextmanager
def reading(source: str, passphrase: str | None) -> Iterator[ArchiveReader]:
    """Open a backup from a file or a store, and read all of it once.

    Raises: BackupError where it is not there, encrypted otherwise, or damaged.
    """
    with _fetched(source) as stream:
        archive = ArchiveReader(opened(stream, passphrase))
        archive.verify()
        yield archive


def run(
    settings: Settings,
    source: str,
    *,
    force: bool = False,
    passphrase: str | None = None,
    tell: Progress = nothing,
    crash_point: CrashPoint = nothing,
) -> Restored:
    """Restore a backup into the database, the store for files and the bus of these settings.

    Until the last step, which is one, everything is as it was; a restore that was interrupted is simply begun again.

    Raises: BackupError.
    """
    with reading(source, passphrase) as archive:
        tell(f"Checked: {archive.manifest.taken_at}, schema {archive.manifest.revision}")
        _check_key(settings, archive)
        target = Target(settings.database_url)
        target.check(archive.manifest, force=force)
        crash_point("checked")
        loaded = target.load(archive)
        crash_point("loaded")
        tell("Loaded the database")
        _put_files(settings, archive)
        _put_key(settings, archive)
        crash_point("files")
        # An emptied bus is filled again from whichever log there is; one that tells of another log would mislead.
        _empty_bus(settings)
        crash_point("emptied")
        kept = target.swap(loaded)
        crash_point("swapped")
        return Restored(archive.manifest, kept)


def verify(source: str, passphrase: str | None = None) -> Verified:
    """Restore a backup into a PostgreSQL of its own, which is thrown away, and check all that must hold.

    Raises: BackupError where it cannot even be restored.
    """
    with tempfile.TemporaryDirectory(prefix="agora-verify-") as folder, reading(source, passphrase) as archive:
        # Engines that root starts run as another user, who must pass through.
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder), durable=False) as engine:
            target = Target(engine.url())
            target.check(archive.manifest, force=False)
            return Verified(archive.manifest, list(contradictions(target.load(archive).url)))


@contextmanager
def _fetched(source: str) -> Iterator[BinaryIO]:
    if not urlsplit(source).scheme:
        try:
            file = Path(source).expanduser().open("rb")
        except OSError as error:
            raise BackupError(f"{source} cannot be read: {error.strerror}.") from error
        with file:
            yield file
        return
    folder, _, name = source.rpartition("/")
    with tempfile.TemporaryFile() as stream:
        if not ObjectFolder(folder).fetch(name, stream):
            raise BackupError(f"There is no {source}.")
        stream.seek(0)
        yield stream


def _check_key(settings: Settings, archive: ArchiveReader) -> None:
    if not settings.has_key:
        if KEY_FILE not in archive.manifest.parts:
            raise BackupError(
                f"The backup needs the secret key that it was taken with, and does not contain it: set AGORA_SECRET_KEY, "
                f"or put the file {KEY_FILE} into {settings.home}."
            )
    elif settings.key_fingerprint != archive.manifest.key_fingerprint:
        raise BackupError(
            "The secret key is another one than that of the backup: what is encrypted in it could not be read. "
            f"Set AGORA_SECRET_KEY to that one, or put its file {KEY_FILE} into {settings.home}."
        )


def _put_key(settings: Settings, archive: ArchiveReader) -> None:
    if not settings.has_key:
        settings.home.mkdir(parents=True, exist_ok=True)
        fresh = settings.home / f"{KEY_FILE}.restored"
        fresh.touch(mode=0o600)
        fresh.write_bytes(b"".join(archive.pieces(KEY_FILE)))
        fresh.replace(settings.home / KEY_FILE)


def _put_files(settings: Settings, archive: ArchiveReader) -> None:
    for folder, url in (("objects", settings.objects_url), ("imports", (settings.home / "imports").as_uri())):
        store = ObjectFolder(url)
        for key, part in archive.below(folder):
            store.put(key, archive.pieces(f"{folder}/{key}"), part.content_type)


def _empty_bus(settings: Settings) -> None:
    try:
        empty_namespace(settings.redis_url, settings.redis_namespace)
    except RedisError as error:
        raise BackupError(f"Redis cannot be reached, and its events would belong to another log: {error}") from error
