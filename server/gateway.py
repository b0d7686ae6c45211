"""`agora gateway`: the four groups of subgraphs as processes, a worker, and Hive Gateway before them."""

import http.client
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from data.embedded import Engines
from data.embedded.processes import launch, stop
from server.groups import GROUPS, group_of
from server.schema_files import ROOT, SUPERGRAPH_SDL, located
from server.serving import CLEAN_UP_SECONDS, NotReady, listen, stoppable
from server.settings import Settings
from server.supervisor import Supervised, start_command

FOLDER = ROOT / "deploy" / "gateway"
PROGRAM = Path("node_modules") / "@graphql-hive" / "gateway" / "dist" / "bin.js"
START_SECONDS = 240.0

Announce = Callable[[Settings, dict[str, str]], None]


def run(settings: Settings, *, announce: Announce) -> None:
    """Serve the graph through the gateway until a signal ends it, or one of the gateway and the engines does.

    The gateway listens on the port of the settings, the groups on those that follow.

    Raises: NotReady, CannotListen, EngineError, HomeInUse.
    """
    node = shutil.which("node")
    if node is None or not (FOLDER / PROGRAM).exists():
        raise NotReady(f"Run `npm ci` in {FOLDER.relative_to(ROOT)} first; Node 20 or newer is needed.")
    addresses = _addresses(settings)
    with stoppable(), ExitStack() as stack:
        engines = Engines(
            settings.home, database_url=settings.database_url or None, redis_url=settings.redis_url or None
        )
        endpoints = stack.enter_context(engines)
        settings = settings.with_engines(endpoints.database_url, endpoints.redis_url)
        _prepare(settings)
        grace_seconds = settings.drain_seconds + CLEAN_UP_SECONDS
        if settings.worker:
            stack.enter_context(Supervised(settings, "worker", grace_seconds=grace_seconds))
        for group, address in addresses.items():
            serve = ["serve", "--only", group, "--no-graph", "--no-worker", "--no-prepare"]
            port = address.rpartition(":")[2]
            stack.enter_context(Supervised(settings, *serve, "--port", port, grace_seconds=grace_seconds))
        gateway = stack.enter_context(_gateway(settings, node, addresses))
        waited_for = [f"{address}/subgraphs/{GROUPS[group][0]}/health" for group, address in addresses.items()]
        _wait([*waited_for, f"http://127.0.0.1:{settings.port}/readiness"], gateway)
        announce(settings, addresses)
        while gateway.poll() is None and not engines.ended():
            time.sleep(0.5)
        raise NotReady(engines.ended() or f"The gateway ended with exit code {gateway.returncode}.")


def _addresses(settings: Settings) -> dict[str, str]:
    """Give where each group will be, after a look whether all the ports are free."""
    ports = range(settings.port, settings.port + len(GROUPS) + 1)
    for port in ports:
        listen(settings.host, port).close()
    return {group: f"http://127.0.0.1:{port}" for group, port in zip(GROUPS, ports[1:], strict=True)}


def _prepare(settings: Settings) -> None:
    demo = settings.demo if settings.demo is not None else settings.allows("demo")
    if code := start_command(settings, "prepare", "--demo" if demo else "--no-demo").wait():
        raise NotReady(f"The database could not be prepared (exit code {code}).")


@contextmanager
def _gateway(settings: Settings, node: str, addresses: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    supergraph = settings.home / "supergraph.graphql"
    supergraph.write_text(located(SUPERGRAPH_SDL.read_text(), lambda context: addresses[group_of(context)]))
    process = launch(
        [node, str(FOLDER / PROGRAM), "supergraph", str(supergraph), "--config-path", str(FOLDER / "gateway.config.mjs"),
         "--host", settings.host, "--port", str(settings.port)],
        death_signal=signal.SIGTERM,
        environment={**os.environ, **gateway_environment(settings)},
    )  # fmt: skip
    try:
        yield process
    finally:
        stop(process, [(signal.SIGTERM, CLEAN_UP_SECONDS)])


def gateway_environment(settings: Settings) -> dict[str, str]:
    """Give what the gateway reads of the settings."""
    return {
        "AGORA_ROUTER_SECRET": settings.router_key,
        "AGORA_ROUTER_PROOF": settings.router_proof,
        "AGORA_ENVIRONMENT": settings.environment,
        "AGORA_ALLOWED_ORIGINS": ",".join(settings.allowed_origins),
        "AGORA_DEADLINE_SECONDS": str(settings.deadline_seconds),
    }


def _wait(urls: Sequence[str], gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for url in urls:
        while not _answers(url):
            if gateway.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"{url} does not answer.")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 — our own addresses.
            return True
    except (OSError, http.client.HTTPException):
        return False
