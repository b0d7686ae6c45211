"""Child processes of `agora serve`: they end with it, and come back when they crash."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

import structlog

from data.embedded.processes import launch, stop
from server.settings import Settings

log = structlog.get_logger("agora.supervisor")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
HEALTHY_AFTER_SECONDS = 60.0
"""A child that lived so long is restarted at once when it ends, as if for the first time."""


def start_command(settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts another `agora` command with these settings; it is killed when this process ends.

    Killed, not asked: every change of a command is a transaction, and nothing may be left running when serve is killed.
    """
    return launch(
        [sys.executable, "-m", "server.cli", *arguments],
        death_signal=signal.SIGKILL,
        environment={**os.environ, **settings.as_environment()},
    )


class Supervised:
    """A command that runs as long as the `with` block does, restarted with growing pauses whenever it ends."""

    def __init__(self, settings: Settings, *arguments: str, grace_seconds: float = 10.0) -> None:
        self._settings = settings
        self._arguments = arguments
        self._grace_seconds = grace_seconds
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name=f"keep-{arguments[0]}", daemon=True)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self._start()
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with self._starting:
            process = self._process
        if process is not None:
            stop(process, [(signal.SIGTERM, self._grace_seconds)])
        self._keeper.join()

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._starting:
            if self._stopping.is_set():
                return None
            self._process = start_command(self._settings, *self._arguments)
            return self._process

    def _keep(self) -> None:
        process, pause_seconds, started = self._process, FIRST_PAUSE_SECONDS, time.monotonic()
        while process is not None:
            code = process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > HEALTHY_AFTER_SECONDS:
                pause_seconds = FIRST_PAUSE_SECONDS
            log.error("child ended", child=self._arguments[0], exit_code=code, restart_in_seconds=pause_seconds)
            self._stopping.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            process, started = self._start(), time.monotonic()
