"""Refusals as problem details.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from graphql import GraphQLError

from server.edge.correlation import correlation_id
from server.edge.masking import formatted_error
from server.edge.refusal import Refusal, TransportRefusal
from server.rest.registry import ALIAS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""What a client is told where nobody knows when it will be better."""

STATUS: Mapping[str, int] = {
    "BAD_USER_INPUT": 400,
    "INVALID_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "SESSION_REQUIRED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "CONCURRENT_MODIFICATION": 409,
    "INVALID_STATE_TRANSITION": 409,
    "TENANT_READ_ONLY": 409,
    "PRECONDITION_FAILED": 412,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
"""Every other refusal of the domain is a well-formed request that a rule stands against: 422."""

UNSEEN = frozenset({"FORBIDDEN", "UNAUTHENTICATED"})
"""A part that the caller may not see is null, as in the graph; the rest is shown."""


class BadRequest(TransportRefusal):
    """The request does not have the form that the description of the API gives it."""


class NotFound(TransportRefusal):
    """Nothing is at this address, or nothing that the caller may see."""

    status = 404


class PreconditionFailed(TransportRefusal):
    """If-Match names a version that the resource does not have."""

    status = 412


class MethodNotAllowed(TransportRefusal):
    """The address does not know this method."""

    status = 405

    def __init__(self, methods: Sequence[str]) -> None:
        super().__init__(f"The methods of this address are {', '.join(methods)}.")
        self._allow = ", ".join(methods)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": self._allow}


def status_of(code: str, otherwise: int = 422) -> int:
    """Give the status of a refusal's code."""
    return STATUS.get(code, otherwise)


def headers_of(status: int) -> dict[str, str]:
    """Give what belongs to a status: how to authenticate, when to come again."""
    if status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": 'Bearer realm="agora"'}
    return {"retry-after": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def problem(status: int, code: str, detail: str, data: Mapping[str, Any]) -> bytes:
    """Write a problem; `data` is what explains the refusal to programs."""
    written = {
        "type": f"urn:agora:problem:{code.lower().replace('_', '-')}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "data": data,
        "correlationId": correlation_id(),
    }
    return orjson.dumps(written, default=str)


Problem = tuple[int, bytes, Mapping[str, str]]


def problem_of_refusal(refusal: Refusal) -> Problem:
    """Give the problem that a refusal of the edge is, with status and headers."""
    told = refusal.errors()[0]
    extensions = dict(told.get("extensions", {}))
    code = str(extensions.pop("code", refusal.code))
    status = status_of(code, refusal.http_status)
    headers = {**headers_of(status), **refusal.headers}
    return status, problem(status, code, str(told["message"]), extensions), headers


def written_refusal(refusal: Refusal) -> tuple[bytes, str]:
    """Write the problem that a refusal is, where the middleware refuses."""
    return problem_of_refusal(refusal)[1], MEDIA_TYPE


def problem_of_errors(errors: Sequence[GraphQLError], *, shown: bool) -> Problem | None:
    """Give the problem that the errors of a result are; None where they only say what the caller does not see."""
    formatted = [formatted_error(each, correlation_id()) for each in errors]
    worst = [each for each in formatted if not shown or each["extensions"]["code"] not in UNSEEN]
    if not worst:
        return None
    told = worst[0]
    data = {name: value for name, value in told["extensions"].items() if name not in {"code", "correlationId"}}
    status = status_of(told["extensions"]["code"])
    return status, problem(status, told["extensions"]["code"], told["message"], data), headers_of(status)


def problem_of_answer(answer: Mapping[str, Any], *, conditional: bool) -> Problem:
    """Give the problem that a refusal among the answers of a mutation is."""
    code = answer["code"]
    given = {name.partition(ALIAS)[0]: value for name, value in answer.items() if ALIAS in name.lstrip("_")}
    if conditional and code == "CONCURRENT_MODIFICATION":
        code = "PRECONDITION_FAILED"
    status = status_of(code)
    return status, problem(status, code, answer["message"], given), headers_of(status)
