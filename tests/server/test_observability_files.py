"""What is deployed to watch over Agora: expressions that parse and ask for what there is, and a runbook per alert."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric

from domain.kernel import EVENTS
from server.metrics import LOGINS, Metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "observability"
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["Meaning", "Impact", "Look at", "Do", "Afterwards"]
OF_PROMETHEUS = {"up": frozenset[str]()}
"""Series that Prometheus makes itself."""
OF_TARGETS = frozenset({"job", "instance"})
"""Labels that Prometheus gives to every series."""
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


@cache
def known() -> dict[str, frozenset[str]]:
    """Give every series of ours, with its labels."""
    found = dict(OF_PROMETHEUS)
    metrics = Metrics()
    for family in metrics.registry.collect():
        assert isinstance(family, Metric)
        for sample in family.samples:
            found[sample.name] = frozenset(sample.labels)
    for metric in vars(metrics).values():
        if hasattr(metric, "_labelnames"):
            for suffix in SUFFIXES[metric._type]:
                more = {"le"} if suffix == "_bucket" else set[str]()
                found[metric._name + suffix] = frozenset({*metric._labelnames, *more})
    # The one metric of the kind `info`, whose labels are its values.
    found["agora_build_info"] = frozenset({"version", "python"})
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> dict[str, Any]:
    return {each.stem: json.loads(each.read_text()) for each in (FOLDER / "grafana" / "dashboards").glob("*.json")}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for board in dashboards().values():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield f"{board['uid']}: {panel['title']}", target["expr"]


def parts(expression: Any) -> Iterator[Any]:
    """Give an expression and everything below it."""
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        below = getattr(expression, name, None)
        if isinstance(below, promql_parser.Expr):
            yield from parts(below)
    for argument in getattr(expression, "args", ()):
        yield from parts(argument)


EXPRESSIONS = list(expressions())


class TestExpressions:
    @pytest.mark.parametrize(
        ("place", "text"), EXPRESSIONS, ids=[f"{n}-{place}" for n, (place, _) in enumerate(EXPRESSIONS)]
    )
    def test_ask_for_what_there_is(self, place: str, text: str) -> None:
        every = list(parts(promql_parser.parse(text)))
        series = [each for each in every if isinstance(each, promql_parser.VectorSelector)]
        assert series, text
        for each in series:
            assert each.name in known(), each.name
            wanted = {matcher.name for matcher in each.matchers.matchers}
            assert wanted <= known()[each.name] | OF_TARGETS, text
        there = frozenset[str]().union(*(known()[each.name] for each in series)) | OF_TARGETS
        for each in every:
            if isinstance(each, promql_parser.AggregateExpr) and each.modifier is not None:
                assert set(each.modifier.labels) <= there, text

    def test_are_all_of_the_alerts_and_panels_there_are(self) -> None:
        assert len(EXPRESSIONS) > 60
        assert {"agora-graph", "agora-work"} == {board["uid"] for board in dashboards().values()}

    def test_would_not_pass_for_a_series_that_there_is_not(self) -> None:
        (selector,) = parts(promql_parser.parse("agora_nothing_total"))
        assert selector.name not in known()


class TestAlerts:
    @pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
    def test_have_a_runbook_with_all_its_sections(self, rule: dict[str, Any]) -> None:
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{name}.md"
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.splitlines()[0] == f"# {name}"
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
        assert all(len(section.split("\n\n", 1)[1].strip()) > 8 for section in text.split("\n## ")[1:])

    def test_say_how_much_they_matter(self) -> None:
        assert {rule["labels"]["severity"] for rule in rules()} == {"critical", "warning", "info"}

    def test_leave_no_runbook_without_an_alert(self) -> None:
        named = {rule["alert"] for rule in rules()}
        pages = {each.stem for each in RUNBOOKS.glob("*.md")} - {"README"}
        assert pages == named
        listed = set(re.findall(r"\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text()))
        assert listed == named


class TestNames:
    def test_of_commands_that_log_in_are_those_of_handlers(self) -> None:
        for name in LOGINS:
            module, _, function = name.rpartition(".")
            assert callable(getattr(import_module(module), function))

    def test_of_events_that_are_counted_are_those_of_events(self) -> None:
        import data.tables  # noqa: F401 — declares every event.

        assert "identity.user_locked" in EVENTS
        assert any(name.startswith("order.") for name in EVENTS)


class TestConfigurations:
    @pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.yml")), ids=lambda file: file.name)
    def test_can_be_read(self, file: Path) -> None:
        assert yaml.safe_load(file.read_text())

    def test_of_prometheus_say_where_the_runbooks_are(self) -> None:
        found = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        assert found["global"]["external_labels"]["runbooks"].startswith("https://")
        assert found["rule_files"] == ["alerts.yml"]
        assert {each["job_name"] for each in found["scrape_configs"]} == {"agora-server", "agora-worker"}
