"""What a client learns about an error."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from edge_shop import shop_app
from graphql import GraphQLError
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from server.edge.masking import formatted_error, is_coded


@dataclass(eq=False)
class PriceChanged(Exception):
    sku: str
    price: Decimal
    code = "PRICE_CHANGED"

    @property
    def message(self) -> str:
        return f"{self.sku} now costs {self.price}."


class DriverError(Exception):
    code = "08006"
    message = "connection to 10.0.0.1 failed"


class TestFormattedError:
    def test_keeps_code_message_and_data_of_a_refusal(self):
        error = GraphQLError("x", path=["buy"], original_error=PriceChanged("L-1", Decimal("1.50")))
        assert formatted_error(error, "c-1") == {
            "message": "L-1 now costs 1.50.",
            "path": ["buy"],
            "extensions": {"code": "PRICE_CHANGED", "sku": "L-1", "price": Decimal("1.50")},
        }

    def test_keeps_what_was_raised_as_a_graphql_error(self):
        error = GraphQLError("No.", path=["a"], extensions={"code": "MINE", "n": 1})
        assert formatted_error(error, "c-1") == {
            "message": "No.",
            "path": ["a"],
            "extensions": {"code": "MINE", "n": 1},
        }

    @pytest.mark.parametrize("cause", [ZeroDivisionError("secret"), DriverError("secret")])
    def test_masks_and_logs_everything_else(self, cause):
        with capture_logs() as logs:
            formatted = formatted_error(GraphQLError("secret", path=["a"], original_error=cause), "c-1")
        assert formatted["message"] == "Internal error"
        assert formatted["extensions"] == {"code": "INTERNAL", "correlationId": "c-1"}
        assert [(each["event"], each["correlation_id"], each["exc_info"]) for each in logs] == [
            ("unexpected error", "c-1", cause)
        ]

    def test_takes_no_driver_for_a_refusal(self):
        assert is_coded(PriceChanged("a", Decimal(1)))
        assert not is_coded(DriverError())
        assert not is_coded(SystemExit(1))


class TestResponses:
    def test_carry_the_data_of_refusals_as_json(self):
        response = TestClient(shop_app()).post("/graphql", json={"query": "{ refused }"}).json()
        assert response["data"] == {"refused": None}
        assert response["errors"][0]["message"] == "L-1 is out of stock."
        assert response["errors"][0]["extensions"] == {"code": "OUT_OF_STOCK", "sku": "L-1"}

    def test_never_carry_a_secret(self):
        response = TestClient(shop_app()).post(
            "/graphql", json={"query": "{ crash }"}, headers={"x-correlation-id": "order-7"}
        )
        assert "secret" not in response.text
        assert response.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "correlationId": "order-7"}
