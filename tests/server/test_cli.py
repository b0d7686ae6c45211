import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from data.embedded import Engines
from data.migrations import pending

ROOT = Path(__file__).parents[2]
AGORA = [sys.executable, "-m", "server.cli"]


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AGORA_")}
    return {name: value for name, value in plain.items() if name not in {"DATABASE_URL", "REDIS_URL"}} | more


def agora(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGORA, *map(str, arguments)], cwd=ROOT, env=environment(**more), capture_output=True, text=True, check=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Serving:
    def __init__(self, home: Path, process: subprocess.Popen[str], url: str) -> None:
        self.home, self.process, self.url = home, process, url

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        return next(each for each in self.family() if all(word in words_of(each) for word in words))

    def status(self) -> int:
        return httpx.get(self.url, params={"query": "{ __typename }"}, timeout=5).status_code


def words_of(process: psutil.Process) -> list[str]:
    """Give the command line of a process; one that has just ended has none."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Serving]:
    process = subprocess.Popen(
        [*AGORA, "serve", "--home", str(home), "--port", "0", "--no-demo", *arguments],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process:
        try:
            printed = []
            for line in process.stdout:
                printed.append(line)
                if " is ready at " in line:
                    break
            assert " is ready at " in "".join(printed[-1:]), "".join(printed)
            yield Serving(home, process, printed[-1].split()[-1])
        finally:
            process.kill()


def wait_until_gone(processes: list[psutil.Process], seconds: float = 8.0) -> None:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert alive == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served") / "home") as running:
        yield running


class TestServe:
    def test_answers_on_the_graph(self, served: Serving) -> None:
        assert served.status() < 500

    def test_refuses_a_taken_port_in_one_line_before_it_makes_anything(self, served: Serving, tmp_path: Path) -> None:
        port = served.url.split(":")[2].split("/")[0]
        refused = agora("serve", "--port", port, "--home", tmp_path / "home")
        assert refused.returncode == 2
        assert (
            refused.stderr
            == f"agora: Port {port} on 127.0.0.1 is taken by another program; choose another with --port.\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_refuses_a_home_that_another_process_serves(self, served: Serving) -> None:
        refused = agora("serve", "--port", "0", "--home", served.home)
        assert refused.returncode == 3
        assert refused.stderr == (
            f"agora: {served.home} is in use by process {served.process.pid}; stop it, or choose another folder with --home.\n"
        )
        assert served.status() < 500

    def test_refuses_a_port_that_does_not_exist(self, tmp_path: Path) -> None:
        refused = agora("serve", "--port", "70000", "--home", tmp_path / "home")
        assert refused.returncode == 2
        assert refused.stderr == "agora: AGORA_PORT: Input should be less than or equal to 65535\n"

    def test_refuses_a_context_that_there_is_not(self, tmp_path: Path) -> None:
        refused = agora("serve", "--port", "0", "--only", "inventory,weather", "--home", tmp_path / "home")
        assert refused.returncode == 2
        assert refused.stderr.startswith("agora: There is no context weather; there are ")
        assert list(tmp_path.iterdir()) == []

    def test_of_some_subgraphs_borrows_the_engines_of_the_home(self, served: Serving) -> None:
        with serving(served.home, "--only", "inventory") as part:
            assert part.status() < 500
            assert part.family() == []
        assert served.status() < 500

    def test_brings_back_a_worker_that_was_killed(self, served: Serving) -> None:
        first = served.child("worker")
        first.kill()
        first.wait(5)
        deadline = time.monotonic() + 10
        while not any("worker" in words_of(each) for each in served.family()):
            assert time.monotonic() < deadline, "the worker did not come back"
            time.sleep(0.05)
        assert served.child("worker").pid != first.pid

    def test_killed_leaves_nothing_running_and_nothing_corrupt(self, tmp_path: Path) -> None:
        with serving(tmp_path) as running:
            family = running.family()
            assert len(family) > 3
            running.process.kill()
            wait_until_gone(family)
        with Engines(tmp_path) as engines:
            assert pending(engines.database_url) == []

    def test_stops_with_a_reason_when_its_database_ends(self, tmp_path: Path) -> None:
        with serving(tmp_path / "home", "--no-worker") as running:
            family = running.family()
            running.child("-D").send_signal(signal.SIGQUIT)
            printed, _ = running.process.communicate(timeout=20)
            assert running.process.returncode == 1
            assert f"agora: PostgreSQL ended unexpectedly; see {tmp_path}/home/logs/postgresql.log" in printed
        wait_until_gone(family, seconds=0)


class TestMigrate:
    def test_makes_the_database_of_an_empty_home(self, tmp_path: Path) -> None:
        done = agora("migrate", "--home", tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with Engines(tmp_path) as engines:
            assert pending(engines.database_url) == []


class TestVersion:
    def test_is_printed(self) -> None:
        assert agora("--version").stdout == "agora 0.1.0\n"


class TestImport:
    def test_refuses_a_file_that_is_not_there(self) -> None:
        refused = agora("import", "products", "nowhere.csv", "--store", "TOR-1")
        assert refused.returncode == 2
        assert "does not exist" in refused.stderr


class TestStop:
    """Last in this file, because it uses up the server of the tests above."""

    def test_ends_everything_in_order_on_ctrl_c(self, served: Serving) -> None:
        family = served.family()
        served.process.send_signal(signal.SIGINT)
        printed, _ = served.process.communicate(timeout=15)
        assert served.process.returncode == 0
        assert "Traceback" not in printed
        wait_until_gone(family, seconds=0)
        assert not (served.home / "engines.json").exists()
