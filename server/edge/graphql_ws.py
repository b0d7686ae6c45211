"""graphql-transport-ws: the endpoint that sockets come to.

Source: the GraphQL over WebSocket protocol of the npm package graphql-ws.
"""

from starlette.types import Receive, Scope, Send

from server.edge.csrf import is_origin_allowed
from server.edge.drain import Drain
from server.edge.pipeline import Pipeline
from server.edge.sessions import Sessions
from server.edge.settings import EdgeSettings
from server.edge.socket_limits import Tickets
from server.edge.ws_connection import Close, Connection

SUBPROTOCOL = "graphql-transport-ws"


class GraphQLWebSocket:
    """Checks origin and subprotocol, then gives each socket a `Connection`; the older protocol graphql-ws is refused."""

    def __init__(
        self, settings: EdgeSettings, pipeline: Pipeline, sessions: Sessions, drain: Drain, tickets: Tickets
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._sessions = sessions
        self._drain = drain
        self._tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if not is_origin_allowed(dict(scope["headers"]), self._settings.allowed_origins):
            await send({"type": "websocket.close", "code": Close.FORBIDDEN})
        elif SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            reason = "Subprotocol not acceptable"
            await send({"type": "websocket.close", "code": Close.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
        else:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            connection = Connection(
                scope, receive, send, self._settings.sockets, self._pipeline, self._sessions, self._drain, self._tickets
            )
            await connection.run()
