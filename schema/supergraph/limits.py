"""How long an operation may take and how large its result may grow."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from graphql import GraphQLError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one operation; None is no limit.

    `seconds` of wall time from the start of execution, `values` counts fields and list items of the result.
    """

    seconds: float | None = None
    values: int | None = None


class Budget:
    """What is left of an operation's limit of values."""

    __slots__ = ("_left", "_limit")

    def __init__(self, limits: Limits) -> None:
        self._limit = self._left = limits.values

    def spend(self, values: int) -> None:
        """Count values of the result.

        Raises: ResultTooLarge.
        """
        if self._left is not None:
            self._left -= values
            if self._left < 0:
                raise ResultTooLarge(self._limit or 0)


async def within(seconds: float | None, work: Awaitable[T]) -> T:
    """Await the work, and cancel it when its time is over.

    Raises: DeadlineExceeded.
    """
    if seconds is None:
        return await work
    try:
        async with asyncio.timeout(seconds) as timeout:
            return await work
    except TimeoutError:
        if timeout.expired():
            raise DeadlineExceeded(seconds) from None
        raise


LimitsOf = Limits | Callable[[Any], Limits]


def limits_of(limits: LimitsOf, context: Any) -> Limits:
    """Return the limits that hold for an operation with this context."""
    return limits if isinstance(limits, Limits) else limits(context)


class DeadlineExceeded(GraphQLError):
    """The operation took longer than it may; what it was still doing is cancelled."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The operation took longer than {seconds:g} seconds.", extensions={"code": "DEADLINE_EXCEEDED"}
        )


class ResultTooLarge(GraphQLError):
    """The operation's result grew beyond what it may."""

    def __init__(self, values: int) -> None:
        super().__init__(f"The result has more than {values} values.", extensions={"code": "RESULT_TOO_LARGE"})
