import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from data.embedded import EmbeddedPostgres, EmbeddedValkey, EngineError, Engines, HomeInUse, HomeLock, OtherVersion
from data.embedded.processes import NOBODY, engine_environment, launch

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, pathlib
from data.embedded import Engines
with Engines(pathlib.Path(sys.argv[1])) as engines:
    print(engines.database_url, engines.redis_url, flush=True)
    sys.stdin.read()
"""

WRITE = """
import sys, pathlib, psycopg, redis
from data.embedded import Engines
with Engines(pathlib.Path(sys.argv[1])) as engines:
    client = redis.from_url(engines.redis_url)
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE acknowledged (number int)")
        for number in range(1_000_000):
            connection.execute("INSERT INTO acknowledged VALUES (%s)", [number])
            client.set("number", number)
            print(number, flush=True)
"""


@contextmanager
def another_process(source: str, home: Path, **options) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(home)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def owners_of(pids: list[int]) -> set[int]:
    """Say who runs these processes; a server's process that has just ended had the same owner."""
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError):
            found.add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def engines_in(home: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()).startswith(str(home.resolve())):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until_none_runs(home: Path, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while engines_in(home):
        assert time.monotonic() < deadline, "an engine outlived its parent"
        time.sleep(0.02)


def scalar(url: str, statement: str):
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchone()[0]


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped home with one table, to be copied by tests that harm it."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with EmbeddedPostgres(home, durable=False) as postgres:
        change(postgres.url(), "CREATE TABLE kept AS SELECT 42 AS value")
    return home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    target = tmp_path / "home"
    shutil.copytree(filled, target, symlinks=True)
    for entry in [target / "postgresql", *(target / "postgresql").rglob("*")]:
        source = filled / entry.relative_to(target)
        os.chown(entry, source.stat().st_uid, source.stat().st_gid)
    return target


class TestEmbeddedPostgres:
    def test_is_postgresql_18_with_utf8_checksums_and_full_durability(self, tmp_path: Path) -> None:
        with EmbeddedPostgres(tmp_path / "home") as postgres:
            url = postgres.url()
            names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "server_encoding", "timezone")
            shown = [scalar(url, f"SHOW {name}") for name in names]
            assert int(scalar(url, "SHOW server_version_num")) // 10_000 == 18
            assert shown == ["on", "on", "on", "on", "UTF8", "UTC"]
            assert scalar(url, "SELECT upper('ж') || lower('É')") == "Жé"

    def test_keeps_data_and_password_over_a_restart(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as postgres:
            first = postgres.url()
        with EmbeddedPostgres(home, durable=False) as postgres:
            assert postgres.url() == first
            assert scalar(first, "SELECT value FROM kept") == 42

    def test_accepts_nobody_without_the_password(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as postgres:
            password = (home / "postgresql" / "agora.password").read_text()
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(postgres.url().replace(password, "agora"))
            assert (home / "postgresql" / "agora.password").stat().st_mode & 0o777 == 0o600

    def test_listens_on_no_network_address(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as postgres:
            assert scalar(postgres.url(), "SHOW listen_addresses") == ""

    def test_serves_a_home_whose_path_is_too_long_for_a_socket(self, home: Path) -> None:
        deep = home.parent / ("long-" * 30)
        home.rename(deep)
        with EmbeddedPostgres(deep, durable=False) as postgres:
            assert scalar(postgres.url(), "SELECT value FROM kept") == 42

    def test_ends_when_stopped_although_a_session_is_open(self, home: Path) -> None:
        postgres = EmbeddedPostgres(home, durable=False)
        session = psycopg.connect(postgres.start())
        session.execute("SELECT 1")
        postgres.stop()
        assert engines_in(home) == []
        session.close()

    def test_outlives_the_thread_that_started_it(self, home: Path) -> None:
        postgres = EmbeddedPostgres(home, durable=False)
        thread = threading.Thread(target=postgres.start)
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert scalar(postgres.url(), "SELECT value FROM kept") == 42
        postgres.stop()

    def test_refuses_a_second_start_in_its_home_and_names_the_process(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as postgres:
            with pytest.raises(HomeInUse) as refusal:
                EmbeddedPostgres(home).start()
            assert refusal.value.pid == os.getpid()
            assert scalar(postgres.url(), "SELECT value FROM kept") == 42

    def test_recovers_after_its_own_kill(self, home: Path) -> None:
        with EmbeddedPostgres(home) as postgres:
            change(postgres.url(), "INSERT INTO kept VALUES (43)")
            os.kill(int((home / "postgresql/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        with EmbeddedPostgres(home) as postgres:
            assert scalar(postgres.url(), "SELECT sum(value) FROM kept") == 85

    def test_starts_over_a_stale_pid_file_whose_pid_lives_again(self, home: Path) -> None:
        stale = home / "postgresql" / "postmaster.pid"
        stale.write_text(f"{os.getppid()}\n{home}/postgresql\n0\n5432\n/tmp\n\n  0 0\nready   \n")
        with EmbeddedPostgres(home, durable=False) as postgres:
            assert scalar(postgres.url(), "SELECT value FROM kept") == 42


class TestDataFolder:
    def test_of_another_major_version_is_explained_and_left_alone(self, home: Path) -> None:
        version = home / "postgresql" / "PG_VERSION"
        version.write_text("15\n")
        before = sorted((path, path.stat().st_mtime_ns) for path in (home / "postgresql").rglob("*"))
        with pytest.raises(OtherVersion, match="written by PostgreSQL 15 and this Agora brings PostgreSQL 18; nothing"):
            EmbeddedPostgres(home).start()
        assert sorted((path, path.stat().st_mtime_ns) for path in (home / "postgresql").rglob("*")) == before

    def test_that_holds_something_else_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "postgresql").mkdir()
        (tmp_path / "postgresql" / "thesis.txt").write_text("years of work")
        with pytest.raises(EngineError, match="holds no PostgreSQL data"):
            EmbeddedPostgres(tmp_path).start()
        assert (tmp_path / "postgresql" / "thesis.txt").read_text() == "years of work"

    @pytest.mark.parametrize("after_seconds", [0.25, 0.55])
    def test_half_made_by_a_killed_start_is_made_again(self, tmp_path: Path, after_seconds: float) -> None:
        with another_process(HOLD, tmp_path) as process:
            time.sleep(after_seconds)
            process.kill()
        with EmbeddedPostgres(tmp_path, durable=False) as postgres:
            assert scalar(postgres.url(), "SELECT current_database()") == "agora"
        assert not (tmp_path / "postgresql.partial").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up root")
    def test_belongs_to_nobody_when_started_by_root(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False):
            owners = owners_of(engines_in(home))
            assert owners == {NOBODY.uid}
            assert (home / "postgresql").stat().st_uid == NOBODY.uid


class TestEmbeddedValkey:
    def test_keeps_what_was_written_over_a_restart(self, tmp_path: Path) -> None:
        with EmbeddedValkey(tmp_path) as valkey, redis.from_url(valkey.url()) as client:
            client.xadd("events", {"number": 7})
        with EmbeddedValkey(tmp_path) as valkey, redis.from_url(valkey.url(), decode_responses=True) as client:
            assert [entry for _, entry in client.xrange("events")] == [{"number": "7"}]

    def test_accepts_nobody_without_the_password(self, tmp_path: Path) -> None:
        with EmbeddedValkey(tmp_path, durable=False) as valkey:
            path = valkey.url().partition("@")[2]
            with redis.from_url(f"unix://{path}") as client, pytest.raises(redis.AuthenticationError):
                client.ping()


class TestEngines:
    def test_lets_given_servers_pass_through(self, tmp_path: Path) -> None:
        with Engines(tmp_path, database_url="postgresql://db/agora", redis_url="redis://cache") as engines:
            assert (engines.database_url, engines.redis_url) == ("postgresql://db/agora", "redis://cache")
            assert engines_in(tmp_path) == []

    def test_lends_running_engines_to_a_second_process_that_attaches(self, home: Path) -> None:
        with another_process(HOLD, home) as holder:
            urls = holder.stdout.readline().split()
            with pytest.raises(HomeInUse) as refusal, Engines(home):
                pass
            assert refusal.value.pid == holder.pid
            with Engines(home, attach=True) as engines:
                assert [engines.database_url, engines.redis_url] == urls
                assert scalar(engines.database_url, "SELECT value FROM kept") == 42
            assert scalar(urls[0], "SELECT value FROM kept") == 42
            holder.communicate("", timeout=10)
        assert engines_in(home) == []
        assert not (home / "engines.json").exists()

    def test_leave_nothing_running_and_nothing_lost_when_the_parent_is_killed(self, tmp_path: Path) -> None:
        with another_process(WRITE, tmp_path) as process:
            acknowledged = [int(process.stdout.readline()) for _ in range(300)][-1]
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split("\n")[:-1])])
        wait_until_none_runs(tmp_path)
        with Engines(tmp_path) as engines, redis.from_url(engines.redis_url) as client:
            # The very last statement may have been committed and not yet told.
            last = scalar(engines.database_url, "SELECT max(number) FROM acknowledged")
            assert last in {acknowledged, acknowledged + 1}
            assert scalar(engines.database_url, "SELECT count(*) FROM acknowledged") == last + 1
            assert int(client.get("number")) in {acknowledged, acknowledged + 1}

    def test_start_at_once_after_the_parent_was_killed(self, home: Path) -> None:
        with another_process(HOLD, home) as process:
            process.stdout.readline()
            process.kill()
            process.wait()
            with Engines(home) as engines:
                assert scalar(engines.database_url, "SELECT value FROM kept") == 42

    @pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run without root")
    def test_run_for_an_ordinary_user(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        os.chown(home, NOBODY.uid, NOBODY.gid)
        process = launch(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})" + HOLD, home],
            account=NOBODY, folders=[home, ROOT], stdin=subprocess.PIPE, output=subprocess.PIPE, environment=engine_environment(),
        )  # fmt: skip
        with process:
            database_url = process.stdout.readline().decode().split()[0]
            assert scalar(database_url, "SELECT current_user") == "agora"
            assert owners_of([process.pid, *engines_in(home)]) == {NOBODY.uid}
            process.communicate(b"", timeout=10)
        assert process.returncode == 0
        assert engines_in(home) == []


class TestHomeLock:
    def test_is_given_back_when_its_process_is_killed(self, tmp_path: Path) -> None:
        hold = HOLD.replace("Engines", "HomeLock").replace("engines.database_url, engines.redis_url", "'held'")
        with another_process(hold, tmp_path) as process:
            assert process.stdout.readline() == "held\n"
            with pytest.raises(HomeInUse, match=f"is in use by process {process.pid}; stop it, or choose another"):
                HomeLock(tmp_path).acquire()
            process.kill()
            process.wait()
            with HomeLock(tmp_path) as lock:
                assert lock.holder() == os.getpid()

    def test_refuses_a_home_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(EngineError, match="cannot be used: Not a directory"):
            HomeLock(tmp_path / "file" / "home").acquire()
