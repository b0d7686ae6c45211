"""Child processes that cannot outlive this one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SHIM = Path(__file__).with_name("shim.py")
LOG_LIMIT_BYTES = 16 * 2**20

# Linux sends the death signal when the *thread* that forked ends, so every child is forked by one thread that lasts as long
# as the process does.
_keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-keeper")


class EngineError(Exception):
    """An embedded engine that cannot start; the message is one line for a person at a terminal."""


@dataclass(frozen=True)
class Account:
    """The user whom an engine runs as when this process is root."""

    uid: int
    gid: int


NOBODY = Account(65534, 65534)


def account_for(folder: Path) -> Account | None:
    """The account that must own an engine's folder; None when this process is not root and runs engines as itself.

    Raises:
        EngineError: this process is not root, and the folder is another user's.
    """
    owner = folder.stat() if folder.exists() else None
    if os.geteuid() != 0:
        if owner and owner.st_uid != os.geteuid():
            raise EngineError(
                f"{folder} belongs to user {owner.st_uid}; run as that user, or choose another folder with --home."
            )
        return None
    # A folder made earlier by an ordinary user stays that user's, so that root may look after it without breaking it.
    return Account(owner.st_uid, owner.st_gid) if owner and owner.st_uid != 0 else NOBODY


def own_folder(folder: Path, account: Account | None) -> None:
    """Makes the folder, private to the account."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


def can_enter(account: Account, path: Path) -> bool:
    """Whether the account passes every folder above the path, as far as permission bits tell."""

    def enters(folder: Path) -> bool:
        entry = folder.stat()
        if entry.st_uid == account.uid:
            return bool(entry.st_mode & 0o100)
        return bool(entry.st_mode & (0o010 if entry.st_gid == account.gid else 0o001))

    return all(enters(folder) for folder in path.resolve().parents)


def launch(
    program: Sequence[str | Path],
    *,
    account: Account | None = None,
    folders: Sequence[Path] = (),
    death_signal: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] | None = None,
    errors: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a program that gets `death_signal` when this process ends in whatever way.

    It runs in a session of its own, so that Ctrl-C at the terminal reaches only us and we stop children in order. With an
    account it also gives up root; when that account cannot enter one of the folders or reach the program, it keeps the one
    capability to do so, which is less than what this process itself holds.
    """
    reach = account is not None and not all(can_enter(account, path) for path in (Path(program[0]), *folders))
    options = {
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "uid": account.uid if account else None,
        "gid": account.gid if account else None,
        "reach": reach,
    }
    command = [sys.executable, "-I", "-S", str(SHIM), json.dumps(options), *map(str, program)]

    def fork() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the program is ours and there is no shell.
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None and errors is None else errors,
            env=environment,
            start_new_session=True,
            umask=0o077,
        )

    return _keeper.submit(fork).result()


def engine_environment() -> dict[str, str]:
    """What an engine sees of our environment: nothing that could turn its settings or its language."""
    return {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC"}


def run_to_end(
    program: Sequence[str | Path], *, account: Account | None, folders: Sequence[Path], text: str = "", failure: str
) -> None:
    """Runs a short program of an engine.

    Raises:
        EngineError: it failed; the message is `failure` and the last line that it printed.
    """
    process = launch(
        program,
        account=account,
        folders=folders,
        death_signal=signal.SIGKILL,
        environment=engine_environment(),
        stdin=subprocess.PIPE,
        output=subprocess.PIPE,
    )
    printed, _ = process.communicate(text.encode())
    lines = printed.decode(errors="replace").strip().splitlines()
    if process.returncode != 0 or any("ERROR:" in line or "FATAL:" in line for line in lines):
        raise EngineError(f"{failure}: {lines[-1] if lines else f'exit code {process.returncode}'}")


def stop(process: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends each signal in turn, giving it its seconds, until the process has ended; at last it is killed."""
    for number, patience_seconds in signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_seconds)
    if process.poll() is None:
        process.kill()
    process.wait()


def end_orphans(program: str, folder: Path, patience_seconds: float = 10.0) -> None:
    """Waits for the processes that a killed predecessor left working in the folder, then kills what remains.

    They got their death signal and are about to end; both engines change into their data folder, which is how they are known.
    Only for a caller who holds the folder's lock.
    """
    deadline = time.monotonic() + patience_seconds
    while (orphans := _working_in(program, folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while _working_in(program, folder):
        time.sleep(0.02)


def _working_in(program: str, folder: Path) -> list[int]:
    place = str(folder.resolve())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "comm").read_text().strip() == program and str((entry / "cwd").readlink()) == place:
                found.append(int(entry.name))
    return found


def open_log(file: Path) -> IO[bytes]:
    """The engine's log, opened for appending; a large one is set aside first, and the one set aside before is dropped."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if file.exists() and file.stat().st_size > LOG_LIMIT_BYTES:
        file.replace(file.with_suffix(".1.log"))
    return file.open("ab")


def last_line(file: Path, containing: Sequence[str] = ("",)) -> str:
    """The last line of a log that contains one of the words, for an error message; a hint at the file when there is none."""
    lines = file.read_text(errors="replace").splitlines()[-50:]
    return next((line for line in reversed(lines) if any(word in line for word in containing)), f"see {file}")
