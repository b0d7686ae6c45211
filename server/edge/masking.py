"""What a client is told about an error, and what only the log is told."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import structlog
from graphql import GraphQLError

from server.edge.refusal import Refusal, TransportRefusal

log = structlog.get_logger("agora.edge")

INTERNAL = "INTERNAL"

_STATUS = {"UNAUTHENTICATED": 401, "FORBIDDEN": 403, "UNAVAILABLE": 503}

_CODE = re.compile(r"[A-Z][A-Z0-9_]+\Z")
"""Drivers give their exceptions a `code` too; theirs are not for clients."""


def formatted_error(error: GraphQLError, correlation_id: str) -> dict[str, Any]:
    """Format one error of a result.

    An error with a string `code` keeps its code, message and data; a GraphQLError raised on purpose keeps its message;
    anything else is logged with its correlation id, and masked.
    """
    formatted: dict[str, Any] = {"message": error.message}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        formatted["path"] = list(error.path)
    formatted["extensions"] = _extensions(error, formatted, correlation_id)
    return formatted


def _extensions(error: GraphQLError, formatted: dict[str, Any], correlation_id: str) -> Mapping[str, Any]:
    cause = cause_of(error)
    if cause is None:
        return {"code": "BAD_USER_INPUT" if error.path is None else "EXECUTION_REFUSED", **(error.extensions or {})}
    if is_coded(cause):
        formatted["message"] = str(cause.message)  # type: ignore[attr-defined]
        return coded_extensions(cause)
    log.error("unexpected error", correlation_id=correlation_id, path=formatted.get("path"), exc_info=cause)
    formatted["message"] = "Internal error"
    return {"code": INTERNAL, "correlationId": correlation_id}


def cause_of(error: GraphQLError) -> BaseException | None:
    """Give what a resolver raised; None for an error that GraphQL itself found."""
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def is_coded(error: BaseException) -> bool:
    """Whether an error is a refusal that callers are told about."""
    code = getattr(error, "code", None)
    return isinstance(code, str) and _CODE.match(code) is not None and isinstance(getattr(error, "message", None), str)


def coded_extensions(error: BaseException) -> Mapping[str, Any]:
    """The code of a refusal, and the data that it carries."""
    data: dict[str, Any] = (
        {each.name: getattr(error, each.name) for each in fields(error)} if is_dataclass(error) else {}
    )
    extensions = getattr(error, "extensions", None)
    return {**data, **(extensions if isinstance(extensions, dict) else {}), "code": error.code}  # type: ignore[attr-defined]


class CodedRefusal(TransportRefusal):
    """A refusal raised outside of resolvers (by the session, a context, a source of events), told as it is."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(getattr(error, "message", "")))
        self.extensions = dict(coded_extensions(error))

    @property
    def http_status(self) -> int:
        return _STATUS.get(self.extensions["code"], 400)


def refusal_or_none(error: BaseException) -> Refusal | None:
    """The refusal that an error is or stands for; none for what has to be masked."""
    if isinstance(error, Refusal):
        return error
    return CodedRefusal(error) if is_coded(error) else None


def internal_error(error: BaseException, correlation_id: str) -> dict[str, Any]:
    """Log an error that no resolver raised, and format what stands in its place."""
    log.error("unexpected error", correlation_id=correlation_id, exc_info=error)
    return {"message": "Internal error", "extensions": {"code": INTERNAL, "correlationId": correlation_id}}


def errors_of(error: BaseException, correlation_id: str) -> Sequence[Mapping[str, Any]]:
    """What a client is told of an error that ended its operation: the refusal that it is, or that it was masked."""
    refusal = refusal_or_none(error)
    return [internal_error(error, correlation_id)] if refusal is None else refusal.errors()
