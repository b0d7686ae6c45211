"""The description of the REST API, made from the registered documents and the types of the schema.

Source: OpenAPI 3.1.1, https://spec.openapis.org/oas/v3.1.1.html
"""

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from graphql import OperationType, Undefined

from domain.paging import MAX_PAGE
from schema.graph import build
from schema.kernel import Visibility
from server.authorisation_matrix import roots
from server.edge.strawberry_executor import StrawberryExecutor
from server.rest.problems import MEDIA_TYPE, status_of
from server.rest.registry import IDEMPOTENCY_KEY, INPUT, Operation, Registry
from server.rest.resource import JSON, PREFIX
from server.rest.schemas import Inputs, Outputs, Schema

SIZES = {"first", "last"}
IN_EVERY = ("#/components/parameters/Tenant", "#/components/parameters/Language")
ALWAYS = (400, 401, 403, 404, 429, 503)
WITH_BODY = (413, 415)
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}

INTRODUCTION = """The API with which sellers' programs keep products, stock, prices, orders and returns in step with their own.

Send an API key as `X-API-Key`, or as `Authorization: Bearer …` like an access token. A key may do what its scopes and the
roles of its user both allow. Lists come in pages: follow the `Link` headers, or send `after` with the `endCursor`. A
change that is sent again with the same `Idempotency-Key` is made once. An `ETag` of a resource is what `If-Match` and
`If-None-Match` take. Refusals are problem details (RFC 9457): `code` is for programs, `detail` for people. What the caller
may not see of a resource is null.
"""


def openapi() -> str:
    """Write the description of the whole graph's REST API."""
    return written(describe(Registry(StrawberryExecutor(build()).schema)))


def written(description: Mapping[str, Any]) -> str:
    """Write a description so that changes of it are easy to read."""
    return orjson.dumps(description, option=orjson.OPT_INDENT_2).decode() + "\n"


def describe(registry: Registry) -> dict[str, Any]:
    """Describe the registered operations."""
    schemas: dict[str, Schema] = {"Problem": PROBLEM}
    who = {each.field: each.who for each in roots()}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in sorted(registry.operations, key=lambda each: (each.tag, each.path)):
        described = _Described(operation, registry, schemas, who[operation.field.name.value])
        paths[PREFIX + operation.path][operation.method.lower()] = described.operation()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Agora seller API", "version": "1.0.0", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({each.tag for each in registry.operations})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "parameters": PARAMETERS,
            "responses": {f"Problem{status}": _problem(status, []) for status in sorted((*ALWAYS, *WITH_BODY))},
            "securitySchemes": SECURITY,
        },
    }


class _Described:
    """One operation."""

    def __init__(self, operation: Operation, registry: Registry, schemas: dict[str, Schema], who: Visibility) -> None:
        self._operation = operation
        self._who = who
        self._inputs = Inputs(schemas)
        self._outputs = Outputs(schemas, registry.schema, operation.fragments)
        self._schemas = schemas

    def operation(self) -> dict[str, Any]:
        operation, body = self._operation, self._body()
        credentials: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
        return {
            "operationId": operation.name,
            "tags": [operation.tag],
            "summary": operation.description.partition(";")[0].rstrip("."),
            "description": f"{operation.description}{self._needs()}",
            "security": [{}, *credentials] if self._who.name == "public" else credentials,
            "parameters": self._parameters(),
            **({"requestBody": body} if body else {}),
            "responses": self._responses(has_body=body is not None),
        }

    def _needs(self) -> str:
        name = self._who.name
        if name == "public":
            return ""
        return " Needs a log-in or an API key." if name == "authenticated" else f" Needs the permission `{name}`."

    def _parameters(self) -> list[dict[str, Any]]:
        operation = self._operation
        found: list[dict[str, Any]] = [{"$ref": each} for each in IN_EVERY]
        for name, kind in operation.path_parameters.items():
            shape = self._inputs.in_address(kind)
            # An empty segment is another address.
            shape |= {"minLength": 1} if shape == {"type": "string"} else {}
            found.append({"name": name, "in": "path", "required": True, "schema": shape})
        for name, variable in operation.query_parameters.items():
            shape = self._inputs.in_address(variable.type)
            shape |= {"minimum": 0, "maximum": MAX_PAGE} if name in SIZES else {}
            shape |= {"default": variable.default} if variable.default is not Undefined else {}
            found.append({"name": name, "in": "query", "required": variable.required, "schema": shape})
        if IDEMPOTENCY_KEY in operation.variables:
            name = "IdempotencyKeyRequired" if operation.variables[IDEMPOTENCY_KEY].required else "IdempotencyKey"
            found.append({"$ref": f"#/components/parameters/{name}"})
        if operation.is_conditional:
            found.append({"$ref": "#/components/parameters/IfMatch"})
        if operation.kind is OperationType.QUERY:
            found.append({"$ref": "#/components/parameters/IfNoneMatch"})
        return found

    def _body(self) -> dict[str, Any] | None:
        fields = self._operation.body_fields
        if INPUT not in self._operation.variables or not fields:
            return None
        name = self._operation.name[0].upper() + self._operation.name[1:] + "Body"
        self._schemas[name] = self._inputs.object(fields)
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"required": "required" in self._schemas[name], "content": {JSON: {"schema": reference}}}

    def _responses(self, *, has_body: bool) -> dict[str, Any]:
        operation = self._operation
        good: dict[str, Any] = {
            "description": "Done." if operation.kind is OperationType.MUTATION else "Found.",
            "headers": self._headers(),
            "content": {JSON: {"schema": self._shown()}},
        }
        unchanged = {"304": {"description": "What the client has is still so."}}
        return {
            str(operation.status): good,
            **(unchanged if operation.kind is OperationType.QUERY else {}),
            **self._problems(has_body=has_body),
        }

    def _headers(self) -> dict[str, Any]:
        operation = self._operation
        headers: dict[str, Any] = {}
        if operation.kind is OperationType.QUERY or "version" in operation.success.fields:
            headers["ETag"] = {"schema": {"type": "string"}}
        if operation.is_paged:
            headers["Link"] = {"description": "The pages beside this one (RFC 8288).", "schema": {"type": "string"}}
        if operation.location:
            headers["Location"] = {"schema": {"type": "string", "format": "uri-reference"}}
        return headers

    def _shown(self) -> Schema:
        operation, selected = self._operation, self._operation.field.selection_set
        if selected is None:
            raise ValueError(f"{operation.name} shows nothing")
        shown = self._outputs.object(operation.success, selected)
        if operation.is_paged:
            parts = {"items": shown["properties"]["nodes"], "pageInfo": shown["properties"]["pageInfo"]}
        elif operation.is_list:
            parts = {"items": {"type": "array", "items": shown}}
        else:
            return shown
        return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}

    def _problems(self, *, has_body: bool) -> dict[str, Any]:
        codes: dict[int, list[str]] = {status: [] for status in (*ALWAYS, *(WITH_BODY if has_body else ()))}
        for refusal in self._operation.refusals:
            code = _code_of(refusal.name)
            codes.setdefault(status_of(code), []).append(code)
        if self._operation.is_conditional:
            codes.setdefault(412, []).append("PRECONDITION_FAILED")
        return {
            str(status): _problem(status, codes[status])
            if codes[status]
            else {"$ref": f"#/components/responses/Problem{status}"}
            for status in sorted(codes)
        }


def _code_of(name: str) -> str:
    return "".join(f"_{each}" if each.isupper() and place else each for place, each in enumerate(name)).upper()


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    title = TITLES.get(status) or HTTPStatus(status).phrase
    named = f": {', '.join(f'`{each}`' for each in sorted(codes))}" if codes else ""
    retry = {"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in {429, 503} else {}
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": f"{title}{named}.", **retry, "content": {MEDIA_TYPE: {"schema": reference}}}


PROBLEM: Schema = {
    "type": "object",
    "description": "A refusal, as RFC 9457 has it.",
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:agora:problem:not-found"]},
        "title": {"type": "string", "examples": ["Not found"]},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs.", "examples": ["NOT_FOUND"]},
        "data": {"type": "object", "description": "What explains the refusal to programs."},
        "correlationId": {"type": "string", "description": "What the server's log knows the request by."},
    },
    "required": ["type", "title", "status", "detail", "code", "data", "correlationId"],
    "additionalProperties": False,
}


def _header(name: str, description: str, schema: Schema, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


_KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
_ONCE = "Names the change, so that it is made once however often it is sent; kept for 24 hours at least."
PARAMETERS = {
    "Tenant": _header("X-Agora-Tenant", "The marketplace, where neither host nor credentials name it.", {
        "type": "string", "pattern": "^[a-z0-9-]+$",
    }),
    "Language": _header("Accept-Language", "In which language texts are wanted.", {"type": "string", "examples": ["en"]}),
    "IdempotencyKey": _header("Idempotency-Key", _ONCE, _KEY),
    "IdempotencyKeyRequired": _header("Idempotency-Key", _ONCE, _KEY, required=True),
    "IfMatch": _header("If-Match", "The ETag of what the change was decided on.", {"type": "string"}),
    "IfNoneMatch": _header("If-None-Match", "The ETag of what the client has.", {"type": "string"}),
}  # fmt: skip
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key, `agora_…`."},
}
