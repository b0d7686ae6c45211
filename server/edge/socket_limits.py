"""What a WebSocket may do: how fast it may talk, and how many long-lived connections one principal may hold."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from server.edge.refusal import TransportRefusal

ADDRESS = "address:"
"""What the key of a guest begins with."""


class MessageBudget:
    """A token bucket for incoming messages, refilled per second."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = float(burst)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Count a message; false when it is one too many."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class TooManyConnections(TransportRefusal):
    """The principal holds as many sockets and event streams as it may."""

    status = 429


class Tickets:
    """Counts the open sockets and event streams of each principal in this process.

    Guests are counted by their address, and one address may be that of many people.
    """

    def __init__(self, per_principal: int, per_address: int | None = None) -> None:
        self._per_principal = per_principal
        self._per_address = per_address or per_principal
        self._held: Counter[str] = Counter()

    @contextmanager
    def held(self, principal: str) -> Iterator[None]:
        """Hold a ticket.

        Raises: TooManyConnections.
        """
        if not self.take(principal):
            limit = self._limit(principal)
            raise TooManyConnections(f"At most {limit} connections may be open.", limit=limit)
        try:
            yield
        finally:
            self.give_back(principal)

    def take(self, principal: str) -> bool:
        """Count a connection; false when the principal holds as many as it may."""
        if self._held[principal] >= self._limit(principal):
            return False
        self._held[principal] += 1
        return True

    def _limit(self, principal: str) -> int:
        return self._per_address if principal.startswith(ADDRESS) else self._per_principal

    def give_back(self, principal: str) -> None:
        self._held[principal] -= 1
        if not self._held[principal]:
            del self._held[principal]


def unix_now() -> float:
    return time.time()
