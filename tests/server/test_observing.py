"""What is told of operations: to Prometheus in a bounded number of series, to the log without what is nobody's business."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from data.embedded import Engines
from domain.kernel import uuid7
from server.examples import BROWSE, EXAMPLES
from server.logs import configure
from server.metrics import METRICS, Metrics
from server.observing import OTHER, RegisteredNames
from server.settings import Settings
from tests.conftest import tenant_maker
from tests.server.application import LOGIN, Application, served

TOKEN = "a token of Prometheus"
PASSWORD = "one very secret password 42"
REGISTER = """mutation Enlist($email: String!, $password: String!) {
  register(email: $email, password: $password) { __typename } }"""


@pytest.fixture(scope="module")
def settings(engines: Engines, new_database: Callable[[str], str], tmp_path_factory: Any) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("observed"),
        environment="production",
        sandbox=False,
        introspection=True,
        database_url=new_database("observed"),
        redis_url=engines.redis_url,
        redis_namespace="observed",
        secret_key="a secret that is long enough for tests",
        metrics_port=0,
    )


@pytest.fixture(scope="module")
async def application(settings: Settings) -> AsyncIterator[Application]:
    tenant_maker(settings.database_url)(code="observed")
    with served(settings) as running:
        yield running
        await running.client.aclose()


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """Have the log written to memory, as JSON, and set up as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure(Settings(log_format="json", environment="production"))
    written = StringIO()
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    yield written
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def series(metrics: Metrics = METRICS) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Give all series by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in metrics.registry.collect()
        for sample in family.samples
    }


async def anything(application: Application, number: int) -> None:
    """Send what nobody has sent before, in every place that a label could come from."""
    name = f"Name{uuid7().hex}"
    documents = (
        f"query {name} {{ provinces {{ code }} }}",
        f"query {name} {{ alias{number}: provinces {{ code }} }}",
        f'mutation {name} {{ login(email: "{name}@example.com", password: "{name}") {{ __typename }} }}',
        f"{{ {name} }}",
        f"query {name} {{ users(first: 1) {{ nodes {{ id }} }} }}",
        "{",
    )
    for document in documents:
        await application.ask(document, tenant="observed", x_correlation_id=name)
        await application.ask(document, tenant=name)
    for path in (f"/{name}", f"/graphql/{name}", f"/subgraphs/{name}/graphql", f"/ops/{name}", f"/track/{name}"):
        await application.get(path)
    await application.client.request(f"X{number}", "/graphql")


class TestSeries:
    async def test_do_not_grow_with_what_callers_make_up(self, application: Application) -> None:
        for number in range(3):
            await anything(application, number)
        before = series()
        for number in range(3, 15):
            await anything(application, number)
        assert series() - before == set()
        assert not [each for each in before if "Name" in str(each)]

    async def test_know_registered_operations_by_name(self, application: Application) -> None:
        await application.ask(BROWSE, tenant="observed")
        await application.ask("query Browse { provinces { code } }", tenant="observed")
        told = {dict(labels)["operation"] for name, labels in series() if name == "agora_graphql_operations_total"}
        assert "Browse" in told
        assert told <= {"Browse", "ProductList", "Search", "OpsLogin", OTHER}

    def test_are_of_so_many_names_at_most(self) -> None:
        class Admitted:
            def __init__(self, number: int) -> None:
                source = f"query Q{number} {{ a }}"
                self.operation = type(
                    "Operation", (), {"name": f"Q{number}", "document": type("D", (), {"source": source})}
                )

        names = RegisteredNames((f"query Q{number} {{ a }}" for number in range(10)), most=3)
        assert [names.of(Admitted(number)) for number in range(5)] == ["Q0", "Q1", "Q2", OTHER, OTHER]  # type: ignore[arg-type]
        assert names.of(Admitted(1)) == "Q1"  # type: ignore[arg-type]
        assert names.of(Admitted(11)) == OTHER  # type: ignore[arg-type]


class TestMetricsInProduction:
    async def test_are_not_on_the_port_of_the_graph(self, application: Application) -> None:
        assert (await application.get("/metrics")).status_code == 404

    async def test_are_on_a_port_of_their_own(self, settings: Settings, tmp_path: Path, lines: StringIO) -> None:
        with served(settings.model_copy(update={"home": tmp_path})) as running:
            (told,) = [
                each
                for each in map(json.loads, lines.getvalue().splitlines())
                if each["event"] == "side_port.listening"
            ]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{told['port']}") as beside:
                text = (await beside.get("/metrics")).text
                assert (await beside.get("/health/live")).status_code == 200
                assert (await beside.get("/graphql")).status_code == 404
            await running.client.aclose()
        for name in ("agora_outbox_age_seconds", "agora_sagas{", "agora_pool_connections{", "agora_build_info{"):
            assert name in text

    async def test_are_on_the_port_of_the_graph_for_who_has_the_token(self, settings: Settings, tmp_path: Path) -> None:
        chosen = {"home": tmp_path, "metrics_token": TOKEN, "metrics_port": None}
        with served(settings.model_copy(update=chosen)) as running:
            refused = await running.get("/metrics")
            wrong = await running.client.get("/metrics", headers={"authorization": "Bearer a token of somebody"})
            right = await running.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
            await running.client.aclose()
        assert (refused.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
        assert refused.text == ""


class TestTheLog:
    async def test_has_a_line_per_operation_without_what_was_said_in_it(
        self, application: Application, lines: StringIO
    ) -> None:
        email = f"private.{uuid7().hex}@example.com"
        entered = {"email": email, "password": PASSWORD}
        for document in (REGISTER, LOGIN):
            await application.ask(document, entered, tenant="observed", x_correlation_id="c-observed")
        answer = await application.ask(LOGIN, entered, tenant="observed")
        token, renewal = answer.data["login"]["accessToken"], answer.data["login"]["refreshToken"]
        await application.ask(EXAMPLES[0].query, tenant="observed", token=token)
        await application.ask("{ users(first: 1) { nodes { id } } }", tenant="observed", token=token)
        await application.get(f"/graphql?query=%7Bnothing%7D&variables=%7B%22email%22:%22{email}%22%7D")
        await application.get(f"/unsubscribe/{token}")
        written = lines.getvalue()
        for secret in (email, PASSWORD, token, renewal, "private."):
            assert secret not in written
        told = [each for each in map(json.loads, written.splitlines()) if each["event"] == "operation"]
        assert [(each["operation"], each["kind"], each["outcome"]) for each in told] == [
            ("other", "mutation", "ok"),
            ("other", "mutation", "ok"),
            ("other", "mutation", "ok"),
            ("ProductList", "query", "ok"),
            ("other", "query", "failed"),
            ("other", "unknown", "refused"),
        ]
        assert told[0]["correlation_id"] == "c-observed"
        assert told[3]["cost"] > 1
        assert told[3]["statements"] >= 1
        assert told[0]["milliseconds"] > 0
        (request,) = [each for each in map(json.loads, written.splitlines()) if each["event"] == "request"]
        assert (request["route"], request["status"]) == (
            "other",
            404 if request["status"] == 404 else request["status"],
        )
