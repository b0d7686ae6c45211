"""Watches operations: for metrics and the log always, for traces where these are on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Token
from time import perf_counter
from types import TracebackType
from typing import Any

import structlog
from graphql import GraphQLError

from data.observed import TALLY, Tally
from domain import tracing
from domain.tracing import NO_SPAN, NOTHING, Attribute, Span, SpanKind
from schema.graph import CONTEXTS
from schema.supergraph.watching import WATCH, Watch
from server.edge.masking import cause_of, is_coded
from server.edge.pipeline import Admitted, Observing
from server.edge.rate_limit import RateLimited
from server.metrics import METRICS, Metrics

log = structlog.get_logger("agora.access")

OTHER = "other"
UNNAMED = "unnamed"
MOST_NAMES = 300
SLOW_SECONDS = 1.0
"""An operation that takes longer has its line in the log also where the others have none."""


class RegisteredNames:
    """Names of operations in documents that were registered; whatever else somebody calls an operation is not repeated."""

    def __init__(self, documents: Iterable[str], most: int = MOST_NAMES) -> None:
        self._documents = frozenset(documents)
        self._given: set[str] = set()
        self._most = most

    def of(self, admitted: Admitted) -> str:
        """Give the name that an operation is known by."""
        operation = admitted.operation
        if operation.document.source not in self._documents:
            return OTHER
        name = operation.name or UNNAMED
        if name not in self._given:
            if len(self._given) >= self._most:
                return OTHER
            self._given.add(name)
        return name


class OperationObserver:
    """Implements the edge's `Observer`; `every` says whether each operation has its line in the log."""

    def __init__(self, names: RegisteredNames, metrics: Metrics = METRICS, *, every: bool = False) -> None:
        self._names = names
        self._metrics = metrics
        self._every = every

    def refused(self, seconds: float) -> None:
        """Count an operation that was not admitted."""
        self._metrics.operations.labels(OTHER, "unknown", "refused").inc()
        self._metrics.operation_seconds.labels(OTHER, "unknown").observe(seconds)
        tracing_fails("refused")
        if self._every:
            log.info(
                "operation", operation=OTHER, kind="unknown", outcome="refused", milliseconds=_milliseconds(seconds)
            )

    def begin(self, admitted: Admitted, *, streamed: bool) -> Observing:
        """Watch an operation that begins."""
        name = self._names.of(admitted)
        if streamed:
            return _Stream(admitted, name, self._metrics, self._ended)
        return _Once(admitted, name, self._metrics, self._ended)

    def _ended(self, watched: "_Watched", outcome: str, seconds: float, figures: dict[str, Any]) -> None:
        name, kind = watched.name, watched.kind
        self._metrics.operations.labels(name, kind, outcome).inc()
        if not watched.streamed:
            self._metrics.operation_seconds.labels(name, kind).observe(seconds)
        if self._every or outcome == "failed" or (seconds > SLOW_SECONDS and not watched.streamed):
            # Neither variables nor results nor who asks: the correlation id leads to those who may know.
            log.info(
                "operation",
                operation=name,
                kind=kind,
                outcome=outcome,
                milliseconds=_milliseconds(seconds),
                cost=watched.cost,
                **figures,
            )


Ended = Callable[["_Watched", str, float, dict[str, Any]], None]


class _Watched:
    """What is known of an operation while it runs."""

    streamed = False

    def __init__(self, admitted: Admitted, name: str, metrics: Metrics, ended: Ended) -> None:
        self.name = name
        self.kind: str = admitted.operation.kind.value
        self.cost = admitted.requested_cost
        self._metrics = metrics
        self._ended = ended

    def erred(self, errors: Sequence[GraphQLError]) -> None:
        """Count errors by the context that raised them."""
        for error in errors:
            cause = cause_of(error)
            internal = cause is not None and not is_coded(cause)
            context = _context_of(cause) or self.home_of(error)
            self._metrics.errors.labels(context, "internal" if internal else "refusal").inc()

    def home_of(self, error: GraphQLError) -> str:
        """Give the context in whose root field an error is, as far as that is known."""
        del error
        return OTHER

    def attributes(self) -> dict[str, Attribute]:
        return {"graphql.operation.name": self.name, "graphql.operation.type": self.kind, "agora.cost": self.cost}

    def note_refusal(self, error: BaseException | None) -> None:
        if isinstance(error, RateLimited):
            self._metrics.rate_limited.labels(str(error.extensions["bucket"])).inc()


class _Once(_Watched):
    """A query or a mutation: its statements, levels and batches are counted, and are spans below its own."""

    def __init__(self, admitted: Admitted, name: str, metrics: Metrics, ended: Ended) -> None:
        super().__init__(admitted, name, metrics, ended)
        self._tally = Tally()
        self._opened, self._span = _opened(f"{self.kind} {name}", self.attributes())
        self._watch = ExecutionWatch(metrics, sampled=self._opened is not NOTHING)
        self._tokens: tuple[Token[Tally | None], Token[Watch | None]] = (
            TALLY.set(self._tally),
            WATCH.set(self._watch),
        )

    def home_of(self, error: GraphQLError) -> str:
        return self._watch.homes.get(str(error.path[0]), OTHER) if error.path else OTHER

    def end(self, outcome: str, seconds: float, error: BaseException | None) -> None:
        TALLY.reset(self._tokens[0])
        WATCH.reset(self._tokens[1])
        tally, watch, kind, metrics = self._tally, self._watch, self.kind, self._metrics
        metrics.statements.labels(kind).observe(tally.statements)
        metrics.sql_seconds.labels(kind).observe(tally.seconds)
        metrics.levels.labels(kind).observe(watch.levels)
        self.note_refusal(error)
        sql = _milliseconds(tally.seconds)
        figures = {
            "levels": watch.levels,
            "batches": watch.batches,
            "statements": tally.statements,
            "sql_milliseconds": sql,
        }
        self._ended(self, outcome, seconds, figures)
        self._span.note({"agora.outcome": outcome, "agora.levels": watch.levels, "agora.statements": tally.statements})
        if outcome == "failed":
            self._span.fail(error if isinstance(error, Exception) else outcome)
        self._opened.__exit__(None, None, None)


class _Stream(_Watched):
    """A subscription: what is made of its events is traced with them."""

    streamed = True

    def __init__(self, admitted: Admitted, name: str, metrics: Metrics, ended: Ended) -> None:
        super().__init__(admitted, name, metrics, ended)
        metrics.subscriptions.inc()

    def end(self, outcome: str, seconds: float, error: BaseException | None) -> None:
        self._metrics.subscriptions.dec()
        self.note_refusal(error)
        self._ended(self, outcome, seconds, {})


class ExecutionWatch:
    """Counts the levels and batches of one operation; implements the engine's `Watch`."""

    def __init__(self, metrics: Metrics, *, sampled: bool) -> None:
        self._metrics = metrics
        self._sampled = sampled
        self.homes: Mapping[str, str] = {}
        self.levels = 0
        self.batches = 0

    def plan(self, homes: Mapping[str, str], *, known: bool) -> None:
        """Count a plan that was known or had to be made, and the root fields that will be asked."""
        self._metrics.cache.labels("plans", "hit" if known else "miss").inc()
        self.homes = homes
        for home in homes.values():
            self._metrics.calls.labels(home).inc()

    def level(self, number: int, objects: int) -> AbstractContextManager[object]:
        """Stand around one level of the plan."""
        self.levels = max(self.levels, number)
        if not self._sampled:
            return NOTHING
        return tracing.span(f"level {number}", {"agora.level": number, "agora.objects": objects})

    def batch(self, label: str, home: str, keys: int, *, hop: bool) -> AbstractContextManager[object]:
        """Stand around one call of a bulk function."""
        self.batches += 1
        metrics = self._metrics
        metrics.calls.labels(home).inc()
        metrics.batch_keys.observe(keys)
        if hop:
            metrics.hops.inc()
        span = NOTHING
        if self._sampled:
            told: dict[str, Attribute] = {"agora.subgraph": home, "agora.keys": keys}
            span = tracing.span(f"{'hop' if hop else 'batch'} {label}", told)
        return _Batch(metrics.batch_seconds.labels(home).observe, span)


class _Batch:
    """The time of a batch."""

    __slots__ = ("_begun", "_observe", "_span")

    def __init__(self, observe: Callable[[float], None], span: AbstractContextManager[Span]) -> None:
        self._observe = observe
        self._span = span

    def __enter__(self) -> None:
        self._begun = perf_counter()
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, trace)
        self._observe(perf_counter() - self._begun)


def tracing_fails(reason: str) -> None:
    """Note on the request's span that its operation was refused before there was one."""
    if (tracer := tracing.tracer()) is not None:
        tracer.current().note({"agora.outcome": reason})


def _opened(name: str, attributes: dict[str, Attribute]) -> tuple[AbstractContextManager[Span], Span]:
    """Open the span of an operation; below a request that is not sampled, the request's own span is told in its stead."""
    tracer = tracing.tracer()
    if tracer is None:
        return NOTHING, NO_SPAN
    above = tracer.current()
    opened = tracer.entry(name, attributes, SpanKind.SERVER) if above is NO_SPAN else tracer.span(name, attributes)
    if opened is NOTHING:
        above.note(attributes)
        return NOTHING, above
    return opened, opened.__enter__()


def _context_of(cause: BaseException | None) -> str | None:
    """Give the context whose rule was broken, by where its error is declared; None where that is nobody's."""
    parts = type(cause).__module__.split(".")
    return parts[1] if parts[0] == "domain" and len(parts) > 1 and parts[1] in CONTEXTS else None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
