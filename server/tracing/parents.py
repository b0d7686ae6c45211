"""Spans as their names travel: W3C Trace Context, https://www.w3.org/TR/trace-context/."""

import re

from opentelemetry.trace import SpanContext, TraceFlags

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
SAMPLED = 0x01


def parse(text: str | None) -> SpanContext | None:
    """Read a `traceparent`; what is none is as if there were none."""
    match = _TRACEPARENT.match(text) if text else None
    if match is None:
        return None
    flags = TraceFlags(int(match[3], 16) & SAMPLED)
    found = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=flags)
    return found if found.is_valid else None


def written(identity: SpanContext) -> str:
    """Write a `traceparent`."""
    return f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{int(identity.trace_flags):02x}"
