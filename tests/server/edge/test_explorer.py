"""The GraphiQL page."""

import json
import re

from edge_shop import shop_app
from starlette.testclient import TestClient

from server.edge.explorer import STATIC_FOLDER
from server.edge.settings import EdgeSettings, Example

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class TestExplorer:
    settings = EdgeSettings(examples=[Example("Greet </script>", "query Greet { hello }", '{"n": 1}')])
    client = TestClient(shop_app(settings))

    def test_opens_with_the_example_operations(self):
        page = self.client.get("/graphql", headers=HTML)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        state = re.search(r'id="explorer">(.*?)</script>', page.text)
        assert state is not None
        assert json.loads(state[1]) == {
            "path": "/graphql",
            "examples": [{"query": "# Greet </script>\nquery Greet { hello }", "variables": '{"n": 1}'}],
        }

    def test_asks_nobody_but_this_server(self):
        page = self.client.get("/graphql", headers=HTML)
        assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert [each for each in assets if not each.startswith(("/static/explorer/", "data:,"))] == []
        for asset in assets:
            if asset.startswith("/"):
                assert self.client.get(asset).status_code == 200

    def test_comes_with_the_licences_of_what_it_contains(self):
        licences = (STATIC_FOLDER / "LICENSES.txt").read_text()
        for name in ("graphiql 3.9.0", "react 18.3.1", "react-dom 18.3.1", "graphql-ws 6.3.0"):
            assert f"npm package {name}" in licences

    def test_is_off_in_production(self):
        production = TestClient(shop_app(EdgeSettings().for_production()))
        assert production.get("/graphql", headers=HTML).json()["errors"][0]["extensions"]["code"] == "MISSING_DOCUMENT"
        assert production.get("/static/explorer/explorer.js").status_code == 404
