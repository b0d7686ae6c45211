"""The tracer by itself: what is sampled, and what is sent all the same."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from domain.tracing import NO_SPAN, NOTHING, SpanKind
from server.tracing.otlp import OtlpTracer
from server.tracing.parents import parse, written

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Tried:
    """A tracer and what it sent."""

    def __init__(self, ratio: float) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer = OtlpTracer("http://nowhere", "server", ratio, processor=SimpleSpanProcessor(self.exporter))

    @property
    def sent(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def never() -> Iterator[Tried]:
    made = Tried(0.0)
    yield made
    made.tracer.close()


@pytest.fixture
def always() -> Iterator[Tried]:
    made = Tried(1.0)
    yield made
    made.tracer.close()


class TestSampling:
    def test_keeps_nothing_of_what_goes_well(self, never: Tried) -> None:
        with never.tracer.entry("request"):
            assert never.tracer.span("below") is NOTHING
        assert never.sent == ()

    def test_sends_what_fails_under_the_ids_that_the_log_has(self, never: Tried) -> None:
        known = None

        def work() -> None:
            nonlocal known
            with never.tracer.entry("request", {"a": 1}, SpanKind.SERVER) as span:
                known = never.tracer.ids()
                span.note({"b": 2})
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            work()
        (sent,) = never.sent
        assert (f"{sent.context.trace_id:032x}", f"{sent.context.span_id:016x}") == known
        assert dict(sent.attributes or {}) == {"a": 1, "b": 2, "error.type": "ValueError"}
        assert sent.start_time is not None
        assert sent.end_time is not None
        assert sent.start_time < sent.end_time

    def test_sends_what_is_said_to_have_failed(self, never: Tried) -> None:
        with never.tracer.entry("request"):
            never.tracer.current().fail("503")
        assert [each.attributes for each in never.sent] == [{"error.type": "503"}]

    def test_follows_its_caller(self, never: Tried) -> None:
        with never.tracer.entry("request", parent=CALLER), never.tracer.span("below"):
            assert (never.tracer.traceparent() or "").startswith(CALLER[:36])
        below, request = never.sent
        assert request.parent is not None
        assert f"{request.parent.span_id:016x}" == "00f067aa0ba902b7"
        assert below.parent is not None
        assert below.parent.span_id == request.context.span_id

    def test_follows_what_it_is_linked_to(self, never: Tried) -> None:
        with never.tracer.entry("handler", links=[CALLER]):
            pass
        (sent,) = never.sent
        assert [each.context.span_id for each in sent.links] == [0x00F067AA0BA902B7]
        assert sent.parent is None

    def test_gives_each_trace_ids_of_its_own(self, always: Tried) -> None:
        for _ in range(3):
            with always.tracer.entry("request"), always.tracer.span("below"):
                pass
        assert len({each.context.trace_id for each in always.sent}) == 3
        assert len({each.context.span_id for each in always.sent}) == 6
        assert always.tracer.current() is NO_SPAN


class TestTraceparent:
    @pytest.mark.parametrize(
        "text", ["", "00", "01-" + CALLER[3:], CALLER + "-x", CALLER.upper(), f"00-{'0' * 32}-{'1' * 16}-01", "é" * 55]
    )
    def test_is_as_if_there_were_none_where_it_is_none(self, text: str) -> None:
        assert parse(text) is None

    def test_is_written_as_it_was_read(self) -> None:
        found = parse(CALLER)
        assert found is not None
        assert written(found) == CALLER
