"""Everything about the edge that a deployment may choose; defaults are those of development."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from server.edge.cost_weights import AssumedCosts
from server.edge.limits import Limits


@dataclass(frozen=True, slots=True)
class Example:
    """An operation that the explorer opens in a tab of its own."""

    title: str
    query: str
    variables: str = ""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one WebSocket, and all those of one principal in this process, may do."""

    init_timeout_seconds: float = 3.0
    max_message_bytes: int = 128 * 1024
    messages_per_second: float = 50.0
    message_burst: int = 100
    operations_per_connection: int = 50
    connections_per_principal: int = 20
    connections_per_address: int = 200
    send_timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Sizes in bytes and times in seconds where the name says so."""

    path: str = "/graphql"
    title: str = "Agora"
    limits: Limits = field(default_factory=Limits)
    assumed_costs: AssumedCosts = field(default_factory=AssumedCosts)
    sockets: SocketLimits = field(default_factory=SocketLimits)
    max_body_bytes: int = 256 * 1024
    body_timeout_seconds: float = 10.0
    execution_timeout_seconds: float = 30.0
    max_batch: int = 0
    compress_from_bytes: int = 16 * 1024
    keep_alive_seconds: float = 12.0
    allowed_origins: Sequence[str] = ()
    introspection: bool = True
    suggestions: bool = True
    explorer: bool = True
    examples: Sequence[Example] = ()

    def for_production(self) -> Self:
        """The same with introspection, suggestions and the explorer off."""
        return replace(self, introspection=False, suggestions=False, explorer=False)
