"""A real replica of the tests' PostgreSQL: a base backup that follows the primary by streaming."""

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg

from data.embedded.binaries import postgres_programs
from data.embedded.home import socket_folder
from data.embedded.postgres import SETTINGS, THROWAWAY
from data.embedded.processes import account_for, engine_environment, launch, own_folder, run_to_end, stop

PATIENCE_SECONDS = 60.0


class StreamingReplica:
    """One replica in a folder; `url` is that of the primary, with another socket."""

    def __init__(self, home: Path, primary_url: str) -> None:
        self._home = home
        self._primary_url = primary_url
        self._data = home / "replica"
        self._process: subprocess.Popen[bytes] | None = None
        self._account = account_for(self._data)
        self._sockets = socket_folder(home, "replica", self._account)
        self.url = f"{primary_url.split('?', maxsplit=1)[0]}?host={quote(str(self._sockets))}"

    def __enter__(self) -> Self:
        own_folder(self._data, self._account)
        command: list[Any] = [
            postgres_programs() / "pg_basebackup",
            "-D",
            self._data.resolve(),
            "-d",
            self._primary_url,
        ]
        run_to_end(
            [*command, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"],
            account=self._account,
            folders=[self._data],
            failure="no base backup",
        )
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        settings = SETTINGS | THROWAWAY | {"unix_socket_directories": str(self._sockets), "hot_standby": "on"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "replica.log").open("ab") as output:
            self._process = launch(
                [postgres_programs() / "postgres", "-D", self._data.resolve(), *flags],
                account=self._account,
                folders=[self._data, self._sockets],
                death_signal=signal.SIGINT,
                environment=engine_environment(),
                output=output,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.ask("SELECT 1")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._home / "replica.log").read_text()[-3_000:]
                time.sleep(0.02)
            else:
                return

    def ask(self, statement: str) -> Any:
        """Run a statement as the owner, and give the first value of its answer."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None

    def pause(self) -> None:
        """Let what arrives wait to be replayed."""
        self.ask("SELECT pg_wal_replay_pause()::text")

    def resume(self) -> None:
        """Go on replaying."""
        self.ask("SELECT pg_wal_replay_resume()::text")

    def kill(self) -> None:
        """End it at once, with everybody's connections."""
        if self._process is not None:
            stop(self._process, [(signal.SIGQUIT, 10.0)])
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._sockets, ignore_errors=True)
