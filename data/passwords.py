"""Passwords as argon2id hashes, made in a few threads of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from domain.kernel import Unavailable

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Argon2Cost:
    """What a hash costs: memory in KiB, passes over it, and lanes.

    Source: OWASP Password Storage Cheat Sheet, argon2id with 19 MiB, 2 passes, 1 lane.
    """

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


class Argon2Hasher:
    """The domain's `PasswordHasher`: at most `threads` hashes at a time, and at most `queue` callers waiting."""

    def __init__(self, cost: Argon2Cost | None = None, *, threads: int = 2, queue: int = 200) -> None:
        cost = cost or Argon2Cost()
        self._argon2 = argon2.PasswordHasher(
            memory_cost=cost.memory_kib, time_cost=cost.passes, parallelism=cost.lanes, type=argon2.Type.ID
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._free = threads + queue
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Compared with where there is no hash, so that an unknown account costs what a known one does.
        self._decoy = self._argon2.hash("a password that nobody has")

    async def hash(self, password: str) -> str:
        return await self._aside(self._argon2.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        fits = await self._aside(self._fits, password_hash or self._decoy, password)
        # Accounts that came by a provider have an empty hash, and the decoy is no password of theirs.
        return fits and bool(password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        return self._argon2.check_needs_rehash(password_hash)

    @asynccontextmanager
    async def in_turn(self, subject: str) -> AsyncIterator[None]:
        lock = self._turns.setdefault(subject, asyncio.Lock())
        async with lock:
            yield

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _aside(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._free <= 0:
            raise Unavailable(part="The log-in")
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))
        finally:
            self._free += 1
