"""From parameters to a written response: the steps that every transport shares."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, Self

import orjson
from graphql import GraphQLError, OperationType

from server.edge.documents import Documents, PreparedOperation
from server.edge.executor import Executor, Operation, Result, Session, Sink
from server.edge.masking import formatted_error, internal_error
from server.edge.params import GraphQLParams
from server.edge.rate_limit import RateLimiter
from server.edge.refusal import Refusal, TransportRefusal
from server.edge.trusted import DocumentSource

ONE_SHOT = frozenset({OperationType.QUERY, OperationType.MUTATION})
ANY_KIND = frozenset(OperationType)

FAIR_SHARE = 16
"""Events after which a source with a long backlog lets the others work."""


class OperationNotAllowed(TransportRefusal):
    """This kind of operation does not travel this way."""

    status = 405

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": "POST"}


class SubscriptionNeedsStream(TransportRefusal):
    """A subscription came by a request that can only be answered once."""

    status = 406


class DeadlineExceeded(TransportRefusal):
    """The operation took longer than the edge allows."""

    status = 503


@dataclass(frozen=True, slots=True)
class Admitted:
    """An operation that passed every limit, with the cost that it will be charged; `report` adds `extensions.cost`."""

    operation: Operation
    prepared: PreparedOperation
    requested_cost: float
    report: bool


@dataclass(frozen=True, slots=True)
class Response:
    """A written GraphQL response; `executed` is false when it holds nothing but request errors."""

    body: bytes
    executed: bool


class Observing(Protocol):
    """Watches one operation that was admitted."""

    def erred(self, errors: Sequence[GraphQLError]) -> None:
        """Hear of the errors in a result of it."""
        ...

    def end(self, outcome: str, seconds: float, error: BaseException | None) -> None:
        """Hear that it is over: `ok`, `refused` or `failed`, and after how long."""
        ...


class Observer(Protocol):
    """Is told of every operation once."""

    def refused(self, seconds: float) -> None:
        """Hear of one that was not admitted."""
        ...

    def begin(self, admitted: "Admitted", *, streamed: bool) -> Observing:
        """Hear of one that begins; what is streamed may go on for days, in whichever task asks for its next event."""
        ...


class NoObserver:
    """Nobody watches; implements `Observer` and `Observing`."""

    def refused(self, seconds: float) -> None:
        """Nobody hears of it."""

    def begin(self, admitted: "Admitted", *, streamed: bool) -> Observing:  # noqa: ARG002 — the port's signature.
        """Watch nothing."""
        return self

    def erred(self, errors: Sequence[GraphQLError]) -> None:
        """Nobody hears of it."""

    def end(self, outcome: str, seconds: float, error: BaseException | None) -> None:
        """Nobody hears of it."""


class _Observation:
    """Tells the observer how an operation went, once it is over."""

    def __init__(self, observer: Observer, admitted: "Admitted", *, streamed: bool = False) -> None:
        self._observing = observer.begin(admitted, streamed=streamed)
        self._outcome = "ok"
        self._began = perf_counter()

    def __enter__(self) -> Self:
        return self

    def see(self, result: Result) -> None:
        if result.errors:
            self._outcome = "failed" if result.executed else "refused"
            self._observing.erred(result.errors)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, GeneratorExit | asyncio.CancelledError):
            self._outcome = "refused" if issubclass(kind, Refusal) else "failed"
        self._observing.end(self._outcome, perf_counter() - self._began, error)


class Pipeline:
    """Admits, charges, executes and writes operations."""

    def __init__(
        self,
        executor: Executor,
        documents: Documents,
        source: DocumentSource,
        limiter: RateLimiter,
        timeout_seconds: float,
        observer: Observer,
    ) -> None:
        self._executor = executor
        self._documents = documents
        self._source = source
        self._limiter = limiter
        self._timeout_seconds = timeout_seconds
        self._observer = observer

    def admit(self, params: GraphQLParams, kinds: Collection[OperationType], *, report: bool = False) -> Admitted:
        """Find, check and price the operation that a request means; nothing of it has run yet.

        Raises: Refusal.
        """
        began = perf_counter()
        try:
            return self._admit(params, kinds, report=report)
        except Exception:
            self._observer.refused(perf_counter() - began)
            raise

    def _admit(self, params: GraphQLParams, kinds: Collection[OperationType], *, report: bool) -> Admitted:
        prepared = self._documents.prepare(self._source.text(params)).operation(params.operation_name)
        kind = prepared.definition.operation
        if kind not in kinds:
            _refuse_kind(kind)
        cost = prepared.cost.requested(params.variables)
        operation = Operation(
            prepared.document, prepared.definition, prepared.name, params.variables, params.extensions
        )
        return Admitted(operation, prepared, cost, report or params.extensions.get("cost") == "report")

    async def execute(self, admitted: Admitted, session: Session, correlation_id: str) -> Response:
        """Run a query or mutation, and write its response.

        Raises: RateLimited, DeadlineExceeded.
        """
        result = await self._perform(admitted, session, correlation_id)
        return self._written(admitted, result, correlation_id, self._refunded(admitted, session, result))

    async def answer(self, admitted: Admitted, session: Session, correlation_id: str) -> Result:
        """Run a query or mutation for a transport that writes responses of another form.

        Raises: RateLimited, DeadlineExceeded.
        """
        result = await self._perform(admitted, session, correlation_id)
        self._refunded(admitted, session, result)
        return result

    async def _perform(self, admitted: Admitted, session: Session, correlation_id: str) -> Result:
        with _Observation(self._observer, admitted) as observation:
            await self._limiter.charge(session.buckets, admitted.requested_cost)
            result = await self._execute(admitted.operation, session, correlation_id)
            observation.see(result)
        return result

    async def _execute(self, operation: Operation, session: Session, correlation_id: str) -> Result:
        seconds = self._seconds(session.deadline)
        try:
            async with (
                asyncio.timeout(seconds) as timeout,
                session.context(operation, correlation_id) as context,
            ):
                return await self._executor.execute(operation, context)
        except TimeoutError:
            if timeout.expired():
                raise DeadlineExceeded(f"The operation took longer than {seconds:g} s.") from None
            raise

    def _seconds(self, deadline: float | None) -> float:
        """Give how long an operation may take: no longer than whoever asked for it waits."""
        if deadline is None:
            return self._timeout_seconds
        left = round(deadline - asyncio.get_running_loop().time(), 3)
        if left <= 0:
            raise DeadlineExceeded("The time for the operation was over before it began.")
        return min(left, self._timeout_seconds)

    async def stream(
        self, admitted: Admitted, session: Session, correlation_id: str, sink: Sink | None = None
    ) -> AsyncGenerator[Response]:
        """Run any operation as a stream of responses; a request error is its only response.

        Responses that many subscribers share may go to the sink instead, in their place among the others.

        Raises: RateLimited, DeadlineExceeded.
        """
        if admitted.operation.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(admitted, session, correlation_id)
            return
        with _Observation(self._observer, admitted, streamed=True) as observation:
            await self._limiter.charge(session.buckets, admitted.requested_cost)
            async with aclosing(self._events(admitted, session, correlation_id, sink)) as results:
                async for result in results:
                    observation.see(result)
                    yield self._written(admitted, result, correlation_id, None)

    async def _events(
        self, admitted: Admitted, session: Session, correlation_id: str, sink: Sink | None
    ) -> AsyncGenerator[Result]:
        async with (
            session.context(admitted.operation, correlation_id) as context,
            aclosing(self._executor.subscribe(admitted.operation, context, sink)) as results,
        ):
            sent = 0
            async for result in results:
                yield result
                sent += 1
                if sent % FAIR_SHARE == 0:
                    await asyncio.sleep(0)

    def _refunded(self, admitted: Admitted, session: Session, result: Result) -> float | None:
        """Give back what was charged too much; gives what the operation cost, where that is asked for."""
        actual: float | None = None
        weighed = any(not bucket.counted for bucket in session.buckets)
        if isinstance(result.data, dict) and (weighed or admitted.report):
            actual = min(admitted.requested_cost, admitted.prepared.cost.actual(result.data))
            self._limiter.refund(session.buckets, admitted.requested_cost - actual)
        return actual

    def _written(self, admitted: Admitted, result: Result, correlation_id: str, actual: float | None) -> Response:
        if result.written is not None:
            return Response(result.written, result.executed)
        extensions = dict(result.extensions or {})
        if admitted.report:
            extensions["cost"] = {"requested": admitted.requested_cost, "actual": actual}
        return Response(write_result(result, extensions, correlation_id), result.executed)

    def priced(self, admitted: Admitted) -> bytes:
        """Write what an operation would cost, for a client that asked for nothing else."""
        return orjson.dumps({"data": None, "extensions": {"cost": {"requested": admitted.requested_cost}}})


def _refuse_kind(kind: OperationType) -> None:
    if kind is OperationType.SUBSCRIPTION:
        raise SubscriptionNeedsStream("A subscription needs a WebSocket, or Accept: text/event-stream.")
    raise OperationNotAllowed(f"A {kind.value} cannot be sent this way.")


def write_result(result: Result, extensions: Mapping[str, Any], correlation_id: str) -> bytes:
    """Write the response of an operation or of an event."""
    errors = [formatted_error(error, correlation_id) for error in result.errors]
    response: dict[str, Any] = {}
    try:
        if errors:
            response["errors"] = orjson.Fragment(orjson.dumps(errors, default=str))
        if result.executed:
            response["data"] = result.data
        if extensions:
            response["extensions"] = extensions
        return orjson.dumps(response)
    except TypeError as error:
        return orjson.dumps({"errors": [internal_error(error, correlation_id)], "data": None})


def write_refusal(refusal: Refusal) -> bytes:
    return orjson.dumps({"errors": refusal.errors()}, default=str)
