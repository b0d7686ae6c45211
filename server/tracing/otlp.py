"""The tracer on OpenTelemetry's SDK: spans go by OTLP over HTTP, in batches, from a thread of their own."""

import os
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from importlib.metadata import version
from time import time_ns
from types import TracebackType
from typing import Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind as OtelKind

from domain.tracing import NO_SPAN, NOTHING, Attributes, Span, SpanKind
from server.tracing.parents import parse, written

KINDS = {
    SpanKind.INTERNAL: OtelKind.INTERNAL,
    SpanKind.SERVER: OtelKind.SERVER,
    SpanKind.CLIENT: OtelKind.CLIENT,
    SpanKind.CONSUMER: OtelKind.CONSUMER,
}
_NONE: Attributes = {}
_UNLINKED: Sequence[str] = ()


class OtlpTracer:
    """Implements `Tracer`; of what is not sampled only the outermost span is known, and it is sent when it fails.

    `ratio` of all traces are sampled, by their ids, so that several processes agree.
    """

    def __init__(self, endpoint: str, process: str, ratio: float, *, processor: SpanProcessor | None = None) -> None:
        resource = {
            "service.name": "agora",
            "service.version": version("agora"),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            "agora.process": process,
        }
        self._ids = RandomIdGenerator()
        self._sampler = TraceIdRatioBased(ratio)
        self._current: ContextVar[_Open | _Unsampled | None] = ContextVar("span", default=None)
        # What is sampled is decided here, before anything is made of a span that nobody will see.
        known = Ids(self._ids)
        self._known = known
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource.create(resource), id_generator=known)
        exporter = f"{endpoint.rstrip('/')}/v1/traces"
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter(endpoint=exporter)))
        self._tracer = self._provider.get_tracer("agora")

    def close(self) -> None:
        """Send what waits, and stop."""
        self._provider.shutdown()

    def span(
        self, name: str, attributes: Attributes = _NONE, kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        """Open a span below the current one; where that is not sampled or there is none, nothing is kept."""
        above = self._current.get()
        if not isinstance(above, _Open):
            return NOTHING
        made = self._tracer.start_span(name, above.context, KINDS[kind], attributes)
        return _Open(self._current, made)

    def entry(
        self,
        name: str,
        attributes: Attributes = _NONE,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        parent: str | None = None,
        links: Sequence[str] = _UNLINKED,
    ) -> AbstractContextManager[Span]:
        """Open the first span of a trace; what follows from something that is sampled is sampled too."""
        caller = parse(parent)
        origins = [found for each in links if (found := parse(each)) is not None]
        trace_id = caller.trace_id if caller else self._ids.generate_trace_id()
        sampled = (
            bool(caller.trace_flags.sampled)
            if caller
            else any(each.trace_flags.sampled for each in origins) or self._samples(trace_id)
        )
        above = set_span_in_context(NonRecordingSpan(caller), Context()) if caller else Context()
        begin = _Beginning(name, dict(attributes), KINDS[kind], above, [Link(each) for each in origins])
        if not sampled:
            return _Unsampled(self, begin, trace_id)
        return _Open(self._current, self.begun(begin, trace_id))

    def begun(
        self, begin: "_Beginning", trace_id: int, span_id: int | None = None, start: int | None = None
    ) -> OtelSpan:
        """Make the first span of a trace with ids that are known already."""
        self._known.next = (trace_id, span_id)
        return self._tracer.start_span(begin.name, begin.above, begin.kind, begin.attributes, begin.links, start)

    def current(self) -> Span:
        """Give the open span of this task."""
        return self._current.get() or NO_SPAN

    def traceparent(self) -> str | None:
        """Give the open span as others are told of it."""
        found = self._current.get()
        return None if found is None else written(found.identity)

    def ids(self) -> tuple[str, str] | None:
        """Give the ids of trace and span that are open, in hexadecimal digits."""
        found = self._current.get()
        return None if found is None else (f"{found.identity.trace_id:032x}", f"{found.identity.span_id:016x}")

    def _samples(self, trace_id: int) -> bool:
        return self._sampler.should_sample(None, trace_id, "").decision is Decision.RECORD_AND_SAMPLE

    @property
    def place(self) -> "ContextVar[_Open | _Unsampled | None]":
        return self._current

    def new_span_id(self) -> int:
        return self._ids.generate_span_id()


class Ids(RandomIdGenerator):
    """Gives the ids that were laid ready for the next span, else random ones."""

    def __init__(self, random: RandomIdGenerator) -> None:
        self._random = random
        self.next: tuple[int | None, int | None] = (None, None)

    def generate_span_id(self) -> int:
        trace_id, span_id = self.next
        self.next = (trace_id, None)
        return span_id or self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        trace_id, span_id = self.next
        self.next = (None, span_id)
        return trace_id or self._random.generate_trace_id()


class _Beginning:
    """What the first span of a trace begins with."""

    __slots__ = ("above", "attributes", "kind", "links", "name")

    def __init__(
        self,
        name: str,
        attributes: dict[str, str | bool | int | float],
        kind: OtelKind,
        above: Context,
        links: list[Link],
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.kind = kind
        self.above = above
        self.links = links


class _Open:
    """A span that is sampled."""

    __slots__ = ("_place", "_span", "_token", "context")

    def __init__(self, place: "ContextVar[_Open | _Unsampled | None]", span: OtelSpan) -> None:
        self._place = place
        self._span = span
        self._token: Token[_Open | _Unsampled | None] | None = None
        self.context = set_span_in_context(span, Context())

    @property
    def identity(self) -> SpanContext:
        return self._span.get_span_context()

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error: BaseException | str) -> None:
        self._span.set_attribute("error.type", error if isinstance(error, str) else type(error).__qualname__)
        self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        self._token = self._place.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _leave(self._place, self._token)
        if isinstance(error, Exception):
            self.fail(error)
        self._span.end()


class _Unsampled:
    """The outermost span of a trace that is not sampled: it becomes a span, by itself, if it fails."""

    __slots__ = ("_begin", "_error", "_start", "_token", "_tracer", "identity")

    def __init__(self, tracer: OtlpTracer, begin: _Beginning, trace_id: int) -> None:
        self._tracer = tracer
        self._begin = begin
        self._start = time_ns()
        self._error: BaseException | str | None = None
        self._token: Token[_Open | _Unsampled | None] | None = None
        self.identity = SpanContext(trace_id, tracer.new_span_id(), is_remote=False, trace_flags=TraceFlags(0))

    def note(self, attributes: Attributes) -> None:
        self._begin.attributes.update(attributes)

    def fail(self, error: BaseException | str) -> None:
        self._error = error

    def __enter__(self) -> Self:
        self._token = self._tracer.place.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _leave(self._tracer.place, self._token)
        problem = error if isinstance(error, Exception) else self._error
        if problem is not None:
            identity = self.identity
            made = self._tracer.begun(self._begin, identity.trace_id, identity.span_id, self._start)
            made.set_attribute("error.type", problem if isinstance(problem, str) else type(problem).__qualname__)
            made.set_status(Status(StatusCode.ERROR))
            made.end()


def _leave(place: "ContextVar[_Open | _Unsampled | None]", token: "Token[_Open | _Unsampled | None]") -> None:
    try:
        place.reset(token)
    except ValueError:
        # A generator that is closed by somebody else ends in another context, which never saw the span.
        return
