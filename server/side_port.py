"""A port of its own for those who watch over a process: its metrics and its health, away from the public one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

log = structlog.get_logger("agora.side_port")

GRACE_SECONDS = 2


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them."""
        yield


@asynccontextmanager
async def side_port(host: str, port: int | None, routes: Sequence[BaseRoute]) -> AsyncIterator[int | None]:
    """Serve routes on another port while the block runs, in the same event loop; gives the port, None where there is none.

    Raises: OSError where the port is taken.
    """
    if port is None:
        yield None
        return
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken: int = listener.getsockname()[1]
    config = uvicorn.Config(
        Starlette(routes=list(routes)),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Quiet(config)
    serving = asyncio.ensure_future(server.serve([listener]))
    log.info("side_port.listening", host=host, port=taken)
    try:
        yield taken
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=GRACE_SECONDS + 1)
        serving.cancel()
        listener.close()
