"""The uvicorn server that the edge expects: bounded, strict about text frames, and draining before it stops."""

import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from server.edge.drain import Drain
from server.edge.settings import EdgeSettings

INVALID_UTF8 = 1007
SEND_NOW = "agora.send_now"
# The first bytes of an unfragmented text frame from a server, by the size of the length that follows (RFC 6455, 5.2).
_TEXT, _TEXT_16, _TEXT_64 = b"\x81", b"\x81\x7e", b"\x81\x7f"


class EdgeProtocol(WebSocketsSansIOProtocol):
    """Fails a socket whose text is not UTF-8 without the traceback that uvicorn logs for it, and sends shared texts at once.

    An application finds the latter in its scope's extensions: a text that goes to thousands of sockets must not pass
    through a task, a lock and a state machine for each of them.
    """

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[SEND_NOW] = self.send_now

    def send_now(self, text: bytes) -> bool:
        """Write a text frame; false, and nothing is written, where the socket takes nothing at the moment."""
        if self.disconnected or self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        length = len(text)
        if length < 126:
            head = _TEXT + length.to_bytes(1)
        elif length < 65_536:
            head = _TEXT_16 + length.to_bytes(2)
        else:
            head = _TEXT_64 + length.to_bytes(8)
        self.transport.write(head + text)
        return True

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
        "ws": EdgeProtocol,
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

    def __init__(
        self, config: uvicorn.Config, drain: Drain, grace_seconds: float, handover_seconds: float = 0.0
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace_seconds = grace_seconds
        self._handover_seconds = handover_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hand over, stop listening, drain, then let uvicorn end what is left."""
        await self._drain.hand_over(self._handover_seconds)
        for listener in self.servers:
            listener.close()
        await self._drain.run(self._grace_seconds)
        await super().shutdown(sockets)
