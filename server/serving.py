"""`agora serve`: the port, the engines, the database, the worker and the HTTP server, started in order and stopped in reverse."""

import errno
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop

from data.embedded import Engines
from schema.graph import CONTEXTS
from server.edge.drain import Drain
from server.edge.serving import DrainingServer, server_config
from server.edge.settings import EdgeSettings
from server.memory import settle
from server.settings import Settings
from server.supervisor import Supervised, start_command

log = structlog.get_logger("agora.serve")

BACKLOG = 2048
CLEAN_UP_SECONDS = 2.0
"""What a worker may take beyond draining, to close its connections."""
WATCH_EVERY_TICKS = 10  # A tick of uvicorn's main loop takes 0.1 s.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotListen(Exception):
    """The address cannot be listened on; the message is one line for a person at a terminal."""


class UnknownContext(Exception):
    """There is no subgraph of that name."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"There is no context {', '.join(names)}; there are {', '.join(CONTEXTS)}.")


class NotReady(Exception):
    """The server stopped before it could serve; what happened has been logged or printed."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already: whoever connects while the server starts is answered when it is ready.

    Raises:
        CannotListen: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"Port {port} on {host} is taken by another program; choose another with --port."
            ) from error
        raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return listener


def serve(
    settings: Settings,
    only: Sequence[str] = (),
    *,
    announce: Callable[[Settings, Engines], None],
    prepare: bool = True,
) -> None:
    """Serves until a signal ends it, or an engine does.

    With `only`, just these subgraphs, on the engines of the process that serves the home, if there is one. Without `prepare`
    the database is taken as it is.

    Raises:
        UnknownContext, CannotListen: before anything was started.
        HomeInUse: another process serves this home.
        EngineError: an engine cannot start, or ended while serving.
        NotReady: the database could not be prepared or the application did not start.
    """
    if unknown := sorted(set(only) - set(CONTEXTS)):
        raise UnknownContext(unknown)
    with stoppable(), ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        engines = Engines(
            settings.home,
            database_url=settings.database_url or None,
            redis_url=settings.redis_url or None,
            attach=bool(only),
        )
        endpoints = stack.enter_context(engines)
        demo = settings.demo if settings.demo is not None else settings.allows("demo") and not settings.database_url
        settings = settings.with_engines(endpoints.database_url, endpoints.redis_url, port=listener.getsockname()[1])
        app = _prepared_app(settings, only, prepare=prepare and not engines.attached, demo=demo)
        if settings.worker and not engines.attached:
            stack.enter_context(Supervised(settings, "worker", grace_seconds=settings.drain_seconds + CLEAN_UP_SECONDS))
        _serve_http(app, settings, listener, engines, lambda: announce(settings, engines))


def _prepared_app(settings: Settings, only: Sequence[str], *, prepare: bool, demo: bool) -> Any:
    """Builds the application here while a child process migrates: side by side, and its memory is given back."""
    if not settings.migrate:
        _refuse_to_lag(settings)
    prepare = prepare and settings.migrate
    preparation = start_command(settings, "prepare", "--demo" if demo else "--no-demo") if prepare else None
    app = resolve_name("server.app:build")(settings, only or None)
    if preparation and (code := preparation.wait()) != 0:
        raise NotReady(f"The database could not be prepared (exit code {code}).")
    return app


def _refuse_to_lag(settings: Settings) -> None:
    # A schema that is ahead is one that a newer version has only added to.
    if lacking := resolve_name("data.migrations:pending")(settings.database_url):
        raise NotReady(f"The database lacks {len(lacking)} migrations; run `agora migrate` first.")


def _serve_http(
    app: Any, settings: Settings, listener: socket.socket, engines: Engines, announce: Callable[[], None]
) -> None:
    config = server_config(
        app,
        EdgeSettings(),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        # Its lines would have whatever stands in a query string: variables, and tokens of people who err.
        access_log=False,
        timeout_graceful_shutdown=int(settings.drain_seconds) + 1,
    )
    server = Server(config, settings, engines, announce)
    try:
        uvloop.run(server.serve(sockets=[listener]))
    finally:
        # From here on everything stops in order within seconds; an impatient second Ctrl-C must not tear that apart.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    if server.failure:
        raise NotReady(server.failure)
    if not server.started:
        raise NotReady("The application did not start.")


class Server(DrainingServer):
    """The HTTP server, which says when it is ready and stops when an engine has ended."""

    def __init__(
        self, config: uvicorn.Config, settings: Settings, engines: Engines, announce: Callable[[], None]
    ) -> None:
        drain = getattr(getattr(config.app, "state", None), "drain", None) or Drain()
        super().__init__(config, drain, settings.drain_seconds, settings.handover_seconds)
        self.failure: str | None = None
        self._engines = engines
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            settle()
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        if counter % WATCH_EVERY_TICKS == 0 and (ended := self._engines.ended()):
            self.failure, self.should_exit = ended, True
        return await super().on_tick(counter)


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends the block, in order, on any of the signals that ask a process to stop."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            # A closed terminal stops us as SIGTERM does; the HTTP server listens to that one only.
            signal.raise_signal(signal.SIGTERM)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in STOP_SIGNALS}
    started = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        log.debug("stopped", after_seconds=round(time.monotonic() - started, 1))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
