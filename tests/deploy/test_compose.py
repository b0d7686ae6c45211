"""docker-compose.yml: what its schema says, and what this project wants of it; nobody needs Docker for that."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schema.graph import CONTEXTS
from server.groups import GROUPS, expanded
from server.settings import Settings, variable

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SCHEMA = Path(__file__).parent / "schemas" / "compose-spec.json"
VARIABLES = {variable(name) for name in Settings.model_fields}


def compose() -> Any:
    return yaml.safe_load(FILE.read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


def groups() -> dict[str, tuple[str, ...]]:
    """Give which service serves which subgraphs, as the supergraph is addressed."""
    return {name: tuple(contexts) for name, contexts in GROUPS.items()}


OURS = sorted(name for name, each in services().items() if "agora" in each["image"].lower())
ALL = sorted(services())


class TestCompose:
    def test_is_what_the_specification_says(self) -> None:
        schema = json.loads(SCHEMA.read_text())
        validator = jsonschema.Draft7Validator(schema)
        assert [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(compose())] == []

    def test_holds_no_secret(self) -> None:
        text = FILE.read_text()
        for name in ("AGORA_SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD", "MEILI_MASTER_KEY"):
            assert re.findall(rf"{name}: (?!\$\{{{name}:\?)\S+", text) == []
        filled = [
            line
            for line in (ROOT / ".env.example").read_text().splitlines()
            if re.search(r"(KEY|PASSWORD|SECRET|PASSPHRASE)=.", line)
        ]
        assert filled == []

    def test_has_every_variable_that_must_be_set_in_the_example(self) -> None:
        wanted = set(re.findall(r"\$\{([A-Z_]+):\?", FILE.read_text()))
        given = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
        assert wanted <= given

    @pytest.mark.parametrize("name", ALL)
    def test_limits_and_restarts_every_service(self, name: str) -> None:
        service = services()[name]
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
        assert "restart" in service
        assert not service.get("privileged")
        assert re.search(r":[^:]*\d", service["image"].rpartition("/")[2].replace("${AGORA_", "")), "pinned"

    @pytest.mark.parametrize("name", ALL)
    def test_listens_on_this_machine_alone(self, name: str) -> None:
        assert all(str(port).startswith("127.0.0.1:") for port in services()[name].get("ports", ()))

    @pytest.mark.parametrize("name", OURS)
    def test_runs_ours_without_rights_and_with_settings_that_there_are(self, name: str) -> None:
        service = services()[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        if name != "gateway":
            assert service["user"] == "10001:10001"
        unknown = {each for each in service["environment"] if each.startswith("AGORA_")} - VARIABLES
        assert unknown == set()

    @pytest.mark.parametrize("name", ALL)
    def test_waits_only_for_what_says_that_it_is_there(self, name: str) -> None:
        for other, how in services()[name].get("depends_on", {}).items():
            there = services()[other]
            if how["condition"] == "service_healthy":
                assert there["healthcheck"]["test"]
            if how["condition"] == "service_completed_successfully":
                assert there["restart"] in {"no", "on-failure"}
            profiles = set(there.get("profiles", ()))
            assert not profiles or profiles & set(services()[name].get("profiles", ()))

    def test_lets_servers_drain_before_they_are_killed(self) -> None:
        for name in ("api", "worker", *groups()):
            service = services()[name]
            grace = float(service["stop_grace_period"].removesuffix("s"))
            assert grace > float(service["environment"]["AGORA_DRAIN_SECONDS"]) + 5

    def test_shows_engines_and_subgraphs_to_nobody_outside(self) -> None:
        networks = compose()["networks"]
        assert networks["engines"]["internal"]
        assert networks["subgraphs"]["internal"]
        for name in ("postgres", "valkey", "meilisearch"):
            assert services()[name]["networks"] == ["engines"]
        for name in groups():
            assert "ports" not in services()[name]
            assert "public" not in services()[name]["networks"]
        on = {name for name, service in services().items() if "outside" in service["networks"]}
        assert on == groups().keys()

    def test_serves_every_subgraph_in_one_group(self) -> None:
        told = {name: tuple(expanded(services()[name]["command"][-1].split(","))) for name in groups()}
        assert told == groups()
        assert sorted(each for contexts in told.values() for each in contexts) == sorted(CONTEXTS)

    def test_keeps_grafana_off_the_shops_port(self) -> None:
        assert services()["grafana"]["ports"] == ["127.0.0.1:3001:3001"]
