"""A receiver of traces: a small HTTP server that takes OTLP in protobuf, and keeps every span."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

LONGEST_WAIT_SECONDS = 30


@dataclass(frozen=True)
class Kept:
    """A span as it arrived."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: dict[str, Any]
    links: Sequence[tuple[str, str]]

    @property
    def verb(self) -> str:
        return self.name.split()[0]


@dataclass
class Receiver:
    """What came in so far."""

    url: str
    spans: list[Kept] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def of(self, trace: str) -> list[Kept]:
        return [each for each in self.spans if each.trace == trace]

    def below(self, span: Kept) -> list[Kept]:
        return [each for each in self.of(span.trace) if each.parent == span.id]

    def named(self, name: str) -> list[Kept]:
        return [each for each in self.spans if each.name == name]

    def depth(self, span: Kept) -> list[str]:
        """Give the verbs from the root down to a span."""
        above = next((each for each in self.of(span.trace) if each.id == span.parent), None)
        return [*(self.depth(above) if above else []), span.verb]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            receiver.bodies.append(body)
            receiver.spans += _spans(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Kept]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _kept(about["agora.process"], span)


def _kept(process: str, span: Span) -> Kept:
    links = [(each.trace_id.hex(), each.span_id.hex()) for each in span.links]
    return Kept(
        process=process,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        links=links,
    )


def _attributes(found: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found}


def wait_for(condition: Any) -> Any:
    """Wait until something holds, in a thread that has nothing else to do."""
    ends = time.monotonic() + LONGEST_WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)
    return found
