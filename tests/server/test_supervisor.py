import time
from pathlib import Path

import psutil
from structlog.testing import capture_logs

from server.settings import Settings
from server.supervisor import Supervised, start_command


class TestSupervised:
    def test_restarts_a_command_that_ends_with_growing_pauses(self, tmp_path: Path) -> None:
        with capture_logs() as logs, Supervised(Settings(home=tmp_path), "--version"):
            deadline = time.monotonic() + 20
            while len(logs) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert [(entry["event"], entry["child"], entry["exit_code"]) for entry in logs[:2]] == [
            ("child ended", "--version", 0)
        ] * 2
        assert [entry["restart_in_seconds"] for entry in logs[:2]] == [0.5, 1.0]

    def test_leaves_nothing_running_behind_its_block(self, tmp_path: Path) -> None:
        before = set(psutil.Process().children())
        with Supervised(Settings(home=tmp_path), "--help"):
            pass
        assert set(psutil.Process().children()) <= before


class TestStartCommand:
    def test_hands_its_settings_down(self, tmp_path: Path) -> None:
        process = start_command(
            Settings(home=tmp_path / "home", meilisearch_url="http://127.0.0.1:1"), "doctor", "--json"
        )
        assert process.wait(60) == 1  # Doctor finds the Meilisearch of these settings out of reach.
