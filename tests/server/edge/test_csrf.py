"""Requests of other sites' pages."""

from typing import ClassVar

import pytest
from edge_shop import shop_app, watch
from starlette.testclient import TestClient

from server.edge.settings import EdgeSettings

SHOP = "https://shop.example"
client = TestClient(shop_app(EdgeSettings(allowed_origins=[SHOP])))


class TestCrossSiteRequests:
    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_by_get_need_a_header_that_forces_a_preflight(self, site):
        refused = client.get("/graphql?query={hello}", headers={"sec-fetch-site": site})
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (403, "CROSS_SITE_REQUEST")
        forced = client.get("/graphql?query={hello}", headers={"sec-fetch-site": site, "graphql-preflight": "1"})
        assert forced.json() == {"data": {"hello": "hello world"}}

    @pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"}])
    def test_are_told_from_the_sites_own(self, headers):
        assert client.get("/graphql?query={hello}", headers=headers).status_code == 200

    def test_of_an_allowed_origin_pass(self):
        headers = {"sec-fetch-site": "cross-site", "origin": SHOP}
        assert client.get("/graphql?query={hello}", headers=headers).status_code == 200

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    def test_that_need_no_preflight_change_nothing(self, kind):
        before = watch.writes
        response = client.post("/graphql", content='{"query": "mutation { write }"}', headers={"content-type": kind})
        assert response.status_code == 415
        assert watch.writes == before


class TestCors:
    preflight: ClassVar = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
    }

    def test_lets_an_allowed_origin_ask(self):
        response = client.options("/graphql", headers={"origin": SHOP, **self.preflight})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == SHOP

    def test_lets_no_other_origin_ask(self):
        response = client.options("/graphql", headers={"origin": "https://evil.example", **self.preflight})
        assert response.status_code == 400
        assert "access-control-allow-origin" not in response.headers

    def test_shows_answers_to_an_allowed_origin_only(self):
        ask = {"json": {"query": "{ hello }"}}
        assert client.post("/graphql", headers={"origin": SHOP}, **ask).headers["access-control-allow-origin"] == SHOP
        other = client.post("/graphql", headers={"origin": "https://evil.example"}, **ask)
        assert "access-control-allow-origin" not in other.headers
