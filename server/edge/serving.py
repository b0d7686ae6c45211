"""The uvicorn server that the edge expects: bounded, strict about text frames, and draining before it stops."""

import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.edge.drain import Drain
from server.edge.settings import EdgeSettings

INVALID_UTF8 = 1007


class StrictTextProtocol(WebSocketsSansIOProtocol):
    """Fails a socket whose text is not UTF-8 without the traceback that uvicorn logs for it."""

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.conn.fail(INVALID_UTF8, "Invalid UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def server_config(app: ASGIApp, settings: EdgeSettings, **options: Any) -> uvicorn.Config:
    """Configure uvicorn for the edge; options go to uvicorn and win.

    Frames are not compressed: an event that many subscribers share would be compressed for each of them.
    """
    chosen: dict[str, Any] = {
        "ws": StrictTextProtocol,
        "ws_max_size": 2 * settings.sockets.max_message_bytes,
        "ws_per_message_deflate": False,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "timeout_keep_alive": 20,
        "timeout_graceful_shutdown": 10,
        "server_header": False,
    }
    return uvicorn.Config(app, **(chosen | options))


class DrainingServer(uvicorn.Server):
    """Drains the edge before it shuts connections down.

    Uvicorn alone closes WebSockets with 1012 before the application hears of the shutdown.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, grace_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace_seconds = grace_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, drain, then let uvicorn end what is left."""
        for listener in self.servers:
            listener.close()
        await self._drain.run(self._grace_seconds)
        await super().shutdown(sockets)
