"""Traces as they arrive at a receiver: what belongs together is one tree, and what follows from it is linked to it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from data.embedded import Engines
from data.embedded.processes import stop
from domain import tracing
from server.services import Services, open_services
from server.settings import Settings
from server.supervisor import start_command
from tests.conftest import tenant_maker
from tests.schema.marketplace import Marketplace, furnished
from tests.server.application import Application, served
from tests.server.conftest import token_of
from tests.server.receiving import Kept, Receiver, receiving, wait_for

ACROSS = """query Across($first: Int!) { products(first: $first) { nodes {
  name stock { available } rating { average } effectivePrice { unit { amount } } } } }"""
REGISTER = """mutation Join($email: String!, $password: String!) { register(email: $email, password: $password) {
  __typename } }"""
SECRET_EMAIL = "somebody.private@example.com"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield running


@pytest.fixture(scope="module")
def settings(
    engines: Engines, new_database: Callable[[str], str], receiver: Receiver, tmp_path_factory: Any
) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("traced"),
        database_url=new_database("traced"),
        redis_url=engines.redis_url,
        redis_namespace="traced",
        secret_key="a secret that is long enough for tests",
        otlp_endpoint=receiver.url,
        telegram_bot_token="1234:a token that only the bot's owner has",
    )


@pytest.fixture(scope="module")
async def market(settings: Settings) -> AsyncIterator[tuple[Marketplace, Services]]:
    from schema.graph import build

    async with open_services(settings) as services:
        tenant_id = tenant_maker(settings.database_url)(code="traced")
        yield await furnished(build(), services, tenant_id, "traced"), services


@pytest.fixture(scope="module")
async def application(settings: Settings, market: Any, receiver: Receiver) -> AsyncIterator[Application]:
    with served(settings) as running:
        yield running
        await running.client.aclose()


@pytest.fixture(scope="module")
def worker(settings: Settings, application: Application) -> Iterator[None]:
    process = start_command(settings, "worker")
    yield
    stop(process, [(signal.SIGTERM, 20)])


async def root_of(receiver: Receiver, name: str) -> Kept:
    """Wait for an operation's span, and give the outermost one of its trace."""

    def found() -> Kept | None:
        spans = receiver.named(name)
        roots = [each for each in receiver.of(spans[-1].trace) if not each.parent] if spans else []
        return roots[0] if roots else None

    root: Kept = await asyncio.to_thread(wait_for, found)
    return root


class TestAnOperation:
    async def test_is_one_tree_from_the_request_to_each_statement(
        self, application: Application, receiver: Receiver
    ) -> None:
        reply = await application.ask(ACROSS, {"first": 3}, tenant="traced")
        assert len(reply.data["products"]["nodes"]) == 3
        named = reply.response.headers["traceresponse"].split("-")[1]
        root = await root_of(receiver, "query other")
        assert (root.name, root.trace, root.process) == ("POST /graphql", named, "server")
        assert root.attributes["http.response.status_code"] == 200
        (operation,) = [each for each in receiver.below(root) if each.verb == "query"]
        assert operation.attributes["graphql.operation.type"] == "query"
        assert operation.attributes["agora.outcome"] == "ok"
        assert "agora.tenant.id" in operation.attributes or "agora.tenant.id" in root.attributes
        levels = [each for each in receiver.below(operation) if each.verb == "level"]
        assert [each.name for each in sorted(levels, key=lambda each: each.name)][:2] == ["level 1", "level 2"]
        batches = {
            each.attributes["agora.subgraph"]: each for each in receiver.of(named) if each.verb in {"batch", "hop"}
        }
        assert {"inventory", "reviews", "pricing"} <= batches.keys()
        assert batches["inventory"].name == "batch Product.stock"
        assert batches["inventory"].attributes["agora.keys"] == 3
        for each in batches.values():
            assert receiver.depth(each) == ["POST", "query", "level", each.verb]
        (statement,) = [each for each in receiver.below(batches["inventory"]) if each.verb == "SELECT"]
        assert receiver.depth(statement) == ["POST", "query", "level", "batch", "SELECT"]
        assert statement.attributes["db.system.name"] == "postgresql"
        assert "$1" in statement.attributes["db.query.text"]
        assert statement.attributes["db.response.returned_rows"] >= 1

    async def test_that_fails_says_so(self, application: Application, receiver: Receiver) -> None:
        reply = await application.ask("query Hidden { users(first: 1) { nodes { id } } }", tenant="traced")
        named = reply.response.headers["traceresponse"].split("-")[1]
        assert reply.codes

        def failed() -> list[Kept]:
            return [each for each in receiver.of(named) if each.failed and each.verb == "query"]

        (operation,) = await asyncio.to_thread(wait_for, failed)
        assert operation.attributes["error.type"] == "failed"

    async def test_goes_on_with_the_trace_of_its_caller(self, application: Application, receiver: Receiver) -> None:
        trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        given = {"content-type": "application/json", "x-agora-tenant": "traced", "traceparent": f"00-{trace}-{span}-01"}
        await application.post("/subgraphs/catalog/graphql", '{"query": "{ categories { name } }"}', given)
        found = await asyncio.to_thread(wait_for, lambda: [e for e in receiver.of(trace) if e.verb == "POST"])
        assert (found[0].parent, found[0].name) == (span, "POST /subgraphs/catalog/graphql")

    async def test_is_not_followed_where_the_caller_does_not_want_it(
        self, application: Application, receiver: Receiver
    ) -> None:
        trace = "11111111111111111111111111111111"
        given = {
            "content-type": "application/json",
            "x-agora-tenant": "traced",
            "traceparent": f"00-{trace}-{'2' * 16}-00",
        }
        reply = await application.post("/graphql", '{"query": "{ categories { name } }"}', given)
        assert reply.response.headers["traceresponse"].endswith("-00")
        assert trace in reply.response.headers["traceresponse"]
        assert not receiver.of(trace)


class TestWhatFollows:
    async def test_is_linked_to_what_it_follows_from(
        self, application: Application, receiver: Receiver, worker: None
    ) -> None:
        reply = await application.ask(REGISTER, {"email": SECRET_EMAIL, "password": PASSWORD}, tenant="traced")
        assert reply.data["register"]["__typename"] != "Error"
        named = reply.response.headers["traceresponse"].split("-")[1]

        def handled() -> list[Kept]:
            handlers = receiver.named("handle notifications.meet_user")
            return [each for each in handlers if any(link[0] == named for link in each.links)]

        (handler, *_) = await asyncio.to_thread(wait_for, handled)
        assert (handler.process, handler.parent) == ("worker", "")
        assert handler.trace != named
        assert handler.attributes["agora.event.name"] == "user.registered"
        producer = next(each for each in receiver.of(named) if each.id == handler.links[0][1])
        assert producer.process == "server"
        assert receiver.depth(producer)[:3] == ["POST", "mutation", "level"]
        assert [each for each in receiver.of(named) if each.name == "transact register"]
        assert [each for each in receiver.below(handler) if each.verb in {"BEGIN", "INSERT", "WITH", "SELECT"}]

    async def test_holds_nothing_that_somebody_wrote(self, receiver: Receiver) -> None:
        assert receiver.bodies
        for body in receiver.bodies:
            assert SECRET_EMAIL.encode() not in body
            assert PASSWORD.encode() not in body
            assert b"Bearer" not in body


class TestNobodyListening:
    def test_is_what_there_is_without_an_endpoint(self, tmp_path: Any) -> None:
        from server.tracing import traces

        before = tracing.tracer()
        with traces(Settings(home=tmp_path), "server"):
            assert tracing.tracer() is before


def test_tokens_are_never_attributes(market: Any, receiver: Receiver) -> None:
    shop, services = market
    assert token_of(services, shop.admin).encode() not in b"".join(receiver.bodies)
