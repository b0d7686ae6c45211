"""Both engines of a home, and the way for a second process to use those that already run."""

import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from data.embedded.home import HomeInUse, HomeLock
from data.embedded.postgres import EmbeddedPostgres
from data.embedded.valkey import EmbeddedValkey

ATTACH_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Endpoints:
    """Where the engines listen, and the process that holds them; a URL given from outside passes through unchanged."""

    database_url: str
    redis_url: str
    pid: int


class Engines:
    """The engines that a home needs: embedded ones, except where a URL of a server is given.

    Entering takes the home's lock. With attach=True, a home that another process serves lends its running engines instead.
    """

    def __init__(
        self,
        home: Path,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        durable: bool = True,
        attach: bool = False,
    ) -> None:
        self.home = home
        self.durable = durable
        self.attach = attach
        self.attached = False
        self.endpoints: Endpoints | None = None
        self._given = (database_url, redis_url)
        self._published = home / "engines.json"
        self._stack = ExitStack()
        self._running: list[EmbeddedPostgres | EmbeddedValkey] = []

    def start(self) -> Endpoints:
        """Starts what is needed and publishes where it listens, for this user's other processes.

        Raises:
            HomeInUse: another process serves this home, and attach is off (or it never became ready).
            EngineError: an engine cannot start.
        """
        if all(self._given):
            # With no engine of its own a home needs no lock: several processes may share its files.
            self.endpoints = Endpoints(self._given[0] or "", self._given[1] or "", os.getpid())
            return self.endpoints
        try:
            self._stack.enter_context(HomeLock(self.home))
        except HomeInUse as refusal:
            if not self.attach:
                raise
            self.endpoints = self._of_running(refusal)
            self.attached = True
            return self.endpoints
        try:
            self.endpoints = self._start_own()
        except BaseException:
            self._stack.close()
            raise
        return self.endpoints

    def stop(self) -> None:
        """Ends the engines that this object started, the last one first."""
        self._running.clear()
        self._stack.close()

    def ended(self) -> str | None:
        """Names an engine of ours that ended by itself, with its log; None as long as all run."""
        return next(
            (f"{engine.name} ended unexpectedly; see {engine.log}" for engine in self._running if not engine.runs()),
            None,
        )

    def _start_own(self) -> Endpoints:
        database_url, redis_url = self._given
        self._published.unlink(missing_ok=True)
        if database_url is None:
            database_url = self._run(EmbeddedPostgres(self.home, durable=self.durable))
        if redis_url is None:
            redis_url = self._run(EmbeddedValkey(self.home, durable=self.durable))
        endpoints = Endpoints(database_url, redis_url, os.getpid())
        self._publish(endpoints)
        return endpoints

    def _run(self, engine: EmbeddedPostgres | EmbeddedValkey) -> str:
        self._stack.enter_context(engine)
        self._running.append(engine)
        return engine.url()

    def _publish(self, endpoints: Endpoints) -> None:
        fresh = self._published.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(endpoints)))
        fresh.replace(self._published)
        self._stack.callback(self._published.unlink, missing_ok=True)

    def _of_running(self, refusal: HomeInUse) -> Endpoints:
        deadline = time.monotonic() + ATTACH_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                endpoints = Endpoints(**json.loads(self._published.read_text()))
            except FileNotFoundError:
                endpoints = None
            if endpoints and endpoints.pid == refusal.pid:
                return endpoints
            time.sleep(0.05)
        raise refusal

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
