"""What every transport shares."""

from decimal import Decimal
from typing import Any, ClassVar

import pytest
from edge_shop import shop_app
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from server.edge.executor import Result
from server.edge.pipeline import Admitted, write_result
from server.edge.settings import EdgeSettings


class Remembering:
    """Keeps what an observer is told: kind, outcome and seconds."""

    def __init__(self, seen: list[tuple[str, str, float]], kind: str = "unknown") -> None:
        self._seen = seen
        self._kind = kind

    def refused(self, seconds: float) -> None:
        self._seen.append((self._kind, "refused", seconds))

    def begin(self, admitted: Admitted, *, streamed: bool) -> "Remembering":
        return Remembering(self._seen, admitted.operation.kind.value)

    def erred(self, errors: Any) -> None:
        assert errors

    def end(self, outcome: str, seconds: float, error: BaseException | None) -> None:
        self._seen.append((self._kind, outcome, seconds))


class TestObserver:
    @pytest.mark.parametrize(
        ("query", "kind", "outcome"),
        [
            ("{ hello }", "query", "ok"),
            ("mutation { write }", "mutation", "ok"),
            ("{ refused }", "query", "failed"),
            ("query ($n: Int!) { products(first: $n) { nodes { sku } } }", "query", "refused"),
            ("{ nope }", "unknown", "refused"),
            ("{ slow }", "query", "refused"),
        ],
    )
    def test_is_told_of_every_operation_once(self, query, kind, outcome):
        seen: list[tuple[str, str, float]] = []
        app = shop_app(EdgeSettings(execution_timeout_seconds=0.05), observer=Remembering(seen))
        TestClient(app).post("/graphql", json={"query": query})
        assert [told[:2] for told in seen] == [(kind, outcome)]
        assert 0 <= seen[0][2] < 5


class TestWriting:
    def test_masks_data_that_json_cannot_hold(self):
        with capture_logs() as logs:
            written = write_result(Result({"price": Decimal("1.5")}), {}, "c-1")
        assert b"Internal error" in written
        assert [log["correlation_id"] for log in logs] == ["c-1"]


class TestCostReport:
    query: ClassVar[Any] = {"query": "{ products(first: 10) { nodes { sku } } }"}

    def test_comes_with_the_answer_when_asked_for(self):
        client = TestClient(shop_app())
        by_header = client.post("/graphql", json=self.query, headers={"graphql-cost": "report"}).json()
        by_extension = client.post("/graphql", json={**self.query, "extensions": {"cost": "report"}}).json()
        assert by_header["extensions"] == by_extension["extensions"] == {"cost": {"requested": 13.0, "actual": 8.0}}
        assert "extensions" not in client.post("/graphql", json=self.query).json()

    def test_comes_instead_of_the_answer_when_only_it_is_asked_for(self):
        priced = TestClient(shop_app()).post("/graphql", json=self.query, headers={"graphql-cost": "validate"})
        assert priced.json() == {"data": None, "extensions": {"cost": {"requested": 13.0}}}
