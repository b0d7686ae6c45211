"""Requests that nobody means well with: every argument of every operation, and bodies that are none."""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from graphql import GraphQLInputObjectType, get_named_type, is_list_type, is_non_null_type, is_required_input_field

from tests.schema.documents import argument_paths, document, root_fields
from tests.schema.recipes import filled, keys_in, ways
from tests.server.application import Application
from tests.server.conftest import token_of

FIELDS = root_fields("Query", "Mutation")
TEXTS = ["a\x00b", "\N{GRINNING FACE}", "\N{RIGHT-TO-LEFT OVERRIDE}x", "x" * 20_000, " ", "'; DROP TABLE x; --", "%_\\"]
HOSTILE: dict[str, list[Any]] = {
    "String": TEXTS,
    "ID": ["a\x00b", "not an id", "x" * 20_000, "0" * 32, "00000000-0000-0000-0000-000000000000"],
    "Int": [2**31 - 1, -(2**31), 0],
    "BigInt": [-(2**53), 2**53 - 1, 2**63, 0],
    "Float": [1.7e308, -1.7e308, 0.0, 5e-324],
    "Decimal": ["NaN", "Infinity", "-Infinity", "1e400", "-1", "0." + "1" * 400, "9" * 400],
    "JSON": [{"a\x00b": "c\x00d"}, ["\x00"], 10**300, {"a": {"b": [None, 1.5, "x" * 9_000]}}],
    "Date": ["0001-01-01", "9999-12-31", "2026-02-30", "\x00"],
    "DateTime": ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "\x00"],
    "Time": ["24:00", "23:59:60", "00:00:00+14:00", "\x00"],
}
# The first of each says most; all of them are tried where there is time for it.
THOROUGH = bool(os.environ.get("AGORA_FUZZ"))
# What they do to a tenant is done to another one than everything else here is done in.
TO_TENANTS = frozenset(
    {"updateTenant", "suspendTenant", "reactivateTenant", "cancelTenant", "changeTenantSubscription"}
)


def example(type_: Any) -> Any:
    """Make a value of an input type with what it requires."""
    if is_non_null_type(type_):
        return example(type_.of_type)
    if is_list_type(type_):
        return [example(type_.of_type)]
    if isinstance(type_, GraphQLInputObjectType):
        return {name: example(each.type) for name, each in type_.fields.items() if is_required_input_field(each)}
    values = getattr(type_, "values", None)
    if values:
        return next(iter(values))
    return {"Int": 1, "BigInt": 1, "Float": 1.0, "Decimal": "1", "Boolean": True, "Time": "10:00"}.get(type_.name, "x")


def put(field: Any, arguments: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Set what stands at a dotted path, with whatever else the inputs on the way there require."""
    first, *rest = path.split(".")
    arguments = dict(arguments)
    arguments[first] = _put(field.args[first].type, arguments.get(first), rest, value)
    return arguments


def _put(type_: Any, present: Any, rest: list[str], value: Any) -> Any:
    if is_non_null_type(type_):
        return _put(type_.of_type, present, rest, value)
    if is_list_type(type_):
        return [_put(type_.of_type, (present or [None])[0], rest, value)]
    if not rest:
        return value
    inner = {**example(type_), **(present or {})}
    inner[rest[0]] = _put(get_named_type(type_).fields[rest[0]].type, inner.get(rest[0]), rest[1:], value)
    return inner


def cases() -> Iterator[tuple[str, str, str]]:
    for name, field in FIELDS.items():
        for path, kind in argument_paths(field):
            # The key of a mutation is one mechanism, whatever the mutation.
            if kind in HOSTILE and (path != "idempotencyKey" or name == "addSkipWord"):
                yield name, path, kind


CASES = list(cases())


@pytest.fixture(scope="module")
async def token(shop: Any, workshop: Any) -> str:
    """A token of somebody who may do everything, the platform's business included."""
    return token_of(workshop, replace(shop.market.admin, permissions=frozenset({"*"})))


class TestAnyArgument:
    @pytest.mark.parametrize(("name", "path", "kind"), CASES, ids=[f"{name}.{path}" for name, path, _ in CASES])
    async def test_is_refused_or_taken_and_never_breaks_anything(
        self, application: Application, shop: Any, other_shop: Any, token: str, name: str, path: str, kind: str
    ) -> None:
        recipe = ways(name)[0]
        keys = (other_shop if name in TO_TENANTS else shop).keys
        arguments = filled(recipe, {each: keys[key] for each, key in keys_in(recipe).items()})
        for value in HOSTILE[kind][: None if THOROUGH else 1]:
            given = put(FIELDS[name], arguments, path, value)
            with structlog.testing.capture_logs() as lines:
                reply = await application.ask(document(name, given, depth=1), given, token=token)
            faults = [each.get("exc_info") for each in lines if each["event"] == "unexpected error"]
            assert not faults, (name, path, value, faults)
            assert "INTERNAL" not in reply.codes
            assert reply.status in {200, 400, 413}, (reply.status, reply.response.text)


VERSIONED = [name for name, field in FIELDS.items() if "input.expectedVersion" in dict(argument_paths(field))]


class TestAStaleVersion:
    @pytest.mark.parametrize("name", VERSIONED)
    async def test_is_refused_by_every_command_that_asks_for_one(
        self, application: Application, other_shop: Any, token: str, name: str
    ) -> None:
        recipe = ways(name)[0]
        keys = {each: other_shop.keys[key] for each, key in keys_in(recipe).items()}
        given = put(FIELDS[name], filled(recipe, keys), "input.expectedVersion", 4_321)
        before = await trail(application, other_shop, token)
        who = token if name in TO_TENANTS else other_shop.token
        reply = await application.ask(document(name, given, depth=0), given, token=who, tenant=other_shop.code)
        assert (reply.data[name]["__typename"], reply.data[name].get("code")) == (
            "ConcurrentModification",
            "CONCURRENT_MODIFICATION",
        )
        assert await trail(application, other_shop, token) == before


async def trail(application: Application, shop: Any, token: str) -> int:
    """Give how much has happened in a tenant."""
    reply = await application.ask("{ auditLog { totalCount } }", token=token, tenant=shop.code)
    return int(reply.data["auditLog"]["totalCount"])


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


class TestABody:
    async def test_that_is_too_large_is_not_read(self, application: Application) -> None:
        body = json.dumps({"query": "{ __typename }", "variables": {"x": "x" * application.settings.max_body_bytes}})
        reply = await application.post("/graphql", body, {})
        assert (reply.status, reply.codes) == (413, ["BODY_TOO_LARGE"])

    async def test_is_not_trusted_about_its_length(self, application: Application) -> None:
        async def chunks() -> Any:
            for _ in range(17):
                yield b"x" * 16_384

        response = await application.client.post(
            "/graphql", content=chunks(), headers={"content-type": "application/json"}
        )
        assert response.status_code == 413

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "BAD_PARAMETERS"),
            (b"{", "BAD_PARAMETERS"),
            (b"null", "BAD_PARAMETERS"),
            (b"[]", "BAD_PARAMETERS"),
            (b'"text"', "BAD_PARAMETERS"),
            (b'{"query": 7}', "BAD_PARAMETERS"),
            (b'{"query": "{ __typename }", "variables": [1]}', "BAD_PARAMETERS"),
            (b'{"query": "{ __typename }", "operationName": {}}', "BAD_PARAMETERS"),
            (b'{"query": "\xff\xfe"}', "BAD_PARAMETERS"),
            (b"\xef\xbb\xbf{}", "BAD_PARAMETERS"),
            (b'{"query": "\\ud800"}', "BAD_PARAMETERS"),
            (f'{{"query": "{{ __typename }}", "variables": {{"x": {deep(5_000)}}}}}'.encode(), "BAD_PARAMETERS"),
            (deep(100_000).encode(), "BAD_PARAMETERS"),
            (b'{"query": "{ __typename }", "variables": {"x": 1e999}}', "BAD_PARAMETERS"),
        ],
    )
    async def test_that_is_no_operation_is_refused(self, application: Application, body: bytes, code: str) -> None:
        reply = await application.post("/graphql", body, {})
        assert (reply.status, reply.codes) == (400, [code])

    @pytest.mark.parametrize("document", ["{ a\x00b }", "{ __typename ", "", "{" * 20_000, "query(" * 9_000])
    async def test_with_a_document_that_is_none_is_refused(self, application: Application, document: str) -> None:
        reply = await application.ask(document)
        assert "data" not in reply.body
        assert reply.codes[0] in {"GRAPHQL_PARSE_FAILED", "MISSING_DOCUMENT", "DOCUMENT_TOO_LONG"}

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png", ""]
    )
    async def test_of_another_type_is_refused(self, application: Application, kind: str) -> None:
        reply = await application.post("/graphql", b'{"query": "{ __typename }"}', {"content-type": kind})
        assert reply.status == 415

    async def test_that_is_packed_is_refused(self, application: Application) -> None:
        packed = gzip.compress(b'{"query": "{ __typename }"}')
        reply = await application.post("/graphql", packed, {"content-encoding": "gzip"})
        assert reply.status in {400, 415}

    async def test_may_hold_numbers_of_any_size_that_nothing_asks_for(self, application: Application) -> None:
        body = '{"query": "{ __typename }", "variables": {"x": ' + "9" * 5_000 + "}}"
        reply = await application.post("/graphql", body, {})
        assert reply.status in {200, 400}
        assert "INTERNAL" not in reply.codes


class TestAnIdInADocument:
    @pytest.mark.parametrize("literal", ['"rubbish"', '"a\\u0000b"', "7", "true", '""', "9" * 400])
    async def test_that_is_none_is_refused(self, application: Application, shop: Any, literal: str) -> None:
        reply = await application.ask(f"{{ product(id: {literal}) {{ id }} }}", host=shop.host)
        assert "data" not in reply.body
        assert reply.codes == ["GRAPHQL_VALIDATION_FAILED"]

    async def test_is_refused_as_a_key_of_an_entity(self, application: Application, shop: Any) -> None:
        document = "query($of: [_Any!]!) { _entities(representations: $of) { ... on Product { id name } } }"
        for key in ({"id": "rubbish"}, {"sku": "a\x00b"}, {"id": None}, {"sku": 7}, {}, {"id": ["x"]}):
            variables = {"of": [{"__typename": "Product", **key}]}
            reply = await application.ask_subgraph("catalog", document, variables, x_agora_tenant=shop.code)
            assert "INTERNAL" not in reply.codes, (key, reply.body)
            assert reply.status in {200, 400}
