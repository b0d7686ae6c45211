"""The home folder: who uses it now, and where its sockets lie."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from data.embedded.processes import Account, EngineError, own_folder

SOCKET_PATH_BYTES = 100  # The kernel's limit is 108 on Linux and 104 on macOS, with the closing NUL.


class HomeInUse(EngineError):
    """Another living process holds the home (or one engine's part of it)."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.home, self.pid = home, pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{home} is in use by {holder}; stop it, or choose another folder with --home.")


class HomeLock:
    """An exclusive claim on the home that the kernel gives back when the process ends, however it ends."""

    def __init__(self, home: Path, name: str = "agora") -> None:
        self.home = home
        self.file = home / f"{name}.lock"
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Takes the lock or refuses at once.

        Raises:
            HomeInUse: another process, or another part of this one, holds it.
            EngineError: the home cannot be made or written to.
        """
        try:
            make_home(self.home)
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EngineError(
                f"The home folder {self.home} cannot be used: {error.strerror}; choose another with --home."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise HomeInUse(self.home, self.holder()) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        # The file stays: removing it would let a third process lock a new file beside one that still waits for the old.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The pid written by whoever locked the file last."""
        text = self.file.read_text().strip() if self.file.exists() else ""
        return int(text) if text.isdigit() else None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def make_home(home: Path) -> None:
    """Makes the home folder, which only its owner may list."""
    if not home.exists():
        home.mkdir(parents=True)
        # Engines started by root run as another user, who must pass through to the folder of its own.
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def socket_folder(home: Path, name: str, account: Account | None) -> Path:
    """An empty private folder whose path is short enough for a unix socket: in the home, or else in /tmp.

    Only for a caller who holds the lock of that engine: sockets of a killed predecessor are cleared away.
    """
    inside = home.resolve() / "run" / name
    if len(os.fsencode(inside / ".s.PGSQL.5432.lock")) < SOCKET_PATH_BYTES:
        inside.parent.mkdir(mode=0o711, exist_ok=True)
        return _emptied(inside, account)
    digest = hashlib.blake2b(os.fsencode(home.resolve()), digest_size=6).hexdigest()
    outside = Path("/tmp") / f"agora-{os.geteuid()}-{digest}-{name}"  # noqa: S108 - its owner is checked before use.
    owners = {os.geteuid(), account.uid if account else os.geteuid()}
    if outside.is_symlink() or (outside.exists() and outside.stat().st_uid not in owners):
        outside = Path(tempfile.mkdtemp(prefix="agora-", dir="/tmp"))
    return _emptied(outside, account)


def _emptied(folder: Path, account: Account | None) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    own_folder(folder, account)
    return folder
