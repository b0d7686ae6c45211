"""Correlation ids."""

import pytest
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from server.edge.correlation import CorrelationMiddleware, correlation_id

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def echo(request: Request) -> JSONResponse:
    return JSONResponse([correlation_id(), structlog.contextvars.get_contextvars()["correlation_id"]])


client = TestClient(Starlette(routes=[Route("/", echo)], middleware=[Middleware(CorrelationMiddleware)]))


class TestCorrelationId:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"x-correlation-id": "order-7"}, "order-7"),
            ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
            ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-correlation-id": "mine"}, "mine"),
        ],
    )
    def test_is_taken_from_the_caller_bound_and_echoed(self, headers, expected):
        response = client.get("/", headers=headers)
        assert response.json() == [expected, expected]
        assert response.headers["x-correlation-id"] == expected

    @pytest.mark.parametrize("hostile", ["a b", "x" * 129, "a\tb", '"quoted"', ""])
    def test_is_made_when_the_caller_sends_none_that_a_log_can_take(self, hostile):
        made = client.get("/", headers={"x-correlation-id": hostile}).headers["x-correlation-id"]
        assert made != hostile
        assert len(made) == 32

    def test_is_another_for_every_request(self):
        assert client.get("/").json() != client.get("/").json()
        assert correlation_id() == ""
