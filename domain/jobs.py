"""Durable jobs and timers: work that is asked for in the transaction of a change, and done after it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

H = TypeVar("H", bound=Callable[..., Awaitable[Any]])
ATTEMPTS = 10


class JobQueue(Protocol):
    """Asks for jobs within the transaction at hand: a change that is rolled back asks for nothing.

    A job runs in the tenant of the transaction, with its user and correlation id, and its effects happen once.
    """

    async def defer(
        self, name: str, payload: Mapping[str, Any], *, at: datetime | None = None, key: str | None = None
    ) -> None:
        """Ask for a job, at once or at an instant; of one key only one job waits, and asking again moves it."""
        ...

    async def cancel(self, name: str, key: str) -> bool:
        """Withdraw the waiting job of a key; says whether there was one that had not begun."""
        ...


@dataclass(frozen=True)
class Job:
    """What runs under a name: `(payload, work and ports by annotation)`."""

    name: str
    handler: Callable[..., Awaitable[Any]]
    attempts: int = ATTEMPTS


class Jobs:
    """The jobs that one context can do, by name (`context.verb`)."""

    def __init__(self) -> None:
        self.entries: list[Job] = []

    def on(self, name: str, *, attempts: int = ATTEMPTS) -> Callable[[H], H]:
        """Register the handler of a job; failed attempts are repeated with growing pauses."""

        def register(handler: H) -> H:
            self.entries.append(Job(name, handler, attempts))
            return handler

        return register
