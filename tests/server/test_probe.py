import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server import probe, worker
from tests.server.application import Application


class TestProbe:
    def test_asks_the_server_on_the_port_of_its_settings(
        self, application: Application, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AGORA_PORT", str(urlsplit(application.url).port))
        assert probe.main("live") == 0
        assert probe.main("ready") == 0
        assert probe.main("nothing") == 1

    def test_fails_where_nobody_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGORA_PORT", "1")
        assert probe.main("ready") == 1

    async def test_sees_whether_a_worker_has_beaten_lately(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AGORA_HOME", str(tmp_path))
        assert probe.main("worker") == 1
        stop = asyncio.Event()
        beating = asyncio.ensure_future(worker.beating(tmp_path)(stop))
        await asyncio.sleep(0)
        assert probe.main("worker") == 0
        stop.set()
        await beating
        os.utime(tmp_path / probe.BEAT_FILE, (1, 1))
        assert probe.main("worker") == 1
