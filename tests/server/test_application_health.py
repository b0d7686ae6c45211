"""What the application says of itself, with all its engines and without one of them."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from joserfc import jwk, jwt

from data.embedded import EmbeddedPostgres
from data.migrations import upgrade
from server.settings import Settings
from tests.server.application import Application, eventually, served

NOWHERE = "redis://127.0.0.1:1/0"


async def ready(application: Application) -> tuple[int, str, dict[str, str]]:
    response = await application.get("/health/ready")
    report = response.json()
    return response.status_code, report["status"], {name: part["status"] for name, part in report["parts"].items()}


class TestHealth:
    async def test_lives(self, application: Application) -> None:
        response = await application.get("/health/live")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})

    async def test_is_ready_with_all_its_parts(self, application: Application, worker: None) -> None:
        async def well() -> bool:
            return (await ready(application))[1] == "ok"

        await eventually(well)
        assert await ready(application) == (200, "ok", {"database": "ok", "bus": "ok", "search": "ok"})

    async def test_is_degraded_and_sells_on_without_valkey(
        self, application_settings: Settings, shop: Any, worker: None
    ) -> None:
        with served(application_settings.model_copy(update={"redis_url": NOWHERE})) as running:
            status, state, parts = await ready(running)
            assert (status, state, parts["database"], parts["bus"]) == (200, "degraded", "ok", "unavailable")
            reply = await running.ask("{ products(first: 1) { nodes { id } } }", tenant=shop.code)
            assert len(reply.data["products"]["nodes"]) == 1
            document = 'mutation { addSkipWord(input: {word: "Offline"}) { __typename } }'
            assert (await running.ask(document, token=shop.token)).data["addSkipWord"]["__typename"] == "SkipWord"
            await running.client.aclose()

    async def test_is_unavailable_without_postgresql_and_recovers(
        self, application_settings: Settings, tmp_path: Path
    ) -> None:
        home = tmp_path / "own"
        with EmbeddedPostgres(home, durable=False) as postgres:
            upgrade(postgres.url())
            settings = application_settings.model_copy(update={"database_url": postgres.url()})
            running = served(settings)
            application = running.__enter__()
            assert (await ready(application))[0] == 200
        try:
            with structlog.testing.capture_logs():
                status, state, parts = await ready(application)
                assert (status, state, parts["database"]) == (503, "unavailable", "unavailable")
                assert (await application.get("/health/live")).status_code == 200
                reply = await application.ask("{ products(first: 1) { nodes { id } } }", tenant="any")
                assert reply.codes == ["UNAVAILABLE"]
                assert str(home) not in reply.response.text
            with EmbeddedPostgres(home, durable=False):
                assert (await ready(application))[0] == 200
                assert (await application.ask("{ provinces { code } }")).data["provinces"]
        finally:
            await application.client.aclose()
            running.__exit__(None, None, None)


class TestMetrics:
    async def test_are_told_to_prometheus(self, application: Application, shop: Any) -> None:
        await application.ask("{ products(first: 1) { nodes { id } } }", tenant=shop.code)
        await application.ask("{ nothing }", tenant=shop.code)
        response = await application.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        assert 'agora_http_requests_total{method="POST",route="graphql",status="200"}' in response.text
        assert "agora_relay_lag_seconds" in response.text
        assert "agora_dead_letters" in response.text
        assert shop.code not in response.text


class TestTheKeys:
    async def test_verify_a_token_without_asking_anybody(self, application: Application, shop: Any) -> None:
        response = await application.get("/.well-known/jwks.json")
        keys = response.json()["keys"]
        assert keys
        assert all("d" not in key and key["kty"] == "EC" for key in keys)
        claims = jwt.decode(shop.token, jwk.KeySet.import_key_set(response.json()), algorithms=["ES256"]).claims
        assert (claims["sub"], claims["tenant"]) == (shop.keys["user"], shop.keys["tenant"])


class TestOtherPaths:
    @pytest.mark.parametrize(
        "path", ["/", "/graphql/", "/admin", "/.env", "/subgraphs/nobody/graphql", "/imports/files"]
    )
    async def test_answer_nothing(self, application: Application, path: str) -> None:
        response = await application.get(path)
        assert response.status_code in {404, 405, 307}
        assert "Traceback" not in response.text

    async def test_are_all_marked_with_a_correlation_id(self, application: Application) -> None:
        for path in ("/health/live", "/metrics", "/.well-known/jwks.json", "/nowhere"):
            response = await application.client.get(path, headers={"x-correlation-id": "the-same"})
            assert response.headers["x-correlation-id"] == "the-same"

    async def test_of_the_subgraphs_answer_each_for_themselves(self, application: Application, shop: Any) -> None:
        document = "{ products(first: 1) { nodes { __typename id } } }"
        reply = await application.ask_subgraph("catalog", document, x_agora_tenant=shop.code)
        assert reply.data["products"]["nodes"][0]["__typename"] == "Product"
