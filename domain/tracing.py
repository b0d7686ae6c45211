"""Where work says what it is doing, for traces: nothing listens until a tracer is installed, and then only to what it samples.

A span's attributes are names and numbers that the code itself knows, and ids; never what somebody wrote.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

Attribute = str | bool | int | float
Attributes = Mapping[str, Attribute]
TRACEPARENT = "traceparent"
"""Under which name the metadata of an event, a job's payload and a saga's data say what they follow from (W3C Trace Context)."""


class SpanKind(StrEnum):
    """What a span's work is to others: asked of us, asked by us, taken from a queue, or nobody else's business."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work that is traced."""

    def note(self, attributes: Attributes) -> None:
        """Say more about it."""
        ...

    def fail(self, error: BaseException | str) -> None:
        """Say that it failed, and on what kind of error; the error's own words may hold anything and stay out."""
        ...


class _NoSpan:
    def note(self, attributes: Attributes) -> None:
        """Nobody listens."""

    def fail(self, error: BaseException | str) -> None:
        """Nobody listens."""


NO_SPAN: Span = _NoSpan()
NOTHING: AbstractContextManager[Span] = nullcontext(NO_SPAN)
"""What stands for a span where there is none."""


class Tracer(Protocol):
    """Keeps spans; whoever opens one is below the one that is open in the same task."""

    def span(self, name: str, attributes: Attributes = ..., kind: SpanKind = ...) -> AbstractContextManager[Span]:
        """Open a span below the current one; where that is not sampled or there is none, nothing is kept."""
        ...

    def entry(
        self,
        name: str,
        attributes: Attributes = ...,
        kind: SpanKind = ...,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
    ) -> AbstractContextManager[Span]:
        """Open the first span of a trace, below a caller's `parent` or linked to what it follows from."""
        ...

    def current(self) -> Span:
        """Give the open span of this task."""
        ...

    def traceparent(self) -> str | None:
        """Give the open span as others are told of it."""
        ...

    def ids(self) -> tuple[str, str] | None:
        """Give the ids of trace and span that are open, in hexadecimal digits."""
        ...


class _Installed:
    tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Have a tracer listen in this process, or nobody any more."""
    _Installed.tracer = tracer


def tracer() -> Tracer | None:
    """Give who listens; on paths that are walked thousands of times a second this is asked before anything is said."""
    return _Installed.tracer


def span(
    name: str, attributes: Attributes | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> AbstractContextManager[Span]:
    """Open a span below the current one, if anybody listens."""
    listening = _Installed.tracer
    return NOTHING if listening is None else listening.span(name, attributes or {}, kind)


def followed_from(
    name: str, origins: Sequence[str | None], attributes: Attributes, kind: SpanKind = SpanKind.CONSUMER
) -> AbstractContextManager[Span]:
    """Open a trace of its own for what follows from work that is over, linked to that, if anybody listens."""
    listening = _Installed.tracer
    if listening is None:
        return NOTHING
    return listening.entry(name, attributes, kind, links=[each for each in dict.fromkeys(origins) if each])


def traceparent() -> str | None:
    """Give the open span as those are told of it who will follow from it."""
    listening = _Installed.tracer
    return None if listening is None else listening.traceparent()
