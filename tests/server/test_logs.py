import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from server.logs import configure
from server.settings import Settings


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class TestConfigure:
    def test_puts_the_correlation_id_on_every_line_of_ours_and_of_libraries(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(Settings(log_format="json"))
        with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
            structlog.get_logger("agora.test").info("stock adjusted", sku="A-1")
            logging.getLogger("library").warning("took %d s", 3)
        ours, theirs = map(orjson.loads, capsys.readouterr().err.splitlines())
        assert (ours["event"], ours["sku"], ours["correlation_id"], ours["logger"]) == (
            "stock adjusted",
            "A-1",
            "c-1",
            "agora.test",
        )
        assert (theirs["event"], theirs["level"], theirs["correlation_id"]) == ("took 3 s", "warning", "c-1")

    def test_leaves_local_variables_out_of_tracebacks(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure(Settings(log_format="json"))
        try:
            password = "hidden"
            raise ValueError(len(password))
        except ValueError:
            structlog.get_logger("agora.test").exception("failed")
        printed = capsys.readouterr().err
        assert "ValueError: 6" in orjson.loads(printed)["exception"]
        assert "'hidden'" not in printed.replace('password = \\"hidden\\"', "")

    def test_keeps_quiet_below_its_level(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure(Settings(log_format="json", log_level="warning"))
        structlog.get_logger("agora.test").info("not worth it")
        logging.getLogger("alembic.runtime").info("nor this")
        assert capsys.readouterr().err == ""
