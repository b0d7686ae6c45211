"""Traces by OpenTelemetry: opened where an endpoint for them is set, and nothing of it is loaded elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from domain import tracing
from server.settings import Settings


@contextmanager
def traces(settings: Settings, process: str) -> Iterator[None]:
    """Send the traces of this process, `server` or `worker`, for as long as the block runs."""
    if not settings.otlp_endpoint or tracing.tracer() is not None:
        yield
        return
    # The SDK weighs some megabytes, which a process that sends no traces has better uses for.
    from server.tracing.otlp import OtlpTracer  # noqa: PLC0415

    tracer = OtlpTracer(settings.otlp_endpoint, process, settings.trace_ratio)
    tracing.install(tracer)
    try:
        yield
    finally:
        tracing.install(None)
        tracer.close()
