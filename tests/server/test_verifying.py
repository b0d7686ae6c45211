import socket

from server import verifying
from tests.server.application import Application
from tests.server.conftest import Shop


class TestVerify:
    async def test_passes_where_all_is_well(self, application: Application, shop: Shop, worker: None) -> None:
        tried = await verifying.run(application.url, shop.code)
        assert [each for each in tried if not each.passed and each.what != "its parts do their work"] == []
        assert tried[-1].detail == "100 of 100"

    async def test_fails_where_nobody_answers(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            tried = await verifying.run(f"http://127.0.0.1:{probe.getsockname()[1]}", None)
        assert [each.passed for each in tried] == [False] * 6

    async def test_fails_where_the_tenant_is_not_there(self, application: Application) -> None:
        tried = {each.what: each.passed for each in await verifying.run(application.url, "nowhere")}
        assert tried["the server lives"]
        assert not tried["products are listed"]
